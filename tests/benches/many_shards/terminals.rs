//! TPC-C's mix over four shards on four servers, beside one MySQL that has all warehouses, by the share of orders and payments that reach another warehouse. Servers sync their logs.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use podway_tests::workload::tpcc::{Scale, TABLES, Terminal, rows};
use tokio::task::JoinSet;

use crate::Args;
use crate::ground::Ground;

const SCALE: Scale = Scale { warehouses: 8, districts: 10, customers: 100, items: 1_000 };
/// The shares of transactions that reach another warehouse, which is mostly on another server.
const REMOTE: [f64; 3] = [0.0, 0.01, 0.15];
/// Deadlocks and lock timeouts: the transaction is begun anew.
const RETRIED: [u16; 2] = [1213, 1205];

/// Measures and prints.
pub async fn measure(args: &Args) -> anyhow::Result<()> {
    let server_args = ["--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1"];
    let ground = Ground::start("tpcc", &server_args, &TABLES, || Box::new(rows(SCALE))).await?;
    println!(
        "\n| remote | clients | transactions/s, MySQL | of MySQL | begun anew, MySQL |\n| --: | --: | --: | --: | --: |"
    );
    // Payments have numbers of their own for each terminal, so no number is used again.
    let mut first = 1;
    for remote in REMOTE {
        for &clients in &args.clients {
            let mut rates = [Vec::new(), Vec::new()];
            let mut anew = [0, 0];
            for _ in 0..args.rounds {
                for side in [0, 1] {
                    let (done, again) = turn(&ground, side, (clients, first), remote, args.seconds).await?;
                    rates[side].push(done as f64 / args.seconds);
                    anew[side] += again;
                }
                first += clients;
            }
            let [ours, plain] = rates.map(|mut all| {
                all.sort_by(f64::total_cmp);
                all[all.len() / 2]
            });
            println!(
                "| {remote} | {clients} | {ours:.0}, {plain:.0} | {:.2} | {}, {} |",
                ours / plain,
                anew[0],
                anew[1]
            );
        }
    }
    Ok(())
}

async fn turn(
    ground: &Ground,
    side: usize,
    (clients, first): (u32, u32),
    remote: f64,
    seconds: f64,
) -> anyhow::Result<(u64, u64)> {
    let mut conns = Vec::new();
    for _ in 0..clients {
        conns.push(if side == 0 { ground.keyspace.connect().await? } else { ground.plain().await? });
    }
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut work = JoinSet::new();
    for (nth, conn) in (first..).zip(conns) {
        work.spawn(client(conn, Terminal::new(SCALE, nth, remote, u64::from(nth)), until));
    }
    let (mut done, mut again) = (0, 0);
    while let Some(client) = work.join_next().await {
        let (its_done, its_again) = client??;
        done += its_done;
        again += its_again;
    }
    Ok((done, again))
}

async fn client(mut conn: Conn, mut terminal: Terminal, until: Instant) -> anyhow::Result<(u64, u64)> {
    let (mut done, mut again) = (0, 0);
    while Instant::now() < until {
        match terminal.turn(&mut conn).await {
            Ok(_) => done += 1,
            Err(Error::Server(error)) if RETRIED.contains(&error.code) => {
                conn.query_drop("ROLLBACK").await?;
                again += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    conn.disconnect().await?;
    Ok((done, again))
}
