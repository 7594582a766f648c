//! What the topology service costs: writes on three nodes with real disks, the time from an answered change to every watcher, a leader's
//! loss, and a large map. Prints a table; docs/benchmarks.md says what it showed. Nothing here passes or fails.

#![allow(clippy::unwrap_used, missing_docs, reason = "a panic is the failure's report")]

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use podway_model::{
    Change, Column, ColumnDefault, ColumnType, Epoch, Keyspace, Map, NameRule, Revision, Server, ServerId,
    Shard, ShardId, Sharding, Table, TableKind, Vindex,
};
use podway_topology::{
    ClientListener, InitialMember, NodeConfig, PeerListener, Start, Storage, Surroundings, TopologyNode,
    Tuning,
};
use podway_topology_api::{
    ClientConfig, Command, NodeId, Proposer, SettingCommand, TopologyClient, TopologyStore, WatchMessage,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(30);
/// Writes that one line of the table rests on.
const WRITES: usize = 2_000;
/// Changes whose way to the watchers is measured.
const CHANGES: usize = 50;

struct Cluster {
    nodes: Vec<TopologyNode>,
    _disks: Vec<TempDir>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Cluster {
    async fn start() -> Cluster {
        let peers: Vec<String> = (0..3).map(|_| format!("127.0.0.1:{}", free_port())).collect();
        let members = peers.iter().zip(1..);
        let members: Vec<InitialMember> =
            members.map(|(peer, id)| InitialMember { id: NodeId(id), peer: peer.clone() }).collect();
        let (mut nodes, mut disks) = (Vec::new(), Vec::new());
        for (peer, id) in peers.iter().zip(1..) {
            let disk = tempfile::tempdir().unwrap();
            let config = NodeConfig {
                id: NodeId(id),
                storage: Storage::Directory(disk.path().to_owned()),
                start: Start::Together(members.clone()),
                clients: ClientListener {
                    listen: ([127, 0, 0, 1], free_port()).into(),
                    advertise: None,
                    tls: None,
                    tokens: Vec::new(),
                },
                peers: Some(PeerListener { listen: peer.parse().unwrap(), advertise: None, tls: None }),
                insecure: false,
                tuning: Tuning::default(),
                surroundings: Surroundings::default(),
            };
            nodes.push(TopologyNode::start(config).await.unwrap());
            disks.push(disk);
        }
        for node in &nodes {
            node.wait_until_ready(PATIENCE).await.unwrap();
        }
        Cluster { nodes, _disks: disks }
    }

    fn client(&self) -> TopologyClient {
        let addresses = self.nodes.iter().map(|node| node.client_address().to_owned()).collect();
        TopologyClient::new(ClientConfig::plain(addresses)).unwrap()
    }
}

/// A change that is one every time.
fn change(n: usize) -> Command {
    let value = format!("{}ms", 1_000 + n % 500_000);
    Command::Setting(SettingCommand::Set { name: "freeze.hold".into(), value: value.into() })
}

fn quantiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let at = |share: f64| {
        let index = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len()) - 1;
        times[index].as_secs_f64() * 1e3
    };
    (at(0.5), at(0.99))
}

async fn writes(cluster: &Cluster, writers: usize) {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let proposer = Proposer::new(cluster.client(), "bench");
        tasks.spawn(async move {
            let mut times = Vec::new();
            for n in 0..WRITES / writers {
                let began = Instant::now();
                proposer.propose(change(writer * WRITES + n)).await.unwrap();
                times.push(began.elapsed());
            }
            times
        });
    }
    let times: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let each_second = times.len() as f64 / started.elapsed().as_secs_f64();
    let (p50, p99) = quantiles(times);
    println!("| {writers} writers | {each_second:.0} writes/s | p50 {p50:.1} ms | p99 {p99:.1} ms |");
}

async fn watchers(cluster: &Cluster, count: usize) {
    let (seen, mut all_seen) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for n in 0..count {
        let node = &cluster.nodes[n % cluster.nodes.len()];
        let client =
            TopologyClient::new(ClientConfig::plain(vec![node.client_address().to_owned()])).unwrap();
        let seen = seen.clone();
        let mut stream = client.watch(Revision(0)).await.unwrap();
        tasks.spawn(async move {
            while let Some(message) = stream.next().await {
                if let WatchMessage::Snapshot(event) | WatchMessage::Event(event) = message.unwrap() {
                    let _ = seen.send((event.revision, Instant::now()));
                }
            }
        });
    }
    let proposer = Proposer::new(cluster.client(), "bench");
    let mut known = cluster.client().read(true).await.unwrap().revision;
    let mut behind = count;
    while behind > 0 {
        // Each begins with the whole map.
        let (revision, _) = all_seen.recv().await.unwrap();
        behind -= usize::from(revision == known);
    }
    let mut times = Vec::new();
    for n in 0..CHANGES {
        let began = Instant::now();
        proposer.propose(change(1_000_000 + n * 3 + count)).await.unwrap();
        let mut newest = known;
        for _ in 0..count {
            let (revision, at) = all_seen.recv().await.unwrap();
            assert!(revision > known, "one change is one event for each watcher");
            newest = revision;
            times.push(at.duration_since(began));
        }
        known = newest;
    }
    let (p50, p99) = quantiles(times);
    println!("| proposed → seen by {count} watchers | | p50 {p50:.1} ms | p99 {p99:.1} ms |");
}

async fn leader_loss(cluster: &mut Cluster) {
    let leader = cluster.nodes.iter().position(TopologyNode::is_leader).unwrap();
    let proposer = Proposer::new(cluster.client(), "bench");
    let node = cluster.nodes.remove(leader);
    node.stop().await;
    let stopped = Instant::now();
    let mut n = 0;
    while proposer.propose(change(2_000_000 + n)).await.is_err() {
        n += 1;
    }
    println!("| leader stopped → next write | {:.2} s | | |", stopped.elapsed().as_secs_f64());
}

/// 64 keyspaces with 1,000 shards on as many servers and 10,000 tables.
fn large_map() -> Map {
    let names = NameRule::CaseSensitive;
    let mut map = Map::empty(names);
    for id in 0..1_000 {
        map.put_server(Server {
            id: ServerId(id),
            host: format!("db{id}.example.com").into(),
            port: 3306,
            uuid: format!("{id:08x}-0000-0000-0000-000000000000").into(),
            version: "8.4.3".into(),
        });
    }
    let mut next = 0;
    for k in 0..64 {
        let shards = (0..if k < 40 { 16 } else { 15 }).map(|_| {
            next += 1;
            let id = (next - 1) % 1_000;
            let schema = names.name(&format!("ks{k}"));
            Shard { id: ShardId(next), server: ServerId(id), schema, epoch: Epoch(1) }
        });
        let mut keyspace = Keyspace::evenly(names.name(&format!("ks{k}")), shards.collect()).unwrap();
        for t in 0..157 {
            let table = table(&format!("table{t}"));
            keyspace.tables.insert(table.name.clone(), Arc::new(table));
        }
        map.put_keyspace(keyspace).unwrap();
    }
    map
}

fn table(name: &str) -> Table {
    let column = |name: &str| Column {
        name: NameRule::CaseInsensitive.name(name),
        column_type: ColumnType::Integer { bytes: 8, unsigned: false },
        collation: None,
        nullable: false,
        auto_increment: false,
        generated: false,
        default: ColumnDefault::None,
        invisible: false,
    };
    let columns = ["id", "customer_id", "state", "amount"].map(column).to_vec();
    let kind = TableKind::Sharded(Sharding::by(vec![0], Vindex::Xxh3));
    Table { name: NameRule::CaseSensitive.name(name), kind, columns }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

fn large() {
    let before = resident_kib();
    let map = large_map();
    println!(
        "| a map of 64 keyspaces, 1,000 shards, 10,048 tables | {} MiB | | |",
        (resident_kib() - before) / 1_024
    );
    let whole = serde_json::to_vec(&map.as_changes()).unwrap();
    println!("| the same as a snapshot | {:.1} MiB | | |", whole.len() as f64 / (1 << 20) as f64);
    let began = Instant::now();
    let changes: Vec<Change> = serde_json::from_slice(&whole).unwrap();
    let empty = Map::empty(NameRule::CaseSensitive);
    let again = empty.changed(Revision(1), &changes).unwrap();
    println!("| reading the snapshot | {:.1} ms | | |", began.elapsed().as_secs_f64() * 1e3);
    let keyspace = NameRule::CaseSensitive.name("ks7");
    let one = [Change::Table { keyspace, table: Arc::new(table("table5")) }];
    println!("| a changed table on the wire | {} bytes | | |", serde_json::to_vec(&one).unwrap().len());
    let times = (0..200).map(|_| {
        let began = Instant::now();
        let changed = again.changed(Revision(2), &one).unwrap();
        let took = began.elapsed();
        drop(changed);
        took
    });
    let (p50, p99) = quantiles(times.collect());
    println!("| the map with one table changed | | p50 {p50:.2} ms | p99 {p99:.2} ms |");
}

fn main() {
    println!("| what | | | |\n|---|---|---|---|");
    large();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut cluster = Cluster::start().await;
        for count in [1, 64] {
            writes(&cluster, count).await;
        }
        for count in [1, 100, 1_000] {
            watchers(&cluster, count).await;
        }
        leader_loss(&mut cluster).await;
    });
}
