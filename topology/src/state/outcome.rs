//! What a command comes to: an answer, what watchers are told, and a sentence for the log. Nothing is decided here.

use podway_model::{Change, Revision};
use podway_topology_api::{Done, LogTime, Refusal};

/// A command that was done, or why it was not: then nothing of the state changed.
pub(super) type Outcome = Result<Effect, Refusal>;

/// What a command did.
#[derive(Debug)]
pub(super) struct Effect {
    pub(super) done: Done,
    /// What watchers are told.
    pub(super) changes: Vec<Change>,
    /// What the log of changes says; `None`: nothing worth a line.
    pub(super) what: Option<String>,
}

/// When a command is done, and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now<'a> {
    /// The log's time.
    pub(super) at: LogTime,
    /// The command's index in the log.
    pub(super) revision: Revision,
    /// Who proposed it.
    pub(super) who: &'a str,
}

impl Effect {
    /// The state was so already.
    pub(super) fn unchanged() -> Effect {
        Effect::quiet(Done::Unchanged)
    }

    /// Done, with nothing for the log.
    pub(super) fn quiet(done: Done) -> Effect {
        Effect { done, changes: Vec::new(), what: None }
    }

    /// Done, with a line for the log.
    pub(super) fn new(done: Done, changes: Vec<Change>, what: String) -> Effect {
        Effect { done, changes, what: Some(what) }
    }
}
