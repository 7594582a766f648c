//! What a COMMIT over several servers costs, beside plain COMMITs sent to the same servers at the same time, which are not atomic: a lower bound for whatever is. In one run, in turns.
//!
//! `cargo bench -p podway-tests --bench commits -- --help`

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use hdrhistogram::Histogram;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway::provision::Declaration;
use podway_model::{ServerId, ShardIndex};
use podway_tests::{Pod, PodOptions, TestKeyspace};
use tokio::task::JoinSet;

/// Servers, one shard on each.
const SERVERS: u16 = 4;
/// Rows: each client has one of its own on each server.
const ROWS: u64 = 1_000;

/// Compares commits over several servers with plain ones
#[derive(Clone, Debug, Parser)]
#[command(name = "commits")]
struct Args {
    /// Over how many servers
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4])]
    servers: Vec<usize>,
    /// How many clients at a time
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    clients: Vec<usize>,
    /// How often each has its turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a turn is, in milliseconds
    #[arg(long, default_value_t = 2_000)]
    turn_ms: u64,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// Who commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Podway,
    /// A connection to each server, and COMMIT to all of them at once.
    Plain,
}

/// What a turn came to.
struct Turn {
    commits: u64,
    took: Duration,
    micros: Histogram<u64>,
    /// Of all servers: syncs of the redo log and the binary log, and commands.
    syncs: f64,
    commands: f64,
}

struct Ground {
    pod: &'static Pod,
    keyspace: TestKeyspace<'static>,
    ids: Vec<Vec<u64>>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&args))
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let ground = Ground::start().await?;
    println!(
        "| servers | clients | commits/s, of plain | p50 µs, plain | p50, of plain | p99, of plain | syncs, plain | commands, plain |"
    );
    println!("| --: | --: | --: | --: | --: | --: | --: | --: |");
    for &servers in &args.servers {
        for &clients in &args.clients {
            let mut turns = [Vec::new(), Vec::new()];
            for _ in 0..args.rounds {
                for (nth, way) in [Way::Podway, Way::Plain].into_iter().enumerate() {
                    let length = Duration::from_millis(args.turn_ms);
                    turns[nth].push(ground.turn(way, servers, clients, length).await?);
                }
            }
            let ratio = |of: &dyn Fn(&Turn) -> f64| {
                let all = turns[0].iter().zip(&turns[1]).map(|(ours, plain)| of(ours) / of(plain));
                middle(all.collect())
            };
            let both = |of: &dyn Fn(&Turn) -> f64| {
                let [ours, plain] = [0, 1].map(|nth| middle(turns[nth].iter().map(of).collect()));
                format!("{ours:.1}, {plain:.1}")
            };
            let quantile = |share: f64| move |turn: &Turn| turn.micros.value_at_quantile(share).max(1) as f64;
            println!(
                "| {servers} | {clients} | {:.2} | {} | {:.2} | {:.2} | {} | {} |",
                ratio(&|turn| turn.commits as f64 / turn.took.as_secs_f64()),
                both(&quantile(0.5)),
                ratio(&quantile(0.5)),
                ratio(&quantile(0.99)),
                both(&|turn| turn.syncs / turn.commits.max(1) as f64),
                both(&|turn| turn.commands / turn.commits.max(1) as f64),
            );
        }
    }
    Ok(())
}

fn middle(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

impl Ground {
    async fn start() -> anyhow::Result<Ground> {
        let server_args =
            ["--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1", "--performance-schema=ON"];
        let options = PodOptions {
            servers: SERVERS.into(),
            server_args: server_args.map(str::to_owned).to_vec(),
            ..PodOptions::default()
        };
        let pod: &'static Pod = Box::leak(Box::new(Pod::start(options).await?));
        let keyspace = pod.keyspace("commits", SERVERS.into()).await?;
        let create = "CREATE TABLE cells (id BIGINT PRIMARY KEY, v BIGINT NOT NULL)";
        keyspace.create_table(create, "cells", Declaration::sharded_by(&["id"])).await?;
        let mut conn = keyspace.connect().await?;
        for id in 1..=ROWS {
            conn.query_drop(format!("INSERT INTO cells VALUES ({id}, 0)")).await?;
        }
        let mut ids = Vec::new();
        for shard in 0..SERVERS {
            let mut direct = keyspace.direct(ShardIndex(shard)).await?;
            ids.push(direct.query("SELECT id FROM cells ORDER BY id").await?);
        }
        Ok(Ground { pod, keyspace, ids })
    }

    async fn turn(&self, way: Way, servers: usize, clients: usize, length: Duration) -> anyhow::Result<Turn> {
        let mut work = JoinSet::new();
        let mut ready = Vec::new();
        for client in 0..clients {
            let of = |shard: usize| self.ids[shard].get(client).copied().context("too many clients");
            let ids: Vec<u64> = (0..servers).map(of).collect::<Result<_, _>>()?;
            let mut conns = Vec::new();
            match way {
                Way::Podway => conns.push(self.keyspace.connect().await?),
                Way::Plain => {
                    for shard in 0..servers {
                        conns.push(self.keyspace.direct(ShardIndex(shard as u16)).await?);
                    }
                }
            }
            ready.push((conns, ids));
        }
        let (syncs, commands) = self.counted().await?;
        let begun = Instant::now();
        for (conns, ids) in ready {
            work.spawn(client(way, conns, ids, begun + length));
        }
        let mut micros = Histogram::new(3)?;
        while let Some(done) = work.join_next().await {
            micros.add(done??)?;
        }
        let took = begun.elapsed();
        let (syncs_after, commands_after) = self.counted().await?;
        let (syncs, commands) = (syncs_after - syncs, commands_after - commands);
        Ok(Turn { commits: micros.len(), took, micros, syncs, commands })
    }

    /// Syncs of logs, and commands, of all servers until now. What is counted as a sync are operations on log files that neither read nor write.
    async fn counted(&self) -> anyhow::Result<(f64, f64)> {
        let (mut syncs, mut commands) = (0.0, 0.0);
        for server in 0..u32::from(SERVERS) {
            let mut root = self.pod.admin(ServerId(server)).await?;
            let sql = "SELECT CAST(SUM(COUNT_MISC) AS DOUBLE) FROM performance_schema.file_summary_by_event_name \
                       WHERE EVENT_NAME IN ('wait/io/file/innodb/innodb_log_file', 'wait/io/file/sql/binlog')";
            syncs += root.query_first::<f64, _>(sql).await?.unwrap_or_default();
            let sql = "SELECT CAST(VARIABLE_VALUE AS DOUBLE) FROM performance_schema.global_status \
                       WHERE VARIABLE_NAME = 'Questions'";
            commands += root.query_first::<f64, _>(sql).await?.unwrap_or_default();
            root.disconnect().await?;
        }
        Ok((syncs, commands))
    }
}

/// Changes its rows and commits until it is time; how long each COMMIT took.
async fn client(
    way: Way,
    mut conns: Vec<Conn>,
    ids: Vec<u64>,
    until: Instant,
) -> anyhow::Result<Histogram<u64>> {
    let mut micros = Histogram::new(3)?;
    while Instant::now() < until {
        for conn in &mut conns {
            conn.query_drop("BEGIN").await?;
        }
        for (nth, id) in ids.iter().enumerate() {
            let conn = &mut conns[if way == Way::Plain { nth } else { 0 }];
            conn.query_drop(format!("UPDATE cells SET v = v + 1 WHERE id = {id}")).await?;
        }
        let begun = Instant::now();
        let mut commits = JoinSet::new();
        for (nth, mut conn) in conns.drain(..).enumerate() {
            commits.spawn(async move { conn.query_drop("COMMIT").await.map(|()| (nth, conn)) });
        }
        let mut back = Vec::new();
        while let Some(done) = commits.join_next().await {
            back.push(done??);
        }
        micros.record(begun.elapsed().as_micros() as u64)?;
        // They come back in any order, and each row is on its own server.
        back.sort_by_key(|(nth, _)| *nth);
        conns.extend(back.into_iter().map(|(_, conn)| conn));
    }
    Ok(micros)
}
