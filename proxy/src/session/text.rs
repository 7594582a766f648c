//! COM_QUERY: a text that holds one statement or several, each planned and run in its turn.

use std::sync::Arc;

use podway_model::{Map, Name};
use podway_router::{
    Normalised, Plan, PlanContext, Route, Statement, Target, check_accounts_alone, check_own_xa,
    is_about_accounts, is_show_grants, split_statements,
};
use podway_wire::{CapabilityFlags, ResponseKind};

use super::core::{Flow, Planned, Session, Work};
use super::moving::Tries;
use super::numbers::wants_others;
use super::state::Lexical;
use crate::error::{ClientError, ErrorCode, ProxyError};

impl Session {
    pub(super) async fn query(&mut self, text: &[u8]) -> Result<Flow, ProxyError> {
        let several = self.capabilities.contains(CapabilityFlags::CLIENT_MULTI_STATEMENTS);
        if several && memchr::memchr(b';', text).is_some() {
            let mut parts = split_statements(text, self.state.lexical.sql_mode, self.state.lexical.charset);
            while parts.len() > 1 && parts.last().is_some_and(|part| trimmed(&text[part.clone()]).is_empty())
            {
                parts.pop();
            }
            if parts.len() > 1 {
                return Box::pin(self.each_of(text, &parts)).await;
            }
        }
        self.statement(trimmed(text), true).await
    }

    /// Runs a prepared statement without parameters that the session itself has a part in.
    pub(super) async fn query_prepared_text(&mut self, text: &[u8]) -> Result<Flow, ProxyError> {
        self.statement(text, false).await
    }

    /// Runs the statements of one text; an error ends the text.
    async fn each_of(&mut self, text: &[u8], parts: &[std::ops::Range<usize>]) -> Result<Flow, ProxyError> {
        for (n, part) in parts.iter().enumerate() {
            self.place.more_follows = n + 1 < parts.len();
            if self.statement(trimmed(&text[part.clone()]), false).await? == Flow::Close {
                return Ok(Flow::Close);
            }
        }
        Ok(Flow::Next)
    }

    /// Plans and runs one statement. `is_command`: its text is the whole command, whose bytes can be passed on as they came.
    async fn statement(&mut self, sql: &[u8], is_command: bool) -> Result<Flow, ProxyError> {
        let mut normal = std::mem::take(&mut self.normal);
        let mut tries = Tries::default();
        let mut numbered = 0;
        let result = loop {
            match self.statement_in(sql, &mut normal, is_command).await {
                Err(error) if wants_others(&error, &mut numbered) => {}
                Err(ProxyError::ShardMoved(moved)) => {
                    if let Err(error) = Box::pin(self.wait_or_give_up(*moved, &mut tries)).await {
                        break Err(error);
                    }
                }
                result => break result,
            }
        };
        self.normal = normal;
        result
    }

    async fn statement_in(
        &mut self,
        sql: &[u8],
        normal: &mut Normalised,
        is_command: bool,
    ) -> Result<Flow, ProxyError> {
        let map = self.enter();
        normal.set_version(map.lowest_version());
        normal
            .run(sql, self.state.lexical.sql_mode, self.state.lexical.charset)
            .map_err(ClientError::from)?;
        let plan = self.plan(&map, sql, normal, self.state.database.as_ref());
        self.check_held(&plan, &map).await?;
        let database = self.state.database.clone();
        let planned = Planned { sql, normal, map, plan, database: database.as_ref(), numbered: None };
        if self.was_evicted() {
            self.abandon(matches!(planned.plan.statement(), Statement::Rollback(_)))?;
        }
        if self.locks.is_some() {
            let lexical = self.state.lexical.clone();
            Box::pin(self.ready_locks(&planned, &lexical)).await?;
        }
        if is_about_accounts(&planned.plan.recognised, planned.normal) {
            check_accounts_alone(planned.sql, planned.normal).map_err(ClientError::from)?;
            if self.has_topology_for(&planned.plan, planned.normal) {
                return Box::pin(self.change_accounts(&planned)).await.map(|()| Flow::Next);
            }
        }
        if !planned.map.is_one_server() && is_show_grants(&planned.plan.recognised, planned.normal) {
            return Box::pin(self.show_grants(&planned)).await.map(|()| Flow::Next);
        }
        if let Some(pattern) = self.own_pattern(&planned) {
            return Box::pin(self.show_own_variables(&pattern)).await.map(|()| Flow::Next);
        }
        if *planned.plan.statement() == Statement::Query {
            return self.run_text(&planned, is_command).await.map(|()| Flow::Next);
        }
        Box::pin(self.special(&planned, is_command)).await
    }

    /// The plan for a statement under this session's state.
    pub(super) fn plan(
        &self,
        map: &Map,
        sql: &[u8],
        normal: &Normalised,
        database: Option<&Name>,
    ) -> Arc<Plan> {
        self.plan_for(&self.state.lexical, (map, database), sql, normal)
    }

    /// The same, as read under these settings.
    pub(super) fn plan_for(
        &self,
        lexical: &Lexical,
        (map, database): (&Map, Option<&Name>),
        sql: &[u8],
        normal: &Normalised,
    ) -> Arc<Plan> {
        let context = PlanContext {
            map,
            keyspace: database,
            sql_mode: lexical.sql_mode,
            charset: lexical.charset,
            collation: &lexical.collation,
            time_zone: &lexical.time_zone,
            temporary_tables: &self.state.temporary_tables,
        };
        self.shared.plans.plan(&context, sql, normal)
    }

    /// Where a text statement goes.
    pub(super) fn route(&self, planned: &Planned<'_>) -> Result<Route, ProxyError> {
        let text = (planned.sql, planned.normal);
        let route = planned.plan.route_numbered(&planned.map, text, &[], planned.numbers().values);
        Ok(route.map_err(ClientError::from)?)
    }

    /// Runs a text statement where its plan says.
    pub(super) async fn run_text(
        &mut self,
        planned: &Planned<'_>,
        is_command: bool,
    ) -> Result<(), ProxyError> {
        let numbered;
        let planned = match planned.plan.counted {
            None => planned,
            Some(_) => {
                numbered = planned.with_numbers(Box::pin(self.number(planned, &[], false)).await?);
                &numbered
            }
        };
        let route = match self.route(planned) {
            Err(ProxyError::Client(refused)) if matches!(planned.plan.target, Target::Refused(_)) => {
                return Err(Box::pin(self.refusal(planned.sql, &planned.map, &planned.plan, refused)).await);
            }
            route => route?,
        };
        match route {
            Route::Gather => return Box::pin(self.run_gathered(planned, None)).await,
            Route::Scatter => return Box::pin(self.run_scattered(planned, None)).await,
            _ => {}
        }
        let work = Work { kind: ResponseKind::Query, as_received: is_command };
        self.run_statement(planned, route, work).await
    }

    /// Statements that the session itself has a part in.
    async fn special(&mut self, planned: &Planned<'_>, is_command: bool) -> Result<Flow, ProxyError> {
        if let Target::Refused(error) = &planned.plan.target {
            let refused = ClientError::from(error.clone());
            return Err(Box::pin(self.refusal(planned.sql, &planned.map, &planned.plan, refused)).await);
        }
        check_own_xa(&planned.plan.recognised, planned.sql, planned.normal).map_err(ClientError::from)?;
        match planned.plan.statement() {
            // Comments alone are a ping; nothing at all is an error.
            Statement::Empty if !planned.sql.is_empty() => self.reply_ok().await?,
            Statement::Empty => return Err(empty_query()),
            Statement::Begin(_) | Statement::Commit(_) | Statement::Rollback(_)
                if self.state.transaction.is_own_xa() =>
            {
                self.refuse_in_xa(planned).await?;
            }
            Statement::Begin(options) => self.begin(planned, *options).await?,
            Statement::Commit(completion) => return self.end_transaction(planned, *completion).await,
            Statement::Rollback(completion) => return self.end_transaction(planned, *completion).await,
            Statement::Savepoint(name) | Statement::RollbackTo(name) | Statement::ReleaseSavepoint(name) => {
                self.savepoint(planned, name).await?;
            }
            Statement::Set(assignments) => self.set(planned, assignments, is_command).await?,
            Statement::Use(name) => self.use_database(name.as_bytes()).await?,
            Statement::Kill { query_only, id } => {
                let id = self.kill_target(planned, id)?;
                return self.kill(id, *query_only).await;
            }
            Statement::ShowProcesslist { full } => self.show_processlist(*full).await?,
            Statement::Outcome { id, alias, item } => {
                self.show_outcome(planned, id, alias.as_deref(), *item).await?;
            }
            Statement::ShowPodway(topic) => self.show_podway(&planned.map, topic).await?,
            Statement::ShowSums => self.show_table_status(planned).await?,
            Statement::ShowSelected(selected) => {
                let text = selected.text(planned.sql, planned.normal, self.state.lexical.charset);
                return Box::pin(self.statement(&text, false)).await;
            }
            Statement::ShowWarnings(wanted) => self.show_warnings(planned, wanted).await?,
            Statement::ExplainPodway { analyze } => self.explain_podway(planned, *analyze).await?,
            Statement::LockTables if planned.plan.locks.is_some() => {
                Box::pin(self.lock_tables(planned)).await?;
            }
            Statement::LockTables => {
                self.unlock_quietly().await?;
                self.run_text(planned, is_command).await?;
            }
            Statement::UnlockTables if self.knows_locks(planned) => self.unlock_tables().await?,
            Statement::Define if planned.plan.making.is_some() => {
                Box::pin(self.make_table(planned)).await?;
            }
            Statement::Define => self.define(planned, is_command).await?,
            Statement::DropTrigger { .. } => self.drop_trigger(planned, is_command).await?,
            Statement::Call { .. } => {
                self.check_call(planned).await?;
                self.run_text(planned, is_command).await?;
            }
            Statement::DeclareTable { schema, name, directive } => {
                self.declare_table(planned, schema.as_deref(), name, directive).await?;
            }
            Statement::Prepare { name, source } if planned.plan.target == Target::Nowhere => {
                self.prepare_in_sql(planned, name, source).await?;
            }
            Statement::Execute { name, using } if planned.plan.target == Target::Nowhere => {
                return Box::pin(self.execute_in_sql(name, using)).await;
            }
            Statement::Deallocate(name) if planned.plan.target == Target::Nowhere => {
                self.deallocate_in_sql(name).await?;
            }
            Statement::Refused(what) => return Err(ClientError::not_supported(what).into()),
            _ => self.run_text(planned, is_command).await?,
        }
        Ok(Flow::Next)
    }
}

fn empty_query() -> ProxyError {
    ClientError::new(ErrorCode::EMPTY_QUERY, "Query was empty").into()
}

/// A text without the blanks and semicolons that MySQL drops from its end, and the blanks before it.
fn trimmed(text: &[u8]) -> &[u8] {
    let is_dropped = |byte: &u8| byte.is_ascii_whitespace() || *byte == b';';
    let end = text.iter().rposition(|byte| !is_dropped(byte)).map_or(0, |last| last + 1);
    &text[..end]
}
