//! The last changes, with who and when: for people, never for deciding.

use std::collections::VecDeque;

use podway_topology_api::Logged;
use serde::{Deserialize, Serialize};

use super::names::{clipped, sentence};
use super::outcome::Now;

/// How many changes are remembered.
pub(super) const LOG_LENGTH: usize = 1_000;

/// The last changes, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct ChangeLog(VecDeque<Logged>);

impl ChangeLog {
    pub(super) fn push(&mut self, now: &Now<'_>, what: &str) {
        if self.0.len() == LOG_LENGTH {
            self.0.pop_front();
        }
        self.0.push_back(Logged {
            revision: now.revision,
            at: now.at,
            who: clipped(now.who),
            what: sentence(what),
        });
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &Logged> {
        self.0.iter()
    }
}
