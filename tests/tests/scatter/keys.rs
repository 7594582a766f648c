//! UPDATEs of the sharding key: rows go to the shard that their new key leads to.

use mysql_async::Value;
use mysql_async::prelude::Queryable;
use podway_model::ShardIndex;
use podway_tests::answer::{Answer, query};

use crate::world::World;

const THINGS: &str = "CREATE TABLE things (\
    owner VARCHAR(20) NOT NULL, nr INT UNSIGNED NOT NULL, price DECIMAL(9,2) NULL, \
    double_price DECIMAL(10,2) AS (price * 2) STORED, label VARCHAR(20) CHARACTER SET latin1 NULL, \
    kind ENUM('small','big') NULL, tags SET('a','b','c') NULL, doc JSON NULL, bytes VARBINARY(8) NULL, \
    born DATE NULL, seen TIMESTAMP(3) NULL, changed INT NOT NULL DEFAULT 7, ratio DOUBLE NULL, flags BIT(5) NULL, \
    hidden INT INVISIBLE DEFAULT 9, PRIMARY KEY (owner, nr), CHECK (changed > 0))";

/// All rows are where their keys lead to: each shard's own count of its keys is what a pinned query finds.
pub async fn all_are_found(world: &mut World, table: &str, key: &str) {
    for shard in 0..4 {
        let mut direct = world.keyspace.direct(ShardIndex(shard)).await.unwrap();
        let keys: Vec<String> =
            direct.query(format!("SELECT DISTINCT QUOTE({key}) FROM {table}")).await.unwrap();
        for value in keys {
            let sql = format!("SELECT COUNT(*) FROM {table} WHERE {key} = {value}");
            let pinned: Option<u64> = world.ours.query_first(&sql).await.unwrap();
            let here: Option<u64> = direct.query_first(&sql).await.unwrap();
            assert_eq!(pinned, here, "{key} = {value} on shard {shard}");
        }
    }
}

async fn with_things(name: &str) -> World {
    let mut world = World::with(name, &[("things", THINGS, &["owner"])]).await;
    world.ours.query_drop("SET time_zone = '+02:00'").await.unwrap();
    world.theirs.query_drop("SET time_zone = '+02:00'").await.unwrap();
    let row = |owner: &str, nr: u32| {
        format!(
            "('{owner}', {nr}, {nr}.25, 'caf\u{e9} {nr}', 'big', 'a,c', '{{\"n\": [{nr}, \"x\", null]}}', X'00FF27{nr:02}', \
             '2024-02-29', '2024-03-31 01:30:00.123', 5, 0.1e{nr}, b'101', {nr})"
        )
    };
    let rows: Vec<String> = ["ann", "bob", "cy", "dee", "eve"]
        .iter()
        .flat_map(|owner| (1..4).map(move |nr| row(owner, nr)))
        .collect();
    let columns =
        "owner, nr, price, label, kind, tags, doc, bytes, born, seen, changed, ratio, flags, hidden";
    world.same(&format!("INSERT INTO things ({columns}) VALUES {}", rows.join(", "))).await;
    world.same("INSERT INTO things (owner, nr) VALUES ('nul', 0), ('', 1)").await;
    world
}

async fn same_things(world: &mut World) {
    world.same("SELECT *, hidden, HEX(bytes), CAST(seen AS CHAR) FROM things").await;
    world.same("SELECT nr, GROUP_CONCAT(DISTINCT flags + 0), MAX(label) FROM things GROUP BY nr").await;
    all_are_found(world, "things", "owner").await;
}

#[tokio::test]
async fn rows_with_a_new_key_go_to_its_shard() {
    let mut world = World::new("scatter_keys").await;
    for sql in [
        "UPDATE accounts SET id = 1000 WHERE id = 1",
        "UPDATE accounts SET id = 1000 WHERE id = 1",
        "UPDATE accounts SET id = 1000 WHERE id = 1000",
        "UPDATE accounts SET owner = 'moved', id = 1001, amount = amount + 1 WHERE owner = 'owner 2'",
        "UPDATE accounts SET id = 3 WHERE id = 4",
        "UPDATE accounts SET id = NULL WHERE id = 4",
        "UPDATE accounts SET id = '77' WHERE id = 4",
        "UPDATE accounts SET id = 5 WHERE owner = 'nobody'",
        "UPDATE accounts SET id = id + 5000",
        "UPDATE accounts SET amount = -1, id = id + 1 WHERE id > 5000",
        "UPDATE accounts AS a SET a.id = a.id * 2 - 1 WHERE a.amount BETWEEN 50 AND 90 ORDER BY a.id DESC",
        "UPDATE accounts SET id = -id WHERE id % 2 = 0",
        "UPDATE accounts SET id = amount + 100000, amount = 5",
        "UPDATE entries SET account = 3 WHERE account IN (1, 2, 4)",
        "UPDATE entries SET account = account + 1, note = UPPER(note) WHERE id > 10",
        "UPDATE entries SET account = 9, id = id + 100",
        "SELECT ROW_COUNT()",
    ] {
        world.same(sql).await;
        world.same_tables().await;
        all_are_found(&mut world, "accounts", "id").await;
        all_are_found(&mut world, "entries", "account").await;
    }
}

#[tokio::test]
async fn prepared_updates_of_the_key_move_rows() {
    let mut world = World::new("scatter_keys_prepared").await;
    let int = |number: i64| Value::Int(number);
    let text = |text: &str| Value::Bytes(text.as_bytes().to_vec());
    world.same_prepared("UPDATE accounts SET id = ? WHERE id = ?", &[int(900), int(1)]).await;
    world.same_prepared("UPDATE accounts SET id = ? WHERE id = ?", &[text("901"), int(2)]).await;
    world
        .same_prepared(
            "UPDATE accounts SET id = id + ?, owner = ? WHERE amount > ? AND id < ?",
            &[int(300), text("p"), int(40), int(14)],
        )
        .await;
    world
        .same_prepared(
            "UPDATE entries SET note = ?, account = ? WHERE note = ? AND account < ?",
            &[text("n"), int(8), text("first"), int(6)],
        )
        .await;
    world.same_tables().await;
    all_are_found(&mut world, "accounts", "id").await;
    all_are_found(&mut world, "entries", "account").await;
}

#[tokio::test]
async fn whole_rows_travel_as_they_are_stored() {
    let mut world = with_things("scatter_keys_whole").await;
    for sql in [
        "UPDATE things SET owner = 'zoe' WHERE owner = 'ann'",
        "UPDATE things SET owner = CONCAT(owner, '\u{e9}'), price = price + 1 WHERE nr = 2",
        "UPDATE things SET owner = UPPER(owner)",
        "UPDATE things SET owner = 'zoe', nr = nr + 50 WHERE owner = 'BOB' AND nr <> 2",
        "UPDATE things SET owner = REPEAT('x', 21) WHERE nr = 1",
        "UPDATE things SET owner = '' WHERE owner = 'nul'",
        "UPDATE things SET owner = nr",
    ] {
        world.same(sql).await;
        same_things(&mut world).await;
    }
    for mode in ["", "NO_AUTO_VALUE_ON_ZERO,ANSI_QUOTES,NO_BACKSLASH_ESCAPES"] {
        let set = format!("SET sql_mode = '{mode}'");
        world.ours.query_drop(&set).await.unwrap();
        world.theirs.query_drop(&set).await.unwrap();
        world.same("UPDATE things SET owner = CONCAT('m', nr + 10) WHERE nr < 3").await;
        same_things(&mut world).await;
    }
}

#[tokio::test]
async fn in_a_transaction_moves_are_undone_with_it() {
    let mut world = World::new("scatter_keys_undone").await;
    for sql in [
        "BEGIN",
        "UPDATE accounts SET id = id + 100 WHERE id < 9",
        "SAVEPOINT mine",
        "UPDATE accounts SET id = id + 1000",
        "UPDATE accounts SET id = 1109 WHERE owner IN ('owner 1', 'owner 2')",
        "SELECT id, owner FROM accounts",
        "ROLLBACK TO mine",
        "SELECT id, owner FROM accounts",
        "UPDATE accounts SET id = 7 WHERE owner = 'owner 1'",
        "COMMIT",
        "SET autocommit = 0",
        "UPDATE accounts SET id = id + 20000",
        "ROLLBACK",
        "UPDATE accounts SET id = id + 30000 WHERE id > 10",
        "COMMIT",
        "SET autocommit = 1",
        "START TRANSACTION READ ONLY",
        "UPDATE accounts SET id = 5 WHERE id = 7",
        "ROLLBACK",
    ] {
        world.same(sql).await;
        world.same_tables().await;
    }
    all_are_found(&mut world, "accounts", "id").await;
}

#[tokio::test]
async fn rows_that_are_tied_to_others_stay() {
    let definition = "CREATE TABLE logged (id BIGINT PRIMARY KEY, note VARCHAR(9))";
    let mut world = World::with("scatter_keys_tied", &[("logged", definition, &["id"])]).await;
    world.same("INSERT INTO logged VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e')").await;
    for shard in 0..4 {
        let mut direct = world.keyspace.direct(ShardIndex(shard)).await.unwrap();
        direct
            .query_drop("CREATE TRIGGER logging AFTER DELETE ON logged FOR EACH ROW SET @gone = OLD.id")
            .await
            .unwrap();
    }
    for sql in ["UPDATE logged SET id = id + 1000", "UPDATE logged SET id = 1234 WHERE note < 'd'"] {
        match query(&mut world.ours, sql.as_bytes()).await {
            Answer::Refused(1235, message) => {
                assert!(message.contains("triggers"), "{message:?}");
            }
            other => panic!("{sql}: {}", other.shown()),
        }
    }
    world.same("SELECT * FROM logged").await;
    world.same("UPDATE logged SET id = id, note = 'x' WHERE note < 'd'").await;
    world.same("SELECT * FROM logged").await;
}
