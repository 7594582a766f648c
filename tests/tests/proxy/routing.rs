//! Statements go where their rows are.

use mysql_async::prelude::Queryable;
use podway_model::ShardIndex;

use crate::shop::{CUSTOMERS, shop};

#[tokio::test]
async fn rows_lie_on_all_shards_and_each_is_found_by_its_key() {
    let keyspace = shop("found_by_key", 4).await;
    let mut spread = Vec::new();
    for shard in 0..4 {
        let mut direct = keyspace.direct(ShardIndex(shard)).await.unwrap();
        let ids: Vec<u64> = direct.query("SELECT id FROM customers").await.unwrap();
        spread.push(ids.len() as u64);
    }
    assert_eq!(spread.iter().sum::<u64>(), CUSTOMERS);
    assert!(spread.iter().all(|rows| *rows > 0), "{spread:?}");
    let mut conn = keyspace.connect().await.unwrap();
    for id in 1..=CUSTOMERS {
        let text: Option<String> =
            conn.query_first(format!("SELECT name FROM customers WHERE id = {id}")).await.unwrap();
        assert_eq!(text.as_deref(), Some(&*format!("customer {id}")));
        let bound: Option<String> =
            conn.exec_first("SELECT name FROM customers WHERE id = ?", (id,)).await.unwrap();
        assert_eq!(bound, text);
        let joined: Option<(u64, String)> = conn
            .exec_first("SELECT o.id, n.name FROM orders o JOIN customers c ON c.id = o.customer_id JOIN countries n ON n.code = c.country WHERE o.customer_id = ?", (id,))
            .await
            .unwrap();
        assert_eq!(joined, Some((id * 10, "Germany".to_owned())));
    }
}
