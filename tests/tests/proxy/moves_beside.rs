//! A shard that changes its owner while another one stays on the same server: what began on the one after the freeze does not enter the other by the way.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use podway::provision::Declaration;
use podway_model::{FreezeId, ShardIndex};
use podway_tests::{Pod, TestKeyspace, eventually_async, is_left_out};

const DEADLINE: Duration = Duration::from_secs(30);
const FREEZE: FreezeId = FreezeId(77);
const CUSTOMERS: u64 = 40;

/// Two shards on each server.
async fn keyspace(name: &str) -> TestKeyspace<'static> {
    let pod = Pod::shared().await;
    let physical: Vec<String> = (0..2 * pod.server_ids().len()).map(|n| format!("{name}_{n}")).collect();
    let physical: Vec<&str> = physical.iter().map(String::as_str).collect();
    let keyspace = pod.keyspace_named(name, &physical).await.unwrap();
    let by_id = Declaration::sharded_by(&["id"]);
    let create = "CREATE TABLE customers (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)";
    keyspace.create_table(create, "customers", by_id).await.unwrap();
    let mut conn = keyspace.connect().await.unwrap();
    for id in 1..=CUSTOMERS {
        conn.query_drop(format!("INSERT INTO customers VALUES ({id}, 0)")).await.unwrap();
    }
    keyspace
}

/// The shard that is frozen (not the home shard, which new sessions ask for), a customer there, and one on another shard of its server.
async fn neighbours(keyspace: &TestKeyspace<'_>) -> (ShardIndex, u64, u64) {
    let shards = keyspace.get().shards.clone();
    let mut found = Vec::new();
    for (index, shard) in shards.iter().enumerate() {
        let mut server = keyspace.pod.admin(shard.server).await.unwrap();
        let sql = format!("SELECT MIN(id) FROM `{}`.customers WHERE id <= {CUSTOMERS}", shard.schema);
        if let Some(Some(id)) = server.query_first::<Option<u64>, _>(sql).await.unwrap() {
            found.push((ShardIndex(index as u16), shard.server, id));
        }
    }
    let pairs = found.iter().flat_map(|one| found.iter().map(move |other| (one, other)));
    let pair = pairs.into_iter().find(|(one, other)| one.0 > other.0 && one.1 == other.1);
    let ((frozen, _, there), (_, _, beside)) = pair.expect("two shards on one server");
    (*frozen, *there, *beside)
}

async fn freeze(keyspace: &TestKeyspace<'_>, shard: ShardIndex, freeze: Option<FreezeId>) {
    keyspace.change(|keyspace| keyspace.set_freeze(shard, freeze)).await.unwrap();
    let proxy = &keyspace.pod.proxy().proxy;
    let revision = keyspace.pod.map().revision;
    eventually_async(DEADLINE, "the map arrives", async || (proxy.applied() >= revision).then_some(())).await;
}

fn add(id: u64) -> String {
    format!("UPDATE customers SET balance = balance + 1 WHERE id = {id}")
}

#[tokio::test]
async fn a_transaction_that_began_under_a_freeze_waits_for_it_on_its_own_server_too() {
    if is_left_out("a map of its own making") {
        return;
    }
    let keyspace = keyspace("moves_beside").await;
    let proxy = &keyspace.pod.proxy().proxy;
    let (shard, there, beside) = neighbours(&keyspace).await;
    let mut before = keyspace.connect().await.unwrap();
    before.query_drop("BEGIN").await.unwrap();
    before.query_drop(add(beside)).await.unwrap();
    freeze(&keyspace, shard, Some(FREEZE)).await;
    before.query_drop(add(there)).await.unwrap();
    before.query_drop("COMMIT").await.unwrap();
    eventually_async(DEADLINE, "the freeze is acknowledged", async || {
        proxy.drained().contains(&FREEZE).then_some(())
    })
    .await;

    for both in [false, true] {
        let held = proxy.metrics().held;
        let mut after = keyspace.connect().await.unwrap();
        after.query_drop("BEGIN").await.unwrap();
        after.query_drop(add(beside)).await.unwrap();
        let sql = if both {
            format!("UPDATE customers SET balance = balance + 1 WHERE id IN ({there}, {beside})")
        } else {
            add(there)
        };
        let waiting = tokio::spawn(async move {
            after.query_drop(sql).await?;
            after.query_drop("COMMIT").await
        });
        eventually_async(DEADLINE, "it waits", async || (proxy.metrics().held > held).then_some(())).await;
        assert!(!waiting.is_finished());
        assert!(proxy.drained().contains(&FREEZE), "and nothing has to wait for it");
        freeze(&keyspace, shard, None).await;
        waiting.await.unwrap().unwrap();
        freeze(&keyspace, shard, Some(FREEZE)).await;
    }
    freeze(&keyspace, shard, None).await;
    let mut conn = keyspace.connect().await.unwrap();
    let sql = format!("SELECT balance FROM customers WHERE id IN ({there}, {beside}) ORDER BY balance");
    assert_eq!(conn.query::<u64, _>(sql).await.unwrap(), [3, 4]);
}
