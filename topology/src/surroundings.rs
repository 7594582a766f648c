//! What a node has from outside itself beside its disk: a network and a clock. The system's, or those of a simulation.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use podway_topology_api::Wire;

/// A node's network and clock; the default is the system's.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The network, for both of its ports and for connections to other nodes.
    pub wire: Wire,
    /// The clock of which the leader stamps entries of the log.
    pub clock: Clock,
}

/// A clock that tells the time of day.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<dyn Fn() -> u64 + Send + Sync>>);

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Clock(simulated)" } else { "Clock(system)" })
    }
}

impl Clock {
    /// A clock that tells what `now` says: milliseconds since 1970. It may jump.
    pub fn of(now: impl Fn() -> u64 + Send + Sync + 'static) -> Clock {
        Clock(Some(Arc::new(now)))
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        if let Some(now) = &self.0 {
            return now();
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
