//! mysqldump through Podway: what it writes makes the same database again, through Podway and in a plain MySQL.

use std::process::Stdio;

use mysql_async::prelude::Queryable;
use podway_tests::{Pod, PodOptions, client_program};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::ground::{Ground, Way};

/// Without locks, and without what belongs to one server's history.
const DUMP: [&str; 11] = [
    "--routines",
    "--triggers",
    "--events",
    "--skip-lock-tables",
    "--skip-add-locks",
    "--set-gtid-purged=OFF",
    "--no-tablespaces",
    "--skip-comments",
    "--order-by-primary",
    "--column-statistics=0",
    "--hex-blob",
];

/// As mysqldump does it by itself, with locks, but for what belongs to one server's history and what needs privileges on the server.
const BY_DEFAULT: [&str; 4] =
    ["--set-gtid-purged=OFF", "--no-tablespaces", "--column-statistics=0", "--hex-blob"];

const TABLES: [&str; 5] = [
    "CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL, born DATE, note TEXT, raw VARBINARY(20), KEY by_name (name)) \
     COMMENT 'who they are; podway: shard by (id)'",
    "CREATE TABLE deeds (who BIGINT NOT NULL, n INT NOT NULL, what JSON, price DECIMAL(10,2), PRIMARY KEY (who, n)) \
     COMMENT 'podway: shard by (who) using hash'",
    "CREATE TABLE lands (code CHAR(2) PRIMARY KEY, name VARCHAR(40)) COMMENT 'podway: reference'",
    "CREATE TABLE plain (id INT PRIMARY KEY AUTO_INCREMENT, said VARCHAR(40)) COMMENT='at home'",
    "CREATE VIEW said AS SELECT said, COUNT(*) AS times FROM plain GROUP BY said",
];

const TRIGGERS: [&str; 4] = [
    "CREATE TRIGGER fewer AFTER DELETE ON deeds FOR EACH ROW DO (SELECT COUNT(*) FROM deeds WHERE who = OLD.who)",
    "CREATE TRIGGER named BEFORE INSERT ON people FOR EACH ROW\nBEGIN\n  -- once, not at each load\n  IF NEW.note IS NULL THEN\n    SET NEW.note = 'it''s; new';\n  END IF;\nEND",
    "CREATE TRIGGER coded BEFORE INSERT ON lands FOR EACH ROW SET NEW.code = LOWER(NEW.code)",
    "CREATE TRIGGER counted AFTER INSERT ON plain FOR EACH ROW DO NEW.id + 1",
];

/// Runs a client program to its end: what it printed.
async fn run(way: &Way, program: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(client_program(program));
    command.args(["--no-defaults", "--default-character-set=utf8mb4", "--host", &way.host]);
    command.args(["--port", &way.port.to_string(), "--user", &way.user]).args(arguments);
    command.env("MYSQL_PWD", &way.password).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writing = tokio::spawn(async move { stdin.write_all(input.as_bytes()).await });
    let output = child.wait_with_output().await.unwrap();
    let _ = writing.await.unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

async fn dump(way: &Way, database: &str) -> String {
    run(way, "mysqldump", &[&DUMP[..], &[database]].concat(), "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dump_makes_the_same_database_again_through_podway_and_in_plain_mysql() {
    // Its own servers: what commits over several of them bears the secret of one cluster.
    let options = PodOptions { has_proxy: false, ..PodOptions::default() };
    let pod: &'static Pod = Box::leak(Box::new(Pod::start(options).await.unwrap()));
    let ground = Ground::new(pod, "ddl_dumped", 4, 1).await;
    let mut conn = ground.connect(0).await;
    for table in TABLES.iter().chain(&TRIGGERS) {
        conn.query_drop(*table).await.unwrap();
    }
    for id in 1..=40 {
        let sql = format!(
            "INSERT INTO people VALUES ({id}, 'it''s {id}', '2001-02-03', 'größe\\n{id}', x'00FF{id:02}')"
        );
        conn.query_drop(sql).await.unwrap();
        let sql = format!(
            "INSERT INTO deeds VALUES ({id}, 1, '{{\"a\": [{id}, null]}}', {id}.5), ({id}, 2, NULL, NULL)"
        );
        conn.query_drop(sql).await.unwrap();
    }
    conn.query_drop("INSERT INTO lands VALUES ('no', 'Norway'), ('de', 'Germany')").await.unwrap();
    conn.query_drop("INSERT INTO plain (said) VALUES ('a'), ('b'), ('a')").await.unwrap();
    // Declared without its COMMENT saying so: the dump says it all the same.
    conn.query_drop("CREATE TABLE later (id BIGINT PRIMARY KEY) COMMENT 'podway: shard by (id)'")
        .await
        .unwrap();
    conn.query_drop("ALTER TABLE later COMMENT 'nothing'").await.unwrap();
    conn.query_drop("INSERT INTO later VALUES (1), (2), (3)").await.unwrap();

    let ours = ground.way(0);
    let first = dump(&ours, "ddl_dumped").await;
    for said in [
        "COMMENT='who they are; podway: shard by (id)'",
        "COMMENT='podway: shard by (who) using hash'",
        "COMMENT='podway: reference'",
        "COMMENT='at home'",
        "COMMENT='nothing podway: shard by (id)'",
    ] {
        assert!(first.contains(said), "{said} is not in\n{first}");
    }
    let count = |text: &str, what: &str| text.matches(what).count();
    assert_eq!(count(&first, "CREATE TABLE"), 5, "{first}");
    assert_eq!(count(&first, " TRIGGER "), 4, "{first}");

    // In a plain MySQL it makes what Podway showed.
    let mut admin = ground.server(0).await;
    admin.query_drop("CREATE DATABASE ddl_dumped_plain").await.unwrap();
    let theirs = ground.server_way(0).await;
    run(&theirs, "mysql", &["ddl_dumped_plain"], &first).await;
    let plain = dump(&theirs, "ddl_dumped_plain").await;
    admin.query_drop("DROP DATABASE ddl_dumped_plain").await.unwrap();
    let definer = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.contains("DEFINER")).map(ToOwned::to_owned).collect()
    };
    assert_eq!(definer(&plain), definer(&first));

    // Loaded over what is there: each table is dropped and made again.
    conn.query_drop("DELETE FROM people WHERE id > 3").await.unwrap();
    conn.query_drop("INSERT INTO plain (said) VALUES ('more')").await.unwrap();
    run(&ours, "mysql", &["ddl_dumped"], &first).await;
    assert_eq!(dump(&ours, "ddl_dumped").await, first);
    load_as_by_default(&ground, &first).await;
    let mut counts = Vec::new();
    for shard in 0..4 {
        counts.push(ground.on_shard::<u64>(shard, "SELECT COUNT(*) FROM {}.people").await[0]);
    }
    assert!(counts.iter().sum::<u64>() == 40 && counts.iter().all(|count| *count > 0), "{counts:?}");
    assert!(ground.known("later").await.is_some());
    ground.close().await;
}

/// What mysqldump writes without further ado, LOCK TABLES and all, makes the same database again, through Podway and in a plain MySQL.
async fn load_as_by_default(ground: &Ground, expected: &str) {
    let ours = ground.way(0);
    let by_default = run(&ours, "mysqldump", &[&BY_DEFAULT[..], &["ddl_dumped"]].concat(), "").await;
    for table in ["people", "deeds", "lands", "plain", "later"] {
        let locked = format!("LOCK TABLES `{table}` WRITE;\n/*!40000 ALTER TABLE `{table}` DISABLE KEYS */;");
        assert!(by_default.contains(&locked), "{by_default}");
    }
    // In one snapshot of all servers instead of locks.
    let in_one = [&BY_DEFAULT[..], &["--single-transaction", "ddl_dumped"]].concat();
    let in_one = run(&ours, "mysqldump", &in_one, "").await;
    let rows = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with("INSERT")).map(ToOwned::to_owned).collect()
    };
    assert_eq!(rows(&in_one), rows(&by_default));
    let mut conn = ground.connect(0).await;
    conn.query_drop("DELETE FROM people WHERE id > 3").await.unwrap();
    conn.query_drop("DELETE FROM lands").await.unwrap();
    run(&ours, "mysql", &["ddl_dumped"], &by_default).await;
    assert_eq!(dump(&ours, "ddl_dumped").await, expected);
    let mut admin = ground.server(0).await;
    admin.query_drop("CREATE DATABASE ddl_dumped_default").await.unwrap();
    let theirs = ground.server_way(0).await;
    run(&theirs, "mysql", &["ddl_dumped_default"], &by_default).await;
    let plain = run(&theirs, "mysqldump", &[&BY_DEFAULT[..], &["ddl_dumped_default"]].concat(), "").await;
    admin.query_drop("DROP DATABASE ddl_dumped_default").await.unwrap();
    assert_eq!(plain.matches("INSERT INTO").count(), by_default.matches("INSERT INTO").count());
}
