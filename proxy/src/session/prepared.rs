//! COM_STMT_*: a statement has one id for its client and is prepared on whichever connection an execution goes to.
//!
//! What a parameter's key leads to is known at EXECUTE only; at PREPARE any shard of the keyspace describes the statement.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use podway_model::Map;
use podway_router::{
    Effects, KeyValue, Normalised, Route, RouterError, Statement, Target, check_accounts_alone,
    is_about_accounts,
};
use podway_wire::{
    CapabilityFlags, Command, EofPacket, Execute, HEADER, ParamType, PrepareOk, ResponseKind, StatusFlags,
    write_packet,
};
use xxhash_rust::xxh3::Xxh3;

use super::bound_values::with_literals;
use super::core::{ClientStatement, Cursor, Flow, Planned, Session, Spot};
use super::gather::Bound;
use super::literals::Reading;
use super::moving::Tries;
use super::numbers::wants_others;
use super::stamps::own_description;
use crate::backend::{BackendConnection, Description, Settings};
use crate::error::{ClientError, ErrorCode, ProxyError, Why};
use crate::execute::{Request, Rewriting, execute_packet};

/// The settings that decide how a text reads.
const READING: [&str; 3] = ["sql_mode", "character_set_client", "collation_connection"];
/// Other settings that MySQL settles at PREPARE, whatever they are at an execution.
const SETTLED: [&str; 5] = [
    "default_collation_for_utf8mb4",
    "div_precision_increment",
    "group_concat_max_len",
    "lc_time_names",
    "sql_auto_is_null",
];
/// The bit of an execution's flags that asks for a cursor.
const CURSOR_READ_ONLY: u8 = 1;
/// Where an execution's statement id stands in its packet: behind the header and the command's byte.
const STATEMENT_ID: std::ops::Range<usize> = HEADER + 1..HEADER + 5;

/// A statement's text as a shard reads it, and what it is known by there.
struct OnShard {
    text: Bytes,
    key: u64,
    /// Whether it reads user variables.
    reads_variables: bool,
}

impl OnShard {
    /// The same, for executions with these types alone: MySQL keeps the types that a statement was first bound to and converts later values to
    /// them, which would store another value than the one that was routed by. With a cursor it is one client's statement alone.
    fn bound_to(&self, types: &[ParamType], cursor_of: Option<u32>) -> OnShard {
        let mut hasher = Xxh3::new();
        hasher.update(&self.key.to_le_bytes());
        for of in types {
            hasher.update(&[of.column_type, u8::from(of.unsigned)]);
        }
        hasher.update(&cursor_of.map_or([0; 5], |id| {
            let [a, b, c, d] = id.to_le_bytes();
            [1, a, b, c, d]
        }));
        OnShard { text: self.text.clone(), key: hasher.digest(), reads_variables: self.reads_variables }
    }
}

impl Session {
    /// COM_STMT_PREPARE.
    pub(super) async fn prepare(&mut self, text: &[u8]) -> Result<(), ProxyError> {
        self.handle.working("Prepare", &self.shown(text), self.started);
        let limit = self.shared.config.client.max_statements;
        if self.statements.len() >= limit {
            let message =
                format!("Can't create more than client.max_statements statements (current value: {limit})");
            return Err(ClientError::new(ErrorCode::TOO_MANY_STATEMENTS, message).into());
        }
        let mut tries = Tries::default();
        let (statement, description) = loop {
            let map = self.shared.map.load();
            match self.statement_of(text, &map).await {
                Err(ProxyError::ShardMoved(moved)) if matches!(moved.why, Why::Held { .. }) => {
                    Box::pin(self.wait_or_give_up(*moved, &mut tries)).await?;
                }
                made => break made?,
            }
        };
        let id = self.next_statement;
        self.next_statement = self.next_statement.wrapping_add(1).max(1);
        self.statements.insert(id, statement);
        self.reply_prepared(id, &description).await
    }

    /// A text as a statement that can be executed, and what it answers.
    pub(super) async fn statement_of(
        &mut self,
        text: &[u8],
        map: &Arc<Map>,
    ) -> Result<(Box<ClientStatement>, Description), ProxyError> {
        let mut normal = Normalised::new();
        normal.set_version(map.lowest_version());
        normal
            .run(text, self.state.lexical.sql_mode, self.state.lexical.charset)
            .map_err(ClientError::from)?;
        let plan = self.plan(map, text, &normal, self.state.database.as_ref());
        self.check_held(&plan, map).await?;
        if is_about_accounts(&plan.recognised, &normal) {
            check_accounts_alone(text, &normal).map_err(ClientError::from)?;
        }
        let is_for_every_server = self.has_topology_for(&plan, &normal);
        if let podway_router::Target::Refused(error) = &plan.target
            && !is_for_every_server
        {
            let refused = ClientError::from(error.clone());
            return Err(Box::pin(self.refusal(text, map, &plan, refused)).await);
        }
        let mut statement = Box::new(ClientStatement {
            text: Bytes::copy_from_slice(text),
            normal,
            schema_version: map.schema_version,
            plan,
            database: self.state.database.clone(),
            settings: self.state.settings.clone(),
            lexical: self.state.lexical.clone(),
            types: Arc::new([]),
            long_data: HashMap::new(),
            long_data_bytes: 0,
            cursor: None,
        });
        let description = match own_description(&statement.plan, &statement.normal, is_for_every_server) {
            Some(description) => description,
            None => self.describe(&mut statement, map).await?,
        };
        Ok((statement, description))
    }

    /// Has a shard prepare the statement, for its description and its errors.
    async fn describe(
        &mut self,
        statement: &mut ClientStatement,
        map: &Arc<Map>,
    ) -> Result<Description, ProxyError> {
        if let Some(known) = super::explain::description(statement) {
            return Ok(known);
        }
        let route = match statement.plan.pins_params() || statement.plan.counted.is_some() {
            true => Route::Any,
            false => statement
                .plan
                .route(map, &statement.text, &statement.normal, &[])
                .map_err(ClientError::from)?,
        };
        let spot = self.spot(map, &statement.plan, route)?;
        let held = self.held.iter().position(|held| held.endpoint().id() == spot.pool.id());
        let mut connection = match held {
            Some(position) => self.held.swap_remove(position),
            None => {
                let fit = crate::backend::Fit {
                    settings: self.state.settings.fingerprint(),
                    schema: Some(&spot.current),
                };
                spot.pool.checkout(&self.key, fit).await?
            }
        };
        let on_shard = self.on_shard(&statement.planned(map), &spot, statement);
        let prepared = self.prepare_on(&mut connection, &spot, &on_shard, &statement.settings).await;
        let description =
            connection.prepared(on_shard.key, &on_shard.text).map(|known| known.description.clone());
        self.settle(connection);
        prepared.map_err(|error| self.in_logical_names(error, &spot))?;
        let mut description = description.unwrap_or_default();
        if let Some(names) = spot.name_change() {
            for payload in &mut description.columns {
                let mut changed = Vec::with_capacity(payload.len());
                let done =
                    podway_wire::rewrite_schema(payload, &names.physical, &names.logical, &mut changed);
                if done.is_ok_and(|changed| changed) {
                    *payload = changed.into();
                }
            }
        }
        Ok(description)
    }

    /// Makes sure that the statement is prepared on this connection, as it read when its client prepared it.
    async fn prepare_on(
        &mut self,
        connection: &mut BackendConnection,
        spot: &Spot,
        on_shard: &OnShard,
        settings: &Arc<Settings>,
    ) -> Result<(), ProxyError> {
        if connection.prepared(on_shard.key, &on_shard.text).is_none() {
            let variables = on_shard.reads_variables.then(|| self.state.variables.clone());
            let as_then = self.reading_as(settings);
            connection.synchronise(&spot.current, &as_then, variables.as_ref()).await?;
            connection.prepare(on_shard.key, on_shard.text.clone()).await?;
            connection.synchronise(&spot.current, &self.state.settings, None).await?;
        }
        Ok(())
    }

    /// The session's settings, with those that PREPARE settles as they were when a statement was prepared.
    fn reading_as(&self, then: &Settings) -> Arc<Settings> {
        let now = &self.state.settings;
        let settled = || READING.iter().chain(&SETTLED);
        if settled().all(|name| now.get(name) == then.get(name)) {
            return now.clone();
        }
        let mut mixed = (**now).clone();
        for name in settled() {
            match then.get(name) {
                Some(literal) => mixed.put(name, literal),
                None if SETTLED.contains(name) => mixed.remove(name),
                None => {}
            }
        }
        Arc::new(mixed)
    }

    /// How literals in the places of a statement's parameters read; an error where the rest of its text would read otherwise now than when it was prepared.
    fn literals_read(&self, statement: &ClientStatement) -> Result<Reading<'_>, ProxyError> {
        let now = &self.state.settings;
        if READING.iter().any(|name| now.get(name) != statement.settings.get(name)) {
            let what =
                "a statement that was prepared under another sql_mode or character set and runs as text";
            return Err(ClientError::not_supported(what).into());
        }
        Ok(self.state.lexical.reading())
    }

    /// The statement as this spot's shard reads it.
    fn on_shard(&self, planned: &Planned<'_>, spot: &Spot, statement: &ClientStatement) -> OnShard {
        let mut sql = Vec::new();
        let text = match self.rewritten_text(planned, spot, &mut sql) {
            true => sql.into(),
            false => statement.text.clone(),
        };
        let hasher = self.preparation(planned, spot, &text, &statement.settings);
        let reads_variables = planned.plan.effects().contains(Effects::READS_USER_VARIABLES);
        OnShard { text, key: hasher.digest(), reads_variables }
    }

    /// All that decides what PREPARE makes of a text, but for parameters' types.
    pub(super) fn preparation(
        &self,
        planned: &Planned<'_>,
        spot: &Spot,
        text: &[u8],
        settings: &Settings,
    ) -> Xxh3 {
        let mut hasher = Xxh3::new();
        for part in [text, spot.current.as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(&planned.map.schema_version.to_le_bytes());
        for name in READING.iter().chain(&SETTLED) {
            hasher.update(settings.get(name).unwrap_or_default());
            hasher.update(&[0]);
        }
        if planned.plan.effects().contains(Effects::READS_USER_VARIABLES) {
            // The types of its variables are settled at PREPARE, so it is good for these values only.
            hasher.update(&self.state.variables.fingerprint().to_le_bytes());
        }
        hasher
    }

    async fn reply_prepared(&mut self, id: u32, description: &Description) -> Result<(), ProxyError> {
        let ok = PrepareOk {
            statement_id: id,
            columns: description.columns.len() as u16,
            params: description.params.len() as u16,
            warnings: description.warnings,
        };
        let mut payload = Vec::new();
        ok.encode(&mut payload);
        let mut out = BytesMut::new();
        let status = self.status() - StatusFlags::SERVER_MORE_RESULTS_EXISTS;
        let sequence = &mut self.place.sequence;
        write_packet(&mut out, sequence, &payload);
        let old_style = !self.capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF);
        let mut eof = Vec::new();
        EofPacket { status, warnings: 0 }.encode(&mut eof);
        for definitions in [&description.params, &description.columns] {
            definitions.iter().for_each(|definition| write_packet(&mut out, sequence, definition));
            if old_style && !definitions.is_empty() {
                write_packet(&mut out, sequence, &eof);
            }
        }
        self.client.send(&out).await.map_err(ProxyError::ClientGone)
    }

    /// COM_STMT_EXECUTE.
    pub(super) async fn execute(&mut self, body: &[u8]) -> Result<Flow, ProxyError> {
        let id = body.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)).unwrap_or(0);
        let mut statement = self.statements.remove(&id).ok_or_else(|| unknown(id, "mysqld_stmt_execute"))?;
        self.handle.working("Execute", &self.shown(&statement.text), self.started);
        self.place.binary = true;
        let mut tries = Tries::default();
        let mut numbered = 0;
        let result = loop {
            match self.execute_in(&mut statement, body).await {
                Err(error) if wants_others(&error, &mut numbered) => {}
                Err(ProxyError::ShardMoved(moved)) => {
                    if let Err(error) = Box::pin(self.wait_or_give_up(*moved, &mut tries)).await {
                        break Err(error);
                    }
                }
                result => break result,
            }
        };
        statement.long_data.clear();
        statement.long_data_bytes = 0;
        self.statements.insert(id, statement);
        result
    }

    // structure: one execution from its bytes to its answer; each step needs what the one before borrowed.
    async fn execute_in(&mut self, statement: &mut ClientStatement, body: &[u8]) -> Result<Flow, ProxyError> {
        self.check_long_data(statement)?;
        self.close_cursor(statement).await?;
        let map = self.enter();
        if self.was_evicted() {
            self.abandon(false)?;
        }
        self.replan(statement, &map)?;
        self.check_held(&statement.plan, &map).await?;
        if self.locks.is_some() {
            Box::pin(self.ready_locks(&statement.planned(&map), &statement.lexical)).await?;
        }
        let params = statement.normal.param_count();
        // Where one shard has it all, its own answer goes on as it is.
        let is_gathered = matches!(statement.plan.target, Target::Gathered { .. }) && params == 0;
        if is_gathered
            && !matches!(
                statement.plan.route(&map, &statement.text, &statement.normal, &[]),
                Ok(Route::Shard(_))
            )
        {
            let text = statement.text.clone();
            return self.query_prepared_text(&text).await;
        }
        let is_sent = matches!(statement.plan.statement(), Statement::Query | Statement::Call { .. });
        let is_sessions_own = !is_sent
            || self.has_topology_for(&statement.plan, &statement.normal);
        if is_sessions_own && params == 0 {
            let text = statement.text.clone();
            return self.query_prepared_text(&text).await;
        }
        let malformed = |error: podway_wire::DecodeError| {
            ClientError::new(ErrorCode::MALFORMED_PACKET, format!("Malformed communication packet: {error}"))
        };
        let previous = statement.types.clone();
        let long_data =
            |n: usize| u16::try_from(n).ok().and_then(|n| statement.long_data.get(&n)).map(Vec::as_slice);
        let execute =
            Execute::decode(body, self.capabilities, params, &previous, &long_data).map_err(malformed)?;
        if !is_sent {
            let text = with_literals(statement, &execute, self.literals_read(statement)?);
            return self.query_prepared_text(&text).await;
        }
        let may_gather = statement.plan.gather.is_some() || statement.plan.scatter.is_some();
        let values: Vec<KeyValue<'_>> = match statement.plan.pins_params() || may_gather {
            true => execute
                .values
                .iter()
                .zip(execute.types.iter())
                .take(params)
                .map(|(value, of)| self.key_value(value, of))
                .collect(),
            false => Vec::new(),
        };
        let mut planned = statement.planned(&map);
        self.check_call(&planned).await?;
        if planned.plan.counted.is_some() {
            planned.numbered = Box::pin(self.number(&planned, &values, true)).await?;
        }
        let text = (&*statement.text, &statement.normal);
        let route = planned
            .plan
            .route_numbered(&map, text, &values, planned.numbers().values)
            .map_err(ClientError::from)?;
        if matches!(route, Route::Gather | Route::Scatter) {
            self.execute_on_several(statement, &planned, (route, &execute), &values).await?;
            if execute.new_params_bound {
                statement.types = execute.types[..params].into();
            }
            return Ok(Flow::Next);
        }
        // Drivers bind the same types every time.
        let types: Arc<[ParamType]> = match execute.new_params_bound && execute.types[..params] != *previous {
            true => execute.types[..params].into(),
            false => previous.clone(),
        };
        let cursor = match planned.has_numbers() {
            true => {
                let sent = planned.numbered_execution(&execute, None);
                let bound = sent.types[..sent.params].into();
                self.run_execution(statement, &planned, (route, &sent), bound).await?
            }
            false => self.run_execution(statement, &planned, (route, &execute), types.clone()).await?,
        };
        statement.types = types;
        statement.cursor = cursor;
        Ok(Flow::Next)
    }

    fn check_long_data(&self, statement: &ClientStatement) -> Result<(), ProxyError> {
        if statement.long_data_bytes <= self.shared.config.client.max_long_data {
            return Ok(());
        }
        let message = "Parameters sent ahead are over client.max_long_data bytes";
        Err(ClientError::new(ErrorCode::PACKET_TOO_LARGE, message).into())
    }

    /// Runs an execution over several shards.
    async fn execute_on_several(
        &mut self,
        statement: &ClientStatement,
        planned: &Planned<'_>,
        (route, execute): (Route, &Execute<'_>),
        keys: &[KeyValue<'_>],
    ) -> Result<(), ProxyError> {
        self.literals_read(statement)?;
        let plain = Execute { flags: 0, statement_id: 0, ..execute.clone() };
        let bound = Bound { execute: &plain, keys };
        match route {
            Route::Scatter => Box::pin(self.run_scattered(planned, Some(&bound))).await,
            _ => Box::pin(self.run_gathered(planned, Some(&bound))).await,
        }
    }

    /// Sends an execution to its shard and passes the answer on. Returns the cursor that it has opened.
    async fn run_execution(
        &mut self,
        statement: &ClientStatement,
        planned: &Planned<'_>,
        (route, execute): (Route, &Execute<'_>),
        types: Arc<[ParamType]>,
    ) -> Result<Option<Cursor>, ProxyError> {
        let (plan, map) = (&planned.plan, &planned.map);
        self.commit_before(plan, map, route).await?;
        let spot = self.spot(map, plan, route)?;
        self.check_moving(&spot).await?;
        let before = self.before();
        let mut connection = match self.acquire(plan, &spot).await {
            Err(error) => return Err(self.refused_before(error, &before, &spot).await?),
            Ok(connection) => connection,
        };
        let untyped = self.on_shard(planned, &spot, statement);
        let wants_cursor = execute.flags & CURSOR_READ_ONLY != 0;
        let on_shard = untyped.bound_to(&types, wants_cursor.then_some(execute.statement_id));
        connection.hand_over(untyped.key, on_shard.key, &on_shard.text);
        let prepared = self.prepare_on(&mut connection, &spot, &on_shard, &statement.settings).await;
        let (mut connection, prepared) = self.judge(connection, before.clone(), &spot, prepared).await?;
        if let Err(error) = prepared {
            self.settle(connection);
            return Err(self.in_logical_names(error, &spot));
        }
        if let Err(error) = self.check_numbers(planned) {
            self.settle(connection);
            return Err(error);
        }
        let Some(prepared) = connection.prepared(on_shard.key, &on_shard.text) else {
            return Err(connection.surprise("a statement that was just prepared is not there"));
        };
        let (backend_id, already_bound) = (prepared.id, prepared.bound);
        prepared.bound = true;
        let as_received = statement.long_data.is_empty()
            && !planned.has_numbers()
            && (execute.new_params_bound || already_bound || types.is_empty());
        let rewriting = Rewriting { insert_id: planned.told_number(), ..self.rewriting(plan, &spot) };
        let packet;
        let request = match as_received {
            true => {
                self.client.input[STATEMENT_ID].copy_from_slice(&backend_id.to_le_bytes());
                Request::AsReceived(self.command_bytes)
            }
            false => {
                packet = execute_packet(execute, backend_id, connection.capabilities());
                Request::Packets(&packet)
            }
        };
        let answer = self.forward(&mut connection, request, ResponseKind::Execute, rewriting).await;
        let has_cursor = |status: StatusFlags| status.contains(StatusFlags::SERVER_STATUS_CURSOR_EXISTS);
        let opened = wants_cursor && answer.as_ref().is_ok_and(|summary| has_cursor(summary.status));
        if let Some(prepared) = connection.prepared(on_shard.key, &on_shard.text) {
            prepared.has_cursor = opened;
            // A refused execution may not have bound anything.
            prepared.bound = answer.is_ok();
        }
        if opened {
            connection.hold_cursor();
        }
        let server = spot.pool.id();
        let (connection, answer) = self.judge(connection, before, &spot, answer).await?;
        self.finish(connection, plan, Some(planned), answer).await?;
        Ok(opened.then_some(Cursor { server, backend_id }))
    }

    /// COM_STMT_SEND_LONG_DATA: kept until the execution. Has no answer.
    pub(super) fn long_data(&mut self, id: u32, param: u16, data: &[u8]) {
        let limit = self.shared.config.client.max_long_data;
        let Some(statement) = self.statements.get_mut(&id) else { return };
        statement.long_data_bytes = statement.long_data_bytes.saturating_add(data.len());
        if statement.long_data_bytes <= limit {
            statement.long_data.entry(param).or_default().extend_from_slice(data);
        }
    }

    /// COM_STMT_RESET.
    pub(super) async fn reset_statement(&mut self, id: u32) -> Result<(), ProxyError> {
        let mut statement = self.statements.remove(&id).ok_or_else(|| unknown(id, "mysqld_stmt_reset"))?;
        statement.long_data.clear();
        statement.long_data_bytes = 0;
        let closed = self.close_cursor(&mut statement).await;
        self.statements.insert(id, statement);
        closed?;
        self.reply_ok().await
    }

    /// COM_STMT_CLOSE. Has no answer.
    pub(super) async fn close_statement(&mut self, id: u32) {
        if let Some(mut statement) = self.statements.remove(&id)
            && let Err(error) = self.close_cursor(&mut statement).await
        {
            tracing::debug!(session = self.handle.id, %error, "a cursor was not closed in order");
        }
    }

    /// COM_STMT_FETCH.
    pub(super) async fn fetch(&mut self, id: u32, rows: u32) -> Result<(), ProxyError> {
        let statement = self.statements.get(&id).ok_or_else(|| unknown(id, "mysqld_stmt_fetch"))?;
        let no_cursor =
            || ClientError::new(ErrorCode::NO_CURSOR, format!("The statement ({id}) has no open cursor."));
        let cursor = statement.cursor.ok_or_else(no_cursor)?;
        let plan = statement.plan.clone();
        let position =
            self.held.iter().position(|held| held.endpoint().id() == cursor.server).ok_or_else(no_cursor)?;
        let mut connection = self.held.swap_remove(position);
        let mut payload = vec![Command::COM_STMT_FETCH as u8];
        payload.extend_from_slice(&cursor.backend_id.to_le_bytes());
        payload.extend_from_slice(&rows.to_le_bytes());
        let mut packet = BytesMut::new();
        write_packet(&mut packet, &mut 0, &payload);
        let answer = self
            .forward(&mut connection, Request::Packets(&packet), ResponseKind::Fetch, Default::default())
            .await;
        let ended = answer
            .as_ref()
            .map_or(true, |summary| summary.status.contains(StatusFlags::SERVER_STATUS_LAST_ROW_SENT));
        if ended {
            connection.release_cursor(cursor.backend_id);
            if let Some(statement) = self.statements.get_mut(&id) {
                statement.cursor = None;
            }
        }
        self.finish(connection, &plan, None, answer).await.map(|_| ())
    }

    /// Closes the statement's cursor, if it has one.
    async fn close_cursor(&mut self, statement: &mut ClientStatement) -> Result<(), ProxyError> {
        let Some(cursor) = statement.cursor.take() else { return Ok(()) };
        let Some(position) = self.held.iter().position(|held| held.endpoint().id() == cursor.server) else {
            return Ok(());
        };
        let mut connection = self.held.swap_remove(position);
        let mut payload = vec![Command::COM_STMT_RESET as u8];
        payload.extend_from_slice(&cursor.backend_id.to_le_bytes());
        let done = connection.command(&payload).await;
        connection.release_cursor(cursor.backend_id);
        self.settle(connection);
        done.map(|_| ())
    }
}

fn unknown(id: u32, function: &str) -> ProxyError {
    let message = format!("Unknown prepared statement handler ({id}) given to {function}");
    ClientError::new(ErrorCode::UNKNOWN_STATEMENT, message).into()
}

impl From<RouterError> for ProxyError {
    fn from(error: RouterError) -> ProxyError {
        ClientError::from(error).into()
    }
}
