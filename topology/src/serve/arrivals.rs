//! Connections as they arrive at a port: accepted, and through their TLS handshake if the port has certificates. What is asked on them, and whether
//! it may be, it does not know.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, stream};
use podway_topology_api::{Connection, Listener};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::Connected;

use super::tls::Keys;

/// Handshakes under way at a time; whoever comes then waits in the system's queue.
const MOST_HANDSHAKES: usize = 256;
/// A handshake that takes longer is given up.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Where no connection can be taken, another is tried after this.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Who is at the other end of a connection, as far as TLS says.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The caller's own certificate, verified; `None`: it showed none.
    pub certificate: Option<CertificateDer<'static>>,
}

/// A connection on which requests may come.
pub struct Arrived {
    connection: Connection,
    caller: Caller,
}

impl Connected for Arrived {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Arrived {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(cx, into)
    }
}

impl AsyncWrite for Arrived {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }
}

/// The connections of a port, for ever.
pub fn arrivals(
    listener: Box<dyn Listener>,
    keys: Option<Keys>,
) -> impl Stream<Item = io::Result<Arrived>> + Send {
    let door = Door { listener, keys, handshakes: JoinSet::new() };
    stream::unfold(door, |mut door| async move {
        let arrived = door.next().await;
        Some((Ok(arrived), door))
    })
}

struct Door {
    listener: Box<dyn Listener>,
    keys: Option<Keys>,
    handshakes: JoinSet<Option<Arrived>>,
}

impl Door {
    async fn next(&mut self) -> Arrived {
        loop {
            let takes_more = self.handshakes.len() < MOST_HANDSHAKES;
            tokio::select! {
                biased;
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(arrived)) = done {
                        return arrived;
                    }
                }
                accepted = self.listener.accept(), if takes_more => match (accepted, &self.keys) {
                    (Ok(connection), None) => return Arrived { connection, caller: Caller::default() },
                    (Ok(connection), Some(keys)) => {
                        self.handshakes.spawn(shake_hands(connection, keys.current()));
                    }
                    (Err(error), _) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        sleep(ACCEPT_AGAIN).await;
                    }
                }
            }
        }
    }
}

async fn shake_hands(connection: Connection, config: Arc<ServerConfig>) -> Option<Arrived> {
    match timeout(HANDSHAKE_WITHIN, TlsAcceptor::from(config).accept(connection)).await {
        Ok(Ok(stream)) => {
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let caller = Caller { certificate: shown.map(|certificate| certificate.clone().into_owned()) };
            Some(Arrived { connection: Box::new(stream), caller })
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}
