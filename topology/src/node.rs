//! A topology node as a whole: started from a configuration, stopped in order. What it does is [`keeper`](crate::keeper)'s business.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};
use podway_topology_api::contract::peer_server::PeerServer;
use podway_topology_api::contract::topology_server::TopologyServer;
use podway_topology_api::{ClusterId, Listener, Member, NodeId, StoreError, TopologyStore, Wire};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;

use crate::config::{
    ClientListener, ClientListenerTls, ConfigError, NodeConfig, PeerTls, Start, Storage, Tuning,
};
use crate::feed::Feed;
use crate::founding::{FoundingError, found, settle};
use crate::keeper::{Keeper, LocalStore, Parts};
use crate::move_probe::Moves;
use crate::mover::drive;
use crate::observer::NodeObserver;
use crate::preparer::prepare;
use crate::raft::disk::{Disk, DiskError, Owner};
use crate::raft::log::RaftLog;
use crate::raft::machine::{Machine, MachineHandle};
use crate::raft::network::Network;
use crate::raft::peers::{MAX_MESSAGE, Myself, Peers};
use crate::raft::types::Raft;
use crate::serve::tls::{self, Keys};
use crate::serve::{Access, ClientPort, PeerPort, PortError, Served, listen, serve};
use crate::statement_seam::Statements;
use crate::statements;
use crate::tracker::track;

const CLIENT_PORT: &str = "the client port";
const PEER_PORT: &str = "the peer port";

/// Entries that one message to another node carries at most.
const ENTRIES_A_MESSAGE: u64 = 128;
/// A piece of a snapshot on its way to another node: small enough that heartbeats get past it.
const SNAPSHOT_PIECE: u64 = 1 << 20;
/// A piece of a snapshot arrives, and the last one is installed, within this.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(10);
/// How often a node that waits to be ready looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What it was told cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its ports.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The new cluster.
    #[error(transparent)]
    Founding(#[from] FoundingError),
    /// Raft.
    #[error("Raft does not start: {0}")]
    Raft(String),
}

/// A running node. Dropping it without [`stop`](TopologyNode::stop) leaves its tasks running.
pub struct TopologyNode {
    keeper: Arc<Keeper>,
    disk: Disk,
    clients: Served,
    peers: Option<(Served, String)>,
    keys: PortKeys,
    /// Why no cluster was made, if it was not.
    failure: Arc<OnceLock<String>>,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for TopologyNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopologyNode").field("id", &self.id()).field("clients", &self.clients).finish()
    }
}

/// The certificates of a node's ports; `None`: no TLS.
struct PortKeys {
    clients: Option<Keys>,
    peers: Option<Keys>,
    /// Whether clients may do without a certificate.
    has_tokens: bool,
}

impl PortKeys {
    fn new(config: &NodeConfig) -> Result<PortKeys, PortError> {
        let clients = &config.clients;
        let peers = config.peers.as_ref().and_then(|peers| peers.tls.as_ref());
        let has_tokens = !clients.tokens.is_empty();
        let clients = clients.tls.as_ref().map(|tls| tls::client_port(tls, has_tokens));
        Ok(PortKeys {
            clients: clients.transpose().map_err(tls_of(CLIENT_PORT))?.map(Keys::new),
            peers: peers.map(tls::peer_port).transpose().map_err(tls_of(PEER_PORT))?.map(Keys::new),
            has_tokens,
        })
    }
}

fn tls_of(port: &'static str) -> impl Fn(String) -> PortError {
    move |error| PortError::Tls { port, error }
}

/// A port before it is served.
struct Bound {
    listener: Box<dyn Listener>,
    /// What others are told.
    told: String,
}

impl TopologyNode {
    /// Starts a node. It listens when this returns; that its cluster has a leader, [`wait_until_ready`](TopologyNode::wait_until_ready) says.
    pub async fn start(config: NodeConfig) -> Result<TopologyNode, StartError> {
        config.check()?;
        let wire = &config.surroundings.wire;
        let clients = &config.clients;
        let client_port = bind(CLIENT_PORT, clients.listen, clients.advertise.clone(), wire).await?;
        let peer_port = match &config.peers {
            Some(peers) => Some(bind(PEER_PORT, peers.listen, peers.advertise.clone(), wire).await?),
            None => None,
        };
        let disk = match &config.storage {
            Storage::Directory(directory) => Disk::in_directory(directory)?,
            Storage::Memory => Disk::in_memory()?,
            Storage::Simulated(storage) => Disk::simulated(storage)?,
        };
        match TopologyNode::with_disk(config, client_port, peer_port, disk.clone()).await {
            Ok(node) => Ok(node),
            Err(error) => {
                disk.close().await;
                Err(error)
            }
        }
    }

    async fn with_disk(
        config: NodeConfig,
        client_port: Bound,
        peer_port: Option<Bound>,
        disk: Disk,
    ) -> Result<TopologyNode, StartError> {
        let owner = disk.owner(config.id).await?;
        let keys = PortKeys::new(&config)?;
        let myself = Arc::new(myself(owner));
        let peers = Arc::new(Peers::new(
            myself.clone(),
            config.peers.as_ref().and_then(|peers| peers.tls.as_ref()).map(tls::to_peers),
            config.surroundings.wire.clone(),
            config.tuning.connect_from,
        ));
        let feed = Arc::new(Feed::new(config.tuning.events_kept));
        let failed = |error: &dyn std::fmt::Display| StartError::Raft(error.to_string());
        let machine = Machine::open(disk.clone(), feed).await.map_err(|error| failed(&error))?;
        let raft_config = raft_config(&config.tuning)?;
        let (log, handle) = (RaftLog::new(disk.clone(), config.id), MachineHandle(machine.clone()));
        let raft =
            Raft::new(config.id, Arc::new(raft_config), Network::new(peers.clone()), log, handle).await;
        let raft = raft.map_err(|error| failed(&error))?;
        let client_address = client_port.told;
        let (moves, seams) = (config.tuning.moves.clone(), config.tuning.statements.clone());
        let (tracks_schemas, prepares_servers) =
            (config.tuning.tracks_schemas, config.tuning.prepares_servers);
        let parts = Parts {
            raft,
            machine,
            peers,
            myself,
            client_address: client_address.clone(),
            tuning: config.tuning,
            clock: config.surroundings.clock,
        };
        let keeper = Arc::new(Keeper::new(parts));

        let peers = match peer_port {
            Some(Bound { listener, told }) => {
                let port = PeerServer::new(PeerPort::new(keeper.clone(), disk.clone()))
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE);
                Some((serve(PEER_PORT, listener, keys.peers.clone(), Routes::new(port)), told))
            }
            None => None,
        };
        let own_peer = peers.as_ref().map(|(_, told)| told.clone()).unwrap_or_default();
        let own = Member { peer: own_peer, client: client_address, store: owner.store };
        let clients = serve_clients(&keeper, client_port.listener, &config.clients, keys.clients.clone());
        let failure = Arc::default();
        let mut node = TopologyNode { keeper, disk, clients, peers, keys, failure, tasks: Vec::new() };
        if prepares_servers {
            node.tasks.push(tokio::spawn(prepare(node.keeper.clone())));
        }
        node.begin(own, config.start, moves, seams, tracks_schemas).await?;
        Ok(node)
    }

    async fn begin(
        &mut self,
        own: Member,
        start: Start,
        moves: Moves,
        seams: Statements,
        tracks_schemas: bool,
    ) -> Result<(), StartError> {
        let (keeper, disk) = (self.keeper.clone(), self.disk.clone());
        if start == Start::Alone {
            found(&keeper, &disk, &own, &start).await?;
        } else {
            let (own, failure, keeper) = (own.clone(), self.failure.clone(), keeper.clone());
            self.tasks.push(tokio::spawn(async move {
                if let Err(error) = found(&keeper, &disk, &own, &start).await {
                    tracing::error!(%error, "no cluster was made");
                    failure.get_or_init(|| error.to_string());
                }
            }));
        }
        self.tasks.push(tokio::spawn(keeper.clone().keep_leases()));
        self.tasks.push(tokio::spawn(keeper.clone().give_way_when_deaf()));
        self.tasks.push(tokio::spawn(drive(keeper.clone(), moves)));
        self.tasks.push(tokio::spawn(statements::drive(keeper.clone(), seams)));
        if tracks_schemas {
            self.tasks.push(tokio::spawn(track(keeper.clone())));
        }
        self.tasks.push(tokio::spawn(settle(keeper, own)));
        Ok(())
    }

    /// Its number.
    pub fn id(&self) -> NodeId {
        self.keeper.myself.node
    }

    /// Its cluster, once it has one.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.keeper.myself.cluster.get().copied()
    }

    /// Where clients reach it: `host:port`.
    pub fn client_address(&self) -> &str {
        &self.keeper.client_address
    }

    /// Where other nodes reach it: `host:port`; `None` if they cannot.
    pub fn peer_address(&self) -> Option<&str> {
        self.peers.as_ref().map(|(_, told)| told.as_str())
    }

    /// Whether it leads its cluster, as far as it knows.
    pub fn is_leader(&self) -> bool {
        self.keeper.is_leader()
    }

    /// What monitoring reads, beside whoever owns the node.
    pub fn observer(&self) -> NodeObserver {
        NodeObserver::new(self.keeper.clone())
    }

    /// The topology, for whoever runs in the same process.
    pub fn store(&self) -> LocalStore {
        LocalStore(self.keeper.clone())
    }

    /// Waits until the cluster has a leader and its secret, and this node has everything that was answered before. Fails after `within`, or when no
    /// cluster can be made.
    pub async fn wait_until_ready(&self, within: Duration) -> Result<(), StoreError> {
        let start = Instant::now();
        loop {
            let last = match self.store().read(true).await {
                Ok(view) if view.is_founded => return Ok(()),
                Ok(_) => "the cluster has no secret yet".to_owned(),
                Err(StoreError::Away { last, .. }) => last,
                Err(error) => return Err(error),
            };
            let waited = start.elapsed();
            if let Some(failure) = self.failure.get() {
                return Err(StoreError::Away { waited, last: failure.clone() });
            }
            if waited >= within {
                return Err(StoreError::Away { waited, last });
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until the node fails for good, and says why: its disk did not write what it had to. It answers nothing from then on; whoever runs it
    /// has to start it again, once the disk does. Never returns while the node is well. Safe to cancel.
    pub async fn failed(&self) -> String {
        let mut metrics = self.keeper.raft.metrics();
        loop {
            if let Err(error) = &metrics.borrow_and_update().running_state {
                return error.to_string();
            }
            if metrics.changed().await.is_err() {
                return "Raft ended".to_owned();
            }
        }
    }

    /// Shows other certificates and trusts other authorities on connections that are made from now on; those that are there go on. Where something
    /// cannot be used, nothing changes. What a port begins with, it keeps: with TLS or without.
    pub fn renew(
        &self,
        clients: Option<&ClientListenerTls>,
        peers: Option<&PeerTls>,
    ) -> Result<(), PortError> {
        let clients = clients.zip(self.keys.clients.as_ref());
        let for_clients =
            clients.map(|(tls, keys)| Ok::<_, String>((keys, tls::client_port(tls, self.keys.has_tokens)?)));
        let for_clients = for_clients.transpose().map_err(tls_of(CLIENT_PORT))?;
        let peers = peers.zip(self.keys.peers.as_ref());
        let for_peers =
            peers.map(|(tls, keys)| Ok::<_, String>((keys, tls::peer_port(tls)?, tls::to_peers(tls))));
        let for_peers = for_peers.transpose().map_err(tls_of(PEER_PORT))?;
        if let Some((keys, config)) = for_clients {
            keys.replace(config);
        }
        if let Some((keys, config, to_peers)) = for_peers {
            keys.replace(config);
            self.keeper.peers.set_tls(to_peers);
        }
        Ok(())
    }

    /// Stops: watches end, ports close, and the store is free for another start when this returns. Nothing that was answered is lost.
    pub async fn stop(self) {
        self.keeper.begin_stop();
        for task in &self.tasks {
            task.abort();
        }
        self.clients.close().await;
        if let Some((peers, _)) = self.peers {
            peers.close().await;
        }
        if let Err(error) = self.keeper.raft.shutdown().await {
            tracing::warn!(%error, "Raft did not end in order");
        }
        self.disk.close().await;
    }
}

fn myself(owner: Owner) -> Myself {
    let cluster = OnceLock::new();
    if let Some(id) = owner.cluster {
        cluster.get_or_init(|| id);
    }
    Myself { node: owner.node, store: owner.store, cluster }
}

async fn bind(
    port: &'static str,
    address: SocketAddr,
    told: Option<String>,
    wire: &Wire,
) -> Result<Bound, PortError> {
    let listener = listen(port, address, wire).await?;
    let told = told.unwrap_or_else(|| listener.address().to_string());
    Ok(Bound { listener, told })
}

fn serve_clients(
    keeper: &Arc<Keeper>,
    listener: Box<dyn Listener>,
    config: &ClientListener,
    keys: Option<Keys>,
) -> Served {
    let takes_certificates = config.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    let names = config.tls.as_ref().map_or(&[][..], |tls| &tls.rights);
    let access = Access::new(&config.tokens, takes_certificates, names);
    let port = TopologyServer::new(ClientPort::new(keeper.clone())).max_encoding_message_size(usize::MAX);
    serve(CLIENT_PORT, listener, keys, Routes::new(InterceptedService::new(port, access)))
}

fn raft_config(tuning: &Tuning) -> Result<Config, StartError> {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let config = Config {
        cluster_name: "podway".to_owned(),
        heartbeat_interval: ms(tuning.heartbeat),
        election_timeout_min: ms(tuning.election_min),
        election_timeout_max: ms(tuning.election_max),
        install_snapshot_timeout: ms(SNAPSHOT_WITHIN),
        max_payload_entries: ENTRIES_A_MESSAGE,
        snapshot_max_chunk_size: SNAPSHOT_PIECE,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(tuning.snapshot_every),
        max_in_snapshot_log_to_keep: tuning.entries_kept,
        // A node that is further behind than what is kept gets a snapshot; until then, entries.
        replication_lag_threshold: tuning.snapshot_every + tuning.entries_kept,
        ..Config::default()
    };
    config.validate().map_err(|error| StartError::Raft(error.to_string()))
}
