//! Transactions that wrote on one server alone, where they are to have stamps as well.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{Change, HybridTime, Revision, ServerId, ShardIndex};
use podway_proxy::StampClock;
use podway_tests::is_left_out;

use crate::clocks::{Skew, proxy_of};
use crate::ground::{Ground, add, answer, code};

const ON: &str = "SET podway_stamp_single_shard = 1";

/// What PODWAY_LAST_COMMIT() gives.
async fn last(conn: &mut Conn) -> Option<String> {
    conn.query_first("SELECT PODWAY_LAST_COMMIT()").await.unwrap().unwrap()
}

/// The marks that are on this shard's server alone, by stamp.
async fn marks(ground: &Ground, shard: u32) -> Vec<String> {
    let mut root = ground.pod.admin(ServerId(shard)).await.unwrap();
    let sql = format!("SELECT ts FROM _podway.mark WHERE parts = '{shard}' ORDER BY ts");
    let stamps: Vec<u64> = root.query(sql).await.unwrap();
    stamps.into_iter().map(|stamp| HybridTime(stamp).to_string()).collect()
}

async fn all(conn: &mut Conn, statements: &[&str]) {
    for sql in statements {
        conn.query_drop(*sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

// structure: each way to end a transaction on one server, with one session
#[tokio::test]
async fn each_way_to_commit_what_one_server_wrote_is_stamped_with_the_transactions_own_mark() {
    let mut ground = Ground::new("stamped_ways").await;
    assert_eq!(ground.keyspace.server(ShardIndex(2)).id, ServerId(2));
    let mut conn = ground.session().await;
    let write = add(ground.row(2, 0), 1);
    let read = format!("SELECT v FROM cells WHERE id = {}", ground.row(3, 0));
    let both = format!("UPDATE cells SET v = v + 1 WHERE id IN ({}, {})", ground.row(2, 0), ground.row(2, 1));
    all(&mut conn, &["BEGIN", &write, "COMMIT"]).await;
    assert_eq!(last(&mut conn).await, None, "it is off until it is asked for");
    all(&mut conn, &[ON]).await;
    let stamped: [&[&str]; 9] = [
        &["BEGIN", &write, "COMMIT"],
        &["START TRANSACTION", &read, &write, "COMMIT"],
        &["BEGIN", &write, &read, "COMMIT"],
        &["BEGIN", &write, "BEGIN", "ROLLBACK"],
        &["BEGIN", &write, "COMMIT AND CHAIN", "ROLLBACK"],
        &["SET autocommit = 0", &write, "COMMIT", "SET autocommit = 1"],
        &["SET autocommit = 0", &write, "SET autocommit = 1"],
        &["START TRANSACTION WITH CONSISTENT SNAPSHOT", &read, &write, "COMMIT"],
        &["BEGIN", &both, "COMMIT"],
    ];
    let (mut before, mut known) = (String::new(), marks(&ground, 2).await);
    for statements in stamped {
        all(&mut conn, statements).await;
        let stamp = last(&mut conn).await.unwrap();
        assert!(stamp > before, "{statements:?}: {stamp}, {before}");
        known.push(stamp.clone());
        assert_eq!(marks(&ground, 2).await, known, "{statements:?}");
        before = stamp;
    }
    let unstamped: [&[&str]; 6] = [
        &["BEGIN", &write, "ROLLBACK"],
        &["BEGIN", &read, "COMMIT"],
        &["START TRANSACTION READ ONLY", &read, "COMMIT"],
        &[&write],
        &["BEGIN", "COMMIT"],
        &["SET podway_stamp_single_shard = OFF", "BEGIN", &write, "COMMIT", ON],
    ];
    for statements in unstamped {
        all(&mut conn, statements).await;
        assert_eq!(last(&mut conn).await.unwrap(), before, "{statements:?}");
        assert_eq!(marks(&ground, 2).await, known, "{statements:?}");
    }
    assert!(ground.decisions().await.is_empty());
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn stamps_of_one_server_and_of_several_are_in_one_order_whatever_clocks_say() {
    if is_left_out("a proxy of its own") {
        return;
    }
    let ground = Ground::new("stamped_order").await;
    let (_proxy, mut fast) =
        proxy_of(&ground, StampClock::new(Skew::of(200).clock()), StampClock::MOST_AHEAD).await;
    let mut slow = ground.session().await;
    let (here, there) = (add(ground.row(0, 0), 1), add(ground.row(1, 0), 1));
    let mut stamps = Vec::new();
    for conn in [&mut fast, &mut slow] {
        all(conn, &[ON]).await;
    }
    for (conn, statements) in [
        (0, ["BEGIN", &here, "SELECT 1", "COMMIT"]),
        (1, ["BEGIN", &here, "SELECT 1", "COMMIT"]),
        (0, ["BEGIN", &here, &there, "COMMIT"]),
        (1, ["BEGIN", &there, "SELECT 1", "COMMIT"]),
        (1, ["BEGIN", &here, &there, "COMMIT"]),
    ] {
        let conn = if conn == 0 { &mut fast } else { &mut slow };
        all(conn, &statements).await;
        stamps.push(last(conn).await.unwrap());
    }
    assert!(stamps.is_sorted_by(|a, b| a < b), "{stamps:?}");
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_proxy_that_is_too_far_ahead_refuses_what_is_to_be_stamped_on_one_server_too() {
    if is_left_out("a proxy of its own") {
        return;
    }
    let ground = Ground::new("stamped_ahead").await;
    let (_proxy, mut conn) =
        proxy_of(&ground, StampClock::new(Skew::of(60_000).clock()), StampClock::MOST_AHEAD).await;
    let write = add(ground.row(0, 0), 1);
    let value = format!("SELECT v FROM cells WHERE id = {}", ground.row(0, 0));
    let before = answer(&mut conn, &value).await;
    all(&mut conn, &[ON]).await;
    for end in ["COMMIT", "BEGIN"] {
        all(&mut conn, &["BEGIN", &write]).await;
        assert_eq!(code(conn.query_drop(end).await), 1180, "{end}");
        assert_eq!(answer(&mut conn, &value).await, before, "{end}");
    }
    all(&mut conn, &["SET podway_stamp_single_shard = 0", "BEGIN", &write, "COMMIT"]).await;
    assert_ne!(answer(&mut conn, &value).await, before);
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn the_switch_is_the_sessions_and_else_the_clusters() {
    if is_left_out("a map of the test's own") {
        return;
    }
    let ground = Ground::new("stamped_switch").await;
    let mut conn = ground.session().await;
    let name = "SELECT @@podway_stamp_single_shard";
    for (sql, expected) in [
        (name, "'0'"),
        ("SET podway_stamp_single_shard = ON", "0 rows affected"),
        (name, "'1'"),
        ("SET SESSION podway_stamp_single_shard = 'false'", "0 rows affected"),
        (name, "'0'"),
        ("SET podway_stamp_single_shard = 2", "error 1231 42000"),
        ("SET podway_stamp_single_shard = 1 + 0", "error 1235 42000"),
        ("SELECT @@GLOBAL.podway_stamp_single_shard", "error 1193 HY000"),
    ] {
        assert_eq!(answer(&mut conn, sql).await, expected, "{sql}");
    }
    let set = |value: Option<&'static str>| {
        let change = Change::Setting { name: "stamp.single_shard".into(), value: value.map(Into::into) };
        move |map: &mut podway_model::Map| {
            *map = map.changed(Revision(map.revision.0 + 1), &[change]).unwrap()
        }
    };
    ground.pod.change_map(set(Some("1"))).await.unwrap();
    podway_tests::eventually_async(crate::ground::SOON, "the setting has come", async || {
        let mut other = ground.session().await;
        (answer(&mut other, name).await == "'1'").then_some(())
    })
    .await;
    let mut other = ground.session().await;
    assert_eq!(
        answer(&mut other, "SHOW VARIABLES LIKE 'podway_stamp%'").await,
        "'podway_stamp_single_shard' 'ON'"
    );
    assert_eq!(answer(&mut conn, name).await, "'0'", "what the session has set counts");
    assert_eq!(answer(&mut conn, "SET podway_stamp_single_shard = DEFAULT").await, "0 rows affected");
    assert_eq!(answer(&mut conn, name).await, "'1'");
    ground.pod.change_map(set(None)).await.unwrap();
    ground.nothing_is_open().await;
}
