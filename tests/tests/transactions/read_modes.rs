//! How transactions read that nobody began by name, or that follow another in a chain; and what SET TRANSACTION says where nothing begins under it.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_tests::TestKeyspace;

use crate::ground::{Ground, add, answer, code};

fn look(id: u64) -> String {
    format!("SELECT v FROM cells WHERE id = {id}")
}

async fn value(conn: &mut Conn, id: u64) -> i64 {
    let value: Option<i64> = conn.query_first(look(id)).await.unwrap();
    value.unwrap()
}

async fn run(conn: &mut Conn, statements: &[&str]) {
    for sql in statements {
        conn.query_drop(*sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
    }
}

#[tokio::test]
async fn what_set_transaction_said_is_for_the_sessions_own_next_transaction_and_nobody_elses() {
    let ground = Ground::new("read_modes_set").await;
    let id = ground.row(1, 0);
    let committed = value(&mut ground.session().await, id).await;
    let mut writer = ground.session().await;
    run(&mut writer, &["BEGIN", &add(id, 55)]).await;
    for (set, fails, expected) in [
        (
            "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
            format!("SELECT nothing FROM cells WHERE id = {id}"),
            1054,
        ),
        ("SET TRANSACTION READ ONLY", add(ground.row(1, 1), 1), 1792),
    ] {
        let mut first = ground.session().await;
        first.query_drop(set).await.unwrap();
        assert_eq!(code(first.query_drop(&fails).await), expected);
        first.disconnect().await.unwrap();
        let mut next = ground.session().await;
        next.query_drop(add(ground.row(1, 1), 0)).await.unwrap();
        next.query_drop("BEGIN").await.unwrap();
        assert_eq!(value(&mut next, id).await, committed, "after {set}");
        run(&mut next, &[&add(ground.row(1, 1), 0), "COMMIT"]).await;
    }
    writer.query_drop("ROLLBACK").await.unwrap();
    // What failed before anything began leaves it for the next transaction, as in MySQL.
    let mut both = ground.both().await;
    let (fails, writes) = (format!("SELECT nothing FROM cells WHERE id = {id}"), add(id, 1));
    both.all(&["SET TRANSACTION READ ONLY", &fails, "BEGIN", &writes, "ROLLBACK", &writes]).await;
    ground.same_rows().await;
    ground.nothing_is_open().await;
}

/// Reads a row of one server, lets another session change it and one of another server together, and reads that one.
async fn sees_whole(ground: &Ground, conn: &mut Conn, after: &str) {
    let (first, last) = (ground.row(0, 0), ground.row(3, 0));
    let mut other = ground.session().await;
    let then = value(&mut other, last).await;
    let _first = value(conn, first).await;
    run(&mut other, &["BEGIN", &add(first, -1), &add(last, 1), "COMMIT"]).await;
    assert_eq!(value(conn, last).await, then, "after {after}");
    conn.query_drop("COMMIT").await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_begins_by_itself_or_in_a_chain_is_atomic_whatever_comes_first_in_it() {
    let ground = Ground::new("read_modes_atomic").await;
    let id = ground.row(0, 0);
    for first in [
        "DO 1".to_owned(),
        "SAVEPOINT a".to_owned(),
        "COMMIT AND CHAIN".to_owned(),
        "ROLLBACK AND CHAIN".to_owned(),
        // MySQL locks what SET reads: another row.
        format!("SET @x = (SELECT v FROM cells WHERE id = {})", ground.row(0, 1)),
        format!("EXPLAIN ANALYZE FORMAT=PODWAY SELECT v FROM cells WHERE id = {id}"),
    ] {
        let mut conn = ground.session().await;
        run(&mut conn, &["SET autocommit = 0", "SET podway_read = 'atomic'", &first]).await;
        sees_whole(&ground, &mut conn, &first).await;
    }
    for begin in ["BEGIN", "SET autocommit = 0", "SET completion_type = 1"] {
        let mut conn = ground.session().await;
        run(&mut conn, &["SET podway_read = 'atomic'", begin, &look(id), "COMMIT AND CHAIN"]).await;
        sees_whole(&ground, &mut conn, &format!("{begin} and a chain")).await;
    }
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_transaction_that_begins_by_itself_or_in_a_chain_locks_what_it_reads_while_podway_read_is_serializable()
 {
    let ground = Ground::new("read_modes_locks").await;
    let id = ground.row(0, 0);
    let mut writer = ground.session().await;
    writer.query_drop("SET innodb_lock_wait_timeout = 1").await.unwrap();
    for first in ["SAVEPOINT a", "COMMIT AND CHAIN", "DO 1"] {
        let mut conn = ground.session().await;
        run(&mut conn, &["SET autocommit = 0", "SET podway_read = 'serializable'", first, &look(id)]).await;
        assert_eq!(code(writer.query_drop(add(id, 1)).await), 1205, "after {first}");
        conn.query_drop("COMMIT").await.unwrap();
        writer.query_drop(add(id, 1)).await.unwrap();
    }
    ground.nothing_is_open().await;
}

/// A keyspace of one shard with a row.
async fn one_shard(ground: &Ground, name: &str) -> TestKeyspace<'static> {
    let keyspace = ground.pod.keyspace(name, 1).await.unwrap();
    let mut conn = keyspace.connect().await.unwrap();
    run(
        &mut conn,
        &["CREATE TABLE cells (id BIGINT PRIMARY KEY, v BIGINT)", "INSERT INTO cells VALUES (1, 10)"],
    )
    .await;
    keyspace
}

#[tokio::test]
async fn an_atomic_transaction_on_one_server_has_one_snapshot_at_any_isolation_level() {
    let ground = Ground::new("read_modes_one").await;
    let keyspace = one_shard(&ground, "read_modes_alone").await;
    for begin in ["BEGIN", "SET autocommit = 0"] {
        let (mut conn, mut other) = (keyspace.connect().await.unwrap(), keyspace.connect().await.unwrap());
        let level = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
        run(&mut conn, &[level, "SET podway_read = 'atomic'", begin]).await;
        let before = value(&mut conn, 1).await;
        other.query_drop(add(1, 10)).await.unwrap();
        assert_eq!(value(&mut conn, 1).await, before, "{begin}");
        conn.query_drop("COMMIT").await.unwrap();
        // Where it locks what it reads it goes on doing so.
        run(
            &mut conn,
            &["SET autocommit = 1", "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", begin],
        )
        .await;
        value(&mut conn, 1).await;
        other.query_drop("SET innodb_lock_wait_timeout = 1").await.unwrap();
        assert_eq!(code(other.query_drop(add(1, 10)).await), 1205, "{begin}");
        conn.query_drop("COMMIT").await.unwrap();
    }
}

#[tokio::test]
async fn set_transaction_is_about_a_consistent_snapshot_of_one_server_too() {
    let ground = Ground::new("read_modes_snapshot").await;
    let keyspace = one_shard(&ground, "read_modes_snap").await;
    let mut conn = keyspace.connect().await.unwrap();
    run(&mut conn, &["SET TRANSACTION READ ONLY", "START TRANSACTION WITH CONSISTENT SNAPSHOT"]).await;
    assert_eq!(answer(&mut conn, &add(1, 1)).await, "error 1792 25006");
    run(&mut conn, &["ROLLBACK", &add(1, 1)]).await;
    assert_eq!(value(&mut conn, 1).await, 11);
}
