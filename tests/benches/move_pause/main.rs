//! How long a shard's move holds its clients: a small shard goes to and fro between two servers, under load, as often as it is told. Three topology nodes in this process, each
//! with its own file; two proxies as processes of the `podway` binary; clients with short transactions and reads on all shards.
//!
//! `cargo bench -p podway-tests --bench move_pause -- --help`

#[path = "../compare/process.rs"]
#[allow(dead_code, reason = "the comparison uses the rest")]
mod process;
mod report;
mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use report::{Report, Seen};
use stage::{KEYS, Stage, connect};

/// Moves a small shard to and fro under load and prints how long its clients were held
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "move_pause")]
pub struct Args {
    /// How often the shard moves
    #[arg(long, default_value_t = 100)]
    pub moves: usize,
    /// Clients of each of the two proxies
    #[arg(long, default_value_t = 4)]
    pub clients: usize,
    /// Further rows of the shard that moves
    #[arg(long, default_value_t = 1_000)]
    pub rows: u64,
    /// Users with privileges on the keyspace, besides the one that works
    #[arg(long, default_value_t = 10)]
    pub users: usize,
    /// The podway binary [default: built by cargo, in the release profile]
    #[arg(long, value_name = "FILE")]
    pub podway: Option<std::path::PathBuf>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    pub bench: bool,
}

/// What clients meet.
#[derive(Debug, Default)]
struct Met {
    stop: AtomicBool,
    done: AtomicU64,
    errors: AtomicU64,
    /// The longest statement or transaction since this was last set to 0, in microseconds.
    longest: AtomicU64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&args))
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let seen = Seen::default();
    let mut stage = Stage::start(args, seen.probe()).await?;
    let met = Arc::new(Met::default());
    let mut clients = Vec::new();
    for address in stage.proxies.clone() {
        for number in 0..args.clients {
            let conn = connect(address).await?;
            clients.push(tokio::spawn(client(conn, number as u64, met.clone())));
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut report = Report::default();
    for turn in 0..args.moves {
        stage.wait_until_nothing_is_left().await?;
        seen.clear();
        met.longest.store(0, Ordering::SeqCst);
        stage.move_once(turn).await?;
        report.add(&seen.take(), Duration::from_micros(met.longest.load(Ordering::SeqCst)));
    }
    met.stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await?;
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "{} moves of a shard with {} further rows and {} users, {} clients: {} statements and transactions, {} errors; load of the machine {}",
        args.moves,
        args.rows,
        args.users + 1,
        2 * args.clients,
        met.done.load(Ordering::SeqCst),
        met.errors.load(Ordering::SeqCst),
        load.trim()
    );
    report.print();
    stage.stop().await;
    Ok(())
}

/// Reads and short transactions in turn, until told to stop.
async fn client(mut conn: Conn, number: u64, met: Arc<Met>) {
    for turn in number.. {
        if met.stop.load(Ordering::SeqCst) {
            break;
        }
        let key = 1 + turn % KEYS;
        let began = Instant::now();
        let did = match turn % 2 {
            0 => read(&mut conn, key).await,
            _ => transaction(&mut conn, key).await,
        };
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        met.longest.fetch_max(took, Ordering::SeqCst);
        met.done.fetch_add(1, Ordering::SeqCst);
        if let Err(error) = did {
            eprintln!("a client got: {error}");
            met.errors.fetch_add(1, Ordering::SeqCst);
            let _ended = conn.query_drop("ROLLBACK").await;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn read(conn: &mut Conn, key: u64) -> Result<(), mysql_async::Error> {
    conn.query_drop(format!("SELECT n FROM counters WHERE id = {key}")).await
}

async fn transaction(conn: &mut Conn, key: u64) -> Result<(), mysql_async::Error> {
    conn.query_drop("BEGIN").await?;
    conn.query_drop(format!("UPDATE counters SET n = n + 1 WHERE id = {key}")).await?;
    conn.query_drop(format!("SELECT n FROM counters WHERE id = {key}")).await?;
    conn.query_drop("COMMIT").await
}
