//! RENAME TABLE of tables that every shard has: while some shards have it and others do not, nobody is let in under a name that stands for another table by now.

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_tests::{Pod, eventually_async};
use podway_topology::StatementMoment;
use podway_topology_api::{Command, OperationKind, OperationState, SettingCommand};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::ground::{DEADLINE, Ground, code, wait_at};

/// What shows that a statement waits: it would have been answered long before.
const A_WHILE: Duration = Duration::from_millis(300);

fn run(mut conn: Conn, sql: String) -> JoinHandle<(Conn, mysql_async::Result<()>)> {
    tokio::spawn(async move {
        // Each on one shard alone.
        for statement in sql.split(';') {
            if let Err(error) = conn.query_drop(statement).await {
                return (conn, Err(error));
            }
        }
        (conn, Ok(()))
    })
}

/// The rows that are found by their key: those on another shard than the map looks on are not.
async fn found(conn: &mut Conn, table: &str, column: &str) -> Vec<u64> {
    let mut found = Vec::new();
    for id in 1..=20u64 {
        let row: Option<u64> =
            conn.query_first(format!("SELECT {column} FROM {table} WHERE {column} = {id}")).await.unwrap();
        found.extend(row);
    }
    found
}

fn twenty(table: &str) -> String {
    let rows = (1..=20).map(|id| format!("INSERT INTO {table} (id, k) VALUES ({id}, {})", id + 100));
    rows.collect::<Vec<_>>().join(";")
}

async fn is_held(ground: &Ground) {
    eventually_async(DEADLINE, "the names are held", async || {
        let OperationKind::Ddl(ddl) = ground.last().await.kind else { return None };
        ddl.held
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_writes_under_the_new_name_before_every_shard_has_it() {
    let (probe, mut arrivals) = wait_at(StatementMoment::Done, 0);
    let mut ground = Ground::new(Pod::shared().await, "ddl_renamed", 2, 2).await;
    let mut conn = ground.connect(0).await;
    let table = "CREATE TABLE xa (id BIGINT PRIMARY KEY, k BIGINT) COMMENT 'podway: shard by (id)'";
    conn.query_drop(table).await.unwrap();
    ground.restart(probe).await;
    let renaming = run(conn, "RENAME TABLE xa TO xb".to_owned());
    let go_on = arrivals.recv().await.unwrap();
    let mut writing = run(ground.connect(1).await, twenty("xb"));
    let mut prepared = ground.connect(1).await;
    let mut reading = tokio::spawn(async move {
        let count: Option<u64> = prepared.exec_first("SELECT COUNT(*) FROM xb WHERE k > ?", (0,)).await?;
        Ok::<_, mysql_async::Error>(count)
    });
    assert!(timeout(A_WHILE, &mut writing).await.is_err(), "the name is not held");
    assert!(timeout(A_WHILE, &mut reading).await.is_err(), "the name is not held");
    go_on.send(()).unwrap();
    renaming.await.unwrap().1.unwrap();
    let (mut conn, written) = writing.await.unwrap();
    written.unwrap();
    assert!(reading.await.unwrap().unwrap().is_some());
    assert_eq!(found(&mut conn, "xb", "id").await, (1..=20).collect::<Vec<u64>>());
    assert_eq!(code(&conn.query_drop("SELECT 1 FROM xa").await.unwrap_err()), 1146);
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tables_that_lie_otherwise_change_their_names() {
    let (probe, mut arrivals) = wait_at(StatementMoment::Done, 0);
    let mut ground = Ground::new(Pod::shared().await, "ddl_swapped", 2, 2).await;
    let mut conn = ground.connect(0).await;
    for (table, key) in [("oa", "id"), ("ob", "k")] {
        let sql = format!(
            "CREATE TABLE {table} (id BIGINT, k BIGINT, PRIMARY KEY (id, k)) COMMENT 'podway: shard by ({key})'"
        );
        conn.query_drop(sql).await.unwrap();
    }
    ground.restart(probe).await;
    let renaming = run(conn, "RENAME TABLE oa TO o, ob TO oa, o TO ob".to_owned());
    let go_on = arrivals.recv().await.unwrap();
    let mut writing = run(ground.connect(1).await, twenty("oa"));
    assert!(timeout(A_WHILE, &mut writing).await.is_err(), "the name is not held");
    go_on.send(()).unwrap();
    renaming.await.unwrap().1.unwrap();
    let (mut conn, written) = writing.await.unwrap();
    written.unwrap();
    for k in 101..=120u64 {
        let id: Option<u64> = conn.query_first(format!("SELECT id FROM oa WHERE k = {k}")).await.unwrap();
        assert_eq!(id, Some(k - 100));
    }
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_from_before_is_told_to_begin_again_or_waited_for_for_a_while() {
    let ground = Ground::new(Pod::shared().await, "ddl_renamed_open", 2, 2).await;
    let mut conn = ground.connect(0).await;
    for table in ["xa", "other"] {
        let sql =
            format!("CREATE TABLE {table} (id BIGINT PRIMARY KEY, k BIGINT) COMMENT 'podway: shard by (id)'");
        conn.query_drop(sql).await.unwrap();
    }
    let mut open = ground.connect(1).await;
    open.query_drop("BEGIN").await.unwrap();
    open.query_drop("INSERT INTO xa VALUES (1, 1)").await.unwrap();
    let renaming = run(conn, "RENAME TABLE xa TO xb".to_owned());
    is_held(&ground).await;
    // Its proxy may not have heard of it yet.
    let mut id = 1;
    let told = loop {
        id += 1;
        if let Err(error) = open.query_drop(format!("INSERT INTO xa VALUES ({id}, 2)")).await {
            break error;
        }
    };
    assert_eq!(code(&told), 1213);
    let (conn, renamed) = renaming.await.unwrap();
    renamed.unwrap();
    assert_eq!(open.query_first("SELECT COUNT(*) FROM xb").await.unwrap(), Some(0), "it is rolled back");

    // One that has to do with other tables alone cannot be told: it may go on for long.
    let setting = SettingCommand::Set { name: "freeze.hold".into(), value: "1s".into() };
    ground.propose(Command::Setting(setting)).await;
    open.query_drop("BEGIN").await.unwrap();
    open.query_drop("INSERT INTO other VALUES (1, 1)").await.unwrap();
    let (mut conn, renamed) = run(conn, "RENAME TABLE xb TO xc".to_owned()).await.unwrap();
    assert_eq!(code(&renamed.unwrap_err()), 1205);
    assert_eq!(ground.last().await.state, OperationState::Refused);
    conn.query_drop("INSERT INTO xb VALUES (3, 3)").await.unwrap();
    open.query_drop("COMMIT").await.unwrap();
    conn.query_drop("RENAME TABLE xb TO xc").await.unwrap();
    assert_eq!(found(&mut conn, "xc", "id").await, [3]);
    ground.close().await;
}
