//! SELECT … INTO user variables over several shards beside plain MySQL: the variables' values, types and collations, what the session knows of them afterwards, and MySQL's errors.

use mysql_async::Value;
use mysql_async::prelude::Queryable;

use crate::world::{Both, refusal, world};
use podway_tests::answer::{Answer, execute, prepare, query};

/// All that can be told of variables, by statements that any one shard answers.
fn told(names: &[&str]) -> String {
    let of = |name: &&str| {
        format!("HEX({name}), CHARSET({name}), COLLATION({name}), {name}, {name} + 0, {name} IS NULL")
    };
    let all: Vec<String> = names.iter().map(of).collect();
    format!("SELECT {}", all.join(", "))
}

/// Runs it on both sides and compares the OK or the error, the warnings, and the variables.
async fn into_same(both: &mut Both, sql: &str, names: &[&str]) {
    let ours = query(&mut both.ours, sql.as_bytes()).await;
    let theirs = query(&mut both.theirs, sql.as_bytes()).await;
    compare(both, sql, (ours, theirs), names).await;
}

async fn compare(both: &mut Both, sql: &str, (ours, theirs): (Answer, Answer), names: &[&str]) {
    if ours != theirs {
        both.differences.push(format!("{sql}\n    {}\n    MySQL: {}", ours.shown(), theirs.shown()));
    }
    both.same_rows("SHOW WARNINGS").await;
    // A variable that is NULL is one that never was, elsewhere than where it was assigned.
    let mut known = Vec::new();
    for name in names {
        let is_null = format!("SELECT {name} IS NULL");
        both.same_rows(&is_null).await;
        if both.theirs.query_first::<bool, _>(is_null).await.unwrap() == Some(false) {
            known.push(*name);
        }
    }
    if known.is_empty() {
        return;
    }
    both.same_rows(&told(&known)).await;
    // The types that a table made of them has are those of a result.
    let all: Vec<String> = known.iter().enumerate().map(|(nth, name)| format!("{name} AS c{nth}")).collect();
    both.same_text(&format!("SELECT {} FROM settings WHERE id = 1", all.join(", "))).await;
}

#[tokio::test]
async fn a_row_of_one_shard_of_several_is_assigned_as_mysql_assigns_it() {
    let mut both = world().await.both().await;
    for id in [1, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 26] {
        // Not by its key: merged, but for the FLOAT.
        let sql = format!(
            "SELECT i, u, d, x, day, at, t, ts, y, word, raw, note, blobby, j, e, s INTO @i, @u, @d, @x, @day, @at, @t, @ts, @y, @word, @raw, @note, @blobby, @j, @e, @s FROM kinds WHERE id + 0 = {id}"
        );
        let names = [
            "@i", "@u", "@d", "@x", "@day", "@at", "@t", "@ts", "@y", "@word", "@raw", "@note", "@blobby",
            "@j", "@e", "@s",
        ];
        into_same(&mut both, &sql, &names).await;
    }
    both.end();
}

#[tokio::test]
async fn what_shards_rows_do_not_say_all_of_is_assigned_by_mysql() {
    let mut both = world().await.both().await;
    for sql in [
        "SELECT f, d / 3, d + 0.5 INTO @a, @b, @c FROM kinds WHERE id + 0 = 5",
        "SELECT AVG(grp), SUM(d), COUNT(*) INTO @a, @b, @c FROM kinds",
        "SELECT COUNT(*), MAX(word), MIN(day) INTO @a, @b, @c FROM kinds",
        "SELECT SUM(grp), COUNT(x), MAX(x) INTO @a, @b, @c FROM kinds WHERE id > 10",
        "SELECT AVG(d), STDDEV(x), GROUP_CONCAT(id ORDER BY id) INTO @a, @b, @c FROM kinds",
        "SELECT day + INTERVAL 1 DAY, TIMEDIFF(t, '01:00'), YEAR(day) INTO @a, @b, @c FROM kinds WHERE id + 0 = 5",
        "SELECT CONCAT(word, 'x'), CONVERT(word USING latin1), CAST(word AS BINARY) INTO @a, @b, @c FROM kinds WHERE id + 0 = 3",
        "SELECT c.name, o.id, k.word INTO @a, @b, @c FROM customers c JOIN orders o ON o.id = c.id * 10 JOIN kinds k ON k.id = c.boss WHERE c.id + 0 = 3",
        "SELECT NULL, 'x', 1.50 INTO @a, @b, @c FROM kinds WHERE id + 0 = 5",
        "SELECT word, grp, @@sql_mode INTO @a, @b, @c FROM kinds ORDER BY word DESC LIMIT 1",
    ] {
        into_same(&mut both, sql, &["@a", "@b", "@c"]).await;
    }
    both.end();
}

#[tokio::test]
async fn into_stands_where_mysql_permits_it() {
    let mut both = world().await.both().await;
    for sql in [
        "SELECT id INTO @a FROM kinds ORDER BY id LIMIT 1",
        "SELECT id FROM kinds ORDER BY id LIMIT 1 INTO @a",
        "SELECT id FROM kinds ORDER BY id DESC LIMIT 1 INTO @`a` -- at the end",
        "SELECT id /* INTO @b */ FROM kinds ORDER BY id LIMIT 3, 1 INTO @'a'",
        "(SELECT id FROM kinds ORDER BY id LIMIT 1) INTO @a",
        "SELECT MAX(id) FROM kinds UNION SELECT MAX(id) FROM kinds INTO @a",
        "WITH c AS (SELECT id FROM kinds) SELECT COUNT(*) INTO @a FROM c",
        "SELECT SQL_CALC_FOUND_ROWS id INTO @a FROM kinds ORDER BY id LIMIT 1",
        "SELECT id INTO @a FROM customers WHERE id IN (3, 4, 5) ORDER BY id DESC LIMIT 1",
        "SELECT id INTO @A FROM customers WHERE id = 3",
    ] {
        let ours = query(&mut both.ours, sql.as_bytes()).await;
        let theirs = query(&mut both.theirs, sql.as_bytes()).await;
        assert_eq!(ours, theirs, "{sql}");
        // Of an OFFSET MySQL counts the rows that are left out, too, of a SELECT that is merged nobody does.
        if !sql.contains("LIMIT 3, 1") {
            both.same_rows("SELECT FOUND_ROWS()").await;
        }
        both.same_rows("SELECT @a, HEX(@a)").await;
        if sql.contains("id = 3") {
            // One shard has it all: its connection alone knows.
            break;
        }
    }
    both.end();
}

#[tokio::test]
async fn no_row_changes_nothing_and_two_are_an_error() {
    let mut both = world().await.both().await;
    for sql in ["SET @a = 'before', @b = 2"] {
        both.same_text(sql).await;
    }
    for sql in [
        "SELECT id, name INTO @a, @b FROM customers WHERE name = 'nobody'",
        "SELECT grp, COUNT(*) INTO @a, @b FROM kinds WHERE id < 0 GROUP BY grp",
        "SELECT id, name INTO @a, @b FROM customers LIMIT 0",
        // The first row is assigned all the same.
        "SELECT id, name INTO @a, @b FROM customers ORDER BY id",
        "SELECT grp, COUNT(*) INTO @a, @b FROM kinds GROUP BY grp ORDER BY grp",
        "SELECT id, name INTO @a, @b FROM customers ORDER BY id DESC LIMIT 2",
    ] {
        let ours = query(&mut both.ours, sql.as_bytes()).await;
        let theirs = query(&mut both.theirs, sql.as_bytes()).await;
        assert_eq!(ours, theirs, "{sql}");
        both.same_rows("SHOW WARNINGS").await;
        both.same_rows("SELECT HEX(@a), @a, @b").await;
    }
    for (sql, number) in [
        ("SELECT id, name INTO @a FROM customers", 1222),
        ("SELECT id INTO @a, @b FROM customers", 1222),
        ("SELECT * INTO @a FROM customers", 1222),
        ("SELECT nothing INTO @a FROM customers", 1054),
        ("SELECT id INTO @a FROM customers INTO @a", 3953),
        ("SELECT id INTO @a FROM customers UNION SELECT 3", 3954),
        ("SELECT id FROM customers WHERE id = (SELECT id INTO @a FROM customers LIMIT 1)", 3954),
        ("SELECT id INTO a FROM customers", 1327),
        ("SELECT id FROM customers INTO @a WHERE id > 1", 1064),
    ] {
        let theirs = query(&mut both.theirs, sql.as_bytes()).await;
        assert!(matches!(theirs, Answer::Refused(theirs, _) if theirs == number), "{sql}: {theirs:?}");
        let ours = query(&mut both.ours, sql.as_bytes()).await;
        assert!(matches!(ours, Answer::Refused(..)), "{sql}: {ours:?}");
        if matches!(number, 1222 | 1064) {
            assert_eq!(ours, theirs, "{sql}");
        }
    }
    both.same_rows("SELECT @a, @b").await;
    both.end();
}

#[tokio::test]
async fn the_session_knows_what_was_assigned_on_every_server() {
    let mut both = world().await.both().await;
    for sql in [
        "SELECT MAX(id), MIN(name) INTO @id, @name FROM customers",
        "SELECT id, name FROM customers WHERE id = @id",
        "SELECT id, name FROM customers WHERE id + 0 < @id AND name >= @name ORDER BY id",
        "SELECT name INTO @name FROM customers WHERE id + 0 = @id",
        "SELECT id FROM customers WHERE name = @name",
        "PREPARE s FROM 'SELECT id, name FROM customers WHERE id = ?'",
        "EXECUTE s USING @id",
        "SELECT id + @id INTO @id FROM customers ORDER BY id LIMIT 1",
        "SELECT @id, @name",
        "PREPARE s FROM 'SELECT COUNT(*) INTO @many FROM customers WHERE id < ?'",
        "EXECUTE s USING @id",
        "SELECT @many",
        "BEGIN",
        "UPDATE customers SET boss = @many WHERE id = 3",
        "UPDATE customers SET boss = @many WHERE id = 4",
        "SELECT SUM(boss = @many) INTO @few FROM customers",
        "SELECT name INTO @name FROM customers WHERE boss = @many AND id > 3 LIMIT 1",
        "SELECT @few, @name",
        "ROLLBACK",
        "SELECT @few, @name, @many",
    ] {
        let ours = query(&mut both.ours, sql.as_bytes()).await;
        let theirs = query(&mut both.theirs, sql.as_bytes()).await;
        if sql.starts_with("SELECT") && !sql.contains("INTO") {
            both.note(sql, &ours, &theirs);
        } else {
            assert!(!matches!(theirs, Answer::Refused(..)), "MySQL: {sql}: {}", theirs.shown());
            assert_eq!(ours, theirs, "{sql}");
        }
    }
    both.end();
}

#[tokio::test]
async fn a_prepared_statement_assigns_as_a_text_does() {
    let mut both = world().await.both().await;
    let sql = "SELECT word, f, COUNT(*) OVER () INTO @w, @f, @c FROM kinds WHERE grp > ? AND id + 0 = ?";
    let ours = prepare(&mut both.ours, sql).await.unwrap();
    let theirs = prepare(&mut both.theirs, sql).await.unwrap();
    for params in
        [[Value::from(0), Value::from(7)], [Value::from(9), Value::from(7)], [Value::from(0), Value::from(8)]]
    {
        let our_answer = execute(&mut both.ours, &ours, &params).await;
        let their_answer = execute(&mut both.theirs, &theirs, &params).await;
        assert_eq!(our_answer, their_answer, "{params:?}");
        both.same_rows("SHOW WARNINGS").await;
        both.same_rows(&told(&["@w", "@f", "@c"])).await;
    }
    both.end();
}

#[tokio::test]
async fn what_is_not_certain_of_into_is_refused() {
    let mut ours = world().await.proxied().await;
    for sql in [
        "SELECT id INTO @a FROM customers ORDER BY id LIMIT 1 FOR UPDATE",
        "SELECT @b := id INTO @a FROM customers LIMIT 1",
        "SELECT id INTO OUTFILE '/tmp/podway-no' FROM customers",
        "SELECT GET_LOCK('x', 1) INTO @a FROM customers",
    ] {
        let error = ours.query_drop(sql).await.expect_err(sql);
        assert_eq!(refusal(error).0, 1235, "{sql}");
    }
    let left: Option<Value> = ours.query_first("SELECT @a").await.unwrap();
    assert_eq!(left, Some(Value::NULL));
}

#[tokio::test]
async fn values_are_the_same_whatever_the_session_speaks() {
    let mut both = world().await.both().await;
    for setting in [
        "SET NAMES latin1",
        "SET NAMES gbk",
        "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
        "SET character_set_results = NULL",
        "SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'",
        "SET NAMES utf8mb4",
        "SET sql_mode = DEFAULT",
        "SET time_zone = '+05:30'",
    ] {
        both.ours.query_drop(setting).await.unwrap();
        both.theirs.query_drop(setting).await.unwrap();
        for of in [
            "word, note, raw, ts, e INTO @`a``b`, @note, @raw, @ts, @e FROM kinds WHERE id + 0 = 5",
            "MAX(word), MAX(note), MAX(raw), MAX(ts), COUNT(e) INTO @`a``b`, @note, @raw, @ts, @e FROM kinds",
        ] {
            let sql = format!("SELECT {of}");
            into_same(&mut both, &sql, &["@`a``b`", "@note", "@raw", "@ts", "@e"]).await;
        }
    }
    both.end();
}

#[tokio::test]
async fn a_limit_of_the_session_and_one_snapshot_hold_for_it_too() {
    let mut both = world().await.both().await;
    for setting in ["SET sql_select_limit = 1", "SET sql_select_limit = DEFAULT"] {
        both.ours.query_drop(setting).await.unwrap();
        both.theirs.query_drop(setting).await.unwrap();
        into_same(&mut both, "SELECT id, word INTO @a, @b FROM kinds ORDER BY id", &["@a", "@b"]).await;
    }
    both.ours.query_drop("SET podway_read = 'atomic'").await.unwrap();
    into_same(&mut both, "SELECT id, word INTO @a, @b FROM kinds ORDER BY id DESC LIMIT 1", &["@a", "@b"])
        .await;
    into_same(&mut both, "SELECT COUNT(*), SUM(x) > 0 INTO @a, @b FROM kinds", &["@a", "@b"]).await;
    both.end();
}

#[tokio::test]
async fn more_than_a_session_carries_is_refused_and_changes_nothing() {
    let mut ours = world().await.proxied().await;
    ours.query_drop("SET @a = 'before'").await.unwrap();
    for sql in [
        "SELECT REPEAT(name, 200000) INTO @a FROM customers WHERE id + 0 = 3",
        "SELECT REPEAT(MAX(name), 200000) INTO @a FROM customers",
    ] {
        let error = ours.query_drop(sql).await.expect_err(sql);
        assert_eq!(refusal(error).0, 1235, "{sql}");
        let left: Option<String> = ours.query_first("SELECT @a").await.unwrap();
        assert_eq!(left.as_deref(), Some("before"), "{sql}");
    }
}
