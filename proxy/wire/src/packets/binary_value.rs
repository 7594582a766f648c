//! Values as prepared statements carry them, parameters and binary rows alike.
//!
//! Which type a value has stands elsewhere ([`crate::ParamType`], [`crate::ColumnDefinition`]) and is handed in. Nothing is
//! converted: a decimal stays text. Next: `bind`.

use bytes::BufMut;
use mysql_common::constants::ColumnType::{self, *};

use crate::codec::{Cursor, DecodeError, Decoded, put_lenenc_bytes};

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BinaryValue<'a> {
    /// NULL.
    Null,
    /// A signed integer of any width.
    Int(i64),
    /// An unsigned integer of any width.
    UInt(u64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// Everything that travels as a length and bytes: strings, blobs, decimals, BIT, JSON, VECTOR …
    Bytes(&'a [u8]),
    /// DATE, DATETIME or TIMESTAMP; the zero date is all zeros.
    Date {
        /// 0 to 9999.
        year: u16,
        /// 0 to 12.
        month: u8,
        /// 0 to 31.
        day: u8,
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
        /// 0 to 59.
        second: u8,
        /// Millionths of a second.
        micros: u32,
    },
    /// TIME.
    Time {
        /// Whether the whole is below zero.
        negative: bool,
        /// Whole days.
        days: u32,
        /// 0 to 23.
        hours: u8,
        /// 0 to 59.
        minutes: u8,
        /// 0 to 59.
        seconds: u8,
        /// Millionths of a second.
        micros: u32,
    },
}

impl<'a> BinaryValue<'a> {
    /// Reads a value of type `column_type` (a [`ColumnType`] by number).
    pub fn read(cursor: &mut Cursor<'a>, column_type: u8, unsigned: bool) -> Decoded<BinaryValue<'a>> {
        let int = |signed: i64, plain: u64| match unsigned {
            true => BinaryValue::UInt(plain),
            false => BinaryValue::Int(signed),
        };
        Ok(match known_type(column_type)? {
            MYSQL_TYPE_NULL => BinaryValue::Null,
            MYSQL_TYPE_TINY => {
                let value = cursor.u8("TINYINT")?;
                int((value as i8).into(), value.into())
            }
            MYSQL_TYPE_SHORT | MYSQL_TYPE_YEAR => {
                let value = cursor.u16le("SMALLINT")?;
                int((value as i16).into(), value.into())
            }
            MYSQL_TYPE_LONG | MYSQL_TYPE_INT24 => {
                let value = cursor.u32le("INT")?;
                int((value as i32).into(), value.into())
            }
            MYSQL_TYPE_LONGLONG => {
                let value = cursor.u64le("BIGINT")?;
                int(value as i64, value)
            }
            MYSQL_TYPE_FLOAT => BinaryValue::Float(f32::from_bits(cursor.u32le("FLOAT")?)),
            MYSQL_TYPE_DOUBLE => BinaryValue::Double(f64::from_bits(cursor.u64le("DOUBLE")?)),
            MYSQL_TYPE_DATE | MYSQL_TYPE_DATETIME | MYSQL_TYPE_TIMESTAMP => read_date(cursor)?,
            MYSQL_TYPE_TIME => read_time(cursor)?,
            _ => BinaryValue::Bytes(cursor.lenenc_bytes("string")?),
        })
    }

    /// Writes the value as type `column_type`, which must be the type it was read as or one that fits it. NULL has no bytes:
    /// the bitmap before the values says it.
    pub fn write(&self, column_type: u8, out: &mut Vec<u8>) {
        match *self {
            BinaryValue::Null => {}
            BinaryValue::Int(value) => put_int(value as u64, column_type, out),
            BinaryValue::UInt(value) => put_int(value, column_type, out),
            BinaryValue::Float(value) => out.put_u32_le(value.to_bits()),
            BinaryValue::Double(value) => out.put_u64_le(value.to_bits()),
            BinaryValue::Bytes(bytes) => put_lenenc_bytes(out, bytes),
            BinaryValue::Date { year, month, day, hour, minute, second, micros } => {
                let has_time = (hour, minute, second) != (0, 0, 0);
                match (micros, has_time, (year, month, day) != (0, 0, 0)) {
                    (0, false, false) => return out.put_u8(0),
                    (0, false, true) => out.put_u8(4),
                    (0, true, _) => out.put_u8(7),
                    _ => out.put_u8(11),
                }
                out.put_u16_le(year);
                out.put_slice(&[month, day]);
                if has_time || micros != 0 {
                    out.put_slice(&[hour, minute, second]);
                }
                put_micros(micros, out);
            }
            BinaryValue::Time { negative, days, hours, minutes, seconds, micros } => {
                if (days, hours, minutes, seconds, micros) == (0, 0, 0, 0, 0) {
                    return out.put_u8(0);
                }
                out.put_u8(if micros == 0 { 8 } else { 12 });
                out.put_u8(negative.into());
                out.put_u32_le(days);
                out.put_slice(&[hours, minutes, seconds]);
                put_micros(micros, out);
            }
        }
    }
}

/// The type with this number, if values of it can be sent.
pub(crate) fn known_type(number: u8) -> Decoded<ColumnType> {
    match ColumnType::try_from(number) {
        // Types of stored rows and of replication never travel in this protocol.
        Ok(
            MYSQL_TYPE_NEWDATE
            | MYSQL_TYPE_TIMESTAMP2
            | MYSQL_TYPE_DATETIME2
            | MYSQL_TYPE_TIME2
            | MYSQL_TYPE_TYPED_ARRAY
            | MYSQL_TYPE_UNKNOWN,
        )
        | Err(_) => Err(DecodeError::BadArguments),
        Ok(known) => Ok(known),
    }
}

/// Whether values of this type travel as a length and bytes.
pub(crate) fn is_string(number: u8) -> bool {
    use mysql_common::constants::ColumnType as T;
    const FIXED: [T; 14] = [
        T::MYSQL_TYPE_NULL,
        T::MYSQL_TYPE_TINY,
        T::MYSQL_TYPE_SHORT,
        T::MYSQL_TYPE_YEAR,
        T::MYSQL_TYPE_LONG,
        T::MYSQL_TYPE_INT24,
        T::MYSQL_TYPE_LONGLONG,
        T::MYSQL_TYPE_FLOAT,
        T::MYSQL_TYPE_DOUBLE,
        T::MYSQL_TYPE_DATE,
        T::MYSQL_TYPE_DATETIME,
        T::MYSQL_TYPE_TIMESTAMP,
        T::MYSQL_TYPE_TIME,
        T::MYSQL_TYPE_NEWDATE,
    ];
    known_type(number).is_ok_and(|known| !FIXED.contains(&known))
}

fn read_date<'a>(cursor: &mut Cursor<'a>) -> Decoded<BinaryValue<'a>> {
    let len = cursor.u8("date")?;
    if !matches!(len, 0 | 4 | 7 | 11) {
        return Err(DecodeError::Unexpected { field: "length of a date", value: len.into() });
    }
    let (mut year, mut month, mut day, mut hour, mut minute, mut second, mut micros) = (0, 0, 0, 0, 0, 0, 0);
    if len >= 4 {
        year = cursor.u16le("date")?;
        [month, day] = cursor.array("date")?;
    }
    if len >= 7 {
        [hour, minute, second] = cursor.array("date")?;
    }
    if len == 11 {
        micros = cursor.u32le("date")?;
    }
    Ok(BinaryValue::Date { year, month, day, hour, minute, second, micros })
}

fn read_time<'a>(cursor: &mut Cursor<'a>) -> Decoded<BinaryValue<'a>> {
    let len = cursor.u8("time")?;
    if !matches!(len, 0 | 8 | 12) {
        return Err(DecodeError::Unexpected { field: "length of a time", value: len.into() });
    }
    let (mut negative, mut days, mut hours, mut minutes, mut seconds, mut micros) = (false, 0, 0, 0, 0, 0);
    if len >= 8 {
        negative = cursor.u8("time")? != 0;
        days = cursor.u32le("time")?;
        [hours, minutes, seconds] = cursor.array("time")?;
    }
    if len == 12 {
        micros = cursor.u32le("time")?;
    }
    Ok(BinaryValue::Time { negative, days, hours, minutes, seconds, micros })
}

fn put_int(value: u64, column_type: u8, out: &mut Vec<u8>) {
    match ColumnType::try_from(column_type) {
        Ok(MYSQL_TYPE_TINY) => out.put_u8(value as u8),
        Ok(MYSQL_TYPE_SHORT | MYSQL_TYPE_YEAR) => out.put_u16_le(value as u16),
        Ok(MYSQL_TYPE_LONG | MYSQL_TYPE_INT24) => out.put_u32_le(value as u32),
        _ => out.put_u64_le(value),
    }
}

fn put_micros(micros: u32, out: &mut Vec<u8>) {
    if micros != 0 {
        out.put_u32_le(micros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(day: (u16, u8, u8), time: (u8, u8, u8), micros: u32) -> BinaryValue<'static> {
        let ((year, month, day), (hour, minute, second)) = (day, time);
        BinaryValue::Date { year, month, day, hour, minute, second, micros }
    }

    fn time(negative: bool, days: u32, time: (u8, u8, u8), micros: u32) -> BinaryValue<'static> {
        let (hours, minutes, seconds) = time;
        BinaryValue::Time { negative, days, hours, minutes, seconds, micros }
    }

    /// Type, unsigned, bytes, value: all of them values that MySQL itself takes or sends.
    fn cases() -> Vec<(ColumnType, bool, &'static [u8], BinaryValue<'static>)> {
        vec![
            (MYSQL_TYPE_TINY, false, b"\xFF", BinaryValue::Int(-1)),
            (MYSQL_TYPE_TINY, true, b"\xFF", BinaryValue::UInt(255)),
            (MYSQL_TYPE_SHORT, false, b"\xFE\xFF", BinaryValue::Int(-2)),
            (MYSQL_TYPE_YEAR, true, b"\xE8\x07", BinaryValue::UInt(2024)),
            (MYSQL_TYPE_LONG, false, b"\0\0\0\x80", BinaryValue::Int(i32::MIN as i64)),
            (MYSQL_TYPE_INT24, true, b"\xFF\xFF\xFF\0", BinaryValue::UInt(0xFF_FFFF)),
            (MYSQL_TYPE_LONGLONG, false, b"\xFB\xFF\xFF\xFF\xFF\xFF\xFF\xFF", BinaryValue::Int(-5)),
            (MYSQL_TYPE_LONGLONG, true, b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", BinaryValue::UInt(u64::MAX)),
            (MYSQL_TYPE_FLOAT, false, b"\0\0\xC0\x3F", BinaryValue::Float(1.5)),
            (MYSQL_TYPE_DOUBLE, false, b"\0\0\0\0\0\0\xF8\x3F", BinaryValue::Double(1.5)),
            (MYSQL_TYPE_NULL, false, b"", BinaryValue::Null),
            (MYSQL_TYPE_NEWDECIMAL, false, b"\x043.14", BinaryValue::Bytes(b"3.14")),
            (MYSQL_TYPE_BLOB, false, b"\0", BinaryValue::Bytes(b"")),
            (MYSQL_TYPE_JSON, false, b"\x02{}", BinaryValue::Bytes(b"{}")),
            (MYSQL_TYPE_BIT, false, b"\x01\x05", BinaryValue::Bytes(b"\x05")),
            (MYSQL_TYPE_VECTOR, false, b"\x04\0\0\x80\x3F", BinaryValue::Bytes(b"\0\0\x80\x3F")),
            (MYSQL_TYPE_DATETIME, false, b"\0", date((0, 0, 0), (0, 0, 0), 0)),
            (MYSQL_TYPE_DATE, false, b"\x04\xE8\x07\x02\x03", date((2024, 2, 3), (0, 0, 0), 0)),
            (
                MYSQL_TYPE_TIMESTAMP,
                false,
                b"\x07\xE8\x07\x02\x03\x04\x05\x06",
                date((2024, 2, 3), (4, 5, 6), 0),
            ),
            (
                MYSQL_TYPE_DATETIME,
                false,
                b"\x0B\xE8\x07\x02\x03\x04\x05\x06\x40\xE2\x01\0",
                date((2024, 2, 3), (4, 5, 6), 123_456),
            ),
            (
                MYSQL_TYPE_DATETIME,
                false,
                b"\x0B\xE8\x07\x02\x03\0\0\0\x01\0\0\0",
                date((2024, 2, 3), (0, 0, 0), 1),
            ),
            (MYSQL_TYPE_TIME, false, b"\0", time(false, 0, (0, 0, 0), 0)),
            (MYSQL_TYPE_TIME, false, b"\x08\x01\x22\0\0\0\x02\x03\x04", time(true, 34, (2, 3, 4), 0)),
            (
                MYSQL_TYPE_TIME,
                false,
                b"\x0C\0\x01\0\0\0\x02\x03\x04\x40\xE2\x01\0",
                time(false, 1, (2, 3, 4), 123_456),
            ),
        ]
    }

    #[test]
    fn values_of_every_type_are_read_and_written() {
        for (column_type, unsigned, bytes, value) in cases() {
            let mut cursor = Cursor::new(bytes);
            assert_eq!(
                BinaryValue::read(&mut cursor, column_type as u8, unsigned),
                Ok(value),
                "{column_type:?}"
            );
            assert_eq!(cursor.finish(), Ok(()), "{column_type:?}");
            let mut out = Vec::new();
            value.write(column_type as u8, &mut out);
            assert_eq!(out, bytes, "{column_type:?}");
        }
    }

    #[test]
    fn cut_values_are_refused() {
        for (column_type, unsigned, bytes, _) in cases() {
            for len in 0..bytes.len() {
                let read = BinaryValue::read(&mut Cursor::new(&bytes[..len]), column_type as u8, unsigned);
                assert!(matches!(read, Err(DecodeError::Truncated { .. })), "{column_type:?} {len}");
            }
        }
    }

    #[test]
    fn lengths_that_no_date_and_no_time_has_are_refused() {
        for column_type in [MYSQL_TYPE_DATE, MYSQL_TYPE_DATETIME, MYSQL_TYPE_TIMESTAMP, MYSQL_TYPE_TIME] {
            for len in [1, 2, 3, 5, 6, 9, 10, 13, 255] {
                let bytes = [&[len][..], &[0; 255]].concat();
                let read = BinaryValue::read(&mut Cursor::new(&bytes), column_type as u8, false);
                assert!(matches!(read, Err(DecodeError::Unexpected { .. })), "{column_type:?} {len}");
            }
        }
    }

    #[test]
    fn types_that_never_travel_are_bad_arguments() {
        for number in [14, 17, 18, 19, 20, 200, 243, 244] {
            let read = BinaryValue::read(&mut Cursor::new(&[0; 20]), number, false);
            assert_eq!(read, Err(DecodeError::BadArguments), "{number}");
            assert!(!is_string(number));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_so_that_it_reads_the_same(
            number: u8,
            unsigned: bool,
            bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            // Floats are compared by their bits: NaN is not equal to itself.
            let bits = |value: BinaryValue<'_>| format!("{value:?}");
            if let Ok(value) = BinaryValue::read(&mut Cursor::new(&bytes), number, unsigned) {
                let mut out = Vec::new();
                value.write(number, &mut out);
                let again = BinaryValue::read(&mut Cursor::new(&out), number, unsigned).map(bits);
                prop_assert_eq!(again, Ok(bits(value)));
            }
        }
    }
}
