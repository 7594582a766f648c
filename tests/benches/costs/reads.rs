//! Sums of all rows, read as of one moment and read fast, while money moves between two servers at a rate. What of them saw a transfer in part is counted: of one moment none may.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use hdrhistogram::Histogram;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::Args;
use crate::ground::{Ground, SERVERS, middle, quantile};

/// Clients that move money; together they keep the rate, as long as there is one.
const WRITERS: usize = 8;
const MODES: [&str; 2] = ["atomic", "fast"];
const SUM: &str = "SELECT CAST(SUM(v) AS SIGNED) FROM cells";

/// What a turn came to.
struct Turn {
    reads: u64,
    took: Duration,
    micros: Histogram<u64>,
    /// How many saw a transfer in part.
    fractured: u64,
    /// Times that snapshots were opened, for each that came of it.
    rounds: f64,
    writes: f64,
}

/// Measures and prints.
pub async fn measure(ground: &Ground, args: &Args) -> anyhow::Result<()> {
    println!(
        "\n| writes/s wanted | writes/s, beside fast | reads/s, fast | of fast | p50 µs, fast | p50, of fast | p99, of fast | rounds | seen in part, fast |"
    );
    println!("| --: | --: | --: | --: | --: | --: | --: | --: | --: |");
    for &rate in &args.writes {
        let mut turns = [Vec::new(), Vec::new()];
        for _ in 0..args.rounds {
            for (nth, mode) in MODES.into_iter().enumerate() {
                turns[nth].push(turn(ground, mode, rate, Duration::from_millis(args.turn_ms)).await?);
            }
        }
        ensure!(
            turns[0].iter().all(|turn| turn.fractured == 0),
            "a read of one moment saw a transfer in part"
        );
        let ratio = |of: &dyn Fn(&Turn) -> f64| {
            middle(turns[0].iter().zip(&turns[1]).map(|(atomic, fast)| of(atomic) / of(fast)).collect())
        };
        let both = |of: &dyn Fn(&Turn) -> f64| {
            let [atomic, fast] = [0, 1].map(|nth| middle(turns[nth].iter().map(of).collect()));
            format!("{atomic:.0}, {fast:.0}")
        };
        let per_second = |turn: &Turn| turn.reads as f64 / turn.took.as_secs_f64();
        let parts = |nth: usize| {
            let [seen, all] = turns[nth]
                .iter()
                .fold([0, 0], |[seen, all], turn: &Turn| [seen + turn.fractured, all + turn.reads]);
            100.0 * seen as f64 / all.max(1) as f64
        };
        println!(
            "| {rate} | {} | {} | {:.2} | {} | {:.2} | {:.2} | {:.2} | {:.1} %, {:.1} % |",
            both(&|turn| turn.writes),
            both(&per_second),
            ratio(&per_second),
            both(&|turn| quantile(&turn.micros, 0.5)),
            ratio(&|turn| quantile(&turn.micros, 0.5)),
            ratio(&|turn| quantile(&turn.micros, 0.99)),
            middle(turns[0].iter().map(|turn| turn.rounds).collect()),
            parts(0),
            parts(1),
        );
    }
    Ok(())
}

async fn turn(ground: &Ground, mode: &str, rate: u32, length: Duration) -> anyhow::Result<Turn> {
    let ends = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    for number in 0..if rate == 0 { 0 } else { WRITERS } {
        let conn = ground.keyspace.connect().await?;
        // Each has rows of its own, between two servers of its own.
        let from = ground.row(number % usize::from(SERVERS), number)?;
        let to = ground.row((number + 1) % usize::from(SERVERS), number)?;
        let every = Duration::from_secs(1) * WRITERS as u32 / rate;
        writers.spawn(write(conn, [from, to], every, (ends.clone(), written.clone())));
    }
    let mut conn = ground.keyspace.connect().await?;
    conn.query_drop(format!("SET podway_read = '{mode}'")).await?;
    let before = measured(&mut conn).await?;
    let (mut micros, mut fractured) = (Histogram::new(3)?, 0);
    let begun = Instant::now();
    while begun.elapsed() < length {
        let asked = Instant::now();
        let sum: Option<i64> = conn.query_first(SUM).await?;
        micros.record(asked.elapsed().as_micros() as u64)?;
        fractured += u64::from(sum != Some(0));
    }
    let took = begun.elapsed();
    ends.store(true, Ordering::Relaxed);
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    let after = measured(&mut conn).await?;
    let [rounds, snapshots] = [after[0] - before[0], after[1] - before[1]];
    let writes = written.load(Ordering::Relaxed) as f64 / took.as_secs_f64();
    let rounds = rounds as f64 / snapshots.max(1) as f64;
    Ok(Turn { reads: micros.len(), took, micros, fractured, rounds, writes })
}

/// How often snapshots were opened, and how many came of it.
async fn measured(conn: &mut Conn) -> anyhow::Result<[u64; 2]> {
    let all: Vec<(String, u64)> = conn.query("SHOW PODWAY METRICS").await?;
    let of = |name: &str| all.iter().find(|(known, _)| known == name).map_or(0, |(_, value)| *value);
    Ok([of("snapshot_rounds"), of("snapshots")])
}

async fn write(
    mut conn: Conn,
    [from, to]: [u64; 2],
    every: Duration,
    (ends, written): (Arc<AtomicBool>, Arc<AtomicU64>),
) -> anyhow::Result<()> {
    let mut pace = interval(every);
    // What could not be kept up with is not made up for.
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !ends.load(Ordering::Relaxed) {
        pace.tick().await;
        conn.query_drop("BEGIN").await?;
        conn.query_drop(format!("UPDATE cells SET v = v - 1 WHERE id = {from}")).await?;
        conn.query_drop(format!("UPDATE cells SET v = v + 1 WHERE id = {to}")).await?;
        conn.query_drop("COMMIT").await?;
        written.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
