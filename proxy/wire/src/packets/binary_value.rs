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
