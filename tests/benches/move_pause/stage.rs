//! What the moves run on: three servers, three topology nodes, two proxies, a keyspace of two shards.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use podway::local_mysql::{LocalServer, ServerOptions};
use podway_model::ShardId;
use podway_tests::mysql_source;
use podway_topology::{
    ClientListener, InitialMember, MoveProbe, Moves, NodeConfig, PeerListener, Start, Storage, TopologyNode,
    Tuning,
};
use podway_topology_api::{
    ClientConfig, Done, NewOperation, NodeId, OperationCommand, OperationState, Proposer, TopologyClient,
    TopologyStore,
};

use crate::Args;
use crate::process::Process;

/// Rows that clients work on, on both shards.
pub const KEYS: u64 = 64;
const SERVERS: [&str; 3] = ["s0", "s1", "s2"];
const NODES: usize = 3;
const MOVING: ShardId = ShardId(2);
/// What is waited for at most.
const WITHIN: Duration = Duration::from_secs(60);
const TABLES: [&str; 3] = [
    "CREATE TABLE counters (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)",
    "CREATE TABLE notes (id BIGINT PRIMARY KEY, text VARCHAR(200) NOT NULL, KEY (text))",
    "CREATE TABLE parts (id BIGINT NOT NULL, part INT NOT NULL, price DECIMAL(10,2), PRIMARY KEY (id, part))",
];

/// All of it.
pub struct Stage {
    /// Where the proxies listen.
    pub proxies: Vec<SocketAddr>,
    client: TopologyClient,
    proposer: Proposer<TopologyClient>,
    nodes: Vec<TopologyNode>,
    _processes: Vec<Process>,
    _servers: Vec<LocalServer>,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// Starts everything.
    pub async fn start(args: &Args, probe: MoveProbe) -> anyhow::Result<Stage> {
        let podway = args.podway.clone().map_or_else(build_podway, Ok)?;
        let source = tokio::task::spawn_blocking(mysql_source).await?;
        let options = ServerOptions {
            extra_args: vec!["--performance-schema=ON".to_owned()],
            ..ServerOptions::default()
        };
        let servers = LocalServer::start_all_async(source, vec![options; SERVERS.len()]).await?;
        let folder = tempfile::tempdir()?;
        let nodes = start_nodes(folder.path(), probe).await?;
        let addresses: Vec<String> = nodes.iter().map(|node| node.client_address().to_owned()).collect();
        let topology = addresses.join(",");
        furnish(&podway, &topology, &servers, folder.path(), args).await?;
        let (mut proxies, mut processes) = (Vec::new(), Vec::new());
        for name in ["a", "b"] {
            let mut command = Command::new(&podway);
            command.args(["proxy", "--listen", "127.0.0.1:0", "--tls-off", "--name", name]);
            command.args(["--topology", &topology]);
            let log = folder.path().join(format!("{name}.log"));
            let (process, address) = Process::start_until(command, &log, "Podway listens on ")?;
            proxies.push(address.parse()?);
            processes.push(process);
        }
        let mut conn = connect(proxies[0]).await?;
        for key in 1..=KEYS {
            conn.query_drop(format!("INSERT INTO counters VALUES ({key}, 0)")).await?;
        }
        let client = TopologyClient::new(ClientConfig::plain(addresses))?;
        let proposer = Proposer::new(client.clone(), "a benchmark");
        let (_processes, _servers, _folder) = (processes, servers, folder);
        Ok(Stage { proxies, client, proposer, nodes, _processes, _servers, _folder })
    }

    /// Waits until what the last move left behind is gone.
    pub async fn wait_until_nothing_is_left(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + WITHIN;
        while !self.client.read(true).await?.retired.is_empty() {
            ensure!(Instant::now() < deadline, "what was left behind is not dropped");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Moves the shard to the other of two servers.
    pub async fn move_once(&mut self, turn: usize) -> anyhow::Result<()> {
        let to = SERVERS[2 - turn % 2];
        let new = NewOperation::MoveShard { shard: MOVING, to: to.into(), schema: None };
        let command = podway_topology_api::Command::Operation(OperationCommand::Begin(new));
        let Done::Began(id) = self.proposer.propose(command).await? else {
            anyhow::bail!("it did not begin")
        };
        let deadline = Instant::now() + WITHIN;
        loop {
            let view = self.client.read(true).await?;
            let operation =
                view.operations.iter().find(|operation| operation.id == id).context("it is gone")?;
            match operation.state {
                OperationState::Finished => return Ok(()),
                state if !state.is_open() => anyhow::bail!("it was {state}: {:?}", operation.trouble),
                _ => ensure!(Instant::now() < deadline, "it does not end: {:?}", operation.trouble),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops the nodes; the rest goes with this.
    pub async fn stop(self) {
        for node in self.nodes {
            node.stop().await;
        }
    }
}

/// Logs in to a proxy.
pub async fn connect(proxy: SocketAddr) -> anyhow::Result<Conn> {
    let options = OptsBuilder::default()
        .ip_or_hostname(proxy.ip().to_string())
        .tcp_port(proxy.port())
        .user(Some("app"))
        .pass(Some("app's own"))
        .db_name(Some("shop"))
        .prefer_socket(false);
    Ok(Conn::new(options).await?)
}

async fn start_nodes(folder: &Path, probe: MoveProbe) -> anyhow::Result<Vec<TopologyNode>> {
    let free: Vec<TcpListener> =
        (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let peers: Vec<SocketAddr> = free.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    drop(free);
    let members: Vec<InitialMember> = peers
        .iter()
        .zip(1..)
        .map(|(peer, id)| InitialMember { id: NodeId(id), peer: peer.to_string() })
        .collect();
    let mut nodes = Vec::new();
    for (peer, id) in peers.iter().zip(1..) {
        let moves = Moves { probe: probe.clone(), ..Moves::default() };
        let config = NodeConfig {
            id: NodeId(id),
            storage: Storage::Directory(folder.join(format!("node-{id}"))),
            start: Start::Together(members.clone()),
            clients: ClientListener {
                listen: SocketAddr::from(([127, 0, 0, 1], 0)),
                advertise: None,
                tls: None,
                tokens: Vec::new(),
            },
            peers: Some(PeerListener { listen: *peer, advertise: None, tls: None }),
            insecure: false,
            tuning: Tuning { moves, ..Tuning::default() },
            surroundings: Default::default(),
        };
        nodes.push(TopologyNode::start(config).await?);
    }
    for node in &nodes {
        node.wait_until_ready(WITHIN).await?;
    }
    Ok(nodes)
}

/// Servers, a keyspace on two of them, its tables and rows, and users.
async fn furnish(
    podway: &Path,
    topology: &str,
    servers: &[LocalServer],
    folder: &Path,
    args: &Args,
) -> anyhow::Result<()> {
    let run = |words: &[&str]| {
        let output = Command::new(podway).args(words).args(["--topology", topology]).output()?;
        ensure!(output.status.success(), "podway {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        anyhow::Ok(())
    };
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        anyhow::Ok(path.to_string_lossy().into_owned())
    };
    for (server, name) in servers.iter().zip(SERVERS) {
        let password = file(name, server.root_password())?;
        let login = ["--admin-user", "root", "--admin-password-file", &password];
        run(&[&["server", "add", name, &server.address()][..], &login].concat())?;
    }
    run(&["keyspace", "create", "shop", "--shard", "s0", "--shard", "s1", "--create-schemas"])?;
    for server in &servers[..2] {
        let mut admin = server.admin().connect().await?;
        admin.query_drop("USE shop").await?;
        for create in TABLES {
            admin.query_drop(create).await?;
        }
    }
    for table in ["counters", "notes", "parts"] {
        run(&["table", "declare", &format!("shop.{table}"), "--by", "id"])?;
    }
    let mut admin = servers[1].admin().connect().await?;
    admin.query_drop("USE shop").await?;
    for row in 0..args.rows {
        admin.query_drop(format!("INSERT INTO notes VALUES ({}, REPEAT('x', 100))", 1_000 + row)).await?;
    }
    let password = file("app.password", "app's own")?;
    let others = (0..args.users).map(|number| format!("user{number}"));
    for user in std::iter::once("app".to_owned()).chain(others) {
        let grant = ["--grant", "SELECT, INSERT, UPDATE", "--on", "shop"];
        run(&[&["user", "create", &user, "--password-file", &password][..], &grant].concat())?;
    }
    run(&["settings", "set", "retired.retention", "0s"])
}

/// The release binary, up to date.
fn build_podway() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let args = ["build", "--release", "--package", "podway", "--bin", "podway", "--message-format", "json"];
    let output = Command::new(cargo)
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(std::process::Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "cargo could not build podway");
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let program = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    program.context("cargo built no binary")
}
