//! How questions reach a node: the port for clients and the port for other nodes, and who is let in. What the answers are is
//! [`keeper`](crate::keeper)'s business.

mod access;
mod arrivals;
mod clients;
mod peers;
mod port;
mod rights;
pub mod tls;

pub use access::Access;
pub use clients::ClientPort;
pub use peers::PeerPort;
pub use port::{PortError, Served, listen, serve};
