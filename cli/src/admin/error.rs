//! Why an administrative command did not do what it was asked, and the exit code that says so to scripts.

use podway_topology_api::{ProposeError, Refusal, StoreError};

use crate::provision::ProvisionError;
use crate::serve::{PlanError, ServeError};
use crate::topology_access::AccessError;

/// Why an administrative command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// What was typed cannot be.
    #[error("{0}")]
    Usage(String),
    /// The way to the topology cannot be.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A cluster file cannot be.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The topology said no, and nothing changed.
    #[error("{0}")]
    Refused(String),
    /// The topology did not answer.
    #[error("{error}; is `podway topology` running at {addresses}? (--topology or PODWAY_TOPOLOGY names it)")]
    Away {
        /// What was heard.
        error: StoreError,
        /// Where it was looked for.
        addresses: String,
    },
    /// The topology answered, but not like this.
    #[error(transparent)]
    Store(StoreError),
    /// A server refused something.
    #[error("server {server}: {error}")]
    OnServer {
        /// Its name.
        server: String,
        /// What it said.
        error: Box<ProvisionError>,
    },
    /// Accounts could not be adopted.
    #[error(transparent)]
    Adopt(#[from] ServeError),
    /// Something could not be written or read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl AdminError {
    /// 2 for what should have been typed otherwise, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            AdminError::Usage(_) | AdminError::Access(_) | AdminError::Plan(_) => 2,
            _ => 1,
        }
    }

    /// For `map_err`: says at which server it was.
    pub(super) fn at(server: &str) -> impl Fn(ProvisionError) -> AdminError {
        move |error| AdminError::OnServer { server: server.to_owned(), error: Box::new(error) }
    }

    /// Something is not done, and why.
    pub(super) fn refused(reason: impl Into<String>) -> AdminError {
        AdminError::Refused(reason.into())
    }
}

impl From<Refusal> for AdminError {
    fn from(refusal: Refusal) -> AdminError {
        AdminError::Refused(refusal.to_string())
    }
}

impl From<ProposeError> for AdminError {
    fn from(error: ProposeError) -> AdminError {
        match error {
            ProposeError::Refused(refusal) => refusal.into(),
            ProposeError::Store(error) => AdminError::Store(error),
        }
    }
}
