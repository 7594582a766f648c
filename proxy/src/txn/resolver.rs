//! Prepared branches that nobody finishes, found and finished: every proxy looks at every server. Which of them gets there first does not matter; what the
//! row at the primary says is the same for all.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use podway_model::{Gtrid, Map, Server, ServerId, Xid};
use tokio::task::{Id, JoinSet};
use tokio::time::sleep;

use super::coordinator::{Resolve, ResolveAction, ResolveEvent, Ruling};
use super::side::{Listed, RETENTION, SideServer};
use super::transactions::{InDoubt, Transactions, registration};
use crate::error::ProxyError;
use crate::topology_watch::CurrentMap;

/// From one look at a server to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The same while it lists a branch of another proxy's: that may have been left a moment ago, with connections that the server has not missed yet.
const LOOK_SOON: Duration = Duration::from_millis(500);
/// The same while it lists one that was there the last time too …
const LOOK_AT_ONCE: Duration = Duration::from_millis(250);
/// … for so long: after that it waits for a server that is away, or for people.
const HURRIED: Duration = Duration::from_secs(10);
/// How many of a server's branches that have one primary are worked on at a time: one that waits for a lock there does not hold up all others.
const AT_A_TIME: usize = 2;
/// How often old decisions are looked for; the first time when all servers have first answered.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// What is known of one server's branches.
#[derive(Default)]
struct Known {
    branches: BTreeMap<Xid, (Resolve, Duration)>,
    /// Whether it listed its branches when it was last asked.
    has_answered: bool,
    /// When it is to be looked at again, counted from when the looking began.
    again: Duration,
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
            sleep(LOOK_AT_ONCE).await;
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
                let is_early = known.get(&server.id).is_some_and(|known| known.again > begun.elapsed());
                if is_early || under_way.values().any(|busy| *busy == server.id) {
                    continue;
                }
                let of_server = known.remove(&server.id).unwrap_or_default();
                let look = Arc::new(Look {
                    transactions: self.clone(),
                    map: map.clone(),
                    side: self.side.of(server),
                    begun,
                });
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
    async fn at(self: &Arc<Self>, mut known: Known) -> Known {
        let begun = self.begun.elapsed();
        known.again = begun + LOOK_EVERY;
        let listed = match self.side.prepared().await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::debug!(server = self.side.address(), %error, "its prepared branches could not be listed");
                return Known { has_answered: false, ..known };
            }
        };
        known.has_answered = true;
        let now = self.begun.elapsed();
        let before: BTreeSet<Xid> = known.branches.keys().copied().collect();
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
        self.transactions.listen_to_one(&self.side).await;
        let others = in_hand.iter().filter(|(_, in_hand)| !in_hand).filter_map(|(xid, _)| {
            let (resolve, since) = known.branches.get(xid)?;
            (!resolve.is_too_old() && now.saturating_sub(*since) < HURRIED).then_some(before.contains(xid))
        });
        let pause = others.map(|is_known| if is_known { LOOK_AT_ONCE } else { LOOK_SOON }).min();
        known.again = begun + pause.unwrap_or(LOOK_EVERY);
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
    async fn resolve(self: &Arc<Self>, known: &mut Known, ours: &[(Xid, bool)], now: Duration) {
        let mut proxies = Proxies::default();
        let mut waiting = Vec::new();
        for (xid, _) in ours.iter().filter(|(_, in_hand)| !in_hand) {
            let Some((resolve, _)) = known.branches.get_mut(xid) else { continue };
            let was_too_old = resolve.is_too_old();
            let mut action = resolve.on(ResolveEvent::Listed { now });
            if action.is_none() && resolve.is_patient() && self.is_left(*xid, &mut proxies).await {
                action = resolve.on(ResolveEvent::Left);
            }
            waiting.extend(action.map(|action| (resolve.clone(), action, was_too_old)));
        }
        // One primary that is away is not waited for again for each of its branches.
        let away: Arc<Mutex<BTreeSet<ServerId>>> = Arc::default();
        let (mut work, mut busy) = (JoinSet::new(), BTreeMap::new());
        loop {
            let primary = |one: &(Resolve, ResolveAction, bool)| one.0.xid().branch.primary;
            while let Some(at) =
                waiting.iter().position(|one| *busy.entry(primary(one)).or_insert(0) < AT_A_TIME)
            {
                let (resolve, action, was_too_old) = waiting.remove(at);
                *busy.entry(resolve.xid().branch.primary).or_insert(0) += 1;
                let (look, away) = (self.clone(), away.clone());
                work.spawn(async move { (look.finish(resolve, action, &away).await, was_too_old) });
            }
            let Some(finished) = work.join_next().await else { break };
            let Ok((resolve, was_too_old)) = finished else {
                // It panicked, which is logged there, and nobody knows where it was: all begin anew.
                known.branches.clear();
                break;
            };
            let xid = resolve.xid();
            busy.entry(xid.branch.primary).and_modify(|count| *count -= 1);
            if resolve.is_too_old() && !was_too_old {
                let server = self.side.address();
                tracing::error!(server, transaction = %xid.gtrid, "a prepared branch is older than decisions are kept, and its primary has none: nobody can say what becomes of it (podway txn show)");
            }
            if let Some((known, _)) = known.branches.get_mut(&xid) {
                *known = resolve;
            }
        }
    }

    /// Does what there is to do about one branch now.
    async fn finish(
        &self,
        mut resolve: Resolve,
        first: ResolveAction,
        away: &Mutex<BTreeSet<ServerId>>,
    ) -> Resolve {
        let xid = resolve.xid();
        let mut action = Some(first);
        while let Some(next) = action {
            let is_away = next == ResolveAction::Ask && away.lock().contains(&xid.branch.primary);
            let done = if is_away { Err(Unanswered::Away) } else { self.act(xid, next).await };
            if next == ResolveAction::Ask && done == Err(Unanswered::Away) {
                away.lock().insert(xid.branch.primary);
            }
            action = resolve.on(done.unwrap_or(ResolveEvent::Failed));
        }
        resolve
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

    async fn act(&self, xid: Xid, action: ResolveAction) -> Result<ResolveEvent, Unanswered> {
        let done = match action {
            ResolveAction::Ask => {
                let map = (self.map)().ok_or(Unanswered::Away)?;
                let primary = map.server(xid.branch.primary).ok_or(Unanswered::Away)?;
                let primary = self.transactions.side.of(primary);
                match self.ask(&primary, xid).await {
                    Ok(Some(ruling)) => return Ok(ResolveEvent::Ruled(ruling)),
                    Ok(None) => return Ok(ResolveEvent::TooOld),
                    Err(error) => Err(error),
                }
            }
            ResolveAction::Floor(_) if !self.transactions.safeguards.has_floors => Ok(()),
            ResolveAction::Floor(stamp) => self.side.floor(xid.gtrid, stamp).await,
            ResolveAction::Commit => self.side.finish(xid, true).await,
            ResolveAction::RollBack => self.side.finish(xid, false).await,
            ResolveAction::Resolved(_) => Ok(()),
        };
        done.map(|()| ResolveEvent::Done).map_err(|error| {
            self.failed(xid, &error);
            // Such as that it waits for a lock of this branch's own decision.
            if matches!(error, ProxyError::Server(_)) { Unanswered::Refused } else { Unanswered::Away }
        })
    }

    /// What the primary says. Of a transaction that began before decisions are kept there may have been one: that there is none says nothing.
    async fn ask(&self, primary: &SideServer, xid: Xid) -> Result<Option<Ruling>, ProxyError> {
        let age = self.transactions.clock.believed().saturating_sub(xid.gtrid.begun.since_1970());
        if age > RETENTION {
            return primary.decided(xid.gtrid).await;
        }
        if !self.transactions.safeguards.has_tombstones {
            return primary.decided(xid.gtrid).await.map(|ruling| ruling.or(Some(Ruling::Aborted)));
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

/// Why something could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unanswered {
    /// The server said no, about this branch.
    Refused,
    /// It does not answer anybody.
    Away,
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
