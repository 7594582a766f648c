//! The network between nodes, which can be cut link by link and direction by direction: a relay before each node's peer port. Each node has a
//! loopback address of its own, so that the relay knows who comes. A cut link is silent, not closed, as a lost network is.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use podway_topology::Tuning;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::cluster::{Cluster, Place, free_address_on};

/// From whom, to whom.
pub type Link = (u64, u64);

/// The links of a cluster.
pub struct Links {
    cut: Arc<watch::Sender<BTreeSet<Link>>>,
    count: u64,
    /// Ends with the links.
    _relays: JoinSet<()>,
}

fn address_of(id: u64) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, 100 + u8::try_from(id).unwrap()).into()
}

fn id_of(address: IpAddr) -> u64 {
    let IpAddr::V4(address) = address else { panic!("{address} is no node's") };
    u64::from(address.octets()[3]) - 100
}

impl Links {
    /// A new cluster of `count` nodes with links that can be cut.
    pub async fn of(count: u64) -> (Cluster, Links) {
        let cut = Arc::new(watch::Sender::new(BTreeSet::new()));
        let mut relays = JoinSet::new();
        let mut places = Vec::new();
        for id in 1..=count {
            let listen = free_address_on(address_of(id));
            let relay = TcpListener::bind(free_address_on(address_of(id))).await.unwrap();
            places.push(Place::behind(id, relay.local_addr().unwrap(), listen));
            relays.spawn(run_relay(id, relay, listen, cut.clone()));
        }
        let cluster = Cluster::at(places.into_iter(), Tuning::default()).await;
        (cluster, Links { cut, count, _relays: relays })
    }

    /// Nothing goes over these links until [`heal`](Links::heal).
    pub fn cut(&self, links: impl IntoIterator<Item = Link>) {
        self.cut.send_modify(|cut| cut.extend(links));
    }

    /// Cuts a node off in both directions.
    pub fn isolate(&self, id: u64) {
        let others = (1..=self.count).filter(|other| *other != id);
        self.cut(others.flat_map(|other| [(id, other), (other, id)]));
    }

    /// Everything goes again, what was held up first.
    pub fn heal(&self) {
        self.cut.send_modify(BTreeSet::clear);
    }
}

async fn run_relay(to: u64, relay: TcpListener, listen: SocketAddr, cut: Arc<watch::Sender<BTreeSet<Link>>>) {
    let mut connections = JoinSet::new();
    while let Ok((outer, address)) = relay.accept().await {
        let from = id_of(address.ip());
        let (there, back) = (cut.subscribe(), cut.subscribe());
        connections.spawn(async move {
            let Ok(inner) = TcpStream::connect(listen).await else { return };
            let (outer_read, outer_write) = outer.into_split();
            let (inner_read, inner_write) = inner.into_split();
            // What comes back on a connection is the other direction's business: replies are lost with it.
            tokio::select! {
                () = pass((from, to), outer_read, inner_write, there) => {}
                () = pass((to, from), inner_read, outer_write, back) => {}
            }
        });
    }
}

async fn pass(
    link: Link,
    mut read: OwnedReadHalf,
    mut write: OwnedWriteHalf,
    mut cut: watch::Receiver<BTreeSet<Link>>,
) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(length @ 1..) = read.read(&mut bytes).await {
        let is_over = cut.wait_for(|cut| !cut.contains(&link)).await.is_err();
        if is_over || write.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
