//! UPDATE and DELETE of so many rows and no more.

use mysql_async::Value;
use mysql_async::prelude::Queryable;
use podway_tests::answer::{Answer, query};

use crate::world::World;

async fn count(world: &mut World, sql: &str) -> Option<i64> {
    let ours: Option<i64> = world.ours.query_first(sql).await.unwrap();
    let theirs: Option<i64> = world.theirs.query_first(sql).await.unwrap();
    assert_eq!(ours, theirs, "{sql}");
    ours
}

async fn refused(world: &mut World, sql: &str, why: &str) {
    match query(&mut world.ours, sql.as_bytes()).await {
        Answer::Refused(1235, message) if message.contains(why) => {}
        other => panic!("{sql}: {}", other.shown()),
    }
}

#[tokio::test]
async fn without_an_order_as_many_rows_are_written_and_no_more() {
    let mut world = World::new("scatter_limit").await;
    for (sql, counted) in [
        ("UPDATE accounts SET amount = amount + 1000 WHERE amount < 1000 LIMIT 7", 7),
        ("UPDATE accounts SET amount = amount + 1000 WHERE amount < 1000 LIMIT 100", 16),
        ("UPDATE accounts SET owner = 'any' LIMIT 0", 16),
        ("UPDATE accounts SET amount = amount LIMIT 5", 16),
        ("DELETE FROM accounts WHERE amount > 1000 LIMIT 5", 11),
        ("DELETE FROM accounts WHERE amount > 5000 LIMIT 5", 11),
        ("DELETE LOW_PRIORITY FROM accounts WHERE id > 0 /* all of them */ LIMIT 10 -- or fewer", 1),
    ] {
        world.same(sql).await;
        assert_eq!(count(&mut world, "SELECT COUNT(*) FROM accounts WHERE amount > 1000").await, {
            Some(counted)
        });
    }
    let (three, int) = (Value::Int(3), Value::UInt(9));
    world.same_prepared("DELETE FROM entries WHERE id > ? LIMIT ?", &[three.clone(), int]).await;
    world.same_prepared("UPDATE entries SET note = ? WHERE id > 0 LIMIT ?", &["x".into(), three]).await;
    assert_eq!(count(&mut world, "SELECT COUNT(*) FROM entries WHERE note = 'x'").await, Some(3));
    assert_eq!(count(&mut world, "SELECT COUNT(*) FROM entries").await, Some(7));
}

#[tokio::test]
async fn with_an_order_the_rows_are_those_that_one_mysql_writes() {
    let mut world = World::new("scatter_limit_order").await;
    for sql in [
        "UPDATE accounts SET amount = amount + 5 ORDER BY id DESC LIMIT 5",
        "UPDATE accounts AS a SET a.owner = CONCAT(a.owner, '!') WHERE a.amount > 30 OR a.id = 1 ORDER BY a.amount DESC, a.id LIMIT 4",
        "UPDATE LOW_PRIORITY accounts SET owner = 'first' ORDER BY owner LIMIT 3",
        "UPDATE accounts SET amount = amount ORDER BY id LIMIT 6",
        "UPDATE IGNORE accounts SET amount = amount - 15 ORDER BY id LIMIT 6",
        "UPDATE entries SET note = NULL WHERE account > 3 ORDER BY id LIMIT 5",
        "UPDATE entries SET id = id + 1 ORDER BY account DESC LIMIT 3",
        "DELETE FROM entries AS e ORDER BY e.note, e.id DESC LIMIT 4",
        "DELETE QUICK FROM entries -- a comment\n ORDER BY id LIMIT 1 -- the end",
        "DELETE FROM accounts WHERE id IN (3, 4, 5, 6, 7) ORDER BY id DESC LIMIT 2",
        "DELETE FROM accounts WHERE owner LIKE 'owner 1%' ORDER BY owner LIMIT 2",
        "UPDATE accounts SET amount = 1 ORDER BY id LIMIT 0",
        "UPDATE accounts SET amount = 1 WHERE amount > 100000 ORDER BY id LIMIT 3",
        "UPDATE accounts SET amount = amount - 1000 ORDER BY id DESC LIMIT 2",
        "UPDATE accounts SET nothing = 1 ORDER BY id LIMIT 2",
        "DELETE FROM accounts ORDER BY id LIMIT 1000",
    ] {
        world.same(sql).await;
        world.same_tables().await;
    }
}

#[tokio::test]
async fn prepared_and_in_transactions_rows_are_chosen_among_those_that_are_there_now() {
    let mut world = World::new("scatter_limit_inside").await;
    let int = |number: i64| Value::Int(number);
    let sql = "UPDATE accounts SET owner = ? WHERE amount > ? ORDER BY id DESC LIMIT ?";
    world.same_prepared(sql, &["p".into(), int(30), int(4)]).await;
    world.same_prepared(sql, &["q".into(), int(50), int(0)]).await;
    world.same_prepared("DELETE FROM entries WHERE id <> ? ORDER BY id LIMIT 3", &[int(2)]).await;
    world.same_tables().await;
    for level in ["READ COMMITTED", "REPEATABLE READ"] {
        world.same(&format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}")).await;
        world.same("BEGIN").await;
        world.same("SELECT COUNT(*) FROM accounts").await;
        let mut another = world.another().await;
        another.query_drop("INSERT INTO accounts VALUES (500, 'later', 5, NULL)").await.unwrap();
        world.same("UPDATE accounts SET amount = 7 WHERE id IN (1, 2, 3)").await;
        world.same("DELETE FROM accounts WHERE amount = 7 ORDER BY id DESC LIMIT 2").await;
        world.same("SELECT id FROM accounts WHERE id < 4 ORDER BY id").await;
        let sql = "UPDATE accounts SET owner = 'last' ORDER BY id DESC LIMIT 1";
        world.ours.query_drop(sql).await.unwrap();
        let last: Option<String> =
            world.ours.query_first("SELECT owner FROM accounts WHERE id = 500").await.unwrap();
        assert_eq!(last.as_deref(), Some("last"), "{level}");
        world.same("ROLLBACK").await;
        another.query_drop("DELETE FROM accounts ORDER BY id DESC LIMIT 1").await.unwrap();
        world.same_tables().await;
    }
}

#[tokio::test]
async fn what_is_not_certain_to_be_the_first_is_refused_and_changes_nothing() {
    let tree = "CREATE TABLE tree (tenant INT NOT NULL, id INT NOT NULL, parent INT, PRIMARY KEY (tenant, id), FOREIGN KEY (tenant, parent) REFERENCES tree (tenant, id) ON DELETE CASCADE)";
    let times = "CREATE TABLE times (id INT NOT NULL, at TIMESTAMP NOT NULL, PRIMARY KEY (id, at))";
    let further: [(&str, &str, &[&str]); 2] = [("tree", tree, &["tenant"]), ("times", times, &["id"])];
    let mut world = World::with("scatter_limit_refused", &further).await;
    world
        .same("INSERT INTO tree VALUES (1, 1, NULL), (1, 2, 1), (2, 3, NULL), (3, 4, NULL), (4, 5, NULL)")
        .await;
    for (sql, why) in [
        ("DELETE IGNORE FROM accounts LIMIT 1", "DELETE IGNORE with LIMIT"),
        ("UPDATE IGNORE accounts SET amount = 1 LIMIT 1", "UPDATE IGNORE with LIMIT and no ORDER BY"),
        ("DELETE FROM accounts ORDER BY amount + 1 LIMIT 1", "LIMIT with an ORDER BY"),
        ("UPDATE accounts SET id = id + 1000 LIMIT 2", "with LIMIT"),
        ("DELETE FROM tree ORDER BY id LIMIT 2", "changes which others there are"),
        ("DELETE FROM times ORDER BY id LIMIT 2", "has the type timestamp"),
        ("DELETE FROM currencies LIMIT 1", "LIMIT"),
    ] {
        refused(&mut world, sql, why).await;
    }
    world.same("SELECT * FROM tree").await;
    world.same_tables().await;
}
