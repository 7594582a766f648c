//! What a node is told when it starts, as typed in, and what of it cannot be. No file is read here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use podway_topology_api::{Identity, NodeId, Pem, Right, Token};
use rustls::pki_types::ServerName;

use crate::feed::EVENTS_KEPT;
use crate::move_probe::Moves;
use crate::raft::storage::SimulatedStorage;
use crate::statement_seam::Statements;
use crate::surroundings::Surroundings;

/// Nodes of one cluster; more would only make each change slower.
pub const MAX_NODES: usize = 7;

/// Everything that a node is told.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its number in the cluster.
    pub id: NodeId,
    /// Where it keeps what it must not forget.
    pub storage: Storage,
    /// How a node with an empty disk comes to its cluster; a node that has one ignores this.
    pub start: Start,
    /// Where proxies and administrators reach it.
    pub clients: ClientListener,
    /// Where other nodes reach it; `None`: it stays alone.
    pub peers: Option<PeerListener>,
    /// Listen beyond loopback without TLS, or without asking clients for a proof. Whoever reaches the port then owns the cluster.
    pub insecure: bool,
    /// Paces and bounds; the defaults fit.
    pub tuning: Tuning,
    /// Its network and clock.
    pub surroundings: Surroundings,
}

/// Where a node keeps its store.
#[derive(Clone, Debug)]
pub enum Storage {
    /// In a directory, which is made if it is missing.
    Directory(PathBuf),
    /// Nowhere: it is gone when the node stops.
    Memory,
    /// On a disk that a simulation makes.
    Simulated(SimulatedStorage),
}

/// How a node with an empty disk begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// A new cluster of this node alone; others may be added.
    Alone,
    /// A new cluster of these nodes, this one among them. All are told the same list; the one with the lowest number makes the cluster when it
    /// reaches all others and finds their disks empty.
    Together(Vec<InitialMember>),
    /// It waits to be added to a cluster.
    Join,
}

/// A node of a new cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialMember {
    /// Its number.
    pub id: NodeId,
    /// Where the others reach it: `host:port`.
    pub peer: String,
}

/// The port for proxies and administrators.
#[derive(Clone, Debug)]
pub struct ClientListener {
    /// Where to listen; port 0: the system chooses.
    pub listen: SocketAddr,
    /// The address that others are told: `host:port`; `None`: the one it listens on.
    pub advertise: Option<String>,
    /// Encryption; `None`: none.
    pub tls: Option<ClientListenerTls>,
    /// Any of these lets a client in, with its right.
    pub tokens: Vec<(Token, Right)>,
}

/// Encryption on the port for clients.
#[derive(Clone, Debug)]
pub struct ClientListenerTls {
    /// The node's own.
    pub identity: Identity,
    /// A client with a certificate from these authorities needs no token.
    pub client_ca: Option<Pem>,
    /// The rights of such certificates by the names that they carry, as DNS names or addresses; one without any of these has none. Empty: each has
    /// every right.
    pub rights: Vec<(String, Right)>,
}

/// The port for other nodes.
#[derive(Clone, Debug)]
pub struct PeerListener {
    /// Where to listen; port 0: the system chooses.
    pub listen: SocketAddr,
    /// The address that others are told: `host:port`; `None`: the one it listens on.
    pub advertise: Option<String>,
    /// Encryption, with certificates of both sides; `None`: none.
    pub tls: Option<PeerTls>,
}

/// Encryption between nodes: whoever has a certificate from `ca` is taken for a node.
#[derive(Clone, Debug)]
pub struct PeerTls {
    /// The node's own, for both directions.
    pub identity: Identity,
    /// The authorities that all nodes' certificates come from. It must not sign anything else.
    pub ca: Pem,
    /// The name that other nodes' certificates carry; `None`: the host of their address.
    pub server_name: Option<String>,
}

/// Paces and bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// The leader shows itself so often.
    pub heartbeat: Duration,
    /// After a leader's death a vote is called no sooner …
    pub election_min: Duration,
    /// … and no later than this, plus as long a lease.
    pub election_max: Duration,
    /// A snapshot is made after so many entries.
    pub snapshot_every: u64,
    /// Entries kept behind a snapshot, for nodes that are a little late.
    pub entries_kept: u64,
    /// Events kept for watchers.
    pub events_kept: usize,
    /// Proxies' heartbeats of so long become one entry.
    pub lease_tick: Duration,
    /// Which of its addresses it uses towards other nodes; `None`: the system chooses.
    pub connect_from: Option<IpAddr>,
    /// How shards are moved, by whichever node leads.
    pub moves: Moves,
    /// How statements on several shards or servers are carried out, by whichever node leads.
    pub statements: Statements,
    /// Whether the tables on the shards are compared with the map, by whichever node leads. Where servers are only names, nobody is to ask them.
    pub tracks_schemas: bool,
    /// Whether servers are made ready for transactions over several of them, by whichever node leads. Not where proxies have another secret than the cluster's.
    pub prepares_servers: bool,
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning {
            heartbeat: Duration::from_millis(200),
            election_min: Duration::from_millis(500),
            election_max: Duration::from_millis(700),
            snapshot_every: 4_096,
            entries_kept: 1_024,
            events_kept: EVENTS_KEPT,
            lease_tick: Duration::from_millis(250),
            connect_from: None,
            moves: Moves::default(),
            statements: Statements::default(),
            tracks_schemas: true,
            prepares_servers: true,
        }
    }
}

/// Why a node cannot start as it was told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Open to the network, readable by anyone on the way.
    #[error(
        "{port} would listen on {address} without TLS: give it a certificate, listen on loopback, or start with --insecure"
    )]
    NoTls {
        /// Which port.
        port: &'static str,
        /// Where.
        address: SocketAddr,
    },
    /// Open to the network, and to anyone.
    #[error(
        "the client port would listen on {0} and let anyone in: give it a token or a client CA, listen on loopback, or start with --insecure"
    )]
    NoProof(SocketAddr),
    /// A list of nodes that cannot be.
    #[error("the initial nodes: {0}")]
    Members(String),
    /// A node that should meet others but has no port for them.
    #[error("a node that is to meet others needs a peer port")]
    NoPeerPort,
    /// Listening everywhere is not an address that others can use.
    #[error("{port} listens on {address}: say which address the others use for it (advertise)")]
    NoAddress {
        /// Which port.
        port: &'static str,
        /// Where.
        address: SocketAddr,
    },
    /// A name that no certificate can carry.
    #[error("{0:?} is no name that a certificate can carry: host names and addresses are")]
    Name(String),
    /// Times that cannot work together.
    #[error("the election timeouts must rise, and be above the heartbeat: {0:?}")]
    Tuning(Box<Tuning>),
}

impl NodeConfig {
    /// One node for one machine: no TLS, a loopback port that the system chooses, kept in `directory` or, without one, nowhere.
    pub fn embedded(directory: Option<PathBuf>) -> NodeConfig {
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        NodeConfig {
            id: NodeId(1),
            storage: directory.map_or(Storage::Memory, Storage::Directory),
            start: Start::Alone,
            clients: ClientListener { listen: loopback, advertise: None, tls: None, tokens: Vec::new() },
            peers: None,
            insecure: false,
            tuning: Tuning::default(),
            surroundings: Surroundings::default(),
        }
    }

    /// Checks what can be checked without doing anything.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Tuning { heartbeat, election_min, election_max, .. } = self.tuning;
        if heartbeat >= election_min || election_min >= election_max {
            return Err(ConfigError::Tuning(Box::new(self.tuning.clone())));
        }
        self.check_clients()?;
        if let Some(peers) = &self.peers {
            let is_open = !peers.listen.ip().is_loopback();
            if is_open && peers.tls.is_none() && !self.insecure {
                return Err(ConfigError::NoTls { port: "the peer port", address: peers.listen });
            }
            check_address("the peer port", peers.listen, peers.advertise.as_deref())?;
        }
        match &self.start {
            Start::Alone => Ok(()),
            Start::Join => self.peers.as_ref().map(drop).ok_or(ConfigError::NoPeerPort),
            Start::Together(members) => self.check_members(members),
        }
    }

    fn check_clients(&self) -> Result<(), ConfigError> {
        let address = self.clients.listen;
        if !address.ip().is_loopback() && !self.insecure {
            let tls = self.clients.tls.as_ref();
            let tls = tls.ok_or(ConfigError::NoTls { port: "the client port", address })?;
            if tls.client_ca.is_none() && self.clients.tokens.is_empty() {
                return Err(ConfigError::NoProof(address));
            }
        }
        let mut named = self.clients.tls.iter().flat_map(|tls| &tls.rights);
        if let Some((name, _)) = named.find(|(name, _)| ServerName::try_from(name.as_str()).is_err()) {
            return Err(ConfigError::Name(name.clone()));
        }
        check_address("the client port", address, self.clients.advertise.as_deref())
    }

    fn check_members(&self, members: &[InitialMember]) -> Result<(), ConfigError> {
        let wrong = |what: String| Err(ConfigError::Members(what));
        if members.is_empty() || members.len() > MAX_NODES {
            return wrong(format!("{} of them, but a cluster has 1 to {MAX_NODES}", members.len()));
        }
        if !members.iter().any(|member| member.id == self.id) {
            return wrong(format!("node {} itself is not among them", self.id));
        }
        for (place, member) in members.iter().enumerate() {
            let earlier = &members[..place];
            if earlier.iter().any(|other| other.id == member.id || other.peer == member.peer) {
                return wrong(format!("node {} at {} is there twice", member.id, member.peer));
            }
        }
        self.peers.as_ref().map(drop).ok_or(ConfigError::NoPeerPort)
    }
}

fn check_address(
    port: &'static str,
    address: SocketAddr,
    advertise: Option<&str>,
) -> Result<(), ConfigError> {
    match advertise {
        None if address.ip().is_unspecified() => Err(ConfigError::NoAddress { port, address }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> NodeConfig {
        let mut config = NodeConfig::embedded(None);
        config.clients.listen = "192.0.2.1:7400".parse().unwrap();
        config
    }

    fn tls() -> ClientListenerTls {
        let identity = Identity { certificate: Pem::new("c"), key: Pem::new("k") };
        ClientListenerTls { identity, client_ca: None, rights: Vec::new() }
    }

    #[test]
    fn nothing_listens_in_the_open_without_tls_and_a_proof_unless_told_to() {
        assert_eq!(NodeConfig::embedded(None).check(), Ok(()));
        let mut config = open();
        assert!(matches!(config.check(), Err(ConfigError::NoTls { .. })));
        config.clients.tls = Some(tls());
        assert!(matches!(config.check(), Err(ConfigError::NoProof(_))));
        config.clients.tokens.push((Token::random(), Right::Admin));
        assert_eq!(config.check(), Ok(()));
        assert_eq!(NodeConfig { insecure: true, ..open() }.check(), Ok(()));
        let listen = "192.0.2.1:7401".parse().unwrap();
        config.peers = Some(PeerListener { listen, advertise: None, tls: None });
        assert!(matches!(config.check(), Err(ConfigError::NoTls { port: "the peer port", .. })));
    }

    #[test]
    fn listening_everywhere_needs_an_address_to_tell() {
        let mut config = NodeConfig { insecure: true, ..open() };
        config.clients.listen = "0.0.0.0:7400".parse().unwrap();
        assert!(matches!(config.check(), Err(ConfigError::NoAddress { .. })));
        config.clients.advertise = Some("n1:7400".to_owned());
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn initial_nodes_are_few_and_different_and_include_this_one() {
        let member = |id: u64| InitialMember { id: NodeId(id), peer: format!("n{id}:7401") };
        let check = |ids: &[u64]| {
            let start = Start::Together(ids.iter().copied().map(member).collect());
            let listen = "127.0.0.1:0".parse().unwrap();
            let peers = Some(PeerListener { listen, advertise: None, tls: None });
            NodeConfig { start, peers, ..NodeConfig::embedded(None) }.check()
        };
        assert_eq!(check(&[1, 2, 3]), Ok(()));
        for wrong in [&[][..], &[2, 3], &[1, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8]] {
            assert!(matches!(check(wrong), Err(ConfigError::Members(_))), "{wrong:?}");
        }
    }
}
