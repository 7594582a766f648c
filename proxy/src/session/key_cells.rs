//! Values of rows that a server gave, as the vindexes read them. What is not certain to be stored as it reads is unknown. Rows are read with
//! `character_set_results = utf8mb4`.

use podway_router::{CalendarTime, ClockTime, KeyValue, TextCharset};
use podway_wire::{BinaryValue, ColumnDefinition, ColumnFlags, ColumnType};

use super::literals::is_string;

/// The collation id of bytes.
const BINARY: u16 = 63;

/// How a column's values read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Whole,
    Decimal,
    Float,
    Text,
    Bytes,
    Time,
    Unknown,
}

fn kind(column: &ColumnDefinition) -> Kind {
    use ColumnType::*;
    if column.flags.intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG) {
        // Stored in a number it is the member's index.
        return Kind::Unknown;
    }
    match column.column_type {
        MYSQL_TYPE_TINY | MYSQL_TYPE_SHORT | MYSQL_TYPE_INT24 | MYSQL_TYPE_LONG | MYSQL_TYPE_LONGLONG
        | MYSQL_TYPE_YEAR => Kind::Whole,
        MYSQL_TYPE_DECIMAL | MYSQL_TYPE_NEWDECIMAL => Kind::Decimal,
        MYSQL_TYPE_FLOAT | MYSQL_TYPE_DOUBLE => Kind::Float,
        string if is_string(string) => match column.charset {
            BINARY => Kind::Bytes,
            _ => Kind::Text,
        },
        MYSQL_TYPE_DATE | MYSQL_TYPE_NEWDATE | MYSQL_TYPE_DATETIME | MYSQL_TYPE_TIMESTAMP
        | MYSQL_TYPE_TIME => Kind::Time,
        _ => Kind::Unknown,
    }
}

/// A cell of the text protocol.
pub(super) fn key_of_cell<'c>(column: &ColumnDefinition, cell: Option<&'c [u8]>) -> KeyValue<'c> {
    let Some(cell) = cell else { return KeyValue::Null };
    let number = || std::str::from_utf8(cell).ok();
    if column.column_type == ColumnType::MYSQL_TYPE_YEAR && cell.first() == Some(&b'0') {
        // As text it keeps its zeros, as a number it has none.
        return KeyValue::Unknown;
    }
    match kind(column) {
        Kind::Whole => {
            let signed = number().and_then(|text| text.parse().ok()).map(KeyValue::Int);
            let unsigned = || number().and_then(|text| text.parse().ok()).map(KeyValue::UInt);
            signed.or_else(unsigned).unwrap_or(KeyValue::Unknown)
        }
        Kind::Decimal => KeyValue::Decimal { negative: false, text: cell },
        Kind::Text => KeyValue::text(cell, TextCharset::Utf8mb4),
        Kind::Bytes => KeyValue::text(cell, TextCharset::Binary),
        Kind::Time => KeyValue::text(cell, TextCharset::Ascii),
        Kind::Float | Kind::Unknown => KeyValue::Unknown,
    }
}

/// A value of the binary protocol.
pub(super) fn key_of_value<'v>(column: &ColumnDefinition, value: &BinaryValue<'v>) -> KeyValue<'v> {
    match (value, kind(column)) {
        (BinaryValue::Null, _) => KeyValue::Null,
        (BinaryValue::Int(value), Kind::Whole) => KeyValue::Int(*value),
        (BinaryValue::UInt(value), Kind::Whole) => KeyValue::UInt(*value),
        (BinaryValue::Float(value), Kind::Float) => KeyValue::Float(*value),
        (BinaryValue::Double(value), Kind::Float) => KeyValue::Double(*value),
        (BinaryValue::Bytes(cell), Kind::Decimal | Kind::Text | Kind::Bytes) => {
            key_of_cell(column, Some(cell))
        }
        (&BinaryValue::Date { year, month, day, hour, minute, second, micros }, Kind::Time) => {
            match column.column_type {
                ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE => {
                    KeyValue::Date { year, month, day }
                }
                _ => KeyValue::DateTime(CalendarTime { year, month, day, hour, minute, second, micros }),
            }
        }
        (&BinaryValue::Time { negative, days, hours, minutes, seconds, micros }, Kind::Time) => {
            KeyValue::Time(ClockTime {
                negative,
                hours: days.saturating_mul(24).saturating_add(hours.into()),
                minutes,
                seconds,
                micros,
            })
        }
        _ => KeyValue::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(column_type: ColumnType, charset: u16, flags: ColumnFlags) -> ColumnDefinition {
        ColumnDefinition { column_type, charset, flags, ..ColumnDefinition::text("a") }
    }

    #[test]
    fn cells_read_as_their_columns_say() {
        use ColumnType::*;
        let none = ColumnFlags::empty();
        let cases = [
            (column(MYSQL_TYPE_LONG, BINARY, none), "-5", KeyValue::Int(-5)),
            (column(MYSQL_TYPE_LONGLONG, BINARY, none), "18446744073709551615", KeyValue::UInt(u64::MAX)),
            (column(MYSQL_TYPE_LONG, BINARY, none), "x", KeyValue::Unknown),
            (
                column(MYSQL_TYPE_NEWDECIMAL, BINARY, none),
                "-1.5",
                KeyValue::Decimal { negative: false, text: b"-1.5" },
            ),
            (column(MYSQL_TYPE_VAR_STRING, 255, none), "5", KeyValue::text(b"5", TextCharset::Utf8mb4)),
            (column(MYSQL_TYPE_BLOB, 255, none), "5", KeyValue::text(b"5", TextCharset::Utf8mb4)),
            (column(MYSQL_TYPE_BLOB, BINARY, none), "5", KeyValue::Bytes(b"5".into())),
            (column(MYSQL_TYPE_STRING, 255, ColumnFlags::ENUM_FLAG), "5", KeyValue::Unknown),
            (column(MYSQL_TYPE_STRING, 255, ColumnFlags::SET_FLAG), "5", KeyValue::Unknown),
            (
                column(MYSQL_TYPE_DATE, BINARY, none),
                "2024-02-09",
                KeyValue::text(b"2024-02-09", TextCharset::Ascii),
            ),
            (column(MYSQL_TYPE_FLOAT, BINARY, none), "1.5", KeyValue::Unknown),
            (column(MYSQL_TYPE_JSON, 255, none), "5", KeyValue::Unknown),
            (column(MYSQL_TYPE_YEAR, BINARY, none), "2024", KeyValue::Int(2024)),
            (column(MYSQL_TYPE_YEAR, BINARY, none), "0000", KeyValue::Unknown),
            (column(MYSQL_TYPE_BIT, BINARY, none), "5", KeyValue::Unknown),
        ];
        for (column, cell, expected) in cases {
            assert_eq!(key_of_cell(&column, Some(cell.as_bytes())), expected, "{column:?} {cell}");
        }
        assert_eq!(key_of_cell(&column(MYSQL_TYPE_BIT, BINARY, none), None), KeyValue::Null);
    }
}
