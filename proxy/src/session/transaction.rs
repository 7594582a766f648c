//! BEGIN, COMMIT, ROLLBACK and savepoints: answered here while no server knows of the transaction, passed on once one does.

use podway_model::{HybridTime, Map, Name};
use podway_router::{BeginOptions, Completion, Route, Statement};
use podway_wire::{OkPacket, ResponseKind, Summary};

use super::core::Planned;
use super::core::Work;
use super::core::{Flow, Session};
use super::own_variables::ReadMode;
use super::snapshot::{COMMIT, ROLL_BACK, SERIALIZABLE};
use super::state::{CompletionType, Warning};
use crate::backend::BackendConnection;
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::execute::{Request, Rewriting};
use crate::txn::{Begin, Characteristics, Participants, Transaction};

impl Session {
    /// BEGIN, START TRANSACTION.
    pub(super) async fn begin(
        &mut self,
        planned: &Planned<'_>,
        options: BeginOptions,
    ) -> Result<(), ProxyError> {
        if options.read_only && options.read_write {
            return Err(ClientError::new(
                ErrorCode::SYNTAX,
                "You have an error in your SQL syntax; READ ONLY and READ WRITE exclude each other",
            )
            .into());
        }
        self.commit_quietly().await?;
        self.unlock_quietly().await?;
        self.state.transaction = Transaction::begin(Begin {
            read_only: options.read_only,
            read_write: options.read_write,
            atomic: false,
        });
        let mode = self.take_read_mode();
        self.begin_as(mode)?;
        if options.consistent_snapshot {
            match self.open_snapshot(&planned.map, None).await {
                Ok(false) => {}
                Ok(true) => return self.reply_ok().await,
                Err(error) => {
                    self.state.transaction = Transaction::None;
                    // It may be tried again.
                    self.state.own.read_next = Some(mode);
                    self.state.characteristics.take_if(|set| set == SERIALIZABLE);
                    return Err(error);
                }
            }
            self.state.transaction = Transaction::None;
            let work = Work { kind: ResponseKind::Query, as_received: false };
            self.run_statement(planned, Route::Any, work).await?;
            self.state.transaction.keep_to_snapshot();
            return Ok(());
        }
        self.reply_ok().await
    }

    /// How a transaction that has begun reads.
    fn begin_as(&mut self, mode: ReadMode) -> Result<(), ProxyError> {
        match mode {
            ReadMode::Fast => {}
            ReadMode::Atomic => {
                let Some((begin, _)) = self.state.transaction.pending() else { return Ok(()) };
                self.state.transaction = Transaction::begin(Begin { atomic: true, ..begin });
            }
            ReadMode::Serializable
                if self.state.characteristics.as_ref().is_some_and(|set| set != SERIALIZABLE) =>
            {
                self.state.transaction = Transaction::None;
                let what = "podway_read = 'serializable' for a transaction that SET TRANSACTION is about";
                return Err(ClientError::not_supported(what).into());
            }
            ReadMode::Serializable => {
                self.state.characteristics = Some(SERIALIZABLE.to_vec());
            }
        }
        Ok(())
    }

    /// COMMIT, ROLLBACK.
    pub(super) async fn end_transaction(
        &mut self,
        planned: &Planned<'_>,
        completion: Completion,
    ) -> Result<Flow, ProxyError> {
        let by_default = self.state.completion;
        let chain = completion
            .chain
            .unwrap_or(by_default == CompletionType::Chain && completion.release != Some(true));
        let release = completion.release.unwrap_or(by_default == CompletionType::Release && !chain);
        let (next, characteristics) = self.state.transaction.chained();
        if self.state.transaction.is_distributed() {
            self.place.ends_transaction = true;
            self.end_distributed(matches!(planned.plan.statement(), Statement::Commit(_))).await?;
            if chain {
                (self.state.transaction, self.state.characteristics) = (next, characteristics);
                self.read_on();
            }
            let warnings: Vec<Warning> = self.late.take().into_iter().collect();
            self.reply_ok_with(OkPacket { warnings: warnings.len() as u16, ..OkPacket::default() }).await?;
            self.state.warnings = warnings;
        } else {
            self.end_on_one(planned, chain, (next, characteristics)).await?;
            self.state.warnings.clear();
        }
        self.state.row_count = 0;
        Ok(if release { Flow::Close } else { Flow::Next })
    }

    /// Ends a transaction that is open on one server, or on none yet; `next`: what follows in a chain.
    async fn end_on_one(
        &mut self,
        planned: &Planned<'_>,
        chain: bool,
        (next, characteristics): (Transaction, Option<Characteristics>),
    ) -> Result<(), ProxyError> {
        match self.take_transaction() {
            Some(mut connection) => {
                self.place.ends_transaction = true;
                // The next one may have to be opened on other servers, too.
                let chains_there = chain && self.state.own.read != ReadMode::Atomic;
                let text = protocol_text(planned.plan.statement(), chains_there);
                let marked = self.mark_if_it_commits(planned.plan.statement(), &mut connection).await;
                let passed = match &marked {
                    Ok(None) => self.pass(&mut connection, text.as_bytes()).await.map(|_| ()),
                    Ok(Some(_)) => self.commit_marked(&mut connection, text.as_bytes()).await,
                    Err(_) => connection.execute(ROLL_BACK).await.map(|_| ()),
                };
                let before = std::mem::take(&mut self.state.transaction);
                let marked = match (marked, passed) {
                    (Ok(marked), Ok(())) => marked,
                    (Err(error), _) | (_, Err(error)) => {
                        self.take_back(connection).await;
                        return Err(error);
                    }
                };
                self.settle(connection);
                if chains_there {
                    self.state.transaction.go_on_from(&before);
                } else if chain {
                    (self.state.transaction, self.state.characteristics) = (next, characteristics);
                    self.read_on();
                }
                if marked.is_some() {
                    self.state.own.committed(marked);
                    self.reply_ok().await?;
                }
            }
            None if self.state.transaction.server().is_some() => {
                self.lost = true;
                return Err(ClientError::new(
                    ErrorCode::UNKNOWN,
                    "The connection of the transaction was lost",
                )
                .into());
            }
            None => {
                // What was set for the next transaction was for this one.
                if self.state.transaction.is_open() {
                    self.state.characteristics = characteristics.filter(|_| chain);
                }
                self.state.transaction = if chain { next } else { Transaction::None };
                if chain {
                    self.read_on();
                }
                self.reply_ok().await?;
            }
        }
        Ok(())
    }

    async fn mark_if_it_commits(
        &self,
        statement: &Statement,
        connection: &mut BackendConnection,
    ) -> Result<Option<HybridTime>, ProxyError> {
        match statement {
            Statement::Commit(_) => self.mark_alone(&self.state.transaction, connection).await,
            _ => Ok(None),
        }
    }

    /// Commits what has its mark, visible to KILL; the answer is not the client's, which is told of the stamp.
    async fn commit_marked(
        &mut self,
        connection: &mut BackendConnection,
        sql: &[u8],
    ) -> Result<(), ProxyError> {
        self.handle.set_running([connection.thread().clone()]);
        let done = connection.execute(sql).await;
        if self.handle.ended_running() {
            connection.never_reuse();
        }
        done.map(|_| ())
    }

    /// The connection that the open transaction is on, where it is on one; a pinned one stands for whatever it may have open.
    fn take_transaction(&mut self) -> Option<Box<BackendConnection>> {
        let server = self.state.transaction.server()?;
        let position = self.held.iter().position(|held| held.endpoint().id() == server)?;
        Some(self.held.swap_remove(position))
    }

    /// Sends a statement of the transaction's own and passes the answer on.
    async fn pass(&mut self, connection: &mut BackendConnection, sql: &[u8]) -> Result<Summary, ProxyError> {
        let packet = self.query_packet(sql);
        let rewriting = Rewriting {
            more_follows: self.place.more_follows,
            first_sequence: self.place.sequence,
            ..Rewriting::default()
        };
        self.forward(connection, Request::Packets(&packet), ResponseKind::Query, rewriting).await
    }

    /// BEGIN, COMMIT and ROLLBACK in an XA transaction of the client's own: how MySQL refuses them is its to say, and the transaction goes on.
    pub(super) async fn refuse_in_xa(&mut self, planned: &Planned<'_>) -> Result<(), ProxyError> {
        let Some(mut connection) = self.take_transaction() else {
            self.lost = true;
            return Err(
                ClientError::new(ErrorCode::UNKNOWN, "The connection of the transaction was lost").into()
            );
        };
        let answer = self.pass(&mut connection, planned.sql).await;
        self.finish(connection, &planned.plan, None, answer).await.map(|_| ())
    }

    /// Sends what has been answered but not yet done: SET TRANSACTION, BEGIN, SAVEPOINT; or joins a further server to the open transaction.
    pub(super) async fn open_transaction(
        &mut self,
        connection: &mut BackendConnection,
    ) -> Result<(), ProxyError> {
        let server = connection.endpoint().id();
        if let Transaction::Open(_) = self.state.transaction {
            return match self.state.transaction.is_on(server) {
                true => Ok(()),
                false => self.join(connection).await,
            };
        }
        let is_implied = !self.state.transaction.is_open() && !self.state.autocommit;
        if is_implied {
            self.imply_serializable();
        }
        if let Some(characteristics) = &self.state.characteristics {
            connection.sets_transaction(characteristics);
            connection.execute(characteristics).await?;
        }
        let opening = self.state.transaction.opening();
        for statement in &opening {
            connection.execute(statement.as_bytes()).await?;
        }
        if !opening.is_empty() {
            connection.has_begun();
        }
        let characteristics = self.state.characteristics.take();
        if self.state.transaction.is_open() || !self.state.autocommit {
            self.state.transaction.opened(server, characteristics);
            if is_implied && self.state.own.read == ReadMode::Atomic {
                // It was not opened as one snapshot of all servers: no other one may join.
                self.state.transaction.keep_to_snapshot();
            }
            self.handle.opens(connection.thread());
            if self.reads_by_default() {
                self.state.transaction.read_by_default();
            }
        }
        Ok(())
    }

    fn reads_by_default(&self) -> bool {
        self.state.settings.get("transaction_read_only").is_some_and(|literal| literal != b"0")
    }

    /// Joins a further server to the open transaction.
    async fn join(&mut self, connection: &mut BackendConnection) -> Result<(), ProxyError> {
        let (server, name) = (connection.endpoint().id(), self.shared.transactions.name());
        let statements = self.state.transaction.joining(server, name, self.reads_by_default())?;
        if let Some((first, _)) = statements.split_first() {
            // Before XA START there may be some.
            connection.sets_transaction(first);
        }
        for statement in &statements {
            connection.execute(statement).await?;
        }
        connection.has_begun();
        self.state.transaction.joined(server, name);
        let transaction = &self.state.transaction;
        if let Some(Participants { gtrid, .. }) = transaction.participants() {
            let held = self.held.iter().filter(|held| transaction.is_on(held.endpoint().id()));
            let threads = held.map(|held| held.thread()).chain([connection.thread()]).cloned().collect();
            self.handle.joins(gtrid, threads, |server| transaction.is_on(server));
        }
        Ok(())
    }

    /// Commits what is open, as statements do that MySQL commits before.
    pub(super) async fn commit_quietly(&mut self) -> Result<(), ProxyError> {
        if self.state.transaction.is_distributed() {
            return self.end_distributed(true).await;
        }
        let open = self.take_transaction();
        let transaction = std::mem::take(&mut self.state.transaction);
        if let Some(mut connection) = open {
            let marked = self.mark_alone(&transaction, &mut connection).await;
            let end: &[u8] = if marked.is_ok() { COMMIT } else { ROLL_BACK };
            let done = connection.execute(end).await;
            self.take_back(connection).await;
            let marked = marked?;
            done?;
            self.state.own.committed(marked);
        }
        Ok(())
    }

    /// Rolls back what is open, for the client to begin again.
    pub(super) async fn roll_back_quietly(&mut self) -> Result<(), ProxyError> {
        if self.state.transaction.is_distributed() {
            return self.end_distributed(false).await;
        }
        let open = self.take_transaction();
        self.state.transaction = Transaction::None;
        if let Some(mut connection) = open {
            let done = connection.execute(b"ROLLBACK AND NO CHAIN NO RELEASE").await;
            self.take_back(connection).await;
            done?;
        }
        Ok(())
    }

    /// SAVEPOINT, ROLLBACK TO, RELEASE SAVEPOINT.
    pub(super) async fn savepoint(&mut self, planned: &Planned<'_>, name: &Name) -> Result<(), ProxyError> {
        if self.state.transaction.is_distributed() {
            self.savepoint_on_all(planned.plan.statement(), name).await?;
            return self.reply_ok().await;
        }
        if let Some(mut connection) = self.take_transaction() {
            let answer = self.pass(&mut connection, planned.sql).await;
            let is_done = answer.is_ok();
            self.finish(connection, &planned.plan, None, answer).await?;
            if is_done {
                self.note_savepoint(planned.plan.statement(), name);
            }
            return Ok(());
        }
        match (planned.plan.statement(), self.state.transaction.is_open()) {
            (Statement::Savepoint(_), true) => self.state.transaction.set_savepoint(name)?,
            // The transaction that the next statement begins has it.
            (Statement::Savepoint(_), false) if !self.state.autocommit => {
                self.state.transaction = Transaction::begin(Begin::default());
                self.read_on();
                self.state.transaction.set_savepoint(name)?;
            }
            // Outside a transaction a savepoint is gone with its own statement.
            (Statement::Savepoint(_), false) => {}
            (Statement::RollbackTo(_), _) => self.state.transaction.roll_back_to(name)?,
            _ => self.state.transaction.release(name)?,
        }
        self.reply_ok().await
    }

    /// Passes a command that names no table to the home shard, as it came.
    pub(super) async fn pass_to_home(&mut self, kind: ResponseKind) -> Result<(), ProxyError> {
        let map = self.shared.map.load();
        let plan = self.plain_plan(&map);
        let spot = self.spot(&map, &plan, Route::Any)?;
        let mut connection = self.acquire(&plan, &spot).await?;
        let rewriting = self.rewriting(&plan, &spot);
        let request = Request::AsReceived(self.command_bytes);
        let answer = self.forward(&mut connection, request, kind, rewriting).await;
        self.finish(connection, &plan, None, answer).await.map(|_| ())
    }

    /// COM_FIELD_LIST: every shard has the table's columns.
    pub(super) async fn field_list(&mut self, _table: &[u8]) -> Result<(), ProxyError> {
        if self.state.database.is_none() {
            return Err(ClientError::new(ErrorCode::NO_DATABASE, "No database selected").into());
        }
        self.pass_to_home(ResponseKind::FieldList).await
    }

    /// The plan of a statement that names nothing.
    pub(super) fn plain_plan(&self, map: &Map) -> std::sync::Arc<podway_router::Plan> {
        let mut normal = podway_router::Normalised::new();
        normal.set_version(map.lowest_version());
        let text = b"SELECT 1";
        // A constant text without literals' traps: it always has a shape.
        let _ = normal.run(text, self.state.lexical.sql_mode, self.state.lexical.charset);
        self.plan(map, text, &normal, self.state.database.as_ref())
    }
}

/// The statement as it is sent: immune to `completion_type`.
fn protocol_text(statement: &Statement, chain: bool) -> String {
    let verb = if matches!(statement, Statement::Rollback(_)) { "ROLLBACK" } else { "COMMIT" };
    let and = if chain { "AND CHAIN" } else { "AND NO CHAIN" };
    format!("{verb} {and} NO RELEASE")
}
