//! What monitoring reads of a running proxy. It keeps nothing alive but numbers, and changes nothing.

use std::sync::Arc;

use podway_model::Revision;

use crate::clock::Peer;
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

    /// How many microseconds this machine's clock is ahead of the topology's and of each server's, as far as they were heard of late.
    pub fn clocks(&self) -> Vec<(String, i64)> {
        let map = self.shared.map.load();
        let name = |peer| match peer {
            Peer::Topology => "topology".to_owned(),
            Peer::Server(id) => map.server(id).map_or_else(|| id.to_string(), |server| server.address()),
        };
        let offsets = self.shared.transactions.clock.offsets();
        offsets.into_iter().map(|(peer, offset)| (name(peer), offset.ahead_us)).collect()
    }

    /// How many branches of transactions were prepared on the servers when they were last looked at.
    pub fn in_doubt(&self) -> usize {
        self.shared.transactions.in_doubt().len()
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
