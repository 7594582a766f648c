//! Health and metrics over HTTP, for load balancers and Prometheus: what a proxy and a topology node say of themselves to whoever can reach the port. It reads
//! and never changes anything, and shows no secret, no statement and no row.
//!
//! Reading order: `health` (what is told, and with which status) → `page` (the metrics page) → `proxy`, `node` (who tells it) → `connection` (bounds) →
//! [`port`](ObservePort).

mod connection;
mod health;
mod node;
mod page;
mod port;
mod proxy;

pub(crate) use node::NodePages;
pub(crate) use port::ObservePort;
pub(crate) use proxy::ProxyPages;

use health::Health;

/// Who is asked.
pub(crate) trait Pages: Send + Sync + 'static {
    /// How it is.
    fn health(&self) -> Health;

    /// Its numbers, in OpenMetrics' text format.
    fn metrics(&self) -> Result<String, std::fmt::Error>;
}
