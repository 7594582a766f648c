//! `podway verify` over every type that a sharding key may have: rows that came through a proxy are where they belong, a row that was put elsewhere by hand is found and named, and
//! none else is.

use mysql_async::prelude::Queryable;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::podway::connect;

/// The name of a table, its key's column, what is declared besides, and values.
type KeyTable = (&'static str, &'static str, &'static str, &'static [&'static str]);

/// A table for each type that a key may have.
const TABLES: [KeyTable; 15] = [
    ("t_ints", "INT", "", &["-5", "0", "7", "2147483647"]),
    ("t_longs", "BIGINT UNSIGNED", "", &["0", "1", "42", "18446744073709551615"]),
    ("t_hashed", "BIGINT UNSIGNED", " --vindex hash", &["0", "1", "42", "18446744073709551615"]),
    ("t_itself", "BIGINT", " --vindex identity", &["-1", "0", "42", "9223372036854775807"]),
    ("t_decimals", "DECIMAL(10,2)", "", &["1.50", "-0.01", "12345678.99", "5"]),
    ("t_years", "YEAR", "", &["1901", "2024", "2155"]),
    ("t_chars", "CHAR(10) CHARACTER SET latin1", "", &["'a'", "'B '", "'abc'", "''"]),
    ("t_texts", "VARCHAR(30) COLLATE utf8mb4_0900_ai_ci", "", &["'Straße'", "'é'", "'a '", "''", "'x'"]),
    ("t_exact", "VARCHAR(30) COLLATE utf8mb4_bin", "", &["'Straße'", "'é'", "'a'", "'A'"]),
    ("t_padded", "VARCHAR(30) COLLATE utf8mb4_general_ci", "", &["'ß'", "'é  '", "'z'"]),
    ("t_bins", "BINARY(8)", "", &["x'6162'", "x'00ff'", "x'ff00ff00ff00ff00'"]),
    ("t_varbins", "VARBINARY(8)", "", &["x'ff'", "x''", "x'0102'"]),
    ("t_dates", "DATE", "", &["'2024-02-29'", "'1000-01-01'", "'9999-12-31'"]),
    ("t_moments", "DATETIME(6)", "", &["'2024-02-29 23:59:59.999999'", "'1970-01-01 00:00:00'"]),
    ("t_times", "TIME(3)", "", &["'-01:02:03.456'", "'838:59:59'", "'00:00:00'"]),
];

/// Rows of the table that is longer than what one statement reads.
const MANY: u32 = 1_203;

async fn everywhere(cluster: &Cluster, sql: &str) {
    for (index, schema) in ["shop", "shop__2"].into_iter().enumerate() {
        let mut admin = cluster.admin(index).await.expect("a login");
        admin.query_drop(format!("USE {schema}")).await.expect("a schema");
        admin.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// What a verification that found something printed.
fn found(cluster: &Cluster, what: &str) -> Value {
    let ran = cluster.run(&format!("verify {what} --json"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    serde_json::from_str(&ran.printed).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

/// A shop on two servers with these tables and an application that may write.
async fn shop() -> (Cluster, crate::podway::Podway) {
    let cluster = Cluster::start(&[&[], &[]]).await.expect("servers");
    cluster.add_servers();
    cluster.done("keyspace create shop --shard a --shard b/shop__2 --create-schemas");
    for (table, column, vindex, _) in TABLES {
        let create =
            format!("CREATE TABLE {table} (k {column} NOT NULL, n INT NOT NULL, PRIMARY KEY (k, n))");
        everywhere(&cluster, &create).await;
        cluster.done(&format!("table declare shop.{table} --by k{vindex}"));
    }
    everywhere(&cluster, "CREATE TABLE pairs (a INT NULL, b VARCHAR(9) NULL, n INT PRIMARY KEY)").await;
    cluster.done("table declare shop.pairs --by a,b --unique-per-shard");
    everywhere(&cluster, "CREATE TABLE many (k INT NOT NULL, s VARCHAR(9) NOT NULL, PRIMARY KEY (s, k))")
        .await;
    cluster.done("table declare shop.many --by k");
    everywhere(&cluster, "CREATE TABLE countries (code CHAR(2) PRIMARY KEY, name VARCHAR(20))").await;
    cluster.done("table declare shop.countries --reference");
    let password = cluster.file("app.password", "app's own\n").expect("a file");
    let grant = ["--grant", "SELECT, INSERT", "--on", "shop"];
    let user = [&["user", "create", "app", "--password-file", &password][..], &grant].concat();
    assert_eq!(cluster.run_all(&user).code, Some(0));
    let proxy = cluster.proxy();
    (cluster, proxy)
}

#[tokio::test]
async fn values_that_stand_on_several_shards_in_a_key_that_each_shard_keeps_are_named() {
    let cluster = Cluster::start(&[&[], &[]]).await.expect("servers");
    cluster.add_servers();
    cluster.done("keyspace create shop --shard a --shard b/shop__2 --create-schemas");
    let create = "CREATE TABLE mails (id INT PRIMARY KEY, email VARCHAR(40), nick CHAR(9) COLLATE utf8mb4_general_ci, n INT, \
        UNIQUE by_email (email), UNIQUE by_nick (nick, n), UNIQUE by_start (email(3), nick))";
    everywhere(&cluster, create).await;
    cluster.done("table declare shop.mails --by id --unique-per-shard");
    let password = cluster.file("app.password", "app's own\n").expect("a file");
    let grant = ["--grant", "SELECT, INSERT", "--on", "shop"];
    let user = [&["user", "create", "app", "--password-file", &password][..], &grant].concat();
    assert_eq!(cluster.run_all(&user).code, Some(0));
    let mut proxy = cluster.proxy();
    let mut app = connect(proxy.address(), "app", "app's own", "shop").await.expect("a session");
    for id in 0..12 {
        let sql = format!(
            "INSERT INTO mails VALUES ({id}, 'mail {id}', NULL, {id}), ({}, NULL, 'n', {id})",
            100 + id
        );
        app.query_drop(sql).await.expect("values of their own");
    }
    let report = cluster.json("verify shop.mails");
    let keys = |report: &Value| -> Vec<(String, Option<u64>)> {
        let keys = report["tables"][0]["keys"].as_array().expect("keys");
        let key = |key: &Value| (key["key"].as_str().expect("a text").to_owned(), key["doubles"].as_u64());
        keys.iter().map(key).collect()
    };
    let named = |email, nick| {
        vec![
            ("UNIQUE KEY by_email (email)".to_owned(), Some(email)),
            ("UNIQUE KEY by_nick (nick, n)".to_owned(), Some(nick)),
            ("UNIQUE KEY by_start (email(3), nick)".to_owned(), None),
        ]
    };
    assert_eq!(keys(&report), named(0, 0));

    // Equal as the collations say: by accents and case, and with blanks at the end.
    let mut stored = [0; 2];
    for id in 200..232 {
        let email = ["Größe", "GROSSE"][id as usize % 2];
        let one = format!("INSERT INTO mails VALUES ({id}, '{email}', NULL, NULL)");
        stored[0] += u8::from(app.query_drop(one).await.is_ok());
        let nick = ["x", "X"][id as usize % 2];
        let other = format!("INSERT INTO mails VALUES ({}, NULL, '{nick}', 1000)", 100 + id);
        stored[1] += u8::from(app.query_drop(other).await.is_ok());
    }
    assert_eq!(stored, [2, 2], "each shard keeps its own");
    let report = found(&cluster, "shop.mails");
    assert_eq!(keys(&report), named(1, 1));
    let value = report["tables"][0]["keys"][0]["values"][0].as_str().expect("a text").to_lowercase();
    assert!(value.starts_with("'gr") && value.ends_with("stands on 2 shards"), "{value}");
    let ran = cluster.run("verify shop.mails");
    assert!(ran.printed.contains("2 values ON SEVERAL SHARDS"), "{ran:?}");
    assert!(ran.said.contains("2 values of UNIQUE keys on several shards"), "{ran:?}");
}

#[tokio::test]
async fn rows_lie_where_they_belong_and_one_that_does_not_is_named() {
    let (cluster, mut proxy) = shop().await;
    let mut app = connect(proxy.address(), "app", "app's own", "shop").await.expect("a session");
    for (table, _, _, values) in TABLES {
        for (n, value) in values.iter().enumerate() {
            let sql = format!("INSERT INTO {table} VALUES ({value}, {n})");
            app.query_drop(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }
    for (n, pair) in ["(NULL, 'x', 0)", "(1, NULL, 1)", "(1, 'y', 2)", "(NULL, NULL, 3)"].iter().enumerate() {
        app.query_drop(format!("INSERT INTO pairs VALUES {pair}"))
            .await
            .unwrap_or_else(|e| panic!("{n}: {e}"));
    }
    for n in 0..MANY {
        app.exec_drop("INSERT INTO many VALUES (?, ?)", (n, ["a", "b", "ä"][n as usize % 3]))
            .await
            .expect("a row");
    }
    everywhere(&cluster, "INSERT INTO countries VALUES ('FR', 'France'), ('DE', NULL)").await;

    let report = cluster.json("verify");
    let tables = report["tables"].as_array().expect("tables");
    assert_eq!(tables.len(), TABLES.len() + 3);
    let rows = |name: &str| {
        let table = tables.iter().find(|table| table["table"] == name).expect("a table");
        assert_eq!((&table["misplaced"], &table["unknown"]), (&0.into(), &0.into()), "{table}");
        table["rows"].as_u64().expect("a number")
    };
    for (table, _, _, values) in TABLES {
        assert_eq!(rows(table), values.len() as u64, "{table}");
    }
    assert_eq!((rows("pairs"), rows("many"), rows("countries")), (4, u64::from(MANY), 2));
    let printed = cluster.done("verify shop.many --rows-per-second 5000");
    assert!(printed.contains("shop.many") && printed.contains("all is where it belongs"), "{printed}");

    for (table, _, _, values) in TABLES {
        misplace_one(&cluster, table, values).await;
    }
    refusals(&cluster);
}

/// Puts one row of a table on the other shard by hand, has it found, and puts it back.
async fn misplace_one(cluster: &Cluster, table: &str, values: &[&str]) {
    let (mut a, mut b) = (cluster.admin(0).await.expect("a login"), cluster.admin(1).await.expect("a login"));
    let at_home: Option<u8> =
        a.query_first(format!("SELECT 1 FROM shop.{table} WHERE n = 1")).await.expect("an answer");
    let (here, there, from, to) = match at_home {
        Some(_) => ("shop", "shop__2", &mut a, &mut b),
        None => ("shop__2", "shop", &mut b, &mut a),
    };
    from.query_drop(format!("DELETE FROM {here}.{table} WHERE n = 1")).await.expect("gone here");
    to.query_drop(format!("INSERT INTO {there}.{table} VALUES ({}, 1)", values[1])).await.expect("put there");
    let report = found(cluster, &format!("shop.{table}"));
    let seen = &report["tables"][0];
    assert_eq!((&seen["misplaced"], &seen["rows"]), (&1.into(), &values.len().into()), "{table}: {report}");
    let wrong = &seen["wrong"][0];
    let (shard, server, belongs) = if there == "shop" { (1, "a", 2) } else { (2, "b", 1) };
    assert_eq!(wrong["shard"], shard, "{report}");
    assert_eq!((&wrong["server"], &wrong["belongs_to"]), (&server.into(), &belongs.into()), "{report}");
    assert!(wrong["row"].as_str().expect("a text").ends_with("n = 1"), "{report}");
    to.query_drop(format!("DELETE FROM {there}.{table} WHERE n = 1")).await.expect("gone there");
    from.query_drop(format!("INSERT INTO {here}.{table} VALUES ({}, 1)", values[1])).await.expect("put back");
    cluster.done(&format!("verify shop.{table}"));
}

fn refusals(cluster: &Cluster) {
    for (words, code, part) in [
        ("verify shoop", 1, "did you mean shop?"),
        ("verify shop.manny", 1, "did you mean many?"),
        ("verify shop --rows-per-second 0", 2, "0"),
    ] {
        let ran = cluster.run(words);
        assert_eq!(ran.code, Some(code), "podway {words}: {ran:?}");
        assert!(ran.said.contains(part), "podway {words}: {ran:?}");
    }
}

#[tokio::test]
async fn copies_that_differ_and_keys_that_lead_nowhere_are_found_too() {
    let (cluster, _proxy) = shop().await;
    everywhere(&cluster, "INSERT INTO countries VALUES ('FR', 'France')").await;
    cluster.done("verify shop.countries");
    let mut b = cluster.admin(1).await.expect("a login");
    b.query_drop("UPDATE shop__2.countries SET name = 'Frankreich'").await.expect("changed");
    let ran = cluster.run("verify shop");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.said.contains("1 reference table with copies that differ"), "{ran:?}");
    assert!(
        ran.printed.contains("COPIES DIFFER") && ran.printed.contains("shard 2 (server b) has 1 rows"),
        "{ran:?}"
    );

    let mut a = cluster.admin(0).await.expect("a login");
    let zero = "INSERT INTO shop.t_dates VALUES ('0000-00-00', 1)";
    a.query_drop("SET SESSION sql_mode = ''").await.expect("set");
    a.query_drop(zero).await.expect("stored");
    let report = found(&cluster, "shop.t_dates");
    let table = &report["tables"][0];
    assert_eq!((&table["unknown"], &table["misplaced"]), (&1.into(), &0.into()), "{report}");
    assert_eq!(table["wrong"][0]["row"], "k = 0000-00-00, n = 1", "{report}");
}
