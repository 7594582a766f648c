//! The answer to COM_STMT_PREPARE: the statement's id and how many parameters and columns are described after it.
//!
//! The id is the server's own; whoever stands between gives the client another. Next: `execute`.

use bytes::{BufMut, BytesMut};
use mysql_common::constants::{CapabilityFlags, StatusFlags};

use super::column::ColumnDefinition;
use super::eof::EofPacket;
use crate::codec::{Cursor, DecodeError, Decoded};
use crate::frame::write_packet;

/// A statement was prepared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrepareOk {
    /// What EXECUTE names it by.
    pub statement_id: u32,
    /// Columns of its result; 0 when it has none, or none that is known yet.
    pub columns: u16,
    /// Its parameters.
    pub params: u16,
    /// Warnings of preparing it.
    pub warnings: u16,
}

impl PrepareOk {
    /// Writes the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(0);
        out.put_u32_le(self.statement_id);
        out.put_u16_le(self.columns);
        out.put_u16_le(self.params);
        out.put_u8(0);
        out.put_u16_le(self.warnings);
    }

    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Decoded<PrepareOk> {
        let mut cursor = Cursor::new(payload);
        let header = cursor.u8("header")?;
        if header != 0 {
            return Err(DecodeError::Unexpected { field: "header", value: header.into() });
        }
        let statement_id = cursor.u32le("statement id")?;
        let columns = cursor.u16le("number of columns")?;
        let params = cursor.u16le("number of parameters")?;
        let mut warnings = 0;
        // Both came with later servers than the packet itself.
        if !cursor.is_empty() {
            cursor.u8("filler")?;
        }
        if !cursor.is_empty() {
            warnings = cursor.u16le("warnings")?;
        }
        Ok(PrepareOk { statement_id, columns, params, warnings })
    }
}

/// A whole answer to COM_STMT_PREPARE.
#[derive(Debug, Clone, Copy)]
pub struct PrepareAnswer<'a> {
    /// What the client is to name the statement by.
    pub statement_id: u32,
    /// Its parameters.
    pub params: &'a [ColumnDefinition],
    /// Its result's columns.
    pub columns: &'a [ColumnDefinition],
    /// Warnings of preparing it.
    pub warnings: u16,
    /// The session's state.
    pub status: StatusFlags,
}

impl PrepareAnswer<'_> {
    /// Appends the packets for a client that logged in with `capabilities`.
    pub fn write(&self, out: &mut BytesMut, seq: &mut u8, capabilities: CapabilityFlags) {
        let ok = PrepareOk {
            statement_id: self.statement_id,
            columns: self.columns.len() as u16,
            params: self.params.len() as u16,
            warnings: self.warnings,
        };
        let mut packet = Vec::new();
        ok.encode(&mut packet);
        write_packet(out, seq, &packet);
        for definitions in [self.params, self.columns] {
            for definition in definitions {
                packet.clear();
                definition.encode(&mut packet);
                write_packet(out, seq, &packet);
            }
            if !definitions.is_empty() && !capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF) {
                packet.clear();
                EofPacket { warnings: 0, status: self.status }.encode(&mut packet);
                write_packet(out, seq, &packet);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_captured_answer_is_read_and_written() {
        let prepared = PrepareOk { statement_id: 1, columns: 2, params: 1, warnings: 0 };
        let bytes = b"\0\x01\0\0\0\x02\0\x01\0\0\0\0";
        assert_eq!(PrepareOk::decode(bytes), Ok(prepared));
        let mut out = Vec::new();
        prepared.encode(&mut out);
        assert_eq!(out, bytes);
        assert_eq!(PrepareOk::decode(&bytes[..9]), Ok(prepared));
        assert!(PrepareOk::decode(&bytes[..8]).is_err());
        assert!(PrepareOk::decode(b"\xFF").is_err());
    }
}
