//! What is left of a statement that fails on one of its shards: nothing.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use podway_model::ServerId;

use crate::world::{ACCOUNTS, World};

fn code(result: mysql_async::Result<()>) -> u16 {
    match result {
        Err(Error::Server(error)) => error.code,
        other => panic!("no server's error: {other:?}"),
    }
}

async fn sum(conn: &mut Conn) -> i64 {
    conn.query_first("SELECT CAST(SUM(amount) AS SIGNED) FROM accounts").await.unwrap().unwrap()
}

/// Decisions on the two servers.
async fn decisions(world: &World) -> u64 {
    let mut count = 0;
    for server in [0, 1] {
        let mut admin = world.keyspace.pod.admin(ServerId(server)).await.unwrap();
        let found: Option<u64> =
            admin.query_first("SELECT COUNT(*) FROM _podway.decision WHERE st = 'C'").await.unwrap();
        count += found.unwrap();
    }
    count
}

/// An account whose shard is asked last, so that all others have done their part before.
async fn last_account(world: &World) -> u64 {
    let mut last = 0;
    let mut direct = world.keyspace.direct(podway_model::ShardIndex(3)).await.unwrap();
    let ids: Vec<u64> = direct.query("SELECT id FROM accounts").await.unwrap();
    last = ids.into_iter().fold(last, u64::max);
    last
}

#[tokio::test]
async fn a_statement_that_fails_on_the_last_shard_leaves_nothing_on_the_first() {
    let mut world = World::new("scatter_fails").await;
    let last = last_account(&world).await;
    world.same(&format!("UPDATE accounts SET amount = 1 WHERE id = {last}")).await;
    // CHECK (amount >= 0) holds everywhere but there.
    let failing = "UPDATE accounts SET amount = amount - 5";
    assert_eq!(code(world.ours.query_drop(failing).await), 3819);
    assert_eq!(code(world.theirs.query_drop(failing).await), 3819);
    world.same_tables().await;
    let twice = format!(
        "INSERT INTO accounts (id, owner, amount) VALUES (901, 'a', 1), (902, 'b', 1), (903, 'c', 1), (904, 'd', 1), ({last}, 'e', 1)"
    );
    assert_eq!(code(world.ours.query_drop(&twice).await), 1062);
    assert_eq!(code(world.theirs.query_drop(&twice).await), 1062);
    world.same_tables().await;
    world.same("UPDATE accounts SET amount = amount + 1").await;
    world.same_tables().await;
}

#[tokio::test]
async fn inside_a_transaction_it_is_undone_alone() {
    let mut world = World::new("scatter_undone").await;
    let last = last_account(&world).await;
    let mut other = world.another().await;
    let before = sum(&mut other).await;
    world.same("BEGIN").await;
    world.same(&format!("UPDATE accounts SET amount = 1 WHERE id = {last}")).await;
    world.same("SAVEPOINT mine").await;
    world.same("UPDATE accounts SET amount = amount + 100 WHERE id < 9").await;
    let failing = "UPDATE accounts SET amount = amount - 5";
    assert_eq!(code(world.ours.query_drop(failing).await), 3819);
    assert_eq!(code(world.theirs.query_drop(failing).await), 3819);
    world.same("SELECT CAST(SUM(amount) AS SIGNED) FROM accounts").await;
    assert_eq!(sum(&mut other).await, before, "nobody else sees it yet");
    world.same("ROLLBACK TO mine").await;
    world.same("UPDATE accounts SET amount = amount + 7").await;
    world.same("COMMIT").await;
    world.same_tables().await;
    assert_eq!(sum(&mut other).await, sum(&mut world.ours).await);
}

#[tokio::test]
async fn a_statement_of_its_own_is_one_transaction() {
    let mut world = World::new("scatter_own").await;
    let before = decisions(&world).await;
    world.same("UPDATE accounts SET amount = amount + 1").await;
    assert!(decisions(&world).await > before, "it was decided once for both servers");
    let mut other = world.another().await;
    world.ours.query_drop("SET autocommit = 0").await.unwrap();
    let total = sum(&mut other).await;
    world.ours.query_drop("UPDATE accounts SET amount = amount + 1").await.unwrap();
    assert_eq!(sum(&mut other).await, total);
    world.ours.query_drop("COMMIT").await.unwrap();
    assert_eq!(sum(&mut other).await, total + i64::try_from(ACCOUNTS).unwrap());
    world.ours.query_drop("DELETE FROM accounts").await.unwrap();
    world.ours.query_drop("ROLLBACK").await.unwrap();
    assert_eq!(sum(&mut world.ours).await, total + i64::try_from(ACCOUNTS).unwrap());
    world.ours.query_drop("COMMIT").await.unwrap();
    let in_read_only = ["START TRANSACTION READ ONLY", "UPDATE accounts SET amount = 0"];
    world.ours.query_drop(in_read_only[0]).await.unwrap();
    assert_eq!(code(world.ours.query_drop(in_read_only[1]).await), 1792);
    world.ours.query_drop("ROLLBACK").await.unwrap();
}
