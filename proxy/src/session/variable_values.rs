//! A column's value as the literal that makes a user variable what SELECT … INTO would: of those columns alone whose text says all of it. Rows are read with
//! `character_set_results = NULL`. Pure.

use podway_wire::{ColumnDefinition, ColumnFlags, ColumnType};

use super::literals::{held_literal, is_string, unsigned};

/// The collation id of bytes.
const BINARY: u16 = 63;
/// DOUBLE without a fixed number of decimals: else it may have more digits than it shows.
const ALL_DECIMALS: u8 = 31;

/// What a column's values are as those of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Unsigned,
    /// Bytes that are a number.
    Bits,
    Decimal,
    Double,
    /// A date or time, whose text has the character set that numbers' texts have.
    Temporal,
    Json,
    Bytes,
    /// Text of the collation with this id.
    Text(u16),
    Null,
}

/// What the column is; `None` where its text may say less than a variable holds.
pub(super) fn kind_of(column: &ColumnDefinition) -> Option<Kind> {
    use ColumnType::*;
    let is_stored = !column.org_table.is_empty();
    Some(match column.column_type {
        MYSQL_TYPE_TINY | MYSQL_TYPE_SHORT | MYSQL_TYPE_INT24 | MYSQL_TYPE_LONG | MYSQL_TYPE_LONGLONG => {
            match column.flags.contains(ColumnFlags::UNSIGNED_FLAG) {
                true => Kind::Unsigned,
                false => Kind::Integer,
            }
        }
        MYSQL_TYPE_YEAR if is_stored => Kind::Unsigned,
        MYSQL_TYPE_BIT if is_stored => Kind::Bits,
        MYSQL_TYPE_NEWDECIMAL if is_stored => Kind::Decimal,
        MYSQL_TYPE_DOUBLE if column.decimals >= ALL_DECIMALS => Kind::Double,
        MYSQL_TYPE_DATE | MYSQL_TYPE_NEWDATE | MYSQL_TYPE_TIME | MYSQL_TYPE_DATETIME
        | MYSQL_TYPE_TIMESTAMP
            if is_stored =>
        {
            Kind::Temporal
        }
        MYSQL_TYPE_JSON => Kind::Json,
        MYSQL_TYPE_GEOMETRY => Kind::Bytes,
        MYSQL_TYPE_NULL => Kind::Null,
        string if is_string(string) && column.charset == BINARY => Kind::Bytes,
        string if is_string(string) => Kind::Text(column.charset),
        _ => return None,
    })
}

/// The literal for a value; `None` where it is none of its kind.
pub(super) fn literal(kind: Kind, cell: &[u8]) -> Option<Vec<u8>> {
    let text = || std::str::from_utf8(cell).ok();
    let digits = || cell.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    Some(match kind {
        Kind::Integer => text()?.parse::<i64>().ok()?.to_string().into_bytes(),
        Kind::Unsigned => unsigned(&text()?.parse::<u64>().ok()?.to_string()),
        Kind::Bits if cell.len() <= 8 => {
            unsigned(&cell.iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte)).to_string())
        }
        Kind::Decimal => number(text()?, b".", ".")?,
        Kind::Double => number(text()?, b"eE", "e0")?,
        Kind::Temporal => held_literal("latin1", "latin1_swedish_ci", &digits()),
        Kind::Json => held_literal("utf8mb4", "utf8mb4_bin", &digits()),
        Kind::Bytes => held_literal("binary", "binary", &digits()),
        Kind::Null => b"NULL".to_vec(),
        Kind::Bits | Kind::Text(_) => return None,
    })
}

/// A number with the sign that makes it one of its kind, which it may have already.
fn number(text: &str, signs: &[u8], sign: &str) -> Option<Vec<u8>> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())?;
    let has_sign = text.bytes().any(|byte| signs.contains(&byte));
    Some(if has_sign { text.as_bytes().to_vec() } else { format!("{text}{sign}").into_bytes() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_variables_hold_them() {
        let cases: [(Kind, &[u8], Option<&str>); 13] = [
            (Kind::Integer, b"-5", Some("-5")),
            (Kind::Integer, b"00042", Some("42")),
            (Kind::Integer, b"5)", None),
            (Kind::Unsigned, b"00042", Some("CAST(42 AS UNSIGNED)")),
            (Kind::Bits, b"\x01\x05", Some("CAST(261 AS UNSIGNED)")),
            (Kind::Decimal, b"1.500", Some("1.500")),
            (Kind::Decimal, b"-2", Some("-2.")),
            (Kind::Decimal, b"1 OR 1", None),
            (Kind::Double, b"0.1", Some("0.1e0")),
            (Kind::Double, b"1e22", Some("1e22")),
            (Kind::Temporal, b"2020", Some("_latin1 X'32303230' COLLATE `latin1_swedish_ci`")),
            (Kind::Json, b"{}", Some("_utf8mb4 X'7B7D' COLLATE `utf8mb4_bin`")),
            (Kind::Bytes, b"\x00'", Some("_binary X'0027'")),
        ];
        for (kind, cell, expected) in cases {
            let written = literal(kind, cell).map(|written| String::from_utf8(written).unwrap());
            assert_eq!(written.as_deref(), expected, "{kind:?} {cell:?}");
        }
    }
}
