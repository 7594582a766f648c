//! Snapshots of several servers that are of one moment, as a session opens and ends them: for START TRANSACTION WITH CONSISTENT SNAPSHOT, for transactions while `podway_read` is
//! `atomic`, and then for each SELECT over several shards that is on its own. Whether snapshots are of one moment is decided in `txn`.
//!
//! Each server has a plain transaction of its own, not a branch: MySQL opens no snapshot in one. So one of them at most is written to.

use std::collections::BTreeMap;
use std::sync::Arc;

use podway_model::{Keyspace, Map, ServerId, ShardIndex};
use podway_router::{Effects, Plan};
use podway_wire::ErrPacket;
use tokio::time::Instant;

use super::core::{Session, Spot};
use super::own_variables::ReadMode;
use crate::backend::{BackendConnection, Fit, string_literal};
use crate::error::{ClientError, ErrorCode, Moved, ProxyError, Why};
use crate::txn::{Begin, LiveMap, Opening, OpeningError, Reader, Transaction, live};

/// What a server without Podway's procedures says: ER_BAD_DB_ERROR, ER_SP_DOES_NOT_EXIST, ER_PROCACCESS_DENIED_ERROR.
const UNPREPARED: [u16; 3] = [1049, 1305, 1370];
/// What begins a transaction in which what is read is locked.
pub(super) const SERIALIZABLE: &[u8] = b"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE";
pub(super) const COMMIT: &[u8] = b"COMMIT AND NO CHAIN NO RELEASE";
pub(super) const ROLL_BACK: &[u8] = b"ROLLBACK AND NO CHAIN NO RELEASE";

/// Connections in snapshots of one moment, by server.
pub(super) type Readers = BTreeMap<ServerId, Box<BackendConnection>>;

impl Session {
    /// How the transaction that begins now reads; what was set for it alone counts no more.
    pub(super) fn take_read_mode(&mut self) -> ReadMode {
        self.state.own.read_next.take().unwrap_or(self.state.own.read)
    }

    /// Whether SELECTs over several shards, each on its own, read from one snapshot.
    pub(super) fn reads_atomically(&self) -> bool {
        self.state.own.read == ReadMode::Atomic && !self.reads_on_its_own()
    }

    /// Opens the snapshot of a transaction that is to have one, before its first statement that needs a server.
    pub(super) async fn begin_snapshot(&mut self, plan: &Plan, map: &Arc<Map>) -> Result<(), ProxyError> {
        if self.state.transaction.server().is_some() || plan.effects().contains(Effects::IMPLICIT_COMMIT) {
            return Ok(());
        }
        let implied = if self.state.autocommit { ReadMode::Fast } else { self.state.own.read };
        let is_wanted = match self.state.transaction.pending() {
            Some((begin, _)) => begin.atomic,
            None => implied == ReadMode::Atomic,
        };
        if self.runs_outside(plan) {
            return Ok(());
        }
        if !is_wanted {
            if !self.state.autocommit && self.state.transaction.pending().is_none() {
                self.imply_serializable();
            }
            return Ok(());
        }
        let keyspace = plan.keyspace().and_then(|name| map.keyspace(name));
        if !self.open_snapshot(map, keyspace).await? {
            // On one server it has a snapshot, too, but where it locks what it reads.
            let is_snapshot = !self.is_serializable();
            self.state.transaction.read_whole(is_snapshot);
        }
        Ok(())
    }

    /// A transaction that begins by itself locks what it reads while `podway_read` is `serializable`, unless SET TRANSACTION was about it.
    pub(super) fn imply_serializable(&mut self) {
        if self.state.own.read == ReadMode::Serializable {
            self.state.characteristics.get_or_insert_with(|| SERIALIZABLE.to_vec());
        }
    }

    /// A transaction that has begun without being asked for, or follows another in a chain, reads as `podway_read` says.
    pub(super) fn read_on(&mut self) {
        self.imply_serializable();
        if self.state.own.read == ReadMode::Atomic {
            self.state.transaction.read_whole(true);
        }
    }

    /// Opens a snapshot on all servers of a keyspace, or of all keyspaces, if there are several, and goes on with the open or implied transaction in it. Whether there were.
    pub(super) async fn open_snapshot(
        &mut self,
        map: &Arc<Map>,
        keyspace: Option<&Arc<Keyspace>>,
    ) -> Result<bool, ProxyError> {
        let spots = self.snapshot_spots(map, keyspace).await?;
        if spots.len() < 2 {
            return Ok(false);
        }
        self.check_level()?;
        let (begin, savepoints) = match self.state.transaction.pending() {
            Some((begin, savepoints)) => (begin, savepoints.to_vec()),
            None => (Begin { atomic: true, ..Begin::default() }, Vec::new()),
        };
        let before = self.state.characteristics.clone();
        let statements = Transaction::opening_snapshot(begin, &savepoints, before.as_ref());
        let connections = self.opened(map, &spots, statements).await?;
        let servers: Vec<ServerId> = spots.iter().map(|spot| spot.pool.id()).collect();
        let characteristics = self.state.characteristics.take();
        self.state.transaction = Transaction::opened_snapshot(&servers, begin, savepoints, characteristics);
        self.under = Some(map.clone());
        connections.into_iter().for_each(|connection| self.settle(connection));
        Ok(true)
    }

    /// A spot on each server, where no shard is about to change its owner.
    async fn snapshot_spots(
        &mut self,
        map: &Arc<Map>,
        keyspace: Option<&Arc<Keyspace>>,
    ) -> Result<Vec<Spot>, ProxyError> {
        let of_session = || self.state.database.as_ref().and_then(|name| map.keyspace(name));
        let keyspaces: Vec<Arc<Keyspace>> = match keyspace.or_else(of_session) {
            Some(one) => vec![one.clone()],
            None => map.keyspaces().cloned().collect(),
        };
        let mut spots: BTreeMap<ServerId, Spot> = BTreeMap::new();
        for keyspace in keyspaces {
            for index in (0..keyspace.shards.len()).map(|nth| ShardIndex(nth as u16)) {
                let Some((server, shard)) = map.place(&keyspace, index) else { continue };
                let pool = self.shared.pools.get(server);
                let spot = Spot::new(pool, shard.schema.shared_text(), Some(keyspace.clone()), index);
                self.check_moving(&spot).await?;
                spots.entry(server.id).or_insert(spot);
            }
        }
        Ok(spots.into_values().collect())
    }

    /// At SERIALIZABLE what is read is locked, which a snapshot does not give.
    fn check_level(&self) -> Result<(), ProxyError> {
        if self.is_serializable() {
            let what = "SERIALIZABLE with a snapshot of several servers";
            return Err(ClientError::not_supported(what).into());
        }
        Ok(())
    }

    /// Whether the transaction that is open, or the next, is at SERIALIZABLE.
    pub(super) fn is_serializable(&self) -> bool {
        let is_asked_for =
            |text: &Vec<u8>| text.to_ascii_uppercase().windows(12).any(|word| word == b"SERIALIZABLE");
        let is_set = |literal: &[u8]| literal == string_literal(b"SERIALIZABLE");
        let of_open = || self.state.transaction.chained().1;
        match self.state.characteristics.clone().or_else(of_open) {
            Some(set) => is_asked_for(&set),
            None => self.state.settings.get("transaction_isolation").is_some_and(is_set),
        }
    }

    /// Connections to these spots with snapshots of one moment; those that the session holds are used.
    pub(super) async fn opened(
        &mut self,
        map: &Arc<Map>,
        spots: &[Spot],
        statements: Vec<Vec<u8>>,
    ) -> Result<Vec<Box<BackendConnection>>, ProxyError> {
        let is_pinned = |held: &BackendConnection| {
            held.is_pinned() && spots.iter().any(|spot| spot.pool.id() == held.endpoint().id())
        };
        let has_pinned = self.held.iter().any(|held| is_pinned(held));
        let opened = self.open_all(map, spots, statements).await;
        // Those whose snapshots were not opened are closed, with whatever was on them.
        self.lost |= has_pinned && opened.is_err();
        opened
    }

    async fn open_all(
        &mut self,
        map: &Arc<Map>,
        spots: &[Spot],
        statements: Vec<Vec<u8>>,
    ) -> Result<Vec<Box<BackendConnection>>, ProxyError> {
        let mut readers = Vec::with_capacity(spots.len());
        for spot in spots {
            let held = self.held.iter().position(|held| held.endpoint().id() == spot.pool.id());
            let mut connection = match held {
                Some(position) => self.held.swap_remove(position),
                None => {
                    let fit =
                        Fit { settings: self.state.settings.fingerprint(), schema: Some(&spot.current) };
                    spot.pool.checkout(&self.key, fit).await?
                }
            };
            connection
                .synchronise(&spot.current, &self.state.settings, None)
                .await
                .map_err(|error| self.refused_early(self.in_logical_names(error, spot), spot))?;
            let Some(server) = map.server(spot.pool.id()) else { continue };
            readers.push(Reader { side: self.shared.transactions.side.of(server), connection });
        }
        self.handle.set_running(readers.iter().map(|reader| reader.connection.thread().clone()));
        let shared = self.shared.clone();
        let newest: LiveMap = Arc::new(move || live(&shared.map));
        let opening = Opening {
            readers,
            statements,
            give_up: Instant::now() + self.shared.config.client.snapshot_deadline,
            map: newest,
            transactions: self.shared.transactions.clone(),
            metrics: self.shared.metrics.clone(),
        };
        let opened = tokio::select! {
            biased;
            opened = opening.open() => opened,
            error = self.client.gone(self.command_bytes) => return Err(ProxyError::ClientGone(error)),
        };
        let is_condemned = self.handle.ended_running();
        let connections = opened.map_err(|error| self.not_opened(error, spots))?;
        if is_condemned {
            return Err(again("The statement was ended while its snapshot was being opened"));
        }
        match self.has_moved(spots) {
            Some(moved) => Err(ProxyError::ShardMoved(Box::new(moved))),
            None => Ok(connections),
        }
    }

    /// Whether a shard of the spots' keyspaces has changed its owner, or is about to, while snapshots were opened: they are opened anew, under the newer map.
    fn has_moved(&self, spots: &[Spot]) -> Option<Moved> {
        let newest = self.shared.map.load();
        spots.iter().filter_map(|spot| spot.keyspace.as_ref()).find_map(|then| {
            let now = newest.keyspace(&then.name)?;
            let shard = then.shards.iter().find(|shard| !now.shards.contains(shard))?;
            let refused = ErrPacket::new(1213, *b"40001", b"the shard has changed its owner".to_vec());
            Some(Moved { keyspace: then.name.clone(), shard: shard.clone(), why: Why::Refused(refused) })
        })
    }

    fn not_opened(&self, error: OpeningError, spots: &[Spot]) -> ProxyError {
        match error {
            OpeningError::TooLate => again(
                "The snapshots of several servers could not be brought to one moment within client.snapshot_deadline",
            ),
            OpeningError::Server(_, ProxyError::Server(refused)) if UNPREPARED.contains(&refused.code) => {
                ClientError::not_supported(&format!(
                    "a snapshot of several MySQL servers, of which one is not prepared for it ({})",
                    String::from_utf8_lossy(&refused.message)
                ))
                .into()
            }
            OpeningError::Server(server, error) => match spots.iter().find(|spot| spot.pool.id() == server) {
                Some(spot) => self.refused_early(self.in_logical_names(error, spot), spot),
                None => error,
            },
        }
    }

    /// Refuses a write that could not be committed together with what the transaction has written elsewhere: before it has any effect.
    pub(super) fn check_writes(&self, servers: impl IntoIterator<Item = ServerId>) -> Result<(), ProxyError> {
        let transaction = &self.state.transaction;
        if !transaction.is_snapshot() {
            return Ok(());
        }
        let mut first = None;
        for server in servers {
            transaction.check_write(server)?;
            if *first.get_or_insert(server) != server {
                return Err(crate::txn::TransactionError::SecondWriter.into());
            }
        }
        Ok(())
    }

    /// Ends a transaction that is one snapshot of several servers: what was written, on one of them, is committed there; the others only read.
    pub(super) async fn end_snapshot(&mut self, wants_commit: bool) -> Result<(), ProxyError> {
        self.handle.parts_end();
        let transaction = std::mem::take(&mut self.state.transaction);
        let (servers, writers) = (transaction.servers(), transaction.writers());
        let held = std::mem::take(&mut self.held);
        let (mut parts, held): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|held| servers.contains(&held.endpoint().id()));
        self.held = held;
        let is_whole = parts.len() == servers.len() && !transaction.is_broken();
        let ends_badly = wants_commit && !writers.is_empty() && !is_whole;
        let mut done = Ok(());
        for connection in &mut parts {
            let commits = wants_commit && !ends_badly && writers.contains(&connection.endpoint().id());
            if commits {
                done = self.commit_writer(&transaction, connection).await;
            }
        }
        for mut connection in parts {
            if connection.is_usable() && connection.in_transaction() {
                // What only read leaves nothing, and what was not committed is to be gone.
                let _rolled_back = connection.execute(ROLL_BACK).await;
            }
            self.take_back(connection).await;
        }
        done?;
        match ends_badly {
            true => Err(again("A server has ended its part: it was rolled back on all servers")),
            false => Ok(()),
        }
    }

    /// Commits the one server that was written to; what fails is rolled back by the caller.
    async fn commit_writer(
        &mut self,
        transaction: &Transaction,
        connection: &mut BackendConnection,
    ) -> Result<(), ProxyError> {
        let stamp = match connection.in_transaction() {
            true => self.mark_alone(transaction, connection).await?,
            false => None,
        };
        commit(connection).await?;
        self.state.own.committed(stamp);
        Ok(())
    }

    /// A statement's own snapshot has been read.
    pub(super) async fn leave_own_snapshot(&mut self) -> Result<(), ProxyError> {
        match std::mem::take(&mut self.place.in_own_snapshot) {
            true => self.end_snapshot(false).await,
            false => Ok(()),
        }
    }
}

async fn commit(connection: &mut BackendConnection) -> Result<(), ProxyError> {
    connection.refresh_status().await?;
    if !connection.in_transaction() {
        return Err(again("A server has ended its part: it was rolled back on all servers"));
    }
    connection.execute(COMMIT).await.map(|_| ())
}

fn again(why: &str) -> ProxyError {
    ClientError::new(ErrorCode::TRY_AGAIN, format!("{why}; try restarting transaction")).into()
}
