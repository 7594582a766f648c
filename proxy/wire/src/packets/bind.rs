//! The block of bound values that EXECUTE and, for query attributes, QUERY carry: which are NULL, their types, their bytes.
//!
//! Types are sent once and remembered by whoever reads the next packet; they are handed in. Next: `execute` and `query`.

use std::borrow::Cow;

use bytes::BufMut;
use mysql_common::constants::ColumnType;

use super::binary_value::{BinaryValue, is_string};
use crate::codec::{Cursor, DecodeError, Decoded, put_lenenc_bytes};

/// The type a client binds a parameter with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParamType {
    /// A [`crate::ColumnType`] by number.
    pub column_type: u8,
    /// Whether an integer is unsigned.
    pub unsigned: bool,
    /// The name; empty for the parameters of a statement, given for query attributes.
    pub name: Vec<u8>,
}

/// A block that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bound<'a> {
    pub(crate) new_params_bound: bool,
    pub(crate) types: Cow<'a, [ParamType]>,
    pub(crate) values: Vec<BinaryValue<'a>>,
}

/// What reading a block needs to know besides its bytes.
pub(crate) struct Binding<'a, 'f> {
    pub(crate) count: usize,
    pub(crate) named: bool,
    pub(crate) previous_types: &'a [ParamType],
    pub(crate) long_data: &'f dyn Fn(usize) -> Option<&'a [u8]>,
}

/// The most values in one packet: as many parameters as a statement may have, and as many attributes. It keeps a small packet
/// that announces a huge number from costing memory.
const MAX_VALUES: usize = 2 * u16::MAX as usize;

impl<'a> Bound<'a> {
    /// A block of no values.
    pub(crate) fn empty() -> Self {
        Bound { new_params_bound: false, types: Cow::Borrowed(&[]), values: Vec::new() }
    }

    pub(crate) fn read(cursor: &mut Cursor<'a>, binding: &Binding<'a, '_>) -> Decoded<Bound<'a>> {
        if binding.count > MAX_VALUES {
            return Err(DecodeError::BadArguments);
        }
        let null_bitmap = cursor.bytes(binding.count.div_ceil(8), "NULL bitmap")?;
        let new_params_bound = cursor.u8("new-types flag")? != 0;
        let types = match (new_params_bound, binding.previous_types.get(..binding.count)) {
            (true, _) => Cow::Owned(read_types(cursor, binding)?),
            (false, Some(previous)) => Cow::Borrowed(previous),
            // A client that has nothing but NULLs to send need not say of what type they are.
            (false, None) if (0..binding.count).all(|index| is_null(null_bitmap, index)) => {
                let null =
                    ParamType { column_type: ColumnType::MYSQL_TYPE_NULL as u8, ..ParamType::default() };
                Cow::Owned(vec![null; binding.count])
            }
            (false, None) => return Err(DecodeError::BadArguments),
        };
        let mut values = Vec::with_capacity(types.len());
        for (index, of) in types.iter().enumerate() {
            values.push(if let Some(data) = (binding.long_data)(index) {
                BinaryValue::Bytes(data)
            } else if is_null(null_bitmap, index) {
                BinaryValue::Null
            } else {
                BinaryValue::read(cursor, of.column_type, of.unsigned)?
            });
        }
        Ok(Bound { new_params_bound, types, values })
    }
}

/// Writes a block with its types, so that the reader needs no memory of an earlier one.
pub(crate) fn put_bound(out: &mut Vec<u8>, types: &[ParamType], values: &[BinaryValue<'_>], named: bool) {
    let bitmap = out.len();
    out.put_bytes(0, values.len().div_ceil(8));
    for (index, value) in values.iter().enumerate() {
        if matches!(value, BinaryValue::Null) {
            out[bitmap + index / 8] |= 1 << (index % 8);
        }
    }
    out.put_u8(1);
    for (of, value) in types.iter().zip(values) {
        out.put_u8(sent_type(of, value));
        out.put_u8(if of.unsigned { UNSIGNED } else { 0 });
        if named {
            put_lenenc_bytes(out, &of.name);
        }
    }
    for (of, value) in types.iter().zip(values) {
        value.write(sent_type(of, value), out);
    }
}

/// Bytes that came as long data can only be sent in line as a string, whatever type they were bound with.
fn sent_type(of: &ParamType, value: &BinaryValue<'_>) -> u8 {
    match value {
        BinaryValue::Bytes(_) if !is_string(of.column_type) => LONG_BLOB,
        _ => of.column_type,
    }
}

fn read_types(cursor: &mut Cursor<'_>, binding: &Binding<'_, '_>) -> Decoded<Vec<ParamType>> {
    let mut types = Vec::new();
    // Two bytes a type at least: a count that the packet cannot hold reserves nothing.
    types.reserve_exact(binding.count.min(cursor.remaining() / 2));
    for _ in 0..binding.count {
        let [column_type, flags] = cursor.array("parameter type")?;
        let name = match binding.named {
            true => cursor.lenenc_bytes("parameter name")?.to_vec(),
            false => Vec::new(),
        };
        types.push(ParamType { column_type, unsigned: flags & UNSIGNED != 0, name });
    }
    Ok(types)
}

fn is_null(bitmap: &[u8], index: usize) -> bool {
    bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

const UNSIGNED: u8 = 0x80;
const LONG_BLOB: u8 = 251;
