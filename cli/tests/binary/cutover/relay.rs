//! The way from one proxy to the topology, which can be cut: a relay before each node. A cut way is silent, not closed, as a lost network is; what was sent meanwhile arrives
//! when it is whole again.

#![allow(clippy::unwrap_used, reason = "a panic is the failure's report")]

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Relays before all nodes.
pub struct Relay {
    is_cut: Arc<watch::Sender<bool>>,
    /// Where they listen, with commas between.
    pub addresses: String,
    /// Ends with the relay.
    _relays: JoinSet<()>,
}

impl Relay {
    /// Before these.
    pub async fn before(nodes: &[SocketAddr]) -> Relay {
        let is_cut = Arc::new(watch::Sender::new(false));
        let mut relays = JoinSet::new();
        let mut addresses = Vec::new();
        for node in nodes {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.push(listener.local_addr().unwrap().to_string());
            relays.spawn(run(listener, *node, is_cut.clone()));
        }
        Relay { is_cut, addresses: addresses.join(","), _relays: relays }
    }

    /// Nothing goes over it until it is healed.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// Everything goes again.
    pub fn heal(&self) {
        self.is_cut.send_replace(false);
    }
}

async fn run(listener: TcpListener, node: SocketAddr, is_cut: Arc<watch::Sender<bool>>) {
    let mut connections = JoinSet::new();
    while let Ok((outer, _)) = listener.accept().await {
        let (mut there, back) = (is_cut.subscribe(), is_cut.subscribe());
        connections.spawn(async move {
            if there.wait_for(|is_cut| !is_cut).await.is_err() {
                return;
            }
            let Ok(inner) = TcpStream::connect(node).await else { return };
            let (outer_read, outer_write) = outer.into_split();
            let (inner_read, inner_write) = inner.into_split();
            tokio::select! {
                () = pass(outer_read, inner_write, there) => {}
                () = pass(inner_read, outer_write, back) => {}
            }
        });
    }
}

async fn pass(mut read: OwnedReadHalf, mut write: OwnedWriteHalf, mut is_cut: watch::Receiver<bool>) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(length @ 1..) = read.read(&mut bytes).await {
        let is_over = is_cut.wait_for(|is_cut| !is_cut).await.is_err();
        if is_over || write.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
