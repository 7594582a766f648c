//! Deadlocks over several servers, found and ended. While a statement of a transaction over several servers waits for long the servers are asked who waits for whom, again and again; the
//! transaction that `txn::deadlocks` chooses is rolled back, if it is of this proxy, and its client told to begin again, as MySQL does.
//!
//! Nothing depends on it: who is not seen to wait in a circle waits until a lock times out (`innodb_lock_wait_timeout`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use podway_model::ServerId;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::core::{Flow, Session};
use super::deadlock_log::{FoundDeadlock, FoundMember};
use super::registry::AtWork;
use super::shared::Shared;
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::txn::{
    By, Deadlock, Known, LockWatch, Look, Member, Part, Shown, SideServer, Unseen, Wait, deadlocks,
};

/// A statement that has been at work for longer may be waiting for ever.
const LONG_WAIT: Duration = Duration::from_millis(500);
/// The pause between two looks, and how often it is seen to whether one is needed.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long one look at a server may take; what it does not show by then is not seen this time.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
/// A server that could not be seen is not asked again sooner.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// How often servers are looked at without need, so that it is known which of them cannot be seen.
const LOOK_ANYWAY: Duration = Duration::from_secs(60);
/// Looks for deadlocks for ever.
pub async fn watch_deadlocks(shared: Arc<Shared>) {
    let mut watcher = Watcher::new(shared);
    loop {
        sleep(LOOK_EVERY).await;
        watcher.turn().await;
    }
}

struct Watcher {
    shared: Arc<Shared>,
    /// Sessions on the servers, while there is something to watch.
    watches: BTreeMap<ServerId, LockWatch>,
    /// Servers that could not be seen, and until when they are not asked.
    later: BTreeMap<ServerId, Instant>,
    /// The servers on which others are told something.
    telling: BTreeSet<ServerId>,
    /// What was told last.
    told: Option<String>,
    before: Option<Look>,
    looks: u64,
    looked: Option<Instant>,
}

impl Watcher {
    fn new(shared: Arc<Shared>) -> Watcher {
        Watcher {
            shared,
            watches: BTreeMap::new(),
            later: BTreeMap::new(),
            telling: BTreeSet::new(),
            told: None,
            before: None,
            looks: 0,
            looked: None,
        }
    }

    async fn turn(&mut self) {
        let at_work = self.shared.registry.at_work_in_several(LONG_WAIT);
        if at_work.is_empty() && self.looked.is_some_and(|looked| looked.elapsed() < LOOK_ANYWAY) {
            // Closing them ends what they tell.
            self.watches.clear();
            self.telling.clear();
            (self.told, self.before) = (None, None);
            return;
        }
        let shown = self.look().await;
        let at_work = still(at_work, &self.shared.registry.at_work_in_several(LONG_WAIT));
        let look = self.put_together(&shown, &at_work);
        self.tell(&look).await;
        if let Some(before) = &self.before {
            for deadlock in deadlocks(before, &look) {
                self.end(&deadlock, &at_work, &shown);
            }
        }
        self.before = Some(look);
        self.looked = Some(Instant::now());
    }

    /// What all servers show that can be seen.
    async fn look(&mut self) -> BTreeMap<ServerId, Shown> {
        self.looks += 1;
        self.shared.metrics.deadlock_looks.fetch_add(1, Ordering::Relaxed);
        let map = self.shared.map.load();
        let now = Instant::now();
        self.later.retain(|_, until| *until > now);
        self.shared.deadlocks.keep_only(|server| map.server(server).is_some());
        let mut work = JoinSet::new();
        for server in map.servers().filter(|server| !self.later.contains_key(&server.id)) {
            let (id, watch) = (server.id, self.watches.remove(&server.id));
            let side = self.shared.transactions.side.of(server);
            work.spawn(async move { (id, timeout(LOOK_WITHIN, look_at(&side, watch)).await) });
        }
        self.watches.clear();
        let mut all = BTreeMap::new();
        while let Some(done) = work.join_next().await {
            let Ok((server, looked)) = done else { continue };
            let looked = looked.unwrap_or_else(|_| Err(Unseen::Late));
            self.shared.deadlocks.note_seen(server, looked.as_ref().map(|_| ()));
            match looked {
                Ok((watch, shown)) => {
                    self.watches.insert(server, watch);
                    all.insert(server, shown);
                }
                Err(_) => drop(self.later.insert(server, Instant::now() + ASK_AGAIN)),
            }
        }
        all
    }

    fn put_together(&self, shown: &BTreeMap<ServerId, Shown>, at_work: &[AtWork]) -> Look {
        let mut look = Look::default();
        for of_server in shown.values() {
            look.waits.extend(of_server.waits.iter().cloned());
        }
        for own in at_work {
            let is_its = |part: &Part, thread: u32| own.threads.contains(&(part.server, thread));
            let threads = shown.values().flat_map(|shown| &shown.threads);
            let parts =
                threads.filter(|(part, thread)| is_its(part, **thread)).map(|(part, _)| *part).collect();
            let statement = own.since.duration_since(self.shared.started).as_nanos() as u64;
            look.known.insert(own.gtrid, Known { parts, by: By::Here { statement } });
        }
        for text in shown.values().flat_map(|shown| &shown.told) {
            if self.told.as_ref() != Some(text) {
                look.hear(text);
            }
        }
        look
    }

    /// Tells other proxies which parts belong together, on the servers that have them.
    async fn tell(&mut self, look: &Look) {
        let text = look.telling(self.looks);
        let mut wanted = BTreeSet::new();
        if text.is_some() {
            let own = look.known.values().filter(|known| matches!(known.by, By::Here { .. }));
            wanted.extend(own.flat_map(|known| &known.parts).map(|part| part.server));
        }
        let mut work = JoinSet::new();
        for server in wanted.union(&self.telling) {
            let Some(mut watch) = self.watches.remove(server) else { continue };
            let (server, text) = (*server, text.clone().filter(|_| wanted.contains(server)));
            work.spawn(async move {
                let told = timeout(LOOK_WITHIN, watch.tell(text.as_deref())).await;
                // One that is not known to have been told is closed, which takes back whatever it tells.
                matches!(told, Ok(Ok(()))).then_some((server, watch))
            });
        }
        while let Some(done) = work.join_next().await {
            self.watches.extend(done.ok().flatten());
        }
        (self.telling, self.told) = (wanted, text);
    }

    /// Ends a deadlock whose victim is of this proxy, and remembers one that has to do with it.
    fn end(&self, deadlock: &Deadlock, at_work: &[AtWork], shown: &BTreeMap<ServerId, Shown>) {
        let own = |member: &Member| match member {
            Member::Several(gtrid) => at_work.iter().find(|own| own.gtrid == *gtrid),
            Member::Alone(_) => None,
        };
        let found = |(member, wait): &(Member, Wait)| {
            let part = Part { server: wait.server, transaction: wait.waiter };
            let known = shown.get(&wait.server).and_then(|shown| shown.queries.get(&part));
            let own = own(member);
            FoundMember {
                gtrid: if let Member::Several(gtrid) = member { Some(*gtrid) } else { None },
                server: wait.server,
                session: own.map(|own| own.session.id),
                statement: own.map(|own| own.text.clone()).or_else(|| known.cloned()).unwrap_or_default(),
            }
        };
        let members: Vec<FoundMember> = deadlock.members.iter().map(found).collect();
        if members.iter().all(|member| member.session.is_none()) {
            return;
        }
        self.shared.deadlocks.note(FoundDeadlock { at: Instant::now(), members });
        let Some(victim) = at_work.iter().find(|own| own.gtrid == deadlock.victim) else { return };
        let running = victim.session.give_way(victim.gtrid, victim.since);
        if !running.is_empty() {
            self.shared.metrics.deadlocks.fetch_add(1, Ordering::Relaxed);
            let (session, transaction) = (victim.session.id, victim.gtrid);
            tracing::info!(session, %transaction, "a transaction gives way in a deadlock over several servers");
        }
        for thread in running {
            tokio::spawn(async move {
                if let Err(error) = thread.endpoint.kill(&thread.key, thread.number, true).await {
                    tracing::warn!(%error, "a statement in a deadlock could not be interrupted");
                }
            });
        }
    }
}

/// Those that are at the same statement of the same transaction as before.
fn still(before: Vec<AtWork>, now: &[AtWork]) -> Vec<AtWork> {
    let is_same = |one: &AtWork, other: &AtWork| {
        one.session.id == other.session.id && one.gtrid == other.gtrid && one.since == other.since
    };
    before.into_iter().filter(|one| now.iter().any(|other| is_same(one, other))).collect()
}

async fn look_at(side: &SideServer, watch: Option<LockWatch>) -> Result<(LockWatch, Shown), Unseen> {
    let mut watch = match watch {
        Some(watch) => watch,
        None => LockWatch::open(side).await?,
    };
    let shown = watch.look().await?;
    Ok((watch, shown))
}

impl Session {
    /// What the client of a statement is told whose transaction was chosen to give way: that it was rolled back, if the statement was interrupted. One that ended by itself a moment before has
    /// its own answer; the interruption may then meet the transaction's next.
    pub(super) async fn given_way(&mut self, result: Result<Flow, ProxyError>) -> Result<Flow, ProxyError> {
        let was_interrupted = matches!(&result, Err(ProxyError::Server(refused)) if refused.code == ErrorCode::INTERRUPTED.number);
        let result = match was_interrupted && !self.lost {
            true => Err(match self.roll_back_quietly().await {
                Ok(()) => {
                    let message = "Deadlock found when trying to get lock; try restarting transaction";
                    ClientError::new(ErrorCode::TRY_AGAIN, message).into()
                }
                Err(error) => error,
            }),
            false => result,
        };
        if !self.state.transaction.is_distributed() {
            self.handle.has_given_way();
        }
        result
    }
}
