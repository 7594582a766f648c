//! A listening port: keep-alive, and an end within bounds. What is served on it, it does not know.

use std::net::SocketAddr;
use std::time::Duration;

use podway_topology_api::{Listener, Wire};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::service::Routes;
use tonic::transport::Server;

use super::arrivals::arrivals;
use super::tls::Keys;

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
pub async fn listen(
    port: &'static str,
    address: SocketAddr,
    wire: &Wire,
) -> Result<Box<dyn Listener>, PortError> {
    wire.listen(address).await.map_err(|error| PortError::Listen { port, address, error })
}

/// Serves what `routes` has on a listener, with these certificates; `None`: without TLS.
pub fn serve(port: &'static str, listener: Box<dyn Listener>, keys: Option<Keys>, routes: Routes) -> Served {
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = Server::builder()
        .max_concurrent_streams(STREAMS_A_CONNECTION)
        .http2_keepalive_interval(Some(KEEP_ALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_WITHIN))
        .add_routes(routes)
        .serve_with_incoming_shutdown(arrivals(listener, keys), async {
            let _either_way = stopped.await;
        });
    let task = tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, port, "a port is served no more");
        }
    });
    Served { stop, task }
}
