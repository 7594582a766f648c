//! The shards' own answers inside a transaction, where each server has one connection: one shard after the other, as far as LIMIT wants their rows. So there is no
//! bound on them either.
//!
//! The client may take long over one shard's rows. So all servers are in the transaction, and what its parts see is fixed, before it gets the first; and all of them are
//! at work for the statement until its end: a shard whose turn has yet to come does not change its owner meanwhile.

use std::collections::BTreeMap;

use podway_model::{Keyspace, ServerId};
use podway_router::{Gather, Merge, Wanted};
use podway_wire::ResponseKind;
use tokio::task::JoinSet;

use super::super::core::{Planned, Session, Spot};
use super::super::run::warnings;
use super::super::state::Warning;
use super::parts::Budget;
use super::{Bound, MAX_WARNINGS, keys_of};
use super::answer::Answer;
use super::measure::Taking;
use super::merged::definitions;
use crate::backend::{BackendConnection, quoted_identifier};
use crate::error::{ClientError, ProxyError};
use crate::execute::{Ordered, RowStream, execute_packet};

/// The transaction's connections, by server.
type Connections = BTreeMap<ServerId, Box<BackendConnection>>;

/// What has come so far.
struct Passing {
    /// Begun by the first shard's columns.
    answer: Option<Answer>,
    /// Rows that are to be put in order when all have come.
    in_order: Vec<Ordered>,
    /// How many of them there may be.
    budget: Budget,
    skip: u64,
    left: u64,
    warnings: Vec<Warning>,
}

/// What is read of each shard.
#[derive(Clone, Copy)]
struct Read<'r> {
    merge: &'r Merge,
    wanted: Wanted,
    /// Whether it stays locked: then no shard is asked for more than is wanted still.
    locks: bool,
    bound: Option<&'r Bound<'r>>,
}

impl Read<'_> {
    fn of_shard(&self, passing: &Passing) -> Wanted {
        match self.wanted.count {
            Some(0) if self.locks => Wanted { offset: 0, count: Some(0) },
            Some(_) if self.locks && self.merge.order.is_empty() => {
                Wanted { offset: passing.skip, count: Some(passing.left) }
            }
            _ => self.wanted,
        }
    }
}

impl Session {
    /// Runs a statement on the transaction's own connections: its rows may come in any order, or are locked, and then put in order when all have come.
    pub(super) async fn run_in_turn(
        &mut self,
        planned: &Planned<'_>,
        (keyspace, gather): (&Keyspace, &Gather),
        merge: &Merge,
        bound: Option<&Bound<'_>>,
    ) -> Result<(), ProxyError> {
        let text = (planned.sql, planned.normal);
        let mut shards = planned.plan.shards(keyspace, &merge.keys, text, keys_of(bound));
        if shards.is_empty() {
            shards.push(keyspace.home);
        }
        self.check_free()?;
        let wanted = merge.wanted(text.0, text.1).map_err(ClientError::from)?;
        let spots = self.spots(planned, &shards).await?;
        let mut connections = self.enter_servers(planned, &spots).await?;
        self.handle.set_running(connections.values().map(|connection| connection.thread().clone()));
        let left = wanted.count.unwrap_or(u64::MAX);
        let (skip, in_order, warnings) = (wanted.offset, Vec::new(), Vec::new());
        let budget = Budget::of(&self.shared.config.client);
        let mut passing = Passing { answer: None, in_order, budget, skip, left, warnings };
        let passed = match self.open_views(gather, &spots, &mut connections).await {
            Ok(()) => {
                let read = Read { merge, wanted, locks: gather.locks(), bound };
                self.pass_in_turn(planned, &spots, read, &mut connections, &mut passing).await
            }
            Err(error) => Err(error),
        };
        let passed = self.leave_servers(connections, passed).await;
        let passed = match passed {
            Ok(()) => self.pass_ordered(merge, &mut passing).await,
            failed => failed,
        };
        let passed = self.leave_own_transaction().await.and(passed);
        let Passing { answer, warnings, .. } = passing;
        let mut answer = match (passed, answer) {
            (Ok(()), Some(answer)) => answer,
            (Ok(()), None) => return Ok(()),
            (Err(error), Some(answer)) => return Err(answer.cut_off(error, self)),
            (Err(error), None) => return Err(error),
        };
        self.note_result(answer.rows);
        let ended = self.put_end(&mut answer, warnings.len()).await;
        self.remember_gathered(answer.rows, warnings);
        ended
    }

    /// The transaction's connection to each server of these spots; those that had no part in it join.
    async fn enter_servers(
        &mut self,
        planned: &Planned<'_>,
        spots: &[Spot],
    ) -> Result<Connections, ProxyError> {
        let mut connections = Connections::new();
        for spot in spots {
            let server = spot.pool.id();
            if connections.contains_key(&server) {
                continue;
            }
            match self.acquire(&planned.plan, spot).await {
                Ok(connection) => drop(connections.insert(server, connection)),
                Err(error) => {
                    connections.into_values().for_each(|connection| self.settle(connection));
                    return Err(self.refused_early(error, spot));
                }
            }
        }
        Ok(connections)
    }

    /// Gives the connections back to the transaction.
    async fn leave_servers(
        &mut self,
        connections: Connections,
        passed: Result<(), ProxyError>,
    ) -> Result<(), ProxyError> {
        if passed.is_err() {
            // It may be tried again.
            self.handle.seeks();
        }
        let is_condemned = self.handle.ended_running();
        match passed {
            Err(ProxyError::ClientGone(error)) => Err(ProxyError::ClientGone(error)),
            // The transaction is given up, and ends with its connections, of which one may be in the middle of its answer.
            Err(_) if self.handle.is_evicted() => Err(ProxyError::interrupted()),
            passed => {
                for connection in connections.into_values() {
                    self.put_back(connection, is_condemned).await;
                }
                passed
            }
        }
    }

    /// Has each server fix now what its part of the transaction sees, which MySQL does at the first read (at REPEATABLE READ, and for the whole transaction): a row that
    /// is moved from one shard to another while the client reads is there once.
    async fn open_views(
        &mut self,
        gather: &Gather,
        spots: &[Spot],
        connections: &mut Connections,
    ) -> Result<(), ProxyError> {
        let Some(part) = gather.parts.first() else { return Ok(()) };
        // At SERIALIZABLE a read would lock a row that the statement may not want.
        // Under locks nothing is moved.
        // What is locked is not of a view.
        if connections.len() < 2
            || gather.locks_all()
            || self.is_locked()
            || self.state.transaction.is_snapshot()
            || self.is_serializable()
        {
            return Ok(());
        }
        let mut servers = JoinSet::new();
        for (server, mut connection) in std::mem::take(connections) {
            let at = spots.iter().position(|spot| spot.pool.id() == server).unwrap_or_default();
            let (schema, table) = (quoted_identifier(&spots[at].schema), quoted_identifier(&part.table));
            // InnoDB makes no view where LIMIT wants no row, and makes one where the table has none.
            let sql = format!("SELECT 1 FROM {schema}.{table} LIMIT 1");
            servers.spawn(async move {
                let read = connection.rows(sql.as_bytes()).await;
                (at, connection, read)
            });
        }
        let mut failure = None;
        while let Some((at, connection, read)) = self.next_of(&mut servers, true).await? {
            connections.insert(spots[at].pool.id(), connection);
            if let Err(error) = read {
                let error = self.in_logical_names(error, &spots[at]);
                failure.get_or_insert(self.refused_early(error, &spots[at]));
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Passes on one shard's rows after the other's.
    async fn pass_in_turn(
        &mut self,
        planned: &Planned<'_>,
        spots: &[Spot],
        read: Read<'_>,
        connections: &mut Connections,
        passing: &mut Passing,
    ) -> Result<(), ProxyError> {
        for spot in spots {
            // The first is asked for its columns even if no row is wanted.
            if passing.left == 0 && passing.answer.is_some() {
                break;
            }
            // A server that waits for its turn does not heed KILL QUERY.
            if self.handle.is_condemned() {
                return Err(ProxyError::interrupted());
            }
            self.pass_one(planned, spot, read, connections, passing).await?;
        }
        Ok(())
    }

    /// Runs it on one shard, to the end of its answer.
    async fn pass_one(
        &mut self,
        planned: &Planned<'_>,
        spot: &Spot,
        read: Read<'_>,
        connections: &mut Connections,
        passing: &mut Passing,
    ) -> Result<(), ProxyError> {
        let server = spot.pool.id();
        let Some(mut connection) = connections.remove(&server) else {
            self.lost = true;
            return Err(spot.pool.endpoint().lost("the connection of an open transaction is gone"));
        };
        // Another shard of the same server may have had it before.
        if let Err(error) = connection.synchronise(&spot.current, &self.state.settings, None).await {
            connections.insert(server, connection);
            return Err(self.in_logical_names(error, spot));
        }
        let mut sql = Vec::new();
        self.with_facts(planned, spot, |facts| {
            let text = (planned.sql, planned.normal);
            planned.plan.shard_text(read.merge, read.of_shard(passing), text, facts, &mut sql);
        });
        let packet = match read.bound {
            None => self.query_packet(&sql),
            Some(bound) => {
                let key = bound.key(self.preparation(planned, spot, &sql, connection.settings()));
                match connection.ready(key, &sql.into()).await {
                    Ok(id) => execute_packet(bound.execute, id, connection.capabilities()),
                    Err(error) => {
                        connections.insert(server, connection);
                        return Err(self.refused_early(self.in_logical_names(error, spot), spot));
                    }
                }
            }
        };
        let kind = if read.bound.is_some() { ResponseKind::Execute } else { ResponseKind::Query };
        let sent = RowStream::send(connection, &packet, kind).await;
        // A connection that cannot be written to is the transaction's end.
        let mut stream = sent.inspect_err(|_| self.lost = true)?;
        let mut took = Taking::begun();
        let passed = self.pass_stream(&mut stream, (spot, read), passing, &mut took).await;
        if matches!(passed, Err(ProxyError::Client(_))) {
            // What is not wanted any more has to be read all the same: the connection is the transaction's.
            stream.read_out().await;
        }
        let (mut connection, summary) = stream.into_parts();
        self.note_shard(0, spot.index, took);
        let mut passed = passed;
        if passed.is_ok() && summary.warnings > 0 && passing.warnings.len() < MAX_WARNINGS {
            passed = warnings(&mut connection).await.map(|found| {
                self.note_heard(1, found.len());
                passing.warnings.extend(found);
            });
        }
        connections.insert(server, connection);
        passed.map_err(|error| {
            let error = self.in_logical_names(error, spot);
            if passing.answer.is_none() { self.refused_early(error, spot) } else { error }
        })
    }

    async fn pass_stream(
        &mut self,
        stream: &mut RowStream,
        (spot, read): (&Spot, Read<'_>),
        passing: &mut Passing,
        took: &mut Taking,
    ) -> Result<(), ProxyError> {
        let keys = read.merge.order.len();
        let mut all = Vec::new();
        loop {
            let row = self.read_row(stream).await?;
            took.saw(row.as_ref());
            if all.is_empty() {
                all = definitions(stream.columns(), spot.name_change().as_ref())
                    .map_err(|error| stream.surprise(error))?;
            }
            if passing.answer.is_none() {
                let visible = all.len().saturating_sub(keys);
                let mut answer = Answer::of(all[..visible].to_vec(), self, read.bound.is_some());
                self.put_columns(&mut answer);
                passing.answer = Some(answer);
            }
            let (Some(row), Some(answer)) = (row, passing.answer.as_mut()) else { return Ok(()) };
            if self.handle.is_evicted() {
                // It holds a shard that is to go, maybe one whose turn has yet to come.
                return Err(ProxyError::interrupted());
            }
            if keys > 0 {
                passing.budget.take(row.len())?;
                let row = match read.bound {
                    None => Ordered::read(row, keys),
                    Some(_) => Ordered::read_binary(row, &all, keys),
                };
                passing.in_order.push(row.map_err(|error| stream.surprise(error))?);
                continue;
            }
            match (passing.skip, passing.left) {
                (_, 0) => {}
                (0, _) => {
                    passing.left -= 1;
                    self.put_row(answer, &row).await?;
                }
                _ => passing.skip -= 1,
            }
        }
    }

    /// Passes on the rows that have been waited for, in order.
    async fn pass_ordered(&mut self, merge: &Merge, passing: &mut Passing) -> Result<(), ProxyError> {
        let Some(answer) = passing.answer.as_mut() else { return Ok(()) };
        let mut rows = std::mem::take(&mut passing.in_order);
        rows.sort_by(|left, right| left.compare(right, &merge.order));
        let skip = usize::try_from(passing.skip).unwrap_or(usize::MAX);
        let count = usize::try_from(passing.left).unwrap_or(usize::MAX);
        for row in rows.iter().skip(skip).take(count) {
            self.put_row(answer, row.visible()).await?;
        }
        Ok(())
    }
}
