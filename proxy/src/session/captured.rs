//! The rows of a query that are not for the client: they are held, up to a bound.

use bytes::Bytes;
use podway_model::Name;
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
    /// SELECT … INTO: its row is assigned to variables.
    pub(super) into: Option<Assigning>,
    bytes: usize,
    /// The bounds of both.
    limits: (usize, usize),
}

/// A query whose row is assigned to variables.
pub(super) struct Assigning {
    /// `INTO @a, @b`, as the client wrote it.
    pub(super) text: Vec<u8>,
    /// The variables.
    pub(super) variables: Vec<Name>,
    /// Whether the shards' own rows say all that they are to hold.
    pub(super) may_merge: bool,
    /// How many rows MySQL has assigned itself; `None`: it has not been asked.
    pub(super) rows: Option<u64>,
}

impl Captured {
    /// None yet, and at most so many rows and bytes.
    pub(super) fn within(limits: (usize, usize)) -> Captured {
        Captured { limits, ..Captured::default() }
    }

    /// The same of a query that has one row at most, for variables.
    pub(super) fn of_one_row(into: Assigning, max_bytes: usize) -> Captured {
        Captured { into: Some(into), limits: (1, max_bytes), ..Captured::default() }
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
            (true, _) if self.into.is_some() => {
                let message = "Result consisted of more than one row";
                return Err(ClientError::new(ErrorCode::TOO_MANY_ROWS, message).into());
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
