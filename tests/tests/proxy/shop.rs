//! The tables that these tests share: customers and orders sharded by customer, countries on every shard, settings at home.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway::provision::Declaration;
use podway_model::ShardIndex;
use podway_tests::{Pod, TestKeyspace};

/// How many customers there are: 1 to this.
pub const CUSTOMERS: u64 = 40;

/// A keyspace with the shop's tables, filled through the proxy.
pub async fn shop(name: &str, shards: usize) -> TestKeyspace<'static> {
    shop_on(Pod::shared().await, name, shards).await
}

/// The same on a pod of the test's own.
pub async fn shop_on(pod: &'static Pod, name: &str, shards: usize) -> TestKeyspace<'static> {
    let keyspace = pod.keyspace(name, shards).await.unwrap();
    let sharded = |column: &str| Declaration::sharded_by(&[column]);
    let tables = [
        (
            "customers",
            "CREATE TABLE customers (id BIGINT PRIMARY KEY, name VARCHAR(60) NOT NULL, country CHAR(2), balance DECIMAL(12,2) NOT NULL DEFAULT 0)",
            sharded("id"),
        ),
        (
            "orders",
            "CREATE TABLE orders (customer_id BIGINT NOT NULL, id BIGINT NOT NULL, total DECIMAL(10,2), PRIMARY KEY (customer_id, id))",
            sharded("customer_id"),
        ),
        (
            "countries",
            "CREATE TABLE countries (code CHAR(2) PRIMARY KEY, name VARCHAR(60) NOT NULL)",
            Declaration::Reference,
        ),
        (
            "settings",
            "CREATE TABLE settings (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(60) UNIQUE, value TEXT)",
            Declaration::Home,
        ),
    ];
    for (table, sql, declaration) in tables {
        keyspace.create_table(sql, table, declaration).await.unwrap();
    }
    for n in 0..shards {
        keyspace
            .on_shard(
                ShardIndex(n as u16),
                "INSERT INTO countries VALUES ('de', 'Germany'), ('fr', 'France')",
            )
            .await
            .unwrap();
    }
    let mut conn = keyspace.connect().await.unwrap();
    fill(&mut conn).await;
    conn.disconnect().await.unwrap();
    keyspace
}

async fn fill(conn: &mut Conn) {
    for id in 1..=CUSTOMERS {
        conn.query_drop(format!(
            "INSERT INTO customers (id, name, country) VALUES ({id}, 'customer {id}', 'de')"
        ))
        .await
        .unwrap();
        conn.exec_drop("INSERT INTO orders VALUES (?, ?, ?)", (id, id * 10, "12.50")).await.unwrap();
    }
}
