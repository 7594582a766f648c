//! A sharding key as MySQL stores it, written as SQL: for statements of our own that look for rows by it. The literals are ASCII, have no quotes but around hexadecimal digits, and mean
//! the same under every sql_mode, character set and time zone. They compare with the column as values of its own type, so that an index serves and nothing is converted.
//!
//! Read next: [`super::insert`], which says whether MySQL stores a value at all.

use std::fmt::Write as _;

use podway_model::{Column, ColumnType, Sharding, Table, TableKind};

use super::collation::{Collation, char_count};
use super::decimal::{Decimal, DigitBuffer};
use super::number::{self, Number};
use super::predicate::{binary_bytes, calendar_time, clock_time};
use super::temporal::Excess;
use super::value::{KeyValue, TextCharset};
use crate::SqlMode;

/// The literals of a key's columns, given in the order of the table's key columns; `None` where [`super::keyspace_id_for_insert`] gives no id, and where it is not certain.
pub fn stored_literals<'v>(
    table: &Table,
    key: impl IntoIterator<Item = KeyValue<'v>>,
    sql_mode: SqlMode,
) -> Option<Vec<Vec<u8>>> {
    let TableKind::Sharded(Sharding { columns, .. }) = &table.kind else { return None };
    let mut key = key.into_iter();
    let literals: Option<Vec<Vec<u8>>> = columns
        .iter()
        .map(|&position| Some(literal(table.columns.get(position)?, &key.next()?, sql_mode)?.into_bytes()))
        .collect();
    literals.filter(|literals| !literals.is_empty() && key.next().is_none())
}

fn literal(column: &Column, value: &KeyValue<'_>, sql_mode: SqlMode) -> Option<String> {
    if *value == KeyValue::Null {
        return column.nullable.then(|| "NULL".to_owned());
    }
    let excess =
        if sql_mode.contains(SqlMode::TIME_TRUNCATE_FRACTIONAL) { Excess::Truncate } else { Excess::Round };
    match column.column_type {
        ColumnType::Integer { bytes, unsigned } => {
            let whole = whole_number(value)?;
            number::integer_range(bytes, unsigned).contains(&whole).then(|| whole.to_string())
        }
        ColumnType::Decimal { scale, .. } => decimal(value, usize::from(scale)),
        ColumnType::Year => number::year(value).map(|year| year.to_string()),
        ColumnType::Char(length) => text(column, value, length, false),
        ColumnType::Varchar(length) => text(column, value, length, true),
        ColumnType::Binary(length) => {
            let mut bytes = bytes(value)?;
            bytes.resize(bytes.len().max(length as usize), 0);
            Some(hexadecimal("binary", &bytes))
        }
        ColumnType::Varbinary(_) => Some(hexadecimal("binary", &bytes(value)?)),
        ColumnType::Date => {
            let at = calendar_time(value).filter(|at| at.is_midnight())?;
            Some(cast(&format!("{:04}-{:02}-{:02}", at.year, at.month, at.day), "DATE"))
        }
        ColumnType::Datetime(digits) => {
            let at = calendar_time(value)?.with_precision(digits, excess)?;
            let (date, micros) = (format!("{:04}-{:02}-{:02}", at.year, at.month, at.day), at.micros);
            let time = format!("{:02}:{:02}:{:02}.{micros:06}", at.hour, at.minute, at.second);
            Some(cast(&format!("{date} {time}"), "DATETIME(6)"))
        }
        ColumnType::Time(digits) => {
            let span = clock_time(value)?.with_precision(digits, excess)?;
            let sign = if span.negative { "-" } else { "" };
            let time =
                format!("{:02}:{:02}:{:02}.{:06}", span.hours, span.minutes, span.seconds, span.micros);
            Some(cast(&format!("{sign}{time}"), "TIME(6)"))
        }
        _ => None,
    }
}

fn whole_number(value: &KeyValue<'_>) -> Option<i128> {
    let mut buffer = DigitBuffer::new();
    match Number::of(value)? {
        Number::Whole(whole) => Some(whole),
        Number::Decimal(decimal) => decimal.rounded(0, &mut buffer).whole_number(),
        Number::Double(double) => Some(double.round_ties_even() as i128),
        Number::Text(decimal) => decimal.whole_number(),
    }
}

fn decimal(value: &KeyValue<'_>, scale: usize) -> Option<String> {
    let (mut digits, mut rounded) = (DigitBuffer::new(), DigitBuffer::new());
    let number = match Number::of(value)? {
        Number::Whole(whole) => Decimal::of_integer(whole, &mut digits),
        Number::Decimal(number) | Number::Text(number) => number,
        Number::Double(_) => return None,
    };
    let stored = number.rounded(scale, &mut rounded);
    let part = |digits: &[u8]| String::from_utf8_lossy(digits).into_owned();
    let sign = if stored.negative { "-" } else { "" };
    let whole = if stored.whole.is_empty() { "0".to_owned() } else { part(stored.whole) };
    let point = if stored.fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{}", part(stored.fraction)))
}

/// Text in its own character set, without the blanks that the column drops.
fn text(column: &Column, value: &KeyValue<'_>, length: u32, keeps_blanks: bool) -> Option<String> {
    let of_column = column.collation.as_deref()?;
    Collation::by_name(of_column)?;
    let own = of_column.split('_').next()?;
    let digits = printed(value);
    let (bytes, charset, name) = match value {
        KeyValue::Text { bytes, charset } => (bytes.as_ref(), *charset, introducer(*charset)?),
        KeyValue::Bytes(bytes) | KeyValue::HexOrBit(bytes) => {
            (bytes.as_ref(), TextCharset::of_collation(of_column), own)
        }
        _ => (digits.as_deref()?.as_bytes(), TextCharset::Ascii, "utf8mb4"),
    };
    let kept = bytes.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
    let room = (length as usize).checked_sub(char_count(&bytes[..kept], charset)?)?;
    let blanks = if keeps_blanks { room } else { 0 };
    Some(hexadecimal(name, &bytes[..bytes.len().min(kept + blanks)]))
}

/// What is written before hexadecimal digits that are text in this character set.
fn introducer(charset: TextCharset) -> Option<&'static str> {
    match charset {
        // Of the others only ASCII can be read.
        TextCharset::Utf8mb4 | TextCharset::Ascii | TextCharset::AsciiSuperset => Some("utf8mb4"),
        TextCharset::Utf8mb3 => Some("utf8mb3"),
        TextCharset::Latin1 => Some("latin1"),
        TextCharset::Binary | TextCharset::Opaque => None,
    }
}

fn bytes(value: &KeyValue<'_>) -> Option<Vec<u8>> {
    binary_bytes(value).map(<[u8]>::to_vec).or_else(|| printed(value).map(String::into_bytes))
}

/// How MySQL stores a whole number as text.
fn printed(value: &KeyValue<'_>) -> Option<String> {
    match value {
        KeyValue::Int(number) => Some(number.to_string()),
        KeyValue::UInt(number) => Some(number.to_string()),
        _ => None,
    }
}

fn cast(text: &str, to: &str) -> String {
    format!("CAST({} AS {to})", hexadecimal("utf8mb4", text.as_bytes()))
}

fn hexadecimal(charset: &str, bytes: &[u8]) -> String {
    let mut literal = format!("_{charset} X'");
    for byte in bytes {
        // Writing to a String never fails.
        let _ = write!(literal, "{byte:02X}");
    }
    literal.push('\'');
    literal
}
