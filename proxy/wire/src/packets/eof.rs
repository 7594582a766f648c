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
