//! Rows that are loaded under LOCK TABLES … WRITE, as mysqldump writes it: ALTER TABLE … DISABLE KEYS lets the locks go, and all that is no loading takes them again.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use podway_tests::{Pod, PodOptions};

use crate::ground::Ground;

fn code(result: mysql_async::Result<()>) -> u16 {
    match result {
        Ok(()) => 0,
        Err(Error::Server(error)) => error.code,
        Err(other) => panic!("no server's error: {other:?}"),
    }
}

/// Whether another session can count the rows.
async fn others_can_read(conn: &mut Conn) -> bool {
    match code(conn.query_drop("SELECT COUNT(*) FROM loads").await) {
        0 => true,
        1205 => false,
        other => panic!("error {other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_that_are_disabled_say_that_rows_are_loaded() {
    // Its own servers: what commits over several of them bears the secret of one cluster.
    let options = PodOptions { has_proxy: false, ..PodOptions::default() };
    let pod: &'static Pod = Box::leak(Box::new(Pod::start(options).await.unwrap()));
    let ground = Ground::new(pod, "ddl_loaded", 4, 1).await;
    let mut conn = ground.connect(0).await;
    for sql in [
        "CREATE TABLE loads (id BIGINT PRIMARY KEY, v INT) COMMENT 'podway: shard by (id)'",
        "CREATE TABLE kinds (id INT PRIMARY KEY) COMMENT 'podway: reference'",
        "CREATE TABLE others (id BIGINT PRIMARY KEY) COMMENT 'podway: shard by (id)'",
    ] {
        conn.query_drop(sql).await.unwrap();
    }
    let mut other = ground.connect(0).await;
    other.query_drop("SET lock_wait_timeout = 1").await.unwrap();
    let rows = |from: u64| {
        let rows: Vec<String> = (from..from + 20).map(|id| format!("({id}, 1)")).collect();
        format!("INSERT INTO loads VALUES {}", rows.join(", "))
    };
    conn.query_drop("LOCK TABLES loads WRITE, kinds WRITE").await.unwrap();
    assert_eq!(code(conn.query_drop(rows(1)).await), 1235);
    assert_eq!(code(conn.query_drop("ALTER TABLE loads ADD w INT").await), 1235);
    assert_eq!(code(conn.query_drop("ALTER PODWAY TABLE ddl_loaded.loads REFERENCE").await), 1235);
    assert_eq!(code(conn.query_drop("ALTER TABLE others DISABLE KEYS").await), 1235);
    assert!(!others_can_read(&mut other).await);
    conn.query_drop("ALTER TABLE loads DISABLE KEYS").await.unwrap();
    conn.query_drop(rows(1)).await.unwrap();
    conn.query_drop("INSERT INTO kinds VALUES (1), (2)").await.unwrap();
    conn.query_drop("INSERT INTO loads VALUES (1000, 1)").await.unwrap();
    conn.query_drop("SET @a = 1").await.unwrap();
    assert!(others_can_read(&mut other).await);
    // What is read is locked first, and stays so.
    let count: Option<u64> = conn.query_first("SELECT COUNT(*) FROM loads").await.unwrap();
    assert_eq!(count, Some(21));
    assert!(!others_can_read(&mut other).await);
    assert_eq!(code(conn.query_drop(rows(100)).await), 1235);
    conn.query_drop("UPDATE loads SET v = 2 WHERE id = 3").await.unwrap();
    // It may be said again.
    conn.query_drop("ALTER TABLE ddl_loaded.loads DISABLE KEYS").await.unwrap();
    conn.exec_drop("INSERT INTO loads VALUES (?, 5), (?, 5), (?, 5), (?, 5)", (200, 201, 202, 203))
        .await
        .unwrap();
    // Tables that are not locked are told apart, and then all are locked.
    assert_eq!(code(conn.query_drop("INSERT INTO others VALUES (1), (2), (3), (4), (5)").await), 1100);
    assert!(!others_can_read(&mut other).await);
    conn.query_drop("ALTER TABLE loads ENABLE KEYS").await.unwrap();
    conn.query_drop("UNLOCK TABLES").await.unwrap();
    assert!(others_can_read(&mut other).await);
    conn.query_drop("UPDATE loads SET v = 3").await.unwrap();
    // A session that begins a transaction, or leaves, loads no more.
    for ends in ["START TRANSACTION", "UNLOCK TABLES"] {
        conn.query_drop("LOCK TABLES loads WRITE").await.unwrap();
        conn.query_drop("ALTER TABLE loads DISABLE KEYS").await.unwrap();
        conn.query_drop(ends).await.unwrap();
        conn.query_drop("INSERT INTO others VALUES (1), (2), (3), (4), (5)").await.unwrap();
        conn.query_drop("COMMIT").await.unwrap();
        conn.query_drop("DELETE FROM others").await.unwrap();
    }
    ground.close().await;
}
