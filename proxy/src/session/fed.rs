//! UPDATE and DELETE whose rows meet rows of other shards: the tables that are not with the changed rows are read first, with locks, and each shard runs the statement with
//! all their rows in the tables' places. Which statements may be run so, and why that is exact: `router/src/plan/scatter/feeds.rs`.

use podway_router::{Gather, Piece};

use super::core::{Session, Spot};
use super::gather::{PartRows, put_rows};
use super::move_settings::unbounded;
use super::scatter::{Done, Frame, ToDo};
use crate::error::ProxyError;
use crate::execute::{execute_packet, sequence_of_answer};

impl Session {
    /// Runs a change with rows of other shards.
    pub(super) async fn write_fed(
        &mut self,
        frame: Frame<'_>,
        gather: &Gather,
        (keyspace, pieces, spots): ToDo<'_>,
        done: &mut Done,
    ) -> Result<(), ProxyError> {
        let is_at_home = pieces.iter().all(|piece| piece.shard == keyspace.home);
        // What bounds a SELECT is not for what a change is made of.
        let reading = unbounded(&self.state.settings);
        let of = (keyspace, gather, is_at_home);
        let rows = self.read_fed(frame.planned, of, frame.bound, reading).await?;
        for (piece, spot) in pieces.iter().zip(spots) {
            self.write_with_rows(frame, (gather, &rows), (spot, piece), done).await?;
        }
        Ok(())
    }

    /// Has a shard run the statement with these rows.
    async fn write_with_rows(
        &mut self,
        frame: Frame<'_>,
        (gather, rows): (&Gather, &[PartRows]),
        (spot, piece): (&Spot, &Piece),
        done: &mut Done,
    ) -> Result<(), ProxyError> {
        let settings = self.without_group_check(gather, frame.settings.clone());
        let of = Frame { settings: &settings, ..frame }.at(spot);
        let plan = &frame.planned.plan;
        let mut sql = Vec::new();
        self.with_facts(frame.planned, spot, |facts| {
            let text = (frame.planned.sql, frame.planned.normal);
            plan.fed_text(gather, text, facts, &|part, out| put_rows(rows, part, out), &mut sql);
        });
        let preparation = self.preparation(frame.planned, spot, &sql, &settings);
        let mut connection = self.enter_server(of).await?;
        let query = self.query_packet(if frame.bound.is_none() { &sql } else { b"" });
        let work = async {
            done.begin_on(&mut connection, of).await?;
            let ok = match frame.bound {
                None => connection.run(&query, sequence_of_answer(&query)).await?,
                Some(bound) => {
                    let key = bound.key(preparation);
                    let id = connection.ready(key, &sql.into()).await?;
                    let packet = execute_packet(bound.execute, id, connection.capabilities());
                    let ran = connection.run(&packet, sequence_of_answer(&packet)).await;
                    if connection.is_usable() {
                        // Its rows are in its text: nobody runs it again.
                        connection.close_statement(key).await?;
                    }
                    ran?
                }
            };
            done.take(&mut connection, ok, (frame.planned, piece)).await
        };
        let worked = tokio::select! {
            biased;
            worked = work => worked,
            error = self.client.gone(self.command_bytes) => Err(ProxyError::ClientGone(error)),
        };
        self.leave_server(connection, of, worked).await
    }
}
