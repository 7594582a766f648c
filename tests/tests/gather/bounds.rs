//! What a gathered statement may hold: rows and bytes for MySQL to finish with are bounded by name, rows that pass through are not.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway::provision::Declaration;
use podway_model::ShardIndex;
use podway_tests::{Pod, TestKeyspace, is_left_out};

use crate::world::{four_shards, refusal, world};

/// How many rows each shard of `big` has.
const EACH: u64 = 50_000;

/// A keyspace with a big table, whose rows were put on the shards beside Podway.
pub async fn with_big_table(pod: &'static Pod, name: &str, each: u64, width: u64) -> TestKeyspace<'static> {
    let keyspace = four_shards(pod, name).await;
    let sql = "CREATE TABLE big (id BIGINT PRIMARY KEY, v BIGINT NOT NULL, filler VARCHAR(2000) NOT NULL)";
    keyspace.create_table(sql, "big", Declaration::sharded_by(&["id"])).await.unwrap();
    for shard in 0..4 {
        let mut conn = keyspace.direct(ShardIndex(shard)).await.unwrap();
        conn.query_drop(format!("SET cte_max_recursion_depth = {each}")).await.unwrap();
        conn.query_drop(format!(
            "INSERT INTO big WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {each}) \
             SELECT n * 4 + {shard}, n, REPEAT('x', {width}) FROM n"
        ))
        .await
        .unwrap();
    }
    keyspace
}

async fn refused(conn: &mut Conn, sql: &str, bound: &str) {
    for is_prepared in [false, true] {
        let result = match is_prepared {
            true => conn.exec_drop(sql, ()).await,
            false => conn.query_drop(sql).await,
        };
        let (code, text) = refusal(result.expect_err(sql));
        assert_eq!(code, 1041, "{sql}: {text}");
        assert!(text.contains(bound), "{sql}: {text}");
        let one: Option<u64> = conn.query_first("SELECT 1").await.unwrap();
        assert_eq!(one, Some(1), "the session goes on");
        let id: Option<u64> = conn.exec_first("SELECT id FROM kinds WHERE id = ?", (7,)).await.unwrap();
        assert_eq!(id, Some(7));
    }
}

#[tokio::test]
async fn rows_to_finish_with_are_bounded() {
    if is_left_out("a proxy of its own, with small bounds") {
        return;
    }
    let (mut conn, _proxy) = world().await.proxied_by(|config| config.client.max_gathered_rows = 20).await;
    refused(&mut conn, "SELECT COUNT(DISTINCT word) FROM kinds", "client.max_gathered_rows").await;
    refused(&mut conn, "SELECT COUNT(*) FROM customers JOIN settings", "client.max_gathered_rows").await;
    let count: Option<u64> = conn.query_first("SELECT COUNT(DISTINCT id) FROM customers").await.unwrap();
    assert_eq!(count, Some(20), "exactly as many rows as are allowed");
    let count: Option<u64> =
        conn.exec_first("SELECT COUNT(DISTINCT id) FROM kinds WHERE id < ?", (10,)).await.unwrap();
    assert_eq!(count, Some(9), "what a condition leaves is what counts");
    let rows: Vec<u64> = conn.query("SELECT id FROM kinds ORDER BY i LIMIT 40").await.unwrap();
    assert_eq!(rows.len(), 40, "a merge is not bounded");
}

#[tokio::test]
async fn bytes_to_finish_with_are_bounded() {
    if is_left_out("a proxy of its own, with small bounds") {
        return;
    }
    let (mut conn, _proxy) = world().await.proxied_by(|config| config.client.max_gathered_bytes = 600).await;
    refused(&mut conn, "SELECT COUNT(DISTINCT note, word) FROM kinds", "client.max_gathered_bytes").await;
    let count: Option<u64> = conn.query_first("SELECT COUNT(*) FROM customers").await.unwrap();
    assert_eq!(count, Some(20));
    let notes: Vec<Option<String>> = conn.query("SELECT note FROM kinds").await.unwrap();
    assert_eq!(notes.len(), 48);
}

#[tokio::test]
async fn many_rows_pass_through_a_merge() {
    if is_left_out("a keyspace that is filled beside the proxy") {
        return;
    }
    let keyspace = with_big_table(world().await.keyspace.pod, "gather_big", EACH, 3).await;
    let mut conn = keyspace.connect().await.unwrap();
    let expected = 4 * EACH * (EACH + 1) / 2;
    for sql in ["SELECT * FROM big", "SELECT * FROM big ORDER BY v DESC"] {
        let (mut rows, mut sum, mut last, mut ordered) = (0, 0, u64::MAX, true);
        conn.query_iter(sql)
            .await
            .unwrap()
            .for_each(|row| {
                let (_, v, _): (u64, u64, String) = mysql_async::from_row(row);
                ordered &= v <= last;
                (rows, sum, last) = (rows + 1, sum + v, v);
            })
            .await
            .unwrap();
        assert_eq!((rows, sum), (4 * EACH, expected), "{sql}");
        assert!(ordered || !sql.contains("ORDER"), "{sql}: out of order");
    }
    let rows: Vec<(u64, u64)> = conn.exec("SELECT id, v FROM big ORDER BY id", ()).await.unwrap();
    assert_eq!(rows.len() as u64, 4 * EACH);
    assert!(rows.is_sorted());
    let some: Vec<u64> = conn.query("SELECT id FROM big ORDER BY id DESC LIMIT 150000, 3").await.unwrap();
    let top = 4 * EACH + 3;
    assert_eq!(some, [top - 150_000, top - 150_001, top - 150_002]);
    let few: Vec<u64> = conn.exec("SELECT id FROM big ORDER BY id LIMIT 3", ()).await.unwrap();
    assert_eq!(few, [4, 5, 6]);
    let (code, text) = refusal(conn.query_drop("SELECT COUNT(DISTINCT v) FROM big").await.unwrap_err());
    assert!(code == 1041 && text.contains("client.max_gathered_rows"), "{code} {text}");
    let folded: Option<(u64, u64)> = conn.query_first("SELECT COUNT(*), SUM(v) FROM big").await.unwrap();
    assert_eq!(folded, Some((4 * EACH, expected)), "shards compute what they can");
    let one: Option<u64> = conn.query_first("SELECT COUNT(*) FROM big WHERE v < 11").await.unwrap();
    assert_eq!(one, Some(40));
}
