//! A short round over MySQL 8.0, the oldest series that is served: logins by both plugins, text and prepared statements on their shards, a
//! transaction, and errors. The other suites run over it, and over 8.4, with `PODWAY_MYSQL_SERIES` set.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, TxOpts};
use podway::local_mysql::{FindOptions, MysqlSource};
use podway::provision::Declaration;
use podway_model::ShardIndex;
use podway_tests::{Password, Pod, PodOptions, User};

const SERIES: &str = "8.0";
const ROWS: i64 = 20;

/// Where Ubuntu's packages are not to be had it is done without, and says so, unless `PODWAY_REQUIRE_OLDER_MYSQL` is set.
async fn source() -> Option<MysqlSource> {
    let options = FindOptions { series: Some(SERIES.to_owned()), mysqld: None, ..FindOptions::from_env() };
    let find = move || MysqlSource::find(&options, &|what| eprintln!("{what}"));
    match tokio::task::spawn_blocking(find).await.unwrap() {
        Ok(source) => Some(source),
        Err(error) => {
            assert!(std::env::var_os("PODWAY_REQUIRE_OLDER_MYSQL").is_none(), "{error}");
            eprintln!("SKIPPED: {error}");
            None
        }
    }
}

#[tokio::test]
async fn the_oldest_series_is_served() {
    let Some(source) = source().await else { return };
    let pod =
        Pod::start(PodOptions { servers: 2, source: Some(source), ..Default::default() }).await.unwrap();
    let keyspace = pod.keyspace("old_shop", 2).await.unwrap();
    let sql = "CREATE TABLE customers (id BIGINT PRIMARY KEY, name VARCHAR(40))";
    keyspace.create_table(sql, "customers", Declaration::sharded_by(&["id"])).await.unwrap();

    let mut conn = keyspace.connect().await.unwrap();
    let version: Option<String> = conn.query_first("SELECT VERSION()").await.unwrap();
    assert!(version.as_deref().is_some_and(|version| version.starts_with("8.0.")), "{version:?}");
    assert_eq!(conn.server_version().0, 8, "in the greeting too");
    for id in (1..=ROWS).step_by(2) {
        conn.query_drop(format!("INSERT INTO customers VALUES ({id}, 'name {id}')")).await.unwrap();
        conn.exec_drop("INSERT INTO customers VALUES (?, ?)", (id + 1, format!("name {}", id + 1)))
            .await
            .unwrap();
    }
    for id in 1..=ROWS {
        let prepared: Option<String> =
            conn.exec_first("SELECT name FROM customers WHERE id = ?", (id,)).await.unwrap();
        let text: Option<String> =
            conn.query_first(format!("SELECT name FROM customers WHERE id = {id}")).await.unwrap();
        assert_eq!((&prepared, &text), (&Some(format!("name {id}")), &prepared));
    }
    let mut counts = Vec::new();
    for shard in [ShardIndex(0), ShardIndex(1)] {
        let mut direct = keyspace.direct(shard).await.unwrap();
        counts.push(direct.query_first::<i64, _>("SELECT COUNT(*) FROM customers").await.unwrap().unwrap());
    }
    assert!(counts.iter().sum::<i64>() == ROWS && !counts.contains(&0), "{counts:?}");

    let mut transaction = conn.start_transaction(TxOpts::default()).await.unwrap();
    transaction.query_drop("UPDATE customers SET name = 'changed' WHERE id = 7").await.unwrap();
    transaction.rollback().await.unwrap();
    let name: Option<String> = conn.query_first("SELECT name FROM customers WHERE id = 7").await.unwrap();
    assert_eq!(name.as_deref(), Some("name 7"));
    match conn.query_drop("INSERT INTO customers VALUES (7, '')").await {
        Err(Error::Server(error)) => assert_eq!(error.code, 1062, "{}", error.message),
        other => panic!("error 1062 was expected, not {other:?}"),
    }

    pod.add_user(User::new("native", Password::Native("by SHA-1".to_owned()))).await.unwrap();
    let options = pod.client_options().user(Some("native")).pass(Some("by SHA-1"));
    let mut native = Conn::new(options).await.unwrap();
    let user: Option<String> = native.query_first("SELECT CURRENT_USER()").await.unwrap();
    assert_eq!(user.as_deref(), Some("native@%"));
}
