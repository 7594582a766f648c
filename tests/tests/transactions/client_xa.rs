//! XA statements of clients: over several shards refused, on one shard MySQL's own; and whatever a client says, no branch of Podway's ends by it.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway::provision::Declaration;
use podway_model::ServerId;
use podway_tests::TestKeyspace;

use crate::ground::{Both, Ground, add, answer, code, prepared};

/// A keyspace of one shard, on the first server, with a table; MySQL has a database of the same name.
async fn single(ground: &Ground, name: &str) -> TestKeyspace<'static> {
    let keyspace = ground.pod.keyspace(name, 1).await.unwrap();
    let table = "CREATE TABLE alone (id INT PRIMARY KEY, v INT NOT NULL)";
    let mut theirs = ground.plain().await;
    for sql in [&format!("CREATE DATABASE {name}"), &format!("USE {name}"), table] {
        theirs.query_drop(sql).await.unwrap();
    }
    keyspace.create_table(table, "alone", Declaration::Home).await.unwrap();
    keyspace
}

async fn both(ground: &Ground, name: &str) -> Both {
    let mut both = ground.both().await;
    both.same(&format!("USE {name}")).await;
    both
}

/// A transaction of the second server's and the first one's, whose branch on the first is prepared and whose decision waits until what is given is rolled back.
async fn deciding(ground: &Ground) -> (Conn, tokio::task::JoinHandle<u16>) {
    let mut holder = ground.pod.admin(ServerId(1)).await.unwrap();
    holder.query_drop("BEGIN").await.unwrap();
    holder.query_drop("SELECT COUNT(*) FROM _podway.decision FOR UPDATE").await.unwrap();
    let mut conn = ground.session().await;
    conn.query_drop("BEGIN").await.unwrap();
    for shard in [1, 0] {
        conn.query_drop(add(ground.row(shard, 0), 1)).await.unwrap();
    }
    let commit = tokio::spawn(async move { code(conn.query_drop("COMMIT").await) });
    ground.until_one_waits(1).await;
    (holder, commit)
}

#[tokio::test]
async fn no_client_ends_a_branch_of_podways() {
    let ground = Ground::new("xa_attack").await;
    let one = single(&ground, "xa_attack_one").await;
    let before = ground.same_rows().await;
    let (mut holder, commit) = deciding(&ground).await;
    let branches = prepared(ground.pod).await;
    assert_eq!(branches.len(), 1, "{branches:?}");
    let (gtrid, bqual) = branches[0].1.split_at(35);
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>();
    let bits = |text: &str| text.bytes().map(|byte| format!("{byte:08b}")).collect::<String>();
    let mut client = one.connect().await.unwrap();
    for (gtrid, bqual) in [
        (format!("'{gtrid}'"), format!("'{bqual}'")),
        (format!("\"{gtrid}\""), format!("\"{bqual}\"")),
        (format!("X'{}'", hex(gtrid)), format!("X'{}'", hex(bqual))),
        (format!("0x{}", hex(gtrid)), format!("0x{}", hex(bqual))),
        (format!("b'{}'", bits(gtrid)), format!("b'{}'", bits(bqual))),
        (format!("'\\{gtrid}'"), format!("'{bqual}'")),
    ] {
        for sql in [
            format!("XA COMMIT {gtrid},{bqual},1347"),
            format!("XA ROLLBACK {gtrid},{bqual},1347"),
            format!("xa /* c */ rollback /* c */{gtrid} , {bqual}"),
            format!("/*!80000 XA */ COMMIT {gtrid},{bqual},1347 ONE PHASE"),
            format!("XA START {gtrid},{bqual},1347"),
        ] {
            assert_eq!(answer(&mut client, &sql).await, "error 1398 XAE05", "{sql}");
        }
        let program = format!("CREATE PROCEDURE ends() XA ROLLBACK {gtrid},{bqual},1347");
        assert_eq!(answer(&mut client, &program).await, "error 1235 42000");
        // MySQL prepares no XA statements.
        let sql = format!("XA ROLLBACK {gtrid},{bqual},1347");
        assert_eq!(code(client.prep(&sql).await), 1295);
    }
    // Nor with a character set in which other letters have these bytes.
    client.query_drop("SET collation_connection = 'ucs2_bin'").await.unwrap();
    assert_eq!(answer(&mut client, "XA ROLLBACK '〰〰'").await, "error 1398 XAE05");
    assert_eq!(prepared(ground.pod).await, branches);
    holder.query_drop("ROLLBACK").await.unwrap();
    assert_eq!(commit.await.unwrap(), 0);
    let mut theirs = ground.plain().await;
    for shard in [1, 0] {
        theirs.query_drop(add(ground.row(shard, 0), 1)).await.unwrap();
    }
    assert_ne!(ground.same_rows().await, before);
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn xa_of_a_client_on_one_shard_is_mysqls_own() {
    let ground = Ground::new("xa_single").await;
    let _one = single(&ground, "xa_single_one").await;
    let mut sides = both(&ground, "xa_single_one").await;
    for (id, end) in
        (1..).zip(["XA COMMIT 'mine','b',7", "XA ROLLBACK 'mine','b',7", "XA COMMIT X'6D696E65',0x62,7"])
    {
        sides.same("XA START 'mine','b',7").await;
        sides.same(&format!("INSERT INTO alone VALUES ({id}, 1)")).await;
        sides
            .all(&[
                "COMMIT",
                "ROLLBACK",
                "BEGIN",
                "COMMIT AND CHAIN",
                "SAVEPOINT a",
                "SELECT COUNT(*) FROM alone",
                "XA START 'other'",
                "XA PREPARE 'mine','b',7",
                "XA END 'other'",
            ])
            .await;
        sides.same("XA END 'mine','b',7").await;
        sides.same("XA PREPARE 'mine','b',7").await;
        sides.same(end).await;
        sides.same(end).await;
        sides.same("SELECT * FROM alone ORDER BY id").await;
    }
    sides
        .all(&[
            "XA START 'one'",
            "INSERT INTO alone VALUES (7, 7)",
            "XA END 'one'",
            "XA COMMIT 'one' ONE PHASE",
        ])
        .await;
    sides
        .all(&["XA START 'gone'", "INSERT INTO alone VALUES (8, 8)", "XA END 'gone'", "XA ROLLBACK 'gone'"])
        .await;
    sides.same("SELECT * FROM alone ORDER BY id").await;
    sides
        .all(&[
            "XA START 'auto'",
            "INSERT INTO alone VALUES (10, 8)",
            "SET autocommit = 0",
            "SET autocommit = 1",
        ])
        .await;
    sides
        .all(&[
            "XA END 'auto'",
            "XA ROLLBACK 'auto'",
            "SET autocommit = 1",
            "SELECT * FROM alone ORDER BY id",
        ])
        .await;
    // Who prepares and leaves is waited for: another session ends it.
    sides
        .all(&["XA START 'left'", "INSERT INTO alone VALUES (9, 9)", "XA END 'left'", "XA PREPARE 'left'"])
        .await;
    drop(sides);
    let mut sides = both(&ground, "xa_single_one").await;
    sides.all(&["XA COMMIT 'left'", "SELECT * FROM alone ORDER BY id"]).await;
    drop(sides);
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn xa_of_a_client_over_several_shards_is_refused_and_leaves_its_transaction() {
    let ground = Ground::new("xa_several").await;
    let mut conn = ground.session().await;
    for is_open in [false, true] {
        if is_open {
            conn.query_drop("BEGIN").await.unwrap();
            for shard in 0..2 {
                conn.query_drop(add(ground.row(shard, 0), 1)).await.unwrap();
            }
        }
        for what in ["START 'a'", "END 'a'", "PREPARE 'a'", "COMMIT 'a'", "ROLLBACK 'a'", "RECOVER"] {
            assert_eq!(answer(&mut conn, &format!("XA {what}")).await, "error 1235 42000", "{what}");
        }
    }
    conn.query_drop("COMMIT").await.unwrap();
    let mut theirs = ground.plain().await;
    for shard in 0..2 {
        theirs.query_drop(add(ground.row(shard, 0), 1)).await.unwrap();
    }
    ground.same_rows().await;
    ground.nothing_is_open().await;
}
