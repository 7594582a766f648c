//! Rows that a server spelled as text, written as a prepared statement's answer has them.
//!
//! For answers that were asked for as text and are owed in the binary form. It goes by the column's type alone and never
//! guesses: a cell that its type does not spell is an error, not a 0 (as [`crate::encode_binary_row`] makes of it, whose
//! cells are our own). Next: `binary_value`, which writes the values.

use std::ops::RangeInclusive;
use std::str::FromStr;

use bytes::BufMut;
use mysql_common::constants::{ColumnFlags, ColumnType};

use super::binary_value::{BinaryValue, known_type};
use super::column::ColumnDefinition;
use crate::codec::{DecodeError, Decoded};

/// Appends a row of the binary protocol (its payload, the 0x00 byte first) with the values that these cells of the text
/// protocol spell.
///
/// Decimals, strings, BIT, JSON and all else that travels as a length and bytes are copied as they are. A FLOAT gets the
/// value that its text spells: MySQL prints six digits of it, so the last bits may differ from what it would send itself.
///
/// # Errors
/// When a cell does not spell a value of its column's type, when no value of that type ever travels, and when there are not
/// as many cells as columns. `out` is then as it was.
pub fn put_binary_row<'c>(
    columns: &[ColumnDefinition],
    cells: impl Iterator<Item = Option<&'c [u8]>>,
    out: &mut Vec<u8>,
) -> Decoded<()> {
    let start = out.len();
    let written = put_row(columns, cells, out);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn put_row<'c>(
    columns: &[ColumnDefinition],
    mut cells: impl Iterator<Item = Option<&'c [u8]>>,
    out: &mut Vec<u8>,
) -> Decoded<()> {
    let wrong_number =
        |count: usize| DecodeError::Unexpected { field: "number of cells", value: count as u64 };
    out.put_u8(0);
    let bitmap = out.len();
    out.put_bytes(0, (columns.len() + FIRST_BIT).div_ceil(8));
    for (index, column) in columns.iter().enumerate() {
        match cells.next().ok_or_else(|| wrong_number(index))? {
            None => {
                let bit = index + FIRST_BIT;
                out[bitmap + bit / 8] |= 1 << (bit % 8);
            }
            Some(text) => value_of(column, text)?.write(column.column_type as u8, out),
        }
    }
    match cells.count() {
        0 => Ok(()),
        more => Err(wrong_number(columns.len().saturating_add(more))),
    }
}

/// The value that a cell spells.
fn value_of<'c>(column: &ColumnDefinition, text: &'c [u8]) -> Decoded<BinaryValue<'c>> {
    use ColumnType::*;
    let column_type = column.column_type;
    let known = known_type(column_type as u8)
        .map_err(|_| DecodeError::Unexpected { field: "type", value: column_type as u64 })?;
    let value = match known {
        // It has no value but NULL.
        MYSQL_TYPE_NULL => None,
        MYSQL_TYPE_TINY | MYSQL_TYPE_SHORT | MYSQL_TYPE_YEAR | MYSQL_TYPE_INT24 | MYSQL_TYPE_LONG
        | MYSQL_TYPE_LONGLONG => {
            let range = integers(known, column.flags.contains(ColumnFlags::UNSIGNED_FLAG));
            // Its bits are the same whether they are read as signed or not.
            number(text).filter(|value| range.contains(value)).map(|value| BinaryValue::UInt(value as u64))
        }
        // Rust's words for infinities and NaN are no values of MySQL's; nor is what is too large for the type.
        MYSQL_TYPE_FLOAT => number(text).filter(|value: &f32| value.is_finite()).map(BinaryValue::Float),
        MYSQL_TYPE_DOUBLE => number(text).filter(|value: &f64| value.is_finite()).map(BinaryValue::Double),
        MYSQL_TYPE_DATE => date(text, [0; 3], 0),
        MYSQL_TYPE_DATETIME | MYSQL_TYPE_TIMESTAMP => datetime(text),
        MYSQL_TYPE_TIME => time(text),
        _ => Some(BinaryValue::Bytes(text)),
    };
    value.ok_or(DecodeError::NotOfItsType { column_type })
}

/// The integers of a type; a YEAR is never below zero, whatever its flags are.
fn integers(column_type: ColumnType, unsigned: bool) -> RangeInclusive<i128> {
    let bits = match column_type {
        ColumnType::MYSQL_TYPE_YEAR => return 0..=LAST_YEAR,
        ColumnType::MYSQL_TYPE_TINY => 8,
        ColumnType::MYSQL_TYPE_SHORT => 16,
        ColumnType::MYSQL_TYPE_INT24 => 24,
        ColumnType::MYSQL_TYPE_LONG => 32,
        _ => 64,
    };
    match unsigned {
        true => 0..=(1 << bits) - 1,
        false => -(1 << (bits - 1))..=(1 << (bits - 1)) - 1,
    }
}

/// Zeros in front, as ZEROFILL writes them, are passed over.
fn number<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `YYYY-MM-DD`. Months and days may be 0, and a day need not be one that its month has: modes of MySQL allow both.
fn date<'c>(text: &[u8], [hour, minute, second]: [u8; 3], micros: u32) -> Option<BinaryValue<'c>> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let year = u16::try_from(digits(&[y1, y2, y3, y4])?).ok()?;
    let month = two_digits([m1, m2], 12)?;
    let day = two_digits([d1, d2], 31)?;
    Some(BinaryValue::Date { year, month, day, hour, minute, second, micros })
}

/// `YYYY-MM-DD hh:mm:ss`, and up to six digits of a fraction.
fn datetime<'c>(text: &[u8]) -> Option<BinaryValue<'c>> {
    let (day, rest) = text.split_at_checked("YYYY-MM-DD".len())?;
    let &[b' ', h1, h2, ref rest @ ..] = rest else { return None };
    let (minute, second, micros) = within_an_hour(rest)?;
    date(day, [two_digits([h1, h2], 23)?, minute, second], micros)
}

/// `[-]hh:mm:ss` or `[-]hhh:mm:ss`, and up to six digits of a fraction.
fn time<'c>(text: &[u8]) -> Option<BinaryValue<'c>> {
    let (negative, text) = match text {
        [b'-', text @ ..] => (true, text),
        text => (false, text),
    };
    let colon = text.iter().position(|&byte| byte == b':').filter(|at| matches!(at, 2 | 3))?;
    let (hours, rest) = text.split_at_checked(colon)?;
    let hours = digits(hours).filter(|&hours| hours <= LAST_HOUR)?;
    let (minutes, seconds, micros) = within_an_hour(rest)?;
    let (days, hours) = (hours / 24, (hours % 24) as u8);
    Some(BinaryValue::Time { negative, days, hours, minutes, seconds, micros })
}

/// `:mm:ss`, and perhaps a point and up to six digits: minutes, seconds and millionths of a second.
fn within_an_hour(text: &[u8]) -> Option<(u8, u8, u32)> {
    let &[b':', m1, m2, b':', s1, s2, ref fraction @ ..] = text else { return None };
    let micros = match fraction {
        [] => 0,
        [b'.', fraction @ ..] => millionths(fraction)?,
        _ => return None,
    };
    Some((two_digits([m1, m2], 59)?, two_digits([s1, s2], 59)?, micros))
}

fn millionths(fraction: &[u8]) -> Option<u32> {
    let zeros_left_out = 6usize.checked_sub(fraction.len())?;
    Some(digits(fraction)? * 10u32.pow(zeros_left_out as u32))
}

fn two_digits(text: [u8; 2], largest: u8) -> Option<u8> {
    let value = u8::try_from(digits(&text)?).ok()?;
    (value <= largest).then_some(value)
}

/// A number of digits and nothing else. For the six at most that dates and times have together: it does not overflow then.
fn digits(text: &[u8]) -> Option<u32> {
    let is_number = !text.is_empty() && text.len() <= 6 && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| text.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0')))
}

/// Which bit of the NULL bitmap is the first column's.
const FIRST_BIT: usize = 2;

/// The last year that fits the type YEAR.
const LAST_YEAR: i128 = 2155;

/// The hours of the longest TIME.
const LAST_HOUR: u32 = 838;

#[cfg(test)]
mod tests;
