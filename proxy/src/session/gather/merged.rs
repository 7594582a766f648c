//! The shards' own answers put together: concatenated or merged in order, as far as LIMIT wants them.

use bytes::Bytes;
use podway_model::Keyspace;
use podway_router::{Merge, Route, Wanted};
use podway_wire::{ColumnDefinition, DecodeError, ResponseKind};

use super::super::core::{Planned, Session, Spot, Work};
use super::super::run::warnings;
use super::super::snapshot::Readers;
use super::super::state::Warning;
use super::answer::Answer;
use super::measure::Taking;
use super::{Bound, MAX_WARNINGS, keys_of};
use crate::error::{ClientError, ProxyError};
use crate::execute::{NameChange, Ordered, RowStream};

/// How many unwanted rows are read for the sake of a connection that can be used again; with more to come it is closed.
const DRAINED_ROWS: u64 = 1_000;

/// A shard's answer with its next row.
struct Shard {
    stream: RowStream,
    next: Option<Ordered>,
    /// Its columns, where its rows are of the binary protocol.
    columns: Option<Vec<ColumnDefinition>>,
    took: Taking,
}

impl Session {
    /// Runs a statement whose rows the shards give in order.
    pub(super) async fn run_merged(
        &mut self,
        planned: &Planned<'_>,
        keyspace: &Keyspace,
        merge: &Merge,
        (bound, readers): (Option<&Bound<'_>>, Option<Readers>),
    ) -> Result<(), ProxyError> {
        let is_snapshot = readers.is_some();
        let text = (planned.sql, planned.normal);
        let mut shards = planned.plan.shards(keyspace, &merge.keys, text, keys_of(bound));
        if shards.is_empty() {
            shards.push(keyspace.home);
        }
        if let ([shard], false, None) = (&shards[..], self.place.binary, &self.measures)
            && self.captured.is_none()
        {
            let work = Work { kind: ResponseKind::Query, as_received: false };
            return self.run_statement(planned, Route::Shard(*shard), work).await;
        }
        self.check_free()?;
        let wanted = merge.wanted(planned.sql, planned.normal).map_err(ClientError::from)?;
        let spots = self.spots(planned, &shards).await?;
        let mut streams = self.send_to_all(planned, (merge, wanted), &spots, (bound, readers)).await?;
        let done = self.pass_merged((merge, wanted), &spots, &mut streams, bound.is_some()).await;
        let is_condemned = self.handle.ended_running();
        let mut found = Vec::new();
        for (shard, spot) in streams.into_iter().zip(&spots) {
            self.note_shard(0, spot.index, shard.took);
            let (mut connection, summary) = shard.stream.into_parts();
            if connection.is_usable() && summary.warnings > 0 && done.is_ok() && found.len() < MAX_WARNINGS {
                let heard = warnings(&mut connection).await.unwrap_or_default();
                self.note_heard(1, heard.len());
                found.extend(heard);
            }
            if is_snapshot && connection.is_usable() && !is_condemned {
                // It leaves nothing; one that does not end it is not used again.
                let _ended = connection.execute(b"ROLLBACK AND NO CHAIN NO RELEASE").await;
            }
            self.put_away(connection, is_condemned);
        }
        self.end_merged(done, found).await
    }

    async fn end_merged(
        &mut self,
        done: Result<Answer, ProxyError>,
        found: Vec<Warning>,
    ) -> Result<(), ProxyError> {
        let mut answer = done?;
        self.note_result(answer.rows);
        let ended = self.put_end(&mut answer, found.len()).await;
        self.remember_gathered(answer.rows, found);
        ended
    }

    /// Sends every shard its statement, and waits until each has begun to answer.
    async fn send_to_all(
        &mut self,
        planned: &Planned<'_>,
        (merge, wanted): (&Merge, Wanted),
        spots: &[Spot],
        (bound, mut readers): (Option<&Bound<'_>>, Option<Readers>),
    ) -> Result<Vec<Shard>, ProxyError> {
        let mut connections = Vec::with_capacity(spots.len());
        let settings = self.state.settings.clone();
        for spot in spots {
            let opened = readers.as_mut().and_then(|readers| readers.remove(&spot.pool.id()));
            connections.push(match opened {
                Some(opened) => opened,
                None => self.reader(spot, &settings).await?,
            });
        }
        let threads: Vec<_> = connections.iter().map(|connection| connection.thread().clone()).collect();
        self.handle.set_running(threads);
        let mut shards = Vec::with_capacity(spots.len());
        for (connection, spot) in connections.into_iter().zip(spots) {
            let mut sql = Vec::new();
            self.with_facts(planned, spot, |facts| {
                planned.plan.shard_text(merge, wanted, (planned.sql, planned.normal), facts, &mut sql);
            });
            let stream = self.send_stream(connection, (planned, spot), sql, bound).await;
            let stream =
                stream.map_err(|error| self.refused_early(self.in_logical_names(error, spot), spot))?;
            let took = Taking::begun();
            shards.push(Shard { stream, next: None, columns: bound.map(|_| Vec::new()), took });
        }
        for nth in 0..shards.len() {
            let begun = tokio::select! {
                biased;
                begun = shards[nth].stream.begin() => begun,
                error = self.client.gone(self.command_bytes) => Err(ProxyError::ClientGone(error)),
            };
            if let Err(error) = begun {
                let is_condemned = self.handle.ended_running();
                shards.into_iter().for_each(|shard| self.put_away(shard.stream.into_parts().0, is_condemned));
                return Err(self.refused_early(self.in_logical_names(error, &spots[nth]), &spots[nth]));
            }
        }
        Ok(shards)
    }

    /// Passes the rows on.
    async fn pass_merged(
        &mut self,
        (merge, wanted): (&Merge, Wanted),
        spots: &[Spot],
        shards: &mut [Shard],
        is_bound: bool,
    ) -> Result<Answer, ProxyError> {
        let keys = merge.order.len();
        let (Some(first), Some(spot)) = (shards.first(), spots.first()) else {
            return Err(ClientError::not_supported("a statement without shards").into());
        };
        let visible = first.stream.columns().len().saturating_sub(keys);
        let columns = definitions(&first.stream.columns()[..visible], spot.name_change().as_ref())
            .map_err(|error| first.stream.surprise(error))?;
        for (shard, spot) in shards.iter_mut().zip(spots).filter(|(shard, _)| shard.columns.is_some()) {
            let columns = definitions(shard.stream.columns(), spot.name_change().as_ref());
            shard.columns = Some(columns.map_err(|error| shard.stream.surprise(error))?);
        }
        let mut answer = Answer::of(columns, self, is_bound);
        self.put_columns(&mut answer);
        let passed = self.pass_rows(merge, wanted, shards, &mut answer).await;
        match passed {
            Ok(()) => Ok(answer),
            Err(error) => Err(answer.cut_off(error, self)),
        }
    }

    async fn pass_rows(
        &mut self,
        merge: &Merge,
        wanted: Wanted,
        shards: &mut [Shard],
        answer: &mut Answer,
    ) -> Result<(), ProxyError> {
        let keys = merge.order.len();
        let mut skip = wanted.offset;
        let mut left = wanted.count.unwrap_or(u64::MAX);
        if keys > 0 {
            for shard in shards.iter_mut() {
                self.next_row(shard, keys).await?;
            }
        }
        let mut current = 0;
        while left > 0 {
            if keys > 0 {
                current = first_of(shards, merge);
            } else if current < shards.len() {
                self.next_row(&mut shards[current], keys).await?;
            }
            let Some(shard) = shards.get_mut(current) else { break };
            let Some(row) = shard.next.take() else {
                // Without an order one shard comes after the other; with one, no shard has a row left.
                if keys > 0 {
                    break;
                }
                current += 1;
                continue;
            };
            match skip {
                0 => {
                    left -= 1;
                    self.put_row(answer, row.visible()).await?;
                }
                _ => skip -= 1,
            }
            if keys > 0 {
                self.next_row(shard, keys).await?;
            }
        }
        self.drain(wanted, shards).await
    }

    /// Reads on to the end where no more than few rows can be left, so that the connections can be used again.
    async fn drain(&mut self, wanted: Wanted, shards: &mut [Shard]) -> Result<(), ProxyError> {
        if wanted.of_each().is_some_and(|rows| rows > DRAINED_ROWS) {
            return Ok(());
        }
        for shard in shards {
            loop {
                let row = self.read_row(&mut shard.stream).await?;
                shard.took.saw(row.as_ref());
                if row.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn next_row(&mut self, shard: &mut Shard, keys: usize) -> Result<(), ProxyError> {
        let row = self.read_row(&mut shard.stream).await?;
        shard.took.saw(row.as_ref());
        let row = row.map(|row| match &shard.columns {
            None => Ordered::read(row, keys),
            Some(columns) => Ordered::read_binary(row, columns, keys),
        });
        let row = row.transpose();
        shard.next = row.map_err(|error| shard.stream.surprise(error))?;
        Ok(())
    }

    /// The next row of an answer, unless the client leaves.
    pub(crate) async fn read_row(&mut self, stream: &mut RowStream) -> Result<Option<Bytes>, ProxyError> {
        tokio::select! {
            biased;
            row = stream.next() => row,
            error = self.client.gone(self.command_bytes) => Err(ProxyError::ClientGone(error)),
        }
    }
}

/// The shard whose next row comes first; one without rows where none has any.
fn first_of(shards: &[Shard], merge: &Merge) -> usize {
    let mut first = 0;
    for nth in 1..shards.len() {
        let comes_before = match (&shards[nth].next, &shards[first].next) {
            (Some(row), Some(best)) => row.compare(best, &merge.order).is_lt(),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if comes_before {
            first = nth;
        }
    }
    first
}

/// Columns, with the name by which the client knows their schema.
pub(in crate::session) fn definitions(
    payloads: &[Bytes],
    names: Option<&NameChange>,
) -> Result<Vec<ColumnDefinition>, DecodeError> {
    let logical = |payload: &Bytes| {
        let mut column = ColumnDefinition::decode(payload)?;
        if let Some(names) = names
            && column.schema == names.physical
        {
            column.schema.clone_from(&names.logical);
        }
        Ok(column)
    };
    payloads.iter().map(logical).collect()
}
