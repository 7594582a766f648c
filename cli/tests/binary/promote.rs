//! `podway server promote` with a real replica: while an application writes, the record is pointed at it; nothing that was acknowledged is lost, the old primary refuses everybody, and
//! what would lose something is refused first.

#![allow(clippy::unwrap_used, reason = "a panic is the failure's report")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use nix::sys::signal::Signal;
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, eventually};
use crate::podway::{Podway, connect};

/// The old primary, the other server, and the replica of the first.
const SERVERS: [&[&str]; 3] = [&["--server-id=1"], &["--server-id=2"], &["--server-id=3"]];

async fn replicate(cluster: &Cluster) {
    let source = &cluster.servers[0];
    let mut replica = cluster.admin(2).await.unwrap();
    let change = format!(
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {}, SOURCE_USER = 'root', SOURCE_PASSWORD = '{}', \
         SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1",
        source.port(),
        source.root_password()
    );
    replica.query_drop(change).await.unwrap();
    replica.query_drop("SET PERSIST super_read_only = ON").await.unwrap();
    replica.query_drop("START REPLICA").await.unwrap();
}

/// A shop on `a` and `b`, a replica of `a`, and an application.
async fn shop() -> Cluster {
    let cluster = Cluster::start(&SERVERS).await.unwrap();
    replicate(&cluster).await;
    for (index, name) in ["a", "b"].into_iter().enumerate() {
        assert_eq!(cluster.add_server(index, name).code, Some(0));
    }
    cluster.done("keyspace create shop --shard a --shard b/shop__2 --create-schemas");
    for (index, schema) in ["shop", "shop__2"].into_iter().enumerate() {
        let create = format!("CREATE TABLE {schema}.entries (id BIGINT PRIMARY KEY)");
        cluster.admin(index).await.unwrap().query_drop(create).await.unwrap();
    }
    cluster.done("table declare shop.entries --by id");
    let password = cluster.file("app.password", "app's own\n").unwrap();
    let grant = ["--grant", "SELECT, INSERT, UPDATE", "--on", "shop"];
    let user = [&["user", "create", "app", "--password-file", &password][..], &grant].concat();
    assert_eq!(cluster.run_all(&user).code, Some(0));
    caught_up(&cluster).await;
    cluster
}

/// Waits until the replica has what its source has executed so far.
async fn caught_up(cluster: &Cluster) {
    let executed: String =
        cluster.admin(0).await.unwrap().query_first("SELECT @@GLOBAL.gtid_executed").await.unwrap().unwrap();
    let mut replica = cluster.admin(2).await.unwrap();
    let waited: Option<i64> =
        replica.exec_first("SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 60)", (executed,)).await.unwrap();
    assert_eq!(waited, Some(0), "the replica catches up");
}

/// An application that writes a row after another and remembers which were acknowledged; an error costs it its connection.
struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    writer: JoinHandle<Vec<u64>>,
}

impl Load {
    fn start(address: SocketAddr, first: u64) -> Load {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let writer = tokio::spawn(write(address, first, stop.clone(), acknowledged.clone()));
        Load { stop, acknowledged, writer }
    }

    /// Waits until so many more were acknowledged.
    async fn pass(&self, rows: usize) {
        let goal = self.acknowledged.load(Ordering::SeqCst) + rows;
        eventually("the application goes on", async || {
            let now = self.acknowledged.load(Ordering::SeqCst);
            if now >= goal { Ok(()) } else { Err(format!("{now} of {goal}")) }
        })
        .await;
    }

    async fn end(self) -> Vec<u64> {
        self.stop.store(true, Ordering::SeqCst);
        self.writer.await.unwrap()
    }
}

async fn write(address: SocketAddr, first: u64, stop: Arc<AtomicBool>, count: Arc<AtomicUsize>) -> Vec<u64> {
    let (mut acknowledged, mut conn): (Vec<u64>, Option<Conn>) = (Vec::new(), None);
    for id in first.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        if conn.is_none() {
            conn = connect(address, "app", "app's own", "shop").await.ok();
        }
        let Some(open) = &mut conn else {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            continue;
        };
        match open.query_drop(format!("INSERT INTO entries VALUES ({id})")).await {
            Ok(()) => {
                acknowledged.push(id);
                count.fetch_add(1, Ordering::SeqCst);
            }
            Err(_) => conn = None,
        }
    }
    acknowledged
}

/// All rows of the two shards, wherever they are now.
async fn stored(cluster: &Cluster, first: usize) -> Vec<u64> {
    let mut all = Vec::new();
    for (index, schema) in [(first, "shop"), (1, "shop__2")] {
        let sql = format!("SELECT id FROM {schema}.entries");
        let rows: Vec<u64> = cluster.admin(index).await.unwrap().query(sql).await.unwrap();
        all.extend(rows);
    }
    all.sort_unstable();
    all
}

async fn executed(cluster: &Cluster, server: usize) -> String {
    let sql = "SELECT @@GLOBAL.gtid_executed";
    cluster.admin(server).await.unwrap().query_first(sql).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_replica_takes_its_primarys_place_under_load_and_no_acknowledged_write_is_lost() {
    let cluster = shop().await;
    let (mut proxy, mut late) = (cluster.proxy(), cluster.proxy());
    let (address, late_address) = (proxy.address(), late.address());
    let load = Load::start(address, 1);
    load.pass(50).await;
    let at = cluster.servers[2].address();

    // Refusals before anything is touched: the replica still applies; it is not set as the others are; it is another server of the cluster.
    let refused = |words: &str, part: &str| {
        let ran = cluster.run(words);
        assert_eq!(ran.code, Some(1), "podway {words}: {ran:?}");
        assert!(ran.said.contains(part), "podway {words}: {ran:?}");
    };
    refused(&format!("server promote a --at {at}"), "--stop-replica");
    refused(&format!("server promote a --at {}", cluster.servers[1].address()), "answers server b");
    refused("server promote z --at 127.0.0.1:1", "there is no server z");
    load.pass(20).await;

    // A replica that lacks something is not promoted, and the old primary takes writes again.
    let mut replica = cluster.admin(2).await.unwrap();
    replica.query_drop("STOP REPLICA SQL_THREAD").await.unwrap();
    load.pass(50).await;
    refused(&format!("server promote a --at {at}"), "lacks transactions that the old primary acknowledged");
    load.pass(50).await;
    replica.query_drop("START REPLICA SQL_THREAD").await.unwrap();

    // One proxy hears nothing while it happens.
    late.signal(Signal::SIGSTOP);
    let promoted = cluster.run(&format!("server promote a --at {at} --stop-replica"));
    assert_eq!(promoted.code, Some(0), "{promoted:?}");
    assert!(promoted.printed.contains("1 shard served from there"), "{promoted:?}");
    load.pass(50).await;
    let fenced = executed(&cluster, 0).await;
    late.signal(Signal::SIGCONT);
    let by_late = Load::start(late_address, 1_000_000);
    by_late.pass(50).await;
    let mut acknowledged = load.end().await;
    acknowledged.extend(by_late.end().await);
    let stored = stored(&cluster, 2).await;
    let lost: Vec<&u64> = acknowledged.iter().filter(|id| stored.binary_search(id).is_err()).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged writes are lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    assert_eq!(executed(&cluster, 0).await, fenced, "nobody wrote to the old primary");

    let shard = cluster.json("shard show 1");
    assert_eq!(shard["epoch"], 2, "{shard}");
    assert_eq!(cluster.json("shard show 2")["epoch"], 1, "the other server's shard is what it was");
    the_old_primary_stays_shut(&cluster).await;

    // Once more changes nothing.
    let again = cluster.run(&format!("server promote a --at {at} --stop-replica"));
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(cluster.json("shard show 1")["epoch"], 2);
    let mut app = connect(address, "app", "app's own", "shop").await.unwrap();
    app.query_drop("INSERT INTO entries VALUES (999999)").await.unwrap();
}

async fn the_old_primary_stays_shut(cluster: &Cluster) {
    let address: SocketAddr = cluster.servers[0].address().parse().unwrap();
    let refused = connect(address, "app", "app's own", "shop").await.unwrap_err().to_string();
    assert!(refused.contains("3032"), "{refused}");
    let mut root = cluster.admin(0).await.unwrap();
    let refused = root.query_drop("INSERT INTO shop.entries VALUES (0)").await.unwrap_err().to_string();
    assert!(refused.contains("1290"), "{refused}");
    // These servers are started without option files, and then mysqld does not read what is persisted: so that it is, is seen here.
    let sql = "SELECT LOWER(VARIABLE_NAME) FROM performance_schema.persisted_variables WHERE VARIABLE_VALUE = 'ON' ORDER BY 1";
    let persisted: Vec<String> = root.query(sql).await.unwrap();
    assert!(
        ["offline_mode", "super_read_only"].iter().all(|name| persisted.iter().any(|p| p == name)),
        "{persisted:?}"
    );
}

#[tokio::test]
async fn a_primary_that_is_lost_is_replaced_only_on_somebodys_word() {
    let cluster = shop().await;
    let mut proxy: Podway = cluster.proxy();
    let address = proxy.address();
    let load = Load::start(address, 1);
    load.pass(50).await;
    let acknowledged = load.end().await;
    caught_up(&cluster).await;
    cluster.servers[0].kill().unwrap();
    let at = cluster.servers[2].address();
    for (words, part) in [
        ("", "cannot be fenced"),
        (" --force-unreachable yes", "say --force-unreachable a"),
        (" --force-unreachable b", "say --force-unreachable a"),
    ] {
        let ran = cluster.run(&format!("server promote a --at {at} --stop-replica{words}"));
        assert_eq!(ran.code, Some(1), "{words}: {ran:?}");
        assert!(ran.said.contains(part), "{words}: {ran:?}");
    }
    let ran = cluster.run(&format!("server promote a --at {at} --stop-replica --force-unreachable a"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.said.contains("WARNING"), "{ran:?}");
    let load = Load::start(address, 1_000);
    load.pass(50).await;
    let more = load.end().await;
    let stored = stored(&cluster, 2).await;
    assert!(acknowledged.iter().chain(&more).all(|id| stored.binary_search(id).is_ok()));
}
