//! What a client sees of generated numbers, as with one MySQL. With one proxy and a fresh table the numbers themselves are the same, too, but where a statement
//! failed or ignored rows: those leave other gaps.

use mysql_async::Value;
use mysql_async::prelude::Queryable;

use crate::ground::{Ground, Pair};

#[tokio::test]
async fn every_form_of_insert_generates_as_mysql_does() {
    let ground = Ground::new("ai_forms", 1).await;
    let mut pair = Pair::new(&ground).await;
    for sql in [
        "INSERT INTO tickets (subject) VALUES ('a')",
        "INSERT INTO tickets VALUES (NULL, 1, 'b')",
        "INSERT INTO tickets VALUES (DEFAULT, 2, 'c')",
        "INSERT INTO tickets VALUES (0, 3, 'd')",
        "INSERT INTO tickets VALUES ('0', 4, 'd')",
        "INSERT INTO tickets SET subject = 'e'",
        "INSERT INTO tickets SET subject = 'f', id = NULL, code = 5",
        "INSERT INTO tickets SET id = DEFAULT, code = 6",
        "INSERT INTO tickets SET id = 0",
        "INSERT INTO tickets () VALUES ()",
        "INSERT INTO tickets VALUES ()",
        "INSERT INTO tickets () VALUES (), ()",
        "INSERT INTO tickets VALUES (), (), ()",
        "INSERT INTO tickets (code, subject) VALUES (11, 'x'), (12, 'y'), (13, CONCAT('z', 'z'))",
        "INSERT INTO tickets (id, code) VALUES (NULL, 21), (0, 22), (DEFAULT, 23), (NULL, 24), (NULL, 25)",
        "INSERT INTO tickets (subject) VALUES ROW('r'), ROW('s')",
        "INSERT INTO tickets (subject) SELECT 'no'",
        "REPLACE INTO tickets (code, subject) VALUES (31, 'new')",
        "REPLACE INTO tickets (id, subject) VALUES (NULL, 'new'), (NULL, 'newer')",
        "INSERT INTO visits (page, customer) VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4), ('a', 5)",
        "INSERT INTO visits VALUES (NULL, 'x', 9, 1)",
        "INSERT INTO visits (customer, page) VALUES (11, 'y') AS new ON DUPLICATE KEY UPDATE hits = visits.hits + LENGTH(new.page)",
        "REPLACE INTO visits (page, customer) VALUES ('a', 1)",
        "REPLACE INTO visits (page, customer) VALUES ('a', 1), ('new', 1)",
        "INSERT INTO units (name) VALUES ('kg'), ('m'), ('s')",
        "INSERT INTO units VALUES (NULL, 'A'), (DEFAULT, 'K'), (0, 'cd')",
        "INSERT INTO units SET name = 'mol'",
        "REPLACE INTO units (name) VALUES ('kg')",
    ] {
        if sql.contains("SELECT") {
            continue;
        }
        pair.same(sql).await;
    }
    for table in ["tickets", "visits", "units"] {
        pair.same_rows(table).await;
    }
}

/// MySQL takes numbers for rows of queries in growing steps, so what the next statement gets differs; one statement's own numbers are the same.
#[tokio::test]
async fn rows_of_queries_get_numbers_in_their_order() {
    let ground = Ground::new("ai_queries", 1).await;
    let mut pair = Pair::new(&ground).await;
    pair.same("INSERT INTO visits (page, customer) VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4), ('e', 5)")
        .await;
    for sql in [
        "INSERT INTO tickets (subject) SELECT page, 1 FROM visits",
        "INSERT INTO tickets (subject) SELECT page FROM visits WHERE id > 1000",
        "INSERT INTO tickets (subject, code) SELECT page, customer * 10 FROM visits ORDER BY id DESC",
        "INSERT INTO units (name) SELECT page FROM visits ORDER BY id LIMIT 3",
        "INSERT INTO visits (page, customer) SELECT page, customer + 10 FROM visits ORDER BY id",
    ] {
        pair.same(sql).await;
    }
    for table in ["tickets", "visits", "units"] {
        pair.same_rows(table).await;
    }
    // Others are numbers that nobody has.
    let before = ground.numbers("tickets").await;
    for (sql, rows) in [
        ("INSERT INTO tickets SELECT NULL, NULL, page FROM visits", 10),
        (
            "INSERT INTO tickets (id, subject) SELECT IF(id = 1, 0, id + 1000000), page FROM visits WHERE customer < 4",
            3,
        ),
        ("INSERT INTO tickets (subject) SELECT subject FROM tickets WHERE code = 10", 1),
    ] {
        let answer = podway_tests::answer::query(&mut pair.ours, sql.as_bytes()).await;
        let shown = answer.shown();
        assert!(shown.starts_with(&format!("{rows} affected")), "{sql}: {shown}");
    }
    let sql = "INSERT INTO tickets (subject) SELECT ? FROM visits WHERE customer > ?";
    pair.ours.exec_drop(sql, (Value::from("p"), Value::Int(11))).await.unwrap();
    assert_eq!(ground.numbers("tickets").await.len(), before.len() + 10 + 3 + 1 + 4);
    for sql in [
        "INSERT IGNORE INTO tickets (subject) SELECT page FROM visits",
        "INSERT INTO tickets (subject) SELECT page FROM visits ON DUPLICATE KEY UPDATE subject = 'x'",
        "INSERT INTO tickets (id, subject) SELECT IF(id = 1, NULL, CONCAT(id, 'x')), page FROM visits",
    ] {
        let answer = podway_tests::answer::query(&mut pair.ours, sql.as_bytes()).await;
        assert!(answer.shown().starts_with("error 1235"), "{sql}: {}", answer.shown());
    }
}

#[tokio::test]
async fn explicit_numbers_are_the_clients_and_move_the_counter() {
    let ground = Ground::new("ai_explicit", 1).await;
    let mut pair = Pair::new(&ground).await;
    for sql in [
        "INSERT INTO visits (id, page) VALUES (5, 'a')",
        "INSERT INTO visits (page) VALUES ('b')",
        "INSERT INTO visits (id, page) VALUES (0, 'u')",
        "INSERT INTO visits (id, page) VALUES (3, 'c')",
        "INSERT INTO visits (page) VALUES ('d')",
        "INSERT INTO visits (id, page, customer) VALUES (-4, 'e', 2), (40, 'f', 3), ('41', 'g', 4)",
        "INSERT INTO visits (page) VALUES ('h')",
        "INSERT INTO visits (id, page, customer) VALUES (NULL, 'i', 1), (60, 'j', 2)",
        "INSERT INTO visits (page) VALUES ('k')",
        "INSERT INTO visits (id, page) VALUES (70.4, 'l')",
        "INSERT INTO visits (page) VALUES ('m')",
        "UPDATE visits SET id = 200 WHERE id = 5 AND customer = 7",
        "INSERT INTO visits (page) VALUES ('n')",
        "SET sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')",
        "INSERT INTO visits (id, page) VALUES (0, 'r')",
        "INSERT INTO visits (id, page) VALUES (NULL, 's')",
        "INSERT INTO visits (id, page) VALUES (0, 't')",
        "INSERT INTO tickets (id) VALUES (0)",
        "SET sql_mode = DEFAULT",
        "INSERT INTO tickets (id) VALUES (10), (11), (12), (13), (14), (15), (16)",
        "INSERT INTO tickets (subject) VALUES ('next')",
        "INSERT INTO tickets (id) VALUES (12)",
        "INSERT INTO tickets (id) VALUES (18446744073709551615)",
        "INSERT INTO tickets (id) VALUES (-1)",
        "INSERT INTO units (id, name) VALUES (7, 'x')",
        "INSERT INTO units (name) VALUES ('y')",
        "INSERT INTO visits (id, page, customer) VALUES (999, 'o', 5), (NULL, 'p', 6), (NULL, 'q', 7)",
    ] {
        pair.same(sql).await;
    }
    for table in ["tickets", "visits", "units"] {
        pair.same_rows(table).await;
    }
}

#[tokio::test]
async fn ignored_and_changed_rows_are_told_from_inserted_ones() {
    let ground = Ground::new("ai_ignored", 1).await;
    let mut pair = Pair::new(&ground).await;
    pair.same("INSERT INTO visits (id, page, customer) VALUES (1, 'a', 1), (2, 'b', 1), (3, 'c', 2)").await;
    for sql in [
        "INSERT INTO visits (page, customer) VALUES ('a', 1)",
        "INSERT IGNORE INTO visits (page, customer) VALUES ('a', 1)",
        "INSERT IGNORE INTO visits (page, customer) VALUES ('fresh', 1)",
        "INSERT INTO visits (page, customer) VALUES ('a', 1) ON DUPLICATE KEY UPDATE hits = hits + 1",
        "INSERT INTO visits (page, customer) VALUES ('a', 1) ON DUPLICATE KEY UPDATE hits = hits",
        "INSERT INTO visits (page, customer) VALUES ('b', 1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), hits = hits + 1",
        "INSERT INTO visits (page, customer) VALUES ('b', 1) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)",
    ] {
        pair.same(sql).await;
    }
    // From here on the numbers differ: those of ignored rows are gaps of another size. What is compared does not bear them.
    let (ours, theirs) = (&mut pair.ours, &mut pair.theirs);
    for conn in [ours, theirs] {
        use mysql_async::prelude::Queryable;
        // The first one is there, so that the second row's number is the first that is in a row.
        conn.query_drop(
            "INSERT IGNORE INTO visits (page, customer) VALUES ('a', 1), ('new', 1), ('newer', 3)",
        )
        .await
        .unwrap();
        let (affected, reported) = (conn.affected_rows(), conn.last_insert_id());
        let id: Option<u64> = conn.query_first("SELECT LAST_INSERT_ID()").await.unwrap();
        let stored: Option<u64> =
            conn.query_first("SELECT id FROM visits WHERE page = 'new' AND customer = 1").await.unwrap();
        assert_eq!((affected, reported, id), (2, stored, stored));
        conn.query_drop(
            "INSERT INTO visits (page, customer) VALUES ('a', 1), ('later', 4) ON DUPLICATE KEY UPDATE hits = hits + 10",
        )
        .await
        .unwrap();
        let (affected, reported) = (conn.affected_rows(), conn.last_insert_id());
        let id: Option<u64> = conn.query_first("SELECT LAST_INSERT_ID()").await.unwrap();
        let stored: Option<u64> =
            conn.query_first("SELECT id FROM visits WHERE page = 'later' AND customer = 4").await.unwrap();
        assert_eq!((affected, reported, id), (3, stored, stored));
    }
    pair.same_answer("SELECT page, customer, hits FROM visits ORDER BY page, customer").await;
}

#[tokio::test]
async fn prepared_statements_get_numbers_too() {
    let ground = Ground::new("ai_prepared", 1).await;
    let mut pair = Pair::new(&ground).await;
    let text = |text: &str| Value::from(text);
    for _ in 0..2 {
        pair.same_prepared("INSERT INTO tickets (subject) VALUES (?)", &[text("a")]).await;
        pair.same_prepared("INSERT INTO tickets (id, subject) VALUES (?, ?)", &[Value::NULL, text("b")])
            .await;
        pair.same_prepared("INSERT INTO tickets (id, subject) VALUES (?, ?)", &[Value::from(0), text("c")])
            .await;
        pair.same_prepared("INSERT INTO tickets (id, subject) VALUES (?, ?)", &[Value::NULL, text("d")])
            .await;
        pair.same_prepared(
            "INSERT INTO tickets (id, subject) VALUES (NULL, ?), (?, ?)",
            &[text("e"), Value::NULL, text("f")],
        )
        .await;
        pair.same_prepared("INSERT INTO tickets SET subject = ?", &[text("g")]).await;
        pair.same_prepared("INSERT INTO tickets () VALUES ()", &[]).await;
        pair.same_prepared(
            "INSERT INTO tickets (subject) VALUES (?), (CONCAT(?, ?)), (?), ('x'), (?)",
            &[text("h"), text("i"), text("j"), text("k"), text("l")],
        )
        .await;
    }
    pair.same_prepared("INSERT INTO tickets (id, subject) VALUES (?, ?)", &[Value::from(500), text("m")])
        .await;
    pair.same_prepared("INSERT INTO tickets (subject, id) VALUES (?, ?)", &[text("n"), Value::NULL]).await;
    for (n, customer) in (1_i64..).zip([3, 5, 8]) {
        let params = [Value::from(customer), text("p"), Value::from(n), text("q")];
        pair.same_prepared("INSERT INTO visits (customer, page) VALUES (?, ?), (?, ?)", &params).await;
        let params = [Value::NULL, Value::from(customer), text("r"), Value::from(9)];
        let sql = "INSERT INTO visits (id, customer, page) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE hits = hits + ?";
        pair.same_prepared(sql, &params).await;
    }
    pair.same_prepared(
        "UPDATE visits SET id = ? WHERE customer = ? AND page = 'p'",
        &[Value::from(900), Value::from(3)],
    )
    .await;
    pair.same_prepared("INSERT INTO units VALUES (?, ?)", &[Value::NULL, text("kg")]).await;
    pair.same_prepared("INSERT INTO units (name) VALUES (?), (?)", &[text("m"), text("s")]).await;
    pair.same_rows("tickets").await;
    pair.same_rows("units").await;
}

#[tokio::test]
async fn transactions_and_failed_statements_leave_gaps_alone() {
    let ground = Ground::new("ai_transactions", 1).await;
    let mut pair = Pair::new(&ground).await;
    for sql in [
        "BEGIN",
        "INSERT INTO tickets (subject) VALUES ('a'), ('b'), ('c')",
        "SAVEPOINT s",
        "INSERT INTO visits (page, customer) VALUES ('a', 1), ('b', 2)",
        "ROLLBACK TO s",
        "INSERT INTO visits (page, customer) VALUES ('a', 1), ('b', 2)",
        "COMMIT",
        "BEGIN",
        "INSERT INTO tickets (subject) VALUES ('gone')",
        "ROLLBACK",
        "INSERT INTO tickets (subject) VALUES ('d')",
        "SET autocommit = 0",
        "INSERT INTO tickets (subject) VALUES ('e')",
        "ROLLBACK",
        "SET autocommit = 1",
        "INSERT INTO tickets (subject) VALUES ('f')",
        "INSERT INTO tickets (subject, code) VALUES ('g', LAST_INSERT_ID())",
        "INSERT INTO tickets (code) VALUES (LAST_INSERT_ID(77))",
    ] {
        pair.same(sql).await;
    }
    for table in ["tickets", "visits"] {
        pair.same_rows(table).await;
    }
}

#[tokio::test]
async fn a_prepared_statement_is_not_executed_under_a_mode_that_would_store_otherwise() {
    let ground = Ground::new("ai_modes", 1).await;
    let mut conn = ground.connect(0).await;
    let insert = conn.prep("INSERT INTO visits (id, page, customer) VALUES (?, ?, 7)").await.unwrap();
    let modes: String = conn.query_first("SELECT @@sql_mode").await.unwrap().unwrap();
    conn.query_drop("SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'").await.unwrap();
    let refused = conn.exec_drop(&insert, (0, "a")).await.unwrap_err();
    assert!(matches!(&refused, mysql_async::Error::Server(said) if said.code == 1235), "{refused}");
    conn.query_drop(format!("SET sql_mode = '{modes}'")).await.unwrap();
    conn.exec_drop(&insert, (0, "a")).await.unwrap();
    assert_eq!(ground.numbers("visits").await.into_iter().collect::<Vec<_>>(), [1]);
}
