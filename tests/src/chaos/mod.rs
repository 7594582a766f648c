//! Chaos: clients work on a cluster of real servers and proxies while these are killed, stopped and cut off, proxies' clocks are set, the topology is killed and shards move, and then everything is looked at. Every transfer is there
//! as a whole or not at all, what was acknowledged is there, what was rolled back is not, no reader saw what was not promised to it, and soon nothing is prepared or locked any more.
//!
//! Reading order: `trouble` (what goes wrong, from a seed) → `history` (what lists must show) → `clock`, `furnish`, `process` and `stage` (the cluster) → `clients` → `look` (what there is afterwards) → here; `kills` (how long branches stay
//! that killed proxies left).

mod clients;
mod clock;
mod furnish;
pub mod history;
mod kills;
mod look;
mod process;
mod stage;
mod trouble;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use mysql_async::prelude::Queryable;

use clients::{ACCOUNTS, Client, OPENING, Shared};
use furnish::SERVERS;
use history::Mode;
pub use kills::{Kills, Surviving};
use stage::{Stage, connect};
pub use trouble::{Trouble, schedule};

/// Proxies.
const PROXIES: usize = 3;
/// After all trouble nothing is prepared or locked for longer.
const QUIET_WITHIN: Duration = Duration::from_secs(10);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// What decides on the trouble, and on what clients do.
    pub seed: u64,
    /// For how long.
    pub length: Duration,
    /// Clients of each proxy; 8 or more, or not all kinds are there.
    pub clients: u64,
    /// The binary that the proxies run.
    pub podway: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Troubles that were made.
    pub troubles: usize,
    /// How often a proxy's clock was set to another time than the machine's.
    pub clocks: usize,
    /// Moves of shards that ended well.
    pub moves: usize,
    /// Transactions on lists whose stamps were compared with those of what they read and overwrote.
    pub stamped: usize,
    /// Transactions by how they ended.
    pub committed: usize,
    /// Rolled back, or refused before.
    pub aborted: usize,
    /// Nobody could say.
    pub unknown: usize,
    /// Refusals, by number.
    pub refusals: BTreeMap<u16, u64>,
    /// Readers of lists that wrote nothing, by how they read.
    pub readers: BTreeMap<Mode, usize>,
    /// Sums of all accounts that were read.
    pub sums: BTreeMap<Mode, usize>,
    /// Readers and sums that saw another's transaction in part.
    pub fractured: BTreeMap<Mode, usize>,
    /// Readers that saw a later transaction and not an earlier one which that had seen, and nobody in part.
    pub skewed: BTreeMap<Mode, usize>,
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
    let mut stage = Stage::start(&options.podway, PROXIES).await?;
    open_accounts(&stage).await?;
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
    // All but one begin with a wrong one.
    let clocks = if stage.has_clocks() { PROXIES - 1 } else { 0 };
    let mut report = Report { clocks, ..Report::default() };
    let begun = Instant::now();
    for (pause, trouble) in schedule(options.seed, options.length, PROXIES, SERVERS.len()) {
        if begun.elapsed() > options.length {
            break;
        }
        tokio::time::sleep(pause).await;
        report.clocks += usize::from(matches!(trouble, Trouble::SetClock(..)) && stage.has_clocks());
        let left = stage.suffer(trouble).await.with_context(|| format!("{trouble:?}"))?;
        report.left.extend(left);
        report.troubles += 1;
    }
    report.moves = stage.moved().await?;
    shared.ends.store(true, Ordering::Relaxed);
    let mut told = Vec::new();
    for client in clients {
        told.push(client.await?);
    }
    report.left.sort_unstable();
    report.quiet_after = quiet(&stage).await?;
    look::look(&stage, &told, &mut report).await?;
    Ok(report)
}

async fn open_accounts(stage: &Stage) -> anyhow::Result<()> {
    let mut conn = connect(stage.addresses()[0]).await?;
    for id in 1..=ACCOUNTS {
        conn.query_drop(format!("INSERT INTO accounts VALUES ({id}, {OPENING})")).await?;
    }
    conn.disconnect().await?;
    Ok(())
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
