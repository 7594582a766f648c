//! Bounds, deadlines and the end: each proxy here is one of its own, with tight limits, before the shared servers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder};
use podway_model::ServerId;
use podway_proxy::{Proxy, ProxyConfig};
use podway_tests::{Pod, TestKeyspace, harness, is_left_out};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::shop::shop;

/// How long an effect on another connection may take to be seen.
const SOON: Duration = Duration::from_secs(20);

async fn proxy(configure: impl FnOnce(&mut ProxyConfig)) -> Proxy {
    let pod = Pod::shared().await;
    let mut config = ProxyConfig::new(([127, 0, 0, 1], 0).into(), pod.secret().clone());
    configure(&mut config);
    let watch = pod.watch();
    harness().spawn(async move { Proxy::start(config, watch).await.unwrap() }).await.unwrap()
}

fn options(keyspace: &TestKeyspace<'_>, proxy: &Proxy) -> OptsBuilder {
    keyspace.pod.client_options().tcp_port(proxy.local_addr().port()).db_name(Some(&keyspace.name))
}

async fn connect(keyspace: &TestKeyspace<'_>, proxy: &Proxy) -> Conn {
    Conn::new(options(keyspace, proxy)).await.unwrap()
}

/// Statements that servers are running whose text holds `mark`.
async fn running(keyspace: &TestKeyspace<'_>, mark: &str) -> usize {
    let mut count = 0;
    for server in 0..4 {
        let mut admin = keyspace.pod.admin(ServerId(server)).await.unwrap();
        let sql = format!(
            "SELECT COUNT(*) FROM performance_schema.processlist WHERE info LIKE '%{mark}%' AND id <> CONNECTION_ID()"
        );
        count += admin.query_first::<usize, _>(sql).await.unwrap().unwrap();
    }
    count
}

async fn wait_until_running(keyspace: &TestKeyspace<'_>, mark: &str, wanted: usize) {
    let started = Instant::now();
    loop {
        let now = running(keyspace, mark).await;
        if now == wanted {
            return;
        }
        assert!(started.elapsed() < SOON, "{now} statements run with {mark}, not {wanted}");
    }
}

fn code(error: Error) -> (u16, String) {
    match error {
        Error::Server(error) => (error.code, error.message),
        other => panic!("no server's error: {other}"),
    }
}

#[tokio::test]
async fn more_statements_than_the_budget_are_prepared_in_turn() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let keyspace = shop("bounds_statements", 2).await;
    let proxy = proxy(|config| {
        config.backend.max_connections = 3;
        config.backend.max_statements = 12;
        config.backend.max_statements_per_connection = 5;
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(connect(&keyspace, &proxy).await);
    }
    for round in 0..3 {
        for (n, client) in clients.iter_mut().enumerate() {
            for text in 0..10_u64 {
                let sql = format!("SELECT id, {text} AS bounds_text FROM customers WHERE id = ?");
                let id = text + n as u64 + 1;
                let row: Option<(u64, u64)> = client.exec_first(&sql, (id,)).await.unwrap();
                assert_eq!(row, Some((id, text)), "round {round}");
            }
        }
    }
    for server in 0..2 {
        let mut admin = keyspace.pod.admin(ServerId(server)).await.unwrap();
        let sql = "SELECT COUNT(*) FROM performance_schema.prepared_statements_instances WHERE sql_text LIKE '%bounds_text%'";
        let prepared: usize = admin.query_first(sql).await.unwrap().unwrap();
        assert!((1..=12).contains(&prepared), "{prepared} statements are prepared on server {server}");
    }
}

#[tokio::test]
async fn a_statement_that_finds_no_connection_in_time_is_refused_by_name() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let keyspace = shop("bounds_queue", 2).await;
    let proxy = proxy(|config| {
        config.backend.max_connections = 1;
        config.backend.queue_deadline = Duration::from_millis(300);
    })
    .await;
    let mut busy = connect(&keyspace, &proxy).await;
    let mut waiting = connect(&keyspace, &proxy).await;
    busy.query_drop("BEGIN").await.unwrap();
    busy.query_drop("SELECT * FROM settings FOR UPDATE").await.unwrap();
    let (number, message) = code(waiting.query_drop("SELECT * FROM settings").await.unwrap_err());
    assert_eq!(number, 1040);
    assert!(message.contains("backend.max_connections") && message.contains("127.0.0.1:"), "{message}");
    busy.query_drop("COMMIT").await.unwrap();
    waiting.query_drop("SELECT * FROM settings").await.unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_work_with_it() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let keyspace = shop("bounds_leave", 2).await;
    let proxy = proxy(|_| {}).await;
    let leaving = connect(&keyspace, &proxy).await;
    let task = tokio::spawn(async move {
        let mut leaving = leaving;
        let _ = leaving.query_drop("SELECT SLEEP(100) /* bounds_leave */").await;
    });
    wait_until_running(&keyspace, "bounds_leave */", 1).await;
    task.abort();
    wait_until_running(&keyspace, "bounds_leave */", 0).await;
    assert_eq!(proxy.metrics().cancelled, 1);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_and_its_server_freed() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let keyspace = shop("bounds_slow", 2).await;
    let proxy = proxy(|config| config.client.write_deadline = Duration::from_millis(500)).await;
    let mut slow = tokio::net::TcpStream::connect(proxy.local_addr()).await.unwrap();
    log_in_by_hand(&mut slow, "bounds_slow").await;
    let sql = b"\x03WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT REPEAT('x', 1000000) FROM n, n AS m /* bounds_slow */";
    let mut packet = (sql.len() as u32).to_le_bytes().to_vec();
    packet.extend_from_slice(sql);
    slow.write_all(&packet).await.unwrap();
    wait_until_running(&keyspace, "bounds_slow */", 1).await;
    wait_until_running(&keyspace, "bounds_slow */", 0).await;
}

/// A login by hand: a client that will not read on its own.
async fn log_in_by_hand(stream: &mut tokio::net::TcpStream, database: &str) {
    use podway_wire::{
        BackendLogin, CapabilityFlags, ClientAuth, ClientStep, PacketReader, ServerHello, ServerKey,
        write_packet,
    };
    let login = BackendLogin {
        user: podway_tests::APP.0.as_bytes().to_vec(),
        password: podway_tests::APP.1.as_bytes().to_vec(),
        database: Some(database.as_bytes().to_vec()),
        capabilities: CapabilityFlags::CLIENT_PROTOCOL_41 | CapabilityFlags::CLIENT_CONNECT_WITH_DB,
        charset: 255,
        max_packet: 1 << 24,
        attributes: Vec::new(),
    };
    let mut auth = ClientAuth::new(login, ServerKey::Ask);
    let mut reader = PacketReader::new(0);
    let mut input = bytes::BytesMut::new();
    let mut greeted = false;
    loop {
        let Some(packet) = reader.next(&mut input, 1 << 16).unwrap() else {
            assert_ne!(stream.read_buf(&mut input).await.unwrap(), 0, "the proxy closed the connection");
            continue;
        };
        let step = if greeted {
            auth.on_packet(&packet).unwrap()
        } else {
            greeted = true;
            let ServerHello::Greeting(greeting) = ServerHello::decode(&packet).unwrap() else {
                panic!("no greeting")
            };
            ClientStep::Send(auth.on_greeting(&greeting, false).unwrap())
        };
        match step {
            ClientStep::Send(payload) => {
                let mut out = bytes::BytesMut::new();
                let mut sequence = reader.seq();
                write_packet(&mut out, &mut sequence, &payload);
                reader.set_seq(sequence);
                stream.write_all(&out).await.unwrap();
            }
            ClientStep::Wait => {}
            ClientStep::Done(_) => return,
            ClientStep::Failed(error) => panic!("login failed: {error:?}"),
        }
    }
}

#[tokio::test]
async fn sessions_over_the_bound_are_turned_away_with_1040() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let keyspace = shop("bounds_sessions", 2).await;
    let proxy = proxy(|config| config.client.max_sessions = 2).await;
    let first = connect(&keyspace, &proxy).await;
    let _second = connect(&keyspace, &proxy).await;
    let third = Conn::new(options(&keyspace, &proxy)).await.unwrap_err();
    assert_eq!(code(third).0, 1040);
    first.disconnect().await.unwrap();
    let started = Instant::now();
    while Conn::new(options(&keyspace, &proxy)).await.is_err() {
        assert!(started.elapsed() < SOON, "the place of a session that left is not free");
    }
}

#[tokio::test]
async fn a_long_statement_is_interrupted_at_its_deadline() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let keyspace = shop("bounds_deadline", 2).await;
    let proxy = proxy(|config| config.client.statement_deadline = Duration::from_millis(100)).await;
    let mut conn = connect(&keyspace, &proxy).await;
    let started = Instant::now();
    let slept: Result<Option<i64>, _> = conn.query_first("SELECT SLEEP(100)").await;
    assert!(started.elapsed() < SOON);
    assert!(matches!(slept, Ok(Some(1))) || slept.is_err(), "{slept:?}");
    assert_eq!(conn.query_first::<i64, _>("SELECT 1").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_proxy_that_stops_lets_transactions_end() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let keyspace = shop("bounds_stop", 2).await;
    let proxy = proxy(|config| config.shutdown_deadline = Duration::from_secs(60)).await;
    let address = proxy.local_addr();
    let (mut working, mut idle) = (connect(&keyspace, &proxy).await, connect(&keyspace, &proxy).await);
    idle.query_drop("SELECT 1").await.unwrap();
    working.query_drop("BEGIN").await.unwrap();
    working.query_drop("UPDATE customers SET name = 'stopped' WHERE id = 9").await.unwrap();
    let stopping = harness().spawn(proxy.stop());
    let started = Instant::now();
    while idle.query_drop("SELECT 1").await.is_ok() {
        assert!(started.elapsed() < SOON, "an idle session is not ended");
    }
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "it still listens");
    working.query_drop("UPDATE customers SET name = 'stopped twice' WHERE id = 9").await.unwrap();
    working.query_drop("COMMIT").await.unwrap();
    assert_eq!(stopping.await.unwrap(), 0, "nothing was cut off");
    let name: Option<String> = keyspace
        .connect()
        .await
        .unwrap()
        .query_first("SELECT name FROM customers WHERE id = 9")
        .await
        .unwrap();
    assert_eq!(name.as_deref(), Some("stopped twice"));
}

#[tokio::test]
async fn a_proxy_that_stops_cuts_off_what_does_not_end() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let keyspace = shop("bounds_cut", 2).await;
    let proxy = proxy(|config| config.shutdown_deadline = Duration::from_millis(200)).await;
    let mut stuck = connect(&keyspace, &proxy).await;
    stuck.query_drop("BEGIN").await.unwrap();
    stuck.query_drop("UPDATE customers SET name = 'cut' WHERE id = 9").await.unwrap();
    assert_eq!(harness().spawn(proxy.stop()).await.unwrap(), 1);
    assert!(stuck.query_drop("COMMIT").await.is_err());
    // The lock is gone with the session, and its write too.
    let mut conn = keyspace.connect().await.unwrap();
    conn.query_drop("SET innodb_lock_wait_timeout = 20").await.unwrap();
    let name: Option<String> =
        conn.query_first("SELECT name FROM customers WHERE id = 9 FOR UPDATE").await.unwrap();
    assert_eq!(name.as_deref(), Some("customer 9"));
}

#[tokio::test]
async fn connections_are_shared_by_many_sessions() {
    if is_left_out("proxies of its own, with small bounds") {
        return;
    }
    let keyspace = shop("bounds_shared", 2).await;
    let proxy = Arc::new(proxy(|config| config.backend.max_connections = 3).await);
    let mut tasks = Vec::new();
    for n in 0..24_u64 {
        let mut conn = connect(&keyspace, &proxy).await;
        tasks.push(tokio::spawn(async move {
            for round in 0..20 {
                let id = (n * 7 + round) % 40 + 1;
                let (found, name): (u64, String) = conn
                    .exec_first("SELECT id, name FROM customers WHERE id = ?", (id,))
                    .await
                    .unwrap()
                    .unwrap();
                assert_eq!((found, name), (id, format!("customer {id}")));
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for (server, open, _) in proxy.backends() {
        assert!(open <= 3, "{open} connections to {server}");
    }
}
