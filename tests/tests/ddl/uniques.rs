//! UNIQUE keys that do not contain the sharding key: refused wherever a table could come to have one, unless somebody accepts that each shard looks at its own rows alone.

use mysql_async::prelude::Queryable;
use podway_tests::Pod;
use podway_topology_api::OperationState;

use crate::ground::{Ground, refusal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_whose_unique_keys_no_shard_can_keep_is_not_made() {
    let ground = Ground::new(Pod::shared().await, "ddl_uniques", 3, 1).await;
    let mut conn = ground.connect(0).await;
    let cases = [
        ("id BIGINT PRIMARY KEY, email VARCHAR(40) UNIQUE", "(id)", "UNIQUE KEY email (email)"),
        ("id BIGINT PRIMARY KEY, owner BIGINT", "(owner)", "PRIMARY KEY (id)"),
        ("a INT, b INT, c INT, PRIMARY KEY (a, b), UNIQUE u (a, c)", "(a, b)", "UNIQUE KEY u (a, c)"),
        ("k VARCHAR(9), PRIMARY KEY (k), UNIQUE part (k(3))", "(k)", "UNIQUE KEY part (k(3))"),
    ];
    for (columns, by, key) in cases {
        let sql = format!("CREATE TABLE odd ({columns}) COMMENT 'podway: shard by {by}'");
        let (code, text) = refusal(&mut conn, &sql).await;
        assert!(code == 1235 && text.contains(key) && text.contains("unique per shard"), "{code} {text}");
        assert_eq!(ground.columns("odd").await, vec![Vec::<String>::new(); 3], "{text}");
        assert_eq!(ground.known("odd").await, None);
        conn.query_drop(format!(
            "CREATE TABLE odd ({columns}) COMMENT 'podway: shard by {by} unique per shard'"
        ))
        .await
        .unwrap();
        let shown: (String, String) = conn.query_first("SHOW CREATE TABLE odd").await.unwrap().unwrap();
        assert!(shown.1.contains(&format!("podway: shard by {by} unique per shard")), "{}", shown.1);
        conn.query_drop("DROP TABLE odd").await.unwrap();
    }
    // The whole sharding key, or the cluster's own numbers.
    for (columns, by) in [
        ("a INT, b INT, c INT, PRIMARY KEY (b, a), UNIQUE u (c, a, b)", "(a, b)"),
        ("id BIGINT AUTO_INCREMENT PRIMARY KEY, owner BIGINT", "(owner)"),
    ] {
        let sql = format!("CREATE TABLE even ({columns}) COMMENT 'podway: shard by {by}'");
        conn.query_drop(sql).await.unwrap();
        conn.query_drop("DROP TABLE even").await.unwrap();
    }
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn such_a_key_is_added_only_after_somebody_has_accepted_it() {
    let ground = Ground::new(Pod::shared().await, "ddl_uniques_later", 2, 1).await;
    let mut conn = ground.connect(0).await;
    conn.query_drop("CREATE TABLE t (id BIGINT PRIMARY KEY, u BIGINT) COMMENT 'podway: shard by (id)'")
        .await
        .unwrap();
    for id in 1..=20 {
        conn.query_drop(format!("INSERT INTO t VALUES ({id}, {id})")).await.unwrap();
    }
    for sql in ["ALTER TABLE t ADD UNIQUE by_u (u)", "CREATE UNIQUE INDEX by_u ON t (u)"] {
        let (code, text) = refusal(&mut conn, sql).await;
        assert!(code == 1235 && text.contains("t (u)"), "{code} {text}");
    }
    conn.query_drop("CREATE UNIQUE INDEX by_both ON t (u, id)").await.unwrap();
    // Its rows lie as before: nothing is in the way of the word.
    conn.query_drop("ALTER PODWAY TABLE t SHARD BY (id) UNIQUE PER SHARD").await.unwrap();
    conn.query_drop("CREATE UNIQUE INDEX by_u ON t (u)").await.unwrap();
    assert_eq!(ground.last().await.state, OperationState::Finished);
    // It cannot be taken back while there is such a key.
    let (code, text) = refusal(&mut conn, "ALTER PODWAY TABLE t SHARD BY (id)").await;
    assert!(code == 1105 && text.contains("UNIQUE KEY by_u (u)"), "{code} {text}");
    conn.query_drop("DROP INDEX by_u ON t").await.unwrap();
    conn.query_drop("ALTER PODWAY TABLE t SHARD BY (id)").await.unwrap();
    assert_eq!(refusal(&mut conn, "CREATE UNIQUE INDEX by_u ON t (u)").await.0, 1235);
    ground.close().await;
}
