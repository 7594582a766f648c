//! A topology of three nodes in this process that is told of a pod's map by commands, as an operator would, and a map that follows it by the watch, as
//! every proxy does. `PODWAY_TEST_TOPOLOGY=three` puts it between pods and their proxies. Numbers of servers and shards are the topology's own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use podway_model::{Keyspace, Map, NameRule, Server, ServerId, Shard};
use podway_topology::{InitialMember, NodeConfig, PeerListener, Start, TopologyNode};
use podway_topology_api::{
    AccountCommand, AdminAccount, ClientConfig, Command, Following, KeyspaceCommand, MapWatch, NewShard,
    NodeId, Proposer, Secret, ServerCommand, ServerFacts, TableCommand, TopologyClient, TopologyStore,
    follow, map_channel,
};
use tempfile::TempDir;

/// What has to come true does so within this, on a busy machine too.
const WITHIN: Duration = Duration::from_secs(60);

/// Whether pods are to have their map from three topology nodes.
pub(crate) fn is_asked_for() -> bool {
    std::env::var("PODWAY_TEST_TOPOLOGY").is_ok_and(|value| value == "three")
}

/// Three nodes and a follower of their map.
#[derive(Debug)]
pub(crate) struct ThreeNodes {
    _nodes: Vec<TopologyNode>,
    _disks: Vec<TempDir>,
    client: TopologyClient,
    proposer: Proposer<TopologyClient>,
    watch: MapWatch,
    _following: Following,
}

fn free_address() -> SocketAddr {
    loop {
        // Below the ports that systems give to connections.
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), rand::random_range(20_000..32_000));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

impl ThreeNodes {
    /// Starts them.
    pub(crate) async fn start() -> anyhow::Result<ThreeNodes> {
        let peers: Vec<SocketAddr> = (0..3).map(|_| free_address()).collect();
        let member =
            |(peer, id): (&SocketAddr, u64)| InitialMember { id: NodeId(id), peer: peer.to_string() };
        let members: Vec<InitialMember> = peers.iter().zip(1..).map(member).collect();
        let (mut nodes, mut disks) = (Vec::new(), Vec::new());
        for (peer, id) in peers.iter().zip(1..) {
            let disk = tempfile::tempdir()?;
            let mut config = NodeConfig {
                id: NodeId(id),
                start: Start::Together(members.clone()),
                peers: Some(PeerListener { listen: *peer, advertise: None, tls: None }),
                ..NodeConfig::embedded(Some(disk.path().to_owned()))
            };
            // The pod has a secret of its own.
            config.tuning.prepares_servers = false;
            nodes.push(TopologyNode::start(config).await?);
            disks.push(disk);
        }
        for node in &nodes {
            node.wait_until_ready(WITHIN).await?;
        }
        let addresses = nodes.iter().map(|node| node.client_address().to_owned()).collect();
        let client = TopologyClient::new(ClientConfig::plain(addresses))?;
        let (publisher, watch) = map_channel(Map::empty(NameRule::default()));
        let following = follow(client.clone(), publisher);
        let proposer = Proposer::new(client.clone(), "a pod");
        Ok(ThreeNodes { _nodes: nodes, _disks: disks, client, proposer, watch, _following: following })
    }

    /// The map as the topology's watch brings it.
    pub(crate) fn watch(&self) -> MapWatch {
        self.watch.clone()
    }

    /// Tells what is new in `after`, and waits until the watch has brought it. `passwords` are the administrators', by the servers' numbers.
    pub(crate) async fn tell(&self, before: &Map, after: &Map, passwords: &[String]) -> anyhow::Result<()> {
        for server in after.servers() {
            match before.server(server.id) {
                Some(known) if known == server => {}
                Some(_) => self.propose(Command::Server(update(server, after.names))).await?,
                None => {
                    self.propose(Command::Server(add(server, after.names, &passwords[server.id.0 as usize])))
                        .await?
                }
            }
        }
        for account in after.accounts.iter().filter(|account| !before.accounts.contains(account)) {
            self.propose(Command::Account(AccountCommand::Adopt((**account).clone()))).await?;
        }
        for keyspace in after.keyspaces() {
            let known = before.keyspace_spelled(keyspace.name.as_str());
            self.tell_keyspace(known, keyspace).await?;
        }
        let told = self.client.read(true).await?.revision;
        let mut watch = self.watch.clone();
        let arrived = async {
            while watch.current().revision < told {
                watch.changed().await.context("the watch ended")?;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(WITHIN, arrived).await.context("the watch does not bring the map")?
    }

    async fn tell_keyspace(
        &self,
        known: Option<&Arc<Keyspace>>,
        keyspace: &Arc<Keyspace>,
    ) -> anyhow::Result<()> {
        let name: Box<str> = keyspace.name.as_str().into();
        match known {
            Some(known) if known == keyspace => return Ok(()),
            Some(known) if known.shards == keyspace.shards => {}
            Some(known) => {
                // Shards can be added to a keyspace that has no declared tables that hold rows.
                ensure!(
                    keyspace.shards.starts_with(&known.shards),
                    "no command changes the shards of {name} so"
                );
                bail!("{name} has tables: shards are added before they are declared");
            }
            None => {
                self.propose(Command::Keyspace(create(keyspace))).await?;
            }
        }
        let is_new = |table: &podway_model::Table| {
            known.and_then(|known| known.tables.get(&table.name)).is_none_or(|known| **known != *table)
        };
        let mut is_told = known.is_none();
        for table in keyspace.tables.values().filter(|table| is_new(table)) {
            let table = (**table).clone();
            self.propose(Command::Table(TableCommand::Declare { keyspace: name.clone(), table, next: None }))
                .await?;
            is_told = true;
        }
        ensure!(is_told, "no command makes the change of {name}");
        Ok(())
    }

    async fn propose(&self, command: Command) -> anyhow::Result<()> {
        self.proposer.propose(command).await?;
        Ok(())
    }
}

fn update(server: &Server, names: NameRule) -> ServerCommand {
    ServerCommand::Update { name: server_name(server.id), facts: facts(server, names) }
}

/// A server's name in the topology.
pub(crate) fn server_name(id: ServerId) -> Box<str> {
    format!("s{}", id.0).into()
}

/// What a server says of itself.
pub(crate) fn facts(server: &Server, names: NameRule) -> ServerFacts {
    ServerFacts {
        host: server.host.clone(),
        port: server.port,
        uuid: server.uuid.clone(),
        version: server.version.clone(),
        names,
    }
}

/// Adds a server with this password of its root.
pub(crate) fn add(server: &Server, names: NameRule, password: &str) -> ServerCommand {
    let admin = AdminAccount { user: "root".into(), password: Secret::new(password) };
    ServerCommand::Add { name: server_name(server.id), facts: facts(server, names), admin }
}

/// Makes a keyspace with the shards that it has, without its tables.
pub(crate) fn create(keyspace: &Keyspace) -> KeyspaceCommand {
    let shard = |shard: &Shard| NewShard {
        server: server_name(shard.server),
        schema: Some(shard.schema.as_str().into()),
        ranges: Vec::new(),
    };
    KeyspaceCommand::Create {
        name: keyspace.name.as_str().into(),
        shards: keyspace.shards.iter().map(shard).collect(),
        home: keyspace.home.0,
    }
}
