//! The simulated network, as nodes and clients are told to use it. What it loses and delays, the simulation's driver decides.

use std::io;
use std::net::SocketAddr;

use futures::future::BoxFuture;
use podway_topology_api::{Connection, Listener, Network};
use turmoil::net::{TcpListener, TcpStream};

/// turmoil's network.
pub struct SimulatedNetwork;

impl Network for SimulatedNetwork {
    fn connect(&self, address: String) -> BoxFuture<'static, io::Result<Connection>> {
        Box::pin(async move { Ok(Box::new(TcpStream::connect(address).await?) as Connection) })
    }

    fn listen(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            Ok(Box::new(Port { listener, address }) as Box<dyn Listener>)
        })
    }
}

struct Port {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener for Port {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async { Ok(Box::new(self.listener.accept().await?.0) as Connection) })
    }
}
