//! Statements that end a transaction over several servers, or must not: DDL, BEGIN, LOCK TABLES, CALL, a snapshot.

use mysql_async::prelude::Queryable;
use podway_model::ShardIndex;
use podway_tests::TestKeyspace;

use crate::ground::{Ground, add, answer};

/// A keyspace of one shard on the first server, with a table and a routine; MySQL has a database of the same name.
async fn single(ground: &Ground, name: &str) -> TestKeyspace<'static> {
    let keyspace = ground.pod.keyspace(name, 1).await.unwrap();
    let table = "CREATE TABLE alone (id INT PRIMARY KEY, v INT NOT NULL)";
    let routine = "CREATE PROCEDURE bump() UPDATE alone SET v = v + 1";
    let mut theirs = ground.plain().await;
    theirs.query_drop(format!("CREATE DATABASE {name}")).await.unwrap();
    theirs.query_drop(format!("USE {name}")).await.unwrap();
    for sql in [table, "INSERT INTO alone VALUES (1, 1)", routine] {
        theirs.query_drop(sql).await.unwrap();
    }
    keyspace.create_table(table, "alone", podway::provision::Declaration::Home).await.unwrap();
    for sql in ["INSERT INTO alone VALUES (1, 1)", routine] {
        keyspace.on_shard(ShardIndex(0), sql).await.unwrap();
    }
    keyspace
}

#[tokio::test]
async fn what_commits_before_it_runs_does_so_on_all_servers() {
    let mut ground = Ground::new("ends_before").await;
    let one = single(&ground, "ends_before_one").await;
    let mut both = ground.both().await;
    let there = format!("CREATE TABLE {}.made (id INT)", one.name);
    let lock = format!("LOCK TABLES {}.alone READ", one.name);
    for (sql, undone) in [
        ("BEGIN", "DO 0"),
        ("START TRANSACTION", "DO 0"),
        (there.as_str(), "DO 0"),
        (lock.as_str(), "UNLOCK TABLES"),
    ] {
        both.same("BEGIN").await;
        for shard in 1..4 {
            both.same(&add(ground.row(shard, 0), 1)).await;
        }
        both.same(sql).await;
        let decisions = ground.decisions().await;
        assert_eq!(decisions.len(), 1, "{sql}: {decisions:?}");
        both.same("ROLLBACK").await;
        ground.same_rows().await;
        both.same(undone).await;
        // Also where its own server takes part.
        both.same("BEGIN").await;
        for shard in 0..3 {
            both.same(&add(ground.row(shard, 0), 1)).await;
        }
        both.same(if sql == there { "BEGIN" } else { sql }).await;
        assert_eq!(ground.decisions().await.len(), 1, "{sql}");
        both.same("ROLLBACK").await;
        ground.same_rows().await;
        both.same(undone).await;
    }
    drop(both);
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_routine_is_not_called_while_two_servers_take_part() {
    let ground = Ground::new("ends_call").await;
    let one = single(&ground, "ends_call_one").await;
    let mut ours = ground.session().await;
    let before = ground.same_rows().await;
    ours.query_drop(format!("USE {}", one.name)).await.unwrap();
    let cell = |shard: usize| add(ground.row(shard, 0), 1).replace("cells", "ends_call.cells");
    // It would be the second, or one of two.
    for shards in [vec![2], vec![0, 1], vec![1, 0]] {
        ours.query_drop("BEGIN").await.unwrap();
        for shard in &shards {
            ours.query_drop(cell(*shard)).await.unwrap();
        }
        assert_eq!(answer(&mut ours, "CALL bump()").await, "error 1235 42000", "{shards:?}");
        ours.query_drop(cell(3)).await.unwrap();
        ours.query_drop("ROLLBACK").await.unwrap();
        assert_eq!(ground.same_rows().await, before);
    }
    // On its own server it is part of the transaction, and others may join later.
    ours.query_drop("BEGIN").await.unwrap();
    ours.query_drop("CALL bump()").await.unwrap();
    ours.query_drop(cell(2)).await.unwrap();
    assert_eq!(answer(&mut ours, "CALL bump()").await, "error 1235 42000");
    ours.query_drop("ROLLBACK").await.unwrap();
    assert_eq!(ground.same_rows().await, before);
    let v: Option<u32> = ours.query_first("SELECT v FROM alone").await.unwrap();
    assert_eq!(v, Some(1));
    ours.query_drop("CALL bump()").await.unwrap();
    let v: Option<u32> = ours.query_first("SELECT v FROM alone").await.unwrap();
    assert_eq!(v, Some(2));
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_snapshot_keeps_a_transaction_on_its_server() {
    let mut ground = Ground::new("ends_snapshot").await;
    let one = single(&ground, "ends_snapshot_one").await;
    let mut ours = ground.session().await;
    let begin = "START TRANSACTION WITH CONSISTENT SNAPSHOT";
    assert_eq!(answer(&mut ours, begin).await, "0 rows affected", "over several shards it is of all");
    ours.query_drop(format!("USE {}", one.name)).await.unwrap();
    ours.query_drop(begin).await.unwrap();
    let mut other = one.connect().await.unwrap();
    other.query_drop("UPDATE alone SET v = 5").await.unwrap();
    let look = "SELECT v FROM alone";
    assert_eq!(ours.query_first::<u32, _>(look).await.unwrap(), Some(1));
    let there =
        |shard: usize| format!("UPDATE ends_snapshot.cells SET v = 0 WHERE id = {}", ground.row(shard, 0));
    assert_eq!(answer(&mut ours, &there(2)).await, "error 1235 42000");
    let all = "SELECT COUNT(*) FROM ends_snapshot.cells";
    assert_eq!(answer(&mut ours, all).await, "error 1235 42000");
    assert_eq!(ours.query_first::<u32, _>(look).await.unwrap(), Some(1), "it goes on");
    ours.query_drop(add(ground.row(0, 0), 1).replace("cells", "ends_snapshot.cells")).await.unwrap();
    ours.query_drop("COMMIT").await.unwrap();
    ours.query_drop("BEGIN").await.unwrap();
    for shard in [0, 2] {
        ours.query_drop(there(shard)).await.unwrap();
    }
    ours.query_drop("ROLLBACK").await.unwrap();
    assert_eq!(ours.query_first::<u32, _>(look).await.unwrap(), Some(5));
    assert_eq!(ground.decisions().await, []);
    ground.nothing_is_open().await;
}
