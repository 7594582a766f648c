//! The functions and variables that only the proxy can answer, by name. Never looks at arguments.
//!
//! Read next: [`super::observe`].

use super::effects::{Effects, FunctionKind};

/// How a name must stand to be a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A keyword: quoted, it is another function; blanks may stand before the parenthesis.
    Keyword,
    /// A native function: quoted or not.
    Native,
    /// A keyword that is a call without parentheses, too.
    Bare,
}

struct Call {
    name: &'static str,
    form: Form,
    kind: FunctionKind,
}

const fn call(name: &'static str, form: Form, kind: FunctionKind) -> Call {
    Call { name, form, kind }
}

const CALLS: [Call; 19] = [
    call("CONNECTION_ID", Form::Native, FunctionKind::ConnectionId),
    call("DATABASE", Form::Keyword, FunctionKind::Database),
    call("SCHEMA", Form::Keyword, FunctionKind::Database),
    call("ROW_COUNT", Form::Keyword, FunctionKind::RowCount),
    call("FOUND_ROWS", Form::Native, FunctionKind::FoundRows),
    call("LAST_INSERT_ID", Form::Native, FunctionKind::LastInsertId),
    call("USER", Form::Keyword, FunctionKind::User),
    call("SESSION_USER", Form::Keyword, FunctionKind::User),
    call("SYSTEM_USER", Form::Keyword, FunctionKind::User),
    call("CURRENT_USER", Form::Bare, FunctionKind::CurrentUser),
    call("CURRENT_ROLE", Form::Native, FunctionKind::CurrentRole),
    call("GET_LOCK", Form::Native, FunctionKind::GetLock),
    call("RELEASE_LOCK", Form::Native, FunctionKind::ReleaseLock),
    call("RELEASE_ALL_LOCKS", Form::Native, FunctionKind::ReleaseAllLocks),
    call("IS_FREE_LOCK", Form::Native, FunctionKind::InspectLock),
    call("IS_USED_LOCK", Form::Native, FunctionKind::InspectLock),
    call("LOAD_FILE", Form::Native, FunctionKind::LoadFile),
    call("PODWAY_LAST_COMMIT", Form::Native, FunctionKind::PodwayLastCommit),
    call("PODWAY_OUTCOME", Form::Keyword, FunctionKind::PodwayOutcome),
];

/// The call that a name is, by how it stands.
pub(super) fn function(name: &[u8], quoted: bool, opens: bool) -> Option<FunctionKind> {
    let call = CALLS.iter().find(|call| call.name.as_bytes().eq_ignore_ascii_case(name))?;
    let found = match call.form {
        Form::Keyword => opens && !quoted,
        Form::Native => opens,
        Form::Bare => !quoted,
    };
    found.then_some(call.kind)
}

/// Whether the call has arguments: without them (or with them) the name is something else.
pub(super) fn takes_arguments(kind: FunctionKind) -> bool {
    use FunctionKind as F;
    matches!(
        kind,
        F::SetLastInsertId | F::GetLock | F::ReleaseLock | F::InspectLock | F::LoadFile | F::PodwayOutcome
    )
}

/// The variable behind `@@` that only the proxy can answer. `is_global`: GLOBAL or the like is written, and what a session has is not meant.
pub(super) fn variable(name: &str, is_global: bool) -> Option<FunctionKind> {
    Some(match name {
        _ if is_global && is_podways(name) => return None,
        "podway_after" => FunctionKind::PodwayAfter,
        "podway_last_commit" => FunctionKind::PodwayLastCommitVariable,
        "podway_read" => FunctionKind::PodwayRead,
        "podway_stamp_single_shard" => FunctionKind::PodwayStampSingleShard,
        "session_track_system_variables" => FunctionKind::TrackedVariables,
        "last_insert_id" => FunctionKind::LastInsertIdVariable,
        "identity" => FunctionKind::Identity,
        "warning_count" => FunctionKind::WarningCount,
        "error_count" => FunctionKind::ErrorCount,
        "pseudo_thread_id" => FunctionKind::PseudoThreadId,
        _ => return None,
    })
}

fn is_podways(name: &str) -> bool {
    name.starts_with("podway_") || name == "session_track_system_variables"
}

/// What a call means for the statement.
pub(super) fn effects(kind: FunctionKind) -> Effects {
    use FunctionKind as F;
    match kind {
        F::RowCount | F::FoundRows | F::WarningCount | F::ErrorCount => Effects::READS_DIAGNOSTICS,
        F::LastInsertId | F::LastInsertIdVariable | F::Identity => Effects::READS_LAST_INSERT_ID,
        F::SetLastInsertId => Effects::SETS_LAST_INSERT_ID,
        F::GetLock => Effects::USER_LOCKS | Effects::PINS,
        F::ReleaseLock | F::ReleaseAllLocks | F::InspectLock => Effects::USER_LOCKS,
        F::LoadFile => Effects::SERVER_FILES,
        F::ConnectionId | F::Database | F::PseudoThreadId | F::User | F::CurrentUser | F::CurrentRole => {
            Effects::empty()
        }
        F::PodwayLastCommit
        | F::PodwayOutcome
        | F::PodwayLastCommitVariable
        | F::PodwayAfter
        | F::PodwayRead
        | F::PodwayStampSingleShard
        | F::TrackedVariables => Effects::empty(),
    }
}
