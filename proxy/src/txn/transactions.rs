//! What all sessions share for transactions over several servers: their names, their clock, the side connections, and which of them are ending here just now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dashmap::{DashMap, DashSet};
use podway_model::{ClusterSecret, Gtrid, HybridClock, Map, ServerId, Xid};

use super::ending::wall_clock;
use super::side::Side;
use crate::config::BackendLimits;
use crate::metrics::Metrics;

/// In the numbers that proxies without a registration give themselves: the topology's count up from 1.
const UNREGISTERED: u32 = 1 << 31;

/// What all sessions share for transactions over several servers.
pub struct Transactions {
    /// Podway's own connections.
    pub side: Side,
    /// Where ids and stamps come from.
    pub clock: Arc<HybridClock>,
    /// The topology's number for this proxy's registration; without a topology a random one, for the life of this process.
    identity: AtomicU32,
    sequence: AtomicU32,
    ending: Arc<DashSet<Gtrid>>,
    /// What each server listed when it was last looked at.
    pub(super) in_doubt: DashMap<ServerId, Vec<InDoubt>>,
}

/// A prepared branch that a server lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InDoubt {
    /// Its server.
    pub server: ServerId,
    /// Which one; none: not one of ours, which is left alone.
    pub xid: Option<Xid>,
    /// For how long this proxy has seen it.
    pub seen: Duration,
    /// Whether it is being ended here just now.
    pub in_hand: bool,
    /// Whether nobody can say what becomes of it: it is older than decisions are kept, and there is none.
    pub is_too_old: bool,
}

/// Says for as long as it lives that a transaction is being ended here.
pub struct InHand {
    gtrid: Gtrid,
    ending: Arc<DashSet<Gtrid>>,
}

impl Transactions {
    /// None yet.
    pub fn new(
        limits: BackendLimits,
        secret: ClusterSecret,
        metrics: Arc<Metrics>,
        clock: Arc<HybridClock>,
    ) -> Transactions {
        Transactions {
            side: Side::new(limits, secret, metrics),
            clock,
            identity: AtomicU32::new(rand::random::<u32>() | UNREGISTERED),
            sequence: AtomicU32::new(0),
            ending: Arc::default(),
            in_doubt: DashMap::new(),
        }
    }

    /// A name that no other transaction has.
    pub fn name(&self) -> Gtrid {
        let identity = self.identity.load(Ordering::Relaxed);
        Gtrid {
            begun: self.clock.now(wall_clock()),
            node: (identity >> 16) as u16,
            incarnation: identity as u16,
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// From now on names bear this registration.
    pub fn set_incarnation(&self, incarnation: u32) {
        self.identity.store(incarnation, Ordering::Relaxed);
        self.side.set_incarnation(incarnation);
    }

    /// Brings what is kept in line with a newer map.
    pub fn reconcile(&self, map: &Map) {
        self.side.reconcile(map);
    }

    /// Says that a transaction is being ended here.
    pub fn take_in_hand(&self, gtrid: Gtrid) -> InHand {
        self.ending.insert(gtrid);
        InHand { gtrid, ending: self.ending.clone() }
    }

    /// Whether a transaction is being ended here.
    pub fn has_in_hand(&self, gtrid: Gtrid) -> bool {
        self.ending.contains(&gtrid)
    }
}

/// The registration of the proxy that a transaction is of, if it had one: its connections bear it.
pub(super) fn registration(gtrid: Gtrid) -> Option<u32> {
    let identity = u32::from(gtrid.node) << 16 | u32::from(gtrid.incarnation);
    (identity & UNREGISTERED == 0).then_some(identity)
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.ending.remove(&self.gtrid);
    }
}
