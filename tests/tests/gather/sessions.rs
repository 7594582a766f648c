//! What a gathered statement leaves in its session and takes from it: warnings, ids, modes, time zones, character sets, several statements in one text.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};

use crate::world::{refusal, world};

#[tokio::test]
async fn warnings_are_the_sessions() {
    let mut both = world().await.both().await;
    for sql in [
        "SELECT COUNT(*), SUM(CAST('1x' AS SIGNED)) FROM customers WHERE id = 3 OR id = 4",
        "SHOW WARNINGS",
        "SELECT @@warning_count",
        "SELECT SUM(v / 0) FROM parted WHERE id IN (1, 2)",
        "SHOW WARNINGS",
        "SHOW COUNT(*) WARNINGS",
        "SELECT COUNT(*) FROM parted",
        "SHOW WARNINGS",
        "SELECT id, CAST(name AS SIGNED) FROM customers ORDER BY id",
    ] {
        both.same_rows(sql).await;
    }
    let ours: Vec<(String, u16, String)> = both.ours.query("SHOW WARNINGS").await.unwrap();
    let theirs: Vec<(String, u16, String)> = both.theirs.query("SHOW WARNINGS").await.unwrap();
    let sorted = |mut warnings: Vec<(String, u16, String)>| {
        warnings.sort();
        warnings
    };
    assert_eq!(sorted(ours), sorted(theirs), "a merge's warnings, in whatever order");
    both.end();
}

#[tokio::test]
async fn the_last_insert_id_is_the_sessions() {
    let world = world().await;
    let sql = "CREATE TABLE counted (id BIGINT PRIMARY KEY AUTO_INCREMENT, v INT)";
    world.keyspace.create_table(sql, "counted", podway::provision::Declaration::Home).await.unwrap();
    let mut both = world.both().await;
    both.theirs.query_drop(sql).await.unwrap();
    for sql in [
        "INSERT INTO counted VALUES (NULL, 5), (NULL, 6)",
        "INSERT INTO counted VALUES (NULL, 7)",
        "SELECT LAST_INSERT_ID(), COUNT(*) FROM kinds",
        "SELECT id FROM kinds WHERE grp = LAST_INSERT_ID() ORDER BY id",
        "SELECT LAST_INSERT_ID()",
    ] {
        both.same_text(sql).await;
    }
    both.same_prepared("SELECT LAST_INSERT_ID(), COUNT(*) FROM kinds", &[]).await;
    both.end();
}

#[tokio::test]
async fn modes_zones_and_character_sets_hold() {
    let mut both = world().await.both().await;
    for setting in [
        "SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')",
        "SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'",
    ] {
        both.same_text(setting).await;
        both.same("SELECT \"grp\", COUNT(*) FROM \"kinds\" GROUP BY \"grp\" ORDER BY \"grp\"").await;
        both.same("SELECT \"id\" FROM \"kinds\" AS \"k s\" ORDER BY \"k s\".\"i\", \"id\" LIMIT 6").await;
    }
    both.same("SELECT MAX(name || '\\') FROM customers WHERE name || 'x' <> 'y'").await;
    both.same("SELECT id, name || '-' FROM customers WHERE name || '1' LIKE '%11' ORDER BY id").await;
    both.same_text("SET sql_mode = ''").await;
    both.same("SELECT country, COUNT(*), MIN(grp) FROM customers JOIN kinds USING (id) GROUP BY country ORDER BY country").await;
    both.same_text("SET sql_mode = DEFAULT").await;
    for zone in ["+05:30", "-11:00", "SYSTEM"] {
        both.same_text(&format!("SET time_zone = '{zone}'")).await;
        both.same("SELECT id, ts FROM kinds ORDER BY ts, id").await;
        both.same("SELECT DATE(ts), COUNT(*), MAX(ts) FROM kinds GROUP BY DATE(ts) ORDER BY 1").await;
        both.same("SELECT COUNT(*) FROM kinds WHERE ts > '2024-05-05 01:00:00'").await;
    }
    both.end();
}

/// What each session sets, and what it asks then.
const SET: [(&str, &[&str]); 13] = [
    (
        "SET sql_select_limit = 5",
        &[
            "SELECT id FROM kinds ORDER BY id",
            "SELECT SUM(id), COUNT(DISTINCT id) FROM kinds",
            "SELECT id FROM kinds ORDER BY i + 1, id",
        ],
    ),
    (
        "SET sql_select_limit = 3",
        &[
            "SELECT COUNT(*), MAX(id) FROM kinds",
            "SELECT id FROM kinds ORDER BY id LIMIT 4",
            "SELECT grp, COUNT(*) FROM kinds GROUP BY grp ORDER BY grp",
        ],
    ),
    (
        "SET sql_mode = 'PAD_CHAR_TO_FULL_LENGTH'",
        &[
            "SELECT id, country FROM customers ORDER BY id",
            "SELECT DISTINCT country, LENGTH(country) FROM customers",
            "SELECT country, COUNT(*) FROM customers GROUP BY country ORDER BY country",
        ],
    ),
    (
        "SET sql_mode = 'HIGH_NOT_PRECEDENCE'",
        &[
            "SELECT COUNT(DISTINCT id) FROM kinds WHERE NOT i BETWEEN -5 AND 5",
            "SELECT id FROM kinds WHERE NOT i BETWEEN -5 AND 5 ORDER BY id",
        ],
    ),
    (
        "SET sql_mode = 'NO_UNSIGNED_SUBTRACTION'",
        &["SELECT MIN(u) - MAX(u) < 0 FROM kinds WHERE u > 5 AND u < 9000000000000000000"],
    ),
    (
        "SET collation_connection = utf8mb4_bin",
        &[
            "SELECT COUNT(DISTINCT id) FROM kinds WHERE 'a' = 'A' OR word = 'A50'",
            "SELECT GROUP_CONCAT(DISTINCT CONCAT(id % 3, 'A') ORDER BY CONCAT(id % 3, 'A') DESC) FROM customers",
        ],
    ),
    (
        "SET lc_time_names = 'de_DE'",
        &[
            "SELECT DISTINCT DAYNAME(placed), MONTHNAME(placed) FROM orders",
            "SELECT id, DAYNAME(placed) FROM orders ORDER BY id",
        ],
    ),
    (
        "SET timestamp = 1700000000.5",
        &[
            "SELECT COUNT(DISTINCT id), NOW(3), CURDATE() FROM kinds",
            "SELECT NOW(), id FROM kinds WHERE ts > NOW() ORDER BY id",
        ],
    ),
    (
        "SET cte_max_recursion_depth = 30",
        &[
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 30) SELECT COUNT(*) FROM n JOIN kinds ON kinds.id = n.n",
        ],
    ),
    ("SET max_error_count = 0", &["SELECT COUNT(DISTINCT id) FROM customers WHERE CAST(name AS SIGNED) = 0"]),
    (
        "SET character_set_results = NULL",
        &[
            "SELECT id, note FROM kinds ORDER BY word, id",
            "SELECT COUNT(DISTINCT note), MAX(word) FROM kinds",
        ],
    ),
    ("SET sql_big_selects = 0, max_join_size = 100000", &["SELECT COUNT(DISTINCT id) FROM kinds"]),
    (
        "SET max_sort_length = 8, group_concat_max_len = 16",
        &["SELECT COUNT(DISTINCT word) FROM kinds", "SELECT LENGTH(GROUP_CONCAT(note)) FROM kinds"],
    ),
];

#[tokio::test]
async fn settings_of_the_session_hold() {
    let mut all = Vec::new();
    for (setting, statements) in SET {
        let mut both = world().await.both().await;
        both.compares_types = false;
        both.same_text(setting).await;
        for sql in statements {
            both.same(sql).await;
        }
        all.extend(both.differences.into_iter().map(|how| format!("after {setting}: {how}")));
    }
    assert!(all.is_empty(), "{} differences:\n{}", all.len(), all.join("\n"));
}

#[tokio::test]
async fn a_limit_of_no_rows_gives_none() {
    let mut both = world().await.both().await;
    both.same_text("SET sql_select_limit = 0").await;
    both.same("SELECT id FROM kinds WHERE id = 3").await;
    both.same("SELECT id FROM kinds ORDER BY id").await;
    both.same("SELECT COUNT(DISTINCT id) FROM kinds").await;
    both.end();
}

#[tokio::test]
async fn text_is_in_the_clients_character_set() {
    let mut both = world().await.both().await;
    for names in ["latin1", "utf8mb3", "utf8mb4"] {
        both.same_text(&format!("SET NAMES {names}")).await;
        both.same("SELECT id, note, word FROM kinds ORDER BY word, id").await;
        both.same("SELECT MAX(note), MIN(word), GROUP_CONCAT(DISTINCT note ORDER BY id) FROM kinds").await;
        both.same("SELECT MAX(label), MAX(j) FROM orders JOIN kinds ON kinds.id = orders.customer").await;
    }
    // In latin1 this byte is é, in the text that the proxy gets and in what it gives.
    let sql = b"SELECT '\xe9' AS x, COUNT(*) FROM orders WHERE label LIKE 'caf\xe9%'";
    for conn in [&mut both.ours, &mut both.theirs] {
        conn.query_drop("SET NAMES latin1").await.unwrap();
    }
    let ours = podway_tests::answer::query(&mut both.ours, sql).await;
    let theirs = podway_tests::answer::query(&mut both.theirs, sql).await;
    both.note("latin1 text", &ours, &theirs);
    both.end();
}

#[tokio::test]
async fn a_client_without_a_character_set_is_served() {
    let mut both = world().await.both().await;
    both.same_text("SET NAMES binary").await;
    both.same("SELECT id, note, word FROM kinds ORDER BY word, id").await;
    both.same("SELECT COUNT(*) FROM customers").await;
    both.same("SELECT MAX(note) FROM kinds").await;
    both.same("SELECT MAX(j) FROM kinds").await;
    both.end();
}

#[tokio::test]
async fn several_statements_in_one_text() {
    let mut both = world().await.both().await;
    for sql in [
        "SELECT 1; SELECT id FROM kinds ORDER BY i, id LIMIT 3; SELECT 2",
        "SET @a = 4; SELECT COUNT(*) FROM kinds WHERE grp = @a; SELECT @a",
        "SELECT grp, COUNT(*) FROM kinds GROUP BY grp ORDER BY grp; SELECT COUNT(*) FROM customers; DO 1",
        "SELECT id FROM customers WHERE id = 3; SELECT SUM(id) FROM customers",
    ] {
        both.same_text(sql).await;
    }
    // An error in the middle ends the text, and the session goes on.
    let sql = "SELECT 1; SELECT COUNT(missing) FROM kinds; SELECT 2";
    let ours = podway_tests::answer::query(&mut both.ours, sql.as_bytes()).await;
    let theirs = podway_tests::answer::query(&mut both.theirs, sql.as_bytes()).await;
    assert_eq!(ours.difference(&theirs, true), None, "{}", ours.shown());
    for conn in [&mut both.ours, &mut both.theirs] {
        // The driver keeps an error of a later statement for the next call.
        let _ = conn.query_drop("DO 1").await;
    }
    both.same("SELECT COUNT(*) FROM kinds").await;
    both.end();
}

#[tokio::test]
async fn errors_are_mysqls() {
    let mut both = world().await.both().await;
    for sql in [
        "SELECT missing FROM kinds",
        "SELECT COUNT(missing) FROM kinds",
        "SELECT id FROM kinds ORDER BY missing",
        "SELECT k.id FROM kinds JOIN customers k2 ON 1",
        "SELECT id FROM kinds JOIN customers",
        "SELECT name, COUNT(*) FROM customers GROUP BY country",
        "SELECT grp FROM kinds UNION SELECT id, boss FROM customers",
        "SELECT id FROM customers WHERE id = (SELECT id FROM kinds)",
        "SELECT MAX(u) + MAX(u) FROM kinds",
        "SELECT COUNT(*) FROM customers USE INDEX (missing)",
        "SELECT COUNT(*) FROM parted PARTITION (p7)",
    ] {
        for is_prepared in [false, true] {
            let ours = failure(&mut both.ours, sql, is_prepared).await;
            let theirs = failure(&mut both.theirs, sql, is_prepared).await;
            assert!(theirs.starts_with("error"), "MySQL answers {sql}");
            if ours != theirs {
                both.differences
                    .push(format!("{sql} (prepared: {is_prepared})\n    {ours}\n    MySQL {theirs}"));
            }
        }
    }
    both.same("SELECT COUNT(*) FROM kinds").await;
    both.end();
}

async fn failure(conn: &mut Conn, sql: &str, is_prepared: bool) -> String {
    let rows: Result<Vec<Row>, _> = match is_prepared {
        true => conn.exec(sql, ()).await,
        false => conn.query(sql).await,
    };
    match rows {
        Ok(rows) => format!("{} rows", rows.len()),
        Err(mysql_async::Error::Server(error)) => format!("error {} {}", error.code, error.state),
        Err(error) => format!("LOST {error}"),
    }
}

#[tokio::test]
async fn a_prepared_statement_runs_with_one_value_after_the_other() {
    let mut both = world().await.both().await;
    let values: Vec<[Value; 1]> = (0..8).map(|n| [Value::from(n)]).collect();
    let executions: Vec<&[Value]> = values.iter().map(|value| value.as_slice()).collect();
    both.same_executed("SELECT id, note FROM kinds WHERE grp = ? ORDER BY id", &executions).await;
    both.same_executed("SELECT MAX(note), COUNT(*) FROM kinds WHERE grp = ?", &executions).await;
    both.same_executed("SELECT c.id, p.id FROM customers c JOIN parted p ON p.v = c.boss WHERE c.boss > ? ORDER BY c.id, p.id", &executions)
        .await;
    both.end();
    // Text between the executions, and another session's, change nothing.
    let world = world().await;
    let (mut first, mut second) = (world.proxied().await, world.proxied().await);
    let sql = "SELECT COUNT(*) FROM kinds WHERE grp = ?";
    let (one, two) = (first.prep(sql).await.unwrap(), second.prep(sql).await.unwrap());
    for group in 0..5_u64 {
        let expected: Option<u64> = world.single().await.exec_first(sql, (group,)).await.unwrap();
        assert_eq!(first.exec_first::<u64, _, _>(&one, (group,)).await.unwrap(), expected);
        let all: Option<u64> = first.query_first("SELECT COUNT(*) FROM kinds").await.unwrap();
        assert_eq!(all, Some(48));
        assert_eq!(second.exec_first::<u64, _, _>(&two, (group,)).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn in_a_transaction_rows_in_any_order_come_shard_by_shard_without_a_bound() {
    // Not a row may be gathered here.
    let mut both = world().await.both_merging().await;
    for sql in ["BEGIN", "INSERT INTO nothing VALUES (11, 1, 'a'), (12, 2, 'b'), (13, 3, 'c'), (14, 4, 'd')"]
    {
        both.same_rows(sql).await;
    }
    for sql in [
        "SELECT * FROM nothing",
        "SELECT id, word FROM kinds WHERE i > 3",
        "SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer = c.id",
        "SELECT id FROM nothing WHERE id > 1000",
        "SELECT 'x' FROM nothing LIMIT 3",
        "SELECT 'x' FROM nothing LIMIT 2, 50",
        "SELECT 'x' FROM nothing LIMIT 3, 1",
        "SELECT 'x' FROM nothing LIMIT 0",
        "SELECT FOUND_ROWS()",
    ] {
        both.same_text(sql).await;
    }
    both.same_prepared("SELECT id, v, w FROM nothing", &[]).await;
    both.same_text("SELECT COUNT(*) FROM nothing WHERE id = 12").await;
    both.same_rows("ROLLBACK").await;
    both.same_text("SELECT * FROM nothing").await;
    // Ordered they are gathered, which is bounded.
    both.ours.query_drop("BEGIN").await.unwrap();
    let error = both.ours.query_drop("SELECT id FROM kinds ORDER BY id").await.unwrap_err();
    assert_eq!(refusal(error).0, 1041);
    both.ours.query_drop("ROLLBACK").await.unwrap();
    both.end();
}

#[tokio::test]
async fn prepare_and_execute_as_statements_go_where_their_values_lead() {
    let mut both = world().await.both().await;
    for sql in [
        "SET @sql = 'SELECT name FROM customers WHERE id = ?', @three = 3, @name = 'it''s', @none = NULL",
        "PREPARE one FROM @sql",
        "EXECUTE one USING @three",
        "SET @three = '4'",
        "EXECUTE one USING @three",
        "EXECUTE one USING @none",
        "PREPARE one FROM 'SELECT id, name FROM customers WHERE id > ? ORDER BY id LIMIT ?'",
        "SET @three = 3, @five = 5",
        "EXECUTE one USING @three, @five",
        "PREPARE counted FROM 'SELECT country, COUNT(*) AS n FROM customers WHERE name <> ? GROUP BY country ORDER BY country'",
        "EXECUTE counted USING @name",
        "PREPARE written FROM \"INSERT INTO nothing VALUES (?, ?, ?), (72, NULL, 'x'), (73, 1, 'y')\"",
        "SET @id = 71",
        "BEGIN",
        "EXECUTE written USING @id, @none, @name",
        "SELECT ROW_COUNT()",
        "PREPARE removed FROM 'DELETE FROM nothing WHERE id = ?'",
        "EXECUTE removed USING @id",
        "SELECT ROW_COUNT()",
        "SELECT id, w FROM nothing",
        "ROLLBACK",
        "DEALLOCATE PREPARE removed",
        "DROP PREPARE written",
    ] {
        both.same_rows(sql).await;
    }
    for sql in [
        "EXECUTE removed USING @id",
        "DEALLOCATE PREPARE never",
        "EXECUTE one USING @three",
        "PREPARE bad FROM 'SELECT nothing_such FROM customers'",
        "PREPARE one FROM 'SELEC 1'",
        "EXECUTE one USING @three, @five",
        "PREPARE two FROM 'EXECUTE counted'",
        "PREPARE two FROM 'SELECT 1; SELECT 2'",
    ] {
        let (ours, theirs) = (both.ours.query_drop(sql).await, both.theirs.query_drop(sql).await);
        let (ours, theirs) = (refusal(ours.expect_err(sql)), refusal(theirs.expect_err(sql)));
        assert_eq!((ours.0, &ours.1), (theirs.0, &theirs.1), "{sql}");
    }
    // What a query may have assigned is not known.
    both.ours.query_drop("SELECT @three := 9").await.unwrap();
    let error = both.ours.query_drop("EXECUTE counted USING @three").await.unwrap_err();
    assert_eq!(refusal(error).0, 1235);
    both.end();
}
