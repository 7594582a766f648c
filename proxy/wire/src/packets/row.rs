//! Rows: cells as text, or as the values of [`crate::BinaryValue`] for prepared statements.
//!
//! For answers that we give ourselves or must look into; rows that only pass through are never decoded. Next:
//! `result_set`.

use std::borrow::Cow;
use std::io::Write;

use bytes::BufMut;
use mysql_common::constants::{ColumnFlags, ColumnType};

use super::binary_value::BinaryValue;
use super::column::ColumnDefinition;
use crate::codec::{Cursor, DecodeError, Decoded, put_lenenc_bytes};

const NULL: u8 = 0xFB;

/// A cell of a row that we make ourselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// Text or bytes.
    Bytes(Cow<'a, [u8]>),
}

impl From<i64> for Cell<'_> {
    fn from(value: i64) -> Self {
        Cell::Int(value)
    }
}

impl From<u64> for Cell<'_> {
    fn from(value: u64) -> Self {
        Cell::UInt(value)
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Cell::Bytes(Cow::Borrowed(text.as_bytes()))
    }
}

impl<'a> From<&'a [u8]> for Cell<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Cell::Bytes(Cow::Borrowed(bytes))
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Cell::Bytes(Cow::Owned(text.into_bytes()))
    }
}

impl From<Vec<u8>> for Cell<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Cell::Bytes(Cow::Owned(bytes))
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

impl Cell<'_> {
    /// The cell as text; `None` for NULL.
    pub fn text(&self) -> Option<Cow<'_, [u8]>> {
        match self {
            Cell::Null => None,
            Cell::Int(value) => Some(Cow::Owned(value.to_string().into_bytes())),
            Cell::UInt(value) => Some(Cow::Owned(value.to_string().into_bytes())),
            Cell::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
        }
    }
}

/// Writes a text row's payload from cells that already are text.
pub fn encode_text_row<'a>(cells: impl IntoIterator<Item = Option<&'a [u8]>>, out: &mut Vec<u8>) {
    for cell in cells {
        match cell {
            None => out.put_u8(NULL),
            Some(text) => put_lenenc_bytes(out, text),
        }
    }
}

/// Writes a text row's payload.
pub fn encode_text_cells(cells: &[Cell<'_>], out: &mut Vec<u8>) {
    for cell in cells {
        encode_text_row([cell.text().as_deref()], out);
    }
}

/// The cells of a text row, as they stand in its payload. Ends after the first error.
#[derive(Debug, Clone)]
pub struct TextCells<'a> {
    cursor: Cursor<'a>,
}

/// Reads a text row's payload.
pub fn decode_text_row(payload: &[u8]) -> TextCells<'_> {
    TextCells { cursor: Cursor::new(payload) }
}

impl<'a> Iterator for TextCells<'a> {
    type Item = Decoded<Option<&'a [u8]>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.peek()? == NULL {
            return Some(self.cursor.u8("cell").map(|_| None));
        }
        let cell = self.cursor.lenenc_bytes("cell");
        if cell.is_err() {
            self.cursor.rest();
        }
        Some(cell.map(Some))
    }
}

/// Writes a binary row's payload. A cell goes out as its column's type says: integers in the column's width, all else as
/// text; text in an integer column that is no number goes out as 0, as MySQL's own conversion would have it.
pub fn encode_binary_row(columns: &[ColumnDefinition], cells: &[Cell<'_>], out: &mut Vec<u8>) {
    out.put_u8(0);
    let bitmap = out.len();
    out.put_bytes(0, (columns.len() + 9) / 8);
    for (index, (column, cell)) in columns.iter().zip(cells).enumerate() {
        match cell {
            Cell::Null => out[bitmap + (index + 2) / 8] |= 1 << ((index + 2) % 8),
            cell => put_binary_cell(column.column_type, cell, out),
        }
    }
}

/// Reads a binary row's payload.
pub fn decode_binary_row<'a>(
    payload: &'a [u8],
    columns: &[ColumnDefinition],
) -> Decoded<Vec<BinaryValue<'a>>> {
    let mut cursor = Cursor::new(payload);
    let header = cursor.u8("header")?;
    if header != 0 {
        return Err(DecodeError::Unexpected { field: "header", value: header.into() });
    }
    let bitmap = cursor.bytes((columns.len() + 9) / 8, "NULL bitmap")?;
    let mut values = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let is_null = bitmap[(index + 2) / 8] >> ((index + 2) % 8) & 1 == 1;
        let unsigned = column.flags.contains(ColumnFlags::UNSIGNED_FLAG);
        values.push(match is_null {
            true => BinaryValue::Null,
            false => BinaryValue::read(&mut cursor, column.column_type as u8, unsigned)?,
        });
    }
    cursor.finish()?;
    Ok(values)
}

fn put_binary_cell(column_type: ColumnType, cell: &Cell<'_>, out: &mut Vec<u8>) {
    use ColumnType::*;
    let is_integer = matches!(
        column_type,
        MYSQL_TYPE_TINY
            | MYSQL_TYPE_SHORT
            | MYSQL_TYPE_YEAR
            | MYSQL_TYPE_LONG
            | MYSQL_TYPE_INT24
            | MYSQL_TYPE_LONGLONG
    );
    if is_integer {
        return BinaryValue::UInt(bits(cell)).write(column_type as u8, out);
    }
    let mut digits = [0; 20];
    let text = match cell {
        Cell::Bytes(bytes) => bytes,
        Cell::Int(value) => print(&mut digits, value),
        Cell::UInt(value) => print(&mut digits, value),
        Cell::Null => &[],
    };
    put_lenenc_bytes(out, text);
}

/// An integer's 64 bits, sign included.
fn bits(cell: &Cell<'_>) -> u64 {
    match cell {
        Cell::Int(value) => *value as u64,
        Cell::UInt(value) => *value,
        Cell::Null => 0,
        Cell::Bytes(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse::<u64>().ok().or_else(|| text.parse::<i64>().ok().map(|n| n as u64)))
            .unwrap_or(0),
    }
}

/// The longest are the 20 characters of `i64::MIN` and `u64::MAX`.
fn print(digits: &mut [u8; 20], value: impl std::fmt::Display) -> &[u8] {
    let mut rest = &mut digits[..];
    let full = write!(rest, "{value}").is_err();
    let left = if full { 0 } else { rest.len() };
    &digits[..20 - left]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn captured_text_rows_are_read() {
        type Case<'a> = (&'a [u8], &'a [Option<&'a [u8]>]);
        let cases: [Case<'_>; 4] = [
            (b"\x011\x01y", &[Some(b"1"), Some(b"y")]),
            (b"\x012\xFB", &[Some(b"2"), None]),
            (b"\x013\0", &[Some(b"3"), Some(b"")]),
            (b"\xFB\xFB", &[None, None]),
        ];
        for (bytes, cells) in cases {
            assert_eq!(decode_text_row(bytes).collect::<Decoded<Vec<_>>>().as_deref(), Ok(cells));
            let mut out = Vec::new();
            encode_text_row(cells.iter().copied(), &mut out);
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn a_cut_row_ends_with_an_error() {
        let cells: Vec<_> = decode_text_row(b"\x011\x05y").collect();
        assert_eq!(cells, [Ok(Some(&b"1"[..])), Err(DecodeError::Truncated { field: "cell" })]);
    }

    fn column(column_type: ColumnType) -> ColumnDefinition {
        ColumnDefinition { column_type, ..ColumnDefinition::int("c") }
    }

    #[test]
    fn cells_go_out_as_their_columns_say() {
        use ColumnType::*;
        let text = |text: &'static str| Cell::from(text);
        let cases: [(ColumnType, Cell<'_>, &[u8]); 10] = [
            (MYSQL_TYPE_LONGLONG, Cell::Int(-5), b"\0\0\xFB\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
            (MYSQL_TYPE_LONGLONG, Cell::UInt(7), b"\0\0\x07\0\0\0\0\0\0\0"),
            (MYSQL_TYPE_LONG, Cell::Int(1), b"\0\0\x01\0\0\0"),
            (MYSQL_TYPE_TINY, Cell::Int(-1), b"\0\0\xFF"),
            (MYSQL_TYPE_LONG, text("42"), b"\0\0\x2A\0\0\0"),
            (MYSQL_TYPE_LONG, text("no number"), b"\0\0\0\0\0\0"),
            (MYSQL_TYPE_VAR_STRING, text("abc"), b"\0\0\x03abc"),
            (MYSQL_TYPE_VAR_STRING, Cell::Int(i64::MIN), b"\0\0\x14-9223372036854775808"),
            (MYSQL_TYPE_VAR_STRING, Cell::UInt(u64::MAX), b"\0\0\x1418446744073709551615"),
            (MYSQL_TYPE_LONG, Cell::Null, b"\0\x04"),
        ];
        for (column_type, cell, expected) in cases {
            let mut out = Vec::new();
            encode_binary_row(&[column(column_type)], std::slice::from_ref(&cell), &mut out);
            assert_eq!(out, expected, "{column_type:?} {cell:?}");
        }
    }

    #[test]
    fn a_captured_binary_row_is_read() {
        let columns = [column(ColumnType::MYSQL_TYPE_LONG), ColumnDefinition::text("b")];
        let read = decode_binary_row(b"\0\0\x05\0\0\0\x01z", &columns).unwrap();
        assert_eq!(read, [BinaryValue::Int(5), BinaryValue::Bytes(b"z")]);
        for bytes in [&b""[..], b"\x01", b"\0", b"\0\0\x05\0", b"\0\0\x05\0\0\0\x01zz"] {
            assert!(decode_binary_row(bytes, &columns).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn rows_survive_both_formats(cells in prop::collection::vec(
            prop::option::of(prop::collection::vec(any::<u8>(), 0..300)), 1..40))
        {
            let row: Vec<Cell<'_>> = cells.iter().map(|cell| Cell::from(cell.as_deref())).collect();
            let mut out = Vec::new();
            encode_text_cells(&row, &mut out);
            let read: Vec<_> = decode_text_row(&out).map(|cell| cell.unwrap().map(<[u8]>::to_vec)).collect();
            prop_assert_eq!(&read, &cells);

            let columns: Vec<_> = cells.iter().map(|_| ColumnDefinition::text("c")).collect();
            out.clear();
            encode_binary_row(&columns, &row, &mut out);
            let expected: Vec<_> =
                cells.iter().map(|cell| cell.as_deref().map_or(BinaryValue::Null, BinaryValue::Bytes)).collect();
            prop_assert_eq!(decode_binary_row(&out, &columns), Ok(expected));
        }
    }
}
