//! What stands in a move's way is named in its record. What goes away lets it go on; what does not, cancels it before anything is held, or at the freeze's limit.

use mysql_async::prelude::Queryable;
use podway_model::{ServerId, ShardIndex};
use podway_tests::{Pod, PodOptions};
use podway_topology::{Moment, Moves};
use podway_topology_api::{MoveStep, OperationState};

use crate::ground::{Ground, stop_at};

const MOVING: ShardIndex = ShardIndex(1);
const SOURCE: u32 = 1;

/// Backups and prepared branches concern whole servers: not those of the other tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_in_the_way_is_named_and_when_it_is_gone_the_move_goes_on() {
    let pod: &'static Pod =
        Box::leak(Box::new(Pod::start(PodOptions { servers: 3, ..PodOptions::default() }).await.unwrap()));
    let mut ground = Ground::shop(pod, "moves_blocked", 2, Moves::default()).await;
    let schema = ground.keyspace.physical(MOVING);
    let customer = ground.customer(MOVING).await;

    let mut backup = ground.server(SOURCE).await;
    backup.query_drop("LOCK INSTANCE FOR BACKUP").await.unwrap();
    let id = ground.begin(MOVING, 2, "moves_blocked_1").await;
    ground.trouble(id, "a backup runs on server s1: thread").await;
    let mut branch = ground.server(SOURCE).await;
    branch.query_drop(format!("USE `{schema}`")).await.unwrap();
    branch.query_drop("XA START 'a-branch'").await.unwrap();
    branch.query_drop("UPDATE customers SET balance = balance + 1").await.unwrap();
    branch.query_drop("XA END 'a-branch'").await.unwrap();
    branch.query_drop("XA PREPARE 'a-branch'").await.unwrap();
    backup.query_drop("UNLOCK INSTANCE").await.unwrap();
    // As XA ROLLBACK takes it.
    ground.trouble(id, "1 prepared XA branches that have to be committed or rolled back first: X'612D6272616E6368',X'',1").await;
    let mut reader = ground.server(SOURCE).await;
    reader.query_drop("BEGIN").await.unwrap();
    let _: Option<u64> = reader.query_first(format!("SELECT id FROM `{schema}`.customers")).await.unwrap();
    branch.query_drop("XA ROLLBACK 'a-branch'").await.unwrap();
    ground.trouble(id, "holds customers; commit, roll back or kill").await;
    reader.query_drop("COMMIT").await.unwrap();
    ground.finish(id).await;

    // What stays is waited for no longer than the freeze may last.
    ground.set("freeze.limit", "1s").await;
    let mut branch = ground.server(2).await;
    branch.query_drop("XA START 'b-branch'").await.unwrap();
    branch.query_drop("UPDATE moves_blocked_1.customers SET balance = 1").await.unwrap();
    branch.query_drop("XA END 'b-branch'").await.unwrap();
    branch.query_drop("XA PREPARE 'b-branch'").await.unwrap();
    let id = ground.begin(MOVING, SOURCE, "moves_blocked_2").await;
    let ended = ground.end(id).await;
    assert_eq!(ended.state, OperationState::Cancelled);
    let trouble = ended.trouble.unwrap();
    assert!(trouble.contains("freeze.limit") && trouble.contains("X'622D6272616E6368'"), "{trouble}");
    branch.query_drop("XA COMMIT 'b-branch'").await.unwrap();
    let mut conn = ground.connect().await;
    conn.query_drop(format!("UPDATE customers SET balance = 2 WHERE id = {customer}")).await.unwrap();

    // A target that dies holds nobody up: the move is cancelled, and what it left there gives way to the next one.
    ground.set("freeze.limit", "1m").await;
    let (moves, mut stopped) = stop_at(MoveStep::CatchUp, Moment::Done);
    ground.restart(moves).await;
    let id = ground.begin(MOVING, SOURCE, "moves_blocked_3").await;
    stopped.recv().await.unwrap();
    let target = pod.server(ServerId(SOURCE)).await;
    target.kill().unwrap();
    ground.cancel(id).await;
    assert_eq!(ground.end(id).await.state, OperationState::Cancelled);
    conn.query_drop(format!("UPDATE customers SET balance = 3 WHERE id = {customer}")).await.unwrap();
    target.restart().unwrap();
    ground.restart(Moves::default()).await;
    let id = ground.begin(MOVING, SOURCE, "moves_blocked_3").await;
    ground.finish(id).await;
    let sql = format!("SELECT balance FROM customers WHERE id = {customer}");
    let balance: Option<u64> = conn.query_first(sql).await.unwrap();
    assert_eq!(balance, Some(3));
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_moved_is_refused_by_name_before_anything_is_held() {
    let ground = Ground::shop(Pod::shared().await, "moves_refused", 2, Moves::default()).await;
    let schema = ground.keyspace.physical(MOVING);
    let cases = [
        (
            "CREATE PROCEDURE greet() DO 1",
            "DROP PROCEDURE greet",
            "stored procedures and functions, which do not move: greet",
        ),
        (
            "CREATE EVENT yearly ON SCHEDULE EVERY 1 YEAR DO DO 1",
            "DROP EVENT yearly",
            "events, which do not move: yearly",
        ),
        (
            "CREATE TABLE old (a INT) ENGINE = MyISAM",
            "DROP TABLE old",
            "tables of another engine than InnoDB, which do not move: old",
        ),
        (
            "CREATE VIEW users AS SELECT User FROM mysql.user",
            "DROP VIEW users",
            "views of other schemas' tables, which do not move: users",
        ),
        (
            "CREATE TRIGGER spelled BEFORE INSERT ON ledger FOR EACH ROW SET @n = (SELECT COUNT(*) FROM moves_refused__2.customers)",
            "DROP TRIGGER spelled",
            "triggers that name their schema, which gets another name, which do not move: spelled",
        ),
    ];
    for (make, unmake, expected) in cases {
        let mut source = ground.server(SOURCE).await;
        source.query_drop(format!("USE `{schema}`")).await.unwrap();
        source.query_drop(make).await.unwrap();
        let id = ground.begin(MOVING, 3, "moves_refused_target").await;
        let ended = ground.end(id).await;
        assert_eq!(ended.state, OperationState::Cancelled, "{make}");
        let trouble = ended.trouble.unwrap();
        assert!(trouble.contains(expected), "{trouble}");
        source.query_drop(unmake).await.unwrap();
    }
    let mut target = ground.server(3).await;
    target.query_drop("CREATE DATABASE moves_refused_target").await.unwrap();
    target.query_drop("CREATE TABLE moves_refused_target.mine (a INT)").await.unwrap();
    let id = ground.begin(MOVING, 3, "moves_refused_target").await;
    let ended = ground.end(id).await;
    assert!(ended.trouble.unwrap().contains("is not empty: it has mine"));
    let left: Option<u64> =
        target.query_first("SELECT COUNT(*) FROM moves_refused_target.mine").await.unwrap();
    assert_eq!(left, Some(0), "what is not the move's own is left alone");
    target.query_drop("DROP TABLE moves_refused_target.mine").await.unwrap();
    let id = ground.begin(MOVING, 3, "moves_refused_target").await;
    ground.finish(id).await;
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_does_not_arrive_as_it_was_is_noticed_and_its_table_named() {
    let ground = Ground::shop(Pod::shared().await, "moves_unequal", 2, Moves::default()).await;
    let schema = ground.keyspace.physical(MOVING);
    let customer = ground.customer(MOVING).await;
    let mut source = ground.server(SOURCE).await;
    source.query_drop(format!("CREATE TABLE `{schema}`.prices (p JSON)")).await.unwrap();
    // The text of this decimal is 1.10, and what is made of that text prints as 1.1.
    let sql = format!("INSERT INTO `{schema}`.prices VALUES (JSON_OBJECT('p', CAST(1.10 AS DECIMAL(5, 2))))");
    source.query_drop(sql).await.unwrap();
    let id = ground.begin(MOVING, 3, "moves_unequal_target").await;
    let ended = ground.end(id).await;
    assert_eq!(ended.state, OperationState::Cancelled);
    let trouble = ended.trouble.unwrap();
    assert!(trouble.contains("prices differs on source and target: some of its rows"), "{trouble}");
    let mut conn = ground.connect().await;
    conn.query_drop(format!("UPDATE customers SET balance = 1 WHERE id = {customer}")).await.unwrap();
    ground.close().await;
}
