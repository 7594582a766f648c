//! Prepared branches that nobody finishes, found and finished: every proxy looks at every server. Which of them gets there first does not matter; what the
//! row at the primary says is the same for all.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use podway_model::{Gtrid, Map, Server, ServerId, Xid};
use tokio::task::{Id, JoinSet};
use tokio::time::sleep;

use super::coordinator::{Resolve, ResolveAction, ResolveEvent, Ruling};
use super::ending::wall_clock;
use super::side::{Listed, RETENTION, SideServer};
use super::transactions::{InDoubt, Transactions, registration};
use crate::error::ProxyError;
use crate::topology_watch::CurrentMap;

/// The pause between two looks at all servers.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often old decisions are looked for; the first time when all servers have first answered.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// What is known of one server's branches.
#[derive(Default)]
struct Known {
    branches: BTreeMap<Xid, (Resolve, Duration)>,
    /// Whether it listed its branches when it was last asked.
    has_answered: bool,
}

impl Transactions {
    /// Looks at each server again and again. A server that is slow, or away, holds up nobody else's branches.
    pub async fn resolve_for_ever(self: Arc<Self>, map: LiveMap) {
        let begun = Instant::now();
        let mut known: BTreeMap<ServerId, Known> = BTreeMap::new();
        let mut looks = JoinSet::new();
        let mut under_way: BTreeMap<Id, ServerId> = BTreeMap::new();
        let mut forgot: Option<Instant> = None;
        loop {
            sleep(LOOK_EVERY).await;
            while let Some(looked) = looks.try_join_next_with_id() {
                match looked {
                    Ok((id, (server, of_server))) => {
                        under_way.remove(&id);
                        known.insert(server, of_server);
                    }
                    // It begins anew.
                    Err(error) => drop(under_way.remove(&error.id())),
                }
            }
            let Some(newest) = map() else { continue };
            self.in_doubt.retain(|server, _| newest.server(*server).is_some());
            let has_answered =
                |server: &Arc<Server>| known.get(&server.id).is_some_and(|known| known.has_answered);
            if under_way.is_empty()
                && newest.servers().all(has_answered)
                && forgot.is_none_or(|at| at.elapsed() > FORGET_EVERY)
            {
                forgot = Some(Instant::now());
                let listed =
                    known.values().flat_map(|known| known.branches.keys()).map(|xid| xid.gtrid).collect();
                self.forget(&newest, &listed).await;
            }
            for server in newest.servers() {
                if under_way.values().any(|busy| *busy == server.id) {
                    continue;
                }
                let of_server = known.remove(&server.id).unwrap_or_default();
                let look =
                    Look { transactions: self.clone(), map: map.clone(), side: self.side.of(server), begun };
                let task = looks.spawn(async move { (look.side.id(), look.at(of_server).await) });
                under_way.insert(task.id(), server.id);
            }
        }
    }

    /// Deletes old decisions that no server can ask for any more, and old marks.
    async fn forget(&self, map: &Map, listed: &BTreeSet<Gtrid>) {
        for server in map.servers() {
            let side = self.side.of(server);
            if let Err(error) = side.forget(listed).await {
                tracing::warn!(server = side.address(), %error, "old decisions could not be deleted");
            }
        }
    }

    /// The prepared branches that were seen when servers were last looked at.
    pub fn in_doubt(&self) -> Vec<InDoubt> {
        let mut all: Vec<InDoubt> = self.in_doubt.iter().flat_map(|seen| seen.clone()).collect();
        all.sort_by_key(|branch| (branch.xid, branch.server));
        all
    }
}

/// The newest map; none while nobody says that it is the newest: who cannot hear of a newer one must not ask a server that may be the primary no longer.
pub type LiveMap = Arc<dyn Fn() -> Option<Arc<Map>> + Send + Sync>;

/// One look at one server.
struct Look {
    transactions: Arc<Transactions>,
    map: LiveMap,
    side: SideServer,
    begun: Instant,
}

impl Look {
    async fn at(&self, mut known: Known) -> Known {
        let listed = match self.side.prepared().await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::debug!(server = self.side.address(), %error, "its prepared branches could not be listed");
                return Known { has_answered: false, ..known };
            }
        };
        known.has_answered = true;
        let now = self.begun.elapsed();
        let ours: Vec<Xid> = listed
            .iter()
            .filter_map(|one| if let Listed::Ours(xid) = one { Some(*xid) } else { None })
            .collect();
        known.branches.retain(|xid, (resolve, _)| {
            let is_listed = ours.contains(xid);
            if !is_listed
                && let Some(ResolveAction::Resolved(Some(ruling))) = resolve.on(ResolveEvent::Unlisted)
            {
                self.tell(*xid, ruling);
            }
            is_listed
        });
        let foreign = listed.len() - ours.len();
        let in_hand: Vec<(Xid, bool)> =
            ours.into_iter().map(|xid| (xid, self.transactions.has_in_hand(xid.gtrid))).collect();
        for (xid, in_hand) in &in_hand {
            match known.branches.entry(*xid) {
                Entry::Vacant(entry) => drop(entry.insert((Resolve::new(*xid, now), now))),
                // Its patience begins when its coordinator here has left it.
                Entry::Occupied(mut entry) if *in_hand => drop(entry.insert((Resolve::new(*xid, now), now))),
                Entry::Occupied(_) => {}
            }
        }
        self.show(&known, &in_hand, foreign, now);
        self.resolve(&mut known, &in_hand, now).await;
        self.show(&known, &in_hand, foreign, now);
        known
    }

    /// What people see of it.
    fn show(&self, known: &Known, ours: &[(Xid, bool)], foreign: usize, now: Duration) {
        let server = self.side.id();
        let of = |(xid, in_hand): &(Xid, bool)| {
            let (resolve, since) = known.branches.get(xid)?;
            let seen = now.saturating_sub(*since);
            Some(InDoubt {
                server,
                xid: Some(*xid),
                seen,
                in_hand: *in_hand,
                is_too_old: resolve.is_too_old(),
            })
        };
        let other = InDoubt { server, xid: None, seen: Duration::ZERO, in_hand: false, is_too_old: false };
        let seen = ours.iter().filter_map(of).chain(std::iter::repeat_n(other, foreign)).collect();
        self.transactions.in_doubt.insert(server, seen);
    }

    /// Finishes what nobody has in hand, as far as it is time.
    async fn resolve(&self, known: &mut Known, ours: &[(Xid, bool)], now: Duration) {
        // One primary that is away is not waited for again for each of its branches.
        let mut away: BTreeSet<ServerId> = BTreeSet::new();
        let mut proxies = Proxies::default();
        for (xid, _) in ours.iter().filter(|(_, in_hand)| !in_hand) {
            let Some((resolve, _)) = known.branches.get_mut(xid) else { continue };
            if away.contains(&xid.branch.primary) {
                continue;
            }
            let was_too_old = resolve.is_too_old();
            let mut action = resolve.on(ResolveEvent::Listed { now });
            if action.is_none() && resolve.is_patient() && self.is_left(*xid, &mut proxies).await {
                action = resolve.on(ResolveEvent::Left);
            }
            while let Some(next) = action {
                let event = self.act(resolve.xid(), next).await;
                if next == ResolveAction::Ask && event == ResolveEvent::Failed {
                    away.insert(xid.branch.primary);
                }
                action = resolve.on(event);
            }
            if resolve.is_too_old() && !was_too_old {
                let server = self.side.address();
                tracing::error!(server, transaction = %xid.gtrid, "a prepared branch is older than decisions are kept, and its primary has none: nobody can say what becomes of it (podway txn show)");
            }
        }
    }

    /// Whether the proxy of a branch is gone: its registration has no connection that rests here, nor one to the primary. One that is stopped, or out of touch, has.
    async fn is_left(&self, xid: Xid, proxies: &mut Proxies) -> bool {
        let Some(registration) = registration(xid.gtrid) else { return false };
        let primary = (self.map)().and_then(|map| map.server(xid.branch.primary).cloned());
        let Some(primary) = primary.map(|primary| self.transactions.side.of(&primary)) else { return false };
        for server in [&self.side, &primary] {
            if proxies.may_have(server, registration).await {
                return false;
            }
        }
        true
    }

    async fn act(&self, xid: Xid, action: ResolveAction) -> ResolveEvent {
        let done = match action {
            ResolveAction::Ask => {
                let Some(map) = (self.map)() else { return ResolveEvent::Failed };
                let Some(primary) = map.server(xid.branch.primary) else { return ResolveEvent::Failed };
                let primary = self.transactions.side.of(primary);
                match self.ask(&primary, xid).await {
                    Ok(Some(ruling)) => return ResolveEvent::Ruled(ruling),
                    Ok(None) => return ResolveEvent::TooOld,
                    Err(error) => Err(error),
                }
            }
            ResolveAction::Floor(stamp) => self.side.floor(xid.gtrid, stamp).await,
            ResolveAction::Commit => self.side.finish(xid, true).await,
            ResolveAction::RollBack => self.side.finish(xid, false).await,
            ResolveAction::Resolved(_) => Ok(()),
        };
        match done {
            Ok(()) => ResolveEvent::Done,
            Err(error) => {
                self.failed(xid, &error);
                ResolveEvent::Failed
            }
        }
    }

    /// What the primary says. Of a transaction that began before decisions are kept there may have been one: that there is none says nothing.
    async fn ask(&self, primary: &SideServer, xid: Xid) -> Result<Option<Ruling>, ProxyError> {
        let age = wall_clock().saturating_sub(xid.gtrid.begun.since_1970());
        if age > RETENTION {
            return primary.decided(xid.gtrid).await;
        }
        let parts = podway_model::parts_text(xid.branch.primary, [xid.branch.server]);
        primary.rule(xid.gtrid, &parts).await.map(Some)
    }

    fn failed(&self, xid: Xid, error: &ProxyError) {
        let server = self.side.address();
        tracing::warn!(server, transaction = %xid.gtrid, %error, "a prepared branch could not be resolved yet");
    }

    fn tell(&self, xid: Xid, ruling: Ruling) {
        let server = self.side.address();
        let what = if matches!(ruling, Ruling::Committed(_)) { "committed" } else { "rolled back" };
        tracing::info!(server, transaction = %xid.gtrid, "a branch that its proxy had left was {what}");
    }
}

/// The registrations that have connections to servers, each server asked once.
#[derive(Default)]
struct Proxies(BTreeMap<ServerId, Option<BTreeSet<u32>>>);

impl Proxies {
    /// Whether this one may have a connection there: that it has none is certain only where the server says so.
    async fn may_have(&mut self, server: &SideServer, registration: u32) -> bool {
        if let Entry::Vacant(entry) = self.0.entry(server.id()) {
            entry.insert(server.connected().await.ok().flatten());
        }
        let connected = self.0.get(&server.id()).and_then(Option::as_ref);
        connected.is_none_or(|connected| connected.contains(&registration))
    }
}

/// The map for those who may act on it: none while nobody says that it is the newest.
pub fn live(map: &CurrentMap) -> Option<Arc<Map>> {
    map.is_live().then(|| map.load())
}
