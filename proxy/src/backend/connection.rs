//! One connection to a server and the state that was applied to it: what its owner may rely on, and what it has to change first.
//!
//! It closes itself when dropped. One that is dropped in the middle of a command has its thread on the server ended too, so that
//! neither work nor locks outlive it. It never decides what to send.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use podway_wire::{
    CapabilityFlags, Command, ErrPacket, Event, OkPacket, ResponseKind, ResponseTracker, StatusFlags,
    write_packet,
};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::endpoint::{Endpoint, ServerThread};
use super::key::PoolKey;
use super::login::{self, Login};
use super::rows::Rows;
use super::settings::{Settings, UserVariables};
use super::statements::Statements;
use crate::error::ProxyError;

/// Room for one read.
const READ_ROOM: usize = 16 << 10;
/// What a connection's buffer shrinks to when it rests.
const REST_BUFFER: usize = 64 << 10;
/// Into what a file is cut on its way to a server.
const FILE_PACKET: usize = 16 << 10;
/// How long the protocol's own small commands may take.
const SMALL_COMMAND: Duration = Duration::from_secs(30);
/// How long a server may leave a command unread.
const WRITE_DEADLINE: Duration = Duration::from_secs(60);

/// Who keeps connections, and lends them.
pub(super) trait Owner: Send + Sync {
    /// Takes a clean connection back.
    fn take_back(&self, connection: Box<BackendConnection>);
    /// A connection was closed: another may be opened.
    fn place_free(&self);
    /// Closes one idle connection that holds prepared statements, so that another may prepare its own; false if there is none.
    fn evict_statements(&self) -> bool;
}

/// The right to have one connection open; gives itself back.
pub(super) struct Place(Weak<dyn Owner>);

impl Place {
    /// A place that was counted by its owner.
    pub(super) fn new(owner: Weak<dyn Owner>) -> Place {
        Place(owner)
    }

    fn owner(&self) -> Option<Arc<dyn Owner>> {
        self.0.upgrade()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(owner) = self.owner() {
            owner.place_free();
        }
    }
}

/// A connection that is logged in.
pub struct BackendConnection {
    stream: TcpStream,
    /// What has arrived and is not used up.
    pub input: BytesMut,
    place: Place,
    thread: Arc<ServerThread>,
    capabilities: CapabilityFlags,
    schema: Arc<str>,
    settings: Arc<Settings>,
    variables: Arc<UserVariables>,
    last_insert_id: u64,
    pub(super) statements: Statements,
    status: StatusFlags,
    /// The last answer was an error, which bears no status.
    is_status_old: bool,
    busy: bool,
    pub(super) pinned: bool,
    /// LOCK TABLES of its session, which ends before the session does.
    pub(super) locks: bool,
    spoiled: bool,
    /// SET TRANSACTION, while no transaction is known to have begun under it.
    set_transaction: Option<Vec<u8>>,
    pub(super) cursors: usize,
    resting_since: Instant,
    incarnation: u32,
}

impl BackendConnection {
    /// A connection whose login has just ended well.
    pub(super) fn new(
        login: Login,
        endpoint: Arc<Endpoint>,
        place: Place,
        key: PoolKey,
    ) -> BackendConnection {
        BackendConnection {
            stream: login.stream,
            input: login.input,
            statements: Statements::new(endpoint.clone()),
            thread: Arc::new(ServerThread { endpoint, key, number: login.thread }),
            place,
            capabilities: login.capabilities,
            schema: "".into(),
            settings: Arc::default(),
            variables: Arc::default(),
            last_insert_id: 0,
            status: login.status,
            is_status_old: false,
            busy: false,
            pinned: false,
            locks: false,
            spoiled: false,
            set_transaction: None,
            cursors: 0,
            resting_since: Instant::now(),
            incarnation: login.incarnation,
        }
    }

    /// The server that it is to.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.thread.endpoint
    }

    /// Goes back to its pool if it is clean; else it is closed.
    pub fn give_back(mut self: Box<Self>, now: Instant) {
        self.rested(now);
        match self.owner().filter(|_| self.is_clean()) {
            Some(owner) => owner.take_back(self),
            None => drop(self),
        }
    }

    /// The pool that it belongs to, unless that is gone.
    pub(super) fn owner(&self) -> Option<Arc<dyn Owner>> {
        self.place.owner()
    }

    /// Whose it is.
    pub fn key(&self) -> &PoolKey {
        &self.thread.key
    }

    /// Its thread on the server.
    pub fn thread(&self) -> &Arc<ServerThread> {
        &self.thread
    }

    /// What was negotiated with the server.
    pub fn capabilities(&self) -> CapabilityFlags {
        self.capabilities
    }

    /// Notes the status flags of an answer that the owner has read to its end.
    pub fn answered(&mut self, status: Option<StatusFlags>) {
        self.busy = false;
        self.is_status_old = status.is_none();
        if let Some(status) = status {
            self.status = status;
        }
    }

    /// Whether a transaction is open, as far as the last answer told.
    pub fn in_transaction(&self) -> bool {
        self.status.contains(StatusFlags::SERVER_STATUS_IN_TRANS)
    }

    /// Learns whether a transaction is open, where an error has left that unsaid.
    pub async fn refresh_status(&mut self) -> Result<(), ProxyError> {
        match self.is_status_old {
            true => self.command(&[Command::COM_PING as u8]).await.map(|_| ()),
            false => Ok(()),
        }
    }

    /// Whether its protocol state is known: no answer is outstanding.
    pub fn is_usable(&self) -> bool {
        !self.busy && self.input.is_empty()
    }

    /// Whether it may go back to its pool: no answer outstanding, no transaction, nothing unrecorded.
    fn is_clean(&self) -> bool {
        let is_of_now = self.incarnation == self.endpoint().incarnation.load(Ordering::Acquire);
        let is_spoiled = self.spoiled || self.set_transaction.is_some();
        self.is_usable() && !self.is_pinned() && !is_spoiled && !self.in_transaction() && is_of_now
    }

    /// Whether nothing has arrived that nobody asked for, the end of the connection included.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0];
        matches!(self.stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether a session with these settings and this schema can use it as it is.
    pub(super) fn fits(&self, settings: u64, schema: Option<&Arc<str>>) -> bool {
        self.settings.fingerprint() == settings && schema.is_none_or(|schema| self.is_in(schema))
    }

    fn is_in(&self, schema: &Arc<str>) -> bool {
        Arc::ptr_eq(&self.schema, schema) || self.schema == *schema
    }

    fn rested(&mut self, now: Instant) {
        self.resting_since = now;
        if self.input.capacity() > REST_BUFFER {
            self.input = BytesMut::with_capacity(READ_ROOM);
        }
    }

    pub(super) fn idle_for(&self) -> Duration {
        self.resting_since.elapsed()
    }

    pub(super) fn statement_count(&self) -> usize {
        self.statements.len()
    }

    /// Notes the value that LAST_INSERT_ID() has got here.
    pub fn note_last_insert_id(&mut self, id: u64) {
        self.last_insert_id = id;
    }

    /// The system variables that were set here.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Notes system variables that a session's own statement has set here.
    pub fn note_settings(&mut self, settings: &Arc<Settings>) {
        self.settings = settings.clone();
    }

    /// Notes user variables that a session's own statement has set here.
    pub fn note_variables(&mut self, variables: &Arc<UserVariables>) {
        self.variables = variables.clone();
    }

    /// Says that no other session may have this connection: what is set on it is not known, or a KILL for it is on its way.
    pub fn never_reuse(&mut self) {
        self.spoiled = true;
    }

    /// Says that SET TRANSACTION is about to be sent: until a transaction begins under it, it would count for whoever comes next.
    pub fn sets_transaction(&mut self, statement: &[u8]) {
        self.set_transaction = Some(statement.to_vec());
    }

    /// Says that a transaction has begun under what was set.
    pub fn has_begun(&mut self) {
        self.set_transaction = None;
    }

    /// What was set and no transaction has begun under, for the session to say again elsewhere: this connection is never reused.
    pub fn take_set_transaction(&mut self) -> Option<Vec<u8>> {
        self.spoiled |= self.set_transaction.is_some();
        self.set_transaction.take()
    }

    /// Sends packets, headers included. From here on an answer is outstanding.
    pub async fn send(&mut self, packets: &[u8]) -> Result<(), ProxyError> {
        if self.busy {
            return Err(self.surprise("a command is to follow one that was not answered"));
        }
        self.busy = true;
        self.write(packets).await
    }

    /// Sends packets that have no answer, or that belong to a command already under way.
    pub async fn write(&mut self, mut packets: &[u8]) -> Result<(), ProxyError> {
        while !packets.is_empty() {
            match self.stream.try_write(packets) {
                Ok(sent) if sent > 0 => packets = &packets[sent..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let writable = timeout(WRITE_DEADLINE, self.stream.writable()).await;
                    writable.map_err(|_| self.lost("it does not read"))?.map_err(|error| self.lost(error))?;
                }
                // The server runs a command only when it has all of it, so this one has not run.
                Ok(_) => return Err(self.closed("it closed the connection")),
                Err(error) => return Err(self.closed(error)),
            }
        }
        Ok(())
    }

    /// Reads what is there, at least a byte. Safe to cancel.
    pub async fn read_some(&mut self) -> Result<(), ProxyError> {
        if self.input.is_empty() {
            self.input.clear();
        }
        self.input.reserve(READ_ROOM);
        match self.stream.read_buf(&mut self.input).await {
            Ok(0) => Err(self.lost("it closed the connection")),
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost(error)),
        }
    }

    /// Runs a command that is answered by one packet; the server's refusal is an error that leaves the connection usable.
    pub async fn command(&mut self, payload: &[u8]) -> Result<OkPacket, ProxyError> {
        let answer = self.exchange(payload, ResponseKind::Simple).await?;
        self.ok(&answer)
    }

    /// Reads an answer of one packet.
    fn ok(&self, answer: &[u8]) -> Result<OkPacket, ProxyError> {
        let body = &answer[podway_wire::HEADER..];
        if body.first() == Some(&0xFF) {
            return Err(ProxyError::Server(self.error(body)?));
        }
        OkPacket::decode(body, self.capabilities).map_err(|error| self.surprise(error))
    }

    /// Runs a statement that returns no rows.
    pub async fn execute(&mut self, sql: &[u8]) -> Result<OkPacket, ProxyError> {
        self.command(&login::query_payload(sql, self.capabilities)).await
    }

    /// Runs a statement and reads its rows, which must be few.
    pub async fn rows(&mut self, sql: &[u8]) -> Result<Rows, ProxyError> {
        let payload = login::query_payload(sql, self.capabilities);
        let answer = self.exchange(&payload, ResponseKind::Query).await?;
        match Rows::decode(&answer, self.capabilities) {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(refused)) => Err(ProxyError::Server(refused)),
            Err(error) => Err(self.surprise(error)),
        }
    }

    /// Runs statements that return no rows, one behind the other without waiting between them: what comes later runs whether or not what came before
    /// was refused. Gives each one's answer.
    pub async fn execute_all(
        &mut self,
        statements: &[Vec<u8>],
    ) -> Result<Vec<Result<(), ErrPacket>>, ProxyError> {
        let mut packets = BytesMut::new();
        for sql in statements {
            write_packet(&mut packets, &mut 0, &login::query_payload(sql, self.capabilities));
        }
        self.send(&packets).await?;
        let mut answers = Vec::with_capacity(statements.len());
        for nth in 0..statements.len() {
            let tracker = ResponseTracker::new(ResponseKind::Simple, self.capabilities, 1);
            let answer = self.receive(tracker, Some(SMALL_COMMAND), None).await?;
            let body = &answer[podway_wire::HEADER..];
            answers.push(match body.first() {
                Some(0xFF) => Err(self.error(body)?),
                _ => Ok(()),
            });
            self.busy = nth + 1 < statements.len();
        }
        self.expect_silence()?;
        Ok(answers)
    }

    /// Runs a command of a client's that gives no rows, packets with headers included, whose answer begins with the sequence number `first`; it may take as long
    /// as the client waits.
    pub async fn run(&mut self, packets: &[u8], first: u8) -> Result<OkPacket, ProxyError> {
        self.send(packets).await?;
        let tracker = ResponseTracker::new(ResponseKind::Simple, self.capabilities, first);
        let answer = self.receive(tracker, None, None).await?;
        self.expect_silence()?;
        self.ok(&answer)
    }

    /// Runs a LOAD DATA LOCAL of a client's whose file has these bytes; otherwise like [`Self::run`].
    pub async fn load(&mut self, packets: &[u8], first: u8, file: &[u8]) -> Result<OkPacket, ProxyError> {
        self.send(packets).await?;
        let tracker = ResponseTracker::new(ResponseKind::Query, self.capabilities, first);
        let answer = self.receive(tracker, None, Some(file)).await?;
        self.expect_silence()?;
        self.ok(&answer)
    }

    /// Sends a file that the server has asked for, and the empty packet behind it; gives the sequence number of the server's next packet.
    async fn send_file(&mut self, file: &[u8], first: u8) -> Result<u8, ProxyError> {
        let mut sequence = first;
        for chunk in file.chunks(FILE_PACKET).chain([&[][..]]) {
            let mut packet = BytesMut::with_capacity(podway_wire::HEADER + chunk.len());
            write_packet(&mut packet, &mut sequence, chunk);
            // The server has begun with it: that it has not run cannot be said any more.
            self.write(&packet)
                .await
                .map_err(|_| self.lost("it closed the connection in the middle of a file"))?;
        }
        Ok(sequence)
    }

    /// Sends one command and reads its whole answer, headers included.
    pub(super) async fn exchange(
        &mut self,
        payload: &[u8],
        kind: ResponseKind,
    ) -> Result<BytesMut, ProxyError> {
        let mut packet = BytesMut::with_capacity(payload.len() + podway_wire::HEADER);
        let mut sequence = 0;
        write_packet(&mut packet, &mut sequence, payload);
        self.send(&packet).await?;
        let tracker = ResponseTracker::new(kind, self.capabilities, sequence);
        let answer = self.receive(tracker, Some(SMALL_COMMAND), None).await?;
        self.expect_silence()?;
        Ok(answer)
    }

    /// Reads one answer; `within`: how long it may be silent; `file`: what the server gets if it asks for a file.
    async fn receive(
        &mut self,
        mut tracker: ResponseTracker,
        within: Option<Duration>,
        file: Option<&[u8]>,
    ) -> Result<BytesMut, ProxyError> {
        let mut answer = BytesMut::new();
        let mut wants_more = self.input.is_empty();
        loop {
            if wants_more {
                match within {
                    None => self.read_some().await?,
                    Some(within) => {
                        let read = timeout(within, self.read_some()).await;
                        read.map_err(|_| self.lost("it does not answer"))??;
                    }
                }
            }
            let progress = tracker.feed(&self.input).map_err(|error| self.surprise(error))?;
            answer.extend_from_slice(&self.input[..progress.consumed]);
            self.input.advance(progress.consumed);
            if answer.len() > self.endpoint().limits.max_metadata {
                return Err(self.surprise("an answer over backend.max_metadata bytes"));
            }
            match progress.event {
                Event::More => wants_more = true,
                Event::Done => break,
                Event::LocalInfile => {
                    let Some(file) = file else { return Err(self.surprise("it asks for a file")) };
                    self.expect_silence()?;
                    answer.clear();
                    let next = self.send_file(file, tracker.next_seq()).await?;
                    tracker.resume_after_infile(next);
                    wants_more = true;
                }
            }
        }
        let summary = tracker.summary();
        self.answered(summary.has_status.then_some(summary.status));
        Ok(answer)
    }

    /// Behind the last answer nothing may come that nobody asked for.
    fn expect_silence(&mut self) -> Result<(), ProxyError> {
        if self.input.is_empty() {
            return Ok(());
        }
        self.busy = true;
        Err(self.surprise("bytes behind the end of an answer"))
    }

    fn error(&self, body: &[u8]) -> Result<ErrPacket, ProxyError> {
        ErrPacket::decode(body).map_err(|error| self.surprise(error))
    }

    /// Brings the default schema, the settings and the variables to what a session needs; `variables` where the statement reads them.
    pub async fn synchronise(
        &mut self,
        schema: &Arc<str>,
        settings: &Arc<Settings>,
        variables: Option<&Arc<UserVariables>>,
    ) -> Result<(), ProxyError> {
        if !self.is_in(schema) && !schema.is_empty() {
            let payload = [&[Command::COM_INIT_DB as u8], schema.as_bytes()].concat();
            self.command(&payload).await?;
            self.schema = schema.clone();
        }
        if !Arc::ptr_eq(&self.settings, settings) && self.settings.fingerprint() != settings.fingerprint() {
            // A reset would end what holds the connection to its session: there, DEFAULT has to do.
            if settings.need_reset_from(&self.settings) && !self.is_pinned() && !self.in_transaction() {
                self.reset().await?;
            }
            if let Some(statement) = settings.statement_from(&self.settings) {
                self.execute(&statement).await?;
            }
            self.settings = settings.clone();
        }
        if let Some(variables) = variables.filter(|variables| !Arc::ptr_eq(variables, &self.variables)) {
            if let Some(statement) = variables.statement_from(&self.variables) {
                self.execute(&statement).await?;
            }
            self.variables = variables.clone();
        }
        Ok(())
    }

    /// COM_RESET_CONNECTION: as after the login, but for the default schema.
    async fn reset(&mut self) -> Result<(), ProxyError> {
        self.command(&[Command::COM_RESET_CONNECTION as u8]).await?;
        self.statements.clear();
        self.settings = Arc::default();
        self.variables = Arc::default();
        self.last_insert_id = 0;
        Ok(())
    }

    /// Makes LAST_INSERT_ID() return `id` here.
    pub async fn synchronise_last_insert_id(&mut self, id: u64) -> Result<(), ProxyError> {
        if self.last_insert_id != id {
            self.execute(format!("SET SESSION last_insert_id = {id}").as_bytes()).await?;
            self.last_insert_id = id;
        }
        Ok(())
    }

    fn unusable(&self, reason: impl ToString) -> ProxyError {
        self.endpoint().unusable(reason)
    }

    /// Ended by the server before it can have run anything.
    fn closed(&self, reason: impl ToString) -> ProxyError {
        self.endpoint().losses.note(Instant::now());
        self.unusable(reason)
    }

    fn lost(&self, reason: impl ToString) -> ProxyError {
        self.endpoint().losses.note(Instant::now());
        self.endpoint().lost(reason)
    }

    /// An answer that should not be: counted, and the connection is never used again (it stays busy).
    pub fn surprise(&self, reason: impl ToString) -> ProxyError {
        self.endpoint().metrics.surprises.fetch_add(1, Ordering::Relaxed);
        let reason = reason.to_string();
        tracing::warn!(
            server = self.endpoint().address,
            thread = self.thread.number,
            reason,
            "an answer that should not be: the connection is closed"
        );
        self.lost(reason)
    }
}

impl Drop for BackendConnection {
    fn drop(&mut self) {
        // At rest, the server sees the connection end at once, and rolls back. At work, it would only see it when it is done.
        if !self.busy {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let thread = self.thread.clone();
        runtime.spawn(async move {
            let ServerThread { endpoint, key, number } = &*thread;
            if let Err(error) = endpoint.kill(key, *number, false).await {
                tracing::debug!(server = endpoint.address, thread = number, %error, "an abandoned thread was gone already, or could not be ended");
            }
        });
    }
}
