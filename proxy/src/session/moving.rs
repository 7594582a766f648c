//! A shard that changes its owner, as a session sees it: new statements wait while the map says that it is frozen, statements that its
//! server refuses as no longer its own are tried again under a newer map, and a transaction never enters a shard that came to its place
//! after the transaction began. What does not let a frozen shard go in time, locks and the like included, is ended.
//!
//! Trying again is safe because a fenced schema refuses a statement before it has any effect. Whether a refusal means a move is decided
//! here; when it is over is [`crate::error::Moved`]'s to say; who moves shards, and how, is the topology's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use podway_model::{FreezeId, Keyspace, Map, Revision, ServerId};
use podway_router::{Plan, Target};
use podway_wire::ErrPacket;
use tokio::time::timeout_at;

use super::core::{Session, Spot};
use super::registry::{Evicted, SessionHandle};
use super::shared::Shared;
use crate::backend::{BackendConnection, PoolKey, ServerThread};
use crate::error::{ClientError, ErrorCode, Moved, ProxyError, Why};
use crate::txn::{Characteristics, Transaction};

/// How often one statement is tried again because its shard refused it, where the map does not say (`wrong_shard.retries`).
const REFUSALS: usize = 3;
/// How long a proxy that hears of changes as they happen waits for one that explains a refusal. A move is announced before its shard is
/// fenced, so there is seldom one to come: the schema is READ ONLY because its owner wants it so.
const GRACE: Duration = Duration::from_secs(1);
/// ER_SCHEMA_READ_ONLY: the fence.
const READ_ONLY_SCHEMA: u16 = 3989;
/// What a retired schema, revoked privileges and killed threads look like: ER_DBACCESS_DENIED_ERROR, ER_BAD_DB_ERROR,
/// ER_TABLEACCESS_DENIED_ERROR, ER_COLUMNACCESS_DENIED_ERROR, ER_NO_SUCH_TABLE, ER_QUERY_INTERRUPTED. They have other causes too.
const SUSPICIOUS: [u16; 6] = [1044, 1049, 1142, 1143, 1146, INTERRUPTED];
/// Those of them that withheld privileges look like.
const DENIED: [u16; 3] = [1044, 1142, 1143];
/// ER_QUERY_INTERRUPTED.
const INTERRUPTED: u16 = 1317;
/// ER_NO_SUCH_THREAD.
const NO_SUCH_THREAD: u16 = 1094;

/// How often a statement was tried.
#[derive(Debug, Default)]
pub(super) struct Tries {
    refusals: usize,
}

/// A session's transaction as it was before a statement: what it is again if the statement has to be tried elsewhere.
#[derive(Clone)]
pub(super) struct Before {
    transaction: Transaction,
    characteristics: Option<Characteristics>,
}

impl Before {
    /// Whether a transaction was open on this server.
    pub(super) fn is_on(&self, server: ServerId) -> bool {
        self.transaction.is_on(server)
    }

    /// Whether a server knew of a transaction.
    pub(super) fn has_server(&self) -> bool {
        self.transaction.server().is_some()
    }
}

impl Session {
    /// The newest map, for one statement. The registry knows what the session runs under before it relies on it, so that whoever waits for
    /// the statements of an older map to end cannot miss this one.
    pub(super) fn enter(&mut self) -> Arc<Map> {
        self.handle.seeks();
        loop {
            let map = self.shared.map.load();
            if self.state.transaction.server().is_none() {
                self.handle.runs_under(map.revision);
            }
            if self.shared.map.revision() == map.revision {
                if self.state.transaction.server().is_none() {
                    self.under = Some(map.clone());
                }
                self.take_rights(&map);
                return map;
            }
        }
    }

    /// Connections from before its account's rights changed are not used any more; those that are the session's own stay, as MySQL's sessions do.
    fn take_rights(&mut self, map: &Map) {
        let rights = map.rights_since(&self.account.name);
        if rights != self.key.rights() {
            self.key = PoolKey::new(self.account.name.clone(), self.key.capabilities(), rights);
        }
    }

    /// The command has ended: without a transaction nothing is under way any more.
    pub(super) fn leave(&mut self) {
        if self.handle.has_kept() {
            let is_kept = |thread: &Arc<ServerThread>| {
                self.held.iter().any(|held| held.is_pinned() && Arc::ptr_eq(held.thread(), thread))
            };
            self.handle.keeps_only(is_kept);
        }
        self.handle.seeks_nothing();
        if self.state.transaction.server().is_none() {
            self.handle.parts_end();
            self.under = None;
            self.handle.runs_under_nothing();
        }
    }

    /// What a statement's end may have to undo.
    pub(super) fn before(&self) -> Before {
        let state = &self.state;
        Before { transaction: state.transaction.clone(), characteristics: state.characteristics.clone() }
    }

    /// The statement has not been: its transaction is to be begun again, where it goes next.
    pub(super) fn restore(&mut self, before: Before) {
        self.state.transaction = before.transaction;
        self.state.characteristics = before.characteristics;
    }

    /// Lets a statement for this spot pass, unless its shard is frozen, or came there after the transaction began.
    pub(super) async fn check_moving(&mut self, spot: &Spot) -> Result<(), ProxyError> {
        let Some(moved) = spot.moved_by_freeze() else {
            return if self.follows_a_move(spot) { Err(self.restart().await?) } else { Ok(()) };
        };
        // What runs already is what the freeze waits for; what began under it, on another shard of this server, is not.
        let runs_already = self.state.transaction.is_on(spot.pool.id()) && !self.began_under(&moved);
        if runs_already || self.is_kept_from_before(spot) {
            return Ok(());
        }
        Err(ProxyError::ShardMoved(Box::new(moved)))
    }

    /// Lets a statement pass, unless what one of its names stands for is about to change: then it waits. A transaction that a server has cannot: what it holds
    /// there is what the change waits for.
    pub(super) async fn check_held(&mut self, plan: &Plan, map: &Map) -> Result<(), ProxyError> {
        let Target::Refused(error) = &plan.target else { return Ok(()) };
        let holds = |keyspace: &&Arc<Keyspace>| keyspace.held_names().next().is_some();
        let Some(keyspace) = map.keyspaces().find(holds).filter(|_| error.is_held()) else { return Ok(()) };
        if self.state.transaction.server().is_some() {
            self.roll_back_quietly().await?;
            return Err(ClientError::new(ErrorCode::TRY_AGAIN, error.message.clone()).into());
        }
        let Some(shard) = keyspace.shard(keyspace.home).cloned() else { return Ok(()) };
        let why = Why::Held { schema_version: map.schema_version, reason: error.message.clone() };
        Err(ProxyError::ShardMoved(Box::new(Moved { keyspace: keyspace.name.clone(), shard, why })))
    }

    /// Whether the open transaction began when the shard was frozen already.
    fn began_under(&self, moved: &Moved) -> bool {
        let Why::Frozen(freeze) = moved.why else { return false };
        let under = self.under.as_ref().and_then(|under| under.keyspace(&moved.keyspace));
        under.is_some_and(|keyspace| keyspace.freezes().any(|(_, then)| then == freeze))
    }

    /// Whether the session has had locks or the like on a frozen shard's server since before the freeze.
    fn is_kept_from_before(&self, spot: &Spot) -> bool {
        let freeze = spot.keyspace.as_ref().and_then(|keyspace| keyspace.freeze(spot.index));
        let since = freeze.and_then(|freeze| Some(self.shared.freezes.lock().get(&freeze)?.0));
        since.is_some_and(|since| self.handle.has_kept_since_before(spot.pool.id(), since))
    }

    /// Whether something of the session was ended that it has not been told of.
    pub(super) fn was_evicted(&self) -> bool {
        self.handle.is_evicted() || !self.handle.ended().is_empty()
    }

    /// What the session had on a server was ended while its client was silent: this says so, unless it was a transaction and the client rolls it back itself.
    pub(super) fn abandon(&mut self, rolls_back: bool) -> Result<(), ProxyError> {
        let ended = self.handle.ended();
        if !ended.is_empty() {
            // Without its locks or temporary tables it cannot go on as if nothing had happened.
            self.lost = true;
            let is_ended =
                |held: &BackendConnection| ended.iter().any(|thread| Arc::ptr_eq(thread, held.thread()));
            self.held.retain(|held| !is_ended(held));
            // It is lost: what else is open ends with it.
            self.state.transaction = Transaction::None;
            self.handle.was_told();
            return Err(too_long());
        }
        if self.state.transaction.server().is_none() {
            return Ok(());
        }
        // What a pinned connection held besides is gone with it; closing the others rolls their parts back.
        let transaction = std::mem::take(&mut self.state.transaction);
        let is_of_it = |held: &BackendConnection| transaction.is_on(held.endpoint().id());
        self.lost |= self.held.iter().any(|held| is_of_it(held) && held.is_pinned());
        self.held.retain(|held| !is_of_it(held));
        self.handle.was_told();
        if rolls_back { Ok(()) } else { Err(too_long()) }
    }

    /// What the client of a statement that was ended is told: that it had no effect, where that is certain.
    pub(super) fn evicted(&mut self, error: ProxyError) -> ProxyError {
        if self.place.ends_transaction {
            return error;
        }
        let in_transaction = self.state.transaction.server().is_some();
        match &error {
            ProxyError::Server(refused) if refused.code == INTERRUPTED => {}
            ProxyError::BackendLost { .. } | ProxyError::BackendUnusable { .. } if in_transaction => {}
            _ => return error,
        }
        self.abandon(false).err().unwrap_or_else(too_long)
    }

    /// Whether the open transaction began when this spot's shard was elsewhere: what it would see there is not of its own time.
    fn follows_a_move(&self, spot: &Spot) -> bool {
        let (Some(_), Some(under)) = (self.state.transaction.server(), &self.under) else { return false };
        let Some((keyspace, shard)) = spot.shard() else { return false };
        under.keyspace(&keyspace.name).is_some_and(|then| !then.shards.contains(shard))
    }

    /// Rolls the transaction back; the error tells its client to begin again.
    pub(super) async fn restart(&mut self) -> Result<ProxyError, ProxyError> {
        self.roll_back_quietly().await?;
        let message = "A shard of this transaction has changed its owner; try restarting transaction";
        Ok(ClientError::new(ErrorCode::TRY_AGAIN, message).into())
    }

    /// The error for a refusal before the statement was sent.
    pub(super) fn refused_early(&self, error: ProxyError, spot: &Spot) -> ProxyError {
        match error {
            ProxyError::Server(refused) if self.shows_move(&refused, spot) => spot.moved_by(refused),
            error => error,
        }
    }

    /// The error for a refusal of what has to come before the statement, on a connection that the session may have had already.
    pub(super) async fn refused_before(
        &mut self,
        error: ProxyError,
        before: &Before,
        spot: &Spot,
    ) -> Result<ProxyError, ProxyError> {
        let is_pinned = !before.is_on(spot.pool.id()) && !self.is_free_of(spot.pool.id());
        match self.refused_early(error, spot) {
            // What the transaction saw of the shard before is not to be had where it is now.
            ProxyError::ShardMoved(_) if before.is_on(spot.pool.id()) => self.restart().await,
            ProxyError::ShardMoved(moved) if is_pinned => match moved.why {
                Why::Refused(refused) => Ok(ProxyError::Server(refused)),
                Why::Frozen(_) | Why::Held { .. } => Ok(ProxyError::ShardMoved(moved)),
            },
            error => Ok(error),
        }
    }

    /// Gives back what is to be done about an answer: itself, or, where it shows that the shard has moved, the error by which the
    /// statement is tried again. In the second case the connection is dealt with.
    pub(super) async fn judge<T>(
        &mut self,
        connection: Box<BackendConnection>,
        before: Before,
        spot: &Spot,
        answer: Result<T, ProxyError>,
    ) -> Result<(Box<BackendConnection>, Result<T, ProxyError>), ProxyError> {
        let refused = match answer {
            Err(ProxyError::Server(refused)) if !self.place.has_begun && self.shows_move(&refused, spot) => {
                refused
            }
            answer => return Ok((connection, answer)),
        };
        if before.transaction.is_on(spot.pool.id()) {
            self.settle(connection);
            return Err(self.restart().await?);
        }
        if connection.is_pinned() {
            // What holds the session to this server cannot follow the shard.
            return Ok((connection, Err(ProxyError::Server(refused))));
        }
        // Closing it rolls back what the statement has begun; only a plain one is known to have begun nothing.
        if self.state.autocommit && !before.transaction.is_open() {
            self.settle(connection);
        } else {
            drop(connection);
        }
        self.restore(before);
        Err(spot.moved_by(refused))
    }

    fn shows_move(&self, refused: &ErrPacket, spot: &Spot) -> bool {
        let Some((keyspace, shard)) = spot.shard() else { return false };
        if refused.code == READ_ONLY_SCHEMA {
            return true;
        }
        let newest = self.shared.map.load();
        let now = newest.keyspace(&keyspace.name);
        let has_moved = || {
            now.is_some_and(|now| {
                !now.shards.contains(shard) && now.shards.iter().any(|other| other.id == shard.id)
            })
        };
        // Privileges are withheld before the shard is elsewhere.
        let is_frozen = || now.is_some_and(|now| now.position(shard).and_then(|at| now.freeze(at)).is_some());
        // Who is out of touch with the topology finds no privileges where a shard was, and has no map that says why.
        (SUSPICIOUS.contains(&refused.code) && has_moved())
            || (DENIED.contains(&refused.code) && (is_frozen() || !self.shared.map.is_live()))
    }

    /// Waits until a statement may be tried again. If it may not, an open transaction is rolled back: its client is told to begin it anew.
    pub(super) async fn wait_or_give_up(
        &mut self,
        moved: Moved,
        tries: &mut Tries,
    ) -> Result<(), ProxyError> {
        let waited = self.wait_for_move(moved, tries).await;
        if waited.is_err() && self.state.transaction.server().is_some() {
            self.roll_back_quietly().await?;
        }
        waited
    }

    /// Waits until the map gives reason to try a statement again; the error that its client gets where it does not.
    async fn wait_for_move(&mut self, moved: Moved, tries: &mut Tries) -> Result<(), ProxyError> {
        self.leave();
        let limits = &self.shared.config.client;
        let _held = Held::new(&self.shared)?;
        let map = self.shared.map.load();
        let longest = map.span("freeze.hold").unwrap_or(limits.move_deadline);
        let mut patience = longest;
        // Who could not hear of a move when it began to wait does not know better because it can now.
        let was_live = self.shared.map.is_live();
        match moved.why {
            Why::Frozen(_) | Why::Held { .. } => self.shared.metrics.held.fetch_add(1, Ordering::Relaxed),
            Why::Refused(_) => {
                tries.refusals += 1;
                if tries.refusals
                    > map.setting("wrong_shard.retries").and_then(|n| n.parse().ok()).unwrap_or(REFUSALS)
                {
                    return Err(ProxyError::ShardMoved(Box::new(moved)));
                }
                if was_live {
                    patience = patience.min(GRACE);
                }
                self.shared.metrics.rerouted.fetch_add(1, Ordering::Relaxed)
            }
        };
        let give_up = (self.started + longest).min(Instant::now() + patience);
        let newer = timeout_at(give_up.into(), self.shared.map.wait_until(|map| moved.is_over(map)));
        let in_time = tokio::select! {
            biased;
            newer = newer => newer.is_ok(),
            error = self.client.gone(self.command_bytes) => return Err(ProxyError::ClientGone(error)),
        };
        match moved.why {
            _ if in_time => Ok(()),
            Why::Refused(refused) if was_live => Err(ProxyError::Server(refused)),
            _ => Err(ProxyError::ShardMoved(Box::new(moved))),
        }
    }
}

fn too_long() -> ProxyError {
    let message = "A shard of this statement or transaction is changing its owner, which it would not let go within freeze.drain; try restarting transaction";
    ClientError::new(ErrorCode::TRY_AGAIN, message).into()
}

/// One of the statements that wait for a move; counts itself out.
struct Held(Arc<Shared>);

impl Held {
    fn new(shared: &Arc<Shared>) -> Result<Held, ProxyError> {
        let limit = shared.config.client.max_held;
        let before = shared.held.fetch_add(1, Ordering::Relaxed);
        let held = Held(shared.clone());
        if before >= limit {
            let message = format!(
                "client.max_held ({limit}) statements wait already while shards change their owner; try restarting transaction"
            );
            return Err(ClientError::new(ErrorCode::TRY_AGAIN, message).into());
        }
        Ok(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// No statement and no transaction that began under an older map than this is running.
    pub fn settled(&self) -> Revision {
        let newest = self.map.revision();
        self.registry.all().iter().filter_map(|handle| handle.under()).fold(newest, Revision::min)
    }

    /// The freezes for which nothing is running that may touch their shard: all that the newest map has, less those with laggards.
    pub fn drained(&self) -> Vec<FreezeId> {
        let known = self.freezes.lock().clone();
        let is_drained = |frozen: &Frozen| self.laggards(frozen).is_empty();
        self.frozen(&known).into_iter().filter(is_drained).map(|frozen| frozen.freeze).collect()
    }

    /// Ends what runs on frozen shards longer than it may: a statement by KILL QUERY, an idle transaction with its connection. Their clients
    /// are told to try again.
    pub fn evict_laggards(&self) {
        let known = self.freezes.lock().clone();
        if known.is_empty() {
            return;
        }
        let longest = self.map.load().span("freeze.drain").unwrap_or(self.config.client.drain_deadline);
        for frozen in self.frozen(&known).iter().filter(|frozen| frozen.heard.elapsed() > longest) {
            for handle in self.laggards(frozen) {
                let Some((thread, what)) = handle.evict(frozen.server, frozen.since) else { continue };
                tracing::info!(
                    session = handle.id,
                    freeze = frozen.freeze.0,
                    ?what,
                    "a laggard is ended: its shard is changing its owner"
                );
                tokio::spawn(async move {
                    let ServerThread { endpoint, key, number } = &*thread;
                    match endpoint.kill(key, *number, what == Evicted::Statement).await {
                        Ok(()) if what == Evicted::Statement => {}
                        Ok(()) => handle.let_go(&thread, what),
                        Err(ProxyError::Server(refused))
                            if refused.code == NO_SUCH_THREAD && what != Evicted::Statement =>
                        {
                            handle.let_go(&thread, what);
                        }
                        Err(error) => {
                            tracing::warn!(session = handle.id, %error, "a laggard could not be ended")
                        }
                    }
                });
            }
        }
    }

    fn frozen(&self, known: &BTreeMap<FreezeId, (Revision, Instant)>) -> Vec<Frozen> {
        let map = self.map.load();
        let of = |keyspace: &Keyspace, index, freeze| {
            let (since, heard) = *known.get(&freeze)?;
            Some(Frozen { freeze, server: keyspace.shard(index)?.server, since, heard })
        };
        let freezes = map.keyspaces().flat_map(|keyspace| {
            keyspace.freezes().filter_map(move |(index, freeze)| of(keyspace, index, freeze))
        });
        freezes.collect()
    }

    /// The sessions with a statement or a transaction from before the freeze that is on the shard's server, or whose server is not known yet; and those that have kept
    /// something there since before it, such as locks. In this order: what a statement leaves behind is known before the statement has ended.
    fn laggards(&self, frozen: &Frozen) -> Vec<Arc<SessionHandle>> {
        let lags = |handle: &Arc<SessionHandle>| {
            let is_at_work =
                handle.under().is_some_and(|under| under < frozen.since) && handle.may_touch(frozen.server);
            is_at_work || handle.has_kept_since_before(frozen.server, frozen.since)
        };
        self.registry.all().into_iter().filter(lags).collect()
    }
}

/// A freeze as this proxy has heard of it.
struct Frozen {
    freeze: FreezeId,
    server: ServerId,
    /// The first revision that had it.
    since: Revision,
    heard: Instant,
}

impl Spot {
    fn moved_by_freeze(&self) -> Option<Moved> {
        let freeze = self.keyspace.as_ref()?.freeze(self.index)?;
        self.moved(Why::Frozen(freeze))
    }

    fn moved_by(&self, refused: ErrPacket) -> ProxyError {
        match self.moved(Why::Refused(refused.clone())) {
            Some(moved) => ProxyError::ShardMoved(Box::new(moved)),
            None => ProxyError::Server(refused),
        }
    }

    fn moved(&self, why: Why) -> Option<Moved> {
        let (keyspace, shard) = self.shard()?;
        Some(Moved { keyspace: keyspace.name.clone(), shard: shard.clone(), why })
    }
}
