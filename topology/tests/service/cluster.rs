//! A cluster in this process, whose nodes can be stopped, started again and robbed of their disks; and small changes to make in it.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use podway_topology::{
    ClientListener, InitialMember, NodeConfig, PeerListener, Start, Storage, Surroundings, TopologyNode,
    Tuning,
};
use podway_topology_api::{
    ClientConfig, Command, Done, MemberRole, Members, NodeId, Proposer, SettingCommand, StoreError,
    TopologyClient, TopologyStore,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where a node lives.
pub struct Place {
    pub id: NodeId,
    pub client: SocketAddr,
    /// Where the others are told to reach it.
    pub peer: SocketAddr,
    /// Where it listens for them.
    pub listen: SocketAddr,
    disk: TempDir,
}

/// Nodes, running or not.
pub struct Cluster {
    pub places: BTreeMap<u64, Place>,
    pub nodes: BTreeMap<u64, TopologyNode>,
    pub tuning: Tuning,
}

/// An address on loopback that nobody listens on.
pub fn free_address() -> SocketAddr {
    free_address_on(Ipv4Addr::LOCALHOST.into())
}

/// The same on another host address. Below the ports that systems give to connections, so that a node finds its own free when it comes back.
pub fn free_address_on(host: IpAddr) -> SocketAddr {
    loop {
        let address = SocketAddr::new(host, rand::random_range(20_000..32_000));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

impl Place {
    pub fn new(id: u64) -> Place {
        let peer = free_address();
        Place::behind(id, peer, peer)
    }

    /// A node that the others reach at `peer`, from where what comes gets to `listen`, or does not.
    pub fn behind(id: u64, peer: SocketAddr, listen: SocketAddr) -> Place {
        let disk = tempfile::tempdir().unwrap();
        Place { id: NodeId(id), client: free_address(), peer, listen, disk }
    }

    pub fn config(&self, start: Start, tuning: &Tuning) -> NodeConfig {
        let connect_from = (self.peer != self.listen).then_some(self.listen.ip());
        NodeConfig {
            id: self.id,
            storage: Storage::Directory(self.disk.path().to_owned()),
            start,
            clients: ClientListener { listen: self.client, advertise: None, tls: None, tokens: Vec::new() },
            peers: Some(PeerListener {
                listen: self.listen,
                advertise: Some(self.peer.to_string()),
                tls: None,
            }),
            insecure: false,
            tuning: Tuning { connect_from, ..tuning.clone() },
            surroundings: Surroundings::default(),
        }
    }
}

impl Cluster {
    /// A new cluster of nodes 1 to `count`, ready for changes.
    pub async fn of(count: u64) -> Cluster {
        Cluster::tuned(count, Tuning::default()).await
    }

    /// The same, at another pace.
    pub async fn tuned(count: u64, tuning: Tuning) -> Cluster {
        Cluster::at((1..=count).map(Place::new), tuning).await
    }

    /// A new cluster of nodes at these places.
    pub async fn at(places: impl Iterator<Item = Place>, tuning: Tuning) -> Cluster {
        let places: BTreeMap<u64, Place> = places.map(|place| (place.id.0, place)).collect();
        let ids: Vec<u64> = places.keys().copied().collect();
        let mut cluster = Cluster { places, nodes: BTreeMap::new(), tuning };
        let start = Start::Together(cluster.initial());
        for id in ids {
            cluster.start_as(id, start.clone()).await;
        }
        for node in cluster.nodes.values() {
            node.wait_until_ready(PATIENCE).await.unwrap();
        }
        cluster
    }

    fn initial(&self) -> Vec<InitialMember> {
        self.places
            .values()
            .map(|place| InitialMember { id: place.id, peer: place.peer.to_string() })
            .collect()
    }

    pub async fn start_as(&mut self, id: u64, start: Start) {
        let config = self.places[&id].config(start, &self.tuning);
        self.nodes.insert(id, TopologyNode::start(config).await.unwrap());
    }

    /// Starts a node that was stopped, from its disk.
    pub async fn start(&mut self, id: u64) {
        self.start_as(id, Start::Join).await;
    }

    pub async fn stop(&mut self, id: u64) {
        self.nodes.remove(&id).unwrap().stop().await;
    }

    /// A further node, which waits to be added.
    pub async fn newcomer(&mut self, id: u64) -> String {
        let place = Place::new(id);
        let peer = place.peer.to_string();
        self.places.insert(id, place);
        self.start(id).await;
        peer
    }

    /// Takes a stopped node's disk away and starts it with an empty one.
    pub async fn start_without_disk(&mut self, id: u64) -> String {
        let place = self.places.get_mut(&id).unwrap();
        place.disk = tempfile::tempdir().unwrap();
        let peer = place.peer.to_string();
        self.start(id).await;
        peer
    }

    pub fn node(&self, id: u64) -> &TopologyNode {
        &self.nodes[&id]
    }

    /// A client of these nodes.
    pub fn client_of(&self, ids: &[u64]) -> TopologyClient {
        let addresses = ids.iter().map(|id| self.places[id].client.to_string()).collect();
        let config = ClientConfig { deadline: PATIENCE, ..ClientConfig::plain(addresses) };
        TopologyClient::new(config).unwrap()
    }

    /// A client of all nodes.
    pub fn client(&self) -> TopologyClient {
        self.client_of(&self.places.keys().copied().collect::<Vec<_>>())
    }

    /// The node that leads, once one of the running ones does.
    pub async fn leader(&self) -> u64 {
        eventually("a running node leads", || async {
            self.nodes.iter().find(|(_, node)| node.is_leader()).map(|(id, _)| *id)
        })
        .await
    }

    /// A running node that does not lead.
    pub async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        *self.nodes.keys().find(|id| **id != leader).unwrap()
    }
}

/// Makes small changes, each of which watchers see, through `store`.
pub struct Writer<S>(Proposer<S>);

impl<S: TopologyStore> Writer<S> {
    pub fn new(store: S) -> Writer<S> {
        Writer(Proposer::new(store, "the test"))
    }

    /// Change number `number`; no two in a row have the same.
    pub async fn change(&self, number: u64) -> Done {
        self.0.propose(setting(number)).await.unwrap()
    }

    pub async fn changes(&self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            assert_eq!(self.change(number).await, Done::Changed);
        }
    }

    pub async fn propose(&self, command: Command) -> Done {
        self.0.propose(command).await.unwrap()
    }
}

/// A small change.
pub fn setting(number: u64) -> Command {
    let value = format!("{}ms", 10 + number).into();
    Command::Setting(SettingCommand::Set { name: "freeze.drain".into(), value })
}

/// What [`setting`] left behind, as a node has it.
pub async fn setting_at<S: TopologyStore>(store: &S, linearizable: bool) -> u64 {
    let view = store.read(linearizable).await.unwrap();
    let found = view.settings.iter().find(|setting| &*setting.name == "freeze.drain").unwrap();
    found.value.strip_suffix("ms").unwrap().parse::<u64>().unwrap() - 10
}

/// The nodes that have a vote.
pub fn voters(members: &Members) -> Vec<u64> {
    let voters = members.nodes.iter().filter(|node| node.role != MemberRole::Learner);
    voters.map(|node| node.id.0).collect()
}

/// Looks until there is something; fails after [`PATIENCE`].
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// What refused members' changes say.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Members(text)) => text,
        other => panic!("not refused: {other:?}"),
    }
}
