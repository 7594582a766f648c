//! Why a topology node does not start.

use crate::topology_access::AccessError;

/// Why a topology node does not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A file that was named cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The node refused what it was told, or its disk or ports refused it.
    #[error(transparent)]
    Start(#[from] podway_topology::StartError),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
