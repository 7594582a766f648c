//! `podway advise` on real MySQL: what a server counted of a shop's statements becomes the shop's keys.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use nix::sys::signal::Signal;
use podway::local_mysql::{FindOptions, LocalServer, MysqlSource, ServerOptions};
use serde_json::Value;

use crate::podway::{Podway, connect};

/// A shop that nobody sharded, with what existing databases have: counters, unique keys, foreign keys.
const TABLES: [&str; 5] = [
    "CREATE TABLE countries (code CHAR(2) PRIMARY KEY, name VARCHAR(80) NOT NULL)",
    "CREATE TABLE customers (id BIGINT PRIMARY KEY AUTO_INCREMENT, email VARCHAR(120) NOT NULL, country_code CHAR(2) NOT NULL,
        UNIQUE KEY by_email (email), KEY by_country (country_code), FOREIGN KEY lives_in (country_code) REFERENCES countries (code))",
    "CREATE TABLE orders (id BIGINT PRIMARY KEY, customer_id BIGINT NOT NULL, price DECIMAL(10,2) NOT NULL,
        KEY of_customer (customer_id), FOREIGN KEY orders_of (customer_id) REFERENCES customers (id))",
    "CREATE TABLE settings (name VARCHAR(80) PRIMARY KEY, value VARCHAR(255) NOT NULL)",
    "CREATE TABLE readings (at DOUBLE PRIMARY KEY, value INT NOT NULL)",
];

async fn fill(conn: &mut Conn) -> mysql_async::Result<()> {
    conn.query_drop("CREATE DATABASE shop").await?;
    conn.query_drop("USE shop").await?;
    for table in TABLES {
        conn.query_drop(table).await?;
    }
    conn.query_drop("INSERT INTO countries VALUES ('DE', 'Germany'), ('NO', 'Norway')").await?;
    conn.query_drop("INSERT INTO settings VALUES ('currency', 'EUR')").await?;
    let numbers = "WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 1000) ";
    for (into, select) in [
        ("customers (id, email, country_code)", "n, CONCAT(n, '@example.com'), 'DE' FROM n"),
        ("orders", "n * 3 + m, n, 5 FROM n, (SELECT 0 AS m UNION SELECT 1 UNION SELECT 2) m"),
        ("readings", "n, n FROM n"),
    ] {
        conn.query_drop(format!("INSERT INTO {into} {numbers} SELECT {select}")).await?;
    }
    conn.query_drop("ANALYZE TABLE countries, customers, orders, settings, readings").await
}

async fn use_it(conn: &mut Conn) -> mysql_async::Result<()> {
    for id in 1..=60 {
        let email: Option<String> =
            conn.exec_first("SELECT email FROM customers WHERE id = ?", (id,)).await?;
        assert!(email.is_some());
        let joined = format!(
            "SELECT n.name FROM customers c JOIN countries n ON n.code = c.country_code WHERE c.id = {id}"
        );
        conn.query_drop(joined).await?;
        conn.query_drop(format!("SELECT * FROM orders WHERE customer_id = {id} ORDER BY id DESC LIMIT 2"))
            .await?;
        let with_orders = format!(
            "SELECT c.email, o.price FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = {id}"
        );
        conn.query_drop(with_orders).await?;
    }
    for id in 1..=5 {
        let insert = format!(
            "INSERT INTO orders (id, customer_id, price) VALUES ({}, {id}, 1), ({}, {id}, 2)",
            9000 + 2 * id,
            9001 + 2 * id
        );
        conn.query_drop(insert).await?;
        conn.query_drop(format!("INSERT INTO customers (email, country_code) VALUES ('new{id}', 'NO')"))
            .await?;
        conn.query_drop("SELECT value FROM settings WHERE name = 'currency'").await?;
    }
    conn.query_drop("SELECT country_code, COUNT(*) FROM customers GROUP BY country_code").await?;
    conn.query_drop("SELECT customer_id FROM orders GROUP BY customer_id HAVING SUM(price) > 16").await?;
    // Refused over several shards.
    conn.query_drop("DELETE IGNORE FROM orders WHERE price > 900000 LIMIT 9").await?;
    conn.query_drop("UPDATE orders SET price = price + 1 WHERE price > 100000").await
}

async fn server() -> (LocalServer, tempfile::TempDir) {
    let find = || MysqlSource::find(&FindOptions::from_env(), &|what| eprintln!("{what}"));
    let source = tokio::task::spawn_blocking(find).await.unwrap().unwrap();
    let mut started = LocalServer::start_all_async(&source, vec![ServerOptions::default()]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = started.pop().unwrap();
    std::fs::write(folder.path().join("password"), server.root_password()).unwrap();
    (server, folder)
}

fn advise(server: &LocalServer, folder: &tempfile::TempDir, more: &[&str]) -> String {
    let (address, password) = (server.address(), folder.path().join("password"));
    let mut args = vec!["advise", "--server", &address, "--user", "root", "--database", "shop"];
    args.extend(["--password-file", password.to_str().unwrap()]);
    args.extend(more);
    let ran = Podway::run(&args);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.printed
}

fn json(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// "customers sharded id" for each table.
fn keys(answer: &Value) -> Vec<String> {
    let tables = answer["tables"].as_array().unwrap().iter();
    let shown = tables.map(|table| {
        let key: Vec<&str> = table["key"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        format!("{} {} {}", table["table"].as_str().unwrap(), table["lies"].as_str().unwrap(), key.join(","))
    });
    shown.map(|shown| shown.trim_end().to_owned()).collect()
}

const SHOP_KEYS: [&str; 5] = [
    "countries reference",
    "customers sharded id",
    "orders sharded customer_id",
    "readings home",
    "settings home",
];

#[tokio::test]
async fn a_database_without_podway_is_advised_by_what_ran_in_it() {
    let (server, folder) = server().await;
    let mut conn = server.admin().connect().await.unwrap();
    fill(&mut conn).await.unwrap();
    conn.query_drop("TRUNCATE TABLE performance_schema.events_statements_summary_by_digest").await.unwrap();
    use_it(&mut conn).await.unwrap();

    let answer = json(&advise(&server, &folder, &["--json"]));
    assert_eq!(keys(&answer), SHOP_KEYS, "{answer:#}");
    let ways: Vec<(&str, &str)> = answer["not_one_shard"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["way"].as_str().unwrap(), row["statement"].as_str().unwrap()))
        .collect();
    for (way, begin) in [
        ("merged", "SELECT country_code, COUNT"),
        ("merged", "SELECT customer_id FROM orders"),
        ("two-phase commit", "UPDATE orders"),
    ] {
        assert!(ways.iter().any(|(known, text)| *known == way && text.starts_with(begin)), "{way}: {ways:?}");
    }
    // The cluster numbers its rows.
    assert!(!ways.iter().any(|(_, text)| text.starts_with("INSERT INTO customers")), "{ways:?}");
    assert_eq!(
        answer["commands"].as_array().unwrap().iter().filter_map(Value::as_str).collect::<Vec<_>>(),
        [
            "podway table declare shop.countries --reference",
            "podway table declare shop.customers --by id --unique-per-shard",
            "podway table declare shop.orders --by customer_id --unique-per-shard"
        ]
    );
    let text = advise(&server, &folder, &[]);
    for expected in [
        "by_email (email) is without the sharding key",
        "id is AUTO_INCREMENT",
        "PRIMARY KEY (id) is without the sharding key",
        "readings: its",
        "error 1235",
        "podway table declare shop.orders --by customer_id",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    assert!(!text.contains("foreign key"), "all foreign keys stay on their shard: {text}");

    let kept = json(&advise(&server, &folder, &["--json", "--keep", "orders=id"]));
    assert_eq!(keys(&kept)[2], "orders sharded id");
    let refused = Podway::run(&[
        "advise",
        "--server",
        &server.address(),
        "--user",
        "root",
        "--database",
        "shop",
        "--password-file",
        folder.path().join("password").to_str().unwrap(),
        "--keep",
        "readings=at",
    ]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.said.contains("'at'"), "{refused:?}");
}

#[tokio::test]
async fn statements_come_from_a_file_too() {
    let (server, folder) = server().await;
    fill(&mut server.admin().connect().await.unwrap()).await.unwrap();
    let log = folder.path().join("statements.sql");
    let lines: Vec<String> = (1..=50)
        .flat_map(|id| {
            [
                format!("SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = {id};"),
                format!("SELECT name FROM customers c JOIN countries n ON n.code = c.country_code WHERE c.id = {id};"),
            ]
        })
        .collect();
    std::fs::write(&log, lines.join("\n")).unwrap();
    let answer = json(&advise(&server, &folder, &["--json", "--statements", log.to_str().unwrap()]));
    assert_eq!(keys(&answer), SHOP_KEYS, "{answer:#}");
    assert_eq!(answer["statements"].as_u64(), Some(100));
}

/// What a demo's own tables are declared as: "customers sharded id".
fn declared(listed: &Value) -> Vec<String> {
    let tables = listed.as_array().unwrap().iter().filter(|table| table["kind"] != "home");
    tables
        .map(|table| {
            let key: Vec<&str> = table["key"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let kind = table["kind"].as_str().unwrap();
            format!("{} {kind} {}", table["table"].as_str().unwrap(), key.join(",")).trim_end().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn the_demos_statements_advise_the_demos_keys() {
    let mut podway = Podway::start(&["demo", "--shards", "2", "--port", "0"]);
    let address = podway.address();
    let topology = podway.line(&format!("  {} status --topology ", env!("CARGO_BIN_EXE_podway")));
    let mut conn = connect(address, "demo", "demo", "shop").await.unwrap();
    for id in 1..=500 {
        for statement in [
            "SELECT name, email FROM customers WHERE id = ?",
            "SELECT c.name, n.name, o.item FROM orders o JOIN customers c ON c.id = o.customer_id \
             JOIN countries n ON n.code = c.country_code WHERE o.customer_id = ?",
            "UPDATE orders SET quantity = quantity + 1 WHERE customer_id = ? AND item = 'kettle'",
        ] {
            conn.exec_drop(statement, (id,)).await.unwrap();
        }
    }
    conn.query_drop("SELECT value FROM settings WHERE name = 'currency'").await.unwrap();
    let asked = |args: &[&str]| {
        let mut args = args.to_vec();
        args.extend(["--topology", &topology, "--json"]);
        let ran = Podway::run(&args);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        json(&ran.printed)
    };
    let answer = asked(&["advise", "shop"]);
    let advised: Vec<String> = keys(&answer).into_iter().filter(|key| !key.ends_with(" home")).collect();
    assert_eq!(advised, declared(&asked(&["table", "list", "shop"])), "{answer:#}");
    assert!(podway.end(Signal::SIGTERM).status.success());
}
