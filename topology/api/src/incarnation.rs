//! Numbers and times that the topology hands out. Nothing is counted here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One registration of a proxy; never used again. Transaction ids and clock ids are built on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u32);

/// Milliseconds since 1970 as the leader's clock had them when it proposed; within the log they never fall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogTime(pub u64);

/// A leader of the topology, by its Raft term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Term(pub u64);

/// How long the leader may wait between two commands with heartbeats. A longer gap counts as time in which no proxy could be heard.
pub const BEAT_GAP_MS: u64 = 2_000;

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy incarnation {}", self.0)
    }
}
