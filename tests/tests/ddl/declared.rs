//! Tables declared by their COMMENT and by ALTER PODWAY TABLE: no row lands where the map does not look for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mysql_async::prelude::Queryable;
use podway_tests::Pod;
use podway_topology_api::OperationState;

use crate::ground::{Ground, code, refusal};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_that_come_while_a_table_comes_into_being_lie_where_their_key_leads() {
    let ground = Ground::new(Pod::shared().await, "ddl_being", 3, 2).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..3_u64 {
        let (mut conn, stop) = (ground.connect(1).await, stop.clone());
        writers.push(tokio::spawn(async move {
            let (mut written, mut refused) = (Vec::new(), 0);
            let mut id = writer;
            while !stop.load(Ordering::SeqCst) || written.len() < 20 {
                id += 3;
                match conn.query_drop(format!("INSERT INTO born (id) VALUES ({id})")).await {
                    Ok(()) => written.push(id),
                    Err(error) => {
                        assert_eq!(code(&error), 1146, "{error}");
                        refused += 1;
                    }
                }
            }
            (written, refused)
        }));
    }
    let mut conn = ground.connect(0).await;
    let sql = "CREATE TABLE born (id BIGINT PRIMARY KEY) COMMENT 'podway: shard by (id)'";
    conn.query_drop(sql).await.unwrap();
    stop.store(true, Ordering::SeqCst);
    let mut all = Vec::new();
    for writer in writers {
        let (written, refused) = writer.await.unwrap();
        assert!(refused > 0, "it began before the table was there");
        all.extend(written);
    }
    let mut there = 0;
    for shard in 0..3 {
        there += ground.on_shard::<u64>(shard, "SELECT COUNT(*) FROM {}.born").await[0];
    }
    assert_eq!(there, all.len() as u64);
    for id in all {
        let found: Option<u64> =
            conn.query_first(format!("SELECT COUNT(*) FROM born WHERE id = {id}")).await.unwrap();
        assert_eq!(found, Some(1), "row {id} is where its key leads");
    }
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_cannot_be_declared_is_not_made() {
    let ground = Ground::new(Pod::shared().await, "ddl_not", 3, 1).await;
    let mut conn = ground.connect(0).await;
    let cases = [
        ("id FLOAT PRIMARY KEY", "podway: shard by (id)", 1235),
        ("id BIGINT PRIMARY KEY", "podway: shard by (other)", 1235),
        ("id BIGINT, other BIGINT", "podway: shard by (id)", 1235),
        ("id BIGINT PRIMARY KEY", "podway: shard by id", 1064),
    ];
    for (columns, comment, expected) in cases {
        let (code, text) =
            refusal(&mut conn, &format!("CREATE TABLE odd ({columns}) COMMENT '{comment}'")).await;
        assert_eq!(code, expected, "{text}");
        assert_eq!(ground.columns("odd").await, vec![Vec::<String>::new(); 3], "{text}");
        assert_eq!(ground.known("odd").await, None);
    }
    // One that is there, at home or as a remainder elsewhere, is not taken over.
    conn.query_drop("CREATE TABLE mine (id BIGINT PRIMARY KEY)").await.unwrap();
    let again = "CREATE TABLE IF NOT EXISTS mine (id BIGINT PRIMARY KEY) COMMENT 'podway: shard by (id)'";
    assert_eq!(refusal(&mut conn, again).await.0, 1050);
    assert_eq!(ground.last().await.state, OperationState::Refused);
    let there: Vec<usize> = ground.columns("mine").await.iter().map(Vec::len).collect();
    assert_eq!(there, [1, 0, 0]);
    let altered = "ALTER TABLE mine COMMENT 'podway: shard by (id)'";
    assert_eq!(refusal(&mut conn, altered).await.0, 1235);
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_table_is_declared_and_undeclared_by_a_statement() {
    let ground = Ground::new(Pod::shared().await, "ddl_sql", 2, 1).await;
    let mut conn = ground.connect(0).await;
    for shard in 0..2 {
        ground.on_shard::<u64>(shard, "CREATE TABLE {}.t (id BIGINT PRIMARY KEY)").await;
    }
    conn.query_drop("ALTER PODWAY TABLE t SHARD BY (id)").await.unwrap();
    assert_eq!(ground.known("t").await, Some(vec!["id".to_owned()]));
    for id in 1..=20 {
        conn.query_drop(format!("INSERT INTO t VALUES ({id})")).await.unwrap();
    }
    let (code, text) = refusal(&mut conn, "ALTER PODWAY TABLE t REFERENCE").await;
    assert_eq!((code, text.contains("has rows")), (1105, true), "{text}");
    assert_eq!(refusal(&mut conn, "ALTER PODWAY TABLE t SHARD BY id").await.0, 1064);
    ground.close().await;
}
