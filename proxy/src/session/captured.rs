//! The rows of a query that are not for the client: they are held, up to a bound.

use bytes::Bytes;
use podway_wire::ColumnDefinition;

use crate::error::{ClientError, ErrorCode, ProxyError};

/// The rows of a query, as they are kept.
#[derive(Default)]
pub(super) struct Captured {
    pub(super) columns: Vec<ColumnDefinition>,
    pub(super) rows: Vec<Bytes>,
    bytes: usize,
    /// The bounds of both.
    limits: (usize, usize),
}

impl Captured {
    /// None yet, and at most so many rows and bytes.
    pub(super) fn within(limits: (usize, usize)) -> Captured {
        Captured { limits, ..Captured::default() }
    }

    pub(super) fn begin(&mut self, columns: &[ColumnDefinition]) {
        self.columns = columns.to_vec();
        self.rows.clear();
        self.bytes = 0;
    }

    pub(super) fn take(&mut self, row: &[u8]) -> Result<(), ProxyError> {
        self.bytes += row.len();
        let (max_rows, max_bytes) = self.limits;
        let what = match (self.rows.len() >= max_rows, self.bytes > max_bytes) {
            (false, false) => {
                self.rows.push(Bytes::copy_from_slice(row));
                return Ok(());
            }
            (true, _) => "client.max_gathered_rows",
            (false, true) => "client.max_gathered_bytes",
        };
        let message = format!(
            "The query has more rows than {what} allows to be inserted at once: insert them in parts, or raise the bound"
        );
        Err(ClientError::new(ErrorCode::OUT_OF_ROOM, message).into())
    }
}
