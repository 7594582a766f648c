//! What a session's LOCK TABLES has locked. Data only. Read next: [`super::locks`].

use podway_model::ServerId;
use podway_router::TableLocks;

/// A session's LOCK TABLES.
#[derive(Debug)]
pub(super) struct Locks {
    /// What it names.
    pub(super) list: TableLocks,
    /// What is held of it now.
    pub(super) state: Held,
}

/// What is held of it.
#[derive(Debug)]
pub(super) enum Held {
    /// The tables are locked on these servers.
    On(Vec<ServerId>),
    /// Nothing: rows are loaded.
    Loading,
}
