//! The proxy: clients' sessions, pooled connections to the shards, and what runs a plan between them.
//!
//! Each module knows those to its left only:
//! [`error`] `metrics` `client` `operations` `clock` < `config` < `topology_watch` < `numbers` < `backend` < `txn` < `execute` < `session` < `server`.
//! It never decides where a statement goes (the router's plan says so) and never makes a map (a [`podway_topology_api::MapWatch`] brings it).

mod backend;
mod client;
mod clock;
mod config;
mod error;
mod execute;
mod metrics;
mod numbers;
mod operations;
mod server;
mod session;
mod topology_watch;
mod txn;

pub use clock::{Asked, NoStamp, Offset, Peer, StampClock, Standing, WallClock};
pub use config::{BackendLimits, ClientLimits, ProxyConfig, Safeguards, TlsFiles, TlsMode};
pub use error::{ErrorCode, ProxyError};
pub use metrics::{LatencySnapshot, MetricsSnapshot};
pub use numbers::{Claimed, LaterNumbers, NumberError, NumberSource, NumberedTable, Reserved};
pub use operations::{Declared, Later, OperationError, Operations};
pub use server::{Proxy, ProxyObserver, StartError};
pub use session::{Measured, MeasuredKind};
