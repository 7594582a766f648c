//! How a [`StoreError`] travels: as a gRPC status and back. Both sides use it, so that they cannot differ.

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Status};

use crate::StoreError;

/// The metadata in which a node that cannot help names the leader's address.
pub const LEADER_HINT: &str = "podway-leader";

/// A status as a caller gets it.
pub fn to_status(error: &StoreError) -> Status {
    let code = match error {
        StoreError::Away { .. } => Code::Unavailable,
        StoreError::NotLetIn(_) => Code::Unauthenticated,
        StoreError::NotAllowed(_) => Code::PermissionDenied,
        StoreError::TooSlow => Code::OutOfRange,
        StoreError::Members(_) => Code::FailedPrecondition,
        StoreError::Garbled(_) => Code::InvalidArgument,
    };
    let text = match error {
        StoreError::Away { last, .. } => last.clone(),
        StoreError::NotLetIn(text)
        | StoreError::NotAllowed(text)
        | StoreError::Members(text)
        | StoreError::Garbled(text) => text.clone(),
        StoreError::TooSlow => error.to_string(),
    };
    Status::new(code, text)
}

/// What a status says; `waited` is how long it was tried in all.
pub fn from_status(status: &Status, waited: Duration) -> StoreError {
    let text = status.message().to_owned();
    match status.code() {
        // A status with a cause was made on this side, of a connection that failed: HTTP/2's "calm down" would read as an answer otherwise.
        _ if std::error::Error::source(status).is_some() => {
            StoreError::Away { waited, last: describe(status) }
        }
        Code::Unauthenticated => StoreError::NotLetIn(text),
        Code::PermissionDenied => StoreError::NotAllowed(text),
        Code::OutOfRange => StoreError::TooSlow,
        Code::FailedPrecondition => StoreError::Members(text),
        Code::InvalidArgument | Code::Unimplemented | Code::ResourceExhausted => StoreError::Garbled(text),
        _ => StoreError::Away { waited, last: describe(status) },
    }
}

/// Whether another node, or the same one later, may answer.
pub fn is_worth_another_try(status: &Status) -> bool {
    matches!(from_status(status, Duration::ZERO), StoreError::Away { .. })
}

/// With the leader's address, if it is known.
pub fn with_hint(mut status: Status, leader: Option<&str>) -> Status {
    let value = leader.and_then(|address| MetadataValue::<Ascii>::try_from(address).ok());
    if let Some(value) = value {
        status.metadata_mut().insert(LEADER_HINT, value);
    }
    status
}

/// The leader's address, if the status names it.
pub fn hint(status: &Status) -> Option<&str> {
    status.metadata().get(LEADER_HINT)?.to_str().ok()
}

/// A status with its causes: tonic's own texts ("transport error") do not say what went wrong.
pub fn describe(status: &Status) -> String {
    let mut text =
        if status.message().is_empty() { status.code().to_string() } else { status.message().to_owned() };
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_survive_the_way() {
        let waited = Duration::from_secs(1);
        for error in [
            StoreError::Away { waited, last: "no leader".to_owned() },
            StoreError::NotLetIn("no token".to_owned()),
            StoreError::NotAllowed("it needs the right `admin`".to_owned()),
            StoreError::TooSlow,
            StoreError::Members("node 3 does not answer".to_owned()),
            StoreError::Garbled("what?".to_owned()),
        ] {
            let status = to_status(&error);
            assert_eq!(from_status(&status, waited), error);
            let is_away = matches!(error, StoreError::Away { .. });
            assert_eq!(is_worth_another_try(&status), is_away, "{error:?}");
        }
    }

    #[test]
    fn a_hint_names_the_leader() {
        let status = with_hint(Status::unavailable("not here"), Some("n2:7400"));
        assert_eq!(hint(&status), Some("n2:7400"));
        assert_eq!(hint(&with_hint(Status::unavailable("no leader"), None)), None);
    }
}
