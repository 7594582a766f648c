//! UPDATE and DELETE whose rows meet rows of other shards.

use mysql_async::Value;
use mysql_async::prelude::Queryable;
use podway_tests::answer::{Answer, query};

use crate::world::World;

/// A world with a home table beside the others.
async fn with_rates(name: &str) -> World {
    let mut world = World::new(name).await;
    world
        .same("CREATE TABLE rates (id INT PRIMARY KEY, amount INT, rate DECIMAL(8,3), weight FLOAT, note VARCHAR(10), at DATETIME(3))")
        .await;
    world
        .same(
            "INSERT INTO rates VALUES (1, 10, 1.5, 0.1234567, 'eins', NOW(3)), (2, 50, 2, 1e20, 'zwei', NULL), (3, 80, NULL, NULL, NULL, NULL), \
             (4, 110, 0.125, 3, 'vier', '2024-02-09 10:11:12.345'), (5, 500, 9, 9, 'fünf', NULL)",
        )
        .await;
    world
}

async fn same_rates(world: &mut World) {
    world.same("SELECT id, amount, rate, CAST(weight AS DOUBLE), note FROM rates").await;
    world.same_tables().await;
}

#[tokio::test]
async fn rows_are_changed_by_rows_of_other_shards() {
    let mut world = with_rates("scatter_feeds").await;
    for sql in [
        "UPDATE accounts SET amount = amount + 1 WHERE id IN (SELECT id FROM entries WHERE note = 'first' AND id > 4)",
        "UPDATE accounts SET amount = amount - 1 WHERE amount > (SELECT AVG(amount) FROM rates)",
        "UPDATE accounts a JOIN accounts b ON a.id = b.id + 1 SET a.owner = b.owner",
        "UPDATE accounts a JOIN rates r ON r.amount = a.id * 10 SET a.owner = r.note, a.amount = a.amount * r.rate WHERE r.rate IS NOT NULL",
        "UPDATE accounts a JOIN rates r ON r.id = a.id SET a.touched = r.at, a.amount = LEAST(r.weight * 1000, 1000000) WHERE r.weight < 1000",
        "UPDATE entries e LEFT JOIN rates r ON r.id = e.id AND r.amount < 100 SET e.note = COALESCE(r.note, 'none')",
        "UPDATE rates r LEFT JOIN accounts a ON a.id * 10 = r.amount SET a.owner = CONCAT('left ', r.id)",
        "UPDATE rates r RIGHT JOIN accounts a ON a.amount = r.amount SET a.owner = 'right' WHERE r.id IS NULL AND a.id > 10",
        "UPDATE accounts a, entries e SET a.owner = e.note WHERE e.id = a.id + 1 AND e.account < 8",
        "UPDATE entries e JOIN accounts a ON a.id = e.account JOIN rates r ON r.id = a.id DIV 2 SET e.note = r.note, a.owner = r.note",
        "UPDATE accounts SET owner = (SELECT MAX(note) FROM rates WHERE rates.amount <= accounts.amount)  WHERE id < 12 AND EXISTS (SELECT * FROM rates r WHERE r.amount <= accounts.amount AND r.note > '') ORDER BY id",
        "UPDATE accounts JOIN currencies c ON c.code = 'EUR' JOIN rates USING (amount) SET accounts.owner = c.name",
        "UPDATE accounts SET amount = (SELECT COUNT(*) FROM entries) + id * 10",
        "UPDATE accounts SET amount = amount + (SELECT COUNT(*) FROM entries WHERE account = accounts.id AND note LIKE 'n%')",
        "UPDATE accounts a SET a.owner = (SELECT MAX(e.note) FROM entries e WHERE e.account = a.id AND e.id > (SELECT MIN(id) FROM rates))",
        "DELETE FROM entries WHERE NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = entries.account AND a.amount > 40) AND id > 2",
        "UPDATE accounts SET owner = 'some' WHERE id IN (SELECT account FROM entries e WHERE e.account = accounts.id) LIMIT 100",
        "UPDATE accounts SET amount = amount + (SELECT COUNT(*) FROM entries e LEFT JOIN currencies c ON e.account = accounts.id)",
        "UPDATE accounts SET amount = amount + (SELECT COUNT(e.id) FROM entries e RIGHT JOIN rates r ON e.account = accounts.id)",
        "UPDATE accounts SET amount = amount + (SELECT COUNT(*) FROM entries e WHERE e.account = accounts.id OR e.id = 3)",
        "UPDATE accounts SET amount = amount + (SELECT COUNT(*) FROM entries e WHERE e.account = accounts.id) + (SELECT COUNT(*) FROM entries f)",
        "UPDATE accounts SET owner = 'having' WHERE EXISTS (SELECT e.account FROM entries e GROUP BY e.account HAVING e.account = accounts.id + 1)",
        "UPDATE accounts SET amount = amount + (SELECT COUNT(*) FROM (SELECT f.id FROM entries f WHERE f.account = accounts.id UNION SELECT g.id FROM entries g WHERE g.id < 4) x)",
        "UPDATE accounts SET amount = amount + (SELECT COUNT(*) FROM rates r JOIN entries e ON e.account = r.id WHERE r.id = accounts.id)",
        "UPDATE accounts LEFT JOIN entries x ON x.account = accounts.id AND x.id > 5 SET amount = amount + 1 WHERE NOT EXISTS (SELECT 1 FROM entries e WHERE e.account = x.account)",
        "DELETE a FROM accounts a JOIN entries e ON e.id = a.id + 3 WHERE e.account > 14",
        "DELETE FROM e USING entries e JOIN rates r ON r.amount = e.account * 10",
        "DELETE FROM entries WHERE EXISTS (SELECT 1 FROM rates r WHERE r.id = entries.id)",
        "DELETE FROM accounts WHERE id IN (SELECT id FROM (SELECT MAX(id) AS id FROM accounts GROUP BY amount > 50) AS x)",
        "WITH big AS (SELECT MAX(amount) AS m FROM accounts) UPDATE entries e, big SET e.note = 'big' WHERE e.account * 10 >= big.m - 40",
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 2 FROM n WHERE x < 9) DELETE FROM entries WHERE account IN (SELECT x FROM n)",
        "UPDATE scatter_feeds.accounts SET scatter_feeds.accounts.amount = 3 WHERE scatter_feeds.accounts.id IN (SELECT scatter_feeds.rates.id FROM scatter_feeds.rates WHERE scatter_feeds.rates.amount > 10)",
        "DELETE scatter_feeds.accounts FROM scatter_feeds.accounts JOIN scatter_feeds.rates AS r ON r.id = scatter_feeds.accounts.id WHERE r.id = 4",
        "SELECT ROW_COUNT()",
    ] {
        world.same(sql).await;
        same_rates(&mut world).await;
    }
}

#[tokio::test]
async fn home_tables_are_changed_by_rows_of_shards() {
    let mut world = with_rates("scatter_feeds_home").await;
    for sql in [
        "UPDATE rates SET rate = rate + 1 WHERE amount IN (SELECT amount FROM accounts WHERE id > 1)",
        "UPDATE rates r JOIN accounts a ON a.amount = r.amount SET r.note = a.owner, r.weight = a.id / 3",
        "UPDATE rates SET amount = (SELECT SUM(amount) FROM accounts) ORDER BY id",
        "DELETE r FROM rates r JOIN entries e ON e.id = r.id WHERE e.account < 3",
        "DELETE FROM rates WHERE id IN (SELECT id FROM accounts WHERE id = 4)",
        "DELETE FROM rates WHERE note = (SELECT owner FROM accounts WHERE id = 7) OR id = (SELECT MAX(account) FROM entries) - 11",
    ] {
        world.same(sql).await;
        same_rates(&mut world).await;
    }
}

#[tokio::test]
async fn errors_are_those_of_mysql_and_change_nothing() {
    let mut world = with_rates("scatter_feeds_errors").await;
    for sql in [
        "DELETE FROM accounts WHERE id IN (SELECT id FROM accounts)",
        "UPDATE accounts SET amount = (SELECT MAX(amount) FROM accounts)",
        "UPDATE accounts SET amount = (SELECT nothing FROM entries)",
        "UPDATE accounts SET amount = (SELECT id FROM entries)",
        "UPDATE accounts a JOIN rates r ON r.amount > 0 SET a.amount = -5",
        "DELETE FROM rates WHERE id IN (SELECT id FROM accounts WHERE nothing = 1)",
    ] {
        let answer = world.same(sql).await;
        assert!(matches!(answer, Answer::Refused(..)), "{sql}: {}", answer.shown());
        same_rates(&mut world).await;
    }
    for (sql, why) in [
        (
            "UPDATE accounts a JOIN rates r ON r.amount = a.amount SET a.owner = 'x', r.note = 'y'",
            "a change of accounts and rates",
        ),
        (
            "DELETE a, b FROM accounts a JOIN accounts b ON a.id = b.amount",
            "a change of accounts and accounts",
        ),
        (
            "UPDATE accounts SET amount = 1 WHERE id IN (SELECT id FROM entries) LIMIT 2",
            "LIMIT with rows of other shards",
        ),
        ("UPDATE accounts SET amount = 1 WHERE id IN (SELECT id FROM entries WHERE RAND() < 2)", "RAND()"),
        ("UPDATE accounts a JOIN rates r ON r.id = a.id SET a.amount = DEFAULT(r.amount)", "DEFAULT()"),
        (
            "UPDATE accounts SET id = 77 WHERE id IN (SELECT id FROM entries)",
            "where rows of other shards decide",
        ),
    ] {
        match query(&mut world.ours, sql.as_bytes()).await {
            Answer::Refused(1235, message) if message.contains(why) => {}
            other => panic!("{sql}: {}", other.shown()),
        }
    }
    same_rates(&mut world).await;
}

#[tokio::test]
async fn prepared_and_in_transactions_own_writes_are_seen_and_what_is_read_stays_locked() {
    let mut world = with_rates("scatter_feeds_inside").await;
    let sql = "UPDATE accounts a JOIN rates r ON r.amount = a.amount SET a.owner = CONCAT(r.note, ?) WHERE r.amount > ? AND a.id < ?";
    world.same_prepared(sql, &["!".into(), Value::Int(10), Value::Int(9)]).await;
    let sql = "DELETE FROM entries WHERE account IN (SELECT id FROM accounts WHERE amount BETWEEN ? AND ?) AND id <> ?";
    world.same_prepared(sql, &[Value::Int(20), Value::Int(60), Value::Int(4)]).await;
    same_rates(&mut world).await;
    world.same("BEGIN").await;
    world.same("UPDATE entries SET note = 'own' WHERE account IN (9, 10, 11)").await;
    world.same("SAVEPOINT a").await;
    world
        .same("UPDATE accounts SET owner = 'fed' WHERE id IN (SELECT id FROM entries WHERE note = 'own')")
        .await;
    let answer = world.same("UPDATE accounts SET amount = (SELECT id FROM entries WHERE note = 'own')").await;
    assert!(matches!(answer, Answer::Refused(1242, _)), "{}", answer.shown());
    world.same("SELECT id FROM accounts WHERE owner = 'fed' ORDER BY id").await;
    let mut another = world.another().await;
    another.query_drop("SET innodb_lock_wait_timeout = 1").await.unwrap();
    let waits = another.query_drop("UPDATE entries SET note = 'x' WHERE account = 9 AND id = 9").await;
    let is_timeout = matches!(&waits, Err(mysql_async::Error::Server(error)) if error.code == 1205);
    assert!(is_timeout, "{waits:?}");
    world.same("ROLLBACK TO SAVEPOINT a").await;
    world.same("COMMIT").await;
    same_rates(&mut world).await;
    // What is only read is locked as well.
    world.ours.query_drop("BEGIN").await.unwrap();
    let sql = "UPDATE accounts SET owner = 'locks' WHERE id = 1 AND amount > (SELECT COUNT(*) FROM rates WHERE id = 5)";
    world.ours.query_drop(sql).await.unwrap();
    let waits = another.query_drop("UPDATE rates SET note = 'x' WHERE id = 5").await;
    let is_timeout = matches!(&waits, Err(mysql_async::Error::Server(error)) if error.code == 1205);
    assert!(is_timeout, "{waits:?}");
    world.ours.query_drop("ROLLBACK").await.unwrap();
}
