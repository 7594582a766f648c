//! Connections to the other nodes, one for each address, and the envelope that every request carries. Which request it is, others say.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use podway_topology_api::contract::Envelope;
use podway_topology_api::contract::peer_client::PeerClient;
use podway_topology_api::{ClusterId, Member, NodeId, StoreId, Wire};
use tokio::time::Instant;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

/// A node that does not take a connection within this is away.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// A silent connection is asked for a sign so often …
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(1);
/// … and given up after this.
const KEEP_ALIVE_WITHIN: Duration = Duration::from_secs(2);
/// The largest message between nodes: a piece of the log or of a snapshot.
pub const MAX_MESSAGE: usize = 32 << 20;

/// Who this node is.
#[derive(Debug)]
pub struct Myself {
    /// Its number.
    pub node: NodeId,
    /// Its disk's number.
    pub store: StoreId,
    /// Its cluster, once it has one.
    pub cluster: OnceLock<ClusterId>,
}

/// The way to the other nodes.
pub struct Peers {
    myself: Arc<Myself>,
    tls: Mutex<Option<ClientTlsConfig>>,
    wire: Wire,
    /// Where this node's connections come from; `None`: the system chooses.
    from: Option<IpAddr>,
    channels: Mutex<HashMap<String, PeerClient<Channel>>>,
    heard: Mutex<HashMap<NodeId, Instant>>,
    is_quiet: AtomicBool,
}

/// Connections kept; addresses that a cluster of seven has used in its life are few.
const CHANNELS_KEPT: usize = 64;

impl Peers {
    /// No connection is made yet.
    pub fn new(myself: Arc<Myself>, tls: Option<ClientTlsConfig>, wire: Wire, from: Option<IpAddr>) -> Peers {
        Peers {
            myself,
            tls: Mutex::new(tls),
            wire,
            from,
            channels: Mutex::default(),
            heard: Mutex::default(),
            is_quiet: AtomicBool::new(false),
        }
    }

    /// The way to an address; it connects when it is first used, and again when it broke.
    pub fn at(&self, address: &str) -> Result<PeerClient<Channel>, tonic::transport::Error> {
        let mut channels = self.channels.lock();
        if let Some(client) = channels.get(address) {
            return Ok(client.clone());
        }
        let tls = self.tls.lock().clone();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
            .keep_alive_timeout(KEEP_ALIVE_WITHIN)
            .local_address(self.from);
        if let Some(tls) = tls {
            endpoint = endpoint.tls_config(tls)?;
        }
        let channel = match self.wire.dial() {
            Some(dial) => endpoint.connect_with_connector_lazy(dial),
            None => endpoint.connect_lazy(),
        };
        let client = PeerClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        if channels.len() >= CHANNELS_KEPT {
            channels.clear();
        }
        channels.insert(address.to_owned(), client.clone());
        Ok(client)
    }

    /// Shows another certificate on connections that are made from now on. Those that are there end when nothing runs on them.
    pub fn set_tls(&self, tls: ClientTlsConfig) {
        *self.tls.lock() = Some(tls);
        self.channels.lock().clear();
    }

    /// Whether this node, as a leader, has to leave the others alone, so that they elect another.
    pub fn set_quiet(&self, is_quiet: bool) {
        self.is_quiet.store(is_quiet, Ordering::Relaxed);
    }

    /// Whether this node leaves the others alone.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet.load(Ordering::Relaxed)
    }

    /// Notes that a node answered.
    pub fn note_heard(&self, node: NodeId) {
        self.heard.lock().insert(node, Instant::now());
    }

    /// How long ago a node last answered; `None`: never.
    pub fn heard(&self, node: NodeId) -> Option<Duration> {
        self.heard.lock().get(&node).map(Instant::elapsed)
    }

    /// The envelope of a request to `member`, as the cluster's configuration has it.
    pub fn envelope(&self, to: NodeId, member: &Member) -> Envelope {
        Envelope {
            cluster: self.myself.cluster.get().map(|id| id.bytes().to_vec().into()).unwrap_or_default(),
            from_node: self.myself.node.0,
            to_node: to.0,
            to_store: member.store.bytes().to_vec().into(),
        }
    }
}
