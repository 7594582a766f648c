//! Follows a server's answer through its raw bytes, to know where it ends and what became of the statement.
//!
//! This is the hot path: a row costs one look at its header and is never copied, joined or decoded. What the bytes are sent
//! on to, and whether they are changed on the way, is the caller's. `answer` has the words, `phase` says what may come next,
//! `tracker` walks; `infile` follows a client's file.

mod answer;
mod infile;
mod phase;
mod tracker;

pub use answer::{
    Event, MAX_COLUMNS, MAX_METADATA, MAX_SESSION_TRACK, PacketEvent, PacketRole, Progress, ProtocolError,
    ResponseKind, Summary,
};
pub use infile::InfileRelay;
pub use tracker::ResponseTracker;

#[cfg(test)]
mod our_answers;
#[cfg(test)]
mod tests;
