//! `podway txn` on branches that were left prepared by hand, without a proxy that would finish them.

use mysql_async::prelude::Queryable;
use serde_json::Value;

use crate::cluster::Cluster;

fn json(cluster: &Cluster, line: &str) -> Value {
    let ran = cluster.run(&format!("{line} --json"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.printed).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[tokio::test]
async fn transactions_that_are_not_finished_are_shown_with_what_was_decided() {
    let cluster = Cluster::start(&[&[], &[]]).await.expect("servers");
    cluster.add_servers();
    cluster.done("keyspace create shop --shard a --shard b/shop__2 --create-schemas");
    let servers = json(&cluster, "server list");
    let id = |nth: usize| servers[nth]["id"].as_u64().unwrap_or_else(|| panic!("{servers:#}"));
    let gtrid = "6a1b2c3d4e5f6071-0007-0003-0000a91f";
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
    let branch = rows.iter().find(|row| row["transaction"] == gtrid).expect("ours");
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
