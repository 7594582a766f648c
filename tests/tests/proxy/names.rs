//! Clients see the keyspace's name, never the schema's on a shard.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use podway_model::ShardIndex;

use crate::shop::shop;

/// A customer whose row lies on the shard with the other physical name.
async fn customer_on_last_shard(keyspace: &podway_tests::TestKeyspace<'_>) -> u64 {
    let last = keyspace.get().shards.len() - 1;
    let mut direct = keyspace.direct(ShardIndex(last as u16)).await.unwrap();
    let id: Option<u64> = direct.query_first("SELECT MIN(id) FROM customers").await.unwrap();
    id.unwrap()
}

fn server_error(error: Error) -> (u16, String) {
    match error {
        Error::Server(error) => (error.code, error.message),
        other => panic!("not a server's error: {other}"),
    }
}

async fn failure(conn: &mut Conn, sql: &str) -> (u16, String) {
    server_error(conn.query_drop(sql).await.unwrap_err())
}

#[tokio::test]
async fn column_definitions_and_functions_say_the_keyspace() {
    let keyspace = shop("names_shop", 3).await;
    let id = customer_on_last_shard(&keyspace).await;
    let mut conn = keyspace.connect().await.unwrap();
    for sql in [
        format!("SELECT *, DATABASE(), SCHEMA() AS s FROM customers WHERE id = {id}"),
        format!(
            "SELECT names_shop.customers.*, DATABASE(), SCHEMA() AS s FROM names_shop.customers WHERE id = {id}"
        ),
        format!("SELECT c.*, DATABASE(), SCHEMA() AS s FROM `names_shop`.`customers` AS c WHERE c.id = {id}"),
    ] {
        for prepared in [false, true] {
            let row: Row = match prepared {
                false => conn.query_first(&sql).await.unwrap().unwrap(),
                true => conn.exec_first(&sql, ()).await.unwrap().unwrap(),
            };
            let columns = row.columns();
            assert!(
                columns[..4].iter().all(|column| column.schema_str() == "names_shop"),
                "{sql}: {columns:?}"
            );
            assert_eq!(columns[4].name_str(), "DATABASE()");
            assert_eq!(columns[5].name_str(), "s");
            assert_eq!(row.get::<String, _>(4).unwrap(), "names_shop");
            assert_eq!(row.get::<String, _>(5).unwrap(), "names_shop");
        }
    }
}

#[tokio::test]
async fn errors_name_the_keyspace() {
    let keyspace = shop("names_errors", 3).await;
    let id = customer_on_last_shard(&keyspace).await;
    let mut conn = keyspace.connect().await.unwrap();
    let (code, message) =
        failure(&mut conn, &format!("INSERT INTO customers (id, name) VALUES ({id}, 'x')")).await;
    assert_eq!(code, 1062, "{message}");
    assert!(!message.contains("__2"), "{message}");
    let (code, message) =
        failure(&mut conn, &format!("SELECT nope FROM names_errors.customers WHERE id = {id}")).await;
    assert_eq!(code, 1054, "{message}");
    let (code, message) = failure(&mut conn, "SELECT * FROM names_errors__2.customers").await;
    assert_eq!((code, message.as_str()), (1049, "Unknown database 'names_errors__2'"));
    let (code, _) = failure(&mut conn, "USE names_errors__2").await;
    assert_eq!(code, 1049);
    let (code, message) = failure(&mut conn, "SELECT * FROM _podway.decision").await;
    assert_ne!(code, 1146, "{message}");
}

#[tokio::test]
async fn a_keyspace_of_one_shard_with_another_schema_name_looks_like_itself() {
    let pod = podway_tests::Pod::shared().await;
    let keyspace = pod.keyspace_named("names_single", &["names_single__7"]).await.unwrap();
    let mut conn = keyspace.connect().await.unwrap();
    conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, note TEXT)").await.unwrap();
    conn.query_drop("INSERT INTO names_single.t VALUES (1, 'names_single__7 stays in rows')").await.unwrap();
    let note: Option<String> = conn.query_first("SELECT note FROM names_single.t").await.unwrap();
    assert_eq!(note.as_deref(), Some("names_single__7 stays in rows"));
    let mut tables = conn.query_iter("SHOW TABLES").await.unwrap();
    assert_eq!(tables.columns().unwrap()[0].name_str(), "Tables_in_names_single");
    let names: Vec<String> = tables.collect().await.unwrap();
    assert_eq!(names, ["t"]);
    drop(tables);
    let schema: Option<String> = conn
        .query_first("SELECT table_schema FROM information_schema.tables WHERE table_schema = 'names_single' AND table_name = 't'")
        .await
        .unwrap();
    assert_eq!(schema.as_deref(), Some("names_single"));
    let (_, create): (String, String) =
        conn.query_first("SHOW CREATE DATABASE names_single").await.unwrap().unwrap();
    assert!(create.starts_with("CREATE DATABASE `names_single` "), "{create}");
    let (code, message) = failure(&mut conn, "SELECT * FROM missing").await;
    assert_eq!((code, message.as_str()), (1146, "Table 'names_single.missing' doesn't exist"));
    let here: Option<String> = conn.query_first("SELECT DATABASE()").await.unwrap();
    assert_eq!(here.as_deref(), Some("names_single"));
}
