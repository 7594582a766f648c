//! A statement that MySQL computes over rows that were read from shards. Steps: the original is prepared on one shard, which gives its errors and its columns' true
//! names and types; the parts are read ([`super::parts`]); the final statement, in which the parts' rows stand in their tables' places, runs on a connection
//! outside every transaction, and its rows go to the client under the columns that were prepared.

use std::sync::Arc;
use std::time::Instant;

use podway_model::Keyspace;
use podway_router::{Effects, Fold, Gather, SqlMode};
use podway_wire::{ColumnDefinition, ColumnFlags, ColumnType};
use xxhash_rust::xxh3::xxh3_64;

use super::super::core::{Planned, Session, Spot};
use super::super::run::warnings;
use super::super::state::Warning;
use super::answer::Answer;
use super::merged::definitions;
use super::parts::PartRows;
use super::{Bound, needs_home};
use crate::backend::{BackendConnection, Description, Settings, string_literal};
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::execute::RowStream;

impl Session {
    /// Has MySQL compute a statement over the rows of several shards.
    pub(super) async fn run_finished(
        &mut self,
        planned: &Planned<'_>,
        keyspace: &Keyspace,
        gather: &Gather,
        bound: Option<&Bound<'_>>,
    ) -> Result<(), ProxyError> {
        // What servers say of themselves waits for no lock of the session's.
        if !gather.is_catalog() {
            self.check_free()?;
        }
        let at = match needs_home(gather) {
            true => keyspace.home,
            false => self.own_turn(keyspace),
        };
        let mut spots = self.spots(planned, &[at]).await?;
        let Some(spot) = spots.pop() else { return Ok(()) };
        let settings = self.settings_outside();
        let mut connection = self.reader(&spot, &settings).await?;
        let fold = self.foldable(gather, bound);
        let prepared =
            self.prepare_and_read(planned, (keyspace, gather, fold), &spot, &mut connection, bound).await;
        // What is computed now is of rows that were read: nothing has to be seen by the servers any more.
        let left = self.leave_own_snapshot().await.and(self.leave_own_transaction().await);
        let prepared = left.and(prepared);
        let (columns, rows) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                let is_condemned = self.handle.ended_running();
                self.put_away(connection, is_condemned);
                return Err(self.refused_early(self.in_logical_names(error, &spot), &spot));
            }
        };
        let text = match fold {
            Some(fold) => self.folded_text(planned, fold, &spot, &rows),
            None => self.final_text(planned, gather, &spot, &rows),
        };
        drop(rows);
        self.run_final(planned, &spot, connection, (columns, text, fold.is_some()), bound).await
    }

    /// What the statement gives, by MySQL's own word, and the rows that it is computed over.
    async fn prepare_and_read(
        &mut self,
        planned: &Planned<'_>,
        (keyspace, gather, fold): (&Keyspace, &Gather, Option<&Fold>),
        spot: &Spot,
        connection: &mut BackendConnection,
        bound: Option<&Bound<'_>>,
    ) -> Result<(Vec<ColumnDefinition>, Vec<PartRows>), ProxyError> {
        self.bring_variables(planned, spot, connection).await?;
        let description = self.prepare_original(planned, spot, connection).await?;
        let columns = definitions(&description.columns, spot.name_change().as_ref())
            .map_err(|error| connection.surprise(error))?;
        let rows = match fold {
            Some(fold) => {
                let carriage = self.fold_carriage(fold, spot, connection).await?;
                self.read_folded(planned, keyspace, gather, (fold, carriage)).await?
            }
            None if gather.is_catalog() => {
                self.read_catalog(planned, (keyspace, gather), (spot, &mut *connection), bound).await?
            }
            None => {
                let carriages = self.carriages(gather, spot, connection).await?;
                self.read_parts(planned, (keyspace, gather), carriages, bound).await?
            }
        };
        let finishing = self.finishing(gather);
        connection.synchronise(&spot.current, &finishing, None).await?;
        Ok((columns, rows))
    }

    /// Has MySQL say what it thinks of the statement as the client wrote it.
    pub(in crate::session) async fn prepare_original(
        &mut self,
        planned: &Planned<'_>,
        spot: &Spot,
        connection: &mut BackendConnection,
    ) -> Result<Description, ProxyError> {
        let mut text = Vec::new();
        if !self.rewritten_text(planned, spot, &mut text) {
            text.extend_from_slice(planned.sql);
        }
        let key = xxh3_64(&text);
        let description = connection.prepare(key, text.into()).await?;
        connection.close_statement(key).await?;
        Ok(description)
    }

    async fn bring_variables(
        &mut self,
        planned: &Planned<'_>,
        spot: &Spot,
        connection: &mut BackendConnection,
    ) -> Result<(), ProxyError> {
        let effects = planned.plan.effects();
        if effects.contains(Effects::READS_USER_VARIABLES) {
            let (settings, variables) = (self.settings_outside(), self.state.variables.clone());
            connection.synchronise(&spot.current, &settings, Some(&variables)).await?;
        }
        if effects.contains(Effects::READS_LAST_INSERT_ID) {
            connection.synchronise_last_insert_id(self.state.last_insert_id).await?;
        }
        Ok(())
    }

    /// The session's settings, but for a check that MySQL has made of the original and could not make of the final statement: what depends on keys that
    /// parts do not have.
    fn finishing(&self, gather: &Gather) -> Arc<Settings> {
        self.without_group_check(gather, self.settings_outside())
    }

    /// Settings without a check that MySQL has made of the original and could not make of a statement with rows in the places of tables.
    pub(in crate::session) fn without_group_check(
        &self,
        gather: &Gather,
        settings: Arc<Settings>,
    ) -> Arc<Settings> {
        let mode = self.state.lexical.sql_mode;
        let is_strict_about_groups = mode.contains(SqlMode::ONLY_FULL_GROUP_BY);
        if !gather.groups || !is_strict_about_groups || mode.contains(SqlMode::UNKNOWN) {
            return settings;
        }
        let names: Vec<&str> = (mode - SqlMode::ONLY_FULL_GROUP_BY)
            .iter_names()
            .map(|(name, _)| if name == "STRICT" { "STRICT_TRANS_TABLES" } else { name })
            .collect();
        let mut settings = (*settings).clone();
        settings.put("sql_mode", &string_literal(names.join(",").as_bytes()));
        Arc::new(settings)
    }

    /// The shards' own aggregates are put together where no parameter has a part in them.
    fn foldable<'g>(&self, gather: &'g Gather, bound: Option<&Bound<'_>>) -> Option<&'g Fold> {
        let is_off = self.state.settings.get("sql_select_limit").is_some();
        gather.fold.as_ref().filter(|_| bound.is_none() && !is_off)
    }

    fn folded_text(&self, planned: &Planned<'_>, fold: &Fold, spot: &Spot, rows: &[PartRows]) -> Vec<u8> {
        let (mut derived, mut text) = (Vec::new(), Vec::new());
        if let [rows] = rows {
            rows.carriage.derived_table(&rows.document, &mut derived);
        }
        self.with_facts(planned, spot, |facts| {
            planned.plan.folded_text(fold, (planned.sql, planned.normal), facts, &derived, &mut text);
        });
        text
    }

    fn final_text(&self, planned: &Planned<'_>, gather: &Gather, spot: &Spot, rows: &[PartRows]) -> Vec<u8> {
        let mut text = Vec::new();
        let put = |part: usize, out: &mut Vec<u8>| put_rows(rows, part, out);
        self.with_facts(planned, spot, |facts| {
            planned.plan.final_text(gather, (planned.sql, planned.normal), facts, &put, &mut text);
        });
        text
    }

    async fn run_final(
        &mut self,
        planned: &Planned<'_>,
        spot: &Spot,
        connection: Box<BackendConnection>,
        (columns, text, is_folded): (Vec<ColumnDefinition>, Vec<u8>, bool),
        bound: Option<&Bound<'_>>,
    ) -> Result<(), ProxyError> {
        self.handle.set_running([connection.thread().clone()]);
        let key = bound.map(|bound| bound.key(self.preparation(planned, spot, &text, connection.settings())));
        let begun = Instant::now();
        let stream = self.send_stream(connection, (planned, spot), text, bound).await;
        let mut stream = stream.map_err(|error| self.in_logical_names(error, spot))?;
        let passed = self.pass_final(&mut stream, columns, (bound.is_some(), is_folded)).await;
        let is_condemned = self.handle.ended_running();
        let (mut connection, summary) = stream.into_parts();
        if let Some(key) = key.filter(|_| connection.is_usable()) {
            // Its text holds rows: nobody will execute it again. A connection on which it cannot be closed is not used again either.
            let _closed = connection.close_statement(key).await;
        }
        let mut found: Vec<Warning> = Vec::new();
        let mut counted = Ok(None);
        if connection.is_usable() && passed.is_ok() {
            if summary.warnings > 0 {
                found = warnings(&mut connection).await.unwrap_or_default();
                self.note_heard(1, found.len());
            }
            if planned.plan.effects().contains(Effects::CALC_FOUND_ROWS) {
                counted = connection.rows(b"SELECT FOUND_ROWS() LIMIT 1").await.map(Some);
            }
        }
        self.put_away(connection, is_condemned);
        let mut answer = passed.map_err(|error| self.in_logical_names(error, spot))?;
        let counted = counted.map_err(|error| answer.cut_off(error, self))?;
        let found_rows = counted.and_then(|rows| rows.text(0)?.parse().ok());
        self.note_last(&answer, begun.elapsed());
        let ended = self.put_end(&mut answer, found.len()).await;
        self.remember_gathered(found_rows.unwrap_or(answer.rows), found);
        ended
    }

    async fn pass_final(
        &mut self,
        stream: &mut RowStream,
        mut columns: Vec<ColumnDefinition>,
        (is_bound, is_folded): (bool, bool),
    ) -> Result<Answer, ProxyError> {
        tokio::select! {
            biased;
            begun = stream.begin() => begun?,
            error = self.client.gone(self.command_bytes) => return Err(ProxyError::ClientGone(error)),
        }
        if stream.columns().len() != columns.len() {
            let message = format!(
                "The statement has {} columns where it was prepared and {} where it was finished: it was not run to its end",
                columns.len(),
                stream.columns().len()
            );
            return Err(ClientError::new(ErrorCode::UNKNOWN, message).into());
        }
        let given = definitions(stream.columns(), None).map_err(|error| stream.surprise(error))?;
        for (column, given) in columns.iter_mut().zip(given) {
            // What is computed has the type that it has when it runs, by parameters' values and by temporary tables; whether it may be NULL is known of the
            // original alone. Aggregates that are put together are computed otherwise.
            let runs_alike = !is_folded && column.org_table.is_empty() && given.org_table.is_empty();
            if runs_alike || is_bound && !is_sent_alike(column, &given) {
                let not_null = column.flags & ColumnFlags::NOT_NULL_FLAG;
                column.flags = (given.flags - ColumnFlags::NOT_NULL_FLAG) | not_null;
                (column.charset, column.decimals) = (given.charset, given.decimals);
                // Bytes travel as the longest there are: then the original knows better.
                if given.column_type != ColumnType::MYSQL_TYPE_LONG_BLOB || !is_sent_alike(column, &given) {
                    column.column_type = given.column_type;
                }
                if given.length != u32::MAX || given.column_type == ColumnType::MYSQL_TYPE_JSON {
                    column.length = given.length;
                }
            }
        }
        let mut answer = Answer::of(columns, self, is_bound);
        self.put_columns(&mut answer);
        loop {
            let passed = match self.read_row(stream).await {
                Ok(None) => return Ok(answer),
                Ok(Some(row)) => self.put_row(&mut answer, &row).await,
                Err(error) => Err(error),
            };
            passed.map_err(|error| answer.cut_off(error, self))?;
        }
    }
}

/// Appends the query that gives a part's rows.
pub(in crate::session) fn put_rows(rows: &[PartRows], part: usize, out: &mut Vec<u8>) {
    if let Some(rows) = rows.get(part) {
        rows.carriage.derived_table(&rows.document, out);
    }
}

/// Whether values of both columns have one form in the binary protocol.
fn is_sent_alike(column: &ColumnDefinition, given: &ColumnDefinition) -> bool {
    use ColumnType::*;
    let form = |column: &ColumnDefinition| match column.column_type {
        MYSQL_TYPE_TINY => 1,
        MYSQL_TYPE_SHORT | MYSQL_TYPE_YEAR => 2,
        MYSQL_TYPE_LONG | MYSQL_TYPE_INT24 => 4,
        MYSQL_TYPE_LONGLONG => 8,
        MYSQL_TYPE_FLOAT => 14,
        MYSQL_TYPE_DOUBLE => 18,
        MYSQL_TYPE_DATE | MYSQL_TYPE_NEWDATE => 20,
        MYSQL_TYPE_DATETIME | MYSQL_TYPE_TIMESTAMP => 21,
        MYSQL_TYPE_TIME => 22,
        MYSQL_TYPE_NULL => 23,
        // All others are bytes with their length.
        _ => 24,
    };
    form(column) == form(given)
}
