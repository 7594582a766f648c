//! A keyspace of one shard, whose statements go to its server as they are, beside keyspaces whose schemas lie there, too; and what triggers on its
//! tables and on sharded ones are told of their session.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use podway_model::ShardIndex;
use podway_tests::Pod;

use crate::shop::shop;

async fn code(conn: &mut Conn, sql: &str) -> u16 {
    match conn.query_drop(sql).await {
        Ok(()) => 0,
        Err(Error::Server(error)) => error.code,
        Err(error) => panic!("{sql}: {error}"),
    }
}

#[tokio::test]
async fn schemas_of_other_keyspaces_are_not_reached_by_their_own_names() {
    let shop = shop("beside_shop", 3).await;
    let own = Pod::shared().await.keyspace_named("beside_own", &["beside_own"]).await.unwrap();
    let hidden = shop.get().shards.last().unwrap().schema.to_string();
    assert_ne!(hidden, "beside_shop");
    let mut conn = own.connect().await.unwrap();
    conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY, n INT)").await.unwrap();
    let cases = [
        format!("DROP DATABASE {hidden}"),
        format!("DROP SCHEMA IF EXISTS {hidden}"),
        format!("ALTER DATABASE {hidden} CHARACTER SET latin1"),
        format!("SHOW TABLES FROM {hidden}"),
        format!("SHOW TABLE STATUS FROM {hidden}"),
        format!("CREATE TABLE copied LIKE {hidden}.customers"),
        format!("INSERT INTO {hidden}.customers (id, name) VALUES (1, 'wrong')"),
        format!("PREPARE s FROM 'INSERT INTO {hidden}.customers (id, name) VALUES (1, ''wrong'')'"),
        format!("PREPARE s FROM 'ALTER TABLE {hidden}.customers ADD COLUMN more INT'"),
    ];
    for sql in cases {
        assert_eq!(code(&mut conn, &sql).await, 1049, "{sql}");
    }
    let dynamic =
        "CREATE PROCEDURE p(what TEXT) BEGIN SET @text = what; PREPARE s FROM @text; EXECUTE s; END";
    assert_eq!(code(&mut conn, dynamic).await, 1235);
    // What is its own is prepared and executed as in MySQL.
    conn.query_drop("PREPARE s FROM 'INSERT INTO t VALUES (?, ?)'").await.unwrap();
    conn.query_drop("SET @a = 1, @b = CAST(7 AS UNSIGNED)").await.unwrap();
    conn.query_drop("EXECUTE s USING @a, @b").await.unwrap();
    let row: Option<(i32, i32)> = conn.query_first("SELECT * FROM t").await.unwrap();
    assert_eq!(row, Some((1, 7)));
}

#[tokio::test]
async fn triggers_are_told_the_sessions_user_variables() {
    let keyspace = shop("beside_told", 4).await;
    for shard in 0..4 {
        let mut direct = keyspace.direct(ShardIndex(shard)).await.unwrap();
        let trigger = "CREATE TRIGGER told BEFORE UPDATE ON customers FOR EACH ROW \
                       SET NEW.name = CONCAT('by ', COALESCE(@who, 'nobody'))";
        direct.query_drop(trigger).await.unwrap();
    }
    let mut ann = keyspace.connect().await.unwrap();
    let mut other = keyspace.connect().await.unwrap();
    ann.query_drop("SET @who = 'ann'").await.unwrap();
    for _ in 0..2 {
        for id in 1..=8 {
            ann.query_drop(format!("UPDATE customers SET name = 'x' WHERE id = {id}")).await.unwrap();
            let of: Option<String> =
                ann.query_first(format!("SELECT name FROM customers WHERE id = {id}")).await.unwrap();
            assert_eq!(of.as_deref(), Some("by ann"));
            other.query_drop(format!("UPDATE customers SET name = 'x' WHERE id = {id}")).await.unwrap();
            let of: Option<String> =
                ann.query_first(format!("SELECT name FROM customers WHERE id = {id}")).await.unwrap();
            assert_eq!(of.as_deref(), Some("by nobody"));
        }
    }
    ann.query_drop("UPDATE customers SET name = 'x'").await.unwrap();
    let names: Vec<String> = ann.query("SELECT DISTINCT name FROM customers").await.unwrap();
    assert_eq!(names, ["by ann"]);
    other.query_drop("UPDATE customers SET name = 'x'").await.unwrap();
    let names: Vec<String> = ann.query("SELECT DISTINCT name FROM customers").await.unwrap();
    assert_eq!(names, ["by nobody"]);
}

#[tokio::test]
async fn what_was_set_for_the_next_transaction_is_not_used_up_by_what_it_refuses() {
    let keyspace = shop("beside_next", 4).await;
    let mut conn = keyspace.connect().await.unwrap();
    conn.query_drop("SET TRANSACTION READ ONLY").await.unwrap();
    assert_eq!(code(&mut conn, "UPDATE customers SET name = 'never'").await, 1792);
    conn.query_drop("BEGIN").await.unwrap();
    assert_eq!(code(&mut conn, "UPDATE customers SET name = 'never' WHERE id = 1").await, 1792);
    conn.query_drop("COMMIT").await.unwrap();
    conn.query_drop("UPDATE customers SET name = 'now' WHERE id = 1").await.unwrap();
}

#[tokio::test]
async fn a_number_without_a_sign_stays_one_on_every_server() {
    let keyspace = shop("beside_unsigned", 4).await;
    let mut conn = keyspace.connect().await.unwrap();
    conn.query_drop("SET @u = CAST(5 AS UNSIGNED), @i = 5").await.unwrap();
    for id in 1..=8 {
        assert_eq!(code(&mut conn, &format!("SELECT @u - 6 FROM customers WHERE id = {id}")).await, 1690);
        let signed: Option<i64> =
            conn.query_first(format!("SELECT @i - 6 FROM customers WHERE id = {id}")).await.unwrap();
        assert_eq!(signed, Some(-1));
    }
}
