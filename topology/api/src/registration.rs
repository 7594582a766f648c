//! What a proxy is told when it registers and each time it reports. Nothing is sent here.

use podway_model::{ClusterSecret, HybridTime, Revision};
use serde::{Deserialize, Serialize};

use crate::{Done, Incarnation, LogTime};

/// A proxy's place in the cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registration {
    /// Its number, never used before.
    pub incarnation: Incarnation,
    /// Without a heartbeat for this long, it is shut out.
    pub lease_ms: u64,
    /// From which Podway's passwords on the servers are derived.
    pub secret: ClusterSecret,
    /// The topology's clock.
    pub at: LogTime,
}

impl Registration {
    /// From what the registering command was answered; `None` if that was another command.
    pub fn new(done: &Done, secret: ClusterSecret, at: LogTime) -> Option<Registration> {
        match *done {
            Done::Registered { incarnation, lease_ms } => {
                Some(Registration { incarnation, lease_ms, secret, at })
            }
            _ => None,
        }
    }
}

/// What a heartbeat is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeatAnswer {
    /// Whether the proxy has its lease yet; else it must stop and register again.
    pub has_lease: bool,
    /// The leader's clock when it took the heartbeat.
    pub at: LogTime,
    /// The newest revision of the map.
    pub revision: Revision,
    /// The leader's hybrid clock when it answered: later than all that it had heard.
    #[serde(default)]
    pub clock: HybridTime,
    /// The leader's own time of day, in microseconds since 1970, when the heartbeat came in and when it was answered; 0: it does not tell.
    #[serde(default)]
    pub wall_us: [u64; 2],
}
