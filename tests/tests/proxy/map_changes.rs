//! The map changes under load: a server answers elsewhere, tables and shards appear, and no statement fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use podway::provision::{Declaration, create_schema};
use podway_model::{Epoch, Keyspace, Server, ServerId, Shard, ShardId};
use podway_tests::{Pod, PodOptions, TestKeyspace, is_left_out};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::shop::{CUSTOMERS, shop};

/// Point selects on all customers from several sessions until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    async fn start(keyspace: &TestKeyspace<'_>) -> Load {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = Vec::new();
        for n in 0..4 {
            let mut conn = keyspace.connect().await.unwrap();
            let (stop, done) = (stop.clone(), done.clone());
            tasks.push(tokio::spawn(async move {
                let mut id = n;
                while !stop.load(Ordering::Relaxed) {
                    id = id % CUSTOMERS + 1;
                    let name: Option<String> = match id % 2 {
                        0 => conn
                            .query_first(format!("SELECT name FROM customers WHERE id = {id}"))
                            .await
                            .unwrap(),
                        _ => conn.exec_first("SELECT name FROM customers WHERE id = ?", (id,)).await.unwrap(),
                    };
                    assert_eq!(name, Some(format!("customer {id}")));
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        Load { stop, done, tasks }
    }

    /// Waits until this many more statements have ended.
    async fn pass(&self, statements: u64) {
        let target = self.done.load(Ordering::Relaxed) + statements;
        let started = Instant::now();
        while self.done.load(Ordering::Relaxed) < target {
            assert!(started.elapsed() < Duration::from_secs(60), "the load stands still");
            assert!(!self.tasks.iter().any(JoinHandle::is_finished), "a statement failed");
            tokio::task::yield_now().await;
        }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

/// Another address for a server: what connects here is passed on.
async fn another_address(server: &Server) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = (server.host.to_string(), server.port);
    podway_tests::harness().spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let mut to = TcpStream::connect(target.clone()).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut from, &mut to).await });
        }
    });
    port
}

#[tokio::test]
async fn a_server_that_answers_elsewhere_is_followed_without_a_failure() {
    if is_left_out("a map of its own making") {
        return;
    }
    let pod =
        Box::leak(Box::new(Pod::start(PodOptions { servers: 2, ..PodOptions::default() }).await.unwrap()));
    let keyspace = crate::shop::shop_on(pod, "moved_address", 2).await;
    let load = Load::start(&keyspace).await;
    load.pass(200).await;
    let server = pod.map().server(ServerId(0)).unwrap().clone();
    let port = another_address(&server).await;
    let moved = Server { port, ..(*server).clone() };
    let address = moved.address();
    pod.change_map(|map| map.put_server(moved)).await.unwrap();
    load.pass(400).await;
    load.end().await;
    let backends = pod.proxy().proxy.backends();
    let at = |wanted: &str| {
        backends.iter().filter(|(at, _, _)| at == wanted).map(|(_, open, _)| *open).sum::<usize>()
    };
    assert!(at(&address) > 0, "{backends:?}");
    assert_eq!(at(&server.address()), 0, "{backends:?}");
}

#[tokio::test]
async fn new_tables_and_shards_are_used_at_once() {
    if is_left_out("a map of its own making") {
        return;
    }
    let busy = shop("grow_busy", 4).await;
    let load = Load::start(&busy).await;
    let pod = busy.pod;
    let keyspace = pod.keyspace("grow_new", 2).await.unwrap();
    let mut conn = keyspace.connect().await.unwrap();
    let sharded = Declaration::sharded_by(&["id"]);
    let create = "CREATE TABLE events (id BIGINT PRIMARY KEY, note VARCHAR(20))";
    assert!(conn.query_drop("INSERT INTO events VALUES (1, 'x')").await.is_err());
    keyspace.create_table(create, "events", sharded).await.unwrap();
    conn.query_drop("INSERT INTO events VALUES (1, 'x')").await.unwrap();
    conn.query_drop("DELETE FROM events WHERE id = 1").await.unwrap();
    load.pass(100).await;
    // A third shard, while the keyspace holds no row.
    let map = pod.map();
    let third = Shard {
        id: ShardId(9_000),
        server: ServerId(2),
        schema: map.names.name("grow_new__3"),
        epoch: Epoch(1),
    };
    create_schema(&mut pod.admin(ServerId(2)).await.unwrap(), "grow_new__3").await.unwrap();
    let mut admin = pod.admin(ServerId(2)).await.unwrap();
    admin.query_drop(create.replace("events", "grow_new__3.events")).await.unwrap();
    keyspace
        .change(|keyspace| {
            let shards = keyspace.shards.iter().cloned().chain([third.clone()]).collect();
            let tables = keyspace.tables.clone();
            *keyspace = Keyspace::evenly(keyspace.name.clone(), shards).unwrap();
            keyspace.tables = tables;
        })
        .await
        .unwrap();
    for id in 1..=60 {
        conn.exec_drop("INSERT INTO events VALUES (?, 'y')", (id,)).await.unwrap();
    }
    for id in 1..=60 {
        let found: Option<u64> = conn.exec_first("SELECT id FROM events WHERE id = ?", (id,)).await.unwrap();
        assert_eq!(found, Some(id));
    }
    let on_third: usize =
        admin.query_first("SELECT COUNT(*) FROM grow_new__3.events").await.unwrap().unwrap();
    assert!(on_third > 5, "{on_third} of 60 rows are on the new shard");
    load.pass(100).await;
    load.end().await;
}
