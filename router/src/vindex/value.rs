//! A value of a sharding key as a statement or a driver gives it: still in its own type, not yet the column's. Never compares.
//!
//! Read next: [`super::literal`], which makes one of a literal's bytes; [`super::predicate`] and [`super::insert`], which read it
//! against a column.

use std::borrow::Cow;

use crate::ClientCharset;

/// A literal's value, or that of a bound parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyValue<'a> {
    /// NULL.
    Null,
    /// A whole number with a sign.
    Int(i64),
    /// A whole number without one.
    UInt(u64),
    /// A number with a point, or one too long for the two above: digits, at most one point, maybe a sign.
    Decimal {
        /// Whether a minus stands before the text; one inside the text counts as well.
        negative: bool,
        /// The digits.
        text: &'a [u8],
    },
    /// A FLOAT parameter.
    Float(f32),
    /// A DOUBLE parameter, or a literal with an exponent.
    Double(f64),
    /// A character string, escapes undone, in the character set that MySQL takes it for.
    Text {
        /// Its bytes.
        bytes: Cow<'a, [u8]>,
        /// What they mean.
        charset: TextCharset,
    },
    /// A binary string: a BLOB parameter, `_binary'x'`.
    Bytes(Cow<'a, [u8]>),
    /// `x'41'`, `0x41`, `b'1'`, `0b1`: a binary string where text is wanted, a number where a number is.
    HexOrBit(Cow<'a, [u8]>),
    /// A DATE parameter.
    Date {
        /// 0 to 9999.
        year: u16,
        /// 0 to 12.
        month: u8,
        /// 0 to 31.
        day: u8,
    },
    /// A DATETIME or TIMESTAMP parameter.
    DateTime(CalendarTime),
    /// A TIME parameter.
    Time(ClockTime),
    /// Something that only MySQL can evaluate.
    Unknown,
}

/// A day and a time of that day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CalendarTime {
    /// 0 to 9999.
    pub year: u16,
    /// 0 to 12.
    pub month: u8,
    /// 0 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999,999.
    pub micros: u32,
}

/// A span of time, as TIME columns hold it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockTime {
    /// Whether it is before zero.
    pub negative: bool,
    /// Days already counted in.
    pub hours: u32,
    /// 0 to 59.
    pub minutes: u8,
    /// 0 to 59.
    pub seconds: u8,
    /// 0 to 999,999.
    pub micros: u32,
}

/// A character set, as far as strings of sharding keys can be read in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextCharset {
    /// utf8mb4.
    Utf8mb4,
    /// utf8mb3.
    Utf8mb3,
    /// latin1, which is MySQL's cp1252.
    Latin1,
    /// ascii.
    Ascii,
    /// binary.
    Binary,
    /// Another one in which bytes below 0x80 that are not part of a longer character are ASCII: only strings of nothing but such
    /// bytes can be read.
    AsciiSuperset,
    /// One in which not even those can: utf16, swe7 …
    Opaque,
}

impl TextCharset {
    /// The character set of this name.
    pub fn from_name(name: &str) -> Self {
        let known = [
            ("utf8mb4", TextCharset::Utf8mb4),
            ("utf8mb3", TextCharset::Utf8mb3),
            ("utf8", TextCharset::Utf8mb3),
            ("latin1", TextCharset::Latin1),
            ("ascii", TextCharset::Ascii),
            ("binary", TextCharset::Binary),
            ("ucs2", TextCharset::Opaque),
            ("utf16", TextCharset::Opaque),
            ("utf16le", TextCharset::Opaque),
            ("utf32", TextCharset::Opaque),
            ("swe7", TextCharset::Opaque),
        ];
        let found = known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or(TextCharset::AsciiSuperset, |&(_, charset)| charset)
    }

    /// The character set that a collation belongs to: what its name begins with.
    pub fn of_collation(collation: &str) -> Self {
        Self::from_name(collation.split('_').next().unwrap_or_default())
    }

    /// What a literal or parameter without an introducer is written in: MySQL reads it as `character_set_client` and converts it
    /// to `character_set_connection` (that of `collation_connection`).
    pub fn of_connection(client: ClientCharset, collation: &str) -> Self {
        let connection = Self::of_collation(collation);
        match (client, connection) {
            (ClientCharset::Utf8, Self::Utf8mb4 | Self::Utf8mb3) => connection,
            (ClientCharset::Latin1, Self::Latin1) => connection,
            (ClientCharset::Ascii, Self::Utf8mb4 | Self::Utf8mb3 | Self::Latin1 | Self::Ascii) => Self::Ascii,
            (_, Self::Binary) => Self::Binary,
            // Not the same: the client's is none of these, and may be swe7, where `[` is a letter.
            (ClientCharset::Other, Self::Utf8mb4 | Self::Utf8mb3 | Self::Latin1 | Self::Ascii) => {
                Self::Opaque
            }
            (_, Self::Opaque) | (ClientCharset::Binary, _) => Self::Opaque,
            _ => Self::AsciiSuperset,
        }
    }
}

impl<'a> KeyValue<'a> {
    /// A character string in its character set.
    pub fn text(bytes: &'a [u8], charset: TextCharset) -> Self {
        match charset {
            TextCharset::Binary => KeyValue::Bytes(Cow::Borrowed(bytes)),
            _ => KeyValue::Text { bytes: Cow::Borrowed(bytes), charset },
        }
    }

    /// The value with a minus before it.
    pub fn negated(self) -> Self {
        match self {
            KeyValue::Int(number) => match number.checked_neg() {
                Some(negated) => KeyValue::Int(negated),
                None => KeyValue::UInt(number.unsigned_abs()),
            },
            KeyValue::UInt(number) => match 0i64.checked_sub_unsigned(number) {
                Some(negated) => KeyValue::Int(negated),
                None => KeyValue::Unknown,
            },
            KeyValue::Decimal { negative, text } => KeyValue::Decimal { negative: !negative, text },
            KeyValue::Float(number) => KeyValue::Float(-number),
            KeyValue::Double(number) => KeyValue::Double(-number),
            KeyValue::Null => KeyValue::Null,
            _ => KeyValue::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connections_text_is_read_only_where_its_character_set_is_known() {
        let cases = [
            ("utf8mb4", "utf8mb4_0900_ai_ci", TextCharset::Utf8mb4),
            ("utf8mb3", "utf8mb3_bin", TextCharset::Utf8mb3),
            ("latin1", "latin1_swedish_ci", TextCharset::Latin1),
            ("utf8mb4", "latin1_swedish_ci", TextCharset::AsciiSuperset),
            ("gbk", "gbk_chinese_ci", TextCharset::AsciiSuperset),
            ("gbk", "utf8mb4_bin", TextCharset::AsciiSuperset),
            ("latin2", "latin2_general_ci", TextCharset::AsciiSuperset),
            ("swe7", "swe7_swedish_ci", TextCharset::Opaque),
            ("swe7", "utf8mb4_bin", TextCharset::Opaque),
            ("utf8mb4", "utf16_bin", TextCharset::Opaque),
            ("utf8mb4", "binary", TextCharset::Binary),
            ("binary", "utf8mb4_bin", TextCharset::Opaque),
        ];
        for (client, collation, charset) in cases {
            let read = TextCharset::of_connection(ClientCharset::from_name(client), collation);
            assert_eq!(read, charset, "{client} {collation}");
        }
    }

    #[test]
    fn a_minus_keeps_numbers_exact() {
        let cases = [
            (KeyValue::Int(5), KeyValue::Int(-5)),
            (KeyValue::UInt(1 << 63), KeyValue::Int(i64::MIN)),
            (KeyValue::UInt((1 << 63) + 1), KeyValue::Unknown),
            (KeyValue::Int(i64::MIN), KeyValue::UInt(1 << 63)),
            (KeyValue::Double(1.5), KeyValue::Double(-1.5)),
            (KeyValue::text(b"5", TextCharset::Ascii), KeyValue::Unknown),
        ];
        for (value, negated) in cases {
            assert_eq!(value.clone().negated(), negated, "{value:?}");
        }
    }
}
