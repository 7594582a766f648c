//! The session's loop: wait for a command, do it, answer it. One task drives it from login to the end.

use std::borrow::Cow;
use std::time::Instant;

use podway_model::Name;
use podway_router::without_secrets;
use podway_wire::{
    CapabilityFlags, ClientCommand, CommandFrame, EofPacket, FrameError, OkPacket, ResponseKind, query_text,
};

use super::core::{Flow, Place, Session};
use super::state::Warning;
use crate::client::CommandError;
use crate::error::{ClientError, ErrorCode, ProxyError, error_packet};

/// A scratch buffer larger than this is given back after its command.
const LARGE_SCRATCH: usize = 64 << 10;

impl Session {
    /// Serves the client until it leaves, or something ends the session.
    pub async fn run(mut self) {
        loop {
            let database = self.state.database.as_ref().map(Name::as_str);
            let goes_on = self.handle.idle(database, self.state.transaction.is_open(), self.ended);
            if !goes_on || self.client.wait_for_command().await.is_err() || !self.handle.busy() {
                break;
            }
            if self.next_command().await == Flow::Close {
                break;
            }
        }
        self.held.clear();
        self.client.close().await;
    }

    async fn next_command(&mut self) -> Flow {
        let limits = &self.shared.config.client;
        match self.client.command(limits.max_packet, limits.read_deadline).await {
            Ok(frame) => self.command(frame).await,
            Err(CommandError::Gone(_)) => Flow::Close,
            Err(CommandError::Frame(error)) => {
                let code = match error {
                    FrameError::TooLarge { .. } => ErrorCode::PACKET_TOO_LARGE,
                    _ => ErrorCode::OUT_OF_ORDER,
                };
                self.place = Place::default();
                let _ = self.reply_error(&error_packet(code, &error.to_string())).await;
                Flow::Close
            }
        }
    }

    async fn command(&mut self, frame: CommandFrame) -> Flow {
        self.started = Instant::now();
        self.place = Place { sequence: frame.next_seq, ..Place::default() };
        self.command_bytes = frame.total;
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        match frame.fragmented {
            true => drop(podway_wire::payload(&self.client.input, &frame, &mut payload).len()),
            false => payload.extend_from_slice(&self.client.input[podway_wire::HEADER..frame.total]),
        }
        let mut result = self.dispatch(&payload).await;
        if self.handle.is_evicted() {
            result = result.map_err(|error| self.evicted(error));
        }
        if self.handle.gives_way() {
            result = Box::pin(self.given_way(result)).await;
        }
        self.client.consume(self.command_bytes);
        if payload.capacity() <= LARGE_SCRATCH {
            self.payload = payload;
        }
        let failed = result.is_err();
        let mut flow = match result {
            Ok(flow) => flow,
            Err(error) => self.failed(error).await,
        };
        if self.lost {
            flow = Flow::Close;
        }
        if self.state.transaction.is_broken() {
            Box::pin(self.mend()).await;
            if !failed {
                tracing::warn!(
                    session = self.handle.id,
                    "a statement that succeeded ended a part of its transaction"
                );
                flow = Flow::Close;
            }
        }
        self.leave();
        self.ended = Instant::now();
        self.shared.metrics.statement(self.ended.duration_since(self.started), failed);
        flow
    }

    /// Tells the client of an error, where it can be told.
    pub(super) async fn failed(&mut self, error: ProxyError) -> Flow {
        let Some(packet) = error.for_client() else {
            if let ProxyError::ClientGone(reason) = &error {
                tracing::debug!(session = self.handle.id, %reason, "the client is gone");
            }
            return Flow::Close;
        };
        self.state.row_count = -1;
        self.state.warnings.clear();
        self.state.warnings.push(Warning {
            level: b"Error".to_vec(),
            code: packet.code,
            message: packet.message.clone(),
        });
        match self.reply_error(&packet).await {
            Ok(()) if !self.lost => Flow::Next,
            _ => Flow::Close,
        }
    }

    async fn dispatch(&mut self, payload: &[u8]) -> Result<Flow, ProxyError> {
        let malformed = |error: podway_wire::DecodeError| {
            ClientError::new(ErrorCode::MALFORMED_PACKET, format!("Malformed communication packet: {error}"))
        };
        let command = ClientCommand::decode(payload).map_err(malformed)?;
        let name = command_name(&command);
        if let ClientCommand::Query(body) = command {
            let text = match self.capabilities.contains(CapabilityFlags::CLIENT_QUERY_ATTRIBUTES) {
                false => body,
                true => &body[query_text(body, self.capabilities).map_err(malformed)?.text_range],
            };
            self.handle.working(name, &self.shown(text), self.started);
            return self.query(text).await;
        }
        if let ClientCommand::StmtExecute(body) = command {
            return self.execute(body).await;
        }
        self.handle.working(name, &[], self.started);
        Box::pin(self.rare_command(command)).await
    }

    /// A text as the list of sessions may show it.
    pub(super) fn shown<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let lexical = &self.state.lexical;
        without_secrets(text, lexical.sql_mode, lexical.charset)
    }

    async fn rare_command(&mut self, command: ClientCommand<'_>) -> Result<Flow, ProxyError> {
        match command {
            ClientCommand::Quit => return Ok(Flow::Close),
            ClientCommand::Ping => self.reply_ok().await?,
            ClientCommand::InitDb(name) => self.use_database(name).await?,
            ClientCommand::Query(_) | ClientCommand::StmtExecute(_) => {}
            ClientCommand::FieldList { table, .. } => self.field_list(table).await?,
            ClientCommand::ProcessKill(id) => return self.kill(id.into(), false).await,
            ClientCommand::Statistics => self.statistics().await?,
            ClientCommand::Debug => self.pass_to_home(ResponseKind::Simple).await?,
            ClientCommand::ChangeUser(body) => return self.change_user(body).await,
            ClientCommand::ResetConnection => {
                self.reset();
                self.reply_ok().await?;
            }
            ClientCommand::SetOption(option) => self.set_option(option).await?,
            ClientCommand::StmtPrepare(text) => self.prepare(text).await?,
            ClientCommand::StmtSendLongData { id, param, data } => self.long_data(id, param, data),
            ClientCommand::StmtReset(id) => self.reset_statement(id).await?,
            ClientCommand::StmtClose(id) => self.close_statement(id).await,
            ClientCommand::StmtFetch { id, rows } => self.fetch(id, rows).await?,
            ClientCommand::Unknown(number) => {
                tracing::debug!(number, "an unknown command");
                return Err(ClientError::new(ErrorCode::UNKNOWN_COMMAND, "Unknown command").into());
            }
        }
        Ok(Flow::Next)
    }

    /// The session starts anew: its connections are closed with all that is on them.
    pub(super) fn reset(&mut self) {
        self.held.clear();
        self.locks = None;
        self.statements.clear();
        self.sql_statements.clear();
        let database = self.state.database.take();
        self.state = self.initial.clone();
        self.state.database = database;
    }

    async fn set_option(&mut self, option: u16) -> Result<(), ProxyError> {
        match option {
            0 | 1 => self.capabilities.set(CapabilityFlags::CLIENT_MULTI_STATEMENTS, option == 0),
            _ => return Err(ClientError::new(ErrorCode::UNKNOWN_COMMAND, "Unknown command").into()),
        }
        self.reply_eof().await
    }

    pub(super) async fn reply_eof(&mut self) -> Result<(), ProxyError> {
        let mut payload = Vec::new();
        if self.capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF) {
            let end = OkPacket { header: OkPacket::END_HEADER, status: self.status(), ..OkPacket::default() };
            end.encode(self.capabilities, &mut payload);
        } else {
            EofPacket { status: self.status(), warnings: 0 }.encode(&mut payload);
        }
        self.reply_packet(&payload).await
    }

    async fn statistics(&mut self) -> Result<(), ProxyError> {
        let metrics = self.shared.metrics.snapshot();
        let uptime = self.shared.started.elapsed().as_secs().max(1);
        let per_second = metrics.statements as f64 / uptime as f64;
        let text = format!(
            "Uptime: {uptime}  Threads: {}  Questions: {}  Slow queries: 0  Opens: 0  Flush tables: 0  Open tables: 0  Queries per second avg: {per_second:.3}",
            metrics.sessions, metrics.statements,
        );
        self.reply_packet(text.as_bytes()).await
    }
}

/// A command as SHOW PROCESSLIST names it.
fn command_name(command: &ClientCommand<'_>) -> &'static str {
    match command {
        ClientCommand::Quit => "Quit",
        ClientCommand::InitDb(_) => "Init DB",
        ClientCommand::Query(_) => "Query",
        ClientCommand::FieldList { .. } => "Field List",
        ClientCommand::ProcessKill(_) => "Kill",
        ClientCommand::Statistics => "Statistics",
        ClientCommand::Debug => "Debug",
        ClientCommand::Ping => "Ping",
        ClientCommand::ChangeUser(_) => "Change user",
        ClientCommand::ResetConnection => "Reset Connection",
        ClientCommand::SetOption(_) => "Set option",
        ClientCommand::StmtPrepare(_) => "Prepare",
        ClientCommand::StmtExecute(_) => "Execute",
        ClientCommand::StmtSendLongData { .. } => "Long Data",
        ClientCommand::StmtReset(_) => "Reset stmt",
        ClientCommand::StmtClose(_) => "Close stmt",
        ClientCommand::StmtFetch { .. } => "Fetch",
        ClientCommand::Unknown(_) => "Error",
    }
}
