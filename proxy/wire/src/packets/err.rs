//! ERR: what went wrong, as number, SQLSTATE and text.
//!
//! It does not know which errors exist; those who raise them do.

use bytes::BufMut;
use mysql_common::constants::CapabilityFlags;

use crate::codec::{Cursor, DecodeError, Decoded};

/// An error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrPacket {
    /// MySQL's error number.
    pub code: u16,
    /// The SQLSTATE; `HY000` where the packet has none.
    pub state: [u8; 5],
    /// The text, in the connection's character set.
    pub message: Vec<u8>,
}

impl ErrPacket {
    /// The packet's first byte.
    pub const HEADER: u8 = 0xFF;

    /// An error with all its parts.
    pub fn new(code: u16, state: [u8; 5], message: impl Into<Vec<u8>>) -> Self {
        ErrPacket { code, state, message: message.into() }
    }

    /// Writes the payload. Before the login no capability is known, and the SQLSTATE stays out.
    pub fn encode(&self, capabilities: CapabilityFlags, out: &mut Vec<u8>) {
        out.put_u8(Self::HEADER);
        out.put_u16_le(self.code);
        if capabilities.contains(CapabilityFlags::CLIENT_PROTOCOL_41) {
            out.put_u8(b'#');
            out.put_slice(&self.state);
        }
        out.put_slice(&self.message);
    }

    /// Reads the payload, with a SQLSTATE or without.
    pub fn decode(payload: &[u8]) -> Decoded<ErrPacket> {
        let (code, state, message) = Self::parts(payload)?;
        Ok(ErrPacket { code, state, message: message.to_vec() })
    }

    /// The number and SQLSTATE of a payload, without copying its text.
    pub(crate) fn parts(payload: &[u8]) -> Decoded<(u16, [u8; 5], &[u8])> {
        let mut cursor = Cursor::new(payload);
        let header = cursor.u8("header")?;
        if header != Self::HEADER {
            return Err(DecodeError::Unexpected { field: "header", value: header.into() });
        }
        let code = cursor.u16le("error number")?;
        let mut state = *b"HY000";
        if cursor.peek() == Some(b'#') && cursor.remaining() > state.len() {
            cursor.u8("SQLSTATE")?;
            state = cursor.array("SQLSTATE")?;
        }
        Ok((code, state, cursor.rest()))
    }
}
