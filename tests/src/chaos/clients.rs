//! What clients do meanwhile: transfers between accounts, each with a row in the ledger on both sides; sums of all accounts; and transactions on lists, read in each of the ways that there are. Each
//! client remembers what it was told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};

use super::PROXIES;
use super::history::{End, Mode, Op, Seen};
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
/// What of all accounts never changes.
const SUM: &str = "SELECT CAST(SUM(balance) AS SIGNED) FROM accounts";

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
    /// The sums of all accounts that were read.
    pub sums: Vec<(Mode, i64)>,
    /// Refusals, by number.
    pub refusals: BTreeMap<u16, u64>,
}

/// What a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Transfers,
    Sums(Mode),
    Lists(Mode),
}

/// A client of one proxy.
pub struct Client {
    role: Role,
    number: u64,
    proxy: SocketAddr,
    shared: Arc<Shared>,
    dice: Dice,
    told: Told,
    sequence: u64,
    /// The stamp that its session had when it was last asked.
    stamp: Option<u64>,
}

/// A statement, and what is done with its rows.
struct Step {
    sql: String,
    reads: Reads,
}

enum Reads {
    Nothing,
    /// It appended this value to this list.
    Appended(u64, u64),
    /// The body of this list, if there is one.
    One(u64),
    /// These lists, with their bodies.
    Several(std::ops::Range<u64>),
    Sum(Mode),
}

/// How a transaction went.
struct Went {
    end: End,
    is_late: bool,
    is_usable: bool,
}

impl Client {
    /// The client of this number. Two in a row are of one proxy, of each proxy there are all kinds.
    pub fn new(number: u64, seed: u64, proxy: SocketAddr, shared: Arc<Shared>) -> Client {
        let dice = Dice::new(seed ^ (number + 1) << 32);
        let role = match (number % 2, number / (2 * PROXIES as u64) % 4) {
            (0, 0) => Role::Transfers,
            (0, 1) => Role::Sums(Mode::Atomic),
            (0, 2) => Role::Transfers,
            (0, _) => Role::Sums(Mode::Fast),
            (_, 0) => Role::Lists(Mode::Fast),
            (_, 1) => Role::Lists(Mode::Atomic),
            (_, 2) => Role::Lists(Mode::Fast),
            (_, _) => Role::Lists(Mode::Serializable),
        };
        Client { role, number, proxy, shared, dice, told: Told::default(), sequence: 0, stamp: None }
    }

    /// One that does nothing but transfers.
    pub fn that_transfers(number: u64, seed: u64, proxy: SocketAddr, shared: Arc<Shared>) -> Client {
        Client { role: Role::Transfers, ..Client::new(number, seed, proxy, shared) }
    }

    /// Works until it is to stop.
    pub async fn work(mut self) -> Told {
        let mut conn = None;
        while !self.shared.ends.load(Ordering::Relaxed) {
            let Some(session) = conn.take() else {
                conn = tokio::time::timeout(PATIENCE, self.begin()).await.ok().and_then(Result::ok);
                if conn.is_none() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                continue;
            };
            conn = match self.role {
                Role::Transfers => self.transfer(session).await,
                Role::Sums(mode) => self.sum(session, mode).await,
                Role::Lists(mode) => self.lists(session, mode).await,
            };
        }
        self.told
    }

    async fn begin(&mut self) -> Result<Conn, Error> {
        let mut conn = connect(self.proxy).await?;
        self.stamp = None;
        match self.role {
            Role::Lists(Mode::Atomic) | Role::Sums(Mode::Atomic) => {
                conn.query_drop("SET podway_read = 'atomic'").await?;
            }
            Role::Lists(Mode::Serializable) => conn.query_drop("SET podway_read = 'serializable'").await?,
            _ => {}
        }
        Ok(conn)
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
        let steps: Vec<Step> = statements.into_iter().map(Step::plain).collect();
        let went = self.all(&mut conn, &steps, &mut Vec::new()).await;
        self.told.transfers.insert(id, went.end);
        went.is_usable.then_some(conn)
    }

    /// On its own, or twice in a transaction.
    async fn sum(&mut self, mut conn: Conn, mode: Mode) -> Option<Conn> {
        let sum = || Step { sql: SUM.to_owned(), reads: Reads::Sum(mode) };
        let steps = match self.dice.below(3) {
            0 => vec![Step::plain("BEGIN"), sum(), sum(), Step::plain("COMMIT")],
            _ => vec![sum()],
        };
        let went = self.all(&mut conn, &steps, &mut Vec::new()).await;
        went.is_usable.then_some(conn)
    }

    async fn lists(&mut self, mut conn: Conn, mode: Mode) -> Option<Conn> {
        let first = self.shared.begun.elapsed().as_secs() / LISTS_FOR * LISTS;
        let steps = self.steps(first, mode);
        let begun = self.now();
        let mut ops = Vec::new();
        let went = self.all(&mut conn, &steps, &mut ops).await;
        let during = (begun, self.now());
        let wrote = ops.iter().any(|op| matches!(op, Op::Append(..)));
        let (mut stamp, mut is_usable) = (None, went.is_usable);
        if went.end == End::Committed && wrote {
            match self.told_stamp(&mut conn).await {
                Ok(told) => stamp = told,
                Err(_) => is_usable = false,
            }
        }
        let (end, is_late) = (went.end, went.is_late);
        self.told.history.push(Seen { end, mode, is_late, stamp, during, ops });
        is_usable.then_some(conn)
    }

    /// The statements of one transaction on lists.
    fn steps(&mut self, first: u64, mode: Mode) -> Vec<Step> {
        let all = first..first + LISTS;
        let several = |all: &std::ops::Range<u64>| Step {
            sql: format!("SELECT id, body FROM lists WHERE id BETWEEN {} AND {}", all.start, all.end - 1),
            reads: Reads::Several(all.clone()),
        };
        if mode != Mode::Serializable && self.dice.chance(25) {
            return vec![several(&all)];
        }
        let has_snapshot = mode == Mode::Atomic && self.dice.chance(30);
        let begin = if has_snapshot { "START TRANSACTION WITH CONSISTENT SNAPSHOT" } else { "BEGIN" };
        let mut steps = vec![Step::plain(begin)];
        let only_reads = mode == Mode::Atomic || self.dice.chance(40);
        let mut last = None;
        for _ in 0..2 + self.dice.below(2) {
            let list = first + self.dice.below(LISTS);
            if only_reads && mode != Mode::Serializable && self.dice.chance(20) {
                steps.push(several(&all));
            } else if only_reads || self.dice.chance(40) {
                let sql = format!("SELECT body FROM lists WHERE id = {list}");
                steps.push(Step { sql, reads: Reads::One(list) });
            } else {
                // Now and then twice to the same list.
                let list = last.filter(|_| self.dice.chance(15)).unwrap_or(list);
                last = Some(list);
                steps.push(self.append(list));
            }
        }
        // In one snapshot one server may be written to.
        if mode == Mode::Atomic && self.dice.chance(20) {
            let list = first + self.dice.below(LISTS);
            steps.push(self.append(list));
        }
        steps.push(Step::plain("COMMIT"));
        steps
    }

    fn append(&mut self, list: u64) -> Step {
        let value = self.fresh();
        let sql = format!(
            "INSERT INTO lists VALUES ({list}, '{value},') ON DUPLICATE KEY UPDATE body = CONCAT(body, VALUES(body))"
        );
        Step { sql, reads: Reads::Appended(list, value) }
    }

    /// The stamp of the commit that was just acknowledged, if it was over several servers.
    async fn told_stamp(&mut self, conn: &mut Conn) -> Result<Option<u64>, Error> {
        let asked = conn.query_first("SELECT PODWAY_LAST_COMMIT()");
        let told = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(told) => told?,
            Err(_) => return Ok(None),
        };
        let told: Option<Option<String>> = told;
        let stamp = told.flatten().and_then(|text| u64::from_str_radix(&text, 16).ok());
        let is_new = stamp != self.stamp;
        self.stamp = stamp;
        Ok(stamp.filter(|_| is_new))
    }

    /// Runs a transaction's statements: how it ended, and whether the session can go on.
    async fn all(&mut self, conn: &mut Conn, steps: &[Step], ops: &mut Vec<Op>) -> Went {
        let begins = steps.len() > 1;
        for (nth, Step { sql, reads }) in steps.iter().enumerate() {
            if let Reads::Appended(list, value) = reads {
                ops.push(Op::Append(*list, *value));
            }
            let done: Result<Result<Vec<Row>, Error>, _> =
                tokio::time::timeout(PATIENCE, conn.query(sql.as_str())).await;
            let is_commit = nth + 1 == steps.len() && sql == "COMMIT";
            let error = match done {
                Ok(Ok(rows)) => {
                    self.read(reads, rows, ops);
                    continue;
                }
                Ok(Err(Error::Server(error))) => Some(error),
                Ok(Err(_)) | Err(_) => None,
            };
            let Some(error) = error else {
                // Before COMMIT was sent nothing can have been committed.
                let end = if is_commit { End::Unknown } else { End::Aborted };
                return Went { end, is_late: false, is_usable: false };
            };
            *self.told.refusals.entry(error.code).or_default() += 1;
            if is_commit {
                // Deadlock, lock wait timeout, a clock that is too far ahead: it was rolled back. All else is said to be not known.
                let is_back = matches!(error.code, 1180 | 1205 | 1213);
                let end = if is_back { End::Aborted } else { End::Unknown };
                return Went { end, is_late: false, is_usable: is_back };
            }
            let is_usable = !begins || conn.query_drop("ROLLBACK").await.is_ok();
            return Went { end: End::Aborted, is_late: false, is_usable };
        }
        let is_back = steps.last().is_some_and(|step| step.sql == "ROLLBACK");
        if !is_back {
            self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        let end = if is_back { End::Aborted } else { End::Committed };
        Went { end, is_late: conn.get_warnings() > 0, is_usable: true }
    }

    fn read(&mut self, reads: &Reads, rows: Vec<Row>, ops: &mut Vec<Op>) {
        match reads {
            Reads::Nothing | Reads::Appended(..) => {}
            Reads::One(list) => {
                let body: Option<String> = rows.into_iter().next().and_then(|row| row.get(0));
                ops.push(Op::Read(*list, values(&body.unwrap_or_default())));
            }
            Reads::Several(all) => {
                let rows = rows.into_iter().map(mysql_async::from_row::<(u64, String)>);
                let bodies: BTreeMap<u64, String> = rows.collect();
                let body = |list| bodies.get(&list).map(|body| values(body)).unwrap_or_default();
                ops.extend(all.clone().map(|list| Op::Read(list, body(list))));
            }
            Reads::Sum(mode) => {
                let sum = rows.into_iter().next().and_then(|row| row.get(0));
                self.told.sums.extend(sum.map(|sum: i64| (*mode, sum)));
            }
        }
    }
}

impl Step {
    fn plain(sql: impl Into<String>) -> Step {
        Step { sql: sql.into(), reads: Reads::Nothing }
    }
}

/// What a list holds.
pub fn values(body: &str) -> Vec<u64> {
    body.split(',').filter_map(|value| value.parse().ok()).collect()
}
