//! The network as the topology's nodes and clients see it: the system's sockets, or what a simulation puts in their place. It knows bytes alone.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;

/// A connection: bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Duplex for T {}

/// A connection of whatever kind.
pub type Connection = Box<dyn Duplex>;

/// A port that takes connections.
pub trait Listener: Send + 'static {
    /// Where it listens.
    fn address(&self) -> SocketAddr;

    /// The next connection. Safe to cancel.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>>;
}

/// A network that is not the system's.
pub trait Network: Send + Sync + 'static {
    /// Connects to `host:port`.
    fn connect(&self, address: String) -> BoxFuture<'static, io::Result<Connection>>;

    /// Listens.
    fn listen(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listener>>>;
}

/// Which network is used. Clones are the same network.
#[derive(Clone, Default)]
pub struct Wire(Option<Arc<dyn Network>>);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Wire(simulated)" } else { "Wire(system)" })
    }
}

impl Wire {
    /// Uses `network` in the place of the system's sockets.
    pub fn over(network: impl Network) -> Wire {
        Wire(Some(Arc::new(network)))
    }

    /// Listens on an address; port 0: the network chooses.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        if let Some(network) = &self.0 {
            return network.listen(address).await;
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Box::new(Socket { listener, address }))
    }

    /// Makes gRPC channels connect over this network, if it is not the system's.
    pub fn dial(&self) -> Option<Dial> {
        self.0.clone().map(Dial)
    }
}

struct Socket {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener for Socket {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async {
            let (stream, _) = self.listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Connection)
        })
    }
}

/// Connects gRPC channels over a [`Network`].
#[derive(Clone)]
pub struct Dial(Arc<dyn Network>);

impl Service<Uri> for Dial {
    type Response = TokioIo<Connection>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Connection>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let address = uri.authority().map(|authority| authority.to_string()).unwrap_or_default();
        let connecting = self.0.connect(address);
        Box::pin(async move { Ok(TokioIo::new(connecting.await?)) })
    }
}
