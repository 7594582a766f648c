//! The words for what a tracker finds: events, roles, the outcome, and what can be wrong.
//!
//! Values only. Next: `phase`, then `tracker`.

use mysql_common::constants::StatusFlags;
use thiserror::Error;

use crate::codec::DecodeError;
use crate::packets::prepare::PrepareOk;

/// The largest packet that is not a row: anything larger is no answer that we understand.
pub const MAX_METADATA: usize = 4 << 20;

/// The most columns that a result may have; MySQL's own limit is 4096.
pub const MAX_COLUMNS: u64 = u16::MAX as u64;

/// The most session state that one answer may report; what exceeds it is dropped, and [`Summary`] says so.
pub const MAX_SESSION_TRACK: usize = 1 << 20;

/// Which command an answer is to: it decides what the bytes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseKind {
    /// COM_QUERY: any number of results.
    Query,
    /// A command that is answered with one OK, EOF or ERR: PING, INIT_DB, RESET_CONNECTION, SET_OPTION, STMT_RESET, DEBUG …
    Simple,
    /// COM_STMT_PREPARE.
    Prepare,
    /// COM_STMT_EXECUTE: as a query, with binary rows, and possibly a cursor instead of rows.
    Execute,
    /// COM_STMT_FETCH: rows, without their columns.
    Fetch,
    /// COM_FIELD_LIST: columns, without their number.
    FieldList,
    /// COM_STATISTICS: one packet of text.
    Statistics,
}

/// How far [`crate::ResponseTracker::feed`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The bytes at the buffer's start that belong to the answer and are done with.
    pub consumed: usize,
    /// Why it stopped.
    pub event: Event,
}

/// Why [`crate::ResponseTracker::feed`] stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The answer goes on; what was not consumed is needed again, with more behind it.
    More,
    /// The last packet consumed asks the client for a file. After the file, [`crate::ResponseTracker::resume_after_infile`].
    LocalInfile,
    /// The answer is complete.
    Done,
}

/// A packet that [`crate::ResponseTracker::next_packet`] passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketEvent {
    /// Its length at the buffer's start, header included.
    pub total: usize,
    /// What it is.
    pub role: PacketRole,
    /// Whether it ends the answer.
    pub last: bool,
}

/// What a packet is in its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PacketRole {
    /// A result without rows.
    Ok,
    /// The error that ends the answer.
    Err,
    /// The number of columns that follow.
    ColumnCount,
    /// A column of a result, or of a prepared statement's.
    ColumnDefinition,
    /// The EOF after columns or parameters, for clients that did not agree to do without.
    MidEof,
    /// A row, or its first 16 MiB.
    Row,
    /// What follows a row's first 16 MiB.
    RowContinuation,
    /// The end of rows: EOF, or the OK that replaces it.
    End,
    /// The server asks for a file.
    LocalInfile,
    /// The statement's id and its numbers of parameters and columns.
    PrepareOk,
    /// A parameter of a prepared statement.
    ParamDefinition,
    /// A server's line about itself.
    Statistics,
}

/// What became of the statement. Valid once the answer is complete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The session's state after the last result. Errors, prepared statements and statistics report none.
    pub status: StatusFlags,
    /// Whether any result has reported `status`; without, it says nothing.
    pub has_status: bool,
    /// Of the last result; 0 when that has rows.
    pub affected_rows: u64,
    /// Of the last result; 0 when that has rows.
    pub last_insert_id: u64,
    /// Of the last result.
    pub warnings: u16,
    /// Rows of the last result that has rows.
    pub rows: u64,
    /// Whether any result has rows.
    pub result_sets: bool,
    /// Whether the last result is one with rows: ROW_COUNT() is -1 then.
    pub ends_in_rows: bool,
    /// The error that ended the answer.
    pub error: Option<(u16, [u8; 5])>,
    /// The bytes of its packet, which is the answer's last, header included.
    pub error_bytes: usize,
    /// The statement that was prepared.
    pub prepared: Option<PrepareOk>,
    /// All session state that the answer reported: [`crate::SessionTrack`] entries.
    pub session_track: Vec<u8>,
    /// Whether the answer reported more than [`MAX_SESSION_TRACK`]: what the session holds is then unknown.
    pub session_track_lost: bool,
    /// The sequence number that a packet after the answer would have.
    pub next_seq: u8,
}

/// The bytes are no answer to the command. The connection's state is unknown: it must be closed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// A packet is out of turn.
    #[error("the server sent a packet with the sequence number {found} where {expected} was due")]
    WrongSequence {
        /// The number that was due.
        expected: u8,
        /// The number in the packet.
        found: u8,
    },
    /// A packet that cannot stand where it does.
    #[error(
        "the server sent a packet that cannot stand in {place}: {len} bytes, the first of them {first:?}"
    )]
    UnexpectedPacket {
        /// What was due.
        place: &'static str,
        /// The packet's length.
        len: usize,
        /// The packet's first byte.
        first: Option<u8>,
    },
    /// A packet that is not a row is larger than [`MAX_METADATA`].
    #[error("the server sent {len} bytes or more of something that is not a row")]
    OversizeMetadata {
        /// The packet's length.
        len: usize,
    },
    /// A packet cannot be read.
    #[error("the server sent a packet that cannot be read: {0}")]
    Malformed(#[from] DecodeError),
    /// The caller went on after the answer asked for a file, or stepped into the middle of a row. A bug of ours.
    #[error("the answer was followed out of order")]
    OutOfOrder,
}
