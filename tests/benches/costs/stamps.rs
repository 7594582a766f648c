//! Transactions that write on one server, with a stamp and without.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::task::JoinSet;

use crate::Args;
use crate::ground::{Ground, SERVERS, middle, quantile};

/// What a turn came to.
struct Turn {
    rate: f64,
    micros: Histogram<u64>,
    /// For each commit.
    syncs: f64,
}

/// Measures and prints.
pub async fn measure(ground: &Ground, args: &Args) -> anyhow::Result<()> {
    println!(
        "\n| clients | commits/s, without | of without | COMMIT p50 µs, without | p50, of without | p99, of without | syncs, without |"
    );
    println!("| --: | --: | --: | --: | --: | --: | --: |");
    for &clients in &args.clients {
        let mut turns = [Vec::new(), Vec::new()];
        for _ in 0..args.rounds {
            for (nth, is_stamped) in [true, false].into_iter().enumerate() {
                let length = Duration::from_millis(args.turn_ms);
                turns[nth].push(turn(ground, is_stamped, clients, length).await?);
            }
        }
        let ratio = |of: &dyn Fn(&Turn) -> f64| {
            middle(turns[0].iter().zip(&turns[1]).map(|(with, without)| of(with) / of(without)).collect())
        };
        let both = |of: &dyn Fn(&Turn) -> f64, digits: usize| {
            let [with, without] = [0, 1].map(|nth| middle(turns[nth].iter().map(of).collect()));
            format!("{with:.digits$}, {without:.digits$}")
        };
        println!(
            "| {clients} | {} | {:.2} | {} | {:.2} | {:.2} | {} |",
            both(&|turn| turn.rate, 0),
            ratio(&|turn| turn.rate),
            both(&|turn| quantile(&turn.micros, 0.5), 0),
            ratio(&|turn| quantile(&turn.micros, 0.5)),
            ratio(&|turn| quantile(&turn.micros, 0.99)),
            both(&|turn| turn.syncs, 1),
        );
    }
    Ok(())
}

async fn turn(ground: &Ground, is_stamped: bool, clients: usize, length: Duration) -> anyhow::Result<Turn> {
    let mut ready = Vec::new();
    for number in 0..clients {
        let mut conn = ground.keyspace.connect().await?;
        conn.query_drop(format!("SET podway_stamp_single_shard = {}", u8::from(is_stamped))).await?;
        ready.push((conn, ground.row(number % usize::from(SERVERS), number)?));
    }
    let before = ground.syncs().await?;
    let begun = Instant::now();
    let mut work = JoinSet::new();
    for (conn, row) in ready {
        work.spawn(client(conn, row, begun + length));
    }
    let mut micros = Histogram::new(3)?;
    while let Some(done) = work.join_next().await {
        micros.add(done??)?;
    }
    let rate = micros.len() as f64 / begun.elapsed().as_secs_f64();
    let syncs = (ground.syncs().await? - before) / micros.len().max(1) as f64;
    Ok(Turn { rate, micros, syncs })
}

/// Changes its row and commits until it is time; how long each COMMIT took.
async fn client(mut conn: Conn, row: u64, until: Instant) -> anyhow::Result<Histogram<u64>> {
    let mut micros = Histogram::new(3)?;
    while Instant::now() < until {
        conn.query_drop("BEGIN").await?;
        conn.query_drop(format!("UPDATE cells SET v = v + 1 WHERE id = {row}")).await?;
        let begun = Instant::now();
        conn.query_drop("COMMIT").await?;
        micros.record(begun.elapsed().as_micros() as u64)?;
    }
    Ok(micros)
}
