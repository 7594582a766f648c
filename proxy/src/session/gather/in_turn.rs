//! The shards' own answers inside a transaction, where each server has one connection: one shard after the other, as far as LIMIT wants their rows. So there is no
//! bound on them either.

use podway_model::Keyspace;
use podway_router::{Merge, Wanted};
use podway_wire::ResponseKind;

use super::super::core::{Planned, Session, Spot};
use super::super::state::Warning;
use super::answer::Answer;
use super::measure::Taking;
use super::merged::definitions;
use crate::error::{ClientError, ProxyError};
use crate::execute::RowStream;

/// What has come so far.
struct Passing {
    /// Begun by the first shard's columns.
    answer: Option<Answer>,
    skip: u64,
    left: u64,
    warnings: Vec<Warning>,
}

impl Session {
    /// Runs a statement whose rows may come in any order on the transaction's own connections.
    pub(super) async fn run_in_turn(
        &mut self,
        planned: &Planned<'_>,
        keyspace: &Keyspace,
        merge: &Merge,
    ) -> Result<(), ProxyError> {
        let mut shards = planned.plan.shards(keyspace, &merge.keys, (planned.sql, planned.normal), &[]);
        if shards.is_empty() {
            shards.push(keyspace.home);
        }
        self.check_free()?;
        let wanted = merge.wanted(planned.sql, planned.normal).map_err(ClientError::from)?;
        let spots = self.spots(planned, &shards).await?;
        let left = wanted.count.unwrap_or(u64::MAX);
        let mut passing = Passing { answer: None, skip: wanted.offset, left, warnings: Vec::new() };
        for spot in &spots {
            // The first is asked for its columns even if no row is wanted.
            if passing.left == 0 && passing.answer.is_some() {
                break;
            }
            if let Err(error) = self.pass_one(planned, spot, (merge, wanted), &mut passing).await {
                return Err(match &passing.answer {
                    Some(answer) => answer.cut_off(error, self),
                    None => error,
                });
            }
        }
        let Some(mut answer) = passing.answer else { return Ok(()) };
        self.note_result(answer.rows);
        let ended = self.put_end(&mut answer, passing.warnings.len()).await;
        self.remember_gathered(answer.rows, passing.warnings);
        ended
    }

    /// Runs it on one shard, to the end of its answer.
    async fn pass_one(
        &mut self,
        planned: &Planned<'_>,
        spot: &Spot,
        (merge, wanted): (&Merge, Wanted),
        passing: &mut Passing,
    ) -> Result<(), ProxyError> {
        let connection = match self.acquire(&planned.plan, spot).await {
            Err(error) if self.is_free_of(spot.pool.id()) => return Err(self.refused_early(error, spot)),
            acquired => acquired?,
        };
        self.handle.set_running([connection.thread().clone()]);
        let mut sql = Vec::new();
        self.with_facts(planned, spot, |facts| {
            planned.plan.shard_text(merge, wanted, (planned.sql, planned.normal), facts, &mut sql);
        });
        let packet = self.query_packet(&sql);
        let sent = RowStream::send(connection, &packet, ResponseKind::Query).await;
        // A connection that cannot be written to is the transaction's end.
        let mut stream = sent.inspect_err(|_| self.lost = true)?;
        let mut took = Taking::begun();
        let passed = self.pass_stream(&mut stream, spot, passing, &mut took).await;
        if matches!(passed, Err(ProxyError::Client(_))) {
            // What is not wanted any more has to be read all the same: the connection is the transaction's.
            while let Ok(Some(_)) = stream.next().await {}
        }
        let is_condemned = self.handle.ended_running();
        let (mut connection, summary) = stream.into_parts();
        if is_condemned {
            connection.never_reuse();
        }
        self.note_shard(0, spot.index, took);
        let answer = passed.map(|()| summary).map_err(|error| self.in_logical_names(error, spot));
        self.finish(connection, &planned.plan, answer).await?;
        passing.warnings.append(&mut self.state.warnings);
        Ok(())
    }

    async fn pass_stream(
        &mut self,
        stream: &mut RowStream,
        spot: &Spot,
        passing: &mut Passing,
        took: &mut Taking,
    ) -> Result<(), ProxyError> {
        loop {
            let row = self.read_row(stream).await?;
            took.saw(row.as_ref());
            if passing.answer.is_none() {
                let columns = definitions(stream.columns(), spot.name_change().as_ref())
                    .map_err(|error| stream.surprise(error))?;
                let mut answer = Answer::of(columns, self, false);
                self.put_columns(&mut answer);
                passing.answer = Some(answer);
            }
            let (Some(row), Some(answer)) = (row, passing.answer.as_mut()) else { return Ok(()) };
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
}
