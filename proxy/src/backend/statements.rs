//! The statements that are prepared on one connection, under a budget over all connections to its server.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::endpoint::Endpoint;

/// A statement as it is prepared on a connection.
#[derive(Debug)]
pub struct BackendStatement {
    pub(super) text: Bytes,
    /// The server's number for it.
    pub id: u32,
    /// Whether it was executed here, so that types are bound to it: those that its key stands for.
    pub bound: bool,
    /// Whether a cursor is open on it: it must not be given up.
    pub has_cursor: bool,
    /// What the server said of it.
    pub description: Description,
    pub(super) used: u64,
}

/// What the server says of a statement that it has prepared: packets' payloads, to be passed on.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// Definitions of the parameters.
    pub params: Vec<Bytes>,
    /// Definitions of the result's columns.
    pub columns: Vec<Bytes>,
    /// Warnings of the preparation.
    pub warnings: u16,
}

/// A connection's statements by the hash of their text.
pub(super) struct Statements {
    pub(super) by_text: FxHashMap<u64, BackendStatement>,
    pub(super) clock: u64,
    endpoint: Arc<Endpoint>,
}

impl Statements {
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Statements {
        Statements { by_text: FxHashMap::default(), clock: 0, endpoint }
    }

    pub(super) fn len(&self) -> usize {
        self.by_text.len()
    }

    pub(super) fn least_used(&self) -> Option<u64> {
        self.by_text
            .iter()
            .filter(|(_, statement)| !statement.has_cursor)
            .min_by_key(|(_, statement)| statement.used)
            .map(|(key, _)| *key)
    }

    pub(super) fn forget(&mut self, key: u64) -> Option<BackendStatement> {
        let forgotten = self.by_text.remove(&key)?;
        self.endpoint.statements.fetch_sub(1, Relaxed);
        Some(forgotten)
    }
}

impl Statements {
    /// Forgets all: the server has.
    pub(super) fn clear(&mut self) {
        self.endpoint.statements.fetch_sub(self.by_text.len(), Relaxed);
        self.by_text.clear();
    }
}

impl Drop for Statements {
    fn drop(&mut self) {
        self.clear();
    }
}
