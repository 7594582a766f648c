//! Names and literals as MySQL reads them, under the SQL mode that control sessions set.

/// A name in backticks.
pub(super) fn name(text: &str) -> String {
    format!("`{}`", text.replace('`', "``"))
}

/// A text in quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut sql = String::with_capacity(text.len() + 2);
    sql.push('\'');
    for c in text.chars() {
        match c {
            '\'' => sql.push_str("''"),
            '\\' => sql.push_str("\\\\"),
            c => sql.push(c),
        }
    }
    sql.push('\'');
    sql
}

/// A schema's name as GRANT takes it literally: `_` and `%` are wildcards there.
pub(super) fn literal_pattern(schema: &str) -> String {
    schema.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")
}

/// An account as SHOW GRANTS prints it.
pub(super) fn account(user: &str, host: &str) -> String {
    format!("{}@{}", name(user), name(host))
}

/// Appends bytes in hexadecimal.
pub(super) fn push_hex(bytes: &[u8], sql: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        sql.push(DIGITS[usize::from(byte >> 4)]);
        sql.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_literal_is_doubled() {
        assert_eq!(name("a`b"), "`a``b`");
        assert_eq!(quoted(r"it's a \ here"), r"'it''s a \\ here'");
        assert_eq!(literal_pattern(r"a_b%c\d"), r"a\_b\%c\\d");
        let mut sql = Vec::new();
        push_hex(&[0, 0x9f, 0xff], &mut sql);
        assert_eq!(sql, b"009FFF");
    }
}
