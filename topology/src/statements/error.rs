//! Why a try on a target came to nothing: what the target said for good, or what may be otherwise the next time.

use mysql_async::Error;
use podway_topology_api::ServerMessage;

use crate::mover::MoveError;

/// Why a try came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum TryError {
    /// The server refused the client's statement, which has had no effect.
    #[error("{0}")]
    Refused(ServerMessage),
    /// It is tried again by itself. What was sent may have taken effect.
    #[error("{0}")]
    Later(String),
}

/// ER_CON_COUNT_ERROR, ER_SERVER_SHUTDOWN, ER_OUT_OF_RESOURCES, ER_TOO_MANY_USER_CONNECTIONS, ER_READ_ONLY_MODE and ER_OPTION_PREVENTS_STATEMENT (a primary that became a replica).
const PASSING: [u16; 6] = [1040, 1053, 1041, 1203, 1836, 1290];

/// MySQL's number and SQLSTATE of "This version of MySQL doesn't yet support …".
const NOT_SUPPORTED: (u16, &str) = (1235, "42000");

impl TryError {
    /// What the client's own session came to.
    pub fn of_client(server: &str, error: Error) -> TryError {
        match error {
            Error::Server(said) if !PASSING.contains(&said.code) => TryError::Refused(ServerMessage {
                code: said.code,
                state: said.state.into(),
                text: said.message.into(),
            }),
            error => TryError::Later(format!("server {server}: {error}")),
        }
    }

    /// What Podway itself refuses.
    pub fn unsupported(text: String) -> TryError {
        let (code, state) = NOT_SUPPORTED;
        TryError::Refused(ServerMessage { code, state: state.into(), text: text.into() })
    }
}

impl From<MoveError> for TryError {
    fn from(error: MoveError) -> TryError {
        TryError::Later(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use mysql_async::ServerError;

    use super::*;

    fn said(code: u16) -> TryError {
        let error = ServerError { code, message: "no".to_owned(), state: "HY000".to_owned() };
        TryError::of_client("a", Error::Server(error))
    }

    #[test]
    fn what_passes_by_itself_is_tried_again_and_what_a_statement_is_told_is_not() {
        for code in [1062, 1064, 1142, 1050, 1205, 1317, 1045] {
            assert!(matches!(said(code), TryError::Refused(_)), "{code}");
        }
        for code in [1040, 1053, 1290] {
            assert!(matches!(said(code), TryError::Later(_)), "{code}");
        }
    }
}
