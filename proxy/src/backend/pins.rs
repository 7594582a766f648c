//! What keeps a connection with its session: what cannot be carried to another one, open cursors, and locks on tables. Only notes it.

use super::connection::BackendConnection;

impl BackendConnection {
    /// Says that something is on this connection that cannot be carried to another: it stays its session's, and is closed with it.
    pub fn pin(&mut self) {
        self.pinned = true;
    }

    /// Whether it stays its session's.
    pub fn is_pinned(&self) -> bool {
        self.locks || self.is_pinned_otherwise()
    }

    /// Whether it does for something else than locks that it was told of.
    pub fn is_pinned_otherwise(&self) -> bool {
        self.pinned || self.cursors > 0
    }

    /// Says whether LOCK TABLES holds something here: while it does, the connection stays its session's.
    pub fn hold_locks(&mut self, holds: bool) {
        self.locks = holds;
    }

    /// Whether LOCK TABLES holds something here, as it was told.
    pub fn holds_locks(&self) -> bool {
        self.locks
    }

    /// Says that a cursor is open here, which stays on its connection.
    pub fn hold_cursor(&mut self) {
        self.cursors += 1;
    }

    /// Says that the cursor of this statement is closed.
    pub fn release_cursor(&mut self, statement: u32) {
        self.cursors = self.cursors.saturating_sub(1);
        self.statements
            .by_text
            .values_mut()
            .filter(|known| known.id == statement)
            .for_each(|known| known.has_cursor = false);
    }
}
