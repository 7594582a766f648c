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

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURED: &[u8] = b"\xFF\x1E\x04#42S22Unknown column 'x' in 'field list'";

    #[test]
    fn a_captured_error_is_read_and_written() {
        let error = ErrPacket::new(1054, *b"42S22", "Unknown column 'x' in 'field list'");
        assert_eq!(ErrPacket::decode(CAPTURED), Ok(error.clone()));
        let mut out = Vec::new();
        error.encode(CapabilityFlags::CLIENT_PROTOCOL_41, &mut out);
        assert_eq!(out, CAPTURED);
    }

    #[test]
    fn before_the_login_there_is_no_sqlstate() {
        let mut out = Vec::new();
        ErrPacket::new(1040, *b"08004", "Too many connections").encode(CapabilityFlags::empty(), &mut out);
        assert_eq!(out, b"\xFF\x10\x04Too many connections");
        assert_eq!(ErrPacket::decode(&out).unwrap().state, *b"HY000");
    }

    #[test]
    fn odd_errors_are_still_errors() {
        let cases: [(&[u8], &[u8]); 3] =
            [(b"\xFF\x01\0", b""), (b"\xFF\x01\0#42", b"#42"), (b"\xFF\x01\0#42S22", b"")];
        for (bytes, message) in cases {
            assert_eq!(ErrPacket::decode(bytes).unwrap().message, message, "{bytes:?}");
        }
        for bytes in [&b""[..], b"\xFF", b"\xFF\x01", b"\0\0\0\x02\0\0\0"] {
            assert!(ErrPacket::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
