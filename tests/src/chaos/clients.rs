//! What clients do meanwhile: transfers between accounts, each with a row in the ledger on both sides; and transactions on lists. Each client remembers what it was told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use super::history::{End, Seen};
use super::stage::connect;
use super::trouble::Dice;

/// Accounts: 1 to this.
pub const ACCOUNTS: u64 = 24;
/// What each has at first.
pub const OPENING: i64 = 1_000;
/// Lists that are worked on at a time …
const LISTS: u64 = 12;
/// … for so many seconds: then others are, so that none grows for hours.
const LISTS_FOR: u64 = 10;
/// Longer than anything may take that ends by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// What clients share.
pub struct Shared {
    /// Whether they are to stop.
    pub ends: AtomicBool,
    /// What was acknowledged.
    pub acknowledged: AtomicU64,
    /// When it began.
    pub begun: Instant,
}

/// What a client has seen.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Transfers, by number.
    pub transfers: BTreeMap<u64, End>,
    /// Transactions on lists.
    pub history: Vec<Seen>,
    /// Refusals, by number.
    pub refusals: BTreeMap<u16, u64>,
}

/// A client of one proxy.
pub struct Client {
    number: u64,
    proxy: SocketAddr,
    shared: Arc<Shared>,
    dice: Dice,
    told: Told,
    sequence: u64,
}

impl Client {
    /// The client of this number.
    pub fn new(number: u64, seed: u64, proxy: SocketAddr, shared: Arc<Shared>) -> Client {
        let dice = Dice::new(seed ^ (number + 1) << 32);
        Client { number, proxy, shared, dice, told: Told::default(), sequence: 0 }
    }

    /// Works until it is to stop.
    pub async fn work(mut self) -> Told {
        let mut conn = None;
        while !self.shared.ends.load(Ordering::Relaxed) {
            let Some(session) = conn.take() else {
                conn = tokio::time::timeout(PATIENCE, connect(self.proxy)).await.ok().and_then(Result::ok);
                if conn.is_none() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                continue;
            };
            conn = match self.number % 2 {
                0 => self.transfer(session).await,
                _ => self.lists(session).await,
            };
        }
        self.told
    }

    fn fresh(&mut self) -> u64 {
        self.sequence += 1;
        (self.number + 1) << 32 | self.sequence
    }

    fn now(&self) -> u64 {
        self.shared.begun.elapsed().as_nanos() as u64
    }

    async fn transfer(&mut self, mut conn: Conn) -> Option<Conn> {
        let id = self.fresh();
        let from = self.dice.below(ACCOUNTS) + 1;
        let to = (from + self.dice.below(ACCOUNTS - 1)) % ACCOUNTS + 1;
        let amount = self.dice.below(50) + 1;
        let mut statements = vec![
            "BEGIN".to_owned(),
            format!("UPDATE accounts SET balance = balance - {amount} WHERE id = {from}"),
            format!("INSERT INTO ledger VALUES ({from}, {id}, -{amount})"),
            format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {to}"),
            format!("INSERT INTO ledger VALUES ({to}, {id}, {amount})"),
        ];
        statements.push(if self.dice.chance(5) { "ROLLBACK" } else { "COMMIT" }.to_owned());
        let (end, is_usable) = self.all(&mut conn, &statements, |_, _| {}).await;
        self.told.transfers.insert(id, end);
        is_usable.then_some(conn)
    }

    async fn lists(&mut self, mut conn: Conn) -> Option<Conn> {
        let begun = self.now();
        let first = self.shared.begun.elapsed().as_secs() / LISTS_FOR * LISTS;
        let only_reads = self.dice.chance(40);
        let (mut appends, mut statements, mut lists) =
            (BTreeMap::new(), vec!["BEGIN".to_owned()], vec![None]);
        for _ in 0..2 + self.dice.below(2) {
            let list = first + self.dice.below(LISTS);
            if only_reads || appends.contains_key(&list) || self.dice.chance(40) {
                statements.push(format!("SELECT body FROM lists WHERE id = {list}"));
                lists.push(Some(list));
            } else {
                let value = self.fresh();
                appends.insert(list, value);
                let sql = "ON DUPLICATE KEY UPDATE body = CONCAT(body, VALUES(body))";
                statements.push(format!("INSERT INTO lists VALUES ({list}, '{value},') {sql}"));
                lists.push(None);
            }
        }
        statements.push("COMMIT".to_owned());
        let mut reads = Vec::new();
        let (end, is_usable) = self
            .all(&mut conn, &statements, |nth, body| {
                if let Some(list) = lists.get(nth).copied().flatten() {
                    reads.push((list, values(&body)));
                }
            })
            .await;
        let during = (begun, self.now());
        self.told.history.push(Seen { end, during, appends, reads });
        is_usable.then_some(conn)
    }

    /// Runs a transaction's statements; how it ended, and whether the session can go on.
    async fn all(
        &mut self,
        conn: &mut Conn,
        statements: &[String],
        mut read: impl FnMut(usize, String),
    ) -> (End, bool) {
        for (nth, sql) in statements.iter().enumerate() {
            let done: Result<Result<Option<String>, Error>, _> =
                tokio::time::timeout(PATIENCE, conn.query_first(sql.as_str())).await;
            let is_end = nth + 1 == statements.len();
            let error = match done {
                Ok(Ok(body)) => {
                    read(nth, body.unwrap_or_default());
                    continue;
                }
                Ok(Err(Error::Server(error))) => Some(error),
                Ok(Err(_)) | Err(_) => None,
            };
            let Some(error) = error else {
                // Before COMMIT was sent nothing can have been committed.
                let is_unknown = is_end && sql == "COMMIT";
                return (if is_unknown { End::Unknown } else { End::Aborted }, false);
            };
            *self.told.refusals.entry(error.code).or_default() += 1;
            if is_end && sql == "COMMIT" {
                // Deadlock and lock wait timeout: it was rolled back. All else is said to be not known.
                let is_back = matches!(error.code, 1205 | 1213);
                return (if is_back { End::Aborted } else { End::Unknown }, is_back);
            }
            let is_back = conn.query_drop("ROLLBACK").await.is_ok();
            return (End::Aborted, is_back);
        }
        let is_back = statements.last().is_some_and(|sql| sql == "ROLLBACK");
        if !is_back {
            self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        (if is_back { End::Aborted } else { End::Committed }, true)
    }
}

/// What a list holds.
pub fn values(body: &str) -> Vec<u64> {
    body.split(',').filter_map(|value| value.parse().ok()).collect()
}
