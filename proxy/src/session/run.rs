//! A statement on its shard: choose the connection, bring it to the session's state, send, pass the answer on, and remember what it left.

use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use podway_model::{Keyspace, Map, Name, Revision, ServerId};
use podway_router::{Effects, Facts, Plan, Route, Statement, Target, Verb};
use podway_wire::{Command, ResponseKind, Summary, put_query_prefix, write_packet};

use super::core::{Planned, Session, Spot, Work};
use super::state::Warning;
use crate::backend::{BackendConnection, Fit};
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::execute::{Forward, Request, Rewriting};
use crate::txn::TransactionError;

/// How often a statement is tried again on a fresh connection after one that turned out to be dead before it could have run.
pub(super) const FRESH_CONNECTIONS: usize = 3;

/// What leaves something on a connection that cannot be carried to another.
const PINNING: Effects = Effects::PINS
    .union(Effects::USER_LOCKS)
    .union(Effects::CREATES_TEMPORARY_TABLE)
    .union(Effects::ASSIGNS_USER_VARIABLES)
    .union(Effects::MANY_RESULTS);

/// The current database on a connection of a session that has none.
pub(super) static NO_DATABASE: LazyLock<Arc<str>> = LazyLock::new(|| "information_schema".into());

impl Session {
    /// Runs a text statement and passes its answer on.
    pub(super) async fn run_statement(
        &mut self,
        planned: &Planned<'_>,
        route: Route,
        work: Work,
    ) -> Result<(), ProxyError> {
        self.commit_before(&planned.plan, &planned.map, route).await?;
        let mut attempts = FRESH_CONNECTIONS;
        let mut newer = None;
        loop {
            if self.state.transaction.is_open() {
                self.handle.seeks();
            }
            let map = newer.as_ref().unwrap_or(&planned.map);
            let spot = self.spot(map, &planned.plan, route)?;
            self.check_moving(&spot).await?;
            let fresh = self.is_free_of(spot.pool.id());
            let before = self.before();
            let mut connection = match self.acquire(&planned.plan, &spot).await {
                Err(ProxyError::BackendUnusable { .. })
                    if fresh && self.takes_newer(&mut newer, &planned.map) =>
                {
                    continue;
                }
                Err(error) => return Err(self.refused_before(error, &before, &spot).await?),
                Ok(connection) => connection,
            };
            if let Err(error) = self.check_numbers(planned) {
                self.settle(connection);
                return Err(error);
            }
            let rewritten = self.rewritten(planned, &spot);
            let request = match &rewritten {
                Some(packet) => Request::Packets(packet),
                None if work.as_received => Request::AsReceived(self.command_bytes),
                None => Request::Packets(&self.query_packet(planned.sql)),
            };
            let rewriting =
                Rewriting { insert_id: planned.told_number(), ..self.rewriting(&planned.plan, &spot) };
            let answer = self.forward(&mut connection, request, work.kind, rewriting).await;
            match answer {
                Err(ProxyError::BackendUnusable { .. }) if fresh && attempts > 0 => {
                    attempts -= 1;
                    self.takes_newer(&mut newer, &planned.map);
                    drop(connection);
                    self.restore(before);
                }
                answer => {
                    let (connection, answer) = self.judge(connection, before, &spot, answer).await?;
                    return self.finish(connection, &planned.plan, Some(planned), answer).await.map(|_| ());
                }
            }
        }
    }

    /// Takes the newest map; false if it is the one in use already. Revisions only rise, so a loop over this ends.
    fn takes_newer(&self, newer: &mut Option<Arc<Map>>, planned: &Arc<Map>) -> bool {
        let newest = self.shared.map.load();
        let map = newer.as_ref().unwrap_or(planned);
        let is_newer = newest.revision > map.revision && newest.schema_version == map.schema_version;
        if is_newer {
            *newer = Some(newest);
        }
        is_newer
    }

    /// Sends a request and passes its answer on, visible to KILL meanwhile.
    pub(super) async fn forward(
        &mut self,
        connection: &mut BackendConnection,
        request: Request<'_>,
        kind: ResponseKind,
        rewriting: Rewriting,
    ) -> Result<Summary, ProxyError> {
        self.handle.set_running([connection.thread().clone()]);
        let mut forward = Forward {
            client: &mut self.client,
            command_bytes: &mut self.command_bytes,
            backend: connection,
            kind,
            rewriting,
            begun: false,
            next_seq: 0,
        };
        let answer = forward.run(request).await;
        let (begun, next_seq) = (forward.begun, forward.next_seq);
        if self.handle.ended_running() {
            connection.never_reuse();
        }
        if let Ok(summary) = &answer {
            self.place.sequence = summary.next_seq;
        } else if begun && matches!(answer, Err(ProxyError::Server(_))) {
            self.place.has_begun = true;
            self.place.sequence = next_seq;
        } else if matches!(answer, Err(ProxyError::ClientGone(_))) {
            self.shared.metrics.cancelled.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        answer
    }

    /// What changes in an answer from this spot.
    pub(super) fn rewriting(&self, plan: &Plan, spot: &Spot) -> Rewriting {
        Rewriting {
            names: spot.name_change(),
            rows: plan.effects().contains(Effects::READS_SYSTEM_SCHEMA),
            shows: plan.shows.as_deref().cloned(),
            binary: self.place.binary,
            more_follows: self.place.more_follows,
            first_sequence: self.place.sequence,
            insert_id: None,
        }
    }

    /// The shard's server and schema for a route.
    pub(super) fn spot(&self, map: &Map, plan: &Plan, route: Route) -> Result<Spot, ProxyError> {
        let of_plan = plan.keyspace().and_then(|name| map.keyspace(name));
        let of_session = || self.state.database.as_ref().and_then(|name| map.keyspace(name));
        let known = of_plan.or_else(of_session);
        let keyspace = known.or_else(|| map.default_keyspace());
        let keyspace = keyspace.ok_or_else(|| {
            ClientError::new(ErrorCode::UNKNOWN, "The cluster has no keyspace yet: declare one first")
        })?;
        let index = match route {
            Route::Shard(index) => index,
            Route::Any | Route::Nowhere => self.any_shard(keyspace, plan),
            // Every table that the statement may name is there.
            Route::Gather | Route::Scatter => keyspace.home,
        };
        let gone =
            || ClientError::new(ErrorCode::UNKNOWN, "The statement's shard has left the map: try again");
        let (server, shard) = map.place(keyspace, index).ok_or_else(gone)?;
        let pool = self.shared.pools.get(server);
        // A current database that is no keyspace (mysql, information_schema …) is the server's own.
        let foreign = self.state.database.as_ref().filter(|_| known.is_none());
        Ok(match foreign {
            Some(database) => Spot::new(pool, database.shared_text(), None, index),
            None => {
                let spot = Spot::new(pool, shard.schema.shared_text(), Some(keyspace.clone()), index);
                match &self.state.database {
                    // Names without a database are in the servers' own, such as information_schema.
                    Some(own)
                        if map.keyspace(own).is_none()
                            && plan.gather.as_ref().is_some_and(|gather| gather.is_catalog()) =>
                    {
                        Spot { current: own.shared_text(), ..spot }
                    }
                    Some(_) => spot,
                    // Names are qualified then. Every user may enter this one, not so the default keyspace's schema.
                    None => Spot { current: NO_DATABASE.clone(), ..spot },
                }
            }
        })
    }

    /// A shard for a statement that every shard answers alike: the transaction's own where it has one, else home.
    fn any_shard(&self, keyspace: &Keyspace, plan: &Plan) -> podway_model::ShardIndex {
        let pinned = || self.held.iter().find(|held| held.is_pinned()).map(|held| held.endpoint().id());
        let assigned =
            self.state.assigned_on.filter(|_| plan.effects().contains(Effects::READS_USER_VARIABLES));
        let preferred = match plan.effects().contains(Effects::PINS) {
            _ if assigned.is_some() => assigned,
            true => pinned().or(self.state.transaction.server()),
            false => self.state.transaction.server().or_else(pinned),
        };
        let there =
            preferred.and_then(|server| keyspace.shards.iter().position(|shard| shard.server == server));
        there.map_or(keyspace.home, |position| podway_model::ShardIndex(position as u16))
    }

    pub(super) fn is_free_of(&self, server: ServerId) -> bool {
        !self.state.transaction.is_on(server) && !self.held.iter().any(|held| held.endpoint().id() == server)
    }

    /// Statements before which MySQL commits do so on the transaction's server, which may not be their own. Before others a transaction's snapshot is opened, if it is to have one.
    pub(super) async fn commit_before(
        &mut self,
        plan: &Plan,
        map: &Arc<Map>,
        route: Route,
    ) -> Result<(), ProxyError> {
        if !plan.effects().contains(Effects::IMPLICIT_COMMIT) || !self.state.transaction.is_open() {
            return self.begin_snapshot(plan, map).await;
        }
        let server = self.spot(map, plan, route)?.pool.id();
        match self.state.transaction.server() {
            Some(open)
                if open == server
                    && !self.state.transaction.is_distributed()
                    && self.stamped_alone(&self.state.transaction).is_none() =>
            {
                Ok(())
            }
            _ => self.commit_quietly().await,
        }
    }

    /// The connection for a statement, brought to the session's state, with its transaction begun.
    pub(super) async fn acquire(
        &mut self,
        plan: &Plan,
        spot: &Spot,
    ) -> Result<Box<BackendConnection>, ProxyError> {
        let server = spot.pool.id();
        self.check_locked_server(&plan.target, server)?;
        self.check_joins(plan, server)?;
        if !plan.only_reads() {
            self.check_writes([server])?;
        }
        self.check_variables(plan, server)?;
        let held = self.held.iter().position(|held| held.endpoint().id() == spot.pool.id());
        let mut connection = match held {
            Some(position) => self.held.swap_remove(position),
            None if self.state.transaction.is_on(server) => {
                self.lost = true;
                return Err(spot.pool.endpoint().lost("the connection of an open transaction is gone"));
            }
            None => {
                let fit = Fit { settings: self.state.settings.fingerprint(), schema: Some(&spot.current) };
                spot.pool.checkout(&self.key, fit).await?
            }
        };
        let result = self.bring_up(&mut connection, plan, spot).await;
        if let Err(error) = result {
            // What it has begun, and the transaction does not know of, ends with it.
            if !connection.in_transaction() || self.state.transaction.is_on(server) {
                self.settle(connection);
            }
            return Err(self.in_logical_names(error, spot));
        }
        Ok(connection)
    }

    async fn bring_up(
        &mut self,
        connection: &mut BackendConnection,
        plan: &Plan,
        spot: &Spot,
    ) -> Result<(), ProxyError> {
        // Triggers read user variables, too: who did it is often told them so.
        let needs_variables = Effects::WRITES
            | Effects::READS_USER_VARIABLES
            | Effects::ASSIGNS_USER_VARIABLES
            | Effects::PINS
            | Effects::MANY_RESULTS;
        let variables = plan.effects().intersects(needs_variables).then_some(&self.state.variables);
        connection.synchronise(&spot.current, &self.state.settings, variables).await?;
        let about_insert_id = Effects::READS_LAST_INSERT_ID | Effects::SETS_LAST_INSERT_ID;
        if plan.effects().intersects(about_insert_id | Effects::PINS | Effects::MANY_RESULTS) {
            connection.synchronise_last_insert_id(self.state.last_insert_id).await?;
        }
        if !self.runs_outside(plan) {
            self.open_transaction(connection).await?;
        }
        Ok(())
    }

    /// Refuses to read user variables where they are not what the session last made of them: what a query assigned is on its own connection alone.
    fn check_variables(&self, plan: &Plan, server: ServerId) -> Result<(), ProxyError> {
        let is_elsewhere = self.state.assigned_on.is_some_and(|assigned| assigned != server);
        if is_elsewhere && plan.effects().contains(Effects::READS_USER_VARIABLES) {
            let what = "user variables on a server when a query on another one may have assigned them";
            return Err(ClientError::not_supported(what).into());
        }
        Ok(())
    }

    /// Refuses what would end a part of a transaction over several servers unseen.
    fn check_joins(&self, plan: &Plan, server: ServerId) -> Result<(), ProxyError> {
        let transaction = &self.state.transaction;
        let is_several =
            transaction.is_distributed() || transaction.server().is_some_and(|open| open != server);
        if !is_several || self.runs_outside(plan) {
            return Ok(());
        }
        let what = match plan.verb() {
            Verb::Execute | Verb::Prepare => "PREPARE and EXECUTE in SQL",
            Verb::Xa => "XA",
            Verb::UnlockTables => "UNLOCK TABLES",
            _ if plan.effects().contains(Effects::MANY_RESULTS) => "CALL",
            _ => return Ok(()),
        };
        let what = format!("{what} in a transaction over several MySQL servers");
        Err(ClientError::not_supported(&what).into())
    }

    /// A statement that every shard answers alike does not settle where the transaction goes.
    pub(super) fn runs_outside(&self, plan: &Plan) -> bool {
        let binds = Effects::LOCKS_ROWS | Effects::WRITES | Effects::PINS | Effects::USER_LOCKS;
        // Without autocommit a server begins a transaction by itself.
        self.state.autocommit
            && !matches!(plan.statement(), Statement::Begin(_))
            && matches!(plan.target, Target::Any { .. } | Target::Nowhere)
            && !plan.effects().intersects(binds)
    }

    /// What is sent instead of the client's own bytes, where names or functions have to be put in.
    fn rewritten(&self, planned: &Planned<'_>, spot: &Spot) -> Option<BytesMut> {
        let mut sql = Vec::new();
        self.rewritten_text(planned, spot, &mut sql).then(|| self.query_packet(&sql))
    }

    /// Appends the statement's text as the shard must read it; false where that is the text itself.
    pub(super) fn rewritten_text(&self, planned: &Planned<'_>, spot: &Spot, out: &mut Vec<u8>) -> bool {
        let plan = &planned.plan;
        let as_written = |name: &Name| {
            self.physical(&planned.map, plan, spot, name).is_none_or(|schema| **schema == *name.as_str())
        };
        let same = !spot.renamed && planned.database.is_some() && plan.keyspaces().all(as_written);
        if !plan.needs_rewrite(same) && !planned.has_numbers() {
            return false;
        }
        let names: Vec<(Name, Arc<str>)> = (plan
            .keyspaces()
            .chain(spot.keyspace.iter().map(|keyspace| &keyspace.name)))
        .filter_map(|name| Some((name.clone(), self.physical(&planned.map, plan, spot, name)?.clone())))
        .collect();
        let physical =
            |name: &Name| names.iter().find(|(logical, _)| logical == name).map(|(_, schema)| &**schema);
        let facts = Facts { numbers: planned.numbers(), ..self.facts(planned.database, &physical) };
        plan.rewrite(planned.sql, planned.normal, &facts, out);
        true
    }

    /// What the session knows, for a text that is sent to a server where keyspaces' schemas are called so.
    pub(super) fn facts<'f>(
        &'f self,
        database: Option<&'f Name>,
        physical: &'f dyn Fn(&Name) -> Option<&'f str>,
    ) -> Facts<'f> {
        Facts {
            database,
            physical,
            connection_id: self.handle.id.into(),
            row_count: self.state.row_count,
            found_rows: self.state.found_rows,
            warning_count: self.state.warnings.len() as u64,
            error_count: self.state.error_count(),
            charset: self.state.lexical.charset,
            sql_mode: self.state.lexical.sql_mode,
            podway: self.state.own.facts(self.stamps_by_default()),
            numbers: Default::default(),
        }
    }

    /// The schema that stands for a keyspace on this spot's server.
    fn physical<'m>(&self, map: &'m Map, plan: &Plan, spot: &'m Spot, name: &Name) -> Option<&'m Arc<str>> {
        if plan.keyspace() == Some(name)
            || spot.keyspace.as_ref().is_some_and(|keyspace| keyspace.name == *name)
        {
            return Some(&spot.schema);
        }
        let keyspace = map.keyspace(name)?;
        let there = keyspace.shards.iter().find(|shard| shard.server == spot.pool.id())?;
        Some(there.schema.text())
    }

    /// COM_QUERY with this text.
    pub(super) fn query_packet(&self, sql: &[u8]) -> BytesMut {
        let mut payload = Vec::with_capacity(sql.len() + 3);
        payload.push(Command::COM_QUERY as u8);
        put_query_prefix(self.capabilities, &mut payload);
        payload.extend_from_slice(sql);
        let mut packet = BytesMut::with_capacity(payload.len() + podway_wire::HEADER);
        write_packet(&mut packet, &mut 0, &payload);
        packet
    }

    /// Remembers what a statement left, and gives its connection back or keeps it.
    pub(super) async fn finish(
        &mut self,
        mut connection: Box<BackendConnection>,
        plan: &Plan,
        numbered: Option<&Planned<'_>>,
        answer: Result<Summary, ProxyError>,
    ) -> Result<Summary, ProxyError> {
        let after = match &answer {
            Ok(summary) => {
                let answer = (summary.affected_rows, summary.last_insert_id);
                let number = numbered.and_then(|planned| planned.inserted_number(answer));
                self.remember(&mut connection, plan, (summary, number)).await
            }
            // An error may have rolled the transaction back, and a procedure may have begun one: the next status tells.
            Err(ProxyError::Server(_))
                if connection.in_transaction()
                    || self.state.transaction.is_open()
                    || !self.state.autocommit
                    || connection.is_pinned()
                    || plan.effects().intersects(Effects::MANY_RESULTS | Effects::PINS) =>
            {
                connection.refresh_status().await
            }
            Err(ProxyError::Server(_)) => Ok(()),
            Err(_) => {
                self.settle(connection);
                return answer;
            }
        };
        if plan.effects().intersects(PINNING) {
            connection.pin();
        }
        if answer.is_err() && plan.effects().contains(Effects::SETS_LAST_INSERT_ID) {
            // What it has set before it failed is not known.
            connection.never_reuse();
        }
        let is_call = plan.effects().contains(Effects::MANY_RESULTS | Effects::READS_USER_VARIABLES);
        if is_call || plan.effects().contains(Effects::ASSIGNS_USER_VARIABLES) {
            self.state.assigned_on = Some(connection.endpoint().id());
        }
        if !connection.in_transaction()
            && let Some(set) = connection.take_set_transaction()
            && (answer.is_err() || !self.state.autocommit)
        {
            // No transaction has begun under it: it is for the next one still.
            self.state.characteristics.get_or_insert(set);
        }
        let server = connection.endpoint().id();
        self.settle(connection);
        // What MySQL refused it has undone, but for what a routine did before.
        if !plan.only_reads() && (answer.is_ok() || plan.effects().contains(Effects::MANY_RESULTS)) {
            self.state.transaction.note_write(server);
        }
        if plan.verb() == Verb::Xa {
            self.state.transaction.keep_to_xa();
        }
        after?;
        answer
    }

    async fn remember(
        &mut self,
        connection: &mut BackendConnection,
        plan: &Plan,
        (summary, number): (&Summary, Option<u64>),
    ) -> Result<(), ProxyError> {
        let state = &mut self.state;
        state.row_count = if summary.ends_in_rows { -1 } else { summary.affected_rows as i64 };
        if summary.result_sets {
            state.found_rows = summary.rows;
        }
        if !plan.effects().contains(Effects::READS_DIAGNOSTICS) {
            state.warnings.clear();
        }
        // In this order: each of these leaves what the next asks for.
        if summary.warnings > 0 && !plan.effects().contains(Effects::READS_DIAGNOSTICS) {
            self.state.warnings = warnings(connection).await?;
        }
        if plan.effects().contains(Effects::CALC_FOUND_ROWS) {
            let rows = connection.rows(b"SELECT FOUND_ROWS() LIMIT 1").await?;
            self.state.found_rows = rows.text(0).and_then(|text| text.parse().ok()).unwrap_or(summary.rows);
        }
        if let Some(number) = number {
            self.state.last_insert_id = number;
        } else if plan.effects().contains(Effects::SETS_LAST_INSERT_ID) {
            // An OK tells of it only behind INSERT and UPDATE.
            self.state.last_insert_id = read_last_insert_id(connection, 0).await?;
        } else if summary.last_insert_id != 0 {
            let generated = generated_id(connection, summary.last_insert_id).await?;
            self.state.last_insert_id = generated.unwrap_or(self.state.last_insert_id);
        }
        Ok(())
    }

    /// Gives a connection back, keeps it for the transaction or the session, or closes it.
    pub(super) fn settle(&mut self, mut connection: Box<BackendConnection>) {
        let server = connection.endpoint().id();
        if !connection.is_usable() {
            self.lost |= connection.is_pinned() || self.state.transaction.is_on(server);
            return;
        }
        // A branch that its server rolled back is the connection's still, until it is ended there.
        let is_part = self.state.transaction.is_distributed() && self.state.transaction.is_on(server);
        let transaction = std::mem::take(&mut self.state.transaction);
        self.state.transaction = transaction.after_answer(server, connection.in_transaction());
        if connection.in_transaction() {
            connection.has_begun();
            self.handle.holds(connection.thread());
        }
        if connection.is_pinned() {
            let under = self.under.as_ref().map_or(Revision(0), |under| under.revision);
            self.handle.keeps(connection.thread(), under);
        }
        if connection.is_pinned() || connection.in_transaction() || is_part {
            self.held.push(connection);
        } else {
            connection.give_back(self.started);
        }
    }

    /// A server's error with the keyspace's name in the place of the schema's.
    pub(super) fn in_logical_names(&self, error: ProxyError, spot: &Spot) -> ProxyError {
        match (error, spot.name_change()) {
            (ProxyError::Server(mut refused), Some(names)) => {
                refused.message = names.text(&refused.message);
                ProxyError::Server(refused)
            }
            (error, _) => error,
        }
    }
}

/// The number that LAST_INSERT_ID() gives after a statement that reported this one; none if it was an explicit value, which is reported too but leaves
/// LAST_INSERT_ID() as it was: only the server can tell.
pub(super) async fn generated_id(
    connection: &mut BackendConnection,
    reported: u64,
) -> Result<Option<u64>, ProxyError> {
    let id = read_last_insert_id(connection, reported).await?;
    Ok((id == reported).then_some(id))
}

/// What LAST_INSERT_ID() is on a connection, which takes note of it; `otherwise` where that is no number.
pub(super) async fn read_last_insert_id(
    connection: &mut BackendConnection,
    otherwise: u64,
) -> Result<u64, ProxyError> {
    let rows = connection.rows(b"SELECT LAST_INSERT_ID() LIMIT 1").await?;
    let id = rows.text(0).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    connection.note_last_insert_id(id);
    Ok(id)
}

/// The conditions that a connection's last statement left.
pub(super) async fn warnings(connection: &mut BackendConnection) -> Result<Vec<Warning>, ProxyError> {
    let rows = connection.rows(b"SHOW WARNINGS").await?;
    let cell = |row: &[Option<Vec<u8>>], n: usize| row.get(n).cloned().flatten().unwrap_or_default();
    let warning = |row: &[Option<Vec<u8>>]| Warning {
        level: cell(row, 0),
        code: String::from_utf8_lossy(&cell(row, 1)).parse().unwrap_or(0),
        message: cell(row, 2),
    };
    Ok(rows.iter().map(warning).collect())
}

impl From<TransactionError> for ProxyError {
    fn from(error: TransactionError) -> ProxyError {
        match &error {
            TransactionError::NoSavepoint(_) => {
                ClientError::new(ErrorCode::DOES_NOT_EXIST, error.to_string()).into()
            }
            TransactionError::Snapshot
            | TransactionError::OwnXa
            | TransactionError::SecondWriter
            | TransactionError::TooManySavepoints => ClientError::not_supported(&error.to_string()).into(),
        }
    }
}
