//! What monitoring reads of a running proxy. It keeps nothing alive but numbers, and changes nothing.

use std::sync::Arc;

use podway_model::Revision;

use crate::metrics::LatencySnapshot;
use crate::session::{Measured, Shared};

/// Reads a proxy's numbers.
#[derive(Clone)]
pub struct ProxyObserver {
    shared: Arc<Shared>,
}

impl ProxyObserver {
    pub(super) fn new(shared: Arc<Shared>) -> ProxyObserver {
        ProxyObserver { shared }
    }

    /// The revision of the map that new statements take.
    pub fn revision(&self) -> Revision {
        self.shared.map.revision()
    }

    /// Every number that has no label.
    pub fn measured(&self) -> Vec<Measured> {
        self.shared.measured()
    }

    /// The latencies until now.
    pub fn latency(&self) -> LatencySnapshot {
        self.shared.metrics.latency()
    }

    /// Each server's address with its connections: open, and idle of these.
    pub fn backends(&self) -> Vec<(String, usize, usize)> {
        self.shared.pools.counts()
    }
}

impl std::fmt::Debug for ProxyObserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProxyObserver")
    }
}
