//! LOCK TABLES on two servers beside plain MySQL: who may do what under locks, that others wait at every shard, and that nothing is locked for ever.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use podway::provision::Declaration;
use podway_model::ShardIndex;
use tokio::time::timeout;

use crate::world::{ACCOUNTS, World};

/// What takes longer than this never ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// A world with a home table of two rows.
async fn world(name: &str) -> World {
    let mut world = World::new(name).await;
    let definition = "CREATE TABLE notes (id INT PRIMARY KEY, said VARCHAR(20))";
    world.theirs.query_drop(definition).await.unwrap();
    world.keyspace.create_table(definition, "notes", Declaration::Home).await.unwrap();
    world.same("INSERT INTO notes VALUES (1, 'one'), (2, 'two')").await;
    world
}

fn code(result: mysql_async::Result<()>) -> u16 {
    match result {
        Ok(()) => 0,
        Err(Error::Server(error)) => error.code,
        Err(other) => panic!("no server's error: {other:?}"),
    }
}

/// An account on each shard.
async fn one_of_each_shard(world: &World) -> Vec<u64> {
    let mut accounts = Vec::new();
    for shard in 0..4 {
        let mut direct = world.keyspace.direct(ShardIndex(shard)).await.unwrap();
        accounts.push(direct.query_first("SELECT MIN(id) FROM accounts").await.unwrap().unwrap());
    }
    accounts
}

/// A session that waits one second for locks on tables.
async fn impatient(world: &World) -> Conn {
    let mut conn = world.another().await;
    conn.query_drop("SET lock_wait_timeout = 1").await.unwrap();
    conn
}

/// Of which accounts others can read, each in a session of its own.
async fn readable(world: &World, accounts: &[u64]) -> Vec<bool> {
    let mut reads = Vec::new();
    for id in accounts {
        let mut conn = impatient(world).await;
        let sql = format!("SELECT owner FROM accounts WHERE id = {id}");
        reads.push(tokio::spawn(async move { code(conn.query_drop(sql).await) }));
    }
    let mut readable = Vec::new();
    for read in reads {
        readable.push(match read.await.unwrap() {
            0 => true,
            1205 => false,
            other => panic!("error {other}"),
        });
    }
    readable
}

#[tokio::test]
async fn under_read_locks_all_shards_are_read_and_nothing_else() {
    let mut world = world("locks_read").await;
    for lock in [
        "LOCK TABLES accounts READ, currencies READ LOCAL, notes READ",
        "LOCK TABLES `accounts` READ /*!32311 LOCAL */,`currencies` READ /*!32311 LOCAL */,`notes` READ /*!32311 LOCAL */",
    ] {
        world.same(lock).await;
        for sql in [
            "SELECT id, owner FROM accounts",
            "SELECT id, owner FROM accounts WHERE id = 3",
            "SELECT id, owner FROM accounts WHERE id IN (3, 4, 5, 6)",
            "SELECT id, owner FROM accounts ORDER BY amount DESC LIMIT 5",
            "SELECT COUNT(*), SUM(amount) FROM accounts",
            "SELECT GROUP_CONCAT(owner ORDER BY id) FROM accounts WHERE amount > 20",
            "SELECT code FROM currencies",
            "SELECT said FROM notes",
            "SELECT accounts.id, said FROM accounts JOIN notes ON notes.id = accounts.id",
            "SELECT 1 + 1",
            // Not locked.
            "SELECT * FROM entries",
            "SELECT * FROM entries WHERE account = 3",
            "SELECT a.id FROM accounts a",
            "SELECT a.id FROM accounts a WHERE id = 3",
            "SELECT COUNT(*) FROM accounts, entries WHERE amount = note",
            "UPDATE entries SET note = 'x'",
            "INSERT INTO entries VALUES (1, 70, 'a'), (2, 71, 'b'), (3, 72, 'c'), (4, 73, 'd')",
            // Locked to be read.
            "INSERT INTO accounts (id, owner, amount) VALUES (101, 'x', 1)",
            "INSERT INTO accounts (id, owner, amount) VALUES (101, 'x', 1), (102, 'y', 2), (103, 'z', 3), (104, 'w', 4)",
            "UPDATE accounts SET amount = 0",
            "DELETE FROM accounts WHERE id = 3",
            "INSERT INTO currencies VALUES ('NOK', 'krone')",
            "UPDATE notes SET said = 'x'",
            "ROLLBACK",
            "SELECT id, owner FROM accounts",
        ] {
            world.same(sql).await;
        }
        world.same_prepared("SELECT owner FROM accounts WHERE amount > ?", &[30.into()]).await;
        world.same_prepared("SELECT owner FROM accounts WHERE id = ?", &[7.into()]).await;
        world.same("UNLOCK TABLES").await;
        world.same("UNLOCK TABLES").await;
        world.same("UPDATE accounts SET amount = amount + 1").await;
    }
    world.same("LOCK TABLES accounts AS a READ, accounts AS b READ, notes n READ").await;
    for sql in [
        "SELECT COUNT(*) FROM accounts a JOIN accounts b ON a.id = b.amount",
        "SELECT a.id FROM accounts AS a",
        "SELECT n.said FROM notes n",
        "SELECT id FROM accounts",
        "SELECT id FROM accounts WHERE id = 1",
        "SELECT c.id FROM accounts c",
    ] {
        world.same(sql).await;
    }
    world.same("LOCK TABLES accounts READ, accounts READ").await;
    world.same("LOCK TABLES accounts READ, missing READ").await;
    // Nothing is locked after a refusal.
    world.same("SELECT COUNT(*) FROM entries").await;
    world.same_tables().await;
}

#[tokio::test]
async fn write_locks_keep_others_out_of_every_shard_until_they_end() {
    let mut world = world("locks_write").await;
    let accounts = one_of_each_shard(&world).await;
    for ends in ["UNLOCK TABLES", "START TRANSACTION", "LOCK TABLES notes READ", "BEGIN"] {
        world.same("LOCK TABLES accounts WRITE, currencies READ").await;
        assert_eq!(readable(&world, &accounts).await, [false; 4]);
        for sql in [
            "SELECT COUNT(*) FROM accounts",
            "SELECT id FROM accounts",
            "SELECT name FROM currencies",
            "UPDATE accounts SET amount = amount + 5 WHERE id = 3",
            "INSERT INTO accounts (id, owner, amount) VALUES (101, 'x', 1)",
            "DELETE FROM accounts WHERE id = 101",
            "INSERT INTO currencies VALUES ('NOK', 'krone')",
            "SELECT id FROM notes",
            "COMMIT",
        ] {
            world.same(sql).await;
        }
        world.same_prepared("UPDATE accounts SET amount = ? WHERE id = ?", &[7.into(), 5.into()]).await;
        // It could not be atomic.
        assert_eq!(code(world.ours.query_drop("UPDATE accounts SET amount = 1").await), 1235);
        world.same(ends).await;
        assert_eq!(readable(&world, &accounts).await, [true; 4], "{ends}");
        world.same("ROLLBACK").await;
        world.same("UNLOCK TABLES").await;
    }
    world.same_tables().await;
    // They end with their session.
    let mut holder = world.another().await;
    holder.query_drop("LOCK TABLES accounts WRITE").await.unwrap();
    assert_eq!(readable(&world, &accounts).await, [false; 4]);
    holder.reset().await.unwrap();
    assert_eq!(readable(&world, &accounts).await, [true; 4]);
    holder.query_drop("LOCK TABLES accounts WRITE").await.unwrap();
    assert_eq!(readable(&world, &accounts).await, [false; 4]);
    drop(holder);
    world.same("UPDATE accounts SET amount = amount + 1").await;
}

#[tokio::test]
async fn what_is_open_is_committed_before_tables_are_locked() {
    let mut world = world("locks_commit").await;
    world.same("BEGIN").await;
    world.same("UPDATE accounts SET amount = amount + 1").await;
    world.same("LOCK TABLES accounts READ").await;
    world.same("ROLLBACK").await;
    world.same("SELECT SUM(amount) FROM accounts").await;
    world.same("UNLOCK TABLES").await;
    world.same_tables().await;
    // Tables of one server, as MySQL's manual would have it.
    for sql in [
        "SET autocommit = 0",
        "LOCK TABLES notes WRITE",
        "INSERT INTO notes VALUES (3, 'three')",
        "ROLLBACK",
        "INSERT INTO notes VALUES (4, 'four')",
        "SELECT * FROM accounts WHERE id = 1",
        "UNLOCK TABLES",
        "ROLLBACK",
        "SELECT * FROM notes",
        "COMMIT",
    ] {
        world.same(sql).await;
    }
    assert_eq!(code(world.ours.query_drop("LOCK TABLES accounts WRITE").await), 1235);
    world.same("SET autocommit = 1").await;
    world.same("LOCK TABLES accounts READ").await;
    world.same("SET autocommit = 0").await;
    assert_eq!(code(world.ours.query_drop("SELECT * FROM accounts").await), 1235);
    world.same("SET autocommit = 1").await;
    world.same("SELECT COUNT(*) FROM accounts").await;
    world.same("UNLOCK TABLES").await;
    world.same_tables().await;
}

#[tokio::test]
async fn a_transaction_that_needs_what_was_locked_meanwhile_gets_through() {
    let mut world = world("locks_cross").await;
    let accounts = one_of_each_shard(&world).await;
    // The servers are asked in their order, and a transaction may have begun on any of them.
    for (first, then) in [(0, 1), (1, 0)] {
        let mut holder = world.another().await;
        holder.query_drop("BEGIN").await.unwrap();
        let change =
            |at: usize| format!("UPDATE accounts SET amount = amount + 1 WHERE id = {}", accounts[at]);
        holder.query_drop(change(first)).await.unwrap();
        let mut locker = world.another().await;
        let locking = tokio::spawn(async move {
            locker.query_drop("LOCK TABLES accounts WRITE").await.unwrap();
            locker
        });
        wait_for_locks(&world).await;
        timeout(PATIENCE, holder.query_drop(change(then))).await.unwrap().unwrap();
        holder.query_drop("COMMIT").await.unwrap();
        let mut locker = timeout(PATIENCE, locking).await.unwrap().unwrap();
        assert_eq!(readable(&world, &accounts).await, [false; 4]);
        locker.query_drop("UNLOCK TABLES").await.unwrap();
        assert_eq!(readable(&world, &accounts).await, [true; 4]);
    }
    // Nor does anybody hold them who is interrupted, or leaves, while he waits.
    for is_killed in [true, false] {
        let mut holder = world.another().await;
        holder.query_drop("BEGIN").await.unwrap();
        holder.query_drop("UPDATE accounts SET amount = amount + 1").await.unwrap();
        let mut locker = world.another().await;
        let id: u64 = locker.query_first("SELECT CONNECTION_ID()").await.unwrap().unwrap();
        let locking =
            tokio::spawn(async move { code(locker.query_drop("LOCK TABLES accounts WRITE").await) });
        wait_for_locks(&world).await;
        match is_killed {
            true => {
                world.ours.query_drop(format!("KILL QUERY {id}")).await.unwrap();
                assert_eq!(timeout(PATIENCE, locking).await.unwrap().unwrap(), 1317);
            }
            false => locking.abort(),
        }
        holder.query_drop("UPDATE accounts SET amount = amount - 1").await.unwrap();
        holder.query_drop("COMMIT").await.unwrap();
        timeout(PATIENCE, world.ours.query_drop("UPDATE accounts SET amount = amount + 0"))
            .await
            .unwrap()
            .unwrap();
    }
    // Who gives up holds nothing.
    let mut holder = world.another().await;
    holder.query_drop("BEGIN").await.unwrap();
    holder.query_drop("UPDATE accounts SET amount = amount + 1").await.unwrap();
    let mut locker = impatient(&world).await;
    assert_eq!(code(locker.query_drop("LOCK TABLES accounts READ").await), 1205);
    holder.query_drop("UPDATE accounts SET amount = amount - 1").await.unwrap();
    holder.query_drop("COMMIT").await.unwrap();
    locker.query_drop("UPDATE accounts SET amount = amount + 0").await.unwrap();
    world.same("SELECT COUNT(*) FROM accounts").await;
}

/// Waits until somebody waits for a lock on a table, on either server.
async fn wait_for_locks(world: &World) {
    let sql = "SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE LOCK_STATUS = 'PENDING'";
    let mut admins = Vec::new();
    for server in [0, 1] {
        admins.push(world.keyspace.pod.admin(podway_model::ServerId(server)).await.unwrap());
    }
    timeout(PATIENCE, async {
        loop {
            for admin in &mut admins {
                if admin.query_first::<u64, _>(sql).await.unwrap() > Some(0) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_is_read_under_locks_is_of_one_moment() {
    let mut world = world("locks_moment").await;
    let expected: i64 =
        world.ours.query_first("SELECT CAST(SUM(amount) AS SIGNED) FROM accounts").await.unwrap().unwrap();
    let mut tellers = Vec::new();
    for teller in 0..3 {
        let mut conn = world.another().await;
        tellers.push(tokio::spawn(async move {
            for turn in 0..60 {
                let (from, to) = (1 + (teller + turn) % ACCOUNTS, 1 + (teller * 5 + turn * 3 + 1) % ACCOUNTS);
                for sql in [
                    "BEGIN".to_owned(),
                    format!("UPDATE accounts SET amount = amount + 1 WHERE id = {to}"),
                    format!("UPDATE accounts SET amount = amount - 1 WHERE id = {from}"),
                    "COMMIT".to_owned(),
                ] {
                    match conn.query_drop(&sql).await {
                        Ok(()) => {}
                        // A deadlock, or an account that would be empty.
                        Err(Error::Server(error)) if [1213, 3819].contains(&error.code) => {
                            conn.query_drop("ROLLBACK").await.unwrap();
                            break;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }));
    }
    let mut looks = 0;
    while !tellers.iter().all(|teller| teller.is_finished()) || looks < 3 {
        looks += 1;
        world.ours.query_drop("LOCK TABLES accounts READ").await.unwrap();
        for _ in 0..2 {
            let rows: Vec<i64> = world.ours.query("SELECT amount FROM accounts").await.unwrap();
            assert_eq!(rows.iter().sum::<i64>(), expected);
        }
        world.ours.query_drop("UNLOCK TABLES").await.unwrap();
    }
    for teller in tellers {
        teller.await.unwrap();
    }
}
