//! What a shard left is dropped when its retention is over, as it was left and with nobody in it: not before, and never what has become something else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{ServerId, ShardIndex};
use podway_tests::{Pod, eventually_async};
use podway_topology::Moves;
use podway_topology_api::RetiredSchema;

use crate::ground::{DEADLINE, Ground, ledger};

const MOVING: ShardIndex = ShardIndex(1);
const SOURCE: u32 = 1;
const TARGET: u32 = 3;

/// A shop whose second shard has moved away, and the schema that it left.
async fn moved(name: &str) -> (Ground, String) {
    let ground = Ground::shop(Pod::shared().await, name, 2, Moves::default()).await;
    let schema = ground.keyspace.physical(MOVING);
    let id = ground.begin(MOVING, TARGET, &format!("{name}_moved")).await;
    ground.finish(id).await;
    (ground, schema)
}

async fn retired(ground: &Ground) -> Option<RetiredSchema> {
    ground.view().await.retired.into_iter().next()
}

async fn is_there(ground: &Ground, schema: &str) -> bool {
    let sql = format!("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '{schema}'");
    ground.server(SOURCE).await.query_first::<u64, _>(sql).await.unwrap() == Some(1)
}

async fn wait_until_dropped(ground: &Ground, schema: &str) {
    eventually_async(DEADLINE, "it is dropped", async || retired(ground).await.is_none().then_some(())).await;
    assert!(!is_there(ground, schema).await);
}

async fn wait_for_trouble(ground: &Ground, what: &str) {
    eventually_async(DEADLINE, what, async || {
        let trouble = retired(ground).await.and_then(|retired| retired.trouble);
        trouble.is_some_and(|trouble| trouble.contains(what)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_is_dropped_after_its_retention_and_its_place_is_free_again() {
    let (ground, schema) = moved("moves_retired").await;
    let left = retired(&ground).await.unwrap();
    assert_eq!((left.schema.as_str(), left.is_unwanted), (schema.as_str(), false));
    assert!(is_there(&ground, &schema).await);
    let mut inside = ground.server(SOURCE).await;
    inside.query_drop(format!("USE `{schema}`")).await.unwrap();
    ground.set("retired.retention", "0s").await;
    wait_for_trouble(&ground, "is in use: thread").await;
    inside.disconnect().await.unwrap();
    wait_until_dropped(&ground, &schema).await;
    let id = ground.begin(MOVING, SOURCE, &schema).await;
    ground.finish(id).await;
    let mut conn = ground.connect().await;
    conn.query_drop("UPDATE customers SET balance = 7 WHERE id = 1").await.unwrap();
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_is_not_as_it_was_left_stays_and_says_why() {
    let (ground, schema) = moved("moves_changed").await;
    let mut admin = ground.server(SOURCE).await;
    admin.query_drop(format!("ALTER DATABASE `{schema}` READ ONLY = 0")).await.unwrap();
    ground.set("retired.retention", "0s").await;
    wait_for_trouble(&ground, "is not READ ONLY any more: somebody has changed that").await;
    admin.query_drop("CREATE USER IF NOT EXISTS returning").await.unwrap();
    let pattern = schema.replace('_', "\\_");
    admin.query_drop(format!("GRANT SELECT ON `{pattern}`.* TO returning")).await.unwrap();
    admin.query_drop(format!("ALTER DATABASE `{schema}` READ ONLY = 1")).await.unwrap();
    wait_for_trouble(&ground, "can be used again by `returning`@`%`: revoke that").await;
    assert!(is_there(&ground, &schema).await);
    admin.query_drop(format!("REVOKE SELECT ON `{pattern}`.* FROM returning")).await.unwrap();
    wait_until_dropped(&ground, &schema).await;
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drop_that_was_interrupted_between_writable_and_gone_is_completed() {
    let (ground, schema) = moved("moves_half").await;
    let mut admin = ground.server(SOURCE).await;
    // As a server that was killed at this moment comes back.
    let going = format!("UPDATE _podway.departures SET is_going = 1 WHERE schema_name = '{schema}'");
    admin.query_drop(going).await.unwrap();
    admin.query_drop(format!("ALTER DATABASE `{schema}` READ ONLY = 0")).await.unwrap();
    admin.query_drop(format!("DROP TABLE `{schema}`.ledger")).await.unwrap();
    ground.set("retired.retention", "0s").await;
    wait_until_dropped(&ground, &schema).await;
    let sql = format!("SELECT COUNT(*) FROM _podway.departures WHERE schema_name = '{schema}'");
    assert_eq!(admin.query_first::<u64, _>(sql).await.unwrap(), Some(0));
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_schema_is_dropped_nobody_writes_into_it() {
    let ground = Ground::shop(Pod::shared().await, "moves_written", 2, Moves::default()).await;
    let (schema, customer) = (ground.keyspace.physical(MOVING), ground.customer(MOVING).await);
    for server in [SOURCE, TARGET] {
        let mut admin = ground.server(server).await;
        admin.query_drop("CREATE USER IF NOT EXISTS writing IDENTIFIED BY 'w'").await.unwrap();
        if server == SOURCE {
            admin
                .query_drop(format!("GRANT ALL ON `{}`.* TO writing", schema.replace('_', "\\_")))
                .await
                .unwrap();
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..3_u64 {
        let options = ground.keyspace.pod.direct_options(ServerId(SOURCE)).unwrap();
        let options = options.user(Some("writing")).pass(Some("w"));
        let (stop, schema) = (stop.clone(), schema.clone());
        writers.push(tokio::spawn(async move {
            let mut conn = Conn::new(options).await.unwrap();
            let mut written = BTreeSet::new();
            for n in 0.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let entry = 1_000_000 * (writer + 1) + n;
                let sql = format!("INSERT INTO `{schema}`.ledger VALUES ({customer}, {entry})");
                if conn.query_drop(sql).await.is_ok() {
                    written.insert((customer, entry));
                }
            }
            written
        }));
    }
    let id = ground.begin(MOVING, TARGET, "moves_written_moved").await;
    ground.finish(id).await;
    ground.set("retired.retention", "0s").await;
    wait_until_dropped(&ground, &schema).await;
    stop.store(true, Ordering::SeqCst);
    let mut written = BTreeSet::new();
    for writer in writers {
        written.extend(writer.await.unwrap());
    }
    assert!(!written.is_empty(), "they could write until the shard moved");
    let there: BTreeSet<(u64, u64)> = ledger(&ground).await.into_iter().collect();
    assert_eq!(written.difference(&there).count(), 0, "what was acknowledged went along");
    ground.close().await;
}
