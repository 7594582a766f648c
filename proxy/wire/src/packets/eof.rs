//! EOF: ends columns and rows for clients that did not agree to do without it.
//!
//! The same first byte, 0xFE, also opens a row's huge cell and the OK packet that replaces EOF: the length tells them apart,
//! and [`crate::response`] does that.

use bytes::BufMut;
use mysql_common::constants::StatusFlags;

use crate::codec::{Cursor, DecodeError, Decoded};

/// The end of columns or rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EofPacket {
    /// Warnings of the statement.
    pub warnings: u16,
    /// The session's state, and whether more results follow.
    pub status: StatusFlags,
}

impl EofPacket {
    /// The packet's first byte.
    pub const HEADER: u8 = 0xFE;

    /// A packet with [`Self::HEADER`] is an EOF only when it is shorter than this.
    pub const MAX_LEN: usize = 9;

    /// Writes the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(Self::HEADER);
        out.put_u16_le(self.warnings);
        out.put_u16_le(self.status.bits());
    }

    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Decoded<EofPacket> {
        let mut cursor = Cursor::new(payload);
        let header = cursor.u8("header")?;
        if header != Self::HEADER {
            return Err(DecodeError::Unexpected { field: "header", value: header.into() });
        }
        let warnings = cursor.u16le("warnings")?;
        let status = StatusFlags::from_bits_retain(cursor.u16le("status")?);
        cursor.finish()?;
        Ok(EofPacket { warnings, status })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_captured_eof_is_read_and_written() {
        let status = StatusFlags::SERVER_STATUS_AUTOCOMMIT | StatusFlags::SERVER_STATUS_CURSOR_EXISTS;
        let eof = EofPacket { warnings: 1, status };
        assert_eq!(EofPacket::decode(b"\xFE\x01\0\x42\0"), Ok(eof));
        let mut out = Vec::new();
        eof.encode(&mut out);
        assert_eq!(out, b"\xFE\x01\0\x42\0");
    }

    #[test]
    fn what_is_shorter_longer_or_something_else_is_refused() {
        for bytes in [&b""[..], b"\xFE", b"\xFE\0\0\x02", b"\xFE\0\0\x02\0\0", b"\0\0\0\x02\0"] {
            assert!(EofPacket::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
