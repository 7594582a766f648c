//! Tellers: each moves money from one account to another, again and again, and counts what it was told of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder};
use tokio::time::sleep;

/// The pause before a teller that cannot log in tries again.
const AGAIN: Duration = Duration::from_millis(100);
/// Refusals of a COMMIT after which nothing of the transaction is there: ER_ERROR_DURING_COMMIT, ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK.
const UNDONE: [u16; 3] = [1180, 1205, 1213];
/// The most that is moved at once.
const MOST: i64 = 50;

/// What tellers were told so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Transfers that were acknowledged.
    pub(super) committed: u64,
    /// Transfers that were rolled back.
    pub(super) undone: u64,
    /// Transfers of which nobody has told whether they were committed.
    pub(super) unknown: u64,
}

/// What all tellers share.
#[derive(Debug, Default)]
pub(super) struct Counters {
    committed: AtomicU64,
    undone: AtomicU64,
    unknown: AtomicU64,
    is_closed: AtomicBool,
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Committed,
    Undone,
    Unknown,
}

impl Counters {
    /// No teller begins a transfer any more.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// What tellers were told so far.
    pub(super) fn read(&self) -> Told {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Told { committed: read(&self.committed), undone: read(&self.undone), unknown: read(&self.unknown) }
    }

    fn count(&self, end: End) {
        let counter = match end {
            End::Committed => &self.committed,
            End::Undone => &self.undone,
            End::Unknown => &self.unknown,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Moves money through this proxy until the bank closes.
pub(super) async fn teller(options: OptsBuilder, accounts: u64, counters: Arc<Counters>) {
    let mut session = None;
    while !counters.is_closed.load(Ordering::Relaxed) {
        let Some(mut conn) = session.take() else {
            session = log_in(&options).await;
            if session.is_none() {
                sleep(AGAIN).await;
            }
            continue;
        };
        let end = transfer(&mut conn, accounts).await;
        counters.count(end);
        // After an error nobody knows what the session is in the middle of, if it lives.
        let is_usable = end == End::Committed || conn.query_drop("ROLLBACK").await.is_ok();
        session = is_usable.then_some(conn);
    }
}

async fn log_in(options: &OptsBuilder) -> Option<Conn> {
    let mut conn = Conn::new(options.clone()).await.ok()?;
    conn.query_drop("SET innodb_lock_wait_timeout = 3").await.ok()?;
    Some(conn)
}

async fn transfer(conn: &mut Conn, accounts: u64) -> End {
    let from = rand::random::<u64>() % accounts + 1;
    let to = (from + rand::random::<u64>() % (accounts - 1)) % accounts + 1;
    let amount = rand::random::<u32>() as i64 % MOST + 1;
    for sql in [
        "BEGIN".to_owned(),
        format!("UPDATE accounts SET balance = balance - {amount} WHERE id = {from}"),
        format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {to}"),
    ] {
        if conn.query_drop(sql).await.is_err() {
            return End::Undone;
        }
    }
    end_of(&conn.query_drop("COMMIT").await)
}

/// What the answer to COMMIT says.
fn end_of(answer: &Result<(), Error>) -> End {
    match answer {
        Ok(()) => End::Committed,
        Err(Error::Server(refused)) if UNDONE.contains(&refused.code) => End::Undone,
        Err(_) => End::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use mysql_async::{DriverError, ServerError};

    use super::*;

    #[test]
    fn only_what_says_so_was_rolled_back() {
        let refused =
            |code| Err(Error::Server(ServerError { code, message: String::new(), state: String::new() }));
        for (answer, end) in [
            (Ok(()), End::Committed),
            (refused(1213), End::Undone),
            (refused(1205), End::Undone),
            (refused(1180), End::Undone),
            (refused(1105), End::Unknown),
            (refused(1158), End::Unknown),
            (Err(Error::Driver(DriverError::ConnectionClosed)), End::Unknown),
        ] {
            assert_eq!(end_of(&answer), end, "{answer:?}");
        }
    }

    #[test]
    fn counters_say_what_was_counted() {
        let counters = Counters::default();
        for end in [End::Committed, End::Committed, End::Undone, End::Unknown] {
            counters.count(end);
        }
        assert_eq!(counters.read(), Told { committed: 2, undone: 1, unknown: 1 });
    }
}
