//! `podway txn` on branches that were left prepared by hand, without a proxy that would finish them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::Value;

use crate::cluster::Cluster;

fn json(cluster: &Cluster, line: &str) -> Value {
    let ran = cluster.run(&format!("{line} --json"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.printed).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

/// The id of a transaction that began so long ago, of a proxy that does not run.
fn begun(ago: Duration, sequence: u32) -> String {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() - ago;
    let (seconds, sub) = (at.as_secs(), (u64::from(at.subsec_nanos()) << 32) / 1_000_000_000);
    format!("{:016x}-0007-0003-{sequence:08x}", seconds << 32 | sub)
}

/// Longer ago than decisions are kept.
const LONG_AGO: Duration = Duration::from_secs(25 * 3_600);

async fn all(conn: &mut Conn, statements: &[String]) {
    for sql in statements {
        conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// Prepares a branch on `b`, begun on the server of this number, that writes a row, and leaves it.
async fn leave(b: &mut Conn, gtrid: &str, first: u64, server: u64, row: u32) {
    let xid = format!("'{gtrid}','{first}.{server}',1347");
    let work = format!("INSERT INTO shop__2.t VALUES ({row})");
    all(b, &[format!("XA START {xid}"), work, format!("XA END {xid}"), format!("XA PREPARE {xid}")]).await;
}

// structure: six branches with one cluster, each seen before and after
#[tokio::test]
async fn what_is_prepared_is_finished_as_its_first_server_says_and_not_as_somebody_likes() {
    let cluster = Cluster::start(&[&[], &[]]).await.expect("servers");
    cluster.add_servers();
    cluster.done("keyspace create shop --shard a --shard b/shop__2 --create-schemas");
    let servers = json(&cluster, "server list");
    let id = |nth: usize| servers[nth]["id"].as_u64().unwrap_or_else(|| panic!("{servers:#}"));
    let (mut a, mut b) = (cluster.admin(0).await.expect("a login"), cluster.admin(1).await.expect("a login"));
    b.query_drop("CREATE TABLE shop__2.t (id INT PRIMARY KEY)").await.unwrap();
    let now = Duration::ZERO;
    let ids: Vec<String> = [now, now, LONG_AGO, LONG_AGO, LONG_AGO, now]
        .into_iter()
        .zip(1..)
        .map(|(ago, n)| begun(ago, n))
        .collect();
    let [undecided, committed, old, old_committed, old_marked, orphan] = &ids[..] else { unreachable!() };
    for (row, gtrid) in (1..).zip(&ids) {
        let first = if gtrid == orphan { 4_711 } else { id(0) };
        leave(&mut b, gtrid, first, id(1), row).await;
    }
    let sql = "INSERT INTO _podway.decision (g, st, cts, parts) VALUES (?, 'C', ?, '')";
    a.exec_drop(sql, (committed, 1_005)).await.unwrap();
    a.exec_drop(sql, (old_committed, 1_006)).await.unwrap();
    // The first server has forgotten its decision; its own part's mark is left.
    a.exec_drop("INSERT INTO _podway.mark (g, ts, parts) VALUES (?, 1007, '')", (old_marked,)).await.unwrap();

    // Who waits for a prepared row is shown.
    let mut waiter = cluster.admin(1).await.expect("a login");
    let waiting = tokio::spawn(async move {
        let _until_it_may = waiter.query_drop("INSERT INTO shop__2.t VALUES (1)").await;
    });
    let shown = crate::cluster::eventually("who waits is shown", async || {
        let shown = json(&cluster, &format!("txn show {undecided}"));
        if shown["waiting"][0].is_null() { Err(shown) } else { Ok(shown) }
    })
    .await;
    assert_eq!(shown["outcome"], "not decided yet");
    assert_eq!(shown["waiting"][0]["statement"], "INSERT INTO shop__2.t VALUES (1)");
    assert_eq!(shown["waiting"][0]["server"], "b");

    let refused = |line: String, code: i32, text: &str| {
        let ran = cluster.run(&line);
        assert_eq!(ran.code, Some(code), "{line}: {ran:?}");
        assert!(ran.said.contains(text), "{line}: {ran:?}");
    };
    let give_up = |gtrid: &str| format!("txn resolve {gtrid} --roll-back-undecidable {gtrid}");
    for decidable in [undecided, committed, old_committed, old_marked] {
        refused(give_up(decidable), 1, "not for anybody to choose");
    }
    for undecidable in [old, orphan] {
        refused(format!("txn resolve {undecidable}"), 1, "nobody can say");
        refused(
            format!("txn resolve {undecidable} --roll-back-undecidable {committed}"),
            2,
            "the same id again",
        );
    }
    let long_gone = json(&cluster, &format!("txn show {old}"));
    assert!(
        long_gone["outcome"].as_str().is_some_and(|text| text.contains("restored from a backup")),
        "{long_gone}"
    );
    let listed: Vec<String> =
        b.query_map("XA RECOVER", |(_, _, _, data): (u64, u64, u64, String)| data).await.unwrap();
    assert_eq!(listed.len(), 6, "nothing was done: {listed:?}");

    for (line, outcome) in [
        (format!("txn resolve {undecided}"), "rolled back"),
        (format!("txn resolve {committed}"), "committed"),
        (format!("txn resolve {old_committed}"), "committed"),
        (format!("txn resolve {old_marked}"), "committed"),
        (give_up(old), "rolled back"),
        (give_up(orphan), "rolled back"),
    ] {
        let resolved = json(&cluster, &line);
        assert_eq!(resolved["outcome"], outcome, "{line}: {resolved}");
        assert_eq!(resolved["finished_on"], serde_json::json!(["b"]), "{line}: {resolved}");
        assert_eq!(resolved["still_prepared_on"], serde_json::json!([]), "{line}: {resolved}");
    }
    waiting.await.unwrap();
    let rows: Vec<u32> = b.query("SELECT id FROM shop__2.t ORDER BY id").await.unwrap();
    assert_eq!(rows, [1, 2, 4, 5], "1 is the waiting statement's");
    let tombstones: Vec<String> = a.query("SELECT g FROM _podway.decision WHERE st = 'A'").await.unwrap();
    assert_eq!(&tombstones[..], std::slice::from_ref(undecided), "no late coordinator commits it");
    let floors: Vec<u64> =
        b.query("SELECT ts FROM _podway.mark WHERE g LIKE '%-floor' ORDER BY ts").await.unwrap();
    assert_eq!(floors, [1_005, 1_006, 1_007]);
    refused(format!("txn resolve {undecided}"), 1, "nothing to do");
}

#[tokio::test]
async fn transactions_that_are_not_finished_are_shown_with_what_was_decided() {
    let cluster = Cluster::start(&[&[], &[]]).await.expect("servers");
    cluster.add_servers();
    cluster.done("keyspace create shop --shard a --shard b/shop__2 --create-schemas");
    let servers = json(&cluster, "server list");
    let id = |nth: usize| servers[nth]["id"].as_u64().unwrap_or_else(|| panic!("{servers:#}"));
    let gtrid = &begun(Duration::ZERO, 0xa91f);
    let ours = format!("'{gtrid}','{}.{}',1347", id(0), id(1));
    let mut b = cluster.admin(1).await.expect("a login");
    b.query_drop("CREATE TABLE shop__2.t (id INT PRIMARY KEY)").await.unwrap();
    for (xid, row) in [(ours.as_str(), 1), ("'other','one',7", 2)] {
        for sql in [
            format!("XA START {xid}"),
            format!("INSERT INTO shop__2.t VALUES ({row})"),
            format!("XA END {xid}"),
            format!("XA PREPARE {xid}"),
        ] {
            b.query_drop(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }
    let listed = json(&cluster, "txn list");
    let rows = listed.as_array().expect("a list");
    assert_eq!(rows.len(), 2, "{listed:#}");
    let foreign = rows.iter().find(|row| row["transaction"].is_null()).expect("another program's");
    assert_eq!(foreign["what"], "another program's: left alone");
    let branch = rows.iter().find(|row| row["transaction"] == **gtrid).expect("ours");
    assert_eq!(
        (&branch["server"], &branch["primary"], &branch["decision"]),
        (&"b".into(), &"a".into(), &"none".into())
    );
    assert_eq!(json(&cluster, &format!("txn show {gtrid}"))["outcome"], "not decided yet");

    let mut a = cluster.admin(0).await.expect("a login");
    let parts = format!("{},{}", id(0), id(1));
    let sql = "INSERT INTO _podway.decision (g, st, cts, parts) VALUES (?, 'C', 5, ?)";
    a.exec_drop(sql, (gtrid, &parts)).await.unwrap();
    let shown = json(&cluster, &format!("txn show {gtrid}"));
    assert_eq!(shown["outcome"], "committed; a proxy commits what is still prepared");
    assert_eq!(shown["servers"], serde_json::json!(["a", "b"]));
    assert_eq!(shown["prepared_on"], serde_json::json!(["b"]));
    assert!(cluster.run("txn list").printed.contains("committed"));
    b.query_drop(format!("XA COMMIT {ours}")).await.unwrap();
    b.query_drop("XA ROLLBACK 'other','one',7").await.unwrap();
    assert_eq!(json(&cluster, &format!("txn show {gtrid}"))["outcome"], "committed on all of its servers");
    assert_eq!(cluster.run("txn list").printed.trim(), "(none)");
    let wrong = cluster.run("txn show 12-34");
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.said.contains("no id of a transaction"), "{wrong:?}");
}
