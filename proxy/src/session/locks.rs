//! LOCK TABLES where a keyspace has several shards: each server locks its own tables, on the session's own connection to it, and the session's statements run there. MySQL itself keeps
//! others out and says what may be used; where a statement concerns several servers, that is asked of the plan's list first.
//!
//! All are locked or none. Servers are asked in one order. Who holds locks already waits for a further server only for a moment; then all locks are let go and taken anew, so that
//! no two sessions wait for each other for ever, whatever the other one holds.
//!
//! MySQL begins no XA transaction under LOCK TABLES, so a write over several servers could not be atomic: it is refused. ALTER TABLE … DISABLE KEYS says that rows are loaded: with it the
//! locks are let go, and taken again before the first statement that does anything else than add rows to such a table. It is what mysqldump writes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use podway_model::{Keyspace, ServerId, ShardIndex};
use podway_router::{
    LockedUse, PlanContext, Route, RouterError, Statement, TableLocks, Target, Verb, locked_use,
};

use super::core::{Planned, Session, Spot};
use super::gather::keyspace_of;
use super::locked::{Held, Locks};
use super::state::Lexical;
use crate::backend::{BackendConnection, quoted_identifier};
use crate::error::{ClientError, ProxyError};

/// Who holds locks waits so long for a further server's, in seconds.
const FURTHER_WAIT: &[u8] = b"1";
/// The pause before locks that were let go are taken anew: who waited for them is served first.
const PAUSE: Duration = Duration::from_millis(100);
/// ER_LOCK_WAIT_TIMEOUT.
const WAITED: u16 = 1205;

/// What one server is to lock.
struct OnServer {
    spot: Spot,
    sql: String,
}

impl Session {
    /// LOCK TABLES.
    pub(super) async fn lock_tables(&mut self, planned: &Planned<'_>) -> Result<(), ProxyError> {
        let Some(list) = planned.plan.locks.as_deref() else { return Ok(()) };
        self.commit_quietly().await?;
        self.let_locks_go().await?;
        self.locks = None;
        let servers = self.take_locks(planned, list).await?;
        self.locks = Some(Box::new(Locks { list: list.clone(), state: Held::On(servers) }));
        self.state.row_count = 0;
        self.state.warnings.clear();
        self.reply_ok().await
    }

    /// UNLOCK TABLES, where the session's locks are known here.
    pub(super) async fn unlock_tables(&mut self) -> Result<(), ProxyError> {
        self.unlock_quietly().await?;
        self.state.row_count = 0;
        self.state.warnings.clear();
        self.reply_ok().await
    }

    /// Whether UNLOCK TABLES is about no other locks than those that are known here: without any it does nothing, and commits nothing.
    pub(super) fn knows_locks(&self, planned: &Planned<'_>) -> bool {
        let keyspace = planned.plan.keyspace().and_then(|name| planned.map.keyspace(name));
        let may_have_others = || self.held.iter().any(|held| held.is_pinned_otherwise());
        self.locks.is_some() || keyspace.is_some_and(|keyspace| !keyspace.is_single()) && !may_have_others()
    }

    /// Unlocks, as statements do that begin a transaction. What is open under the locks is committed, as MySQL does.
    pub(super) async fn unlock_quietly(&mut self) -> Result<(), ProxyError> {
        if self.locks.is_some() {
            self.commit_quietly().await?;
        }
        let done = self.let_locks_go().await;
        self.locks = None;
        done
    }

    /// Whether tables are locked, of whatever servers.
    pub(super) fn is_locked(&self) -> bool {
        !self.locked_servers().is_empty()
    }

    fn locked_servers(&self) -> &[ServerId] {
        match self.locks.as_deref() {
            Some(Locks { state: Held::On(servers), .. }) => servers,
            _ => &[],
        }
    }

    /// Whether a statement over several shards runs on the session's own connections: in a transaction, and under locks.
    pub(super) fn reads_on_its_own(&self) -> bool {
        self.is_inside() || self.is_locked()
    }

    /// Before a statement: while rows are loaded, whatever is not a part of that has the tables locked again.
    pub(super) async fn ready_locks(
        &mut self,
        planned: &Planned<'_>,
        lexical: &Lexical,
    ) -> Result<(), ProxyError> {
        let Some(locks) = self.locks.as_deref() else { return Ok(()) };
        let verb = planned.plan.verb();
        if matches!(verb, Verb::LockTables | Verb::UnlockTables | Verb::Begin) {
            return Ok(());
        }
        let names = planned.map.names;
        let uses = self.locked_use(planned, lexical);
        let of_locked = uses.as_ref().is_some_and(|uses| locks.list.check(uses, names).is_ok());
        let is_spread = *planned.plan.statement() == Statement::Define
            && matches!(planned.plan.target, Target::Everywhere { .. });
        let switches_keys = is_spread && of_locked && uses.as_ref().is_some_and(|uses| uses.switches_keys);
        match locks.state {
            Held::On(_) if switches_keys => {
                self.let_locks_go().await?;
                if let Some(locks) = &mut self.locks {
                    locks.state = Held::Loading;
                }
                Ok(())
            }
            Held::On(_) => Ok(()),
            Held::Loading if switches_keys => Ok(()),
            Held::Loading => {
                let loads = uses.as_ref().is_some_and(|uses| locks.list.may_load(verb, uses, names));
                let needs_none =
                    verb != Verb::Call && uses.as_ref().is_some_and(|uses| uses.tables.is_empty());
                if loads || needs_none { Ok(()) } else { self.lock_again(planned).await }
            }
        }
    }

    async fn lock_again(&mut self, planned: &Planned<'_>) -> Result<(), ProxyError> {
        let Some(list) = self.locks.as_deref().map(|locks| locks.list.clone()) else { return Ok(()) };
        if self.state.transaction.is_open() {
            // Locking would commit it.
            let what =
                "anything but INSERT and REPLACE in a transaction while rows are loaded under LOCK TABLES";
            return Err(ClientError::not_supported(what).into());
        }
        let servers = self.take_locks(planned, &list).await?;
        if let Some(locks) = &mut self.locks {
            locks.state = Held::On(servers);
        }
        Ok(())
    }

    /// Refuses a statement over several shards that uses what is not locked, or writes what is locked to be read.
    pub(super) fn check_locks(&self, planned: &Planned<'_>) -> Result<(), ProxyError> {
        let Some(locks) = self.locks.as_deref().filter(|_| self.is_locked()) else { return Ok(()) };
        let Some(uses) = self.locked_use(planned, &self.state.lexical) else {
            return Err(ClientError::not_supported("this statement under LOCK TABLES").into());
        };
        Ok(locks.list.check(&uses, planned.map.names).map_err(ClientError::from)?)
    }

    /// Refuses what would wait for the session's own locks.
    pub(super) fn check_unlocked(&self, what: &str) -> Result<(), ProxyError> {
        match self.is_locked() {
            true => Err(ClientError::not_supported(&format!("{what} under LOCK TABLES")).into()),
            false => Ok(()),
        }
    }

    /// Refuses a write over several shards under locks, which could not be atomic.
    pub(super) fn check_write_under_locks(
        &self,
        planned: &Planned<'_>,
        is_one: bool,
    ) -> Result<(), ProxyError> {
        self.check_locks(planned)?;
        if is_one || !self.is_locked() {
            return Ok(());
        }
        let what = "a write to several shards under LOCK TABLES … WRITE, but for rows that are loaded between ALTER TABLE … DISABLE KEYS and ENABLE KEYS";
        Err(ClientError::not_supported(what).into())
    }

    /// Refuses a statement on a server whose tables are not locked, and one in a transaction of several servers with locks.
    pub(super) fn check_locked_server(&self, target: &Target, server: ServerId) -> Result<(), ProxyError> {
        let servers = self.locked_servers();
        if servers.is_empty() {
            return Ok(());
        }
        if servers.len() > 1 && !self.state.autocommit {
            return Err(without_autocommit());
        }
        if servers.contains(&server) {
            return Ok(());
        }
        let table = match target {
            Target::Keys { pins, .. } => pins.first().map_or("", |pin| pin.table.name.as_str()),
            _ => "",
        };
        Err(ClientError::from(RouterError::not_locked(table)).into())
    }

    fn locked_use(&self, planned: &Planned<'_>, lexical: &Lexical) -> Option<LockedUse> {
        let context = PlanContext {
            map: &planned.map,
            keyspace: planned.database,
            sql_mode: lexical.sql_mode,
            charset: lexical.charset,
            collation: &lexical.collation,
            time_zone: &lexical.time_zone,
            temporary_tables: &self.state.temporary_tables,
        };
        locked_use(&context, planned.sql, planned.normal)
    }

    /// Locks the tables on all of their servers.
    async fn take_locks(
        &mut self,
        planned: &Planned<'_>,
        list: &TableLocks,
    ) -> Result<Vec<ServerId>, ProxyError> {
        let keyspace = keyspace_of(&planned.map, &list.keyspace)?;
        let on_servers = self.on_servers(planned, list, &keyspace).await?;
        if on_servers.len() > 1 && !self.state.autocommit {
            return Err(without_autocommit());
        }
        let give_up = self.started + self.lock_patience();
        loop {
            let mut taken = Vec::with_capacity(on_servers.len());
            let mut failure = None;
            for one in &on_servers {
                taken.push(one.spot.pool.id());
                if let Err(error) = self.lock_on(planned, one, taken.len() > 1).await {
                    failure = Some(error);
                    break;
                }
            }
            let Some(error) = failure else { return Ok(taken) };
            self.unlock_on(&taken).await?;
            let waited = matches!(&error, ProxyError::Server(refused) if refused.code == WAITED);
            if !waited || taken.len() < 2 || Instant::now() >= give_up {
                return Err(error);
            }
            tokio::select! {
                biased;
                error = self.client.gone(self.command_bytes) => return Err(ProxyError::ClientGone(error)),
                () = tokio::time::sleep(PAUSE) => {}
            }
            if self.handle.is_condemned() {
                return Err(ProxyError::interrupted());
            }
        }
    }

    /// How long the session waits for locks: what it has set itself, and no longer than any statement may take.
    fn lock_patience(&self) -> Duration {
        let longest = self.shared.config.client.statement_deadline;
        let set =
            self.state.settings.get("lock_wait_timeout").and_then(|text| std::str::from_utf8(text).ok());
        let seconds = set.and_then(|text| text.parse().ok());
        seconds.map_or(longest, |seconds| longest.min(Duration::from_secs(seconds)))
    }

    /// What each server is to lock, in the order of the servers' numbers.
    async fn on_servers(
        &mut self,
        planned: &Planned<'_>,
        list: &TableLocks,
        keyspace: &Keyspace,
    ) -> Result<Vec<OnServer>, ProxyError> {
        let mut servers: BTreeMap<ServerId, OnServer> = BTreeMap::new();
        for index in (0..keyspace.shards.len()).map(|nth| ShardIndex(nth as u16)) {
            let spot = self.spot(&planned.map, &planned.plan, Route::Shard(index))?;
            let is_home = index == keyspace.home;
            let locked = list.tables.iter().filter(|lock| lock.is_everywhere || is_home);
            let locked: Vec<String> = locked
                .map(|lock| {
                    let alias = lock.alias.as_ref().map(|alias| format!(" AS {}", quoted_identifier(alias)));
                    let (schema, table) = (quoted_identifier(&spot.schema), quoted_identifier(&lock.table));
                    format!("{schema}.{table}{} {}", alias.unwrap_or_default(), lock.mode.sql())
                })
                .collect();
            if locked.is_empty() {
                continue;
            }
            self.check_moving(&spot).await?;
            let text = locked.join(", ");
            match servers.get_mut(&spot.pool.id()) {
                Some(known) => known.sql = format!("{}, {text}", known.sql),
                None => {
                    let one = OnServer { sql: format!("LOCK TABLES {text}"), spot };
                    servers.insert(one.spot.pool.id(), one);
                }
            }
        }
        if servers.values().any(|one| !one.sql.is_ascii()) && self.state.lexical.charset_name != "utf8mb4" {
            let what = "LOCK TABLES of names outside ASCII in another character set than utf8mb4";
            return Err(ClientError::not_supported(what).into());
        }
        Ok(servers.into_values().collect())
    }

    /// Has one server lock its tables.
    async fn lock_on(
        &mut self,
        planned: &Planned<'_>,
        one: &OnServer,
        is_further: bool,
    ) -> Result<(), ProxyError> {
        self.handle.seeks();
        let mut connection = self.acquire_fresh(planned, &one.spot).await?;
        self.handle.set_running([connection.thread().clone()]);
        let mut settings = self.state.settings.clone();
        if is_further && self.lock_patience() > Duration::from_secs(1) {
            std::sync::Arc::make_mut(&mut settings).put("lock_wait_timeout", FURTHER_WAIT);
        }
        let work = async {
            connection.synchronise(&one.spot.current, &settings, None).await?;
            connection.execute(one.sql.as_bytes()).await
        };
        let worked = tokio::select! {
            biased;
            worked = work => worked,
            error = self.client.gone(self.command_bytes) => Err(ProxyError::ClientGone(error)),
        };
        if self.handle.ended_running() {
            connection.never_reuse();
        }
        connection.hold_locks(worked.is_ok());
        self.settle(connection);
        let worked = worked.map_err(|error| self.in_logical_names(error, &one.spot));
        worked.map(drop).map_err(|error| self.refused_early(error, &one.spot))
    }

    /// Unlocks what is locked.
    async fn let_locks_go(&mut self) -> Result<(), ProxyError> {
        let servers = self.locked_servers().to_vec();
        self.unlock_on(&servers).await
    }

    async fn unlock_on(&mut self, servers: &[ServerId]) -> Result<(), ProxyError> {
        let is_one = |held: &BackendConnection| servers.contains(&held.endpoint().id()) && held.holds_locks();
        let held = std::mem::take(&mut self.held);
        let (locked, others) = held.into_iter().partition(|held| is_one(held));
        self.held = others;
        let mut failure = None;
        let locked: Vec<Box<BackendConnection>> = locked;
        for mut connection in locked {
            match connection.execute(b"UNLOCK TABLES").await {
                Ok(_) => {
                    connection.hold_locks(false);
                    self.settle(connection);
                }
                // What it has locked ends with it.
                Err(error) => {
                    self.lost |= connection.is_pinned_otherwise();
                    failure = Some(error);
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

/// What is said of locks on several servers of a session whose every statement opens a transaction.
fn without_autocommit() -> ProxyError {
    ClientError::not_supported("autocommit = 0 with LOCK TABLES of tables on several MySQL servers").into()
}
