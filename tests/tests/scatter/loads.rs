//! LOAD DATA LOCAL INFILE: a client's file into sharded and reference tables, beside plain MySQL.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, InfileData};
use podway_model::ShardIndex;
use podway_tests::answer::{Answer, query};

use crate::world::World;

const ITEMS: &str = "CREATE TABLE items (\
    id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(20) NULL, price DECIMAL(8,2) NULL DEFAULT 1, at DATETIME NULL, twice DECIMAL(10,2) AS (price * 2) STORED, \
    n TINYINT NOT NULL DEFAULT 5 CHECK (n < 100))";

/// A world in which servers take clients' files.
pub async fn world(name: &str, further: &[(&str, &str, &[&str])]) -> World {
    let mut world = World::with(name, further).await;
    for server in world.keyspace.pod.server_ids() {
        let mut admin = world.keyspace.pod.admin(server).await.unwrap();
        admin.query_drop("SET GLOBAL local_infile = 1").await.unwrap();
    }
    let mut direct = world.alone().await;
    direct.query_drop("SET GLOBAL local_infile = 1").await.unwrap();
    world.same("SELECT 1").await;
    world
}

/// Sends these pieces as the client's file of the next statement.
pub fn give(conn: &mut Conn, pieces: Vec<Bytes>) {
    conn.set_infile_handler(async move {
        let data: InfileData = futures::stream::iter(pieces.into_iter().map(Ok)).boxed();
        Ok(data)
    });
}

/// Loads a file on both sides, in pieces of this many bytes on ours, and compares answers, warnings and the table.
async fn load(world: &mut World, sql: &str, file: &[u8], table: &str) -> Answer {
    let pieces = file.chunks(7).map(Bytes::copy_from_slice).collect();
    give(&mut world.ours, pieces);
    give(&mut world.theirs, vec![Bytes::copy_from_slice(file)]);
    let answer = world.same(sql).await;
    world.same_warnings().await;
    world.same("SELECT LAST_INSERT_ID()").await;
    world.same(&format!("SELECT * FROM {table}")).await;
    answer
}

/// Ends the connections that hold transactions in the schemas of this world's keyspace. Idle ones, which wait in the proxy's pool, may be
/// another test's by the time they are ended.
async fn cut_off(world: &World) {
    let mut ended = 0;
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while ended == 0 {
        assert!(std::time::Instant::now() < deadline, "no load holds a transaction");
        tokio::time::sleep(Duration::from_millis(20)).await;
        ended = end_transactions(world).await;
    }
}

async fn end_transactions(world: &World) -> usize {
    let mut ended = 0;
    for server in world.keyspace.pod.server_ids() {
        let mut admin = world.keyspace.pod.admin(server).await.unwrap();
        let of = "SELECT processlist_id FROM performance_schema.threads JOIN performance_schema.events_transactions_current USING (thread_id) \
                  WHERE processlist_db LIKE 'loads\\_long%' AND state = 'ACTIVE' AND autocommit = 'NO'";
        let threads: Vec<u64> = admin.query(of).await.unwrap();
        for thread in threads {
            ended += usize::from(admin.query_drop(format!("KILL {thread}")).await.is_ok());
        }
    }
    ended
}

#[tokio::test]
async fn a_file_is_stored_as_one_mysql_stores_it() {
    let mut world = world("loads_same", &[("items", ITEMS, &["id"])]).await;
    let cases: [(&str, &str); 17] = [
        ("INTO TABLE items (id, name, price)", "1\tone\t1.5\n2\ttwo\t\\N\n3\t\\N\t7\n"),
        ("INTO TABLE items (id, name, price)", "1\tagain\t2\n10\tten\t3\n"),
        ("REPLACE INTO TABLE items (id, name, price)", "1\tnew\t2\n11\televen\t3\n"),
        (
            "IGNORE INTO TABLE items FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' LINES TERMINATED BY '\\r\\n' IGNORE 1 LINES (name, id)",
            "name,id\r\n\"a,b\",20\r\n\"say \"\"hi\"\"\",21\r\nNULL,22\r\n",
        ),
        (
            "INTO TABLE items FIELDS TERMINATED BY ',' (id, name, price)",
            "30,short\n31,long,1,more,\"x\"\n32,b,x9\n33\n",
        ),
        (
            "INTO TABLE items (id, @x, name, @y) SET price = @x * 2, at = '2024-01-02', n = LENGTH(@y)",
            "40\t5\tforty\tab\n41\t6\tx\tabc\n",
        ),
        ("INTO TABLE items (id, n)", "53\tx\n51\t50\n50\t300\n52\t100\n"),
        ("INTO TABLE items LINES STARTING BY '>>' (id, name)", "junk>>60\tsixty\nnothing\n>>61\tx\n"),
        (
            "INTO TABLE items CHARACTER SET latin1 FIELDS TERMINATED BY '|' ESCAPED BY '' (id, name)",
            "70|caf\u{e9}\\n\n71|\\N\n",
        ),
        ("INTO TABLE items CHARACTER SET gbk FIELDS TERMINATED BY '|' (id, name)", "80|a\u{301}\n81|b\\|c\n"),
        ("INTO TABLE items (id, name)", "90\ta\\\nb\\\tc\n91\tend"),
        ("INTO TABLE items (id, name)", ""),
        ("INTO TABLE loads_same.items CHARACTER SET utf8mb4 (id, name)", "95\tqualified\n"),
        ("INTO TABLE items CHARACTER SET utf8 (id, n)", "92\tx\n93\ty\n94\tz\n"),
        ("INTO TABLE items CHARACTER SET binary (id, name)", "94\tbytes\n"),
        ("INTO TABLE items", "96\tall\t5\t2024-02-29\t\\N\t7\n"),
        ("INTO TABLE items (id, name) SET at = NOW(), price = (2 + 3) * 2", "97\ta\n98\tb\n99\tc\n"),
    ];
    for (rest, file) in cases {
        let table = if rest.contains("NOW()") { "entries" } else { "items" };
        load(&mut world, &format!("LOAD DATA LOCAL INFILE 'x' {rest}"), file.as_bytes(), table).await;
    }
    world.same("SELECT @x, @y").await;
    let times: Vec<u64> =
        world.ours.query("SELECT COUNT(DISTINCT at) FROM items WHERE id BETWEEN 97 AND 99").await.unwrap();
    assert_eq!(times, [1]);
}

#[tokio::test]
async fn a_user_variable_may_hold_what_is_no_text() {
    let mut world = world("loads_bytes", &[("items", ITEMS, &["id"])]).await;
    let sql = "LOAD DATA LOCAL INFILE 'x' INTO TABLE items CHARACTER SET utf8mb4 (id, @x)";
    load(&mut world, sql, b"1\tr\xE9sum\xE9 x\n", "items").await;
    for sql in [
        "SELECT HEX(@x) = '72E973756DE92078'",
        "SET @y = 1",
        "SELECT HEX(@x) = '72E973756DE92078', @y + 1",
        "SET @x = NULL",
        "SELECT @x IS NULL, @y + 1",
    ] {
        world.same(sql).await;
    }
}

#[tokio::test]
async fn copies_get_the_whole_file_and_transactions_keep_it_or_not() {
    let mut world = world("loads_copies", &[]).await;
    let codes = "INTO TABLE currencies FIELDS TERMINATED BY ';'";
    load(
        &mut world,
        &format!("LOAD DATA LOCAL INFILE 'x' {codes}"),
        b"USD;dollar\nEUR;again\nCHF;franc\n",
        "currencies",
    )
    .await;
    let rows = b"301\tx\t5\n302\ty\t6\n303\tz\t7\n304\tw\t8\n";
    let accounts = "LOAD DATA LOCAL INFILE 'x' INTO TABLE accounts (id, owner, amount)";
    for end in ["ROLLBACK", "COMMIT"] {
        world.same("BEGIN").await;
        world.same("UPDATE accounts SET amount = 1 WHERE id = 3").await;
        load(&mut world, accounts, rows, "accounts").await;
        world.same("SELECT COUNT(*) FROM accounts").await;
        world.same(end).await;
        world.same_tables().await;
    }
    for sql in ["SET autocommit = 0", "DELETE FROM accounts WHERE id > 300"] {
        world.same(sql).await;
    }
    load(&mut world, accounts, rows, "accounts").await;
    world.same("ROLLBACK").await;
    world.same("SET autocommit = 1").await;
    world.same_tables().await;
    // REPLACE has errors where plain LOCAL has warnings: all of it is undone.
    let replaced = "LOAD DATA LOCAL INFILE 'x' REPLACE INTO TABLE accounts (id, owner, amount)";
    let answer =
        load(&mut world, replaced, b"401\ta\t1\n402\tb\t2\n403\tc\tx\n404\td\t4\n", "accounts").await;
    assert!(matches!(answer, Answer::Refused(1366, _)), "{}", answer.shown());
    world.same("SELECT COUNT(*) FROM accounts WHERE id > 400").await;
}

#[tokio::test]
async fn what_is_wrong_is_said_before_the_file_or_undone_behind_it() {
    let mut world = world("loads_wrong", &[("items", ITEMS, &["id"])]).await;
    for rest in [
        "INTO TABLE nowhere (id)",
        "INTO TABLE items (id, nosuch)",
        "INTO TABLE items FIELDS ENCLOSED BY 'ab' (id)",
    ] {
        load(&mut world, &format!("LOAD DATA LOCAL INFILE 'x' {rest}"), b"1\t2\n", "items").await;
    }
    // Bytes that are no text.
    let bad = b"1\tone\n2\t\x80x\n3\tthree\n";
    give(&mut world.ours, vec![Bytes::from_static(bad)]);
    let sql = "LOAD DATA LOCAL INFILE 'x' INTO TABLE items CHARACTER SET utf8mb4 (id, name)";
    let answer = query(&mut world.ours, sql.as_bytes()).await;
    assert!(matches!(answer, Answer::Refused(1300, _)), "{}", answer.shown());
    let refused = [
        ("INTO TABLE items (@k, name) SET id = @k + 1", "1\t2\n"),
        ("INTO TABLE items (name) SET price = 1", "x\n"),
        ("INTO TABLE items (id, name)", "1\tgood\nx2\tbad\n3\tgood\n"),
        ("INTO TABLE items (id, name)", "1\tgood\n\\N\tbad\n"),
        ("INTO TABLE items FIELDS TERMINATED BY '' (id, name)", "1\n"),
        ("INTO TABLE items LINES TERMINATED BY '' (id, name)", "1\n"),
        ("INTO TABLE items CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\u{a7}' (id, name)", "1\n"),
        ("INTO TABLE items (id, name) SET price = (SELECT MAX(amount) FROM accounts)", "1\tx\n"),
        ("INTO TABLE items (id, name) SET price = RAND()", "1\tx\n"),
    ];
    for (rest, file) in refused {
        give(&mut world.ours, file.as_bytes().chunks(3).map(Bytes::copy_from_slice).collect());
        let sql = format!("LOAD DATA LOCAL INFILE 'x' {rest}");
        let answer = query(&mut world.ours, sql.as_bytes()).await;
        assert!(matches!(answer, Answer::Refused(1235, _)), "{rest}: {}", answer.shown());
        world.same("SELECT * FROM items").await;
    }
    let sql = "LOAD DATA INFILE '/tmp/x' INTO TABLE items (id, name)";
    let answer = query(&mut world.ours, sql.as_bytes()).await;
    assert!(matches!(&answer, Answer::Refused(1235, text) if text.contains("LOCAL")), "{}", answer.shown());
    let prepared = world.ours.prep("LOAD DATA LOCAL INFILE 'x' INTO TABLE items (id, name)").await;
    assert!(prepared.unwrap_err().to_string().contains("1295"));
    world.same("SELECT 1").await;
}

#[tokio::test]
async fn a_long_file_goes_to_all_shards_and_one_that_breaks_off_to_none() {
    let mut world = world("loads_long", &[("items", ITEMS, &["id"])]).await;
    let file: String = (1..=120_000).map(|id| format!("{id}\tname of {id}\t{}\n", id % 90)).collect();
    let sql = "LOAD DATA LOCAL INFILE 'x' INTO TABLE items (id, name, n)";
    let pieces = file.as_bytes().chunks(30_000).map(Bytes::copy_from_slice).collect();
    give(&mut world.ours, pieces);
    give(&mut world.theirs, vec![Bytes::from(file.clone())]);
    world.same(sql).await;
    world.same("SELECT COUNT(*), SUM(id), SUM(n), MIN(name), MAX(name) FROM items").await;
    for shard in 0..4 {
        let mut direct = world.keyspace.direct(ShardIndex(shard)).await.unwrap();
        let rows: Option<u64> = direct.query_first("SELECT COUNT(*) FROM items").await.unwrap();
        assert!(rows > Some(20_000), "shard {shard} has {rows:?}");
    }
    world.same("DELETE FROM items").await;
    // The client leaves in the middle; KILL QUERY ends a load that waits for its client; servers end its connections.
    // It is long enough that each shard has rows of it already.
    let begun: String = (1..=300_000).map(|id| format!("{id}\tname of {id}\t{}\n", id % 90)).collect();
    for end in ["leaves", "killed", "cut off"] {
        let mut loader = world.another().await;
        let id = loader.id();
        let head = Bytes::from(begun.clone());
        let (goes_on, told) = tokio::sync::oneshot::channel::<()>();
        loader.set_infile_handler(async move {
            let rest = async move {
                let _ = told.await;
                Ok(Bytes::from_static(b"999999\tlast\t1\n"))
            };
            let data: InfileData =
                futures::stream::iter([Ok(head)]).chain(futures::stream::once(rest)).boxed();
            Ok(data)
        });
        let loading = tokio::spawn(async move { query(&mut loader, sql.as_bytes()).await });
        let mut state = String::new();
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while !state.starts_with("loading: 300000 records") {
            assert!(std::time::Instant::now() < deadline, "{state}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            let rows: Vec<mysql_async::Row> = world.ours.query("SHOW PROCESSLIST").await.unwrap();
            let row = rows.into_iter().find(|row| row.get::<u32, _>("Id") == Some(id));
            state = row.and_then(|row| row.get("State")).unwrap_or_default();
        }
        match end {
            "leaves" => {
                loading.abort();
                let _ = loading.await;
            }
            "killed" => {
                world.ours.query_drop(format!("KILL QUERY {id}")).await.unwrap();
                let _ = goes_on.send(());
                let answer = loading.await.unwrap();
                assert!(matches!(answer, Answer::Refused(1317, _)), "{}", answer.shown());
            }
            _ => {
                cut_off(&world).await;
                let _ = goes_on.send(());
                let answer = loading.await.unwrap();
                assert!(matches!(answer, Answer::Refused(1158, _)), "{}", answer.shown());
            }
        }
        nothing_is_left(&mut world).await;
    }
    world.same("SELECT COUNT(*) FROM items").await;
}

/// Waits until no load is at work; no row of it is seen meanwhile, nor afterwards.
async fn nothing_is_left(world: &mut World) {
    let empty = async {
        loop {
            let rows: Option<u64> = world.ours.query_first("SELECT COUNT(*) FROM items").await.unwrap();
            assert_eq!(rows, Some(0));
            let open: Vec<mysql_async::Row> = world.ours.query("SHOW PROCESSLIST").await.unwrap();
            let own = Some(world.keyspace.name.as_str().to_owned());
            let is_open = |row: &mysql_async::Row| {
                row.get::<String, _>("State").unwrap_or_default().starts_with("loading")
                    && row.get::<Option<String>, _>("db").flatten() == own
            };
            if !open.iter().any(is_open) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), empty).await.unwrap();
}
