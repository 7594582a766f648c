//! A listening port: TLS, keep-alive, and an end within bounds. What is served on it, it does not know.

use std::net::SocketAddr;
use std::time::Duration;

use podway_topology_api::{Identity, Pem};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, ClientTlsConfig, Server, ServerTlsConfig};

use crate::config::{ClientListenerTls, PeerTls};

/// Requests that one connection may have under way, watches included.
const STREAMS_A_CONNECTION: u32 = 1_024;
/// A silent connection is asked for a sign so often …
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);
/// … and given up after this.
const KEEP_ALIVE_WITHIN: Duration = Duration::from_secs(5);
/// Requests under way get so long to finish when the port closes.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Why a port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The address cannot be listened on.
    #[error("{port} cannot listen on {address}: {error}")]
    Listen {
        /// Which port.
        port: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The certificate or the key is not one.
    #[error("TLS of {port}: {error}")]
    Tls {
        /// Which port.
        port: &'static str,
        /// What is wrong.
        error: String,
    },
}

/// A port that is being served.
#[derive(Debug)]
pub struct Served {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Served {
    /// Stops listening, lets requests under way finish, and leaves them after a bounded time.
    pub async fn close(self) {
        // Where the task has ended already there is nobody to tell.
        let _ended = self.stop.send(());
        let mut task = self.task;
        if timeout(CLOSE_WITHIN, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Listens on `address` without serving yet, so that a port that the system chooses is known.
pub async fn listen(port: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), PortError> {
    let failed = |error| PortError::Listen { port, address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Serves what `routes` has on a listener.
pub fn serve(
    port: &'static str,
    listener: TcpListener,
    tls: Option<ServerTlsConfig>,
    routes: Routes,
) -> Result<Served, PortError> {
    let mut server = Server::builder()
        .max_concurrent_streams(STREAMS_A_CONNECTION)
        .http2_keepalive_interval(Some(KEEP_ALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_WITHIN));
    if let Some(tls) = tls {
        server = server.tls_config(tls).map_err(|error| tls_failed(port, &error))?;
    }
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = server.add_routes(routes).serve_with_incoming_shutdown(incoming, async {
        let _either_way = stopped.await;
    });
    let task = tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, port, "a port is served no more");
        }
    });
    Ok(Served { stop, task })
}

fn tls_failed(port: &'static str, error: &tonic::transport::Error) -> PortError {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    PortError::Tls { port, error: format!("{error}{cause}") }
}

fn identity(identity: &Identity) -> tonic::transport::Identity {
    tonic::transport::Identity::from_pem(identity.certificate.as_bytes(), identity.key.as_bytes())
}

fn certificate(pem: &Pem) -> Certificate {
    Certificate::from_pem(pem.as_bytes())
}

/// The client port's TLS: a certificate is asked for where there are authorities for it, and needed where there is no token instead.
pub fn client_tls(tls: &ClientListenerTls, has_tokens: bool) -> ServerTlsConfig {
    let config = ServerTlsConfig::new().identity(identity(&tls.identity));
    match &tls.client_ca {
        Some(ca) => config.client_ca_root(certificate(ca)).client_auth_optional(has_tokens),
        None => config,
    }
}

/// The peer port's TLS, for both directions: without a certificate from the nodes' authorities there is no connection.
pub fn peer_tls(tls: &PeerTls) -> (ServerTlsConfig, ClientTlsConfig) {
    let own = identity(&tls.identity);
    let server = ServerTlsConfig::new()
        .identity(own.clone())
        .client_ca_root(certificate(&tls.ca))
        .client_auth_optional(false);
    let client = ClientTlsConfig::new().identity(own).ca_certificate(certificate(&tls.ca));
    let client = match &tls.server_name {
        Some(name) => client.domain_name(name),
        None => client,
    };
    (server, client)
}
