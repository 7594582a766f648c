//! Four servers that sync their logs, behind a proxy, and what all parts of this benchmark need.

use anyhow::Context;
use hdrhistogram::Histogram;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway::provision::Declaration;
use podway_model::{ServerId, ShardIndex};
use podway_tests::{Pod, PodOptions, TestKeyspace};

/// Servers, one shard on each.
pub const SERVERS: u16 = 4;
/// Rows, on all of them.
const ROWS: u64 = 1_000;

/// Where it is measured.
pub struct Ground {
    /// Servers and a proxy.
    pub pod: &'static Pod,
    /// `cells`, sharded by `id`; `v` is 0 in all rows at first.
    pub keyspace: TestKeyspace<'static>,
    /// The ids of each shard's rows.
    pub ids: Vec<Vec<u64>>,
}

impl Ground {
    /// Starts it.
    pub async fn start() -> anyhow::Result<Ground> {
        let server_args =
            ["--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1", "--performance-schema=ON"];
        let options = PodOptions {
            servers: SERVERS.into(),
            server_args: server_args.map(str::to_owned).to_vec(),
            ..PodOptions::default()
        };
        let pod: &'static Pod = Box::leak(Box::new(Pod::start(options).await?));
        let keyspace = pod.keyspace("costs", SERVERS.into()).await?;
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

    /// A row of a shard that no other client has.
    pub fn row(&self, shard: usize, client: usize) -> anyhow::Result<u64> {
        self.ids[shard].get(client).copied().context("too many clients")
    }

    /// Syncs of all servers' logs until now: operations on log files that neither read nor write.
    pub async fn syncs(&self) -> anyhow::Result<f64> {
        let mut syncs = 0.0;
        for server in 0..u32::from(SERVERS) {
            let mut root: Conn = self.pod.admin(ServerId(server)).await?;
            let sql = "SELECT CAST(SUM(COUNT_MISC) AS DOUBLE) FROM performance_schema.file_summary_by_event_name \
                       WHERE EVENT_NAME IN ('wait/io/file/innodb/innodb_log_file', 'wait/io/file/sql/binlog')";
            syncs += root.query_first::<f64, _>(sql).await?.unwrap_or_default();
            root.disconnect().await?;
        }
        Ok(syncs)
    }
}

/// Of several rounds.
pub fn middle(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// A quantile in microseconds, at least one.
pub fn quantile(micros: &Histogram<u64>, share: f64) -> f64 {
    micros.value_at_quantile(share).max(1) as f64
}
