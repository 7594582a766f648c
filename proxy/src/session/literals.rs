//! Bound values written as SQL literals, for statements that the session runs as text: SET and KILL with parameters. Pure.

use podway_router::FileCharset;
use podway_wire::{BinaryValue, ColumnType};

use crate::backend::quoted_identifier;

/// Character sets in which the second byte of a character can be a quote or a backslash.
const QUOTES_IN_CHARACTERS: [&str; 5] = ["big5", "cp932", "gb18030", "gbk", "sjis"];

/// How a session's text literals read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// `character_set_client`.
    pub charset: &'a str,
    /// Whether a backslash escapes what follows: not so under NO_BACKSLASH_ESCAPES.
    pub backslash_escapes: bool,
}

/// The literal that a server reads as this value in such a session. Text is written as its client would write it, so that it has the connection's collation, and bytes
/// that are no text in its character set are taken as they are, as those of a parameter are.
pub fn sql_literal(value: &BinaryValue<'_>, column_type: u8, reading: Reading<'_>) -> Vec<u8> {
    let is = |wanted: ColumnType| column_type == wanted as u8;
    let text = match value {
        BinaryValue::Null => "NULL".to_owned(),
        BinaryValue::Int(value) => value.to_string(),
        BinaryValue::UInt(value) => value.to_string(),
        BinaryValue::Float(value) => format!("{value:e}"),
        BinaryValue::Double(value) => format!("{value:e}"),
        BinaryValue::Bytes(text)
            if is(ColumnType::MYSQL_TYPE_NEWDECIMAL) || is(ColumnType::MYSQL_TYPE_DECIMAL) =>
        {
            match text.iter().all(|byte| byte.is_ascii_digit() || b"+-.".contains(byte)) && !text.is_empty() {
                true => String::from_utf8_lossy(text).into_owned(),
                false => return quoted(text, reading),
            }
        }
        BinaryValue::Bytes(bytes) if is_binary(column_type) => hexadecimal(bytes, "binary"),
        BinaryValue::Bytes(text) => return quoted(text, reading),
        BinaryValue::Date { year, month, day, .. } if is(ColumnType::MYSQL_TYPE_DATE) => {
            format!("'{year:04}-{month:02}-{day:02}'")
        }
        BinaryValue::Date { year, month, day, hour, minute, second, micros } => {
            format!("'{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}'")
        }
        BinaryValue::Time { negative, days, hours, minutes, seconds, micros } => {
            let sign = if *negative { "-" } else { "" };
            let hours = u64::from(*days) * 24 + u64::from(*hours);
            format!("'{sign}{hours:02}:{minutes:02}:{seconds:02}.{micros:06}'")
        }
    };
    text.into_bytes()
}

/// What makes a user variable a number without a sign: `@u - 1` is out of range then, where it is 0.
pub fn unsigned(digits: &str) -> Vec<u8> {
    format!("CAST({digits} AS UNSIGNED)").into_bytes()
}

/// The digits of such a value.
pub fn unsigned_digits(literal: &str) -> Option<&str> {
    literal.strip_prefix("CAST(")?.strip_suffix(" AS UNSIGNED)")
}

/// The literal for bytes that a user variable holds, given in hexadecimal, as text of this character set. Bytes that are no text in it stay bytes: a server refuses the literal
/// otherwise, and with it each statement that any user variable has to be set for.
pub fn held_text(charset: &str, digits: &str) -> String {
    let bytes: Option<Vec<u8>> = (0..digits.len())
        .step_by(2)
        .map(|at| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    let is_text =
        FileCharset::from_name(charset).is_none_or(|known| bytes.is_some_and(|bytes| known.is_text(&bytes)));
    format!("_{} X'{digits}'", if is_text { charset } else { "binary" })
}

/// The same with its collation, as a user variable has it.
pub fn held_literal(charset: &str, collation: &str, digits: &str) -> Vec<u8> {
    // The collation "binary" is a word of the language.
    match held_text(charset, digits) {
        bytes if bytes.starts_with("_binary ") => bytes.into_bytes(),
        text => format!("{text} COLLATE {}", quoted_identifier(collation)).into_bytes(),
    }
}

/// Text as a literal that such a session reads as this.
pub fn quoted(text: &[u8], reading: Reading<'_>) -> Vec<u8> {
    if QUOTES_IN_CHARACTERS.contains(&reading.charset) && !text.is_ascii() {
        return hexadecimal(text, reading.charset).into_bytes();
    }
    let mut literal = Vec::with_capacity(text.len() + 2);
    literal.push(b'\'');
    for &byte in text {
        if byte == b'\'' || byte == b'\\' && reading.backslash_escapes {
            literal.push(byte);
        }
        literal.push(byte);
    }
    literal.push(b'\'');
    literal
}

fn hexadecimal(bytes: &[u8], charset: &str) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("_{charset} X'{digits}'")
}

/// CHAR, VARCHAR, TEXT and their binary kin: text or bytes, as the column's character set says.
pub fn is_string(column_type: ColumnType) -> bool {
    use ColumnType::*;
    matches!(
        column_type,
        MYSQL_TYPE_STRING
            | MYSQL_TYPE_VAR_STRING
            | MYSQL_TYPE_VARCHAR
            | MYSQL_TYPE_TINY_BLOB
            | MYSQL_TYPE_BLOB
            | MYSQL_TYPE_MEDIUM_BLOB
            | MYSQL_TYPE_LONG_BLOB
    )
}

/// BLOB types and BIT: bytes without a character set.
pub fn is_binary(column_type: u8) -> bool {
    [
        ColumnType::MYSQL_TYPE_TINY_BLOB,
        ColumnType::MYSQL_TYPE_MEDIUM_BLOB,
        ColumnType::MYSQL_TYPE_LONG_BLOB,
        ColumnType::MYSQL_TYPE_BLOB,
        ColumnType::MYSQL_TYPE_BIT,
        ColumnType::MYSQL_TYPE_GEOMETRY,
    ]
    .iter()
    .any(|binary| *binary as u8 == column_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_so_that_no_mode_reads_them_otherwise() {
        let (text, blob, decimal, date) = (
            ColumnType::MYSQL_TYPE_VAR_STRING as u8,
            ColumnType::MYSQL_TYPE_BLOB as u8,
            ColumnType::MYSQL_TYPE_NEWDECIMAL as u8,
            ColumnType::MYSQL_TYPE_DATE as u8,
        );
        let cases = [
            (BinaryValue::Null, text, "NULL"),
            (BinaryValue::Int(-5), text, "-5"),
            (BinaryValue::UInt(u64::MAX), text, "18446744073709551615"),
            (BinaryValue::Double(1.5), text, "1.5e0"),
            (BinaryValue::Bytes(b"a'\\"), text, "'a''\\\\'"),
            (BinaryValue::Bytes(b"\x00"), blob, "_binary X'00'"),
            (BinaryValue::Bytes(b"-1.50"), decimal, "-1.50"),
            (BinaryValue::Bytes(b"1) --"), decimal, "'1) --'"),
            (
                BinaryValue::Date { year: 2024, month: 2, day: 9, hour: 0, minute: 0, second: 0, micros: 0 },
                date,
                "'2024-02-09'",
            ),
            (
                BinaryValue::Time { negative: true, days: 1, hours: 2, minutes: 3, seconds: 4, micros: 5 },
                text,
                "'-26:03:04.000005'",
            ),
        ];
        for (value, column_type, expected) in cases {
            let reading = Reading { charset: "latin1", backslash_escapes: true };
            assert_eq!(String::from_utf8(sql_literal(&value, column_type, reading)).unwrap(), expected);
        }
    }

    #[test]
    fn quotes_and_backslashes_stay_inside_the_literal() {
        let literal = |text: &[u8], charset, backslash_escapes| {
            let text = BinaryValue::Bytes(text);
            sql_literal(
                &text,
                ColumnType::MYSQL_TYPE_VAR_STRING as u8,
                Reading { charset, backslash_escapes },
            )
        };
        assert_eq!(literal(b"a'\\", "utf8mb4", false), b"'a''\\'");
        assert_eq!(literal(b"\xFF", "utf8mb4", true), b"'\xFF'");
        assert_eq!(literal(b"\xBF\x5C' OR 1", "gbk", true), b"_gbk X'BF5C27204F522031'");
        assert_eq!(literal(b"it's", "gbk", true), b"'it''s'");
    }
}
