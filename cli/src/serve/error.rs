//! Why a cluster file is refused, and why a proxy does not start from it.

use std::io;
use std::path::PathBuf;

use podway_model::{KeyspaceError, MapError, Name};
use podway_topology_api::{ProposeError, StoreError};

use crate::provision::ProvisionError;
use crate::topology_access::AccessError;

/// What is wrong with what was typed.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A file cannot be read, or the secret's not be made.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The cluster file is not one.
    #[error("{path}: {error}", path = path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and what.
        error: Box<toml::de::Error>,
    },
    /// A limit is not one.
    #[error("limit {text:?}: {reason}")]
    Limit {
        /// As typed.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The secret is too short to keep passwords secret.
    #[error("{path} holds {bytes} bytes, and a cluster's secret needs 32; remove it, and a good one is made", path = path.display())]
    ShortSecret {
        /// The file.
        path: PathBuf,
        /// How many bytes it holds.
        bytes: usize,
    },
    /// A part of the file says something that cannot be.
    #[error("{part}: {reason}")]
    Part {
        /// For example `servers.a`.
        part: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
}

/// Why a proxy does not start, or does not take over a newer cluster file.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What was typed cannot be.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A server refused something, or has something that cannot be served.
    #[error("server {server}: {error}")]
    OnServer {
        /// Its name in the cluster file.
        server: String,
        /// What is wrong.
        error: Box<ProvisionError>,
    },
    /// A server is not one to serve from.
    #[error("server {server}: {reason}")]
    Unfit {
        /// Its name in the cluster file.
        server: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The shards make no keyspace.
    #[error(transparent)]
    Keyspace(#[from] KeyspaceError),
    /// The keyspaces and servers make no map.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The newer file would have rows looked for where they are not.
    #[error("keyspace {keyspace}: {reason}; nothing was changed: move the rows, then start the proxy again")]
    RowsWouldBeLost {
        /// The keyspace.
        keyspace: Name,
        /// What changed.
        reason: String,
    },
    /// The way to the topology cannot be.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The topology did not answer.
    #[error(transparent)]
    Topology(#[from] StoreError),
    /// The topology did not register the proxy.
    #[error("the topology does not register this proxy: {0}")]
    Register(#[from] ProposeError),
    /// The proxy did not start.
    #[error(transparent)]
    Proxy(#[from] podway_proxy::StartError),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl PlanError {
    /// Something in a part of the file that cannot be.
    pub(super) fn part(part: impl Into<String>, reason: impl Into<String>) -> PlanError {
        PlanError::Part { part: part.into(), reason: reason.into() }
    }
}

impl ServeError {
    /// For `map_err`: says at which server it was.
    pub(super) fn at(server: &str) -> impl Fn(ProvisionError) -> ServeError {
        move |error| ServeError::OnServer { server: server.to_owned(), error: Box::new(error) }
    }

    /// A server that is not one to serve from.
    pub(super) fn unfit(server: &str, reason: impl Into<String>) -> ServeError {
        ServeError::Unfit { server: server.to_owned(), reason: reason.into() }
    }
}
