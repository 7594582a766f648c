//! EXPLAIN FORMAT=PODWAY: how a statement would be run, and with ANALYZE what running it takes. Without ANALYZE nothing is run: MySQL is only asked to prepare the
//! statement, as the user, so that nobody is told of tables that he may not see. What is shown is decided without I/O ([`podway_router::Explanation`]).

use std::borrow::Cow;
use std::time::Instant;

use bytes::Bytes;
use podway_router::{Effects, Measures, Normalised, Route, Scene, Statement, Target, Verb};
use podway_wire::{Cell, ColumnDefinition, ResponseKind};
use xxhash_rust::xxh3::xxh3_64;

use super::core::{ClientStatement, Planned, Session, Spot};
use super::gather::Taking;
use super::reply::Column;
use super::run::FRESH_CONNECTIONS;
use crate::backend::{BackendConnection, Description};
use crate::error::{ClientError, ProxyError};
use crate::execute::RowStream;

const COLUMNS: [Column; 1] = [Column { name: "EXPLAIN", is_number: false, length: 1 << 16 }];

/// What keeps a SELECT from being run to be measured: it does more than read.
const UNMEASURED: Effects = Effects::WRITES
    .union(Effects::LOCKS_ROWS)
    .union(Effects::PINS)
    .union(Effects::USER_LOCKS)
    .union(Effects::SELECTS_INTO)
    .union(Effects::SERVER_FILES)
    .union(Effects::ASSIGNS_USER_VARIABLES)
    .union(Effects::SETS_LAST_INSERT_ID)
    .union(Effects::MANY_RESULTS);

/// What a prepared EXPLAIN FORMAT=PODWAY answers; `None` of any other statement.
pub(super) fn description(statement: &ClientStatement) -> Option<Description> {
    if !matches!(statement.plan.statement(), Statement::ExplainPodway { .. }) {
        return None;
    }
    let definition = |name: &str| {
        let mut payload = Vec::new();
        ColumnDefinition::text(name).encode(&mut payload);
        Bytes::from(payload)
    };
    let params = vec![definition("?"); statement.normal.param_count()];
    let columns = COLUMNS.iter().map(|column| definition(column.name)).collect();
    Some(Description { params, columns, warnings: 0 })
}

impl Session {
    /// EXPLAIN [ANALYZE] FORMAT=PODWAY of the statement that is `planned`'s body.
    pub(super) async fn explain_podway(
        &mut self,
        planned: &Planned<'_>,
        analyze: bool,
    ) -> Result<(), ProxyError> {
        let body = planned.normal.original_offset(planned.plan.recognised.body as usize);
        let sql = planned.sql.get(body..).unwrap_or_default();
        let (mode, charset) = (self.state.lexical.sql_mode, self.state.lexical.charset);
        let mut normal = Normalised::new();
        normal.set_version(planned.map.lowest_version());
        normal.run(sql, mode, charset).map_err(ClientError::from)?;
        let plan = self.plan(&planned.map, sql, &normal, planned.database);
        let (map, database) = (planned.map.clone(), planned.database);
        let explained = Planned { sql, normal: &normal, map, plan, database, numbered: None };
        let mut attempts = FRESH_CONNECTIONS;
        let measures = loop {
            match self.checked_and_measured(&explained, analyze).await {
                // It has had no effect.
                Err(ProxyError::BackendUnusable { .. })
                    if attempts > 0 && !self.lost && !self.reads_on_its_own() =>
                {
                    attempts -= 1;
                }
                measured => break measured?,
            }
        };
        let explanation = explained.plan.explained(&self.scene(&explained)).map_err(ClientError::from)?;
        // Where shards lie is for those who may see SHOW PODWAY SHARDS.
        let names_servers = self.has_privilege(&["PROCESS", "SUPER"]).await?;
        let text = explanation.printed(&explained.map, measures.as_ref(), names_servers);
        self.state.row_count = -1;
        self.state.warnings.clear();
        self.reply_rows(&COLUMNS, &[vec![Cell::Bytes(Cow::Owned(text.into_bytes()))]]).await
    }

    async fn checked_and_measured(
        &mut self,
        planned: &Planned<'_>,
        analyze: bool,
    ) -> Result<Option<Measures>, ProxyError> {
        self.check_explained(planned).await?;
        match analyze {
            true => self.measured(planned).await.map(Some),
            false => Ok(None),
        }
    }

    fn scene<'s>(&'s self, planned: &'s Planned<'_>) -> Scene<'s> {
        Scene {
            map: &planned.map,
            sql: planned.sql,
            n: planned.normal,
            facts: self.facts(planned.database, &|_| None),
            is_inside: self.reads_on_its_own(),
            is_limited: self.state.settings.get("sql_select_limit").is_some(),
        }
    }

    /// Whether it is a statement at all, and one that this user may run.
    async fn check_explained(&mut self, planned: &Planned<'_>) -> Result<(), ProxyError> {
        let text = (planned.sql, planned.normal);
        let shown = planned.plan.shown_numbers(text);
        let route = match planned.plan.route_numbered(&planned.map, text, &[], &shown) {
            Ok(route) => route,
            // What only its parameters decide is prepared as it is, at home.
            Err(_) if planned.plan.pins_params() && planned.normal.param_count() > 0 => Route::Gather,
            Err(refused) => {
                let refused = ClientError::from(refused);
                return Err(Box::pin(self.refusal(planned.sql, &planned.map, &planned.plan, refused)).await);
            }
        };
        let is_checked_when_prepared = matches!(
            planned.plan.verb(),
            Verb::Select
                | Verb::Table
                | Verb::Values
                | Verb::Insert
                | Verb::Replace
                | Verb::Update
                | Verb::Delete
        );
        if !is_checked_when_prepared {
            return self.check_sees_all().await;
        }
        let spot = self.spot(&planned.map, &planned.plan, route)?;
        let held = self.held.iter().position(|held| held.endpoint().id() == spot.pool.id());
        let settings = self.state.settings.clone();
        let mut connection = match held {
            Some(position) => self.held.swap_remove(position),
            None => self.reader(&spot, &settings).await?,
        };
        let prepared = self.prepare_explained(planned, &spot, &mut connection).await;
        match held {
            Some(_) => self.settle(connection),
            None => self.put_away(connection, false),
        }
        prepared.map_err(|error| self.in_logical_names(error, &spot))
    }

    async fn prepare_explained(
        &mut self,
        planned: &Planned<'_>,
        spot: &Spot,
        connection: &mut BackendConnection,
    ) -> Result<(), ProxyError> {
        let settings = self.state.settings.clone();
        connection.synchronise(&spot.current, &settings, None).await?;
        let mut text = Vec::new();
        if !self.rewritten_text(planned, spot, &mut text) {
            text.extend_from_slice(planned.sql);
        }
        let key = xxh3_64(&text);
        let prepared = connection.prepare(key, text.into()).await;
        connection.close_statement(key).await?;
        prepared.map(drop)
    }

    /// Runs a SELECT, whose rows are counted and not sent.
    async fn measured(&mut self, planned: &Planned<'_>) -> Result<Measures, ProxyError> {
        let is_query = matches!(planned.plan.verb(), Verb::Select | Verb::Table | Verb::Values);
        let refused = |what: &str| {
            ClientError::not_supported(&format!("EXPLAIN ANALYZE FORMAT=PODWAY of {what}")).into()
        };
        if !is_query {
            return Err(refused("a statement that is no SELECT"));
        }
        if planned.plan.effects().intersects(UNMEASURED) {
            return Err(refused("a SELECT that does more than read"));
        }
        if planned.normal.param_count() > 0 {
            return Err(refused("a statement with parameters"));
        }
        let route = self.route(planned)?;
        let begun = Instant::now();
        self.measures = Some(Box::default());
        let ran = match route {
            Route::Gather => Box::pin(self.run_gathered(planned, None)).await,
            _ => Box::pin(self.measure_one(planned, route)).await,
        };
        let mut measures = self.measures.take().map(|measures| *measures).unwrap_or_default();
        ran?;
        measures.time = begun.elapsed();
        Ok(measures)
    }

    /// Runs a statement on its one shard, as any would be run there.
    async fn measure_one(&mut self, planned: &Planned<'_>, route: Route) -> Result<(), ProxyError> {
        if matches!(planned.plan.target, Target::Nowhere | Target::Refused(_)) {
            return Ok(());
        }
        self.begin_snapshot(&planned.plan, &planned.map).await?;
        let spot = self.spot(&planned.map, &planned.plan, route)?;
        self.check_moving(&spot).await?;
        let before = self.before();
        let connection = match self.acquire(&planned.plan, &spot).await {
            Err(error) => return Err(self.refused_before(error, &before, &spot).await?),
            Ok(connection) => connection,
        };
        let mut text = Vec::new();
        if !self.rewritten_text(planned, &spot, &mut text) {
            text.extend_from_slice(planned.sql);
        }
        self.handle.set_running([connection.thread().clone()]);
        let packet = self.query_packet(&text);
        let mut took = Taking::begun();
        let mut stream = RowStream::send(connection, &packet, ResponseKind::Query).await?;
        let mut rows = 0;
        let read = loop {
            match self.read_row(&mut stream).await {
                Ok(row) => {
                    took.saw(row.as_ref());
                    rows += u64::from(row.is_some());
                    if row.is_none() {
                        break Ok(());
                    }
                }
                Err(error) => break Err(error),
            }
        };
        let is_condemned = self.handle.ended_running();
        let (mut connection, summary) = stream.into_parts();
        if is_condemned {
            connection.never_reuse();
        }
        self.note_shard(0, spot.index, took);
        self.note_result(rows);
        let answer = read.map(|()| summary).map_err(|error| self.in_logical_names(error, &spot));
        self.finish(connection, &planned.plan, None, answer).await.map(drop)
    }
}
