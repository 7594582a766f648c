//! What statements do and answer.

use mysql_async::Value;
use mysql_async::prelude::Queryable;

use crate::world::World;

#[tokio::test]
async fn updates_and_deletes_without_a_key_change_all_shards() {
    let mut world = World::new("scatter_changes").await;
    for sql in [
        "UPDATE accounts SET amount = amount + 5",
        "UPDATE accounts SET amount = amount + 1 WHERE amount > 60 AND owner LIKE 'owner 1%'",
        "UPDATE accounts SET amount = 60 WHERE amount BETWEEN 50 AND 70",
        "UPDATE accounts SET owner = CONCAT(owner, '!') WHERE id IN (1, 2, 3, 4, 5)",
        "UPDATE accounts SET amount = amount WHERE id > 0",
        "UPDATE accounts a JOIN entries e ON e.account = a.id SET e.note = 'joined', a.amount = a.amount + 2 WHERE a.amount > 100",
        "UPDATE accounts SET owner = UPPER(owner) WHERE owner IN (SELECT CONCAT('owner ', LENGTH(code)) FROM currencies)",
        "DELETE FROM entries WHERE note = 'joined'",
        "DELETE e FROM entries e JOIN accounts a ON a.id = e.account WHERE a.amount < 40",
        "DELETE FROM accounts WHERE id IN (7, 8, 9, 1000)",
        "DELETE FROM accounts WHERE amount > 100000",
        "SELECT ROW_COUNT()",
    ] {
        world.same(sql).await;
        world.same_tables().await;
    }
}

#[tokio::test]
async fn rows_of_one_insert_go_to_their_shards() {
    let mut world = World::new("scatter_rows").await;
    for sql in [
        "INSERT INTO accounts VALUES (101, 'a', 1, NULL), (102, 'b', 2, NULL), (103, 'c', 3, NULL), (104, 'd', 4, NULL)",
        "INSERT INTO accounts (amount, id, owner) VALUES (1, 201, 'x'), (2, 202, CONCAT('y', 'z')), (3, 203, 'w')",
        "INSERT IGNORE INTO accounts VALUES (1, 'twice', 1, NULL), (301, 'new', 1, NULL), (2, 'twice', 2, NULL), (302, 'new', 2, NULL)",
        "INSERT INTO accounts (id, owner, amount) VALUES (1, 'one', 5), (401, 'four', 5), (2, 'two', 5) ON DUPLICATE KEY UPDATE amount = amount + VALUES(amount), owner = 'dup'",
        "REPLACE INTO accounts (id, owner, amount) VALUES (3, 'three', 3), (501, 'five', 5), (4, 'four', 4)",
        "INSERT INTO entries VALUES (1, 100, 'x'), (2, 100, 'y'), (3, 100, NULL), (4, 100, DEFAULT)",
        "INSERT INTO entries VALUES (1, 100, 'no'), (2, 101, 'z'), (3, 100, 'no') ON DUPLICATE KEY UPDATE account = account",
        "INSERT INTO entries VALUES (1, 100, 'd'), (2, 102, 'n'), (3, 100, 'd') ON DUPLICATE KEY UPDATE account = VALUES(account), id = VALUES(id), note = VALUES(note)",
        "INSERT INTO accounts (id, owner, amount) VALUES (7, 'seven', 5), (701, 'new', 5) ON DUPLICATE KEY UPDATE `id` = VALUES(`id`), amount = amount + 1",
        "INSERT INTO accounts (id, owner, amount) VALUES (7, 'no', 5) ON DUPLICATE KEY UPDATE id = id",
        "SELECT ROW_COUNT()",
    ] {
        world.same(sql).await;
        world.same_tables().await;
    }
    world.same("INSERT IGNORE INTO accounts VALUES (1, 'twice', 1, NULL), (801, 'new', 1, NULL), (2, 'twice', 2, NULL), (3, 'twice', 2, NULL)").await;
    world.same_warnings().await;
    world.same("UPDATE IGNORE accounts SET amount = 3 WHERE owner = 7").await;
    world.same_tables().await;
}

#[tokio::test]
async fn reference_tables_are_written_everywhere() {
    let mut world = World::new("scatter_copies").await;
    for sql in [
        "INSERT INTO currencies VALUES ('USD', 'dollar'), ('GBP', 'pound')",
        "INSERT IGNORE INTO currencies VALUES ('USD', 'again'), ('CHF', 'franc')",
        "INSERT INTO currencies VALUES ('USD', 'x') ON DUPLICATE KEY UPDATE name = CONCAT(name, ' (us)')",
        "UPDATE currencies SET name = UPPER(name) WHERE code > 'F'",
        "REPLACE INTO currencies VALUES ('EUR', 'Euro')",
        "DELETE FROM currencies WHERE code = 'PEN'",
        "UPDATE currencies SET name = name",
    ] {
        world.same(sql).await;
        world.same_tables().await;
    }
}

#[tokio::test]
async fn prepared_writes_go_to_several_shards() {
    let mut world = World::new("scatter_prepared").await;
    let int = |number: i64| Value::Int(number);
    let text = |text: &str| Value::Bytes(text.as_bytes().to_vec());
    world.same_prepared("UPDATE accounts SET amount = amount + ? WHERE amount > ?", &[int(3), int(50)]).await;
    world
        .same_prepared(
            "UPDATE accounts SET owner = ? WHERE id IN (?, ?, ?)",
            &[text("p"), int(1), int(2), int(3)],
        )
        .await;
    let sql = "INSERT INTO accounts (id, owner, amount) VALUES (?, ?, ?), (?, 'fixed', ?), (?, ?, 7) \
               ON DUPLICATE KEY UPDATE owner = ?, amount = amount + ?";
    let params = [int(1), text("a"), int(1), int(701), int(2), int(702), text("c"), text("dup"), int(9)];
    world.same_prepared(sql, &params).await;
    world.same_tables().await;
    let params = [int(703), text("a"), int(1), int(2), int(2), int(704), text("c"), text("dup"), int(9)];
    world.same_prepared(sql, &params).await;
    world.same_prepared("DELETE FROM entries WHERE note = ? OR id = ?", &[text("nothing"), int(3)]).await;
    world.same_prepared("UPDATE currencies SET name = ? WHERE code = ?", &[text("EURO"), text("EUR")]).await;
    world.same_tables().await;
}

#[tokio::test]
async fn one_clock_serves_all_shards() {
    let mut world = World::new("scatter_clock").await;
    world.ours.query_drop("UPDATE accounts SET touched = NOW(6)").await.unwrap();
    let times: Vec<String> =
        world.ours.query("SELECT DISTINCT CAST(touched AS CHAR) FROM accounts").await.unwrap();
    assert_eq!(times.len(), 1, "{times:?}");
    let close: Option<bool> = world
        .ours
        .query_first("SELECT ABS(TIMESTAMPDIFF(SECOND, MAX(touched), NOW())) < 60 FROM accounts WHERE id = 1")
        .await
        .unwrap();
    assert_eq!(close, Some(true));
    let later: Option<bool> =
        world.ours.query_first("SELECT touched < NOW(6) FROM accounts WHERE id = 2").await.unwrap();
    assert_eq!(later, Some(true), "the session's own clock goes on");
}

#[tokio::test]
async fn what_several_shards_cannot_do_alike_is_refused_and_changes_nothing() {
    let mut world = World::new("scatter_refused").await;
    for sql in [
        "UPDATE accounts SET id = id + 1000 LIMIT 2",
        "UPDATE IGNORE accounts SET id = 5",
        "UPDATE accounts SET id = 'x' WHERE id = 4",
        "UPDATE accounts SET amount = 0 WHERE RAND() < 0.5",
        "UPDATE accounts a JOIN accounts b ON a.amount = b.amount SET a.owner = b.owner, b.owner = a.owner",
        "UPDATE accounts SET amount = (SELECT COUNT(*) FROM entries WHERE RAND() > 2)",
        "UPDATE currencies SET name = UUID()",
        "INSERT INTO accounts (owner, amount) SELECT owner, amount FROM accounts",
        "INSERT INTO accounts SELECT id + 50, owner, amount, touched FROM accounts FOR UPDATE",
        "INSERT INTO currencies SELECT 'X', UUID() FROM accounts LIMIT 1 ON DUPLICATE KEY UPDATE name = RAND()",
    ] {
        match podway_tests::answer::query(&mut world.ours, sql.as_bytes()).await {
            podway_tests::answer::Answer::Refused(1235, _) => {}
            other => panic!("{sql}: {}", other.shown()),
        }
    }
    world.same_tables().await;
}
