//! `podway demo`: comes up, holds what it says, ends without a trace, and comes back with its data.

use std::fs;

use mysql_async::prelude::Queryable;
use nix::sys::signal::Signal;
use podway::demo::STATEMENTS;

use crate::podway::{Podway, connect, errno, wait_until_gone};

const ORDERS: &str = "SELECT COUNT(*) FROM orders WHERE customer_id = ?";

#[tokio::test]
async fn a_demo_is_what_it_says_and_leaves_nothing() {
    let mut podway = Podway::start(&["demo", "--shards", "2", "--port", "0"]);
    let address = podway.address();
    let mut conn = connect(address, "demo", "demo", "shop").await.unwrap();
    for id in 1..=40 {
        let name: Option<String> =
            conn.exec_first("SELECT name FROM customers WHERE id = ?", (id,)).await.unwrap();
        assert!(name.is_some(), "customer {id}");
        let orders: Option<u64> = conn.exec_first(ORDERS, (id,)).await.unwrap();
        assert_eq!(orders, Some(3), "orders of customer {id}");
    }
    let database: Option<String> = conn.query_first("SELECT DATABASE()").await.unwrap();
    assert_eq!(database.as_deref(), Some("shop"));
    let setting: Option<String> =
        conn.query_first("SELECT value FROM settings WHERE name = 'currency'").await.unwrap();
    assert_eq!(setting.as_deref(), Some("EUR"));

    for statement in STATEMENTS {
        let mut result =
            conn.query_iter(statement.sql).await.unwrap_or_else(|error| panic!("{}: {error}", statement.sql));
        let rows: Vec<mysql_async::Row> = result.collect().await.unwrap();
        result.drop_result().await.unwrap();
        assert!(!rows.is_empty() || !statement.sql.starts_with("SELECT"), "{} finds rows", statement.sql);
    }
    let orders: Option<u64> = conn.exec_first(ORDERS, (42,)).await.unwrap();
    assert_eq!(orders, Some(4), "the inserted one is there");
    let elsewhere = conn.query_drop("CREATE DATABASE elsewhere").await.unwrap_err();
    assert!(errno(&elsewhere).is_some(), "{elsewhere}");

    let children = podway.children();
    let ended = podway.end(Signal::SIGTERM);
    assert!(ended.status.success(), "{}: {}", ended.status, ended.said);
    assert!(!cfg!(target_os = "linux") || children.len() >= 2, "servers were children");
    wait_until_gone(&children);
}

/// Where a demo says that its topology is.
fn topology_of(podway: &mut Podway) -> String {
    podway.line(&format!("  {} status --topology ", env!("CARGO_BIN_EXE_podway")))
}

#[tokio::test]
async fn a_kept_demo_comes_back_with_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("shop");
    let kept = kept.to_str().unwrap();
    let mut podway = Podway::start(&["demo", "--shards", "2", "--port", "0", "--data-dir", kept]);
    let mut conn = connect(podway.address(), "demo", "demo", "shop").await.unwrap();
    let insert =
        "INSERT INTO customers (id, name, email, country_code) VALUES (?, 'New', 'new@example.com', 'NO')";
    for id in 5_001..=5_010 {
        conn.exec_drop(insert, (id,)).await.unwrap();
    }
    conn.disconnect().await.unwrap();
    let topology = topology_of(&mut podway);
    let status = Podway::run(&["status", "--topology", &topology]);
    assert!(status.code == Some(0) && status.printed.contains("All is well"), "{status:?}");
    let set = Podway::run(&["settings", "set", "proxy.lease", "13s", "--topology", &topology]);
    assert_eq!(set.code, Some(0), "{set:?}");
    let children = podway.children();
    let ended = podway.end(Signal::SIGINT);
    assert!(ended.status.success(), "{}: {}", ended.status, ended.said);
    wait_until_gone(&children);

    let mut again = Podway::start(&["demo", "--port", "0", "--data-dir", kept]);
    let mut conn = connect(again.address(), "demo", "demo", "shop").await.unwrap();
    for id in [1, 42, 1_000, 5_001, 5_005, 5_010] {
        let name: Option<String> =
            conn.exec_first("SELECT name FROM customers WHERE id = ?", (id,)).await.unwrap();
        assert!(name.is_some(), "customer {id}");
    }
    let topology = topology_of(&mut again);
    let settings = Podway::run(&["settings", "list", "--topology", &topology]);
    assert!(settings.printed.contains("13s"), "what was set is kept: {settings:?}");
    let mut second = Podway::start(&["demo", "--port", "0", "--data-dir", kept]);
    let refused = second.wait();
    assert!(!refused.status.success() && refused.said.contains("in use"), "{}", refused.said);
    drop(conn);
    assert!(again.end(Signal::SIGTERM).status.success());

    let refused = Podway::start(&["demo", "--shards", "3", "--data-dir", kept]).wait();
    assert!(!refused.status.success());
    assert!(refused.said.contains("2 shards") && refused.said.contains("--shards 3"), "{}", refused.said);
}

#[tokio::test]
async fn a_load_that_was_cut_short_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("shop");
    let args = ["demo", "--shards", "2", "--port", "0", "--data-dir", kept.to_str().unwrap()];
    let mut podway = Podway::start(&args);
    let mut conn = connect(podway.address(), "demo", "demo", "shop").await.unwrap();
    conn.query_drop("DELETE FROM customers WHERE id = 42").await.unwrap();
    drop(conn);
    assert!(podway.end(Signal::SIGTERM).status.success());

    let layout = kept.join("podway-demo.toml");
    let text = fs::read_to_string(&layout).unwrap().replace("\"loaded\"", "\"loading\"");
    fs::write(&layout, text).unwrap();
    let mut again = Podway::start(&args);
    let mut conn = connect(again.address(), "demo", "demo", "shop").await.unwrap();
    let name: Option<String> = conn.query_first("SELECT name FROM customers WHERE id = 42").await.unwrap();
    assert!(name.is_some(), "all rows are there");
    assert!(fs::read_to_string(&layout).unwrap().contains("\"loaded\""));
}

#[tokio::test]
async fn an_empty_demo_with_one_shard_takes_every_statement() {
    let mut podway = Podway::start(&["demo", "--shards", "1", "--port", "0", "--no-data"]);
    let mut conn = connect(podway.address(), "demo", "demo", "shop").await.unwrap();
    let (customers, tables): (u64, u64) = conn
        .query_first(
            "SELECT (SELECT COUNT(*) FROM customers), (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'shop')",
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!((customers, tables), (0, 4));
    assert!(podway.end(Signal::SIGTERM).status.success());
}
