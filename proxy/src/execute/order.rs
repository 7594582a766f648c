//! The order of rows that several shards gave in order: which of their next rows comes first. Pure. By what values compare is the planner's to say
//! ([`podway_router::OrderKey`]): MySQL's order, told by numbers or bytes.

use std::cmp::Ordering;
use std::ops::Range;

use bytes::Bytes;
use podway_router::{Compared, OrderKey};
use podway_wire::{BinaryValue, ColumnDefinition, DecodeError, decode_binary_row, decode_text_row};

/// A row with the places of what it is ordered by.
#[derive(Clone, Debug)]
pub struct Ordered {
    row: Bytes,
    /// Where the columns that the client asked for end.
    visible: usize,
    keys: Keys,
}

/// What a row is ordered by.
#[derive(Clone, Debug)]
enum Keys {
    /// Places in the row.
    In(Vec<Option<Range<usize>>>),
    /// The values' texts, for a row of the binary protocol.
    Beside(Vec<Option<Vec<u8>>>),
}

impl Ordered {
    /// A row of the text protocol whose last `keys` columns are what it is ordered by.
    pub fn read(row: Bytes, keys: usize) -> Result<Ordered, DecodeError> {
        if keys == 0 {
            return Ok(Ordered { visible: row.len(), row, keys: Keys::In(Vec::new()) });
        }
        let start = row.as_ptr() as usize;
        let mut places = Vec::new();
        // A cell that is NULL takes one byte, another its length's and its own.
        let mut end = 0;
        for cell in decode_text_row(&row) {
            let place = cell?.map(|cell| {
                let from = cell.as_ptr() as usize - start;
                from..from + cell.len()
            });
            let begin = end;
            end = place.as_ref().map_or(end + 1, |place| place.end);
            places.push((begin, place));
        }
        let first = places.len().saturating_sub(keys);
        let visible = places.get(first).map_or(row.len(), |(begin, _)| *begin);
        let keys = places.into_iter().skip(first).map(|(_, place)| place).collect();
        Ok(Ordered { row, visible, keys: Keys::In(keys) })
    }

    /// A row of the binary protocol with these columns, of which the last `keys` are what it is ordered by. What is passed on is written anew, for the columns' number is
    /// in it.
    pub fn read_binary(
        row: Bytes,
        columns: &[ColumnDefinition],
        keys: usize,
    ) -> Result<Ordered, DecodeError> {
        if keys == 0 {
            return Ordered::read(row, 0);
        }
        let values = decode_binary_row(&row, columns)?;
        let first = values.len().saturating_sub(keys);
        let texts = values[first..].iter().map(text_of).collect();
        let mut visible = vec![0; 1 + (first + 9) / 8];
        for (nth, (value, column)) in values[..first].iter().zip(columns).enumerate() {
            match value {
                BinaryValue::Null => visible[1 + (nth + 2) / 8] |= 1 << ((nth + 2) % 8),
                value => value.write(column.column_type as u8, &mut visible),
            }
        }
        Ok(Ordered { visible: visible.len(), row: visible.into(), keys: Keys::Beside(texts) })
    }

    /// The row as its client gets it.
    pub fn visible(&self) -> &[u8] {
        &self.row[..self.visible]
    }

    fn key(&self, nth: usize) -> Option<&[u8]> {
        match &self.keys {
            Keys::In(places) => places.get(nth)?.clone().map(|place| &self.row[place]),
            Keys::Beside(texts) => texts.get(nth)?.as_deref(),
        }
    }

    /// Which of two rows comes first; equal rows may come in any order.
    pub fn compare(&self, other: &Ordered, by: &[OrderKey]) -> Ordering {
        let keys = by.iter().enumerate().map(|(nth, key)| {
            let order = compare(self.key(nth), other.key(nth), key.compared);
            if key.descending { order.reverse() } else { order }
        });
        keys.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

/// A value as the text protocol spells it, as far as order goes.
fn text_of(value: &BinaryValue<'_>) -> Option<Vec<u8>> {
    Some(match value {
        BinaryValue::Null => return None,
        BinaryValue::Int(value) => value.to_string().into_bytes(),
        BinaryValue::UInt(value) => value.to_string().into_bytes(),
        BinaryValue::Float(value) => value.to_string().into_bytes(),
        BinaryValue::Double(value) => value.to_string().into_bytes(),
        BinaryValue::Bytes(bytes) => bytes.to_vec(),
        BinaryValue::Date { year, month, day, hour, minute, second, micros } => {
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}")
                .into_bytes()
        }
        // Asked for as a number.
        BinaryValue::Time { .. } => Vec::new(),
    })
}

/// NULL comes before every value.
fn compare(left: Option<&[u8]>, right: Option<&[u8]>, compared: Compared) -> Ordering {
    let (Some(left), Some(right)) = (left, right) else { return left.is_some().cmp(&right.is_some()) };
    match compared {
        Compared::Bytes => left.cmp(right),
        Compared::Number => number(left, right),
        Compared::Double => double(left).total_cmp(&double(right)),
    }
}

fn double(text: &[u8]) -> f64 {
    let value: f64 = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
    // -0 and 0 are equal.
    if value == 0.0 { 0.0 } else { value }
}

/// Decimal numbers of any length, as MySQL prints them.
fn number(left: &[u8], right: &[u8]) -> Ordering {
    let (left, right) = (Decimal::read(left), Decimal::read(right));
    match (left.negative, right.negative) {
        (false, false) => left.size(&right),
        (true, true) => right.size(&left),
        (negative, _) => {
            if negative {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
    }
}

struct Decimal<'t> {
    negative: bool,
    whole: &'t [u8],
    fraction: &'t [u8],
}

impl<'t> Decimal<'t> {
    fn read(text: &'t [u8]) -> Decimal<'t> {
        let (sign, digits) = match text.split_first() {
            Some((b'-', rest)) => (true, rest),
            _ => (false, text),
        };
        let point = memchr::memchr(b'.', digits).unwrap_or(digits.len());
        let whole = digits[..point].trim_ascii_start();
        let zeros = whole.iter().take_while(|digit| **digit == b'0').count();
        let fraction = digits.get(point + 1..).unwrap_or_default();
        let last = fraction.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        let (whole, fraction) = (&whole[zeros..], &fraction[..last]);
        Decimal { negative: sign && !(whole.is_empty() && fraction.is_empty()), whole, fraction }
    }

    fn size(&self, other: &Decimal<'_>) -> Ordering {
        let whole = (self.whole.len(), self.whole).cmp(&(other.whole.len(), other.whole));
        whole.then_with(|| self.fraction.cmp(other.fraction))
    }
}

#[cfg(test)]
mod tests {
    use podway_wire::encode_text_row;

    use super::*;

    #[test]
    fn numbers_compare_as_numbers() {
        let ascending = [
            "-100",
            "-99.5",
            "-99.25",
            "-0.1",
            "0",
            "0.001",
            "0.01",
            "00.5",
            "1",
            "1.5",
            "9",
            "10",
            "18446744073709551615",
        ];
        for (n, left) in ascending.iter().enumerate() {
            for (m, right) in ascending.iter().enumerate() {
                assert_eq!(number(left.as_bytes(), right.as_bytes()), n.cmp(&m), "{left} and {right}");
            }
        }
        for (left, right) in [("-0", "0"), ("1.50", "1.5"), ("007", "7"), ("-0.00", "0")] {
            assert_eq!(number(left.as_bytes(), right.as_bytes()), Ordering::Equal, "{left} and {right}");
        }
    }

    #[test]
    fn null_comes_before_every_value() {
        for compared in [Compared::Number, Compared::Double, Compared::Bytes] {
            assert_eq!(compare(None, Some(b"-5"), compared), Ordering::Less);
            assert_eq!(compare(Some(b""), None, compared), Ordering::Greater);
            assert_eq!(compare(None, None, compared), Ordering::Equal);
        }
        assert_eq!(compare(Some(b"-0"), Some(b"0"), Compared::Double), Ordering::Equal);
        assert_eq!(compare(Some(b"-1e300"), Some(b"2"), Compared::Double), Ordering::Less);
        assert_eq!(compare(Some(b"\x1C\x47"), Some(b"\x1C\x60"), Compared::Bytes), Ordering::Less);
    }

    #[test]
    fn what_rows_are_ordered_by_is_not_passed_on() {
        let long = vec![b'x'; 300];
        for (cells, keys, visible) in [
            (vec![Some(&b"a"[..]), None, Some(b"7")], 1, vec![Some(&b"a"[..]), None]),
            (vec![Some(&long[..]), Some(b""), None], 2, vec![Some(&long[..])]),
            (vec![Some(&b"a"[..]), Some(b"b")], 0, vec![Some(&b"a"[..]), Some(b"b")]),
        ] {
            let mut row = Vec::new();
            encode_text_row(cells.clone(), &mut row);
            let mut expected = Vec::new();
            encode_text_row(visible, &mut expected);
            let ordered = Ordered::read(row.into(), keys).unwrap();
            assert_eq!(ordered.visible(), expected);
            let read: Vec<Option<&[u8]>> = (0..keys).map(|nth| ordered.key(nth)).collect();
            assert_eq!(read, cells[cells.len() - keys..]);
        }
    }
}
