//! An UPDATE that gives rows other sharding keys. Each shard runs the statement on its own rows, so that values, checks, counts and errors are MySQL's own; then the
//! rows that belong to other shards by their new keys are read, deleted, and inserted there, all in the statement's transaction.
//!
//! On a shard no row has a key that belongs to another one, but those that have just got it. So what leaves is found by its new key. That nothing else was found
//! and nothing was missed is counted: as many rows as were to leave, and each goes where the key leads that it has now. Where that does not tally the statement fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podway_model::{Keyspace, ShardIndex};
use podway_router::{ClientCharset, Destination, Moves, Piece, Route};
use podway_wire::{ColumnDefinition, Execute, ResponseKind, decode_binary_row, decode_text_row};

use super::captured::check_fits;
use super::core::{Session, Spot};
use super::gather::{Bound, keys_of, table_columns};
use super::key_cells::{key_of_cell, key_of_value};
use super::move_settings::{as_they_are, in_one_zone, unbounded};
use super::run::warnings;
use super::scatter::{Done, Frame, Place, ToDo};
use super::state::Warning;
use crate::backend::{BackendConnection, Settings, quoted_identifier};
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::execute::{Carriage, RowStream, TableColumn, execute_packet};

/// New keys that one query asks for.
const KEYS_AT_ONCE: usize = 200;
/// About how many bytes of rows one INSERT has.
const ROWS_AT_ONCE: usize = 1 << 20;

/// What one shard's rows get.
#[derive(Default)]
struct Leaving {
    /// How many rows the statement is to find; not known beforehand where all get one key.
    found: Option<u64>,
    /// How many of them leave; all where that is not known.
    rows: Option<u64>,
    /// The keys that rows leave with, as literals.
    keys: Vec<Vec<Vec<u8>>>,
    /// The keys of the rows that stay, where they were computed, and how many rows are to have each.
    staying: BTreeMap<Vec<Vec<u8>>, u64>,
}

/// Rows on their way.
#[derive(Default)]
struct Baggage {
    /// By their new shard, in documents of about [`ROWS_AT_ONCE`], with the number of their rows.
    documents: BTreeMap<ShardIndex, Vec<(Vec<u8>, u64)>>,
    rows: usize,
    bytes: usize,
}

/// How rows travel, and what they are asked for by.
struct Luggage {
    carriage: Carriage,
    /// The columns, quoted, as a list.
    columns: String,
    /// How many cells stand before those of the key.
    cells: usize,
    /// What rows are read and stored under.
    settings: Arc<Settings>,
}

/// One shard that rows leave.
struct Departure<'p> {
    frame: Frame<'p>,
    moves: &'p Moves,
    keyspace: &'p Keyspace,
    shard: ShardIndex,
    spot: &'p Spot,
}

impl Session {
    /// Runs an UPDATE of a sharding key on all shards that may have its rows.
    pub(super) async fn move_rows(
        &mut self,
        frame: Frame<'_>,
        moves: &Moves,
        (keyspace, pieces, spots): ToDo<'_>,
        done: &mut Done,
    ) -> Result<(), ProxyError> {
        let mut names = moves.key_columns().chain([&moves.table.name]);
        if names.any(|name| !name.as_str().is_ascii()) && self.state.lexical.charset != ClientCharset::Utf8 {
            return Err(ClientError::not_supported("names outside ASCII in this character set").into());
        }
        let destination = Self::destination(frame, moves, keyspace)?;
        if let Destination::One(shard, _) = &destination {
            self.target(frame, *shard).await?;
        }
        let mut departures = Vec::new();
        for (piece, spot) in pieces.iter().zip(spots) {
            let from = Departure { frame, moves, keyspace, shard: piece.shard, spot };
            let leaving = self.leaving(&from, piece, &destination, done).await?;
            if !leaving.keys.is_empty() {
                self.check_alone(spot, moves).await?;
            }
            done.matched = None;
            self.write_piece(frame.at(spot), piece, frame.bound, done).await?;
            let matched = done.matched.ok_or_else(|| untold(moves))?;
            if leaving.found.is_some_and(|found| found != matched) {
                return match destination {
                    Destination::ByRow => Err(self.changed_meanwhile(moves).await?),
                    _ => Err(untold(moves)),
                };
            }
            self.check_staying(&from, &leaving.staying, done).await?;
            let rows = leaving.rows.unwrap_or(matched);
            if rows > 0 && !leaving.keys.is_empty() {
                departures.push((from, leaving.keys, rows));
            }
        }
        let mut baggage = Baggage::default();
        let mut luggage = None;
        for (from, keys, rows) in &departures {
            let packed = self.take_out(from, keys, *rows, (&mut luggage, &mut baggage), done).await?;
            luggage = Some(packed);
        }
        let Some(luggage) = luggage else { return Ok(()) };
        for (shard, documents) in std::mem::take(&mut baggage.documents) {
            self.put_in(frame, moves, shard, (&luggage, documents), done).await?;
        }
        Ok(())
    }

    fn destination(frame: Frame<'_>, moves: &Moves, keyspace: &Keyspace) -> Result<Destination, ProxyError> {
        let text = (frame.planned.sql, frame.planned.normal);
        let destination = frame.planned.plan.destination(moves, keyspace, text, keys_of(frame.bound));
        Ok(destination.map_err(ClientError::from)?)
    }

    /// Where rows go to.
    pub(super) async fn target(&mut self, frame: Frame<'_>, shard: ShardIndex) -> Result<Spot, ProxyError> {
        let spot = self.spot(&frame.planned.map, &frame.planned.plan, Route::Shard(shard))?;
        self.check_moving(&spot).await?;
        Ok(spot)
    }

    /// Refuses tables of which a row takes more along than itself: DELETE and INSERT are not what their triggers and foreign keys expect of an UPDATE.
    async fn check_alone(&self, spot: &Spot, moves: &Moves) -> Result<(), ProxyError> {
        let server = BTreeSet::from([spot.pool.id()]);
        let table = moves.table.name.as_str();
        let Some(side) = self.sides(&server).pop() else {
            return Err(
                ClientError::new(ErrorCode::UNKNOWN, "A server of the statement has left the map").into()
            );
        };
        match side.ties(&spot.schema, table).await? {
            None => Ok(()),
            Some(what) => {
                Err(ClientError::not_supported(&format!("moving rows of {table} to another shard, {what}"))
                    .into())
            }
        }
    }

    /// What leaves a shard.
    async fn leaving(
        &mut self,
        from: &Departure<'_>,
        piece: &Piece,
        destination: &Destination,
        done: &mut Done,
    ) -> Result<Leaving, ProxyError> {
        match destination {
            Destination::One(shard, _) if *shard == piece.shard => Ok(Leaving::default()),
            Destination::One(_, values) => Ok(Leaving { keys: vec![values.clone()], ..Leaving::default() }),
            // MySQL refuses it for every row.
            Destination::Nowhere => Ok(Leaving { found: Some(0), ..Leaving::default() }),
            Destination::ByRow => self.computed(from, done).await,
        }
    }

    /// Locks a shard's rows and asks for their new keys.
    async fn computed(&mut self, from: &Departure<'_>, done: &mut Done) -> Result<Leaving, ProxyError> {
        let Departure { frame, moves, keyspace, shard, spot } = *from;
        let mut sql = Vec::new();
        self.with_facts(frame.planned, spot, |facts| {
            let text = (frame.planned.sql, frame.planned.normal);
            frame.planned.plan.new_keys_text(moves, text, facts, &mut sql);
        });
        let settings = unbounded(frame.settings);
        let of = Frame { settings: &settings, ..frame }.at(spot);
        let execute = execution(frame.bound, moves.params());
        let key = Bound { execute: &execute, keys: &[] }.key(self.preparation(
            frame.planned,
            spot,
            &sql,
            &settings,
        ));
        let mut connection = self.enter_server(of).await?;
        let begun = async {
            done.begin_on(&mut connection, of).await?;
            connection.ready(key, &sql.into()).await
        };
        let id = match begun.await {
            Ok(id) => id,
            Err(error) => return self.leave_server(connection, of, Err(error)).await,
        };
        let packet = execute_packet(&execute, id, connection.capabilities());
        let mut leaving = Leaving { found: Some(0), rows: Some(0), ..Leaving::default() };
        let mut keys = BTreeSet::new();
        let mut room = Baggage::default();
        let plan = &frame.planned.plan;
        let limits = self.room();
        self.read_rows(connection, of, (&packet, ResponseKind::Execute), |columns, row| {
            let values = decode_binary_row(row, columns).map_err(unreadable)?;
            let key = columns.iter().zip(&values).map(|(column, value)| key_of_value(column, value));
            let new = plan.new_key(moves, keyspace, key).map_err(ClientError::from)?;
            leaving.found = leaving.found.map(|found| found + 1);
            room.take(row.len(), limits)?;
            match new {
                Some((to, key)) if to == shard => *leaving.staying.entry(key).or_default() += 1,
                Some((_, key)) => {
                    leaving.rows = leaving.rows.map(|rows| rows + 1);
                    keys.insert(key);
                }
                None => {}
            }
            Ok(())
        })
        .await?;
        leaving.keys = keys.into_iter().collect();
        Ok(leaving)
    }

    /// Whether rows that were to stay have the keys that were computed for them: what MySQL has stored otherwise may belong elsewhere.
    async fn check_staying(
        &mut self,
        from: &Departure<'_>,
        staying: &BTreeMap<Vec<Vec<u8>>, u64>,
        done: &mut Done,
    ) -> Result<(), ProxyError> {
        let Departure { frame, moves, spot, .. } = *from;
        let settings = as_they_are(frame.settings);
        let of = Frame { settings: &settings, ..frame }.at(spot);
        let all: Vec<(&Vec<Vec<u8>>, &u64)> = staying.iter().collect();
        for some in all.chunks(KEYS_AT_ONCE) {
            let expected: u64 = some.iter().map(|(_, rows)| **rows).sum();
            let mut sql =
                format!("SELECT COUNT(*) FROM {} AS `t` WHERE ", table_at(spot, moves)).into_bytes();
            sql.extend_from_slice(&condition(moves, some.iter().map(|(key, _)| *key)));
            // As they are now, not as the transaction's snapshot has them: rows that have their keys already were not written.
            sql.extend_from_slice(b" FOR UPDATE");
            let mut connection = self.enter_server(of).await?;
            if let Err(error) = done.begin_on(&mut connection, of).await {
                return self.leave_server(connection, of, Err(error)).await;
            }
            let packet = self.query_packet(&sql);
            let mut counted = None;
            self.read_rows(connection, of, (&packet, ResponseKind::Query), |_, row| {
                let cells: Result<Vec<Option<&[u8]>>, _> = decode_text_row(row).collect();
                let cell = cells.map_err(unreadable)?.first().copied().flatten();
                counted = cell.and_then(|cell| std::str::from_utf8(cell).ok()?.parse::<u64>().ok());
                Ok(())
            })
            .await?;
            if counted.is_none_or(|counted| counted < expected) {
                return Err(untold(moves));
            }
        }
        Ok(())
    }

    /// The statement found other rows than it had locked. Its transaction begins again, as after a deadlock.
    async fn changed_meanwhile(&mut self, moves: &Moves) -> Result<ProxyError, ProxyError> {
        self.roll_back_quietly().await?;
        let message = format!(
            "Rows of {} came or went while an UPDATE of its sharding key looked for them; try restarting transaction",
            moves.table.name
        );
        Ok(ClientError::new(ErrorCode::TRY_AGAIN, message).into())
    }

    /// Reads the rows that leave, and deletes them.
    async fn take_out(
        &mut self,
        from: &Departure<'_>,
        keys: &[Vec<Vec<u8>>],
        rows: u64,
        (known, baggage): (&mut Option<Luggage>, &mut Baggage),
        done: &mut Done,
    ) -> Result<Luggage, ProxyError> {
        let Departure { frame, moves, keyspace, shard, spot } = *from;
        let luggage = match known.take() {
            Some(luggage) => luggage,
            None => self.luggage(frame, spot, moves, done).await?,
        };
        let of = Frame { settings: &luggage.settings, ..frame }.at(spot);
        let table = table_at(spot, moves);
        let limits = self.room();
        let (mut read, mut deleted) = (0, 0);
        for keys in keys.chunks(KEYS_AT_ONCE) {
            let condition = condition(moves, keys);
            let mut sql = b"SELECT ".to_vec();
            luggage.carriage.select_list("`t`", &mut sql);
            for name in moves.key_columns() {
                sql.extend_from_slice(format!(", `t`.{}", quoted_identifier(name.as_str())).as_bytes());
            }
            sql.extend_from_slice(format!(" FROM {table} AS `t` WHERE ").as_bytes());
            sql.extend_from_slice(&condition);
            let mut connection = self.enter_server(of).await?;
            if let Err(error) = done.begin_on(&mut connection, of).await {
                return self.leave_server(connection, of, Err(error)).await;
            }
            let packet = self.query_packet(&sql);
            self.read_rows(connection, of, (&packet, ResponseKind::Query), |columns, row| {
                let cells: Result<Vec<Option<&[u8]>>, _> = decode_text_row(row).collect();
                let cells = cells.map_err(unreadable)?;
                let Some((own, key)) = cells.split_at_checked(luggage.cells) else {
                    return Err(untold(moves));
                };
                let of_key = columns.iter().skip(luggage.cells).zip(key);
                let key = of_key.map(|(column, cell)| key_of_cell(column, *cell));
                let to = moves.stored_shard(keyspace, key).map_err(ClientError::from)?;
                if to == shard {
                    return Err(untold(moves));
                }
                read += 1;
                baggage.put(to, own, &luggage.carriage, limits)
            })
            .await?;
            let delete =
                [format!("DELETE FROM {table} AS `t` WHERE ").as_bytes(), condition.as_slice()].concat();
            deleted += self.write_text(of, &delete, done).await?;
        }
        if read != rows || deleted != rows {
            return Err(untold(moves));
        }
        Ok(luggage)
    }

    /// How the table's rows travel; generated columns are computed again.
    async fn luggage(
        &mut self,
        frame: Frame<'_>,
        spot: &Spot,
        moves: &Moves,
        done: &mut Done,
    ) -> Result<Luggage, ProxyError> {
        let settings = as_they_are(frame.settings);
        let of = Frame { settings: &settings, ..frame }.at(spot);
        let mut connection = self.enter_server(of).await?;
        let asked = async {
            done.begin_on(&mut connection, of).await?;
            table_columns(&of.spot.schema, moves.table.name.as_str(), &mut connection).await
        };
        let asked = asked.await;
        let columns = self.leave_server(connection, of, asked).await?;
        let is_stored = |column: &TableColumn| {
            !["VIRTUAL GENERATED", "STORED GENERATED"].iter().any(|kind| column.extra.contains(kind))
        };
        let all_seen = columns.len() == moves.table.columns.len();
        let is_computed = !columns.iter().all(is_stored);
        // They are named, so that it does not matter which are invisible.
        let stored: Vec<TableColumn> = columns
            .into_iter()
            .filter(is_stored)
            .map(|column| TableColumn { extra: String::new(), ..column })
            .collect();
        if !all_seen {
            return Err(ClientError::not_supported("moving rows of which not all columns may be seen").into());
        }
        let carriage = Carriage::of(&stored).map_err(|error| uncarried(moves, &error.to_string()))?;
        let columns: Vec<String> = stored.iter().map(|column| quoted_identifier(&column.name)).collect();
        let cells = carriage.cells();
        let settings = match is_computed {
            // What is computed again may depend on the session's time zone.
            true => settings,
            false => in_one_zone(&settings),
        };
        Ok(Luggage { carriage, columns: columns.join(", "), cells, settings })
    }

    /// Inserts rows on their new shard.
    async fn put_in(
        &mut self,
        frame: Frame<'_>,
        moves: &Moves,
        shard: ShardIndex,
        (luggage, documents): (&Luggage, Vec<(Vec<u8>, u64)>),
        done: &mut Done,
    ) -> Result<(), ProxyError> {
        let spot = self.target(frame, shard).await?;
        self.check_alone(&spot, moves).await?;
        let of = Frame { settings: &luggage.settings, ..frame }.at(&spot);
        let table = table_at(&spot, moves);
        for (document, rows) in documents {
            let mut sql = format!("INSERT INTO {table} ({}) SELECT * FROM ", luggage.columns).into_bytes();
            luggage.carriage.derived_table(&document, &mut sql);
            sql.extend_from_slice(b" AS p");
            if self.write_text(of, &sql, done).await? != rows {
                return Err(untold(moves));
            }
        }
        Ok(())
    }

    /// Runs a statement of our own; gives the number of rows affected.
    pub(super) async fn write_text(
        &mut self,
        of: Place<'_>,
        sql: &[u8],
        done: &mut Done,
    ) -> Result<u64, ProxyError> {
        let mut connection = self.enter_server(of).await?;
        let packet = self.query_packet(sql);
        let work = async {
            done.begin_on(&mut connection, of).await?;
            check_fits(&mut connection, sql.len()).await?;
            connection.run(&packet, crate::execute::sequence_of_answer(&packet)).await
        };
        let worked = tokio::select! {
            biased;
            worked = work => worked,
            error = self.client.gone(self.command_bytes) => Err(ProxyError::ClientGone(error)),
        };
        self.leave_server(connection, of, worked).await.map(|ok| ok.affected_rows)
    }

    /// Has each row of an answer looked at.
    pub(super) async fn read_rows(
        &mut self,
        connection: Box<BackendConnection>,
        of: Place<'_>,
        asked: (&[u8], ResponseKind),
        mut each: impl FnMut(&[ColumnDefinition], &[u8]) -> Result<(), ProxyError>,
    ) -> Result<(), ProxyError> {
        let each =
            |columns: &[ColumnDefinition], row: Option<&[u8]>| row.map_or(Ok(()), |row| each(columns, row));
        self.read_answer(connection, of, asked, each).await.map(drop)
    }

    /// Has an answer's columns looked at and then each of its rows, and gives its warnings; what comes behind an error is read to its end, since the connection is the transaction's.
    pub(super) async fn read_answer(
        &mut self,
        connection: Box<BackendConnection>,
        of: Place<'_>,
        (packet, kind): (&[u8], ResponseKind),
        mut each: impl FnMut(&[ColumnDefinition], Option<&[u8]>) -> Result<(), ProxyError>,
    ) -> Result<Vec<Warning>, ProxyError> {
        let mut stream = RowStream::send(connection, packet, kind).await?;
        let mut columns: Option<Vec<ColumnDefinition>> = None;
        let mut failed = None;
        let worked = loop {
            let next = tokio::select! {
                biased;
                next = stream.next() => next,
                error = self.client.gone(self.command_bytes) => return Err(ProxyError::ClientGone(error)),
            };
            let row = match next {
                Ok(row) => row,
                Err(error) => break Err(error),
            };
            let known = match columns.take() {
                Some(known) => known,
                None => {
                    let decoded: Result<Vec<_>, _> =
                        stream.columns().iter().map(|column| ColumnDefinition::decode(column)).collect();
                    let decoded = decoded.map_err(|error| stream.surprise(error))?;
                    failed = each(&decoded, None).err();
                    decoded
                }
            };
            let Some(row) = row else { break failed.map_or(Ok(()), Err) };
            if failed.is_none() {
                failed = each(&known, Some(&row)).err();
            }
            columns = Some(known);
        };
        let (mut connection, summary) = stream.into_parts();
        let worked = match worked {
            Ok(()) if summary.warnings > 0 => warnings(&mut connection).await,
            worked => worked.map(|()| Vec::new()),
        };
        self.leave_server(connection, of, worked).await
    }

    /// How many rows and bytes may be on their way at once.
    fn room(&self) -> (usize, usize) {
        let limits = &self.shared.config.client;
        (limits.max_gathered_rows, limits.max_gathered_bytes)
    }
}

impl Baggage {
    fn take(&mut self, bytes: usize, (max_rows, max_bytes): (usize, usize)) -> Result<(), ProxyError> {
        self.rows += 1;
        self.bytes += bytes;
        let what = match (self.rows > max_rows, self.bytes > max_bytes) {
            (false, false) => return Ok(()),
            (true, _) => "client.max_gathered_rows",
            (false, true) => "client.max_gathered_bytes",
        };
        let message = format!(
            "The statement may move more rows to other shards than {what} allows: change fewer at once, or raise the bound"
        );
        Err(ClientError::new(ErrorCode::OUT_OF_ROOM, message).into())
    }

    fn put(
        &mut self,
        to: ShardIndex,
        cells: &[Option<&[u8]>],
        carriage: &Carriage,
        limits: (usize, usize),
    ) -> Result<(), ProxyError> {
        let documents = self.documents.entry(to).or_default();
        if documents.last().is_none_or(|(document, _)| document.len() >= ROWS_AT_ONCE) {
            documents.push(Default::default());
        }
        let Some((document, rows)) = documents.last_mut() else { return Ok(()) };
        let before = document.len();
        carriage
            .put_row(cells.iter().copied(), document)
            .map_err(|error| ClientError::not_supported(&format!("{error}, to another shard")))?;
        *rows += 1;
        let bytes = document.len() - before;
        self.take(bytes, limits)
    }
}

/// An execution of a query with these of the statement's parameters.
pub(super) fn execution<'b>(bound: Option<&Bound<'b>>, numbers: &[u32]) -> Execute<'b> {
    let of = |&number: &u32| {
        let whole = bound?.execute;
        Some((*whole.values.get(number as usize)?, whole.types.get(number as usize)?.clone()))
    };
    let (values, types): (Vec<_>, Vec<_>) = numbers.iter().filter_map(of).unzip();
    let params = values.len();
    Execute {
        statement_id: 0,
        flags: 0,
        iterations: 1,
        new_params_bound: true,
        types: types.into(),
        values,
        params,
    }
}

/// The rows with one of these keys.
fn condition<'k>(moves: &Moves, keys: impl IntoIterator<Item = &'k Vec<Vec<u8>>>) -> Vec<u8> {
    let mut text = Vec::new();
    for (nth, key) in keys.into_iter().enumerate() {
        text.extend_from_slice(if nth == 0 { b"(" } else { b" OR (" });
        for (nth, (name, value)) in moves.key_columns().zip(key).enumerate() {
            let and = if nth == 0 { "" } else { " AND " };
            text.extend_from_slice(format!("{and}`t`.{} <=> ", quoted_identifier(name.as_str())).as_bytes());
            text.extend_from_slice(value);
        }
        text.push(b')');
    }
    text
}

fn table_at(spot: &Spot, moves: &Moves) -> String {
    format!("{}.{}", quoted_identifier(&spot.schema), quoted_identifier(moves.table.name.as_str()))
}

pub(super) fn unreadable(error: impl std::fmt::Display) -> ProxyError {
    ClientError::new(ErrorCode::UNKNOWN, format!("A shard's row does not fit its columns: {error}")).into()
}

/// What was found is not what was to be found; nothing is changed then.
fn untold(moves: &Moves) -> ProxyError {
    ClientError::not_supported(&format!(
        "an UPDATE of the sharding key of {} after which it is not certain which rows have to move",
        moves.table.name
    ))
    .into()
}

fn uncarried(moves: &Moves, why: &str) -> ProxyError {
    ClientError::not_supported(&format!("{why}, of the table {}, to another shard", moves.table.name)).into()
}
