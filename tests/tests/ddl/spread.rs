//! DDL reaches every shard, the one with another physical name too, and every proxy knows of it when it returns.

use mysql_async::prelude::Queryable;
use podway_tests::Pod;

use crate::ground::{Ground, refusal};

const ORDERS: &str = "CREATE TABLE orders (customer BIGINT NOT NULL, id BIGINT NOT NULL, note VARCHAR(20), PRIMARY KEY (customer, id)) \
     COMMENT 'orders of customers; podway: shard by (customer)'";

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_lives_its_life_on_every_shard() {
    let ground = Ground::new(Pod::shared().await, "ddl_life", 3, 2).await;
    let (mut a, mut b) = (ground.connect(0).await, ground.connect(1).await);
    a.query_drop(ORDERS).await.unwrap();
    assert_eq!(ground.columns("orders").await, vec![names(&["customer", "id", "note"]); 3]);
    assert_eq!(ground.known("orders").await, Some(names(&["customer", "id", "note"])));
    for customer in 1..=30 {
        b.query_drop(format!("INSERT INTO orders VALUES ({customer}, 1, 'x')")).await.unwrap();
    }

    a.query_drop("ALTER TABLE ddl_life.orders ADD COLUMN total INT NOT NULL DEFAULT 5 FIRST").await.unwrap();
    let altered = names(&["total", "customer", "id", "note"]);
    assert_eq!(ground.columns("orders").await, vec![altered.clone(); 3]);
    assert_eq!(ground.known("orders").await, Some(altered));
    // By position, through the other proxy, at once: the key is the second column now.
    b.query_drop("INSERT INTO orders VALUES (9, 31, 1, 'y')").await.unwrap();
    let there: Option<i32> = a.query_first("SELECT total FROM orders WHERE customer = 31").await.unwrap();
    assert_eq!(there, Some(9));

    b.query_drop("CREATE INDEX by_total ON orders (total)").await.unwrap();
    b.query_drop("DROP INDEX by_total ON orders").await.unwrap();
    a.query_drop("RENAME TABLE orders TO purchases").await.unwrap();
    assert_eq!(ground.known("orders").await, None);
    let still: Option<i32> = b.query_first("SELECT total FROM purchases WHERE customer = 31").await.unwrap();
    assert_eq!(still, Some(9));
    assert_eq!(refusal(&mut b, "SELECT 1 FROM orders").await.0, 1146);

    a.query_drop("TRUNCATE purchases").await.unwrap();
    for shard in 0..3 {
        let rows: Vec<u64> = ground.on_shard(shard, "SELECT COUNT(*) FROM {}.purchases").await;
        assert_eq!(rows, [0]);
    }
    b.query_drop("DROP TABLE purchases").await.unwrap();
    assert_eq!(ground.columns("purchases").await, vec![Vec::<String>::new(); 3]);
    assert_eq!(ground.known("purchases").await, None);
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_is_read_everywhere_as_its_session_reads_it() {
    let ground = Ground::new(Pod::shared().await, "ddl_session", 2, 1).await;
    let mut conn = ground.connect(0).await;
    conn.query_drop("SET sql_mode = 'ANSI_QUOTES', NAMES latin1").await.unwrap();
    let sql: Vec<u8> = [
        b"CREATE TABLE \"odd\" (id BIGINT PRIMARY KEY, word VARCHAR(9) DEFAULT 'gr".as_slice(),
        b"\xfc\xdfe') COMMENT 'podway: shard by (id)'",
    ]
    .concat();
    conn.query_drop(sql).await.unwrap();
    for shard in 0..2 {
        let sql = "SELECT HEX(CONVERT(column_default USING utf8mb4)) FROM information_schema.columns WHERE table_schema = TRIM(BOTH '`' FROM '{}') \
                   AND table_name = 'odd' AND column_name = 'word'";
        let word: Vec<String> = ground.on_shard(shard, sql).await;
        assert_eq!(word, ["6772C3BCC39F65"]);
    }
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ddl_commits_what_is_open_and_notes_arrive() {
    let ground = Ground::new(Pod::shared().await, "ddl_commit", 2, 1).await;
    let mut conn = ground.connect(0).await;
    conn.query_drop("CREATE TABLE t (id BIGINT PRIMARY KEY) COMMENT 'podway: shard by (id)'").await.unwrap();
    conn.query_drop("BEGIN").await.unwrap();
    conn.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
    conn.query_drop("CREATE TABLE IF NOT EXISTS t (id BIGINT PRIMARY KEY) COMMENT 'podway: shard by (id)'")
        .await
        .unwrap();
    assert_eq!(conn.get_warnings(), 1);
    let said: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await.unwrap();
    assert_eq!((said[0].0.as_str(), said[0].1), ("Note", 1050));
    conn.query_drop("ROLLBACK").await.unwrap();
    let there: Option<u64> = conn.query_first("SELECT COUNT(*) FROM t WHERE id = 1").await.unwrap();
    assert_eq!(there, Some(1));
    let shown: Vec<mysql_async::Row> = conn.query("SHOW PODWAY OPERATIONS").await.unwrap();
    assert_eq!(shown.len(), 2);
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_keyspace_of_one_shard_the_map_follows_too() {
    let ground = Ground::new(Pod::shared().await, "ddl_alone", 1, 1).await;
    let mut conn = ground.connect(0).await;
    conn.query_drop("CREATE TABLE plain (id INT PRIMARY KEY)").await.unwrap();
    assert_eq!(ground.known("plain").await, None);
    conn.query_drop("CREATE TABLE t (id BIGINT PRIMARY KEY) COMMENT 'podway: shard by (id)'").await.unwrap();
    assert_eq!(ground.known("t").await, Some(names(&["id"])));
    conn.query_drop("ALTER TABLE t ADD x INT, RENAME TO u").await.unwrap();
    assert_eq!(ground.known("u").await, Some(names(&["id", "x"])));
    conn.query_drop("DROP TABLE u").await.unwrap();
    assert_eq!(ground.known("u").await, None);
    ground.close().await;
}
