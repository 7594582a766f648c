//! UPDATEs of the sharding key where the rows to move are hard to tell, the new key is hard to write, or the session has settings of its own.

use mysql_async::Value;
use mysql_async::prelude::Queryable;
use podway_model::{ServerId, ShardIndex};
use podway_tests::answer::{Answer, query};

use crate::keys::all_are_found;
use crate::world::World;

async fn refused(world: &mut World, sql: &str, why: &str) {
    match query(&mut world.ours, sql.as_bytes()).await {
        Answer::Refused(1235, message) => {
            assert!(message.contains(why), "{sql}: {message:?}");
        }
        other => panic!("{sql}: {}", other.shown()),
    }
}

async fn all_bytes_are_found(world: &mut World, table: &str) {
    for shard in 0..4 {
        let mut direct = world.keyspace.direct(ShardIndex(shard)).await.unwrap();
        let keys: Vec<String> = direct.query(format!("SELECT HEX(k) FROM {table}")).await.unwrap();
        for key in keys {
            let sql = format!("SELECT v FROM {table} WHERE k = X'{key}'");
            let pinned: Option<i64> = world.ours.query_first(&sql).await.unwrap();
            assert!(pinned.is_some(), "{key} on shard {shard}");
        }
    }
}

async fn on_both(world: &mut World, sql: &str) {
    world.ours.query_drop(sql).await.unwrap();
    world.theirs.query_drop(sql).await.unwrap();
}

#[tokio::test]
async fn a_subquery_chooses_rows_only_where_the_new_key_is_one_value() {
    let definition = "CREATE TABLE sub (k INT PRIMARY KEY, v VARCHAR(3) CHARACTER SET utf8mb4)";
    let mut world = World::with("scatter_keys_sub", &[("sub", definition, &["k"])]).await;
    world.same("INSERT INTO sub VALUES (4, 'EUR'), (10, 'XXX'), (11, 'PEN')").await;
    let mut other = world.another().await;
    on_both(&mut world, "BEGIN").await;
    world.same("SELECT * FROM currencies").await;
    world.same("SELECT * FROM sub WHERE k = 4").await;
    // The snapshot has EUR; what is read for a change has XXX.
    other.query_drop("UPDATE currencies SET code = 'XXX' WHERE code = 'EUR'").await.unwrap();
    for (condition, why) in [
        ("v IN (SELECT code FROM currencies)", "subquery"),
        ("v IN (TABLE currencies)", "TABLE"),
        ("EXISTS (SELECT 1 FROM currencies WHERE code = v)", "subquery"),
    ] {
        refused(&mut world, &format!("UPDATE sub SET k = k + 1 WHERE {condition}"), why).await;
    }
    on_both(&mut world, "ROLLBACK").await;
    other.query_drop("UPDATE currencies SET code = 'EUR' WHERE code = 'XXX'").await.unwrap();
    world.same("UPDATE sub SET k = 77 WHERE v IN (SELECT code FROM currencies WHERE name = 'sol')").await;
    world.same("SELECT * FROM sub").await;
    world.same("UPDATE sub SET k = k + 1").await;
    world.same("SELECT * FROM sub").await;
    all_are_found(&mut world, "sub", "k").await;
}

#[tokio::test]
async fn bytes_as_a_key_are_never_taken_from_converted_text() {
    let definition =
        "CREATE TABLE vb (k VARBINARY(20) PRIMARY KEY, l VARCHAR(10) CHARACTER SET latin1, v INT)";
    let fixed = "CREATE TABLE fb (k BINARY(4) PRIMARY KEY, v INT)";
    let mut world =
        World::with("scatter_keys_bytes", &[("vb", definition, &["k"]), ("fb", fixed, &["k"])]).await;
    world.same("INSERT INTO vb VALUES ('a', 'À', 1), ('b', 'Á', 2), ('c', 'plain', 3)").await;
    world.same("INSERT INTO fb VALUES ('a', 1), ('b', 2), ('c', 3)").await;
    refused(&mut world, "UPDATE vb SET k = l", "only MySQL can tell").await;
    for sql in [
        "UPDATE vb SET k = 'À' WHERE v = 1",
        "UPDATE vb SET k = CONCAT(k, X'C0') WHERE v > 1",
        "UPDATE vb SET k = X'00FF27' WHERE v = 2",
        "UPDATE vb SET k = 77 WHERE v = 3",
        "UPDATE fb SET k = 'x' WHERE v = 1",
        "UPDATE fb SET k = X'C0' WHERE v = 2",
        "UPDATE fb SET k = REVERSE(k)",
    ] {
        world.same(sql).await;
        world.same("SELECT HEX(k), v FROM vb").await;
        world.same("SELECT HEX(k), v FROM fb").await;
        all_bytes_are_found(&mut world, "vb").await;
        all_bytes_are_found(&mut world, "fb").await;
    }
    on_both(&mut world, "SET NAMES latin1").await;
    world.same("UPDATE vb SET k = 'À' WHERE v = 2").await;
    world.same("SELECT HEX(k), v FROM vb").await;
    all_bytes_are_found(&mut world, "vb").await;
}

#[tokio::test]
async fn a_key_with_quotes_and_backslashes_stays_a_value() {
    let definition = "CREATE TABLE s (k VARCHAR(60) PRIMARY KEY, v INT)";
    let mut world = World::with("scatter_keys_quotes", &[("s", definition, &["k"])]).await;
    world.same("INSERT INTO s VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4), ('e', 5), ('f', 6)").await;
    let evil = r"x\'' OR 1 = 1) -- ";
    for mode in ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"] {
        for v in 1..6 {
            on_both(&mut world, &format!("SET sql_mode = '{mode}'")).await;
            let escape =
                if mode.contains("NO_BACKSLASH") { evil.to_owned() } else { evil.replace('\\', r"\\") };
            let number = v * 10 + mode.len();
            world.same(&format!("UPDATE s SET k = '{escape}{number}' WHERE v = {v}")).await;
            let text = Value::Bytes(format!(r"y\' OR 1 = 1) -- {number}").into_bytes());
            world.same_prepared("UPDATE s SET k = ? WHERE v = ?", &[text, Value::Int(v as i64 + 1)]).await;
            on_both(&mut world, "SET sql_mode = DEFAULT").await;
            world.same("SELECT * FROM s").await;
            all_are_found(&mut world, "s", "k").await;
        }
    }
}

#[tokio::test]
async fn rows_are_found_by_the_key_as_it_is_stored() {
    let mut world = World::with(
        "scatter_keys_stored",
        &[
            ("n", "CREATE TABLE n (id INT PRIMARY KEY, v INT)", &["id"]),
            ("d", "CREATE TABLE d (k DECIMAL(9,2) PRIMARY KEY, v INT)", &["k"]),
            ("c", "CREATE TABLE c (k CHAR(20) PRIMARY KEY, v INT)", &["k"]),
            ("t", "CREATE TABLE t (k VARCHAR(20) PRIMARY KEY, v INT)", &["k"]),
            ("m", "CREATE TABLE m (k DATETIME(3) PRIMARY KEY, v INT)", &["k"]),
        ],
    )
    .await;
    for table in ["n", "d", "c", "t"] {
        world
            .same(&format!(
                "INSERT INTO {table} VALUES ('11', 1), ('22', 2), ('33', 3), ('44', 4), ('55', 5)"
            ))
            .await;
    }
    world.same("INSERT INTO m VALUES ('2024-01-01', 1), ('2024-02-02', 2), ('2024-03-03', 3), ('2024-04-04', 4), ('2024-05-05', 5)").await;
    for sql in [
        "UPDATE n SET id = 1.4 WHERE v = 1",
        "UPDATE n SET id = 7.5 WHERE v = 2",
        "UPDATE n SET id = id / 2 WHERE v > 2",
        "UPDATE n SET id = '99' WHERE v = 5",
        "UPDATE d SET k = k * 1.11",
        "UPDATE d SET k = 5.555 WHERE v = 1",
        "UPDATE d SET k = -0.5 WHERE v = 2",
        "UPDATE c SET k = 'zz  ' WHERE v = 1",
        "UPDATE c SET k = CONCAT(k, '  ') WHERE v > 1",
        "UPDATE c SET k = 78 WHERE v = 2",
        "UPDATE t SET k = 'zz  ' WHERE v = 1",
        "UPDATE t SET k = CONCAT('\u{e9}', k, '  ') WHERE v > 1",
        "UPDATE t SET k = 78 WHERE v = 2",
        "UPDATE m SET k = '2025-01-01 10:00:00.1239' WHERE v = 1",
        "UPDATE m SET k = k + INTERVAL 1 DAY WHERE v > 1",
    ] {
        world.same(sql).await;
        for table in ["n", "d", "c", "t", "m"] {
            world.same(&format!("SELECT * FROM {table}")).await;
        }
    }
    world.same_prepared("UPDATE t SET k = ? WHERE v = ?", &[Value::Int(77), Value::Int(3)]).await;
    world.same_prepared("UPDATE c SET k = ? WHERE v = ?", &[Value::Int(77), Value::Int(3)]).await;
    world.same("SELECT * FROM t").await;
    world.same("SELECT * FROM c").await;
    for (table, key) in [("n", "id"), ("d", "k"), ("c", "k"), ("t", "k"), ("m", "k")] {
        all_are_found(&mut world, table, key).await;
    }
}

#[tokio::test]
async fn the_sessions_bounds_are_for_its_own_statements() {
    let mut world = World::new("scatter_keys_bounds").await;
    for set in ["SET max_join_size = 1", "SET max_execution_time = 1", "SET sql_select_limit = 1"] {
        on_both(&mut world, set).await;
    }
    world.same("UPDATE accounts SET id = id + 1000 WHERE id < 9").await;
    on_both(&mut world, "BEGIN").await;
    world.same("UPDATE accounts SET id = id + 1000").await;
    world.same("UPDATE accounts SET id = 3 WHERE id = 2001").await;
    on_both(&mut world, "COMMIT").await;
    for set in ["SET max_join_size = DEFAULT", "SET max_execution_time = 0", "SET sql_select_limit = DEFAULT"]
    {
        on_both(&mut world, set).await;
    }
    world.same_tables().await;
    all_are_found(&mut world, "accounts", "id").await;
}

#[tokio::test]
async fn moments_of_an_hour_that_comes_twice_stay_what_they_are() {
    let definition = "CREATE TABLE seen (id INT PRIMARY KEY, at TIMESTAMP NULL)";
    let mut world = World::with("scatter_keys_zone", &[("seen", definition, &["id"])]).await;
    // A zone that goes from UTC+2 to UTC+1 on 2024-10-27 at one.
    let zone = [
        "INSERT IGNORE INTO mysql.time_zone (Time_zone_id, Use_leap_seconds) VALUES (9001, 'N')",
        "INSERT IGNORE INTO mysql.time_zone_name (Name, Time_zone_id) VALUES ('Test/Twice', 9001)",
        "INSERT IGNORE INTO mysql.time_zone_transition_type (Time_zone_id, Transition_type_id, Offset, Is_DST, Abbreviation) \
         VALUES (9001, 0, 3600, 0, 'W'), (9001, 1, 7200, 1, 'S')",
        "INSERT IGNORE INTO mysql.time_zone_transition (Time_zone_id, Transition_time, Transition_type_id) \
         VALUES (9001, 1711846800, 1), (9001, 1729990800, 0)",
    ];
    for statement in zone {
        world.theirs.query_drop(statement).await.unwrap();
        for server in [0, 1] {
            let mut admin = world.keyspace.pod.admin(ServerId(server)).await.unwrap();
            admin.query_drop(statement).await.unwrap();
        }
    }
    on_both(&mut world, "SET time_zone = '+00:00'").await;
    let rows: Vec<String> = (1..9).map(|id| format!("({id}, '2024-10-27 0{}:30:00')", id % 3)).collect();
    world.same(&format!("INSERT INTO seen VALUES {}", rows.join(", "))).await;
    on_both(&mut world, "SET time_zone = 'Test/Twice'").await;
    world.same("UPDATE seen SET id = id + 1000").await;
    world.same("SELECT * FROM seen").await;
    world.same("UPDATE seen SET id = id + 1000 WHERE at > '2024-10-27 02:10:00'").await;
    on_both(&mut world, "SET time_zone = '+00:00'").await;
    world.same("SELECT * FROM seen").await;
    all_are_found(&mut world, "seen", "id").await;
}

#[tokio::test]
async fn a_session_of_wide_characters_writes_on_several_servers() {
    let mut world = World::new("scatter_keys_wide").await;
    on_both(&mut world, "SET character_set_connection = 'utf16'").await;
    for sql in [
        "UPDATE accounts SET amount = amount + 1",
        "BEGIN",
        "UPDATE accounts SET amount = amount + 1 WHERE id < 9",
        "SAVEPOINT a",
        "UPDATE accounts SET id = id + 1000",
        "UPDATE accounts SET id = 5000 WHERE id = 1005",
        "ROLLBACK TO a",
        "UPDATE accounts SET id = id + 2000",
        "COMMIT",
        "BEGIN",
        "UPDATE accounts SET amount = amount + 1",
        "ROLLBACK",
        "INSERT INTO accounts (id, owner, amount) VALUES (71, 'a', 1), (72, 'b', 1), (73, 'c', 1), (74, 'd', 1)",
        "UPDATE currencies SET name = 'x'",
    ] {
        world.same(sql).await;
    }
    on_both(&mut world, "SET NAMES utf8mb4").await;
    world.same_tables().await;
    all_are_found(&mut world, "accounts", "id").await;
}
