//! Literals as the lexer finds them, and what they are.

use super::*;
use crate::lex::charset_names;

fn context(sql_mode: SqlMode, charset: &str) -> ValueContext<'static> {
    ValueContext { sql_mode, charset: ClientCharset::from_name(charset), collation: "utf8mb4_0900_ai_ci" }
}

fn text(bytes: &[u8]) -> KeyValue<'_> {
    KeyValue::text(bytes, TextCharset::Utf8mb4)
}

fn read<'a>(kind: LiteralKind, sql: &'a [u8], context: &ValueContext<'_>) -> KeyValue<'a> {
    literal_value(sql, &[Literal::new(kind, 0..sql.len(), 0)], 0, context)
}

#[test]
fn literals_have_the_value_that_mysql_gives_them() {
    let utf8 = context(SqlMode::empty(), "utf8mb4");
    let cases: [(LiteralKind, &[u8], KeyValue<'_>); 21] = [
        (LiteralKind::Integer, b"007", KeyValue::Int(7)),
        (LiteralKind::Integer, b"9223372036854775808", KeyValue::UInt(1 << 63)),
        (
            LiteralKind::Integer,
            b"18446744073709551616",
            KeyValue::Decimal { negative: false, text: b"18446744073709551616" },
        ),
        (LiteralKind::Decimal, b".5", KeyValue::Decimal { negative: false, text: b".5" }),
        (LiteralKind::Float, b"1.5e1", KeyValue::Double(15.0)),
        (LiteralKind::Float, b"1e999", KeyValue::Unknown),
        (LiteralKind::String, b"'plain'", text(b"plain")),
        (LiteralKind::String, b"'it''s'", text(b"it's")),
        (LiteralKind::String, b"\"a\"\"b'\"", text(b"a\"b'")),
        (LiteralKind::String, b"'\\0\\b\\n\\r\\t\\Z\\\\\\'\\x'", text(b"\0\x08\n\r\t\x1a\\'x")),
        (LiteralKind::String, b"'\\%\\_'", text(b"\\%\\_")),
        (LiteralKind::String, b"''", text(b"")),
        (LiteralKind::National, b"N'a'", KeyValue::text(b"a", TextCharset::Utf8mb3)),
        (LiteralKind::Hex, b"0x1", KeyValue::HexOrBit(Cow::Borrowed(b"\x01"))),
        (LiteralKind::Hex, b"0xAbc", KeyValue::HexOrBit(Cow::Borrowed(b"\x0a\xbc"))),
        (LiteralKind::Hex, b"X'4142'", KeyValue::HexOrBit(Cow::Borrowed(b"AB"))),
        (LiteralKind::Hex, b"x''", KeyValue::HexOrBit(Cow::Borrowed(b""))),
        (LiteralKind::Hex, b"x'414'", KeyValue::Unknown),
        (LiteralKind::Bit, b"b'101'", KeyValue::HexOrBit(Cow::Borrowed(b"\x05"))),
        (LiteralKind::Bit, b"0b100000001", KeyValue::HexOrBit(Cow::Borrowed(b"\x01\x01"))),
        (LiteralKind::Param, b"?", KeyValue::Unknown),
    ];
    for (kind, sql, value) in cases {
        assert_eq!(read(kind, sql, &utf8), value, "{}", String::from_utf8_lossy(sql));
    }
}

#[test]
fn modes_and_character_sets_change_what_a_backslash_is() {
    let plain = context(SqlMode::NO_BACKSLASH_ESCAPES, "utf8mb4");
    assert_eq!(read(LiteralKind::String, b"'a\\n'", &plain), text(b"a\\n"));
    let gbk = context(SqlMode::empty(), "gbk");
    let value = KeyValue::text(b"\x81\x5c'", TextCharset::AsciiSuperset);
    assert_eq!(read(LiteralKind::String, b"'\x81\x5c\\''", &gbk), value);
}

#[test]
fn introducers_say_what_the_bytes_are() {
    let utf8 = context(SqlMode::empty(), "utf8mb4");
    let cases: [(&[u8], LiteralKind, &[u8], KeyValue<'_>); 4] = [
        (b"latin1", LiteralKind::String, b"'\xfc'", KeyValue::text(b"\xfc", TextCharset::Latin1)),
        (b"binary", LiteralKind::String, b"'a'", KeyValue::Bytes(Cow::Borrowed(b"a"))),
        (b"utf8mb4", LiteralKind::Hex, b"x'41'", text(b"A")),
        (b"utf16", LiteralKind::Hex, b"0x0041", KeyValue::text(b"\0A", TextCharset::Opaque)),
    ];
    for (introducer, kind, sql, value) in cases {
        let number = charset_names::number(introducer).unwrap();
        let literal = Literal::new(kind, 0..sql.len(), 0).with_introducer(number);
        assert_eq!(
            literal_value(sql, &[literal], 0, &utf8),
            value,
            "{}",
            String::from_utf8_lossy(introducer)
        );
    }
}

#[test]
fn adjacent_strings_are_one_value() {
    let sql = b"'a' \"b\" 'c'";
    let literals = [
        Literal::new(LiteralKind::String, 0..3, 0),
        Literal::new(LiteralKind::String, 4..7, 0).continuing(true),
        Literal::new(LiteralKind::String, 8..11, 0),
    ];
    let utf8 = context(SqlMode::empty(), "utf8mb4");
    assert_eq!(literal_value(sql, &literals, 0, &utf8), text(b"ab"));
    assert_eq!(literal_value(sql, &literals, 2, &utf8), text(b"c"));
}
