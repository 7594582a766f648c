//! What number a value is, where that is exact. Never says whether a column can hold it.
//!
//! Read next: [`super::predicate`] and [`super::insert`].

use podway_model::ColumnType;

use super::decimal::Decimal;
use super::value::{KeyValue, TextCharset};

/// Doubles below this stand for one whole number each, and no whole number beside it.
const EXACT_DOUBLES: f64 = 9_007_199_254_740_992.0;

/// The years that YEAR holds, but for 0.
const YEARS: std::ops::RangeInclusive<i128> = 1901..=2155;

/// What an integer column can hold.
pub(super) fn integer_range(bytes: u8, unsigned: bool) -> std::ops::RangeInclusive<i128> {
    let bits = u32::from(bytes.clamp(1, 8)) * 8;
    if unsigned { 0..=(1 << bits) - 1 } else { -(1 << (bits - 1))..=(1 << (bits - 1)) - 1 }
}

/// A value read as a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number<'a> {
    Whole(i128),
    Decimal(Decimal<'a>),
    /// Below 2⁵³ in size.
    Double(f64),
    /// Written as text in MySQL's plainest form: a sign, digits, maybe a point and digits.
    Text(Decimal<'a>),
}

impl<'a> Number<'a> {
    /// The number that a value is; `None` where that is not exact, or takes MySQL's leniency to read.
    pub(super) fn of(value: &'a KeyValue<'_>) -> Option<Self> {
        match value {
            KeyValue::Int(number) => Some(Number::Whole(i128::from(*number))),
            KeyValue::UInt(number) => Some(Number::Whole(i128::from(*number))),
            KeyValue::Decimal { negative, text } => Decimal::parse(text, *negative).map(Number::Decimal),
            KeyValue::Float(number) => Self::of_double(f64::from(*number)),
            KeyValue::Double(number) => Self::of_double(*number),
            KeyValue::Text { bytes, charset } if *charset != TextCharset::Opaque => {
                Decimal::parse(bytes, false).map(Number::Text)
            }
            KeyValue::HexOrBit(bytes) if bytes.len() <= 8 => {
                let number = bytes.iter().fold(0, |number, &byte| number << 8 | i128::from(byte));
                // Larger ones are compared with signed columns as if they were the largest signed number.
                (number <= i128::from(i64::MAX)).then_some(Number::Whole(number))
            }
            _ => None,
        }
    }

    fn of_double(number: f64) -> Option<Self> {
        (number.abs() < EXACT_DOUBLES).then_some(Number::Double(number))
    }
}

/// Whether doubles tell this whole number from its neighbours.
pub(super) fn is_exact_as_double(number: i128) -> bool {
    number.unsigned_abs() < EXACT_DOUBLES as u128
}

/// The year that a value certainly stands for: four digits, since shorter numbers mean others (5 is 2005).
pub(super) fn year(value: &KeyValue<'_>) -> Option<i128> {
    let year = match (value, Number::of(value)?) {
        (KeyValue::Int(_) | KeyValue::UInt(_), Number::Whole(year)) => year,
        (KeyValue::Text { bytes, .. }, Number::Text(_))
            if bytes.len() == 4 && bytes.iter().all(u8::is_ascii_digit) =>
        {
            bytes.iter().fold(0, |year, digit| year * 10 + i128::from(digit - b'0'))
        }
        _ => return None,
    };
    YEARS.contains(&year).then_some(year)
}

/// Whether two columns of numbers are compared exactly, whole numbers and decimals alike.
pub(super) fn is_exact_number(column_type: &ColumnType) -> bool {
    matches!(column_type, ColumnType::Integer { .. } | ColumnType::Decimal { .. })
}
