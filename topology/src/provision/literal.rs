//! Names and texts as statements take them.

use podway_model::AccountName;

use super::schema::quote_name;

/// An account's name as statements take it.
pub fn account_literal(name: &AccountName) -> String {
    format!("{}@{}", quote_name(&name.user), quote_name(name.host.as_str()))
}

/// A string literal. The connection's sql_mode is the server's default, in which a backslash escapes.
pub fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use podway_model::HostPattern;

    use super::*;

    #[test]
    fn account_names_are_quoted_on_both_sides() {
        let name = AccountName { user: "o`neill".into(), host: HostPattern::new("10.%") };
        assert_eq!(account_literal(&name), "`o``neill`@`10.%`");
    }
}
