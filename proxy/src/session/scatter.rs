//! A write on several shards: each gets its piece of the statement, one after the other, all in one transaction. If the client has none open, the statement has one of
//! its own, which is committed on all servers or on none; if it has, what fails is undone on every server and the transaction goes on, as in MySQL.

use std::sync::Arc;

use podway_model::{Keyspace, ServerId};
use podway_router::{Piece, Route, Scatter, SqlMode};
use podway_wire::{ErrPacket, OkPacket};
use xxhash_rust::xxh3::Xxh3;

use super::core::{Planned, Session, Spot};
use super::gather::{Bound, MAX_WARNINGS, keys_of, keyspace_of};
use super::moving::Before;
use super::run::{FRESH_CONNECTIONS, generated_id, warnings};
use super::shared::Shared;
use super::state::Warning;
use crate::backend::{BackendConnection, Settings, UserVariables};
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::execute::{execute_packet, sequence_of_answer};
use crate::txn::{Begin, Transaction};

/// What a statement inside a transaction is undone to.
const SAVEPOINT: &str = "`podway statement`";
/// ER_BAD_NULL_ERROR.
const NULL_REFUSED: u16 = 1048;

/// What the pieces have done so far.
#[derive(Default)]
pub(super) struct Done {
    pub(super) ok: Option<OkPacket>,
    warnings: Vec<Warning>,
    last_insert_id: Option<u64>,
    /// How many rows the last UPDATE has found.
    pub(super) matched: Option<u64>,
    /// The first number of the cluster's that is in a row now.
    pub(super) number: Option<u64>,
    /// The servers on which the statement can be undone.
    servers: Vec<ServerId>,
}

impl Session {
    /// Runs a write on several shards and answers it.
    pub(super) async fn run_scattered(
        &mut self,
        planned: &Planned<'_>,
        bound: Option<&Bound<'_>>,
    ) -> Result<(), ProxyError> {
        let plan = planned.plan.clone();
        let Some(scatter) = plan.scatter.as_deref() else {
            return Err(
                ClientError::new(ErrorCode::UNKNOWN, "The plan does not say what each shard gets").into()
            );
        };
        self.check_free()?;
        let keyspace = keyspace_of(&planned.map, &scatter.keyspace)?;
        let text = (planned.sql, planned.normal);
        let pieces = plan
            .pieces(scatter, &keyspace, text, keys_of(bound), planned.numbers().values)
            .map_err(ClientError::from)?;
        self.check_write_under_locks(planned, pieces.len() == 1 && scatter.is_plain())?;
        let mut spots = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            let spot = self.spot(&planned.map, &plan, Route::Shard(piece.shard))?;
            self.check_moving(&spot).await?;
            spots.push(spot);
        }
        if self.is_inside() {
            self.begin_snapshot(&plan, &planned.map).await?;
            self.check_writes(spots.iter().map(|spot| spot.pool.id()))?;
        }
        let before = self.before();
        let has_transaction = self.is_inside();
        // One piece under locks is a statement of one server, which it commits by itself: BEGIN would unlock.
        if !has_transaction && !self.is_locked() {
            self.state.transaction = Transaction::begin(Begin::default());
        }
        let mut done = Done::default();
        let settings = self.one_clock(scatter);
        let variables = self.state.variables.clone();
        let frame = Frame {
            planned,
            settings: &settings,
            variables: &variables,
            saves: has_transaction,
            before: &before,
            bound,
        };
        let to_do = (keyspace.as_ref(), pieces.as_slice(), spots.as_slice());
        let written = match (scatter.moves.as_deref(), scatter.transfer.as_deref()) {
            _ if scatter.load.is_some() => {
                Box::pin(self.load_rows(frame, scatter, &keyspace, &mut done)).await
            }
            (Some(moves), _) => Box::pin(self.move_rows(frame, moves, to_do, &mut done)).await,
            (_, Some(transfer)) => {
                Box::pin(self.transfer_rows(frame, (scatter, transfer), &keyspace, &mut done)).await
            }
            _ => self.write_changes(frame, scatter, to_do, &mut done).await,
        };
        self.end_scattered(written, before, done, has_transaction).await
    }

    /// Answers what was written, or undoes it.
    async fn end_scattered(
        &mut self,
        written: Result<(), ProxyError>,
        before: Before,
        done: Done,
        has_transaction: bool,
    ) -> Result<(), ProxyError> {
        match written.err() {
            Some(error @ ProxyError::ShardMoved(_)) if !before.has_server() => {
                // It is the first statement: its transaction begins anew where its shards are then.
                self.roll_back_quietly().await?;
                self.restore(before);
                Err(error)
            }
            Some(error) if has_transaction => Err(self.undo(&done.servers).await?.unwrap_or(error)),
            Some(error) => {
                self.roll_back_quietly().await?;
                if matches!(error, ProxyError::Server(_) | ProxyError::Client(_)) {
                    // It wrote nothing: what was set for the next transaction is for the next one still.
                    self.restore(before);
                }
                Err(error)
            }
            None => {
                if !has_transaction {
                    self.place.ends_transaction = true;
                    self.late = None;
                    self.commit_quietly().await?;
                }
                self.answer_scattered(done).await
            }
        }
    }

    /// The session's settings, with one time for all shards where the statement asks for it.
    fn one_clock(&self, scatter: &Scatter) -> Arc<Settings> {
        if !scatter.reads_clock || self.state.settings.get("timestamp").is_some() {
            return self.state.settings.clone();
        }
        let now = self.shared.transactions.clock.wall();
        let mut settings = (*self.state.settings).clone();
        settings.put("timestamp", format!("{}.{:06}", now.as_secs(), now.subsec_micros()).as_bytes());
        Arc::new(settings)
    }

    /// Has all shards change rows, as the statement's LIMIT and the rows that it needs of others ask for.
    async fn write_changes(
        &mut self,
        frame: Frame<'_>,
        scatter: &Scatter,
        to_do: ToDo<'_>,
        done: &mut Done,
    ) -> Result<(), ProxyError> {
        match (&scatter.fed, &scatter.limited) {
            (Some(gather), _) => Box::pin(self.write_fed(frame, gather, to_do, done)).await,
            (None, Some(limited)) if to_do.1.len() > 1 => {
                Box::pin(self.write_limited(frame, limited, to_do, done)).await
            }
            _ => self.write_pieces(frame, to_do, done).await,
        }
    }

    /// Has all shards do their pieces, one after the other.
    async fn write_pieces(
        &mut self,
        frame: Frame<'_>,
        (_, pieces, spots): ToDo<'_>,
        done: &mut Done,
    ) -> Result<(), ProxyError> {
        for (piece, spot) in pieces.iter().zip(spots) {
            self.write_piece(frame.at(spot), piece, frame.bound, done).await?;
        }
        Ok(())
    }

    /// Has one shard do its piece.
    pub(super) async fn write_piece(
        &mut self,
        of: Place<'_>,
        piece: &Piece,
        bound: Option<&Bound<'_>>,
        done: &mut Done,
    ) -> Result<(), ProxyError> {
        let Place { planned, spot, settings, .. } = of;
        let mut connection = self.enter_server(of).await?;
        if let Err(error) = self.check_numbers(planned) {
            self.settle(connection);
            return Err(error);
        }
        let shared = self.shared.clone();
        let mut sql = Vec::new();
        self.with_facts(planned, spot, |facts| {
            planned.plan.piece_text(piece, (planned.sql, planned.normal), facts, &mut sql);
        });
        let preparation = self.preparation(planned, spot, &sql, settings);
        let packet = self.query_packet(if bound.is_none() { &sql } else { b"" });
        let work = async {
            done.begin_on(&mut connection, of).await?;
            let ok = match bound {
                None => {
                    planned.check_numbers(&shared)?;
                    connection.run(&packet, sequence_of_answer(&packet)).await?
                }
                Some(bound) => {
                    let of = (planned, piece, &*shared);
                    execute(&mut connection, sql, of, (bound, preparation)).await?
                }
            };
            done.take(&mut connection, ok, (planned, piece)).await
        };
        let worked = tokio::select! {
            biased;
            worked = work => worked,
            error = self.client.gone(self.command_bytes) => Err(ProxyError::ClientGone(error)),
        };
        match self.leave_server(connection, of, worked).await {
            Err(ProxyError::Server(refused)) if self.is_of_one_row(&refused, piece) => {
                Err(ClientError::not_supported(
                    "a NULL for a column that has none, in one of several rows and without strict mode",
                )
                .into())
            }
            left => left,
        }
    }

    /// The connection on which the statement does something at this place, visible to KILL.
    pub(super) async fn enter_server(&mut self, of: Place<'_>) -> Result<Box<BackendConnection>, ProxyError> {
        self.handle.seeks();
        let connection = match self.acquire_fresh(of.planned, of.spot).await {
            Err(ProxyError::ShardMoved(_)) if of.was_there => return Err(self.restart().await?),
            acquired => acquired?,
        };
        self.handle.set_running([connection.thread().clone()]);
        Ok(connection)
    }

    /// Gives the connection back to the transaction. It has written there, as far as anybody can tell.
    pub(super) async fn leave_server<T>(
        &mut self,
        mut connection: Box<BackendConnection>,
        of: Place<'_>,
        worked: Result<T, ProxyError>,
    ) -> Result<T, ProxyError> {
        let Place { spot, was_there, .. } = of;
        if self.handle.ended_running() {
            connection.never_reuse();
        }
        if worked.is_err() && connection.is_usable() {
            // An error says nothing of what is open: the transaction may have been rolled back.
            let _known = connection.refresh_status().await;
        }
        self.settle(connection);
        if worked.is_ok() && !of.planned.plan.only_reads() {
            self.state.transaction.note_write(spot.pool.id());
        }
        match worked.map_err(|error| self.in_logical_names(error, spot)) {
            Err(error) => match self.refused_early(error, spot) {
                // What the transaction saw of the shard before is not to be had where it is now.
                ProxyError::ShardMoved(_) if was_there => Err(self.restart().await?),
                error => Err(error),
            },
            worked => worked,
        }
    }

    /// Whether a row that is a shard's only one was refused for what MySQL changes, with a warning, where it is one of several.
    fn is_of_one_row(&self, refused: &ErrPacket, piece: &Piece) -> bool {
        let is_strict = self.state.lexical.sql_mode.contains(SqlMode::STRICT);
        refused.code == NULL_REFUSED && piece.row_count() == Some(1) && !is_strict
    }

    /// The connection for a piece; another one, where one that had rested turned out to be dead.
    pub(super) async fn acquire_fresh(
        &mut self,
        planned: &Planned<'_>,
        spot: &Spot,
    ) -> Result<Box<BackendConnection>, ProxyError> {
        let server = spot.pool.id();
        let mut attempts = FRESH_CONNECTIONS;
        loop {
            match self.acquire(&planned.plan, spot).await {
                Err(ProxyError::BackendUnusable { .. })
                    if attempts > 0 && !self.lost && !self.state.transaction.is_on(server) =>
                {
                    attempts -= 1;
                }
                acquired => return acquired.map_err(|error| self.refused_early(error, spot)),
            }
        }
    }

    /// Undoes what a statement has done on these servers. The error, if a server did not take it back: then all of the transaction is.
    async fn undo(&mut self, servers: &[ServerId]) -> Result<Option<ProxyError>, ProxyError> {
        if self.lost || self.state.transaction.is_broken() || !self.state.transaction.is_open() {
            return Ok(None);
        }
        let back = self.query_packet(format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}").as_bytes());
        for server in servers {
            let held = self.held.iter_mut().find(|held| held.endpoint().id() == *server);
            let undone = match held {
                Some(held) => {
                    self.handle.set_running([held.thread().clone()]);
                    held.run(&back, sequence_of_answer(&back)).await.is_ok()
                }
                None => false,
            };
            self.handle.ended_running();
            if !undone {
                self.roll_back_quietly().await?;
                let message = "A statement that failed could not be undone on all servers: its transaction was rolled back; try restarting transaction";
                return Ok(Some(ClientError::new(ErrorCode::TRY_AGAIN, message).into()));
            }
        }
        Ok(None)
    }

    async fn answer_scattered(&mut self, done: Done) -> Result<(), ProxyError> {
        let mut ok = done.ok.unwrap_or_default();
        self.state.row_count = ok.affected_rows as i64;
        ok.last_insert_id = done.number.unwrap_or(ok.last_insert_id);
        if let Some(id) = done.number.or(done.last_insert_id) {
            self.state.last_insert_id = id;
        }
        let mut kept = done.warnings;
        kept.truncate(MAX_WARNINGS);
        if let Some(late) = self.late.take() {
            ok.warnings = ok.warnings.saturating_add(1);
            kept.push(late);
        }
        self.state.warnings = kept;
        self.reply_ok_with(ok).await
    }
}

/// What is done on which shards: the keyspace, each shard's piece and its place.
pub(super) type ToDo<'p> = (&'p Keyspace, &'p [Piece], &'p [Spot]);

/// What all steps of a statement have in common.
#[derive(Clone, Copy)]
pub(super) struct Frame<'p> {
    pub(super) planned: &'p Planned<'p>,
    pub(super) settings: &'p Arc<Settings>,
    /// For triggers, which may read them.
    pub(super) variables: &'p Arc<UserVariables>,
    /// Whether the statement may have to be undone alone.
    pub(super) saves: bool,
    /// The transaction before the statement.
    pub(super) before: &'p Before,
    pub(super) bound: Option<&'p Bound<'p>>,
}

/// Where something is done, and how.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub(super) planned: &'p Planned<'p>,
    pub(super) spot: &'p Spot,
    pub(super) settings: &'p Arc<Settings>,
    variables: &'p Arc<UserVariables>,
    /// Whether the statement may have to be undone alone.
    saves: bool,
    /// Whether the transaction was on its server before the statement.
    was_there: bool,
}

impl<'p> Frame<'p> {
    pub(super) fn at(self, spot: &'p Spot) -> Place<'p> {
        let Frame { planned, settings, variables, saves, before, .. } = self;
        Place { planned, spot, settings, variables, saves, was_there: before.is_on(spot.pool.id()) }
    }
}

impl Done {
    /// Brings a connection to the statement's settings, and sees to it that what follows can be undone there.
    pub(super) async fn begin_on(
        &mut self,
        connection: &mut BackendConnection,
        of: Place<'_>,
    ) -> Result<(), ProxyError> {
        connection.synchronise(&of.spot.current, of.settings, Some(of.variables)).await?;
        let server = of.spot.pool.id();
        if of.saves && !self.servers.contains(&server) {
            connection.execute(format!("SAVEPOINT {SAVEPOINT}").as_bytes()).await?;
            self.servers.push(server);
        }
        Ok(())
    }

    /// Adds what a shard answered to a part of a file.
    pub(super) fn take_loaded(&mut self, ok: OkPacket, insert_id: Option<u64>) {
        self.last_insert_id = match (self.last_insert_id, insert_id) {
            (Some(known), Some(id)) => Some(known.min(id)),
            (known, id) => known.or(id),
        };
        self.ok = Some(match self.ok.take() {
            None => ok,
            Some(before) => added(before, &ok),
        });
    }

    /// Adds warnings.
    pub(super) fn warn(&mut self, warnings: impl IntoIterator<Item = Warning>) {
        let room = MAX_WARNINGS.saturating_sub(self.warnings.len());
        self.warnings.extend(warnings.into_iter().take(room));
    }

    pub(super) async fn take(
        &mut self,
        connection: &mut BackendConnection,
        ok: OkPacket,
        (planned, piece): (&Planned<'_>, &Piece),
    ) -> Result<(), ProxyError> {
        let mut ok = ok;
        // Rows of a query come in several parts to each copy: whoever sends them says which count.
        let scatter = planned.plan.scatter.as_ref();
        let are_copies = scatter.is_some_and(|scatter| scatter.is_copies && scatter.transfer.is_none());
        if are_copies && self.ok.is_some() {
            return Ok(());
        }
        if ok.warnings > 0 && self.warnings.len() < MAX_WARNINGS {
            self.warnings.extend(warnings(connection).await?);
        }
        self.number = self.number.or(planned.number_of_piece(piece, (ok.affected_rows, ok.last_insert_id)));
        let mut is_generated = false;
        if ok.last_insert_id != 0 && self.last_insert_id.is_none() && !planned.has_numbers() {
            self.last_insert_id = generated_id(connection, ok.last_insert_id).await?;
            is_generated = self.last_insert_id.is_some();
        }
        if !piece.has_last_row && !is_generated {
            // MySQL's answer bears the explicit number of the last row.
            ok.last_insert_id = 0;
        }
        ok.info = info_of_rows(&ok, piece);
        self.matched = numbers(&ok.info).first().copied();
        self.ok = Some(match self.ok.take() {
            None => ok,
            Some(before) => added(before, &ok),
        });
        Ok(())
    }
}

impl Done {
    /// Adds the warnings of the query whose rows were written: they came first.
    pub(super) fn warned(&mut self, found: Vec<Warning>) {
        let count = u16::try_from(found.len()).unwrap_or(u16::MAX);
        if let Some(ok) = self.ok.as_mut().filter(|_| count > 0) {
            ok.warnings = ok.warnings.saturating_add(count);
            if !ok.info.is_empty() {
                let more = format!("Records: 0  Duplicates: 0  Warnings: {count}");
                ok.info = added_info(&ok.info, more.as_bytes());
            }
        }
        self.warnings.splice(..0, found);
    }
}

/// What MySQL tells of several rows, where a piece has one alone, of which it tells nothing.
fn info_of_rows(ok: &OkPacket, piece: &Piece) -> Vec<u8> {
    if piece.row_count() != Some(1) || !ok.info.is_empty() {
        return ok.info.clone();
    }
    // A row that was there: replaced or changed it counts twice and more; ignored it leaves a warning.
    let duplicates = match ok.affected_rows {
        0 => u64::from(ok.warnings > 0),
        affected => affected - 1,
    };
    format!("Records: 1  Duplicates: {duplicates}  Warnings: {}", ok.warnings).into_bytes()
}

/// Two pieces' answers as one.
fn added(mut before: OkPacket, more: &OkPacket) -> OkPacket {
    before.affected_rows += more.affected_rows;
    before.warnings = before.warnings.saturating_add(more.warnings);
    if before.last_insert_id == 0 {
        before.last_insert_id = more.last_insert_id;
    }
    before.info = match (before.info.is_empty(), more.info.is_empty()) {
        (true, _) => more.info.clone(),
        (false, true) => before.info,
        (false, false) => added_info(&before.info, &more.info),
    };
    before
}

/// "Rows matched: 1  Changed: 1  Warnings: 0" of two: the words of the first, each number the sum of both.
fn added_info(before: &[u8], more: &[u8]) -> Vec<u8> {
    let (left, right) = (numbers(before), numbers(more));
    let mut sums =
        left.iter().zip(right.iter().chain(std::iter::repeat(&0))).map(|(left, right)| left + right);
    let (mut out, mut in_number) = (Vec::new(), false);
    for &byte in before {
        match (byte.is_ascii_digit(), in_number) {
            (true, false) => out.extend_from_slice(sums.next().unwrap_or(0).to_string().as_bytes()),
            (true, true) => {}
            (false, _) => out.push(byte),
        }
        in_number = byte.is_ascii_digit();
    }
    out
}

/// The numbers in an answer's text.
fn numbers(text: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(text).into_owned();
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// Executes a piece with those of the execution's values that it has.
async fn execute(
    connection: &mut BackendConnection,
    sql: Vec<u8>,
    (planned, piece, shared): (&Planned<'_>, &Piece, &Shared),
    (bound, preparation): (&Bound<'_>, Xxh3),
) -> Result<OkPacket, ProxyError> {
    let execute = match piece.params.is_some() || planned.has_numbers() {
        true => planned.numbered_execution(bound.execute, Some(piece)),
        false => bound.execute.clone(),
    };
    let key = Bound { execute: &execute, keys: &[] }.key(preparation);
    let id = connection.ready(key, &sql.into()).await?;
    let packet = execute_packet(&execute, id, connection.capabilities());
    planned.check_numbers(shared)?;
    let ran = connection.run(&packet, sequence_of_answer(&packet)).await;
    if piece.is_narrowed() && connection.is_usable() {
        // Its rows are in its text: nobody runs it again.
        connection.close_statement(key).await?;
    }
    ran
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_an_answers_text_add_up() {
        let info = |left: &str, right: &str| {
            String::from_utf8(added_info(left.as_bytes(), right.as_bytes())).unwrap()
        };
        assert_eq!(
            info("Rows matched: 9  Changed: 1  Warnings: 0", "Rows matched: 12  Changed: 9  Warnings: 3"),
            "Rows matched: 21  Changed: 10  Warnings: 3"
        );
        assert_eq!(
            info("Records: 2  Duplicates: 0  Warnings: 0", "Records: 1  Duplicates: 1  Warnings: 1"),
            "Records: 3  Duplicates: 1  Warnings: 1"
        );
    }

    #[test]
    fn answers_of_several_shards_add_up() {
        let of = |affected_rows, last_insert_id, info: &str| OkPacket {
            affected_rows,
            last_insert_id,
            warnings: 1,
            info: info.as_bytes().to_vec(),
            ..OkPacket::default()
        };
        let sum = added(of(2, 0, ""), &of(3, 7, "Records: 3  Duplicates: 0  Warnings: 1"));
        assert_eq!(sum, OkPacket { warnings: 2, ..of(5, 7, "Records: 3  Duplicates: 0  Warnings: 1") });
    }
}
