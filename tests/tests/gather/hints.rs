//! A comment that names a shard, or a key, has that shard answer by itself; nothing is written with it.

use mysql_async::prelude::Queryable;
use podway_model::ShardIndex;

use crate::tables::CUSTOMERS;
use crate::world::{refusal, world};

/// The ranges of four even shards.
const RANGES: [&str; 4] = ["-40", "40-80", "80-c0", "c0-"];

#[tokio::test]
async fn each_shard_answers_for_its_own_rows() {
    let world = world().await;
    let mut ours = world.proxied().await;
    let mut sum = 0;
    for (shard, range) in RANGES.iter().enumerate() {
        let sql = format!("/*podway: shard={range} */ SELECT COUNT(*) FROM customers WHERE id > 0");
        let told: u64 = ours.query_first(&sql).await.unwrap().unwrap();
        let prepared: u64 = ours.exec_first(&sql, ()).await.unwrap().unwrap();
        let mut direct = world.keyspace.direct(ShardIndex(shard as u16)).await.unwrap();
        let there: u64 =
            direct.query_first("SELECT COUNT(*) FROM customers WHERE id > 0").await.unwrap().unwrap();
        assert_eq!((told, prepared), (there, there), "{range}");
        // MySQL's own EXPLAIN, by the name that clients know.
        let plan: String = ours
            .query_first(format!(
                "/*podway: shard={range} */ EXPLAIN FORMAT=TREE SELECT * FROM gathered.customers"
            ))
            .await
            .unwrap()
            .unwrap();
        assert!(plan.contains("Table scan on customers"), "{plan}");
        sum += told;
    }
    assert_eq!(sum, CUSTOMERS);
}

#[tokio::test]
async fn a_key_names_the_shard_that_has_its_rows() {
    let mut ours = world().await.proxied().await;
    for id in 1..=CUSTOMERS {
        let sql = format!("SELECT name FROM customers /* podway: key(customers)={id} */ WHERE id + 0 = {id}");
        let plain = format!("SELECT name FROM customers WHERE id = {id}");
        let told: Option<String> = ours.query_first(sql).await.unwrap();
        let known: Option<String> = ours.query_first(plain).await.unwrap();
        assert!(told.is_some() && told == known, "{id}: {told:?}");
    }
}

#[tokio::test]
async fn it_reads_what_the_transaction_wrote_and_writes_nothing() {
    let mut ours = world().await.proxied().await;
    ours.query_drop("BEGIN").await.unwrap();
    ours.query_drop("INSERT INTO nothing VALUES (91, 1, 'a')").await.unwrap();
    let inside: Option<u64> =
        ours.query_first("/*podway: key(nothing)=91 */ SELECT COUNT(*) FROM nothing").await.unwrap();
    ours.query_drop("ROLLBACK").await.unwrap();
    assert_eq!(inside, Some(1));
    for sql in [
        "/*podway: shard=-40 */ INSERT INTO nothing VALUES (92, 1, 'a')",
        "/*podway: shard=-40 */ DELETE FROM customers",
        "/*podway: key(customers)=1 */ CREATE TABLE hinted (id INT)",
        "/*podway: shard=-80 */ SELECT * FROM customers",
        "/*podway: shard=none */ SELECT * FROM customers",
        "/*podway: key(customers)=? */ SELECT * FROM customers",
    ] {
        assert_eq!(refusal(ours.query_drop(sql).await.unwrap_err()).0, 1235, "{sql}");
    }
    let kept: Option<u64> = ours.query_first("SELECT COUNT(*) FROM customers").await.unwrap();
    assert_eq!(kept, Some(CUSTOMERS));
}
