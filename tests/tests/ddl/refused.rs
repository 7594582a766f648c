//! What is refused: by the first shard, with nothing done; by a later one, half done and visible; by MySQL for want of a privilege.

use mysql_async::prelude::Queryable;
use podway_tests::Pod;
use podway_topology_api::{Command, OperationCommand, OperationState, TargetState};

use crate::ground::{Ground, refusal};

const TABLE: &str =
    "CREATE TABLE t (id BIGINT PRIMARY KEY, u BIGINT) COMMENT 'podway: shard by (id) unique per shard'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_first_shard_refuses_is_the_clients_and_nothing_has_happened() {
    let ground = Ground::new(Pod::shared().await, "ddl_refused", 3, 1).await;
    let mut conn = ground.connect(0).await;
    conn.query_drop(TABLE).await.unwrap();
    let (code, text) = refusal(&mut conn, "ALTER TABLE t DROP COLUMN nothing").await;
    assert_eq!(code, 1091, "{text}");
    assert_eq!(ground.last().await.state, OperationState::Refused);
    assert_eq!(refusal(&mut conn, TABLE).await.0, 1050);

    ground.add_user("ddl_refused_reader", "SELECT ON *.*").await;
    let mut reader = ground.connect_as(0, "ddl_refused_reader").await;
    for sql in ["ALTER TABLE t ADD x INT", "ALTER PODWAY TABLE t REFERENCE"] {
        let (code, text) = refusal(&mut reader, sql).await;
        assert_eq!((code, text.contains("ALTER command denied")), (1142, true), "{text}");
    }
    assert_eq!(refusal(&mut reader, "DROP TABLE t").await.0, 1142);
    assert_eq!(refusal(&mut reader, "TRUNCATE t").await.0, 1142);
    let create = "CREATE TABLE mine (id BIGINT PRIMARY KEY) COMMENT 'podway: shard by (id)'";
    assert_eq!(refusal(&mut reader, create).await.0, 1142);
    assert_eq!(ground.columns("t").await, vec![vec!["id".to_owned(), "u".to_owned()]; 3]);
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_later_shard_refuses_stays_half_done_until_somebody_says_how_to_go_on() {
    let ground = Ground::new(Pod::shared().await, "ddl_half", 4, 1).await;
    let mut conn = ground.connect(0).await;
    conn.query_drop(TABLE).await.unwrap();
    for id in 1..=60 {
        conn.query_drop(format!("INSERT INTO t VALUES ({id}, {id})")).await.unwrap();
    }
    // The rows of the third shard alone are against it.
    ground.on_shard::<u64>(2, "UPDATE {}.t SET u = 7").await;
    let (code, text) = refusal(&mut conn, "ALTER TABLE t ADD UNIQUE by_u (u)").await;
    assert_eq!(code, 1062, "{text}");
    let operation = ground.last().await;
    assert!(operation.needs_somebody());
    assert!(text.contains(&format!("podway operation retry {}", operation.id.0)), "{text}");
    assert_eq!(operation.progress(), (3, 4));
    assert!(matches!(operation.targets[2].1, TargetState::Refused { .. }));

    // Another statement on the table waits for nobody: it is told.
    let (code, text) = refusal(&mut conn, "ALTER TABLE t ADD y INT").await;
    assert_eq!((code, text.contains("half done")), (1105, true), "{text}");

    let again = ground.retry(operation.id).await;
    assert!(again.needs_somebody());
    ground.on_shard::<u64>(2, "UPDATE {}.t SET u = id").await;
    let ended = ground.retry(operation.id).await;
    assert_eq!(ended.state, OperationState::Finished);
    for shard in 0..4 {
        let sql = "SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = TRIM(BOTH '`' FROM '{}') AND index_name = 'by_u'";
        assert_eq!(ground.on_shard::<u64>(shard, sql).await, [1]);
    }
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_done_work_can_be_given_up() {
    let ground = Ground::new(Pod::shared().await, "ddl_given_up", 2, 1).await;
    let mut conn = ground.connect(0).await;
    conn.query_drop(TABLE).await.unwrap();
    ground.on_shard::<u64>(1, "CREATE INDEX by_u ON {}.t (u)").await;
    assert_eq!(refusal(&mut conn, "CREATE INDEX by_u ON t (u)").await.0, 1061);
    let id = ground.last().await.id;
    ground.propose(Command::Operation(OperationCommand::GiveUp { id })).await;
    assert_eq!(ground.last().await.state, OperationState::GivenUp);
    conn.query_drop("ALTER TABLE t ADD y INT").await.unwrap();
    ground.close().await;
}
