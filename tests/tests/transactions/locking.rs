//! SELECT … FOR UPDATE and FOR SHARE over several servers: the rows are those of one MySQL, and they are locked on every server until the transaction ends.

use std::collections::BTreeSet;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::ground::{Ground, add, code};

/// ER_LOCK_NOWAIT.
const LOCKED: u16 = 3572;
/// ER_LOCK_WAIT_TIMEOUT.
const WAITED: u16 = 1205;

/// What locks all cells with v > 0.
const LOOKS: [&str; 6] = [
    "SELECT id, v FROM cells WHERE v > 0 ORDER BY id FOR UPDATE",
    "SELECT id, v FROM cells WHERE v > 0 ORDER BY id LOCK IN SHARE MODE",
    "SELECT COUNT(*), CAST(SUM(v) AS SIGNED) FROM cells FOR UPDATE",
    "SELECT a.id FROM cells a JOIN cells b ON b.id = a.id + 1 ORDER BY a.id FOR SHARE",
    "SELECT c.id, k.name FROM cells c JOIN kinds k ON k.code = c.id % 2 ORDER BY c.id FOR UPDATE OF c",
    "SELECT s.v, c.id FROM settings s JOIN cells c ON c.id = s.id + 10 ORDER BY c.id FOR UPDATE",
];

/// The shards on which this row cannot be had at once.
async fn locked(ground: &Ground, other: &mut Conn, nth: usize) -> Vec<usize> {
    let mut locked = Vec::new();
    for shard in 0..4 {
        let sql = format!("SELECT v FROM cells WHERE id = {} FOR UPDATE NOWAIT", ground.row(shard, nth));
        match code(other.query::<i64, _>(sql).await) {
            0 => {}
            LOCKED => locked.push(shard),
            other => panic!("error {other}"),
        }
    }
    locked
}

#[tokio::test]
async fn what_is_locked_on_all_servers_stays_so_until_the_transaction_ends() {
    let mut ground = Ground::new("locking_held").await;
    let mut other = ground.session().await;
    for look in LOOKS {
        for begin in ["BEGIN", "SET autocommit = 0"] {
            for end in ["COMMIT", "ROLLBACK"] {
                let mut both = ground.both().await;
                both.all(&[begin, look]).await;
                assert_eq!(locked(&ground, &mut other, 0).await, [0, 1, 2, 3], "{look}");
                both.same("SAVEPOINT here").await;
                both.same("ROLLBACK TO SAVEPOINT here").await;
                assert_eq!(locked(&ground, &mut other, 0).await, [0, 1, 2, 3], "{look}");
                both.same(end).await;
                assert_eq!(locked(&ground, &mut other, 0).await, [0; 0], "{look}: after {end}");
            }
        }
        let mut both = ground.both().await;
        both.same(look).await;
        assert_eq!(locked(&ground, &mut other, 0).await, [0; 0], "{look}: on its own");
        both.same("BEGIN").await;
        both.same_executed(look, &[]).await;
        assert_eq!(locked(&ground, &mut other, 0).await, [0, 1, 2, 3], "{look}: prepared");
        both.same("COMMIT").await;
    }
    assert_eq!(ground.decisions().await, [], "nothing was written");
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_locking_read_sees_the_latest_rows_and_what_follows_changes_them() {
    let mut ground = Ground::new("locking_latest").await;
    let mut both = ground.both().await;
    let (mut other, mut others) = (ground.session().await, ground.plain().await);
    both.all(&["BEGIN", "SELECT id, v FROM cells ORDER BY id"]).await;
    for shard in 0..4 {
        for conn in [&mut other, &mut others] {
            conn.query_drop(add(ground.row(shard, 0), 7)).await.unwrap();
        }
    }
    both.same("SELECT id, v FROM cells ORDER BY id").await;
    both.same("SELECT id, v FROM cells ORDER BY id FOR UPDATE").await;
    both.same("SELECT id % 3 AS r, COUNT(*), SUM(v) FROM cells GROUP BY r ORDER BY r FOR UPDATE").await;
    for shard in 0..4 {
        both.same(&add(ground.row(shard, 0), 1)).await;
    }
    both.same("SELECT id, v FROM cells WHERE v % 10 <> 0 ORDER BY id FOR SHARE").await;
    both.same("COMMIT").await;
    assert_eq!(ground.decisions().await.len(), 1);
    ground.same_rows().await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn two_clients_of_a_queue_get_rows_of_their_own() {
    let ground = Ground::new("locking_queue").await;
    let mut clients = [ground.session().await, ground.session().await, ground.session().await];
    for (order, exact) in [("", true), ("ORDER BY id", false)] {
        let sql = format!("SELECT id FROM cells WHERE v > 0 {order} LIMIT 5 FOR UPDATE SKIP LOCKED");
        let mut taken = BTreeSet::new();
        for client in &mut clients {
            client.query_drop("BEGIN").await.unwrap();
            let ids: Vec<u64> = client.query(&sql).await.unwrap();
            assert_eq!(ids.len(), 5, "{sql}");
            assert!(ids.is_sorted() || exact, "{ids:?}");
            for id in ids {
                assert!(taken.insert(id), "{sql}: {id} was given twice");
            }
        }
        for client in &mut clients {
            client.query_drop("COMMIT").await.unwrap();
        }
    }
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn each_clause_is_about_the_tables_of_its_own_block() {
    let ground = Ground::new("locking_blocks").await;
    let mut other = ground.session().await;
    for (sql, is_locked) in [
        ("SELECT s.id FROM settings s JOIN cells c ON c.id = s.id FOR UPDATE OF s", false),
        ("SELECT s.id FROM settings s WHERE s.id IN (SELECT c.id FROM cells c) FOR UPDATE", false),
        ("SELECT s.id FROM settings s WHERE s.id IN (SELECT c.id FROM cells c FOR UPDATE)", true),
        ("SELECT c.id FROM cells c WHERE c.v > (SELECT MIN(s.v) FROM settings s) ORDER BY c.id FOR UPDATE", true),
        ("WITH w AS (SELECT id FROM cells FOR SHARE) SELECT COUNT(*) FROM w", true),
    ] {
        let mut both = ground.both().await;
        both.all(&["BEGIN", sql]).await;
        // The first rows of each shard have the smallest ids: none has v below settings'.
        let locked = locked(&ground, &mut other, 1).await;
        assert_eq!(!locked.is_empty(), is_locked, "{sql}: {locked:?}");
        both.same("ROLLBACK").await;
    }
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn what_others_have_locked_is_refused_waited_for_or_left_out() {
    let ground = Ground::new("locking_others").await;
    let (mut holder, mut holders) = (ground.session().await, ground.plain().await);
    for conn in [&mut holder, &mut holders] {
        conn.query_drop("BEGIN").await.unwrap();
        conn.query_drop(add(ground.row(2, 0), 1)).await.unwrap();
    }
    let mut both = ground.both().await;
    both.all(&["SET innodb_lock_wait_timeout = 1", "BEGIN"]).await;
    both.same(&add(ground.row(1, 1), 1)).await;
    for look in ["SELECT id, v FROM cells ORDER BY id FOR UPDATE", "SELECT SUM(v) FROM cells FOR SHARE"] {
        let nowait = both.same(&format!("{look} NOWAIT")).await;
        assert!(nowait.starts_with(&format!("error {LOCKED}")), "{nowait}");
        let waited = both.same(look).await;
        assert!(waited.starts_with(&format!("error {WAITED}")), "{waited}");
        both.same(&format!("{look} SKIP LOCKED")).await;
        both.same("SELECT id, v FROM cells ORDER BY id").await;
    }
    both.same("COMMIT").await;
    for conn in [&mut holder, &mut holders] {
        conn.query_drop("COMMIT").await.unwrap();
    }
    both.same("SELECT id, v FROM cells ORDER BY id FOR UPDATE").await;
    ground.same_rows().await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_transaction_that_only_reads_and_a_snapshot_of_all_servers() {
    let ground = Ground::new("locking_modes").await;
    let mut both = ground.both().await;
    let look = "SELECT id, v FROM cells ORDER BY id";
    for clause in ["FOR UPDATE", "FOR SHARE"] {
        both.same("START TRANSACTION READ ONLY").await;
        both.same(&format!("{look} {clause}")).await;
        both.same(&format!("SELECT COUNT(*) FROM cells {clause}")).await;
        both.same("COMMIT").await;
    }
    let mut conn = ground.session().await;
    for sql in ["START TRANSACTION WITH CONSISTENT SNAPSHOT", "SET podway_read = 'atomic'"] {
        conn.query_drop(sql).await.unwrap();
        let refused = code(conn.query::<(u64, i64), _>(format!("{look} FOR UPDATE")).await);
        assert_eq!(refused, 1235, "{sql}");
        conn.query_drop("COMMIT").await.unwrap();
    }
    ground.nothing_is_open().await;
}
