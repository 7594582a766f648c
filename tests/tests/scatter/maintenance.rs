//! ANALYZE, CHECK, CHECKSUM and REPAIR TABLE over four shards beside plain MySQL: every shard does it, and the answer is one MySQL's. What one shard alone says is not lost.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use podway::provision::Declaration;
use podway_model::{ServerId, ShardIndex};
use podway_tests::answer::query;
use podway_tests::eventually_async;

use crate::world::World;

/// What takes longer than this never happens.
const PATIENCE: Duration = Duration::from_secs(60);

/// All that a row's sum is made of: lengths, NULL bits, defaults that stand behind NULL, bytes that are no text, columns that are not stored.
const WIDE: &str = "CREATE TABLE wide (id BIGINT PRIMARY KEY, v VARCHAR(20) DEFAULT 'zzz', c CHAR(5), d DATETIME(6), \
    t TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP, b BIT(5), j JSON, g BIGINT AS (id * 2) VIRTUAL, f DOUBLE, \
    n DECIMAL(10, 3), e ENUM('a', 'b'), s SET('x', 'y'), bytes BLOB, x INT DEFAULT (1 + 1))";

async fn world(name: &str) -> World {
    let mut world = World::with(name, &[("wide", WIDE, &["id"])]).await;
    let definition = "CREATE TABLE notes (id INT PRIMARY KEY, said VARCHAR(20))";
    world.theirs.query_drop(definition).await.unwrap();
    world.keyspace.create_table(definition, "notes", Declaration::Home).await.unwrap();
    world.same("INSERT INTO notes VALUES (1, 'one'), (2, 'two')").await;
    for id in 1..=20 {
        let row = match id % 3 {
            0 => format!("({id}, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"),
            1 => format!(
                "({id}, 'v{id}', 'c', '2024-01-0{} 10:00:00.5', '2024-02-03 04:05:06', b'10{}', '{{\"a\": {id}}}', {id}.25, -{id}.5, 'b', 'x,y', X'00FF{id:02}', {id})",
                id % 9 + 1,
                id % 2
            ),
            _ => format!("({id}, '', 'ä', NULL, NULL, b'0', '[]', -0.0, 0, 'a', '', '', NULL)"),
        };
        world
            .same(&format!("INSERT INTO wide (id, v, c, d, t, b, j, f, n, e, s, bytes, x) VALUES {row}"))
            .await;
    }
    world
}

/// Both answer the same, in the same order.
async fn same_in_order(world: &mut World, sql: &str) {
    let ours = query(&mut world.ours, sql.as_bytes()).await;
    let theirs = query(&mut world.theirs, sql.as_bytes()).await;
    assert_eq!(ours.difference(&theirs, true), None, "{sql}");
    world.same_warnings().await;
}

fn code(result: mysql_async::Result<()>) -> u16 {
    match result {
        Ok(()) => 0,
        Err(Error::Server(error)) => error.code,
        Err(other) => panic!("no server's error: {other:?}"),
    }
}

#[tokio::test]
async fn tables_are_looked_after_as_in_one_mysql() {
    let mut world = world("maintained").await;
    for sql in [
        "ANALYZE TABLE accounts",
        "ANALYZE NO_WRITE_TO_BINLOG TABLE accounts, notes, currencies, wide",
        "ANALYZE LOCAL TABLES notes, maintained.accounts",
        "ANALYZE TABLE accounts, missing, entries",
        "ANALYZE TABLE accounts, accounts",
        "ANALYZE TABLE accounts UPDATE HISTOGRAM ON owner, amount WITH 4 BUCKETS",
        "ANALYZE TABLE accounts UPDATE HISTOGRAM ON owner, nothing",
        "ANALYZE TABLE accounts UPDATE HISTOGRAM ON id",
        "ANALYZE TABLE accounts DROP HISTOGRAM ON owner, nothing",
        "ANALYZE TABLE accounts, notes UPDATE HISTOGRAM ON id",
        "CHECK TABLE accounts",
        "CHECK TABLE notes, accounts, missing, currencies FOR UPGRADE QUICK",
        "CHECK TABLE wide EXTENDED",
        "REPAIR TABLE accounts, notes, missing",
        "REPAIR LOCAL TABLE currencies QUICK EXTENDED USE_FRM",
        "CHECKSUM TABLE accounts",
        "CHECKSUM TABLE wide, currencies, missing, notes, entries",
        "CHECKSUM TABLES wide, accounts EXTENDED",
        "CHECKSUM TABLE wide QUICK",
        "CHECKSUM TABLE currencies",
        "CHECKSUM TABLE wide, wide",
        "CHECK TABLE accounts WITHOUT",
    ] {
        same_in_order(&mut world, sql).await;
    }
    for sql in ["ANALYZE TABLE accounts, notes", "CHECKSUM TABLE wide, notes", "REPAIR TABLE accounts"] {
        world.same_prepared(sql, &[]).await;
    }
    // MySQL prepares no CHECK.
    assert_eq!(code(world.ours.exec_drop("CHECK TABLE accounts", ()).await), 1295);
    // Each shard has its own histogram.
    for shard in 0..4 {
        let mut direct = world.keyspace.direct(ShardIndex(shard)).await.unwrap();
        let sql = "SELECT COUNT(*) FROM information_schema.COLUMN_STATISTICS WHERE SCHEMA_NAME = DATABASE() AND TABLE_NAME = 'accounts'";
        assert_eq!(direct.query_first::<u64, _>(sql).await.unwrap(), Some(1), "shard {shard}");
    }
    // It would rebuild tables beside operations on them.
    assert_eq!(code(world.ours.query_drop("OPTIMIZE TABLE accounts").await), 1235);
    world.same("OPTIMIZE TABLE notes").await;
}

#[tokio::test]
async fn transactions_and_locks_are_as_in_mysql() {
    let mut world = world("maintained_in").await;
    // CHECKSUM TABLE is a part of the transaction.
    for begins in ["BEGIN", "START TRANSACTION WITH CONSISTENT SNAPSHOT", "SET autocommit = 0"] {
        world.same(begins).await;
        same_in_order(&mut world, "CHECKSUM TABLE wide, accounts, notes").await;
        if begins != "START TRANSACTION WITH CONSISTENT SNAPSHOT" {
            world.same("UPDATE accounts SET amount = amount + 1").await;
            same_in_order(&mut world, "CHECKSUM TABLE wide, accounts").await;
        }
        world.same("ROLLBACK").await;
        same_in_order(&mut world, "CHECKSUM TABLE accounts").await;
        world.same("COMMIT").await;
    }
    // The others commit.
    for sql in ["ANALYZE TABLE accounts", "CHECK TABLE wide, notes", "REPAIR TABLE currencies"] {
        world.same("UPDATE accounts SET amount = amount + 1").await;
        same_in_order(&mut world, sql).await;
        world.same("ROLLBACK").await;
        world.same("SELECT SUM(amount) FROM accounts").await;
    }
    world.same("COMMIT").await;
    world.same("SET autocommit = 1").await;
    world.same("BEGIN").await;
    world.same("UPDATE accounts SET amount = amount + 1").await;
    same_in_order(&mut world, "ANALYZE TABLE accounts").await;
    world.same("ROLLBACK").await;
    world.same_tables().await;
    for locks in ["LOCK TABLES accounts READ, notes READ", "LOCK TABLES accounts WRITE, notes WRITE"] {
        world.same(locks).await;
        for sql in [
            "CHECKSUM TABLE accounts, entries",
            "ANALYZE TABLE accounts, notes",
            "CHECK TABLE accounts, entries",
            "SELECT COUNT(*) FROM accounts",
        ] {
            same_in_order(&mut world, sql).await;
        }
        world.same("UNLOCK TABLES").await;
    }
    // Another connection knows nothing of what is bound to one.
    world.ours.query_drop("SELECT GET_LOCK('maintained', 1)").await.unwrap();
    assert_eq!(code(world.ours.query_drop("CHECK TABLE accounts").await), 1235);
    world.ours.query_drop("CHECK TABLE notes").await.unwrap();
}

#[tokio::test]
async fn what_one_shard_alone_says_is_not_lost() {
    let mut world = world("maintained_one").await;
    world.keyspace.on_shard(ShardIndex(2), "DROP TABLE entries").await.unwrap();
    let lost = "Table 'maintained_one.entries' doesn't exist";
    let rows: Vec<(String, String, String, String)> =
        world.ours.query("CHECK TABLE accounts, entries, notes").await.unwrap();
    let expected = [
        ("maintained_one.accounts", "status", "OK"),
        ("maintained_one.entries", "Error", lost),
        ("maintained_one.entries", "status", "Operation failed"),
        ("maintained_one.notes", "status", "OK"),
    ];
    let rows: Vec<(&str, &str, &str)> =
        rows.iter().map(|(table, _, kind, text)| (table.as_str(), kind.as_str(), text.as_str())).collect();
    assert_eq!(rows, expected);
    let warnings: Vec<(String, u16, String)> = world.ours.query("SHOW WARNINGS").await.unwrap();
    let of: String = world
        .ours
        .query::<mysql_async::Row, _>("SHOW PODWAY SHARDS")
        .await
        .unwrap()
        .iter()
        .filter(|row| row.get::<String, _>("keyspace").as_deref() == Some("maintained_one"))
        .nth(2)
        .and_then(|row| row.get("ranges"))
        .unwrap_or_default();
    let note = |said: &str| {
        ("Note".to_owned(), 1105, format!("The shard {of} says of maintained_one.entries: {said}"))
    };
    assert_eq!(warnings, [note(&format!("Error: {lost}")), note("status: Operation failed")]);
    // No sum of a part.
    let sums: Vec<(String, Option<u64>)> =
        world.ours.query("CHECKSUM TABLE entries, accounts").await.unwrap();
    assert_eq!(sums[0], ("maintained_one.entries".to_owned(), None));
    assert!(sums[1].1.is_some());
    let warnings: Vec<(String, u16, String)> = world.ours.query("SHOW WARNINGS").await.unwrap();
    assert_eq!(warnings, [("Error".to_owned(), 1146, lost.to_owned())]);
}

#[tokio::test]
async fn it_is_killed_while_a_shard_waits() {
    let mut world = world("maintained_killed").await;
    let mut holder = world.keyspace.direct(ShardIndex(3)).await.unwrap();
    holder.query_drop("LOCK TABLES accounts WRITE").await.unwrap();
    let id = world.ours.id();
    let mut killer: Conn = world.another().await;
    let pod = world.keyspace.pod;
    let waits = async {
        eventually_async(PATIENCE, "a shard waits for the lock", async || {
            let mut waiting = 0;
            for server in [ServerId(0), ServerId(1)] {
                let mut admin = pod.admin(server).await.unwrap();
                let sql = "SELECT COUNT(*) FROM performance_schema.processlist \
                    WHERE info LIKE 'CHECK /* killed */%' AND state LIKE 'Waiting for table%'";
                waiting += admin.query_first::<u64, _>(sql).await.unwrap().unwrap();
            }
            (waiting > 0).then_some(())
        })
        .await;
        killer.query_drop(format!("KILL QUERY {id}")).await.unwrap();
    };
    let (checked, ()) = tokio::join!(world.ours.query_drop("CHECK /* killed */ TABLE accounts"), waits);
    assert_eq!(code(checked), 1317);
    holder.query_drop("UNLOCK TABLES").await.unwrap();
    world.same("CHECK TABLE accounts").await;
}
