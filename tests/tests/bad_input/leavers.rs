//! Clients that go away in the middle of a result or of a transaction, while others share two connections per server with them: nobody
//! gets rows that are another's, and no lock outlives its client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use podway::provision::Declaration;
use podway_model::ShardIndex;
use podway_tests::{APP, Pod, TestKeyspace, eventually_async, is_left_out};
use podway_wire::CapabilityFlags;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::ground::{proxy, seed};
use podway_tests::raw::{Answer, RawClient};

const COLOURS: [&str; 3] = ["red", "green", "blue"];
const IDS: std::ops::RangeInclusive<u32> = 1..=24;
const LEAVERS: u64 = 12;
const DEPARTURES: usize = 25;
const HONEST: u64 = 4;
const SLACK: Duration = Duration::from_secs(40);

/// What every row says of itself.
fn text_of(colour: &str, id: u32) -> String {
    format!("{colour} {id} {}", colour.repeat(80))
}

/// Tables of three colours whose rows lie on four shards, and a reference table of 60 numbers to multiply them with.
async fn colours() -> TestKeyspace<'static> {
    let keyspace = Pod::shared().await.keyspace("leavers", 4).await.unwrap();
    for colour in COLOURS {
        let sql = format!(
            "CREATE TABLE {colour} (id INT PRIMARY KEY, n INT NOT NULL DEFAULT 0, text VARCHAR(600))"
        );
        keyspace.create_table(&sql, colour, Declaration::sharded_by(&["id"])).await.unwrap();
    }
    keyspace
        .create_table("CREATE TABLE numbers (d INT PRIMARY KEY)", "numbers", Declaration::Reference)
        .await
        .unwrap();
    for shard in 0..4 {
        let values = (0..60).map(|d| format!("({d})")).collect::<Vec<_>>().join(", ");
        keyspace.on_shard(ShardIndex(shard), &format!("INSERT INTO numbers VALUES {values}")).await.unwrap();
    }
    keyspace
}

async fn connect(address: SocketAddr) -> Conn {
    let options = OptsBuilder::default()
        .ip_or_hostname(address.ip().to_string())
        .tcp_port(address.port())
        .prefer_socket(false);
    Conn::new(options.user(Some(APP.0)).pass(Some(APP.1)).db_name(Some("leavers"))).await.unwrap()
}

#[tokio::test]
async fn clients_that_leave_in_the_middle_leave_neither_rows_nor_locks_behind() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let seed = seed("leavers");
    let proxy = proxy(|config| {
        config.backend.max_connections = 2;
        config.backend.queue_deadline = Duration::from_secs(120);
    })
    .await;
    let (address, keyspace) = (proxy.local_addr(), colours().await);
    let mut conn = connect(address).await;
    for (colour, id) in COLOURS.iter().flat_map(|colour| IDS.map(move |id| (colour, id))) {
        conn.exec_drop(format!("INSERT INTO {colour} VALUES (?, 0, ?)"), (id, text_of(colour, id)))
            .await
            .unwrap();
    }
    let done = Arc::new(AtomicBool::new(false));
    let honest: Vec<_> =
        (0..HONEST).map(|n| tokio::spawn(honest(address, seed ^ (n + 1), done.clone()))).collect();
    let leavers: Vec<_> = (0..LEAVERS).map(|n| tokio::spawn(leaver(address, seed ^ (1000 + n)))).collect();
    for leaver in leavers {
        leaver.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    let mut increments = 0;
    for client in honest {
        let (reads, added) = client.await.unwrap();
        assert!(reads > 0, "an honest client got nothing at all");
        increments += added;
    }
    no_lock_is_left(&keyspace).await;
    rows_are_as_committed(&keyspace, increments).await;
    eventually_async(SLACK, "the leavers' sessions are off the books", || async {
        (proxy.metrics().sessions == 1).then_some(())
    })
    .await;
    for (server, open, _) in proxy.backends() {
        assert!(open <= 2, "{server} has {open} connections");
    }
    conn.query_drop("SELECT 1").await.unwrap();
}

/// Reads and writes rows as it should, and sees only what it asked for; returns how many it read and how often it added one.
async fn honest(address: SocketAddr, seed: u64, done: Arc<AtomicBool>) -> (u64, i64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut conn = connect(address).await;
    conn.query_drop(format!("SET @who = {seed}")).await.unwrap();
    let (mut reads, mut added) = (0, 0);
    while !done.load(Ordering::Relaxed) {
        let (colour, id) = (COLOURS[random.random_range(0..3)], random.random_range(IDS));
        let expected = Some((text_of(colour, id), seed));
        let found: Option<(String, u64)> = match random.random_range(0..3) {
            0 => conn.query_first(format!("SELECT text, @who FROM {colour} WHERE id = {id}")).await.unwrap(),
            1 => {
                conn.exec_first(format!("SELECT text, @who FROM {colour} WHERE id = ?"), (id,)).await.unwrap()
            }
            _ => {
                conn.exec_drop(format!("UPDATE {colour} SET n = n + 1 WHERE id = ?"), (id,)).await.unwrap();
                assert_eq!(conn.affected_rows(), 1);
                added += 1;
                continue;
            }
        };
        assert_eq!(found, expected, "a row that is another's");
        reads += 1;
    }
    (reads, added)
}

/// Comes, starts something, and goes away in the middle of it, again and again.
async fn leaver(address: SocketAddr, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..DEPARTURES {
        let (colour, id) = (COLOURS[random.random_range(0..3)], random.random_range(IDS));
        let Ok(mut client) = RawClient::login(address, "leavers", CapabilityFlags::empty()).await else {
            continue;
        };
        let way = random.random_range(0..9);
        let _ = start_something(&mut client, way, colour, id, &mut random).await;
        match random.random_range(0..3) {
            0 => client.reset(),
            1 => drop(client),
            _ => client.shut_down().await,
        }
    }
}

async fn start_something(
    client: &mut RawClient,
    way: u32,
    colour: &str,
    id: u32,
    random: &mut StdRng,
) -> std::io::Result<()> {
    let large = format!("SELECT c.text, a.d FROM {colour} c JOIN numbers a JOIN numbers b WHERE c.id = {id}");
    let update = format!("\x03UPDATE {colour} SET n = n + 1000000 WHERE id = {id}");
    let bytes = random.random_range(0..300_000);
    match way {
        0 => {
            client.send_packet(0, format!("\x03{large}").as_bytes()).await?;
            client.read_away(bytes).await
        }
        1 => {
            assert_eq!(client.command(format!("\x16{large}").as_bytes()).await, Answer::Ok);
            client.read_away(bytes % 100).await?;
            client.send_packet(0, b"\x17\x01\0\0\0\0\x01\0\0\0").await?;
            client.read_away(bytes).await
        }
        2 | 3 => {
            let begin: &[u8] = if way == 2 { b"BEGIN" } else { b"SET autocommit = 0" };
            assert_eq!(client.query(begin).await, Answer::Ok);
            client.send_packet(0, update.as_bytes()).await?;
            // Sometimes it even waits for the answer.
            if bytes % 2 == 0 {
                client.answer().await;
            }
            Ok(())
        }
        4 => {
            assert_eq!(client.query(b"START TRANSACTION").await, Answer::Ok);
            client.send_packet(0, format!("\x03{large} FOR UPDATE OF c").as_bytes()).await?;
            client.read_away(bytes).await
        }
        5 => client.send(&[200, 0, 0, 0, 3, b'S', b'E', b'L']).await,
        6 => {
            client
                .send_packet(
                    0,
                    format!("\x03SELECT SLEEP(60), text FROM {colour} WHERE id = {id}").as_bytes(),
                )
                .await
        }
        7 => {
            client.query(format!("SELECT GET_LOCK('leavers {colour}', 0)").as_bytes()).await;
            Ok(())
        }
        _ => {
            assert_eq!(
                client
                    .query(format!("SET @who = '{colour}', time_zone = '+0{}:00'", id % 9 + 1).as_bytes())
                    .await,
                Answer::Ok
            );
            client.query(format!("SELECT text FROM {colour} WHERE id = {id}").as_bytes()).await;
            Ok(())
        }
    }
}

async fn no_lock_is_left(keyspace: &TestKeyspace<'_>) {
    for shard in 0..4 {
        let schema = keyspace.physical(ShardIndex(shard));
        let locks = format!(
            "SELECT (SELECT COUNT(*) FROM performance_schema.data_locks WHERE object_schema = '{schema}') +
                    (SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE object_name LIKE 'leavers %'
                        OR object_type = 'TABLE' AND object_schema = '{schema}')"
        );
        let server = keyspace.server(ShardIndex(shard)).id;
        eventually_async(SLACK, &format!("no lock is left on shard {shard}"), || async {
            let mut admin = keyspace.pod.admin(server).await.unwrap();
            let left: Option<u64> = admin.query_first(&locks).await.unwrap();
            (left == Some(0)).then_some(())
        })
        .await;
    }
}

/// Every row is on one shard only, and counts what was committed, no more and no less.
async fn rows_are_as_committed(keyspace: &TestKeyspace<'_>, increments: i64) {
    let (mut rows, mut sum) = (0, 0);
    for (shard, colour) in (0..4).flat_map(|shard| COLOURS.map(|colour| (shard, colour))) {
        let mut conn = keyspace.direct(ShardIndex(shard)).await.unwrap();
        let found: Vec<(u32, i64, String)> =
            conn.query(format!("SELECT id, n, text FROM {colour}")).await.unwrap();
        for (id, n, text) in found {
            assert_eq!(text, text_of(colour, id));
            (rows, sum) = (rows + 1, sum + n);
        }
    }
    assert_eq!(rows, COLOURS.len() * IDS.count(), "each row once");
    assert_eq!(sum, increments, "what was added and committed");
}
