//! COM_STMT_EXECUTE: a prepared statement's id and the values of its parameters.
//!
//! The packet cannot be read alone: how many parameters there are, which types an earlier packet bound and which values came
//! by COM_STMT_SEND_LONG_DATA is the connection's memory, handed in. Next: `result_set`.

use std::borrow::Cow;

use bytes::BufMut;
use mysql_common::constants::CapabilityFlags;

use super::binary_value::BinaryValue;
use super::bind::{Binding, Bound, ParamType, put_bound};
use crate::codec::{Cursor, DecodeError, Decoded, put_lenenc_int};

/// In [`Execute::flags`]: the packet says how many values it carries.
const PARAMETER_COUNT_AVAILABLE: u8 = 0x08;

/// A statement's execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Execute<'a> {
    /// The statement.
    pub statement_id: u32,
    /// The cursor that is wanted (0: none), and [`CapabilityFlags::CLIENT_QUERY_ATTRIBUTES`]' own bit.
    pub flags: u8,
    /// Always 1.
    pub iterations: u32,
    /// Whether this packet binds types; if not, [`Self::types`] are the earlier ones.
    pub new_params_bound: bool,
    /// The types of all values. The first [`Self::params`] of them are what the next packet's `previous_types` must be.
    pub types: Cow<'a, [ParamType]>,
    /// All values, long data included; query attributes follow the parameters.
    pub values: Vec<BinaryValue<'a>>,
    /// How many of the values are parameters.
    pub params: usize,
}

impl<'a> Execute<'a> {
    /// Reads the bytes after the command byte.
    ///
    /// `param_count` is what PREPARE answered, `previous_types` what the last packet that bound types had (empty: none),
    /// `long_data` the bytes sent ahead for a parameter, which has no value in this packet then.
    pub fn decode(
        payload: &'a [u8],
        capabilities: CapabilityFlags,
        param_count: usize,
        previous_types: &'a [ParamType],
        long_data: &dyn Fn(usize) -> Option<&'a [u8]>,
    ) -> Decoded<Execute<'a>> {
        let mut cursor = Cursor::new(payload);
        let statement_id = cursor.u32le("statement id")?;
        let flags = cursor.u8("flags")?;
        let iterations = cursor.u32le("iterations")?;
        let named = capabilities.contains(CapabilityFlags::CLIENT_QUERY_ATTRIBUTES);
        let mut count = param_count;
        // MySQL's documentation makes the number depend on the flag alone; its server does not.
        if named && (param_count > 0 || flags & PARAMETER_COUNT_AVAILABLE != 0) {
            let sent = cursor.lenenc_int("number of parameters")?;
            count = usize::try_from(sent).map_err(|_| DecodeError::Truncated { field: "parameters" })?;
            if count < param_count {
                return Err(DecodeError::BadArguments);
            }
        }
        let mut bound = Bound::empty();
        if count > 0 {
            bound = Bound::read(&mut cursor, &Binding { count, named, previous_types, long_data })?;
        }
        let Bound { new_params_bound, types, values, .. } = bound;
        Ok(Execute { statement_id, flags, iterations, new_params_bound, types, values, params: param_count })
    }

    /// The query attributes: what follows the parameters.
    pub fn attributes(&self) -> impl Iterator<Item = (&[u8], &BinaryValue<'a>)> {
        let all = self.types.iter().map(|of| &of.name[..]).zip(&self.values);
        all.skip(self.params)
    }

    /// Writes the bytes after the command byte, for the statement that a connection with `capabilities` knows as
    /// `statement_id`. Types are always bound and long data travels in line, so the server needs no earlier packet.
    /// Attributes are left out where the connection has none.
    pub fn encode(&self, statement_id: u32, capabilities: CapabilityFlags, out: &mut Vec<u8>) {
        let named = capabilities.contains(CapabilityFlags::CLIENT_QUERY_ATTRIBUTES);
        let count = if named { self.values.len() } else { self.params.min(self.values.len()) };
        out.put_u32_le(statement_id);
        let flags = self.flags & !PARAMETER_COUNT_AVAILABLE;
        out.put_u8(if named && count > 0 { flags | PARAMETER_COUNT_AVAILABLE } else { flags });
        out.put_u32_le(self.iterations);
        if count == 0 {
            return;
        }
        if named {
            put_lenenc_int(out, count as u64);
        }
        put_bound(out, &self.types[..count.min(self.types.len())], &self.values[..count], named);
    }
}
