//! The rows of a query that are not for the client: they are held, up to a bound.

use bytes::Bytes;
use podway_wire::ColumnDefinition;

use super::state::Warning;
use crate::backend::BackendConnection;
use crate::error::{ClientError, ErrorCode, ProxyError};

/// Statements above may be larger than a server takes: it is asked.
const LARGE: usize = 3 << 20;

/// The rows of a query, as they are kept.
#[derive(Default)]
pub(super) struct Captured {
    pub(super) columns: Vec<ColumnDefinition>,
    pub(super) rows: Vec<Bytes>,
    /// What the query warned of.
    pub(super) warnings: Vec<Warning>,
    /// What reading its tables' rows warned of, where it was finished in MySQL.
    pub(super) of_parts: Vec<Warning>,
    /// Whether it has warned of something else that is not known.
    pub(super) warned_unheard: bool,
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
        self.warnings.clear();
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
        Err(out_of_room(what))
    }
}

/// A query over more rows than may be held.
pub(super) fn out_of_room(bound: &str) -> ProxyError {
    let message = format!(
        "The query has more rows than {bound} allows to be inserted at once: insert them in parts, or raise the bound"
    );
    ClientError::new(ErrorCode::OUT_OF_ROOM, message).into()
}

/// Refuses a statement that the server would end the connection for.
pub(super) async fn check_fits(connection: &mut BackendConnection, bytes: usize) -> Result<(), ProxyError> {
    if bytes < LARGE {
        return Ok(());
    }
    let rows = connection.rows(b"SELECT @@max_allowed_packet LIMIT 1").await?;
    let limit: Option<usize> = rows.text(0).and_then(|text| text.parse().ok());
    match limit.is_some_and(|limit| bytes < limit) {
        true => Ok(()),
        false => {
            let message =
                "Got a packet bigger than 'max_allowed_packet' bytes: rows over several shards, as text";
            Err(ClientError::new(ErrorCode::PACKET_TOO_LARGE, message).into())
        }
    }
}
