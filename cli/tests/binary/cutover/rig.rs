//! Three servers, topology nodes that can be held, and two proxies; a keyspace of two shards, of which the second moves. Proxy `a` reaches the topology directly, `b` over a
//! [`Relay`].

#![allow(clippy::unwrap_used, reason = "a panic is the failure's report")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};
use podway::local_mysql::{FindOptions, LocalServer, MysqlSource, ServerOptions};
use podway_model::{ServerId, ShardId};
use podway_topology_api::{
    ClientConfig, Command, Done, NewOperation, Operation, OperationCommand, OperationId, OperationState,
    Proposer, SettingCommand, TopologyClient, TopologyStore, View,
};

use super::history::{Found, History, Key};
use super::node::{Node, Parts, Told};
use super::relay::Relay;
use crate::nodes::ports;
use crate::podway::Podway;

/// What the tests wait for at most.
pub const WITHIN: Duration = Duration::from_secs(60);
/// Counters, on both shards.
const KEYS: Key = 16;
/// The shard that moves.
pub const MOVING: ShardId = ShardId(2);
/// The names of the servers.
pub const SERVERS: [&str; 3] = ["s0", "s1", "s2"];

const TABLES: [(&str, &str); 3] = [
    ("counters", "CREATE TABLE counters (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)"),
    ("ledger", "CREATE TABLE ledger (id BIGINT NOT NULL, entry BIGINT NOT NULL, PRIMARY KEY (id, entry))"),
    ("notes", "CREATE TABLE notes (id BIGINT NOT NULL, entry BIGINT NOT NULL, PRIMARY KEY (id, entry))"),
];

/// All of it.
pub struct Rig {
    pub servers: Vec<LocalServer>,
    pub nodes: Vec<Node>,
    pub relay: Relay,
    _a: Podway,
    pub b: Podway,
    pub at_a: SocketAddr,
    pub at_b: SocketAddr,
    pub client: TopologyClient,
    pub history: Arc<History>,
    proposer: Proposer<TopologyClient>,
    /// How often the shard was told to move: each place has a name of its own.
    turn: u32,
    _folder: tempfile::TempDir,
}

impl Rig {
    /// So many topology nodes, which do these parts of a move.
    pub async fn start(nodes: usize, parts: Parts) -> Rig {
        let find = || MysqlSource::find(&FindOptions::from_env(), &|what| eprintln!("{what}"));
        let source = tokio::task::spawn_blocking(find).await.unwrap().unwrap();
        // What a server has acknowledged it has after it was killed.
        let durable = ["--innodb-flush-log-at-trx-commit=1", "--performance-schema=ON"];
        let options =
            ServerOptions { extra_args: durable.map(str::to_owned).to_vec(), ..ServerOptions::default() };
        let servers = LocalServer::start_all_async(&source, vec![options; SERVERS.len()]).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ports: [u16; 6] = ports();
        let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let (clients, peers) = (&ports[..nodes], &ports[3..3 + nodes]);
        let told = |index: usize| Told {
            id: index as u64 + 1,
            data: folder.path().join(format!("node-{index}")),
            clients: address(clients[index]),
            peers: address(peers[index]),
            together: peers.iter().copied().map(address).collect(),
            parts,
        };
        let nodes: Vec<Node> = (0..nodes).map(|index| Node::start(told(index))).collect();
        nodes.iter().for_each(Node::wait_until_ready);
        let addresses: Vec<SocketAddr> = clients.iter().copied().map(address).collect();
        let direct: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        let topology = direct.join(",");
        let relay = Relay::before(&addresses).await;
        let client = TopologyClient::new(ClientConfig::plain(direct)).unwrap();
        let proposer = Proposer::new(client.clone(), "a test");
        furnish(&servers, folder.path(), &topology).await;
        let (mut a, mut b) = (proxy("a", &topology), proxy("b", &relay.addresses));
        let (at_a, at_b) = (a.address(), b.address());
        let history = Arc::new(History::new(1..=KEYS));
        let rig = Rig {
            servers,
            nodes,
            relay,
            _a: a,
            b,
            at_a,
            at_b,
            client,
            history,
            proposer,
            turn: 0,
            _folder: folder,
        };
        rig.set("proxy.lease", "3s").await;
        rig.set("freeze.hold", "2s").await;
        rig.set("freeze.drain", "1s").await;
        let mut conn = rig.connect(rig.at_a).await;
        for key in 1..=KEYS {
            conn.query_drop(format!("INSERT INTO counters VALUES ({key}, 0)")).await.unwrap();
        }
        rig
    }

    pub async fn propose(&self, command: Command) -> Done {
        self.proposer.propose(command).await.unwrap()
    }

    pub async fn set(&self, name: &str, value: &str) {
        let (name, value) = (name.into(), value.into());
        self.propose(Command::Setting(SettingCommand::Set { name, value })).await;
    }

    pub async fn view(&self) -> View {
        self.client.read(true).await.unwrap()
    }

    /// The server that has the moving shard, as its place in [`SERVERS`], and the schema there.
    pub async fn owner(&self) -> (usize, String) {
        let view = self.view().await;
        let shards = view.keyspaces.iter().flat_map(|keyspace| &keyspace.shards);
        let shard = shards.clone().find(|shard| shard.id == MOVING).unwrap();
        (place(&view, shard.server), shard.schema.to_string())
    }

    /// Begins to move the shard to the server at this place.
    pub async fn begin(&mut self, to: usize) -> OperationId {
        self.turn += 1;
        let schema = Some(format!("shop_{}", self.turn).into());
        let new = NewOperation::MoveShard { shard: MOVING, to: SERVERS[to].into(), schema };
        match self.propose(Command::Operation(OperationCommand::Begin(new))).await {
            Done::Began(id) => id,
            other => panic!("{other:?}"),
        }
    }

    pub async fn operation(&self, id: OperationId) -> Option<Operation> {
        // A leader may just be missing.
        let view = self.client.read(true).await.ok()?;
        view.operations.into_iter().find(|operation| operation.id == id)
    }

    /// Waits until a move has ended well.
    pub async fn finish(&self, id: OperationId) {
        let deadline = Instant::now() + WITHIN;
        let mut last = None;
        let ended = loop {
            match self.operation(id).await {
                Some(operation) if !operation.state.is_open() => break operation,
                operation => last = operation.or(last),
            }
            if Instant::now() >= deadline {
                panic!("not within {WITHIN:?}: the move ends: {last:?}; {:?}", self.view().await.proxies);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(ended.state, OperationState::Finished, "{:?}", ended.trouble);
    }

    /// Waits until a node stands at a moment; its place.
    pub async fn standing(&self, at: &str) -> usize {
        let mut found = None;
        eventually(&format!("a node stands at {at}"), async || {
            found = self.nodes.iter().position(|node| node.stands(at));
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// Has all nodes stop at a moment of a step.
    pub fn hold(&mut self, at: &str) {
        self.nodes.iter_mut().for_each(|node| node.hold(at));
    }

    /// All nodes go on.
    pub fn release(&mut self) {
        self.nodes.iter_mut().for_each(Node::release);
    }

    /// Waits until all nodes are heard of.
    pub async fn all_nodes(&self) {
        eventually("all nodes are there", async || {
            let members = self.client.members().await;
            members.is_ok_and(|members| {
                members.leader.is_some() && members.nodes.iter().all(|node| node.reachable != Some(false))
            })
        })
        .await;
    }

    /// Logs in to a proxy.
    pub async fn connect(&self, proxy: SocketAddr) -> Conn {
        connect(proxy).await.unwrap()
    }

    /// A connection to a server as its administrator.
    pub async fn admin(&self, place: usize) -> Conn {
        self.servers[place].admin().connect().await.unwrap()
    }

    /// The counters that lie on the shard that moves, and those that do not.
    pub async fn keys(&self) -> (Vec<Key>, Vec<Key>) {
        let (place, schema) = self.owner().await;
        let sql = format!("SELECT id FROM `{schema}`.counters ORDER BY id");
        let moving: Vec<Key> = self.admin(place).await.query(sql).await.unwrap();
        let others = (1..=KEYS).filter(|key| !moving.contains(key)).collect();
        (moving, others)
    }

    /// Waits until no server has a prepared transaction: what was decided is there.
    async fn all_resolved(&self) {
        eventually("every transaction has ended on every server", async || {
            for place in 0..self.servers.len() {
                let prepared: Vec<mysql_async::Row> =
                    self.admin(place).await.query("XA RECOVER").await.unwrap();
                if !prepared.is_empty() {
                    return false;
                }
            }
            true
        })
        .await;
    }

    /// All rows, wherever the map has a shard, once nothing is prepared.
    pub async fn found(&self) -> Found {
        self.all_resolved().await;
        let view = self.view().await;
        let mut found = Found::default();
        for shard in view.keyspaces.iter().flat_map(|keyspace| &keyspace.shards) {
            let mut conn = self.admin(place(&view, shard.server)).await;
            let schema = &shard.schema;
            let owns: Vec<(Key, u64)> =
                conn.query(format!("SELECT id, n FROM `{schema}`.counters")).await.unwrap();
            let rows = format!(
                "SELECT id, entry, 1 FROM `{schema}`.ledger UNION ALL SELECT id, entry, 0 FROM `{schema}`.notes"
            );
            let rows: Vec<(Key, u64, bool)> = conn.query(rows).await.unwrap();
            for (key, n) in &owns {
                let entries = rows.iter().filter(|(of, _, is_entry)| of == key && *is_entry).count();
                found.counters.push((*key, *n, entries as u64));
            }
            for (key, entry, _) in rows {
                let is_owned = owns.iter().any(|(owned, _)| *owned == key);
                let rows = if is_owned { &mut found.owned } else { &mut found.elsewhere };
                rows.push((key, entry));
            }
        }
        found
    }
}

/// Servers, a keyspace on two of them, its tables, and somebody who may use them.
async fn furnish(servers: &[LocalServer], folder: &std::path::Path, topology: &str) {
    for (server, name) in servers.iter().zip(SERVERS) {
        let password = folder.join(format!("{name}.password"));
        std::fs::write(&password, server.root_password()).unwrap();
        let (address, password) = (server.address(), password.to_str().unwrap().to_owned());
        run(
            topology,
            &["server", "add", name, &address, "--admin-user", "root", "--admin-password-file", &password],
        );
    }
    run(
        topology,
        &["keyspace", "create", "shop", "--shard", "s0", "--shard", "s1/shop_0", "--create-schemas"],
    );
    for (server, schema) in servers.iter().zip(["shop", "shop_0"]) {
        let mut admin = server.admin().connect().await.unwrap();
        admin.query_drop(format!("USE {schema}")).await.unwrap();
        for (_, create) in TABLES {
            admin.query_drop(create).await.unwrap();
        }
    }
    for (table, _) in TABLES {
        run(topology, &["table", "declare", &format!("shop.{table}"), "--by", "id"]);
    }
    let password = folder.join("app.password");
    std::fs::write(&password, "app's own").unwrap();
    let password = password.to_str().unwrap();
    let grant = ["--grant", "SELECT, INSERT, UPDATE, CREATE TEMPORARY TABLES", "--on", "shop"];
    run(topology, &[&["user", "create", "app", "--password-file", password][..], &grant].concat());
}

fn run(topology: &str, words: &[&str]) -> String {
    let ran = Podway::run(&[words, &["--topology", topology]].concat());
    assert_eq!(ran.code, Some(0), "podway {words:?}: {ran:?}");
    ran.printed
}

fn proxy(name: &str, topology: &str) -> Podway {
    let args = ["proxy", "--topology", topology, "--listen", "127.0.0.1:0", "--name", name];
    Podway::start(&[&args[..], &["--tls-off", "--limit", "client.move_deadline=2s"]].concat())
}

/// Logs in to a proxy.
pub async fn connect(proxy: SocketAddr) -> mysql_async::Result<Conn> {
    let options = OptsBuilder::default()
        .ip_or_hostname(proxy.ip().to_string())
        .tcp_port(proxy.port())
        .user(Some("app"))
        .pass(Some("app's own"))
        .db_name(Some("shop"))
        .prefer_socket(false);
    Conn::new(Opts::from(options)).await
}

fn place(view: &View, id: ServerId) -> usize {
    let server = view.servers.iter().find(|server| server.id == id).unwrap();
    SERVERS.iter().position(|name| *name == &*server.name).unwrap()
}

/// Waits until something is so.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + WITHIN;
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within {WITHIN:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
