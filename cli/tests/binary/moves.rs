//! `podway shard move` as an operator types it, while an application writes through a proxy in a process of its own.

#![allow(clippy::unwrap_used, reason = "a panic is the failure's report")]

use mysql_async::prelude::Queryable;

use crate::cluster::Cluster;
use crate::podway::connect;

/// Rows, on both shards.
const ROWS: u64 = 20;

#[tokio::test]
async fn a_shard_moves_by_one_command_under_an_application_that_notices_nothing() {
    let cluster = Cluster::start(&[&[], &[], &[]]).await.unwrap();
    cluster.add_servers();
    cluster.done("keyspace create shop --shard a --shard b/shop__2 --create-schemas");
    for (index, schema) in ["shop", "shop__2"].into_iter().enumerate() {
        let create = format!("CREATE TABLE {schema}.counters (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)");
        cluster.admin(index).await.unwrap().query_drop(create).await.unwrap();
    }
    cluster.done("table declare shop.counters --by id");
    let password = cluster.file("app.password", "app's own\n").unwrap();
    let grant = ["--grant", "SELECT, INSERT, UPDATE", "--on", "shop"];
    let user = [&["user", "create", "app", "--password-file", &password][..], &grant].concat();
    assert_eq!(cluster.run_all(&user).code, Some(0));
    let mut proxy = cluster.proxy();
    let address = proxy.address();
    let mut conn = connect(address, "app", "app's own", "shop").await.unwrap();
    for id in 0..ROWS {
        conn.exec_drop("INSERT INTO counters VALUES (?, 0)", (id,)).await.unwrap();
    }
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let (first, begun) = tokio::sync::oneshot::channel();
    let writer = tokio::spawn(async move {
        let mut first = Some(first);
        let mut rounds = 0;
        while stopped.try_recv().is_err() {
            for id in 0..ROWS {
                let add = format!("UPDATE counters SET n = n + 1 WHERE id = {id}");
                conn.query_drop(add).await.expect("the application notices nothing");
            }
            rounds += 1;
            if let Some(first) = first.take() {
                first.send(()).expect("somebody waits");
            }
        }
        (rounds, conn)
    });
    begun.await.unwrap();

    let moved = cluster.done("shard move 2 --to c");
    assert!(moved.starts_with("shard 2 has moved to c in "), "{moved}");
    stop.send(()).unwrap();
    let (rounds, mut conn) = writer.await.unwrap();
    for id in 0..ROWS {
        let n: Option<u64> =
            conn.query_first(format!("SELECT n FROM counters WHERE id = {id}")).await.unwrap();
        assert_eq!(n, Some(rounds), "counter {id}");
    }
    let shard = cluster.json("shard show 2");
    assert_eq!((&shard["server"], &shard["epoch"]), (&"c".into(), &2.into()), "{shard}");
    let there: u64 = cluster
        .admin(2)
        .await
        .unwrap()
        .query_first("SELECT COUNT(*) FROM shop__2.counters")
        .await
        .unwrap()
        .unwrap();
    assert!(there > 0 && there < ROWS, "{there} rows have moved");
    let written = cluster.admin(1).await.unwrap().query_drop("DELETE FROM shop__2.counters").await;
    assert!(written.unwrap_err().to_string().contains("3989"), "the old owner's schema stays fenced");

    refusals(&cluster);
    what_is_left_behind(&cluster);
}

fn what_is_left_behind(cluster: &Cluster) {
    let left = cluster.json("shard retired");
    assert_eq!((&left[0]["server"], &left[0]["schema"]), (&"b".into(), &"shop__2".into()), "{left}");
    let status = cluster.done("status");
    assert!(status.contains("Left behind") && status.contains("23 h"), "{status}");
    let dropped = cluster.done("shard drop-retired b shop__2");
    assert_eq!(dropped, "retired schema shop__2 on server b is dropped");
    assert_eq!(cluster.done("shard retired"), "(none)");
    for words in ["shard drop-retired b shop__2", "shard forget-retired b shop__2"] {
        let ran = cluster.run(words);
        assert_eq!(ran.code, Some(1), "podway {words}: {ran:?}");
        assert!(ran.said.contains("there is no retired schema shop__2"), "podway {words}: {ran:?}");
    }
}

fn refusals(cluster: &Cluster) {
    for (words, part) in [
        ("shard move 2 --to c", "1"),
        ("shard move 2 --to nowhere", "there is no server nowhere"),
        ("shard move 9 --to a", "there is no shard 9"),
        ("shard cancel 2", "shard 2 is not moving"),
    ] {
        let ran = cluster.run(words);
        assert_eq!(ran.code, Some(1), "podway {words}: {ran:?}");
        assert!(format!("{ran:?}").contains(part), "podway {words}: {ran:?}");
    }
}
