//! Whole result sets, for the statements that are answered without a server.
//!
//! Results of servers are passed on as bytes and never come through here.

use bytes::BytesMut;
use mysql_common::constants::{CapabilityFlags, StatusFlags};

use super::column::ColumnDefinition;
use super::eof::EofPacket;
use super::ok::OkPacket;
use super::row::{Cell, encode_binary_row, encode_text_cells};
use crate::codec::put_lenenc_int;
use crate::frame::write_packet;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFormat {
    /// As COM_QUERY's answer has them.
    Text,
    /// As COM_STMT_EXECUTE's answer has them.
    Binary,
}

/// A result with rows.
#[derive(Debug, Clone, Copy)]
pub struct ResultSet<'a> {
    /// The columns; at least one.
    pub columns: &'a [ColumnDefinition],
    /// The rows; each as long as `columns`.
    pub rows: &'a [Vec<Cell<'a>>],
    /// The session's state, and whether more results follow.
    pub status: StatusFlags,
    /// Warnings of the statement.
    pub warnings: u16,
}

impl ResultSet<'_> {
    /// Appends all packets, for a client that logged in with `capabilities`.
    pub fn write(&self, out: &mut BytesMut, seq: &mut u8, capabilities: CapabilityFlags, format: RowFormat) {
        let mut packet = Vec::new();
        put_lenenc_int(&mut packet, self.columns.len() as u64);
        write_packet(out, seq, &packet);
        for column in self.columns {
            packet.clear();
            column.encode(&mut packet);
            write_packet(out, seq, &packet);
        }
        if !capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF) {
            packet.clear();
            EofPacket { warnings: self.warnings, status: self.status }.encode(&mut packet);
            write_packet(out, seq, &packet);
        }
        for row in self.rows {
            packet.clear();
            match format {
                RowFormat::Text => encode_text_cells(row, &mut packet),
                RowFormat::Binary => encode_binary_row(self.columns, row, &mut packet),
            }
            write_packet(out, seq, &packet);
        }
        packet.clear();
        encode_end(capabilities, self.status, self.warnings, &mut packet);
        write_packet(out, seq, &packet);
    }
}

/// Writes the payload that ends rows: EOF, or the OK that replaces it.
pub fn encode_end(capabilities: CapabilityFlags, status: StatusFlags, warnings: u16, out: &mut Vec<u8>) {
    match capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF) {
        true => OkPacket { header: OkPacket::END_HEADER, status, warnings, ..OkPacket::default() }
            .encode(capabilities, out),
        false => EofPacket { warnings, status }.encode(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_written_as_mysql_writes_it() {
        let columns = [ColumnDefinition::uint("1")];
        let rows = [vec![Cell::from(1u64)]];
        let status = StatusFlags::SERVER_STATUS_AUTOCOMMIT;
        let result = ResultSet { columns: &columns, rows: &rows, status, warnings: 0 };
        let (mut out, mut seq) = (BytesMut::new(), 1);
        result.write(&mut out, &mut seq, CapabilityFlags::empty(), RowFormat::Text);
        let expected = [
            &b"\x01\0\0\x01\x01"[..],
            b"\x17\0\0\x02\x03def\0\0\0\x011\0\x0C\x3F\0\x15\0\0\0\x08\xA0\0\0\0\0",
            b"\x05\0\0\x03\xFE\0\0\x02\0",
            b"\x02\0\0\x04\x011",
            b"\x05\0\0\x05\xFE\0\0\x02\0",
        ];
        assert_eq!(out, expected.concat());
        assert_eq!(seq, 6);
    }
}
