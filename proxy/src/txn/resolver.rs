//! Prepared branches that nobody finishes, found and finished: every proxy looks at every server. Which of them gets there first does not matter; what the
//! row at the primary says is the same for all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use podway_model::{Map, ServerId};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::coordinator::{Gtrid, Resolve, ResolveAction, ResolveEvent, Ruling, Xid};
use super::side::{Listed, SideServer};
use super::transactions::{InDoubt, Transactions};
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
    /// Looks at all servers again and again.
    pub async fn resolve_for_ever(self: Arc<Self>, map: Arc<dyn Fn() -> Option<Arc<Map>> + Send + Sync>) {
        let begun = Instant::now();
        let mut known: BTreeMap<ServerId, Known> = BTreeMap::new();
        let mut forgot: Option<Instant> = None;
        loop {
            sleep(LOOK_EVERY).await;
            // Who cannot hear of a newer map must not ask a server that may be the primary no longer.
            let Some(map) = map() else { continue };
            let mut looks = JoinSet::new();
            for server in map.servers() {
                let look =
                    Look { transactions: self.clone(), map: map.clone(), side: self.side.of(server), begun };
                let known = known.remove(&server.id).unwrap_or_default();
                looks.spawn(async move { (look.side.id(), look.at(known).await) });
            }
            known = BTreeMap::new();
            while let Some(looked) = looks.join_next().await {
                known.extend(looked);
            }
            self.in_doubt.retain(|server, _| map.server(*server).is_some());
            let have_all_answered =
                map.servers().all(|server| known.get(&server.id).is_some_and(|known| known.has_answered));
            if have_all_answered && forgot.is_none_or(|at| at.elapsed() > FORGET_EVERY) {
                forgot = Some(Instant::now());
                let listed =
                    known.values().flat_map(|known| known.branches.keys()).map(|xid| xid.gtrid).collect();
                self.forget(&map, &listed).await;
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

/// One look at one server.
struct Look {
    transactions: Arc<Transactions>,
    map: Arc<Map>,
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
        let (mut ours, mut seen) = (Vec::new(), Vec::new());
        for branch in listed {
            let Listed::Ours(xid) = branch else {
                seen.push(InDoubt {
                    server: self.side.id(),
                    xid: None,
                    seen: Duration::ZERO,
                    in_hand: false,
                });
                continue;
            };
            let in_hand = self.transactions.has_in_hand(xid.gtrid);
            let since = known.branches.get(&xid).map_or(now, |(_, since)| *since);
            seen.push(InDoubt {
                server: self.side.id(),
                xid: Some(xid),
                seen: now.saturating_sub(since),
                in_hand,
            });
            ours.push((xid, in_hand));
        }
        self.transactions.in_doubt.insert(self.side.id(), seen);
        known.branches.retain(|xid, (resolve, _)| {
            let is_listed = ours.iter().any(|(listed, _)| listed == xid);
            if !is_listed
                && let Some(ResolveAction::Resolved(Some(ruling))) = resolve.on(ResolveEvent::Unlisted)
            {
                self.tell(*xid, ruling);
            }
            is_listed
        });
        for (xid, in_hand) in ours {
            if in_hand {
                // Its patience begins when its coordinator here has left it.
                known.branches.insert(xid, (Resolve::new(xid, now), now));
                continue;
            }
            let (mut resolve, since) =
                known.branches.remove(&xid).unwrap_or_else(|| (Resolve::new(xid, now), now));
            let mut action = resolve.on(ResolveEvent::Listed { now });
            while let Some(next) = action {
                action = resolve.on(self.act(resolve.xid(), next).await);
            }
            known.branches.insert(xid, (resolve, since));
        }
        known
    }

    async fn act(&self, xid: Xid, action: ResolveAction) -> ResolveEvent {
        let done = match action {
            ResolveAction::Ask => {
                let Some(primary) = self.map.server(xid.branch.primary) else { return ResolveEvent::Failed };
                let primary = self.transactions.side.of(primary);
                let parts = super::coordinator::parts_text(xid.branch.primary, [xid.branch.server]);
                match primary.rule(xid.gtrid, &parts).await {
                    Ok(ruling) => return ResolveEvent::Ruled(ruling),
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

/// The map for those who may act on it: none while nobody says that it is the newest.
pub fn live(map: &CurrentMap) -> Option<Arc<Map>> {
    map.is_live().then(|| map.load())
}
