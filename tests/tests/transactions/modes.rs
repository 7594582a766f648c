//! What a transaction was asked to be reaches every server that joins it: isolation, access mode, chains, autocommit.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::ground::{Ground, add, answer, code};

/// The value of a cell.
fn look(id: u64) -> String {
    format!("SELECT v FROM cells WHERE id = {id}")
}

async fn value(conn: &mut Conn, id: u64) -> i64 {
    conn.query_first(look(id)).await.unwrap().unwrap()
}

/// Whether a transaction sees at each of three servers what another commits after its first look there.
async fn sees_later_commits(ground: &Ground, conn: &mut Conn) -> Vec<bool> {
    let mut other = ground.session().await;
    let mut seen = Vec::new();
    for shard in 0..3 {
        let before = value(conn, ground.row(shard, 0)).await;
        other.query_drop(add(ground.row(shard, 0), 1)).await.unwrap();
        seen.push(value(conn, ground.row(shard, 0)).await != before);
    }
    seen
}

#[tokio::test]
async fn an_isolation_level_counts_on_every_server_and_for_one_transaction() {
    let ground = Ground::new("modes_isolation").await;
    let mut conn = ground.session().await;
    conn.query_drop("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await.unwrap();
    conn.query_drop("BEGIN").await.unwrap();
    assert_eq!(sees_later_commits(&ground, &mut conn).await, [true; 3]);
    assert_eq!(code(conn.query_drop("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE").await), 1568);
    conn.query_drop("COMMIT AND CHAIN").await.unwrap();
    assert_eq!(sees_later_commits(&ground, &mut conn).await, [true; 3], "a chain keeps it");
    conn.query_drop("COMMIT").await.unwrap();
    conn.query_drop("BEGIN").await.unwrap();
    assert_eq!(sees_later_commits(&ground, &mut conn).await, [false; 3], "for one transaction");
    conn.query_drop("ROLLBACK").await.unwrap();

    conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await.unwrap();
    for _ in 0..2 {
        conn.query_drop("BEGIN").await.unwrap();
        assert_eq!(sees_later_commits(&ground, &mut conn).await, [true; 3]);
        conn.query_drop("COMMIT").await.unwrap();
    }
    conn.query_drop("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    conn.query_drop("BEGIN").await.unwrap();
    assert_eq!(sees_later_commits(&ground, &mut conn).await, [false; 3]);
    conn.query_drop("COMMIT").await.unwrap();

    // What is read is locked, at each server.
    conn.query_drop("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE").await.unwrap();
    conn.query_drop("BEGIN").await.unwrap();
    for shard in 0..3 {
        value(&mut conn, ground.row(shard, 0)).await;
    }
    let mut other = ground.session().await;
    other.query_drop("SET innodb_lock_wait_timeout = 1").await.unwrap();
    for shard in 0..3 {
        assert_eq!(code(other.query_drop(add(ground.row(shard, 0), 1)).await), 1205, "{shard}");
    }
    conn.query_drop("COMMIT").await.unwrap();
    for shard in 0..3 {
        other.query_drop(add(ground.row(shard, 0), 1)).await.unwrap();
    }
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn what_completion_type_can_be_set_to_is_mysqls() {
    let ground = Ground::new("modes_completion").await;
    let mut both = ground.both().await;
    for value in ["RELEASE", "`RELEASE`", "'release'", "CHAIN", "no_chain", "2", "3", "NONSENSE", "DEFAULT"] {
        both.same(&format!("SET completion_type = {value}")).await;
    }
    both.same("SET completion_type = RELEASE, @a = 1").await;
}

#[tokio::test]
async fn a_transaction_that_only_reads_writes_on_no_server() {
    let mut ground = Ground::new("modes_read_only").await;
    let mut both = ground.both().await;
    let before = ground.same_rows().await;
    for begin in [
        vec!["START TRANSACTION READ ONLY"],
        vec!["SET TRANSACTION READ ONLY", "BEGIN"],
        vec!["SET TRANSACTION READ ONLY", "START TRANSACTION"],
        vec!["SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY", "BEGIN"],
        vec!["SET TRANSACTION READ ONLY", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN"],
        vec!["SET TRANSACTION READ WRITE", "SET @@transaction_read_only = 1", "BEGIN"],
        vec!["SET SESSION TRANSACTION READ ONLY", "BEGIN"],
    ] {
        both.all(&begin).await;
        for shard in 0..3 {
            both.same(&look(ground.row(shard, 0))).await;
            assert_eq!(both.same(&add(ground.row(shard, 0), 1)).await, "error 1792 25006", "{begin:?}");
            both.same(&look(ground.row(shard, 1))).await;
        }
        both.same("COMMIT").await;
        both.same("SET SESSION TRANSACTION READ WRITE").await;
    }
    assert_eq!(ground.same_rows().await, before);
    assert_eq!(ground.decisions().await, []);
    // The mode that was said last counts.
    both.all(&["SET TRANSACTION READ ONLY", "START TRANSACTION READ WRITE"]).await;
    for shard in 0..3 {
        both.same(&add(ground.row(shard, 0), 1)).await;
    }
    both.same("COMMIT").await;
    both.all(&["SET SESSION TRANSACTION READ ONLY", "START TRANSACTION READ WRITE"]).await;
    for shard in 0..3 {
        both.same(&add(ground.row(shard, 0), 1)).await;
    }
    both.same("COMMIT").await;
    ground.same_rows().await;
    // A chain keeps the mode.
    both.all(&["SET SESSION TRANSACTION READ WRITE", "START TRANSACTION READ ONLY"]).await;
    for _ in 0..2 {
        for shard in 0..3 {
            both.same(&look(ground.row(shard, 0))).await;
        }
        both.same("ROLLBACK AND CHAIN").await;
        assert_eq!(both.same(&add(ground.row(1, 0), 1)).await, "error 1792 25006");
    }
    both.same("COMMIT").await;
    both.same(&add(ground.row(1, 0), 1)).await;
    ground.same_rows().await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn autocommit_off_opens_transactions_over_servers() {
    let mut ground = Ground::new("modes_autocommit").await;
    let mut both = ground.both().await;
    both.same("SET autocommit = 0").await;
    for end in ["COMMIT", "ROLLBACK", "COMMIT"] {
        for shard in 0..4 {
            both.same(&add(ground.row(shard, 0), 1)).await;
            both.same(&look(ground.row(shard, 0))).await;
        }
        both.same("SELECT COUNT(*), CAST(SUM(v) AS SIGNED) FROM cells").await;
        both.same(end).await;
        ground.same_rows().await;
    }
    assert_eq!(ground.decisions().await.len(), 2);
    // Reads first, and savepoints.
    both.same("SELECT COUNT(*) FROM cells").await;
    both.same(&add(ground.row(1, 0), 1)).await;
    both.same("SAVEPOINT a").await;
    both.same(&add(ground.row(2, 0), 1)).await;
    both.same("ROLLBACK TO a").await;
    // To set it again commits.
    both.same("SET autocommit = 1").await;
    ground.same_rows().await;
    both.same("ROLLBACK").await;
    ground.same_rows().await;
    both.same("SET autocommit = 0").await;
    both.same(&add(ground.row(1, 0), 1)).await;
    both.same(&add(ground.row(2, 0), 1)).await;
    both.same("BEGIN").await;
    ground.same_rows().await;
    both.same(&add(ground.row(2, 0), 1)).await;
    both.same(&add(ground.row(0, 0), 1)).await;
    both.same("ROLLBACK").await;
    ground.same_rows().await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_chain_begins_the_next_one_at_once() {
    let ground = Ground::new("modes_chain").await;
    let mut both = ground.both().await;
    let touch = async |both: &mut crate::ground::Both, amount: i64| {
        for shard in 0..3 {
            both.same(&add(ground.row(shard, 0), amount)).await;
        }
    };
    for (end, next) in [
        ("COMMIT AND CHAIN", "ROLLBACK"),
        ("ROLLBACK AND CHAIN", "COMMIT"),
        ("COMMIT AND CHAIN", "COMMIT AND NO CHAIN"),
        ("COMMIT AND NO CHAIN NO RELEASE", "ROLLBACK"),
    ] {
        both.same("BEGIN").await;
        touch(&mut both, 1).await;
        both.same(end).await;
        ground.same_rows().await;
        touch(&mut both, 10).await;
        both.same(next).await;
        ground.same_rows().await;
    }
    both.same("SET completion_type = CHAIN").await;
    both.same("BEGIN").await;
    touch(&mut both, 1).await;
    both.same("COMMIT").await;
    touch(&mut both, 10).await;
    both.same("ROLLBACK").await;
    touch(&mut both, 100).await;
    both.same("COMMIT AND NO CHAIN").await;
    touch(&mut both, 1_000).await;
    both.same("ROLLBACK AND NO CHAIN").await;
    ground.same_rows().await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_release_ends_the_session_after_its_transaction() {
    let ground = Ground::new("modes_release").await;
    for (setting, end) in [
        ("SET completion_type = DEFAULT", "COMMIT RELEASE"),
        ("SET completion_type = DEFAULT", "ROLLBACK RELEASE"),
        ("SET completion_type = 'RELEASE'", "COMMIT"),
    ] {
        let mut both = ground.both().await;
        both.all(&[setting, "BEGIN"]).await;
        for shard in 0..3 {
            both.same(&add(ground.row(shard, 0), 1)).await;
        }
        both.same(end).await;
        for conn in [&mut both.ours, &mut both.theirs] {
            assert!(answer(conn, "SELECT 1").await.starts_with("lost"), "{end}");
        }
        ground.same_rows().await;
    }
    ground.nothing_is_open().await;
}
