//! Why a demo ends before its user wants it to.

use std::io;

use podway_topology::PlacementError;
use podway_topology_api::{ProposeError, StoreError};

use super::layout::LayoutError;
use crate::local_mysql::{FindError, ServerError};
use crate::provision::ProvisionError;

/// Why a demo did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// There is no MySQL to start.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A server did not start or stop.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The data directory is not one to use.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// No placement of the shards could be proposed.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// A server could not be prepared.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The topology did not start.
    #[error("the topology: {0}")]
    Node(#[from] podway_topology::StartError),
    /// The topology did not answer.
    #[error("the topology: {0}")]
    Store(#[from] StoreError),
    /// The topology refused what the demo asked of it.
    #[error("the topology refuses: {0}; if this data directory was used otherwise, name another --data-dir")]
    Propose(#[from] ProposeError),
    /// The proxy did not start.
    #[error(transparent)]
    Proxy(#[from] podway_proxy::StartError),
    /// A statement of the demo's own failed.
    #[error("{doing}: {error}")]
    Statement {
        /// What the statement was for.
        doing: String,
        /// What the server or the proxy said.
        error: mysql_async::Error,
    },
    /// The bank's sum is not what it is to be.
    #[error("{0}")]
    Bank(String),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl DemoError {
    /// For `map_err`: says what the failed statement was for.
    pub(super) fn doing<T: Into<String>>(what: T) -> impl FnOnce(mysql_async::Error) -> DemoError {
        move |error| DemoError::Statement { doing: what.into(), error }
    }
}
