//! Servers with `innodb_rollback_on_timeout`: a lock that does not come rolls back the whole transaction, as on one MySQL.

use mysql_async::prelude::Queryable;
use podway::provision::Declaration;
use podway_model::{ServerId, ShardIndex};
use podway_tests::{Pod, PodOptions, is_left_out};

use crate::ground::{Both, answer};

/// Servers with a shard; a further one is MySQL alone.
const SHARDS: u16 = 2;
const CREATE: &str = "CREATE TABLE cells (id BIGINT PRIMARY KEY, v BIGINT NOT NULL)";

#[tokio::test]
async fn a_lock_that_does_not_come_rolls_back_on_all_servers_where_they_are_set_so() {
    if is_left_out("servers with settings of their own") {
        return;
    }
    let server_args = ["--innodb-rollback-on-timeout=ON", "--performance-schema=ON"];
    let options = PodOptions {
        servers: usize::from(SHARDS) + 1,
        server_args: server_args.map(str::to_owned).to_vec(),
        ..PodOptions::default()
    };
    let pod = Pod::start(options).await.unwrap();
    let keyspace = pod.keyspace("timeouts", SHARDS.into()).await.unwrap();
    keyspace.create_table(CREATE, "cells", Declaration::sharded_by(&["id"])).await.unwrap();
    let mut alone = pod.admin(ServerId(SHARDS.into())).await.unwrap();
    for sql in ["CREATE DATABASE timeouts", "USE timeouts", CREATE] {
        alone.query_drop(sql).await.unwrap();
    }
    let mut ours = keyspace.connect().await.unwrap();
    for id in 1..=20 {
        for conn in [&mut ours, &mut alone] {
            conn.query_drop(format!("INSERT INTO cells VALUES ({id}, 0)")).await.unwrap();
        }
    }
    let mut rows = Vec::new();
    for shard in 0..SHARDS {
        let mut direct = keyspace.direct(ShardIndex(shard)).await.unwrap();
        let ids: Vec<u64> = direct.query("SELECT id FROM cells ORDER BY id").await.unwrap();
        rows.push(ids);
    }
    let mut both = Both { ours, theirs: alone };
    both.same("SET innodb_lock_wait_timeout = 1").await;
    // On the first server of the transaction, and on a later one.
    for blocked in [rows[0][2], rows[1][2]] {
        let mut holders =
            [keyspace.connect().await.unwrap(), pod.admin(ServerId(SHARDS.into())).await.unwrap()];
        for holder in &mut holders {
            holder.query_drop("BEGIN").await.unwrap();
            holder.query_drop(format!("UPDATE timeouts.cells SET v = v WHERE id = {blocked}")).await.unwrap();
        }
        let add = |id: u64| format!("UPDATE cells SET v = v + 1 WHERE id = {id}");
        both.same("BEGIN").await;
        both.same(&add(rows[0][0])).await;
        both.same(&add(rows[1][0])).await;
        assert_eq!(both.same(&add(blocked)).await, "error 1205 HY000");
        // Nothing of it is left, and no transaction is open any more: what comes next stands alone.
        both.same("SELECT id, v FROM cells ORDER BY id").await;
        both.same(&add(rows[0][1])).await;
        both.same("ROLLBACK").await;
        both.same("SELECT id, v FROM cells ORDER BY id").await;
        for holder in &mut holders {
            holder.query_drop("ROLLBACK").await.unwrap();
        }
        // What waited can be done now.
        both.same(&add(blocked)).await;
    }
    let prepared = answer(&mut pod.admin(ServerId(0)).await.unwrap(), "XA RECOVER").await;
    assert_eq!(prepared, "0 rows affected");
}
