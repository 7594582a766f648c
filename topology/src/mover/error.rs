//! Why a step of a move did not succeed, and whether trying again may help.

use std::time::Duration;

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// Something stands in the way that may go away.
    #[error("{0}")]
    Blocked(String),
    /// It cannot succeed as things are: somebody has to change something first.
    #[error("{0}")]
    Refused(String),
    /// A server did not do what it was told.
    #[error("server {server}: {error}")]
    Server {
        /// Its name.
        server: Box<str>,
        /// What it said, or why it was not reached.
        error: mysql_async::Error,
    },
    /// A server does not answer.
    #[error("server {server} does not answer within {waited:?}")]
    Silent {
        /// Its name.
        server: Box<str>,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A later leader has the server.
    #[error("a later leader of the topology works on server {server}")]
    Ousted {
        /// The server's name.
        server: Box<str>,
    },
}

/// ER_CON_COUNT_ERROR, ER_SERVER_SHUTDOWN, ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK, ER_OPTION_PREVENTS_STATEMENT, ER_QUERY_INTERRUPTED, ER_QUERY_TIMEOUT.
const PASSING: [u16; 7] = [1040, 1053, 1205, 1213, 1290, 1317, 3024];

impl MoveError {
    /// Whether the same step may succeed later without anybody doing anything about it.
    pub fn may_pass(&self) -> bool {
        match self {
            MoveError::Blocked(_) | MoveError::Silent { .. } | MoveError::Ousted { .. } => true,
            MoveError::Refused(_) => false,
            MoveError::Server { error: mysql_async::Error::Server(refused), .. } => {
                PASSING.contains(&refused.code)
            }
            MoveError::Server { .. } => true,
        }
    }

    /// MySQL's number, if a server refused something.
    pub fn code(&self) -> Option<u16> {
        match self {
            MoveError::Server { error: mysql_async::Error::Server(refused), .. } => Some(refused.code),
            _ => None,
        }
    }

    /// Whether the server could not be reached, or was lost on the way.
    pub fn is_away(&self) -> bool {
        match self {
            MoveError::Silent { .. } => true,
            MoveError::Server { error, .. } => !matches!(error, mysql_async::Error::Server(_)),
            MoveError::Blocked(_) | MoveError::Refused(_) | MoveError::Ousted { .. } => false,
        }
    }
}
