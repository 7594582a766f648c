//! A session's state follows it over pooled connections, and never reaches another session.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use crate::shop::{CUSTOMERS, shop};

async fn one<T: mysql_async::prelude::FromValue + Send + 'static>(conn: &mut Conn, sql: &str) -> Option<T> {
    let value: Option<Option<T>> =
        conn.query_first(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    value.flatten()
}

#[tokio::test]
async fn variables_follow_their_session_to_every_shard() {
    let keyspace = shop("state_vars", 4).await;
    let mut ours = keyspace.connect().await.unwrap();
    let mut other = keyspace.connect().await.unwrap();
    ours.query_drop("SET time_zone = '+03:00', sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES', @n = 5, @text = CONCAT('a', 'é'), @d = 1.50, @f = 1e10").await.unwrap();
    ours.query_drop("SET SESSION group_concat_max_len = 4096").await.unwrap();
    for id in 1..=CUSTOMERS {
        let row: (String, String, i64, String, String, f64, u64) = ours
            .query_first(format!(
                "SELECT @@time_zone, @@sql_mode, @n, @text, CAST(@d AS CHAR), @f, @@group_concat_max_len FROM customers WHERE id = {id}"
            ))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (row.0.as_str(), row.2, row.3.as_str(), row.4.as_str(), row.5, row.6),
            ("+03:00", 5, "aé", "1.50", 1e10, 4096)
        );
        assert!(row.1.contains("ANSI_QUOTES"), "{}", row.1);
        let theirs: (String, Option<i64>, u64) = other
            .query_first(format!(
                "SELECT @@time_zone, @n, @@group_concat_max_len FROM customers WHERE id = {id}"
            ))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(theirs, ("SYSTEM".to_owned(), None, 1024));
    }
    // ANSI_QUOTES is the proxy's business too: "id" is a column now.
    let quoted: Option<u64> = one(&mut ours, "SELECT \"id\" FROM customers WHERE \"id\" = 7").await;
    assert_eq!(quoted, Some(7));
    ours.query_drop("SET sql_mode = DEFAULT, @n = NULL").await.unwrap();
    assert_eq!(one::<i64>(&mut ours, "SELECT @n").await, None);
}

#[tokio::test]
async fn what_the_last_statement_left_is_asked_for_as_in_mysql() {
    let keyspace = shop("state_left", 4).await;
    let mut conn = keyspace.connect().await.unwrap();
    conn.query_drop("INSERT INTO settings (name, value) VALUES ('a', '1'), ('b', '2')").await.unwrap();
    assert_eq!(one::<i64>(&mut conn, "SELECT ROW_COUNT()").await, Some(2));
    let first = one::<u64>(&mut conn, "SELECT LAST_INSERT_ID()").await.unwrap();
    conn.query_drop("INSERT INTO settings (id, name) VALUES (1000, 'explicit')").await.unwrap();
    assert_eq!(
        one::<u64>(&mut conn, "SELECT LAST_INSERT_ID()").await,
        Some(first),
        "an explicit value is no generated one"
    );
    conn.query_drop("UPDATE customers SET name = 'changed' WHERE id = 3").await.unwrap();
    assert_eq!(one::<u64>(&mut conn, "SELECT LAST_INSERT_ID()").await, Some(first), "on whatever server");
    conn.query_drop("SELECT SQL_CALC_FOUND_ROWS id FROM settings LIMIT 1").await.unwrap();
    assert_eq!(one::<u64>(&mut conn, "SELECT FOUND_ROWS()").await, Some(3));
    conn.query_drop("INSERT IGNORE INTO settings (id, name) VALUES (1000, 'again')").await.unwrap();
    let warnings: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await.unwrap();
    assert_eq!((warnings.len(), warnings[0].1), (1, 1062), "{warnings:?}");
    let count: Option<u64> = one(&mut conn, "SELECT @@warning_count").await;
    assert_eq!(count, Some(1));
    assert!(conn.query_drop("SELECT * FROM no_such_table").await.is_err());
    let errors: Vec<(String, u16, String)> = conn.query("SHOW ERRORS").await.unwrap();
    assert_eq!(
        errors.iter().map(|(level, code, _)| (level.as_str(), *code)).collect::<Vec<_>>(),
        [("Error", 1146)]
    );
}

#[tokio::test]
async fn temporary_tables_and_locks_stay_with_their_session() {
    let keyspace = shop("state_pins", 4).await;
    let mut ours = keyspace.connect().await.unwrap();
    let mut other = keyspace.connect().await.unwrap();
    ours.query_drop("CREATE TEMPORARY TABLE scratch (n INT)").await.unwrap();
    ours.query_drop("INSERT INTO scratch VALUES (1), (2)").await.unwrap();
    for id in 1..=10 {
        assert_eq!(
            one::<u64>(&mut ours, &format!("SELECT id FROM customers WHERE id = {id}")).await,
            Some(id)
        );
        assert_eq!(one::<u64>(&mut ours, "SELECT COUNT(*) FROM scratch").await, Some(2));
    }
    assert!(other.query_drop("SELECT * FROM scratch").await.is_err());
    assert_eq!(one::<i64>(&mut ours, "SELECT GET_LOCK('state_pins', 0)").await, Some(1));
    assert_eq!(one::<i64>(&mut other, "SELECT GET_LOCK('state_pins', 0)").await, Some(0));
    ours.disconnect().await.unwrap();
    assert_eq!(
        one::<i64>(&mut other, "SELECT GET_LOCK('state_pins', 10)").await,
        Some(1),
        "the lock goes with its session"
    );
    assert!(other.query_drop("SELECT * FROM scratch").await.is_err());
}

#[tokio::test]
async fn several_statements_in_one_text_answer_in_turn() {
    let keyspace = shop("state_multi", 4).await;
    let mut conn = keyspace.connect().await.unwrap();
    let text = "SELECT id FROM customers WHERE id = 1; SET @x = ';'; SELECT @x; UPDATE customers SET name = 'n' WHERE id = 2; SELECT name FROM customers WHERE id = 2";
    let mut results = conn.query_iter(text).await.unwrap();
    let ids: Vec<u64> = results.collect().await.unwrap();
    let nothing: Vec<u64> = results.collect().await.unwrap();
    let texts: Vec<String> = results.collect().await.unwrap();
    let updated: Vec<u64> = results.collect().await.unwrap();
    let names: Vec<String> = results.collect().await.unwrap();
    assert_eq!(
        (ids, nothing, texts, updated, names),
        (vec![1], vec![], vec![";".to_owned()], vec![], vec!["n".to_owned()])
    );
    drop(results);
    let failed = conn.query_iter("SELECT 1; SELECT * FROM missing; SELECT 2").await.unwrap();
    assert!(matches!(failed.drop_result().await, Err(Error::Server(error)) if error.code == 1146));
    assert_eq!(one::<i64>(&mut conn, "SELECT 3").await, Some(3));
}

#[tokio::test]
async fn sessions_are_listed_and_killed_by_their_own_numbers() {
    let keyspace = shop("state_kill", 2).await;
    let mut victim = keyspace.connect().await.unwrap();
    let mut killer = keyspace.connect().await.unwrap();
    let id = one::<u64>(&mut victim, "SELECT CONNECTION_ID()").await.unwrap();
    assert_eq!(u64::from(victim.id()), id);
    let started = Instant::now();
    let sleeping = tokio::spawn(async move {
        let slept = victim.query_first::<i64, _>("SELECT SLEEP(60)").await;
        (victim, slept)
    });
    loop {
        let list: Vec<mysql_async::Row> = killer.query("SHOW FULL PROCESSLIST").await.unwrap();
        let is_asleep = |row: &mysql_async::Row| {
            let info = row.get::<Option<String>, _>(7).flatten();
            row.get::<u64, _>(0) == Some(id) && info.is_some_and(|info| info.contains("SLEEP"))
        };
        if list.iter().any(is_asleep) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "the statement is not listed: {list:?}");
    }
    killer.query_drop(format!("KILL QUERY {id}")).await.unwrap();
    let (mut victim, slept) = sleeping.await.unwrap();
    assert!(matches!(slept, Ok(Some(1))) || slept.is_err(), "{slept:?}");
    assert_eq!(one::<i64>(&mut victim, "SELECT 1").await, Some(1), "KILL QUERY leaves the session");
    killer.query_drop(format!("KILL {id}")).await.unwrap();
    assert!(victim.query_drop("SELECT 1").await.is_err());
    let gone = killer.query_drop(format!("KILL {id}")).await;
    assert!(matches!(gone, Err(Error::Server(error)) if error.code == 1094));
}

#[tokio::test]
async fn a_clock_that_was_set_runs_again_by_default() {
    let keyspace = shop("state_clock", 4).await;
    let mut conn = keyspace.connect().await.unwrap();
    conn.query_drop("SET timestamp = 1000").await.unwrap();
    for id in 1..=8 {
        let sql = format!("SELECT UNIX_TIMESTAMP(NOW()) FROM customers WHERE id = {id}");
        assert_eq!(one::<u64>(&mut conn, &sql).await, Some(1000));
    }
    conn.query_drop("SET timestamp = DEFAULT").await.unwrap();
    for id in 1..=8 {
        let sql = format!(
            "SELECT UNIX_TIMESTAMP(NOW(6)) = UNIX_TIMESTAMP(SYSDATE(6)) OR UNIX_TIMESTAMP(NOW()) > 100000 FROM customers WHERE id = {id}"
        );
        assert_eq!(one::<u64>(&mut conn, &sql).await, Some(1));
    }
    let moments: Vec<Option<f64>> =
        vec![one(&mut conn, "SELECT @@timestamp").await, one(&mut conn, "SELECT @@timestamp").await];
    assert_ne!(moments[0], moments[1], "it stands still");
}

#[tokio::test]
async fn a_statements_types_never_stick_to_the_next_execution() {
    let keyspace = shop("state_types", 4).await;
    let declaration = podway::provision::Declaration::sharded_by(&["k"]);
    keyspace
        .create_table("CREATE TABLE keyed (k VARCHAR(40) PRIMARY KEY, n BIGINT)", "keyed", declaration)
        .await
        .unwrap();
    let mut conn = keyspace.connect().await.unwrap();
    let insert = conn.prep("INSERT INTO keyed VALUES (?, ?)").await.unwrap();
    // Bound as a number first, MySQL would store '+5' as '5': in the place of another key.
    for n in 0..8_i64 {
        conn.exec_drop(&insert, (n, n)).await.unwrap();
        let text = format!("+{n}");
        conn.exec_drop(&insert, (&text, 100 + n)).await.unwrap();
        let found: Vec<(String, i64)> =
            conn.exec("SELECT k, n FROM keyed WHERE k = ?", (&text,)).await.unwrap();
        assert_eq!(found, [(text, 100 + n)]);
    }
}

#[tokio::test]
async fn pings_trailing_semicolons_and_syntax_errors_are_answered_as_by_mysql() {
    let keyspace = shop("state_texts", 3).await;
    let mut conn = keyspace.connect().await.unwrap();
    for ping in ["/* ping */", "-- c\n", "# c"] {
        conn.query_drop(ping).await.unwrap_or_else(|error| panic!("{ping}: {error}"));
    }
    for (text, code) in [
        ("", 1065),
        (" ;", 1065),
        ("SELEC 1", 1064),
        ("SELECT id FROM customers WHERE (id = 1", 1064),
        ("DELETE FROM customers ORDER BY id + 1 LIMIT 1", 1235),
    ] {
        let failed = conn.query_drop(text).await;
        assert!(matches!(&failed, Err(Error::Server(error)) if error.code == code), "{text}: {failed:?}");
    }
    assert_eq!(one::<i64>(&mut conn, "SELECT 5;; ;").await, Some(5));
    conn.exec_drop("SET @bound = ?, time_zone = ?", ("x'y\\", "+05:00")).await.unwrap();
    for id in 1..=6 {
        let row: Option<(String, String)> =
            conn.exec_first("SELECT @bound, @@time_zone FROM customers WHERE id = ?", (id,)).await.unwrap();
        assert_eq!(row, Some(("x'y\\".to_owned(), "+05:00".to_owned())));
    }
}

#[tokio::test]
async fn commands_and_rows_over_sixteen_megabytes_pass_both_ways() {
    let keyspace = shop("state_large", 2).await;
    let mut conn = keyspace.connect().await.unwrap();
    conn.query_drop("CREATE TABLE large (id INT PRIMARY KEY, data LONGBLOB)").await.unwrap();
    let data = "0123456789abcdef".repeat(20 << 16);
    conn.query_drop(format!("INSERT INTO large VALUES (1, '{data}')")).await.unwrap();
    conn.exec_drop("INSERT INTO large VALUES (2, ?)", (&data,)).await.unwrap();
    let (text, bound): (String, String) = (
        one(&mut conn, "SELECT data FROM large WHERE id = 1").await.unwrap(),
        conn.exec_first("SELECT data FROM large WHERE id = 2", ()).await.unwrap().unwrap(),
    );
    assert!(text == data && bound == data);
}

#[tokio::test]
async fn checks_that_were_switched_off_are_on_for_everyone_else() {
    let keyspace = shop("state_checks", 2).await;
    for round in 0..6 {
        let mut careless = keyspace.connect().await.unwrap();
        careless
            .query_drop("SET foreign_key_checks = 0, unique_checks = 0, sql_safe_updates = 1")
            .await
            .unwrap();
        assert_eq!(one::<u8>(&mut careless, "SELECT @@foreign_key_checks").await, Some(0));
        if round % 2 == 0 {
            careless.query_drop("SET foreign_key_checks = DEFAULT").await.unwrap();
        }
        let mut next = keyspace.connect().await.unwrap();
        for id in 1..=8 {
            careless.query_drop(format!("SELECT * FROM customers WHERE id = {id}")).await.unwrap();
            let sql = format!(
                "SELECT @@foreign_key_checks, @@unique_checks, @@sql_safe_updates FROM customers WHERE id = {id}"
            );
            let seen: Option<(u8, u8, u8)> = next.query_first(sql).await.unwrap();
            assert_eq!(seen, Some((1, 1, 0)));
        }
    }
}

#[tokio::test]
async fn a_last_insert_id_that_was_set_is_its_sessions_alone_and_follows_it() {
    let keyspace = shop("state_insert_id", 4).await;
    let mut other = keyspace.connect().await.unwrap();
    other.query_drop("INSERT INTO settings (name) VALUES ('own')").await.unwrap();
    let own = one::<u64>(&mut other, "SELECT LAST_INSERT_ID()").await.unwrap();
    let texts = [
        ("SELECT LAST_INSERT_ID(4711)", 4711),
        ("DO LAST_INSERT_ID(4712)", 4712),
        ("SET @a = LAST_INSERT_ID(4713)", 4713),
        ("DELETE FROM settings WHERE id = LAST_INSERT_ID(4714)", 4714),
        ("SET last_insert_id = 4715", 4715),
    ];
    for (sql, set) in texts {
        let mut ours = keyspace.connect().await.unwrap();
        ours.query_drop(sql).await.unwrap();
        assert_eq!(one::<u64>(&mut other, "SELECT LAST_INSERT_ID()").await, Some(own), "{sql}");
        for id in 1..=8 {
            let there = format!("SELECT LAST_INSERT_ID() FROM customers WHERE id = {id}");
            assert_eq!(one::<u64>(&mut ours, &there).await, Some(set), "{sql}");
        }
        ours.disconnect().await.unwrap();
        let mut next = keyspace.connect().await.unwrap();
        assert_eq!(one::<u64>(&mut next, "SELECT LAST_INSERT_ID()").await, Some(0), "{sql}");
    }
}
