//! CREATE TABLE … SELECT from rows of several shards, beside plain MySQL: the same columns, the same rows, or no table.

use mysql_async::prelude::Queryable;
use podway_model::ShardIndex;

use crate::world::World;

/// Whether both sides have a table of this name, and the same.
async fn same_made(world: &mut World, table: &str) {
    world.same(&format!("SHOW CREATE TABLE {table}")).await;
    world.same(&format!("SELECT * FROM {table}")).await;
}

/// Nothing is at home but what the client has made.
async fn nothing_is_left(world: &World) {
    let mut direct = world.keyspace.direct(ShardIndex(0)).await.unwrap();
    let left: Vec<String> = direct.query("SHOW TABLES LIKE 'podway%'").await.unwrap();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn a_table_is_made_of_all_shards_rows_with_the_columns_that_mysql_derives() {
    let mut world = World::new("makes").await;
    for (nth, (head, query)) in [
        ("", "SELECT * FROM accounts"),
        ("", "SELECT id, owner FROM accounts WHERE amount > 50"),
        ("AS", "SELECT COUNT(*) AS n, SUM(amount), AVG(amount) AS mean, MAX(owner) AS last FROM accounts"),
        ("", "SELECT amount > 50 AS big, COUNT(*) AS n FROM accounts GROUP BY big"),
        ("AS", "(SELECT id FROM accounts UNION SELECT account + 100 FROM entries ORDER BY id LIMIT 20)"),
        ("", "SELECT a.id, e.note, c.name FROM accounts a JOIN entries e ON e.id = a.id + 1 LEFT JOIN currencies c ON c.code = 'EUR'"),
        ("", "WITH big AS (SELECT id FROM accounts WHERE amount > 30) SELECT id, 'x' AS x, NULL AS nothing, 1.5 AS d FROM big"),
        (
            "(n INT AUTO_INCREMENT PRIMARY KEY, extra VARCHAR(10) DEFAULT 'x', KEY by_id (id), CHECK (twice > 0)) COMMENT 'made' AS",
            "SELECT id, amount * 2 AS twice, CONCAT(owner, '!') AS said FROM accounts WHERE amount > 20 ORDER BY id LIMIT 5",
        ),
        ("(id BIGINT UNSIGNED NOT NULL PRIMARY KEY) ENGINE = InnoDB IGNORE", "SELECT amount DIV 40 AS id, owner FROM accounts ORDER BY accounts.id"),
        ("(PRIMARY KEY (id)) REPLACE AS", "SELECT amount DIV 40 AS id, owner FROM accounts ORDER BY accounts.id"),
        ("", "SELECT id FROM accounts WHERE id < 0"),
        ("", "TABLE entries"),
    ]
    .into_iter()
    .enumerate()
    {
        world.same(&format!("CREATE TABLE made{nth} {head} {query}")).await;
        world.same("SELECT ROW_COUNT()").await;
        same_made(&mut world, &format!("made{nth}")).await;
    }
    world.same("CREATE TABLE makes.other SELECT makes.accounts.id FROM makes.accounts").await;
    same_made(&mut world, "other").await;
    world.same_prepared("CREATE TABLE prepared SELECT id, owner FROM accounts", &[]).await;
    same_made(&mut world, "prepared").await;
    // What is open is committed.
    for sql in [
        "BEGIN",
        "UPDATE accounts SET amount = amount + 1",
        "CREATE TABLE within SELECT id, amount FROM accounts",
        "ROLLBACK",
        "SELECT * FROM within",
        "SET autocommit = 0",
        "CREATE TABLE `odd ``name` AS SELECT id, amount FROM accounts",
        "ROLLBACK",
        "SELECT * FROM `odd ``name`",
        "SET autocommit = 1",
    ] {
        world.same(sql).await;
    }
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn a_table_that_cannot_have_all_rows_is_not_made() {
    let mut world = World::new("makes_not").await;
    world.same("CREATE TABLE there SELECT id FROM accounts").await;
    for sql in [
        "CREATE TABLE there SELECT id, owner FROM accounts",
        "CREATE TABLE missing (PRIMARY KEY (big)) SELECT amount > 50 AS big, id FROM accounts ORDER BY id",
        "CREATE TABLE missing (CHECK (id < 9)) SELECT id FROM accounts",
        "CREATE TABLE missing SELECT id, nosuch FROM accounts",
        "CREATE TABLE missing SELECT id, id FROM accounts",
        "CREATE TABLE missing SELECT id FROM nosuch, accounts",
        "CREATE TABLE missing (id INT NOT NULL) SELECT id, 1 / (amount - 20) AS x, 5 MOD 0 AS y FROM accounts HAVING x > 0 OR CAST('a' AS SIGNED) = 3",
        "SELECT * FROM missing",
        "SELECT * FROM there",
    ] {
        world.same(sql).await;
    }
    // How rows lie is not said of a table that is made of a query.
    let declared = "CREATE TABLE missing COMMENT 'podway: shard by (id)' SELECT id FROM accounts";
    assert!(
        matches!(world.ours.query_drop(declared).await, Err(mysql_async::Error::Server(error)) if error.code == 1235)
    );
    world.same("CREATE TABLE IF NOT EXISTS there SELECT id, owner FROM accounts").await;
    world.same_warnings().await;
    world.same("SELECT * FROM there").await;
    world.same("CREATE TABLE IF NOT EXISTS fresh SELECT id, owner FROM accounts").await;
    same_made(&mut world, "fresh").await;
    nothing_is_left(&world).await;
}
