//! EXPLAIN FORMAT=PODWAY says how a statement is run without running it; with ANALYZE it runs it and says what came from where. Plain EXPLAIN is MySQL's own where
//! one shard has it all.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use podway_model::ServerId;
use podway_tests::answer::query;
use podway_tests::{Grant, Password, User, is_left_out};

use crate::tables::{CUSTOMERS, KINDS};
use crate::world::{refusal, world};

/// A session's explanation of a statement, as text; asked for prepared as well, which must say the same.
async fn explained(conn: &mut Conn, sql: &str) -> String {
    let asked = format!("EXPLAIN FORMAT=PODWAY {sql}");
    let text: String = conn.query_first(&asked).await.unwrap().expect("a row");
    let prepared: String = conn.exec_first(&asked, ()).await.unwrap().expect("a row");
    assert_eq!(text, prepared, "{sql}");
    text
}

/// Statements, the way that each goes, and what else is said.
const WAYS: [(&str, &str, &str); 9] = [
    ("SELECT * FROM customers WHERE id = 3", "one shard", "key of customers: id = 3"),
    ("SELECT * FROM countries", "one shard", "any shard would do"),
    ("SELECT id, name FROM customers ORDER BY name LIMIT 3", "merged", "WEIGHT_STRING(name)"),
    ("SELECT country, COUNT(*) FROM customers GROUP BY country", "folded", "not merged: GROUP"),
    (
        "SELECT a.id FROM customers a JOIN orders o ON o.customer = a.boss",
        "finished in MySQL",
        "part 2: orders AS o",
    ),
    ("UPDATE customers SET name = 'nobody'", "scattered write", "nothing pins"),
    ("DELETE FROM countries", "scattered write", "copy of the reference table"),
    (
        "INSERT INTO customers (id, name) VALUES (901, 'a'), (902, 'b'), (903, 'c')",
        "scattered write",
        "(901, 'a')",
    ),
    ("DELETE FROM customers WHERE id = 3", "one shard", "key of customers: id = 3"),
];

#[tokio::test]
async fn each_way_is_said_and_nothing_is_run() {
    let world = world().await;
    let mut conn = world.proxied().await;
    for (sql, way, said) in WAYS {
        let text = explained(&mut conn, sql).await;
        assert!(text.starts_with(&format!("way: {way}\n")) && text.contains(said), "{sql}\n{text}");
    }
    let customers: Vec<u64> =
        conn.query("SELECT COUNT(*) FROM customers WHERE name <> 'nobody'").await.unwrap();
    let countries: Option<u64> = conn.query_first("SELECT COUNT(*) FROM countries").await.unwrap();
    assert_eq!(customers, [CUSTOMERS]);
    assert!(countries > Some(0));
    // In a transaction too, whose rows are not merged.
    conn.query_drop("BEGIN").await.unwrap();
    let text = explained(&mut conn, "SELECT id FROM customers ORDER BY id").await;
    assert!(
        text.starts_with("way: finished in MySQL\n") && text.contains("not merged: in a transaction"),
        "{text}"
    );
    conn.query_drop("ROLLBACK").await.unwrap();
    // A parameter that has a value is a value; one that has none decides later.
    let sql = "EXPLAIN FORMAT=PODWAY SELECT name FROM customers WHERE id = ?";
    let bound: Option<String> = conn.exec_first(sql, (3,)).await.unwrap();
    assert!(bound.as_ref().is_some_and(|text| text.contains("id = 3")), "{bound:?}");
    let unbound = explained_text(&mut conn, sql).await;
    assert!(unbound.starts_with("way: as its parameters' values decide\n"), "{unbound}");
}

async fn explained_text(conn: &mut Conn, sql: &str) -> String {
    conn.query_first(sql).await.unwrap().expect("a row")
}

/// SELECTs, the way of each, and how many rows it gives.
const RUN: [(&str, &str, u64); 5] = [
    ("SELECT id FROM customers WHERE id = 3", "one shard", 1),
    ("SELECT id FROM customers ORDER BY id LIMIT 7", "merged", 7),
    ("SELECT id FROM kinds", "merged", KINDS),
    ("SELECT grp, COUNT(*) FROM kinds GROUP BY grp HAVING COUNT(*) > 100000", "folded", 0),
    ("SELECT COUNT(DISTINCT id) FROM kinds", "finished in MySQL", 1),
];

#[tokio::test]
async fn analyze_runs_a_select_and_says_what_came_from_where() {
    let world = world().await;
    let mut conn = world.proxied().await;
    for (sql, way, rows) in RUN {
        let text = explained_text(&mut conn, &format!("EXPLAIN ANALYZE FORMAT=PODWAY {sql}")).await;
        assert!(text.starts_with(&format!("way: {way}\n")), "{sql}\n{text}");
        assert!(text.contains(&format!("\nresult: {rows} rows in ")), "{sql}\n{text}");
        assert!(!text.contains("not asked"), "{sql}\n{text}");
    }
    let text = explained_text(&mut conn, "EXPLAIN ANALYZE FORMAT=PODWAY SELECT id FROM kinds").await;
    assert_eq!(rows_of_shards(&text), (4, KINDS), "{text}");
    // A transaction sees what it wrote, and its shards are the transaction's.
    conn.query_drop("BEGIN").await.unwrap();
    conn.query_drop("INSERT INTO nothing VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')").await.unwrap();
    let text = explained_text(&mut conn, "EXPLAIN ANALYZE FORMAT=PODWAY SELECT id FROM nothing").await;
    assert!(text.contains("\nresult: 3 rows in "), "{text}");
    let one =
        explained_text(&mut conn, "EXPLAIN ANALYZE FORMAT=PODWAY SELECT id FROM nothing WHERE id = 2").await;
    assert!(one.contains("\nresult: 1 rows in "), "{one}");
    conn.query_drop("ROLLBACK").await.unwrap();
    // Its rows go nowhere else, and what comes next is answered as ever.
    let next: Vec<u64> = conn.query("SELECT id FROM customers WHERE id = 3").await.unwrap();
    assert_eq!(next, [3]);
    let count: Option<u64> = conn.query_first("SELECT COUNT(*) FROM nothing").await.unwrap();
    assert_eq!(count, Some(0));
}

/// How many shards gave rows, and how many.
fn rows_of_shards(text: &str) -> (usize, u64) {
    let of_line = |line: &str| {
        let (_, took) = line.strip_prefix("shard ")?.split_once(": ")?;
        took.split(' ').next()?.parse::<u64>().ok()
    };
    let rows: Vec<u64> = text.lines().filter_map(of_line).collect();
    (rows.len(), rows.iter().sum())
}

#[tokio::test]
async fn what_mysql_refuses_is_refused_when_it_is_explained() {
    let world = world().await;
    let mut conn = world.proxied().await;
    for (sql, code) in [
        ("SELECT nothing_such FROM customers", 1054),
        ("SELECT * FROM no_such_table", 1146),
        ("SELECT id FROM customers GROUP BY", 1064),
        ("SELECT * FROM customers FOR UPDATE", 1235),
        ("UPDATE customers SET no_such_column = 1", 1054),
        ("", 1064),
    ] {
        let error = conn.query_drop(format!("EXPLAIN FORMAT=PODWAY {sql}")).await.expect_err(sql);
        assert_eq!(refusal(error).0, code, "{sql}");
    }
    for sql in [
        "UPDATE customers SET name = 'x'",
        "SELECT id INTO @v FROM customers WHERE id = 1",
        "SELECT GET_LOCK('a', 1)",
    ] {
        let error = conn.query_drop(format!("EXPLAIN ANALYZE FORMAT=PODWAY {sql}")).await.expect_err(sql);
        assert_eq!(refusal(error).0, 1235, "{sql}");
    }
}

#[tokio::test]
async fn nobody_is_told_of_tables_that_he_may_not_see() {
    if is_left_out("grants that are given beside the proxy") {
        return;
    }
    let world = world().await;
    let pod = world.keyspace.pod;
    let nothing = Grant { privileges: "USAGE".to_owned(), keyspace: None };
    let password = Password::Sha2("curious".to_owned());
    pod.add_user(User { grants: vec![nothing], ..User::new("curious", password) }).await.unwrap();
    for (server, schema) in [(0, "gathered"), (1, "gathered"), (0, "gathered_b"), (1, "gathered__2")] {
        let mut admin = pod.admin(ServerId(server)).await.unwrap();
        admin.query_drop(format!("GRANT SELECT (id) ON `{schema}`.customers TO curious")).await.unwrap();
    }
    let options = world.options().user(Some("curious")).pass(Some("curious"));
    let mut conn = Conn::new(options).await.unwrap();
    for (sql, code) in [
        ("SELECT * FROM orders", 1142),
        ("SELECT name FROM customers", 1143),
        ("DELETE FROM customers", 1142),
        ("ALTER TABLE orders ADD x INT", 1227),
        ("SHOW CREATE TABLE orders", 1227),
    ] {
        let error = conn.query_drop(format!("EXPLAIN FORMAT=PODWAY {sql}")).await.expect_err(sql);
        assert_eq!(refusal(error).0, code, "{sql}");
    }
    let text = explained(&mut conn, "SELECT id FROM customers").await;
    assert!(text.starts_with("way: merged\n"), "{text}");
}

#[tokio::test]
async fn plain_explain_is_mysqls_own_on_one_shard_and_names_the_other_on_several() {
    let world = world().await;
    let mut both = world.both().await;
    for sql in ["EXPLAIN SELECT * FROM customers WHERE id = 3", "DESC SELECT * FROM customers WHERE id = 3"] {
        let (ours, theirs) =
            (query(&mut both.ours, sql.as_bytes()).await, query(&mut both.theirs, sql.as_bytes()).await);
        assert_eq!(ours.difference(&theirs, true), None, "{sql}");
    }
    let tree: Option<Row> =
        both.ours.query_first("EXPLAIN ANALYZE SELECT * FROM customers WHERE id = 3").await.unwrap();
    assert!(tree.is_some());
    for sql in [
        "EXPLAIN SELECT * FROM customers",
        "EXPLAIN ANALYZE SELECT * FROM customers",
        "EXPLAIN SELECT * FROM customers WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8)",
        "EXPLAIN UPDATE customers SET name = 'x'",
        "EXPLAIN FORMAT=JSON DELETE FROM countries",
    ] {
        let (code, text) = refusal(both.ours.query_drop(sql).await.expect_err(sql));
        assert!(code == 1235 && text.contains("EXPLAIN FORMAT=PODWAY"), "{sql}: {text}");
    }
    both.end();
}
