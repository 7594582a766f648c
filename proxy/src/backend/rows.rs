//! A small result, read whole: what the proxy asks a server for itself.

use podway_wire::{
    CapabilityFlags, ColumnDefinition, ColumnFlags, ColumnType, ErrPacket, PacketEvent, PacketRole,
    ResponseKind, ResponseTracker, decode_text_row,
};

/// Why an answer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// Its packets are out of order.
    #[error(transparent)]
    Protocol(#[from] podway_wire::ProtocolError),
    /// A packet is malformed.
    #[error(transparent)]
    Decode(#[from] podway_wire::DecodeError),
}

/// A row's cells.
type Row = Vec<Option<Vec<u8>>>;

/// A small text result.
#[derive(Debug, Default, PartialEq)]
pub struct Rows {
    columns: Vec<ColumnDefinition>,
    rows: Vec<Row>,
}

impl Rows {
    /// Reads a whole answer to COM_QUERY, headers included; the inner error is the server's.
    pub fn decode(
        answer: &[u8],
        capabilities: CapabilityFlags,
    ) -> Result<Result<Rows, ErrPacket>, RowsError> {
        let mut tracker = ResponseTracker::new(
            ResponseKind::Query,
            capabilities,
            podway_wire::Header::read(answer).map_or(1, |header| header.seq),
        );
        let mut rest = answer;
        let mut rows = Rows::default();
        while let Some(PacketEvent { total, role, last }) = tracker.next_packet(rest)? {
            let body = &rest[podway_wire::HEADER..total];
            match role {
                PacketRole::Err => return Ok(Err(ErrPacket::decode(body)?)),
                PacketRole::ColumnDefinition => rows.columns.push(ColumnDefinition::decode(body)?),
                PacketRole::Row => {
                    let row: Result<Row, _> =
                        decode_text_row(body).map(|cell| cell.map(|cell| cell.map(<[u8]>::to_vec))).collect();
                    rows.rows.push(row?);
                }
                _ => {}
            }
            rest = &rest[total..];
            if last {
                break;
            }
        }
        Ok(Ok(rows))
    }

    /// The rows.
    pub fn iter(&self) -> impl Iterator<Item = &[Option<Vec<u8>>]> {
        self.rows.iter().map(Vec::as_slice)
    }

    /// The first row's cells; none where there is no row.
    pub fn first(&self) -> &[Option<Vec<u8>>] {
        self.rows.first().map_or(&[], Vec::as_slice)
    }

    /// The first row's cell at this place as text; `None` where it is NULL or not there.
    pub fn text(&self, column: usize) -> Option<String> {
        let cell = self.first().get(column)?.as_ref()?;
        Some(String::from_utf8_lossy(cell).into_owned())
    }

    /// The heading of the column at this place.
    pub fn column_name(&self, column: usize) -> Option<&[u8]> {
        self.columns.get(column).map(|definition| definition.name.as_slice())
    }

    /// The type of the column at this place.
    pub fn column_type(&self, column: usize) -> Option<ColumnType> {
        self.columns.get(column).map(|definition| definition.column_type)
    }

    /// Whether a column's numbers are without a sign.
    pub fn is_unsigned(&self, column: usize) -> bool {
        self.columns
            .get(column)
            .is_some_and(|definition| definition.flags.contains(ColumnFlags::UNSIGNED_FLAG))
    }
}
