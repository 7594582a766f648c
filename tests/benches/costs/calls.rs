//! What it costs that decisions and marks are written by procedures, which check a token, and not by bare statements, which any user could write too: on one connection to one server, in turns.

use std::time::Instant;

use anyhow::Context;
use hdrhistogram::Histogram;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{ServerId, ShardIndex, transaction_token};

use crate::Args;
use crate::ground::{Ground, quantile};

/// Of each kind in each round.
const TIMES: u64 = 200;
/// Long after every run.
const LATER: i64 = 4_000_000_000_000_000;
/// Earlier than all stamps.
const STAMP: u64 = 1;

/// One writer of Podway's rows.
struct Writer {
    conn: Conn,
    key: String,
    row: u64,
    number: u64,
}

/// Measures and prints.
pub async fn measure(ground: &Ground, args: &Args) -> anyhow::Result<()> {
    let mut conn = ground.pod.admin(ServerId(0)).await?;
    conn.query_drop(format!("USE `{}`", ground.keyspace.physical(ShardIndex(0)))).await?;
    let map = ground.pod.map();
    let uuid = &map.server(ServerId(0)).context("no such server")?.uuid;
    let key = ground.pod.secret().transaction_key(uuid);
    let mut writer = Writer { conn, key, row: ground.row(0, 0)?, number: 0 };
    println!(
        "\n| what | procedure p50 µs | bare p50 µs | of bare | p99, of bare |\n| :-- | --: | --: | --: | --: |"
    );
    for (what, is_decision) in [("a mark", false), ("a decision, its mark and COMMIT", true)] {
        let mut micros = [Histogram::new(3)?, Histogram::new(3)?];
        for _ in 0..args.rounds {
            for (nth, is_called) in [true, false].into_iter().enumerate() {
                for _ in 0..TIMES {
                    micros[nth].record(writer.time(is_decision, is_called).await?)?;
                }
            }
        }
        let [called, bare] = [0, 1].map(|nth| [0.5, 0.99].map(|share| quantile(&micros[nth], share)));
        println!(
            "| {what} | {:.0} | {:.0} | {:.2} | {:.2} |",
            called[0],
            bare[0],
            called[0] / bare[0],
            called[1] / bare[1]
        );
    }
    writer.conn.query_drop("DELETE FROM _podway.decision WHERE cts = 1").await?;
    writer.conn.query_drop("DELETE FROM _podway.mark WHERE ts = 1").await?;
    Ok(())
}

impl Writer {
    /// In a transaction that has changed a row: how long it took, in microseconds.
    async fn time(&mut self, is_decision: bool, is_called: bool) -> anyhow::Result<u64> {
        self.number += 1;
        let g = format!("{STAMP:016x}-00fd-0001-{:08x}", self.number);
        let thread = self.conn.id().to_string();
        let (later, stamp) = (LATER.to_string(), STAMP.to_string());
        let token = |parts: &[&str]| transaction_token(&self.key, parts);
        let mark = format!("INSERT INTO _podway.mark (g, ts, parts) VALUES ('{g}', {STAMP}, '0,1')");
        let sql = match (is_decision, is_called) {
            (false, true) => {
                let token = token(&["mark", &thread, &g, &stamp, "0,1"]);
                format!("CALL _podway.mark('{token}', '{g}', {STAMP}, '0,1')")
            }
            (false, false) => mark,
            (true, true) => {
                let token = token(&["decide", &thread, &g, &later, &stamp, "0,1"]);
                format!("CALL _podway.decide('{token}', '{g}', {LATER}, {STAMP}, '0,1')")
            }
            (true, false) => format!(
                "INSERT INTO _podway.decision (g, st, cts, parts) VALUES ('{g}', 'C', {STAMP}, '0,1'); {mark}; COMMIT"
            ),
        };
        self.conn.query_drop("BEGIN").await?;
        self.conn.query_drop(format!("UPDATE cells SET v = v + 1 WHERE id = {}", self.row)).await?;
        let begun = Instant::now();
        self.conn.query_drop(sql).await?;
        let micros = begun.elapsed().as_micros() as u64;
        self.conn.query_drop("ROLLBACK").await?;
        Ok(micros)
    }
}
