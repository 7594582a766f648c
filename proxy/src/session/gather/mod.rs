//! A SELECT over several shards: its connections, what stands in its way, and what its client is told. How rows are gathered the plan says
//! ([`podway_router::Gather`]); [`atomic`] has it read from one snapshot; [`merged`] passes on what the shards themselves answer (inside a
//! transaction [`in_turn`]), [`locking`] locks them, [`finished`] has MySQL compute the statement over rows that were read; [`fed`] reads rows that shards write with; [`measure`]
//! notes what that takes, for EXPLAIN ANALYZE; [`catalog`] reads what `information_schema` says of all shards.
//!
//! Nothing is sent to the client before every shard has begun to answer, so that a refusal, a shard that has moved or a connection that was dead leaves the
//! statement free to be tried again.

mod answer;
mod atomic;
mod catalog;
mod fed;
mod finished;
mod in_turn;
mod locking;
mod measure;
mod merged;
mod parts;

pub(super) use finished::put_rows;
pub(super) use merged::definitions;
pub(super) use parts::{Budget, PartRows, reading, table_columns};

use std::sync::Arc;

use podway_model::{Keyspace, Map, Name, ShardIndex};
use podway_router::{Facts, Gather, KeyValue, Route, Rows};
use podway_wire::{Execute, ResponseKind};
use xxhash_rust::xxh3::Xxh3;

pub(super) use answer::Answer;
pub(super) use measure::Taking;

use super::core::{Planned, Session, Spot};
use super::run::FRESH_CONNECTIONS;
use super::state::Warning;
use crate::backend::{BackendConnection, Fit, Settings};
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::execute::{RowStream, execute_packet};

/// Literals that switch a variable off.
const OFF: [&[u8]; 6] = [b"0", b"OFF", b"off", b"FALSE", b"false", b"DEFAULT"];
/// How long a connection beside those with the session's LOCK TABLES waits for locks, in seconds.
const LOCKED_WAIT: &[u8] = b"5";
/// How many warnings a session keeps (`max_error_count`'s default).
pub(super) const MAX_WARNINGS: usize = 1_024;

/// An execution's values. They stay parameters in what the shards and MySQL run, for MySQL compares a parameter otherwise than a literal with some types.
pub(super) struct Bound<'a> {
    /// The execution, without a cursor.
    pub(super) execute: &'a Execute<'a>,
    /// Its parameters as the vindexes read them.
    pub(super) keys: &'a [KeyValue<'a>],
}

/// The keyspace that a plan over several shards is about.
pub(super) fn keyspace_of(map: &Map, name: &Name) -> Result<Arc<Keyspace>, ProxyError> {
    let gone = || ClientError::new(ErrorCode::UNKNOWN_DATABASE, format!("Unknown database '{name}'"));
    Ok(map.keyspace(name).cloned().ok_or_else(gone)?)
}

/// The values that keys' parameters have; none without an execution.
pub(super) fn keys_of<'b>(bound: Option<&'b Bound<'_>>) -> &'b [KeyValue<'b>] {
    bound.map_or(&[], |bound| bound.keys)
}

impl Bound<'_> {
    /// What a statement is known by on its connection, with what else its preparation depends on.
    pub(super) fn key(&self, mut hasher: Xxh3) -> u64 {
        self.execute.types.iter().for_each(|of| hasher.update(&[of.column_type, u8::from(of.unsigned)]));
        hasher.digest()
    }
}

impl Session {
    /// Runs a SELECT over several shards and answers it.
    pub(super) async fn run_gathered(
        &mut self,
        planned: &Planned<'_>,
        bound: Option<&Bound<'_>>,
    ) -> Result<(), ProxyError> {
        let plan = planned.plan.clone();
        let Some(gather) = plan.gather.as_deref() else {
            return Err(
                ClientError::new(ErrorCode::UNKNOWN, "The plan does not say how rows are gathered").into()
            );
        };
        let keyspace = keyspace_of(&planned.map, &gather.keyspace)?;
        if !gather.is_catalog() {
            self.check_locks(planned)?;
        }
        if gather.locks() {
            self.check_locking()?;
        }
        self.begin_snapshot(&planned.plan, &planned.map).await?;
        let mut attempts = FRESH_CONNECTIONS;
        loop {
            self.measure_anew();
            let done = match gather.locks() {
                true => Some(Box::pin(self.run_locking(planned, (&keyspace, gather), bound)).await),
                false => Box::pin(self.gather_atomically(planned, (&keyspace, gather), bound)).await,
            };
            let may_merge = self.state.settings.get("sql_select_limit").is_none();
            let merge = gather.merge.as_ref().filter(|_| may_merge);
            // In a transaction each server has one connection, on which one answer follows the other.
            let is_inside = self.reads_on_its_own();
            let merge = merge.filter(|merge| !is_inside || merge.order.is_empty() && bound.is_none());
            let result = match (done, merge) {
                (Some(done), _) => done,
                (None, Some(merge)) if is_inside => {
                    Box::pin(self.run_in_turn(planned, (&keyspace, gather), merge, None)).await
                }
                (None, Some(merge)) => {
                    Box::pin(self.run_merged(planned, &keyspace, merge, (bound, None))).await
                }
                (None, None) => Box::pin(self.run_finished(planned, &keyspace, gather, bound)).await,
            };
            // What failed has closed its connections: a KILL on its way hits nobody else.
            self.handle.ended_running();
            match result {
                Err(ProxyError::BackendUnusable { .. })
                    if attempts > 0 && !self.lost && !self.state.transaction.is_snapshot() =>
                {
                    attempts -= 1;
                }
                result => return result,
            }
        }
    }

    /// Whether a statement over several shards is part of a transaction: then it runs on its own connections, and sees what it wrote.
    pub(super) fn is_inside(&self) -> bool {
        self.state.transaction.is_open() || !self.state.autocommit
    }

    /// The session's settings for a connection that is outside its transaction.
    pub(super) fn settings_outside(&self) -> Arc<Settings> {
        let is_locked = self.is_locked();
        if self.state.autocommit && !is_locked {
            return self.state.settings.clone();
        }
        let mut settings = (*self.state.settings).clone();
        if is_locked {
            // It may wait behind DDL that waits for the session's own locks.
            settings.put("lock_wait_timeout", LOCKED_WAIT);
        }
        if !self.state.autocommit {
            settings.put("autocommit", b"1");
        }
        Arc::new(settings)
    }

    /// Refuses what several connections cannot give: what only the session's own connection knows.
    pub(super) fn check_free(&self) -> Result<(), ProxyError> {
        if self.held.iter().any(|held| held.is_pinned_otherwise()) {
            // Another connection knows none of its temporary tables.
            return Err(ClientError::not_supported(
                "a statement over several shards in a session that holds user locks, temporary tables or the like on one server",
            )
            .into());
        }
        let is_on = |name: &str| self.state.settings.get(name).is_some_and(|literal| !OFF.contains(&literal));
        if is_on("sql_auto_is_null") {
            return Err(
                ClientError::not_supported("sql_auto_is_null with a statement over several shards").into()
            );
        }
        Ok(())
    }

    /// A shard for what any would do: sessions take turns, so that no server does more than others.
    fn own_turn(&self, keyspace: &Keyspace) -> ShardIndex {
        ShardIndex((self.handle.id as usize % keyspace.shards.len().max(1)) as u16)
    }

    /// The shards' spots, where none is about to change its owner.
    pub(super) async fn spots(
        &mut self,
        planned: &Planned<'_>,
        shards: &[ShardIndex],
    ) -> Result<Vec<Spot>, ProxyError> {
        let mut spots = Vec::with_capacity(shards.len());
        for &shard in shards {
            let spot = self.spot(&planned.map, &planned.plan, Route::Shard(shard))?;
            self.check_moving(&spot).await?;
            spots.push(spot);
        }
        Ok(spots)
    }

    /// A connection to a shard's server that reads under these settings, outside every transaction.
    pub(super) async fn reader(
        &mut self,
        spot: &Spot,
        settings: &Arc<Settings>,
    ) -> Result<Box<BackendConnection>, ProxyError> {
        let fit = Fit { settings: settings.fingerprint(), schema: Some(&spot.current) };
        let mut connection =
            spot.pool.checkout(&self.key, fit).await.map_err(|error| self.refused_early(error, spot))?;
        match connection.synchronise(&spot.current, settings, None).await {
            Ok(()) => Ok(connection),
            Err(error) => {
                self.put_away(connection, false);
                Err(self.refused_early(self.in_logical_names(error, spot), spot))
            }
        }
    }

    /// Sends a statement, with an execution's values where it has them.
    async fn send_stream(
        &self,
        mut connection: Box<BackendConnection>,
        (planned, spot): (&Planned<'_>, &Spot),
        sql: Vec<u8>,
        bound: Option<&Bound<'_>>,
    ) -> Result<RowStream, ProxyError> {
        let Some(bound) = bound else {
            return RowStream::send(connection, &self.query_packet(&sql), ResponseKind::Query).await;
        };
        let key = bound.key(self.preparation(planned, spot, &sql, connection.settings()));
        let id = connection.ready(key, &sql.into()).await?;
        let packet = execute_packet(bound.execute, id, connection.capabilities());
        RowStream::send(connection, &packet, ResponseKind::Execute).await
    }

    /// Gives a reader back, or closes it: in the middle of an answer, or where a KILL for it may be on its way.
    pub(super) fn put_away(&self, mut connection: Box<BackendConnection>, is_condemned: bool) {
        if is_condemned {
            connection.never_reuse();
        }
        if connection.is_usable() {
            connection.give_back(self.started);
        }
    }

    /// What the session knows, for the text that a spot's server gets.
    pub(super) fn with_facts<T>(
        &self,
        planned: &Planned<'_>,
        spot: &Spot,
        work: impl FnOnce(&Facts<'_>) -> T,
    ) -> T {
        let physical = |name: &Name| {
            let is_own = spot.keyspace.as_ref().is_some_and(|keyspace| keyspace.name == *name);
            is_own.then_some(&*spot.schema)
        };
        work(&Facts { numbers: planned.numbers(), ..self.facts(planned.database, &physical) })
    }

    /// Remembers what a gathered statement left.
    fn remember_gathered(&mut self, rows: u64, mut warnings: Vec<Warning>) {
        warnings.truncate(MAX_WARNINGS);
        self.state.found_rows = rows;
        if let Some(captured) = &mut self.captured {
            captured.warnings = warnings;
            return;
        }
        self.state.row_count = -1;
        self.state.warnings = warnings;
    }
}

/// Whether any of the parts is on the home shard alone.
fn needs_home(gather: &Gather) -> bool {
    gather.is_catalog() || gather.parts.iter().any(|part| part.rows == Rows::Home)
}
