//! Reads inside a transaction over several servers: its own writes are seen, others' are not before it ends, and what every server has is read where it is.

use mysql_async::prelude::Queryable;

use crate::ground::{Ground, add};

/// What is asked of all shards.
const LOOKS: [&str; 7] = [
    "SELECT COUNT(*), CAST(SUM(v) AS SIGNED) FROM cells",
    "SELECT id, v FROM cells ORDER BY id",
    "SELECT id, v FROM cells ORDER BY v DESC, id LIMIT 7",
    "SELECT id % 3 AS rest, COUNT(*), MIN(v), MAX(v) FROM cells GROUP BY id % 3 ORDER BY rest",
    "SELECT COUNT(DISTINCT v) FROM cells WHERE v > 100",
    "SELECT k.name, COUNT(*) FROM cells c JOIN kinds k ON k.code = c.id % 2 GROUP BY k.name ORDER BY k.name",
    "SELECT a.id FROM cells a JOIN cells b ON b.id = a.id + 1 WHERE a.v < b.v ORDER BY a.id",
];

#[tokio::test]
async fn a_transaction_sees_its_own_writes_on_all_shards() {
    let ground = Ground::new("reads_own").await;
    let mut both = ground.both().await;
    for begin in ["BEGIN", "SET autocommit = 0"] {
        for end in ["ROLLBACK", "COMMIT"] {
            both.same(begin).await;
            for shard in 0..4 {
                both.same(&add(ground.row(shard, 0), 1)).await;
                both.same(&format!("INSERT INTO cells VALUES ({}, 3, 'x')", ground.free(shard, 0))).await;
                both.same(&format!("DELETE FROM cells WHERE id = {}", ground.row(shard, 1))).await;
                both.all(&LOOKS).await;
            }
            both.same(end).await;
            ground.same_rows().await;
        }
        // As it was, for the next turn.
        for shard in 0..4 {
            both.same(&format!("DELETE FROM cells WHERE id = {}", ground.free(shard, 0))).await;
            let id = ground.row(shard, 1);
            both.same(&format!("INSERT INTO cells VALUES ({id}, {}, 'again')", id * 10)).await;
        }
        both.same("COMMIT").await;
        both.same("SET autocommit = 1").await;
    }
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_read_of_all_shards_is_what_later_reads_see() {
    let ground = Ground::new("reads_snapshot").await;
    for begin in ["BEGIN", "START TRANSACTION READ ONLY", "SET autocommit = 0"] {
        let mut both = ground.both().await;
        let (mut other, mut others) = (ground.session().await, ground.plain().await);
        both.same(begin).await;
        both.same("SELECT id, v FROM cells ORDER BY id").await;
        for conn in [&mut other, &mut others] {
            conn.query_drop("BEGIN").await.unwrap();
            for shard in 0..4 {
                conn.query_drop(add(ground.row(shard, 2), 1)).await.unwrap();
            }
            conn.query_drop("COMMIT").await.unwrap();
        }
        both.all(&LOOKS).await;
        for shard in 0..4 {
            both.same(&format!("SELECT v FROM cells WHERE id = {}", ground.row(shard, 2))).await;
        }
        both.same("COMMIT").await;
        both.all(&LOOKS).await;
        both.same("COMMIT").await;
    }
    ground.same_rows().await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn reads_of_all_shards_before_writes_make_no_decision_and_after_them_one() {
    let mut ground = Ground::new("reads_then_writes").await;
    let mut both = ground.both().await;
    both.same("BEGIN").await;
    both.all(&LOOKS).await;
    both.same("COMMIT").await;
    assert_eq!(ground.decisions().await, []);
    both.same("BEGIN").await;
    both.all(&LOOKS).await;
    both.same(&add(ground.row(2, 0), 1)).await;
    both.same("COMMIT").await;
    assert_eq!(ground.decisions().await, [], "one writer");
    both.same("BEGIN").await;
    both.all(&LOOKS).await;
    both.same(&add(ground.row(2, 0), 1)).await;
    both.same(&add(ground.row(1, 0), 1)).await;
    both.all(&LOOKS).await;
    both.same("COMMIT").await;
    let decisions = ground.decisions().await;
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    ground.same_rows().await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn what_every_server_has_and_what_is_at_home_can_be_read_and_written() {
    let ground = Ground::new("reads_elsewhere").await;
    let mut both = ground.both().await;
    for order in [[0, 1, 2], [3, 2, 1]] {
        both.same("BEGIN").await;
        both.same("SELECT * FROM kinds ORDER BY code").await;
        for shard in order {
            both.same(&add(ground.row(shard, 0), 1)).await;
            both.same("SELECT * FROM kinds ORDER BY code").await;
            both.same("SELECT * FROM settings ORDER BY id").await;
            let join = format!(
                "SELECT c.id, k.name FROM cells c JOIN kinds k ON k.code = c.id % 2 WHERE c.id = {}",
                ground.row(shard, 0)
            );
            both.same(&join).await;
        }
        both.same("UPDATE settings SET v = v + 1 WHERE id = 1").await;
        both.same("SELECT * FROM settings ORDER BY id").await;
        both.same("COMMIT").await;
        both.same("SELECT * FROM settings ORDER BY id").await;
        ground.same_rows().await;
    }
    both.same("BEGIN").await;
    both.same("UPDATE settings SET v = v + 1 WHERE id = 1").await;
    both.same(&add(ground.row(2, 0), 1)).await;
    both.same("ROLLBACK").await;
    both.same("SELECT * FROM settings ORDER BY id").await;
    ground.nothing_is_open().await;
}
