//! Transactions, mostly on one server.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use podway_model::ShardIndex;
use podway_tests::TestKeyspace;

use crate::shop::shop;

/// Two customers on different servers.
async fn two_shards(keyspace: &TestKeyspace<'_>) -> (u64, u64) {
    let mut ids = Vec::new();
    for shard in [0, 1] {
        let mut direct = keyspace.direct(ShardIndex(shard)).await.unwrap();
        let id: Option<u64> = direct.query_first("SELECT MIN(id) FROM customers").await.unwrap();
        ids.push(id.unwrap());
    }
    (ids[0], ids[1])
}

async fn name(conn: &mut Conn, id: u64) -> String {
    conn.exec_first("SELECT name FROM customers WHERE id = ?", (id,)).await.unwrap().unwrap()
}

fn code(result: mysql_async::Result<()>) -> u16 {
    match result {
        Err(Error::Server(error)) => error.code,
        other => panic!("no server's error: {other:?}"),
    }
}

#[tokio::test]
async fn a_transaction_is_seen_by_others_when_it_commits_and_never_when_it_rolls_back() {
    let keyspace = shop("txn_visible", 3).await;
    let (mut ours, mut other) = (keyspace.connect().await.unwrap(), keyspace.connect().await.unwrap());
    for (end, expected) in [("COMMIT", "new"), ("ROLLBACK", "new")] {
        ours.query_drop("BEGIN").await.unwrap();
        ours.query_drop(format!(
            "UPDATE customers SET name = '{}' WHERE id = 5",
            if end == "COMMIT" { "new" } else { "lost" }
        ))
        .await
        .unwrap();
        assert_ne!(name(&mut other, 5).await, if end == "COMMIT" { "new" } else { "lost" });
        ours.query_drop(end).await.unwrap();
        assert_eq!(name(&mut other, 5).await, expected);
    }
}

#[tokio::test]
async fn a_second_server_joins_the_transaction_and_both_commit() {
    let keyspace = shop("txn_second", 3).await;
    let (a, b) = two_shards(&keyspace).await;
    let (mut conn, mut other) = (keyspace.connect().await.unwrap(), keyspace.connect().await.unwrap());
    conn.query_drop("START TRANSACTION").await.unwrap();
    conn.query_drop("SELECT 1").await.unwrap();
    conn.query_drop("SELECT * FROM countries").await.unwrap();
    conn.query_drop(format!("UPDATE customers SET name = 'a' WHERE id = {a}")).await.unwrap();
    conn.query_drop(format!("UPDATE customers SET name = 'b' WHERE id = {b}")).await.unwrap();
    assert_eq!(name(&mut conn, b).await, "b", "it sees what it wrote");
    assert_eq!(name(&mut other, a).await, format!("customer {a}"));
    assert_eq!(name(&mut other, b).await, format!("customer {b}"));
    conn.query_drop("COMMIT").await.unwrap();
    assert_eq!((name(&mut other, a).await, name(&mut other, b).await), ("a".to_owned(), "b".to_owned()));
}

#[tokio::test]
async fn savepoints_work_before_and_after_the_first_statement() {
    let keyspace = shop("txn_savepoints", 3).await;
    let mut conn = keyspace.connect().await.unwrap();
    for sql in [
        "BEGIN",
        "SAVEPOINT early",
        "UPDATE customers SET name = 'one' WHERE id = 4",
        "SAVEPOINT late",
        "UPDATE customers SET name = 'two' WHERE id = 4",
        "ROLLBACK TO late",
    ] {
        conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    assert_eq!(name(&mut conn, 4).await, "one");
    conn.query_drop("ROLLBACK TO early").await.unwrap();
    assert_eq!(name(&mut conn, 4).await, "customer 4");
    assert_eq!(code(conn.query_drop("ROLLBACK TO late").await), 1305);
    conn.query_drop("COMMIT").await.unwrap();
    conn.query_drop("BEGIN").await.unwrap();
    assert_eq!(code(conn.query_drop("ROLLBACK TO nowhere").await), 1305);
    conn.query_drop("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn autocommit_off_opens_a_transaction_where_the_first_statement_goes() {
    let keyspace = shop("txn_autocommit", 3).await;
    let (mut ours, mut other) = (keyspace.connect().await.unwrap(), keyspace.connect().await.unwrap());
    ours.query_drop("SET autocommit = 0").await.unwrap();
    ours.query_drop("UPDATE customers SET name = 'off' WHERE id = 6").await.unwrap();
    assert_eq!(name(&mut other, 6).await, "customer 6");
    ours.query_drop("SET autocommit = 1").await.unwrap();
    assert_eq!(name(&mut other, 6).await, "off");
}

#[tokio::test]
async fn isolation_and_access_modes_reach_the_server() {
    let keyspace = shop("txn_modes", 3).await;
    let mut conn = keyspace.connect().await.unwrap();
    conn.query_drop("START TRANSACTION READ ONLY").await.unwrap();
    assert_eq!(code(conn.query_drop("UPDATE customers SET name = 'x' WHERE id = 1").await), 1792);
    conn.query_drop("ROLLBACK").await.unwrap();
    conn.query_drop("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await.unwrap();
    conn.query_drop("BEGIN").await.unwrap();
    let mut other = keyspace.connect().await.unwrap();
    assert_eq!(name(&mut conn, 8).await, "customer 8");
    other.query_drop("UPDATE customers SET name = 'seen' WHERE id = 8").await.unwrap();
    assert_eq!(name(&mut conn, 8).await, "seen", "READ COMMITTED");
    assert_eq!(code(conn.query_drop("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE").await), 1568);
    conn.query_drop("COMMIT").await.unwrap();
    conn.query_drop("BEGIN").await.unwrap();
    assert_eq!(name(&mut conn, 8).await, "seen");
    other.query_drop("UPDATE customers SET name = 'unseen' WHERE id = 8").await.unwrap();
    assert_eq!(name(&mut conn, 8).await, "seen", "REPEATABLE READ again");
    conn.query_drop("COMMIT").await.unwrap();
}

#[tokio::test]
async fn a_deadlock_rolls_back_and_frees_the_session_for_another_server() {
    let keyspace = shop("txn_deadlock", 2).await;
    let (a, b) = two_shards(&keyspace).await;
    keyspace
        .on_shard(ShardIndex(0), &format!("INSERT INTO orders VALUES ({a}, 1, 0), ({a}, 2, 0)"))
        .await
        .unwrap();
    let (mut first, mut second) = (keyspace.connect().await.unwrap(), keyspace.connect().await.unwrap());
    let touch =
        |id: u64| format!("UPDATE orders SET total = total + 1 WHERE customer_id = {a} AND id = {id}");
    first.query_drop("BEGIN").await.unwrap();
    second.query_drop("BEGIN").await.unwrap();
    first.query_drop(touch(1)).await.unwrap();
    second.query_drop(touch(2)).await.unwrap();
    let (left, right) = tokio::join!(first.query_drop(touch(2)), second.query_drop(touch(1)));
    let victim = if left.is_err() { &mut first } else { &mut second };
    assert_eq!(code(if left.is_err() { left } else { right }), 1213);
    assert_eq!(
        name(victim, b).await,
        format!("customer {b}"),
        "its transaction is gone, so another server may serve it"
    );
}

/// EXP(710) is out of a DOUBLE's range, which shows when the columns are out.
fn out_of_range(id: u64, end: &str) -> String {
    format!("SELECT EXP(id * 0 + 710) FROM customers WHERE id = {id}{end}")
}

#[tokio::test]
async fn an_error_behind_the_columns_is_the_statements_and_leaves_its_transaction_as_in_mysql() {
    let keyspace = shop("txn_late_error", 3).await;
    let (a, b) = two_shards(&keyspace).await;
    let (mut ours, mut other) = (keyspace.connect().await.unwrap(), keyspace.connect().await.unwrap());
    for id in (1..=6).chain([a, b]) {
        // As text and prepared; the session goes on, and its transaction with it.
        ours.query_drop("BEGIN").await.unwrap();
        ours.query_drop(format!("UPDATE customers SET name = 'kept {id}' WHERE id = {id}")).await.unwrap();
        assert_eq!(code(ours.query_drop(out_of_range(id, "")).await), 1690);
        let warnings: Vec<(String, u16, String)> = ours.query("SHOW WARNINGS").await.unwrap();
        assert_eq!(warnings.iter().map(|warning| warning.1).collect::<Vec<_>>(), [1690]);
        let prepared = "SELECT EXP(id * 0 + 710) FROM customers WHERE id = ?";
        assert_eq!(code(ours.exec_drop(prepared, (id,)).await), 1690);
        ours.query_drop("COMMIT").await.unwrap();
        assert_eq!(name(&mut other, id).await, format!("kept {id}"));
    }
    // It ends a text of several statements.
    let text = out_of_range(a, &format!("; UPDATE customers SET name = 'never' WHERE id = {a}; SELECT 5"));
    assert_eq!(code(ours.query_drop(text).await), 1690);
    assert_eq!(name(&mut ours, a).await, format!("kept {a}"), "what follows it has not run");
    // Without autocommit the transaction that it began ends when the client says so, on whatever shard.
    ours.query_drop("SET autocommit = 0").await.unwrap();
    for (shard, id) in [(0, a), (1, b)] {
        assert_eq!(code(ours.query_drop(out_of_range(id, " FOR UPDATE")).await), 1690);
        ours.query_drop("ROLLBACK").await.unwrap();
        let mut direct = keyspace.direct(ShardIndex(shard)).await.unwrap();
        direct.query_drop("SET innodb_lock_wait_timeout = 1").await.unwrap();
        direct.query_drop(format!("UPDATE customers SET name = 'free' WHERE id = {id}")).await.unwrap();
        assert_eq!(name(&mut ours, id).await, "free", "it reads in no old snapshot");
        ours.query_drop("ROLLBACK").await.unwrap();
    }
}
