//! How many allocations the proxy makes for a statement whose plan is cached: a bound, kept by a test. The counter is an allocator of this
//! binary alone, and counts one thread: the proxy has a thread to itself here, the client and the harness run on others.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::net::SocketAddr;
use std::thread::JoinHandle;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use podway::provision::Declaration;
use podway_model::ClusterSecret;
use podway_proxy::{MetricsSnapshot, Proxy, ProxyConfig};
use podway_tests::{APP, Pod, PodOptions, TestKeyspace};
use podway_topology_api::MapWatch;
use tokio::sync::oneshot;

const ROWS: u64 = 40;
/// Statements before anything is counted: connections are opened, plans made, buffers grown.
const WARM_UP: u64 = 400;
/// Statements that are counted.
const COUNTED: u64 = 4_000;

/// A proxy on a thread of its own, whose allocations are counted from one signal to another.
struct CountedProxy {
    address: SocketAddr,
    begin: oneshot::Sender<()>,
    end: oneshot::Sender<()>,
    thread: JoinHandle<(u64, MetricsSnapshot)>,
}

impl CountedProxy {
    async fn start(secret: ClusterSecret, watch: MapWatch) -> CountedProxy {
        let (begin, begun) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel::<()>();
        let (started, address) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let proxy = runtime.block_on(async {
                let config = ProxyConfig::new(([127, 0, 0, 1], 0).into(), secret);
                let proxy = Proxy::start(config, watch).await.unwrap();
                started.send(proxy.local_addr()).unwrap();
                begun.await.unwrap();
                proxy
            });
            let seen = allocation_counter::measure(|| drop(runtime.block_on(async { Box::new(1) })));
            assert!(seen.count_total > 0, "the counter sees what this thread's tasks allocate");
            let before = proxy.metrics();
            let counted = allocation_counter::measure(|| runtime.block_on(ended).unwrap());
            let after = proxy.metrics();
            let between = MetricsSnapshot {
                statements: after.statements - before.statements,
                plan_hits: after.plan_hits - before.plan_hits,
                plan_misses: after.plan_misses - before.plan_misses,
                ..after
            };
            runtime.block_on(async { drop(proxy) });
            (counted.count_total, between)
        });
        CountedProxy { address: address.await.unwrap(), begin, end, thread }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_point_select_with_a_cached_plan_makes_few_allocations() {
    let pod = Pod::start(PodOptions { has_proxy: false, ..PodOptions::default() }).await.unwrap();
    let keyspace = pod.keyspace_named("counted", &["counted"; 4]).await.unwrap();
    keyspace
        .create_table(
            "CREATE TABLE points (id BIGINT PRIMARY KEY, c CHAR(120) NOT NULL)",
            "points",
            Declaration::sharded_by(&["id"]),
        )
        .await
        .unwrap();
    let mut filled = false;
    for way in [Way::Text, Way::Prepared] {
        let proxy = CountedProxy::start(pod.secret().clone(), pod.watch()).await;
        let mut conn = connect(&proxy, &keyspace).await;
        if !filled {
            fill(&mut conn).await;
            filled = true;
        }
        let (each, statements) = allocations_of(way, proxy, conn).await;
        println!("{way:?}: {each:.2} allocations for each of {statements} statements over four shards");
        assert!(each <= BOUND, "{way:?}: {each:.2} allocations for a statement; at most {BOUND} are wanted");
    }
}

/// How the statement is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Text,
    Prepared,
}

/// The most allocations for a statement whose plan is cached, however it is sent.
const BOUND: f64 = 4.0;

/// Allocations for each statement, and how many were counted.
async fn allocations_of(way: Way, proxy: CountedProxy, mut conn: Conn) -> (f64, u64) {
    let prepared = conn.prep("SELECT c FROM points WHERE id = ?").await.unwrap();
    let mut select = async |times: u64| {
        for n in 0..times {
            let id = 1 + n % ROWS;
            let text: Option<String> = match way {
                Way::Text => conn.query_first(format!("SELECT c FROM points WHERE id = {id}")).await.unwrap(),
                Way::Prepared => conn.exec_first(&prepared, (id,)).await.unwrap(),
            };
            assert_eq!(text, Some(format!("text {id}")));
        }
    };
    select(WARM_UP).await;
    proxy.begin.send(()).unwrap();
    // The signal travels beside the statements: the first of these are still warm-up.
    select(WARM_UP).await;
    select(COUNTED).await;
    proxy.end.send(()).unwrap();
    let (allocations, counters) = proxy.thread.join().unwrap();
    let statements = counters.statements;
    assert!(statements >= COUNTED, "only {statements} statements were counted");
    assert_eq!(counters.plan_misses, 0, "every plan is cached");
    if way == Way::Text {
        assert_eq!(counters.plan_hits, statements, "every statement asks for its plan");
    }
    (allocations as f64 / statements as f64, statements)
}

async fn connect(proxy: &CountedProxy, keyspace: &TestKeyspace<'_>) -> Conn {
    let options = OptsBuilder::default()
        .ip_or_hostname(proxy.address.ip().to_string())
        .tcp_port(proxy.address.port())
        .user(Some(APP.0))
        .pass(Some(APP.1))
        .db_name(Some(&keyspace.name))
        .prefer_socket(false);
    Conn::new(options).await.unwrap()
}

async fn fill(conn: &mut Conn) {
    for id in 1..=ROWS {
        conn.query_drop(format!("INSERT INTO points VALUES ({id}, 'text {id}')")).await.unwrap();
    }
}
