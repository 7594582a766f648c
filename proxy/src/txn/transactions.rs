//! What all sessions share for transactions over several servers: their names, their clock, the side connections, and which of them are ending here just now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dashmap::{DashMap, DashSet};
use podway_model::{ClusterSecret, Gtrid, Map, ServerId, Xid};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::side::{Side, SideServer};
use crate::clock::{NoStamp, Peer, StampClock, Standing};
use crate::config::{BackendLimits, Safeguards};
use crate::error::ProxyError;
use crate::metrics::Metrics;

/// In the numbers that proxies without a registration give themselves: the topology's count up from 1.
const UNREGISTERED: u32 = 1 << 31;

/// How long is waited for servers' clocks and stamps before a stamp is made.
const LISTEN: Duration = Duration::from_secs(1);

/// What all sessions share for transactions over several servers.
pub struct Transactions {
    /// Podway's own connections.
    pub side: Side,
    /// Where ids and stamps come from.
    pub clock: Arc<StampClock>,
    /// What is left out.
    pub safeguards: Safeguards,
    /// The topology's number for this proxy's registration; without a topology a random one, for the life of this process.
    identity: AtomicU32,
    sequence: AtomicU32,
    ending: Arc<DashSet<Gtrid>>,
    /// All servers were listened to once.
    listened: OnceCell<()>,
    /// Servers whose highest stamp was taken over.
    heard: DashSet<ServerId>,
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
        clock: Arc<StampClock>,
        safeguards: Safeguards,
    ) -> Transactions {
        Transactions {
            side: Side::new(limits, secret, metrics),
            clock,
            safeguards,
            identity: AtomicU32::new(rand::random::<u32>() | UNREGISTERED),
            sequence: AtomicU32::new(0),
            ending: Arc::default(),
            listened: OnceCell::new(),
            heard: DashSet::new(),
            in_doubt: DashMap::new(),
        }
    }

    /// A name that no other transaction has.
    pub fn name(&self) -> Gtrid {
        let identity = self.identity.load(Ordering::Relaxed);
        Gtrid {
            begun: self.clock.moment(),
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
        self.clock.retain(|peer| match peer {
            Peer::Topology => true,
            Peer::Server(server) => map.server(server).is_some(),
        });
    }

    /// What has to be heard before a stamp is made. Before the first one, the highest stamp of every server: whatever this proxy had stamped before it was started again is
    /// there, and its clock may have been set back since. A server that does not answer in time is heard when it does. And, after this machine's clock was set, how far it is
    /// from the participants'.
    pub async fn listen(self: &Arc<Self>, map: &Map, participants: &[SideServer]) {
        let all = || map.servers().map(|server| self.side.of(server));
        self.listened.get_or_init(|| self.listen_to(all())).await;
        if self.clock.standing() == Standing::Unmeasured {
            self.listen_to(participants.iter().cloned()).await;
        }
    }

    /// Takes the highest stamps of these servers over: what is stamped from now on comes after all that could be read there.
    pub async fn hear(
        &self,
        within: Duration,
        sides: impl Iterator<Item = SideServer>,
    ) -> Result<(), NoStamp> {
        timeout(within, self.hear_all(sides)).await.unwrap_or(Err(NoStamp::Unheard))
    }

    async fn hear_all(&self, sides: impl Iterator<Item = SideServer>) -> Result<(), NoStamp> {
        let mut asked = JoinSet::new();
        sides.for_each(|side| drop(asked.spawn(async move { side.highest().await })));
        while let Some(highest) = asked.join_next().await {
            let Ok(Ok(highest)) = highest else { return Err(NoStamp::Unheard) };
            self.clock.merge(highest);
        }
        Ok(())
    }

    async fn listen_to(self: &Arc<Self>, servers: impl Iterator<Item = SideServer>) {
        let mut asked = JoinSet::new();
        for side in servers {
            let transactions = self.clone();
            // Who does not answer in time is listened to again.
            asked.spawn(async move { timeout(LISTEN, transactions.listen_to_one(&side)).await });
        }
        while asked.join_next().await.is_some() {}
    }

    /// Compares this machine's clock with a server's, and takes the highest stamp over that it has, if this is the first that is heard of it. What comes later is found by whatever
    /// depends on it.
    pub(super) async fn listen_to_one(&self, side: &SideServer) {
        let listened = async {
            side.compare(&self.clock).await?;
            if !self.heard.contains(&side.id()) {
                self.clock.merge(side.highest().await?);
                self.heard.insert(side.id());
            }
            Ok::<_, ProxyError>(())
        };
        if let Err(error) = listened.await {
            tracing::debug!(server = side.address(), %error, "its clock and stamps could not be read");
        }
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
