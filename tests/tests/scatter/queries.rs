//! INSERT … SELECT: rows of any table into any other.

use mysql_async::Value;
use mysql_async::prelude::Queryable;

use crate::world::World;

const WIDE: &str = "CREATE TABLE wide (\
    id BIGINT PRIMARY KEY, price DECIMAL(9,2) NULL, label VARCHAR(20) CHARACTER SET latin1 NULL, \
    kind ENUM('small','big') NULL, bytes VARBINARY(8) NULL, born DATE NULL, seen TIMESTAMP(3) NULL, \
    at TIME(2) NULL, ratio DOUBLE NULL, flags BIT(5) NULL, y YEAR NULL, body TEXT NULL, \
    twice DECIMAL(10,2) AS (price * 2) STORED)";

#[tokio::test]
async fn rows_of_queries_go_where_they_belong() {
    let mut world = World::new("scatter_queries").await;
    for sql in [
        "INSERT INTO accounts SELECT id + 100, owner, amount, touched FROM accounts",
        "INSERT INTO accounts (amount, owner, id) SELECT COUNT(*), note, MAX(id) + 1000 FROM entries GROUP BY note",
        "INSERT INTO accounts (id, owner, amount) SELECT 2000, 'one', 5",
        "INSERT INTO accounts (id, owner, amount) SELECT id + 3000, owner, 1 FROM accounts WHERE id = 7",
        "INSERT INTO accounts (id, owner, amount) SELECT id, owner, 1 FROM accounts WHERE id = 7",
        "INSERT IGNORE INTO accounts (id, owner, amount) SELECT id + 8, owner, 1 FROM accounts WHERE id < 20",
        "INSERT INTO accounts (id, owner, amount) SELECT id + 12, owner, 3 FROM accounts WHERE id < 20 ON DUPLICATE KEY UPDATE amount = 7 + VALUES(amount), owner = CONCAT(VALUES(owner), '+')",
        "REPLACE INTO entries TABLE entries",
        "REPLACE INTO entries SELECT a.id, e.id, LEFT(a.owner, 9) FROM accounts a JOIN entries e ON e.id = a.amount DIV 10",
        "INSERT INTO currencies SELECT CONCAT('X', id), owner FROM accounts WHERE id < 10",
        "INSERT INTO currencies SELECT code, 'again' FROM currencies ON DUPLICATE KEY UPDATE name = VALUES(name)",
        "INSERT INTO entries SELECT id, LENGTH(code), code FROM currencies CROSS JOIN accounts WHERE id < 4",
        "INSERT INTO entries SELECT id, id, 'none' FROM accounts WHERE id < 0",
        "INSERT INTO entries SELECT id, id FROM accounts",
        "INSERT INTO accounts (id, owner, amount) SELECT id + 9000, owner, -amount FROM accounts WHERE id < 20",
        "INSERT INTO entries SELECT 1, 1, note FROM entries LIMIT 0",
        "SELECT ROW_COUNT()",
    ] {
        world.same(sql).await;
        world.same_tables().await;
    }
}

#[tokio::test]
async fn rows_that_stay_on_their_shards_are_inserted_by_the_shards_themselves() {
    let mut world = World::new("scatter_queries_stay").await;
    for sql in [
        "INSERT INTO entries SELECT account, id + 100, note FROM entries",
        "INSERT INTO entries (note, id, account) SELECT 'copy', amount + 1000, id AS x FROM accounts WHERE amount > 40 ORDER BY owner",
        "INSERT IGNORE INTO entries SELECT * FROM entries WHERE id > 3",
        "INSERT INTO entries SELECT * FROM entries",
        "REPLACE INTO entries (note, account, id) SELECT LEFT(a.owner, 9), e.account, e.id FROM entries e JOIN accounts a ON a.id = e.account WHERE a.amount > 50",
        "INSERT INTO entries SELECT e.account, e.id, c.name FROM entries e JOIN currencies c ON c.code = 'EUR' WHERE e.id < 9 ON DUPLICATE KEY UPDATE note = c.name",
        "INSERT INTO accounts SELECT * FROM accounts ON DUPLICATE KEY UPDATE amount = amount + 1",
        "INSERT INTO accounts SELECT * FROM accounts AS a ON DUPLICATE KEY UPDATE accounts.amount = a.amount + 1",
        "INSERT INTO entries SELECT id, -1, owner FROM accounts WHERE id IN (4, 5, 6)",
        "INSERT INTO entries SELECT account, id, nothing FROM entries",
        "SELECT ROW_COUNT()",
    ] {
        world.same(sql).await;
        world.same_tables().await;
    }
    let sql = "INSERT INTO entries SELECT account, id + ?, note FROM entries WHERE id < ? ON DUPLICATE KEY UPDATE note = ?";
    world.same_prepared(sql, &[Value::Int(10_000), Value::Int(50), "p".into()]).await;
    world.same_prepared(sql, &[Value::Int(10_000), Value::Int(50), "q".into()]).await;
    world.same_tables().await;
    world.same("BEGIN").await;
    world.same("UPDATE entries SET note = 'own' WHERE account < 5").await;
    world.same("INSERT INTO entries SELECT account, id + 20000, note FROM entries WHERE note = 'own'").await;
    world.same_tables().await;
    world.same("ROLLBACK").await;
    world.same_tables().await;
}

#[tokio::test]
async fn values_are_stored_as_mysql_stores_them() {
    let tables: [(&str, &str, &[&str]); 1] = [("wide", WIDE, &["id"])];
    let mut world = World::with("scatter_queries_wide", &tables).await;
    for conn in [&mut world.ours, &mut world.theirs] {
        conn.query_drop("SET time_zone = '+02:00'").await.unwrap();
    }
    let columns = "id, price, label, kind, bytes, born, seen, at, ratio, flags, y, body";
    let rows: Vec<String> = (1..12)
        .map(|id| {
            format!(
                "({id}, {id}.25, 'caf\u{e9} {id}?', 'big', X'00FF27{id:02}', '2024-02-29', '2024-03-31 01:30:00.123', \
                 '-12:30:00.5', 0.1e{id}, b'101', 2024, REPEAT('\u{1f600}', {id}))"
            )
        })
        .chain(["(50, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)".to_owned()])
        .collect();
    world.same(&format!("INSERT INTO wide ({columns}) VALUES {}", rows.join(", "))).await;
    for sql in [
        "INSERT INTO wide (id, price, label, kind, bytes, born, seen, at, ratio, flags, y, body) SELECT id + 100, price, label, kind, bytes, born, seen, at, ratio, flags, y, body FROM wide",
        "INSERT INTO wide (id, label, body) SELECT id + 200, price, seen FROM wide WHERE id < 20",
        "INSERT INTO wide (id, price, born) SELECT id + 300, label, seen FROM wide WHERE id < 20",
        "INSERT INTO wide (id, body, ratio) SELECT CAST(id + 400 AS CHAR), HEX(bytes), price / 3 FROM wide WHERE id < 20",
        "INSERT INTO wide (id, flags) SELECT price + 500, flags FROM wide WHERE price < 9",
    ] {
        world.same(sql).await;
        world.same("SELECT *, HEX(bytes), CAST(seen AS CHAR), flags + 0 FROM wide").await;
    }
}

#[tokio::test]
async fn prepared_and_in_transactions() {
    let mut world = World::new("scatter_queries_prepared").await;
    let int = |number: i64| Value::Int(number);
    let text = |text: &str| Value::Bytes(text.as_bytes().to_vec());
    let sql = "INSERT INTO accounts (id, owner, amount) SELECT id + ?, CONCAT(owner, ?), amount FROM accounts WHERE amount > ? \
               ON DUPLICATE KEY UPDATE owner = ?";
    world.same_prepared(sql, &[int(100), text("x"), int(50), text("dup")]).await;
    world.same_prepared(sql, &[int(100), text("y"), int(40), text("dup2")]).await;
    let of_one = "INSERT INTO entries SELECT id, ?, 'one' FROM accounts WHERE id = ?";
    world.same_prepared(of_one, &[int(77), int(5)]).await;
    world.same_tables().await;
    for sql in [
        "BEGIN",
        "INSERT INTO accounts SELECT id + 5000, owner, amount, touched FROM accounts",
        "INSERT INTO accounts SELECT id + 5000, owner, amount, touched FROM accounts WHERE id < 8",
        "INSERT INTO entries SELECT id, id + 1, 'tx' FROM accounts WHERE id > 5000",
        "SELECT COUNT(*), SUM(amount) FROM accounts",
        "ROLLBACK",
        "SET autocommit = 0",
        "INSERT INTO currencies SELECT CONCAT('Y', id), owner FROM accounts WHERE id < 5",
        "COMMIT",
        "SET autocommit = 1",
        "SELECT COUNT(*) FROM entries",
    ] {
        world.same(sql).await;
    }
    world.same_tables().await;
}
