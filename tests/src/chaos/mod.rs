//! Chaos: clients work on a cluster of real servers and proxies while these are killed, stopped and cut off, and then everything is looked at. Every transfer is there as a whole or not at all,
//! what was acknowledged is there, what was rolled back is not, no reader saw what never was, and soon nothing is prepared or locked any more.
//!
//! Reading order: `trouble` (what goes wrong, from a seed) → `history` (what lists must show) → `stage` (the cluster) → `clients` → here.

mod clients;
mod history;
mod stage;
mod trouble;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use mysql_async::prelude::Queryable;

use clients::{ACCOUNTS, Client, OPENING, Shared, Told, values};
use history::{End, Fault, faults, only};
use stage::{PROXIES, SERVERS, Stage, connect};
pub use trouble::{Trouble, schedule};

/// After all trouble nothing is prepared or locked for longer.
const QUIET_WITHIN: Duration = Duration::from_secs(10);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// What decides on the trouble, and on what clients do.
    pub seed: u64,
    /// For how long.
    pub length: Duration,
    /// Clients of each proxy.
    pub clients: u64,
    /// The binary that the proxies run.
    pub podway: PathBuf,
    /// What readers are promised.
    pub reads: Reads,
}

/// What a transaction that reads on several servers is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Each server has its own snapshot: another's transaction may be seen in part.
    Fast,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Troubles that were made.
    pub troubles: usize,
    /// Transactions by how they ended.
    pub committed: usize,
    /// Rolled back, or refused before.
    pub aborted: usize,
    /// Nobody could say.
    pub unknown: usize,
    /// Refusals, by number.
    pub refusals: BTreeMap<u16, u64>,
    /// Readers that saw another's transaction in part.
    pub fractured: usize,
    /// How long branches stayed prepared that killed proxies left, the longest last.
    pub left: Vec<Duration>,
    /// How long it took until nothing was prepared or locked any more.
    pub quiet_after: Duration,
    /// All that is wrong.
    pub wrong: Vec<String>,
}

/// The binary beside this one: what cargo builds with the workspace.
pub fn podway_beside() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let places = this.ancestors().skip(1).take(2).map(|folder| folder.join("podway"));
    let found = places.into_iter().find(|path| path.is_file());
    found.context("no binary podway beside this one: cargo build --workspace --bin podway makes it")
}

/// Runs it.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let mut stage = Stage::start(&options.podway).await?;
    let mut conn = connect(stage.addresses()[0]).await?;
    for id in 1..=ACCOUNTS {
        conn.query_drop(format!("INSERT INTO accounts VALUES ({id}, {OPENING})")).await?;
    }
    conn.disconnect().await?;
    let shared = Arc::new(Shared {
        ends: AtomicBool::new(false),
        acknowledged: AtomicU64::new(0),
        begun: Instant::now(),
    });
    let addresses = stage.addresses();
    let clients: Vec<_> = (0..options.clients * addresses.len() as u64)
        .map(|number| {
            let proxy = addresses[(number / 2) as usize % addresses.len()];
            tokio::spawn(Client::new(number, options.seed, proxy, shared.clone()).work())
        })
        .collect();
    let mut report = Report::default();
    let begun = Instant::now();
    for (pause, trouble) in schedule(options.seed, options.length, PROXIES.len(), SERVERS.len()) {
        if begun.elapsed() > options.length {
            break;
        }
        tokio::time::sleep(pause).await;
        let left = stage.suffer(trouble).await.with_context(|| format!("{trouble:?}"))?;
        report.left.extend(left);
        report.troubles += 1;
    }
    shared.ends.store(true, Ordering::Relaxed);
    let mut told = Vec::new();
    for client in clients {
        told.push(client.await?);
    }
    report.left.sort_unstable();
    report.quiet_after = quiet(&stage).await?;
    look(&stage, &told, options.reads, &mut report).await?;
    stage.stop().await;
    Ok(report)
}

/// Waits until nothing is prepared and no lock is held.
async fn quiet(stage: &Stage) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    loop {
        let (prepared, open) = (stage.prepared().await?, stage.open().await?);
        if prepared.is_empty() && open.is_empty() {
            return Ok(begun.elapsed());
        }
        ensure!(begun.elapsed() < QUIET_WITHIN, "prepared still: {prepared:?}; with locks: {open:?}");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

async fn look(stage: &Stage, told: &[Told], reads: Reads, report: &mut Report) -> anyhow::Result<()> {
    for one in told {
        let ends = one.transfers.values().copied().chain(one.history.iter().map(|seen| seen.end));
        for end in ends {
            match end {
                End::Committed => report.committed += 1,
                End::Aborted => report.aborted += 1,
                End::Unknown => report.unknown += 1,
            }
        }
        for (code, count) in &one.refusals {
            *report.refusals.entry(*code).or_default() += count;
        }
    }
    report.wrong.extend(wrong_books(stage, told).await?);
    let history: Vec<history::Seen> = told.iter().flat_map(|one| one.history.iter().cloned()).collect();
    let mut lists: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for of_server in stage.rows::<(u64, String)>("SELECT id, body FROM lists").await? {
        let here: BTreeMap<u64, Vec<u64>> =
            of_server.into_iter().map(|(id, body)| (id, values(&body))).collect();
        // On one server a reader has one snapshot. Who writes reads the newest besides, as in MySQL.
        let readers = only(&history, |list| here.contains_key(&list));
        for fault in faults(&readers, &here) {
            match fault {
                Fault::Fractured(reader) if !history[reader].appends.is_empty() => {}
                fault => report.wrong.push(format!("on one server: {}", told_of(&fault, &history))),
            }
        }
        lists.extend(here);
    }
    for fault in faults(&history, &lists) {
        match (fault, reads) {
            (Fault::Fractured(_), Reads::Fast) => report.fractured += 1,
            (fault, _) => report.wrong.push(told_of(&fault, &history)),
        }
    }
    Ok(())
}

fn told_of(fault: &Fault, history: &[history::Seen]) -> String {
    let (Fault::Lost(number)
    | Fault::Aborted(number)
    | Fault::Half(number)
    | Fault::Fork(number)
    | Fault::Circle(number)
    | Fault::Fractured(number)) = fault;
    format!("{fault:?}: {:?}", history.get(*number))
}

/// What is wrong with accounts and the ledger.
async fn wrong_books(stage: &Stage, told: &[Told]) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let accounts = stage.rows::<(u64, i64)>("SELECT id, balance FROM accounts").await?;
    let balances: BTreeMap<u64, i64> = accounts.into_iter().flatten().collect();
    let mut ledger: BTreeMap<u64, Vec<(u64, i64)>> = BTreeMap::new();
    for (id, account, amount) in
        stage.rows::<(u64, u64, i64)>("SELECT id, account, amount FROM ledger").await?.into_iter().flatten()
    {
        ledger.entry(id).or_default().push((account, amount));
    }
    let mut expected: BTreeMap<u64, i64> = (1..=ACCOUNTS).map(|account| (account, OPENING)).collect();
    for (id, entries) in &ledger {
        if entries.len() != 2 || entries[0].1 + entries[1].1 != 0 {
            wrong.push(format!("transfer {id} is {entries:?}"));
        }
        for (account, amount) in entries {
            *expected.entry(*account).or_default() += amount;
        }
    }
    if balances != expected {
        wrong.push(format!("balances are {balances:?}, by the ledger {expected:?}"));
    }
    for (id, end) in told.iter().flat_map(|one| &one.transfers) {
        match (end, ledger.contains_key(id)) {
            (End::Committed, false) => {
                wrong.push(format!("transfer {id} was acknowledged, and is not there"))
            }
            (End::Aborted, true) => wrong.push(format!("transfer {id} was rolled back, and is there")),
            _ => {}
        }
    }
    Ok(wrong)
}
