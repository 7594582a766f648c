//! Where in an answer we are, and which packets may stand there.
//!
//! Pure: from a packet's length and first byte to its role. What the packet then changes is [`super::tracker`]'s.

use super::answer::{MAX_METADATA, PacketRole, ProtocolError, ResponseKind};
use crate::frame::MAX_PAYLOAD;
use crate::packets::eof::EofPacket;
use crate::packets::err::ErrPacket;

/// A place in an answer: what is due next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// A result's first packet.
    First,
    /// The client's file, which the tracker does not see.
    Infile,
    /// A result's columns.
    Columns { left: u64 },
    /// The EOF after a result's columns.
    ColumnsEof,
    /// Rows, or their end.
    Rows,
    /// A table's columns without their number, or their end.
    Fields,
    /// The rest of a row of more than 16 MiB.
    RowRest,
    /// The only packet.
    Single,
    /// The only packet, without a format.
    Text,
    /// The statement's id.
    PrepareFirst,
    /// A statement's parameters; its columns after them.
    Params { left: u16, columns: u16 },
    /// The EOF after a statement's parameters.
    ParamsEof { columns: u16 },
    /// A statement's columns.
    PrepareColumns { left: u16 },
    /// The EOF after a statement's columns.
    PrepareColumnsEof,
    /// Nothing.
    Done,
}

impl Phase {
    pub(super) fn first_of(kind: ResponseKind) -> Phase {
        match kind {
            ResponseKind::Query | ResponseKind::Execute => Phase::First,
            ResponseKind::Simple => Phase::Single,
            ResponseKind::Prepare => Phase::PrepareFirst,
            ResponseKind::Fetch => Phase::Rows,
            ResponseKind::FieldList => Phase::Fields,
            ResponseKind::Statistics => Phase::Text,
        }
    }

    /// What a packet of `len` bytes that starts with `first` is here. `deprecates_eof`: rows end with an OK.
    pub(super) fn role(
        self,
        len: usize,
        first: Option<u8>,
        deprecates_eof: bool,
    ) -> Result<PacketRole, ProtocolError> {
        const OK: Option<u8> = Some(0x00);
        const INFILE: Option<u8> = Some(0xFB);
        const END: Option<u8> = Some(EofPacket::HEADER);
        const ERR: Option<u8> = Some(ErrPacket::HEADER);
        let is_eof = first == END && len < EofPacket::MAX_LEN;
        let role = match (self, first) {
            (Phase::RowRest, _) => return Ok(PacketRole::RowContinuation),
            (Phase::Infile | Phase::Done, _) => return Err(ProtocolError::OutOfOrder),
            (Phase::Text, Some(byte)) if byte != ErrPacket::HEADER => PacketRole::Statistics,
            (_, ERR) => PacketRole::Err,
            // A first cell of 16 MiB or more also starts with 0xFE, but such a row is longer than any end of rows.
            (Phase::Rows | Phase::Fields, END) if is_eof || (deprecates_eof && len < MAX_PAYLOAD) => {
                PacketRole::End
            }
            (Phase::Rows, Some(_)) => return Ok(PacketRole::Row),
            (Phase::First | Phase::Single, OK) => PacketRole::Ok,
            (Phase::Single, END) => PacketRole::End,
            (Phase::First, INFILE) => PacketRole::LocalInfile,
            (Phase::First, Some(byte)) if byte != EofPacket::HEADER => PacketRole::ColumnCount,
            (Phase::PrepareFirst, OK) => PacketRole::PrepareOk,
            (Phase::Columns { .. } | Phase::PrepareColumns { .. } | Phase::Fields, Some(_)) => {
                PacketRole::ColumnDefinition
            }
            (Phase::Params { .. }, Some(_)) => PacketRole::ParamDefinition,
            (Phase::ColumnsEof | Phase::ParamsEof { .. } | Phase::PrepareColumnsEof, END) if is_eof => {
                PacketRole::MidEof
            }
            _ => return Err(ProtocolError::UnexpectedPacket { place: self.place(), len, first }),
        };
        match len > MAX_METADATA {
            true => Err(ProtocolError::OversizeMetadata { len }),
            false => Ok(role),
        }
    }

    fn place(self) -> &'static str {
        match self {
            Phase::First => "the start of a result",
            Phase::Columns { .. } | Phase::PrepareColumns { .. } | Phase::Fields => "a result's columns",
            Phase::ColumnsEof | Phase::PrepareColumnsEof => "the end of a result's columns",
            Phase::Rows | Phase::RowRest => "a result's rows",
            Phase::Single | Phase::Text | Phase::PrepareFirst => "the answer's start",
            Phase::Params { .. } | Phase::ParamsEof { .. } => "a statement's parameters",
            Phase::Infile | Phase::Done => "a finished answer",
        }
    }
}

impl PacketRole {
    /// Whether the packet's body says nothing that the tracker needs: it may pass in pieces.
    pub(super) fn may_pass_unread(self) -> bool {
        matches!(
            self,
            PacketRole::Row
                | PacketRole::RowContinuation
                | PacketRole::ColumnDefinition
                | PacketRole::ParamDefinition
                | PacketRole::Statistics
        )
    }
}
