//! A shard changes its owner while a client takes its time over the rows of several shards, in a transaction: the move waits for it as long as it may, also where the
//! shard's turn has yet to come.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use podway::provision::Declaration;
use podway_model::{FreezeId, Revision, ShardIndex};
use podway_proxy::ProxyConfig;
use podway_tests::{Pod, RunningProxy, TestKeyspace, eventually_async, is_left_out};
use podway_topology_api::{MapPublisher, map_channel};

const DEADLINE: Duration = Duration::from_secs(30);
const FREEZE: FreezeId = FreezeId(78);
/// Rows of each shard, of some 1,900 bytes: more than what sockets take on the way to a client that does not read.
const EACH: u64 = 8_000;

/// A keyspace with a shard on each server, each with many rows, and a proxy of its own, with the map that it follows.
async fn keyspace(
    name: &str,
    configure: fn(&mut ProxyConfig),
) -> (TestKeyspace<'static>, RunningProxy, MapPublisher) {
    let pod = Pod::shared().await;
    let keyspace = pod.keyspace(name, 3).await.unwrap();
    let by_id = Declaration::sharded_by(&["id"]);
    let create = "CREATE TABLE big (id BIGINT PRIMARY KEY, filler VARCHAR(2000) NOT NULL)";
    keyspace.create_table(create, "big", by_id).await.unwrap();
    for shard in 0..3 {
        let mut conn = keyspace.direct(ShardIndex(shard)).await.unwrap();
        conn.query_drop(format!("SET cte_max_recursion_depth = {EACH}")).await.unwrap();
        conn.query_drop(format!(
            "INSERT INTO big WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {EACH}) \
             SELECT n * 3 + {shard}, REPEAT('x', 1900) FROM n"
        ))
        .await
        .unwrap();
    }
    let (publisher, watch) = map_channel((*pod.map()).clone());
    let proxy = pod.another_proxy(watch, configure).await.unwrap();
    (keyspace, proxy, publisher)
}

async fn connect(keyspace: &TestKeyspace<'_>, proxy: &RunningProxy) -> Conn {
    let options = keyspace.pod.client_options().tcp_port(proxy.address.port());
    Conn::new(options.db_name(Some(&keyspace.name))).await.unwrap()
}

/// Freezes the last shard, and waits until the proxy knows.
async fn freeze(keyspace: &TestKeyspace<'_>, proxy: &RunningProxy, publisher: &MapPublisher) {
    let mut map = (*publisher.current()).clone();
    let mut frozen = (**map.keyspace_spelled(&keyspace.name).unwrap()).clone();
    frozen.set_freeze(ShardIndex(2), Some(FREEZE));
    map.put_keyspace(frozen).unwrap();
    map.revision = Revision(map.revision.0 + 1);
    let revision = map.revision;
    publisher.publish(map).unwrap();
    eventually_async(DEADLINE, "the freeze arrives", async || {
        (proxy.proxy.applied() >= revision).then_some(())
    })
    .await;
}

async fn until_drained(proxy: &RunningProxy) {
    eventually_async(DEADLINE, "the proxy drains the shard", async || {
        proxy.proxy.drained().contains(&FREEZE).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_move_waits_for_a_reader_that_comes_to_its_shard_later() {
    if is_left_out("a map of its own making") {
        return;
    }
    let (keyspace, proxy, publisher) =
        keyspace("moves_reader", |config| config.client.drain_deadline = DEADLINE * 10).await;
    let mut reader = connect(&keyspace, &proxy).await;
    reader.query_drop("BEGIN").await.unwrap();
    let mut result = reader.query_iter("SELECT * FROM big").await.unwrap();
    let _: Row = result.next().await.unwrap().unwrap();
    freeze(&keyspace, &proxy, &publisher).await;
    assert!(!proxy.proxy.drained().contains(&FREEZE), "the shard's turn has yet to come");
    let mut rows = 1;
    while result.next().await.unwrap().is_some() {
        rows += 1;
        if rows % 1_000 == 0 {
            assert!(!proxy.proxy.drained().contains(&FREEZE), "after {rows} rows");
        }
    }
    drop(result);
    assert_eq!(rows, 3 * EACH);
    assert!(!proxy.proxy.drained().contains(&FREEZE), "the transaction is open");
    reader.query_drop("COMMIT").await.unwrap();
    until_drained(&proxy).await;
}

#[tokio::test]
async fn a_reader_that_takes_too_long_is_told_to_begin_anew() {
    if is_left_out("a map of its own making") {
        return;
    }
    let (keyspace, proxy, publisher) =
        keyspace("moves_slow", |config| config.client.drain_deadline = Duration::from_millis(100)).await;
    let mut reader = connect(&keyspace, &proxy).await;
    let id = reader.id();
    reader.query_drop("BEGIN").await.unwrap();
    let mut result = reader.query_iter("SELECT * FROM big").await.unwrap();
    let _: Row = result.next().await.unwrap().unwrap();
    freeze(&keyspace, &proxy, &publisher).await;
    // It reads on so slowly that its time is over before its rows are.
    let mut rows = 1;
    let error = loop {
        match result.next().await {
            Ok(Some(_)) => rows += 1,
            Ok(None) => panic!("it was read to its end before its time was over"),
            Err(Error::Server(error)) => break error,
            Err(error) => panic!("not an answer of the server: {error}"),
        }
        if rows % 4 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    drop(result);
    assert_eq!(error.code, 1213, "{}", error.message);
    until_drained(&proxy).await;
    let same: Option<u32> = reader.query_first("SELECT CONNECTION_ID()").await.unwrap();
    assert_eq!(same, Some(id), "the session goes on");
}
