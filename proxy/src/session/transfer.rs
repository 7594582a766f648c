//! INSERT … SELECT over several shards: the query runs as a statement of its own inside the statement's transaction, its rows are held, and each shard that gets some is
//! given the statement with these rows in the query's place, as MySQL's JSON_TABLE reads them. What a column then stores, MySQL says, as of the query's own values.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use podway_model::{Keyspace, ShardIndex};
use podway_router::{
    KeyValue, Normalised, Piece, Plan, Receiver, Route, Scatter, Statement, Target, Transfer, Want,
};
use podway_wire::{BinaryValue, ColumnDefinition, ResponseKind, decode_binary_row, decode_text_row};

use super::captured::{Captured, check_fits, out_of_room};
use super::core::{Planned, Session, Spot};
use super::gather::{Bound, keys_of, reading};
use super::key_cells::key_of_cell;
use super::move_rows::{execution, unreadable};
use super::query_columns::{Given, column_of, columns_of};
use super::scatter::{Done, Frame};
use crate::backend::Settings;
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::execute::{Carriage, execute_packet, sequence_of_answer};
use crate::numbers::{Taken, Wanted};

/// About how many bytes of rows one INSERT has.
const ROWS_AT_ONCE: usize = 1 << 20;

/// Rows for one shard.
#[derive(Default)]
struct Batch {
    document: Vec<u8>,
    has_last_row: bool,
}

impl Session {
    /// Inserts a query's rows where they belong.
    pub(super) async fn transfer_rows(
        &mut self,
        frame: Frame<'_>,
        (scatter, transfer): (&Scatter, &Transfer),
        keyspace: &Keyspace,
        done: &mut Done,
    ) -> Result<(), ProxyError> {
        let numbers = transfer.query_params();
        let is_bound = frame.bound.is_some() && !numbers.is_empty();
        let mut captured = self.capture(frame, transfer, &numbers).await?;
        let warnings = self.judge_warnings(&mut captured, transfer.ignore)?;
        let mut given =
            columns_of(&captured.columns, transfer, is_bound).map_err(|why| uncarried(transfer, &why))?;
        if transfer.adds_counter() && transfer.counter != Some(captured.columns.len()) {
            let message = "Column count doesn't match value count at row 1";
            return Err(ClientError::new(ErrorCode::WRONG_VALUE_COUNT, message).into());
        }
        let wants = wants(&frame.planned.plan, transfer, (&captured, is_bound))?;
        let taken = self.row_numbers(frame, keyspace, transfer, &wants).await?;
        let numbers = taken.as_ref().map_or(&[][..], |taken| taken.numbers.as_slice());
        if let Some(at) =
            transfer.counter.filter(|_| transfer.adds_counter() || numbers.iter().any(Option::is_some))
        {
            number_column(&mut given, (at, &captured), numbers).map_err(|why| uncarried(transfer, why))?;
        }
        let columns: Vec<_> = given.iter().map(|given| given.column.clone()).collect();
        let carriage = Carriage::of(&columns).map_err(|error| uncarried(transfer, &error.to_string()))?;
        let batches = {
            let plan = &frame.planned.plan;
            let captured = (&captured, is_bound);
            let limit = self.shared.config.client.max_gathered_bytes;
            batches(plan, (transfer, numbers), keyspace, captured, (&given, &carriage, limit))?
        };
        drop(captured);
        let other = transfer.other_params();
        let mut is_first = true;
        for (shard, batches) in batches {
            let spot = self.target(frame, shard).await?;
            for batch in batches.iter() {
                let rows = rows_text(&given, &carriage, &batch.document);
                let piece = Piece::of_query(shard, batch.has_last_row);
                let to = (&spot, &piece, is_first || !scatter.is_copies);
                self.insert_batch(frame, (transfer, taken.as_ref()), to, (&rows, &other), done).await?;
            }
            is_first = false;
        }
        done.number = numbers.iter().flatten().next().copied();
        done.warned(warnings);
        Ok(())
    }

    /// The cluster's numbers for rows that want some; those that rows bring are given to nobody else from now on.
    async fn row_numbers(
        &mut self,
        frame: Frame<'_>,
        keyspace: &Keyspace,
        transfer: &Transfer,
        wants: &[Want],
    ) -> Result<Option<Taken>, ProxyError> {
        let names = self.shared.map.load().names;
        let table = keyspace.tables.get(names.fold(&transfer.table).as_ref());
        let counted = match &transfer.to {
            Receiver::Sharded(table) => Some(table),
            Receiver::Copies => table,
            Receiver::Home => None,
        };
        let wants_next = wants.contains(&Want::Next);
        let table = counted.filter(|table| table.counter().is_some() && self.shared.numbers.has_source());
        let Some(table) = table.cloned() else {
            return match wants_next {
                true => Err(unnumbered(transfer, "AUTO_INCREMENT numbers for the rows")),
                false => Ok(None),
            };
        };
        if wants_next {
            if transfer.ignore || transfer.updates {
                return Err(unnumbered(
                    transfer,
                    "IGNORE or ON DUPLICATE KEY UPDATE with AUTO_INCREMENT numbers",
                ));
            }
            self.check_strides(table.name.as_str())?;
        }
        if wants.iter().all(|want| *want == Want::Nothing) {
            return Ok(None);
        }
        if frame.bound.is_none() {
            self.check_permitted(frame.planned, &keyspace.name, &table.name).await?;
        }
        let of = Wanted { keyspace: &keyspace.name, table: &table, wants };
        self.reserve_numbers(of).await.map(Some)
    }

    /// Runs the query and holds its rows.
    async fn capture(
        &mut self,
        frame: Frame<'_>,
        transfer: &Transfer,
        numbers: &[u32],
    ) -> Result<Captured, ProxyError> {
        let Planned { sql, normal, map, plan, database, .. } = frame.planned;
        let text = plan.query_text(transfer, (sql, normal));
        let mut normal = Normalised::new();
        normal.set_version(map.lowest_version());
        normal
            .run(text, self.state.lexical.sql_mode, self.state.lexical.charset)
            .map_err(ClientError::from)?;
        let plan = self.plan(map, text, &normal, *database);
        if let Target::Refused(error) = &plan.target {
            return Err(ClientError::from(error.clone()).into());
        }
        if *plan.statement() != Statement::Query
            || !plan.only_reads() && !matches!(plan.target, Target::Home { .. })
        {
            return Err(ClientError::not_supported(
                "this query as the rows of an INSERT over several shards",
            )
            .into());
        }
        let (database, numbered) = (*database, None);
        let planned = Planned { sql: text, normal: &normal, map: map.clone(), plan, database, numbered };
        let execute = execution(frame.bound, numbers);
        let of = |&number: &u32| keys_of(frame.bound).get(number as usize).cloned();
        let keys: Vec<_> = numbers.iter().filter_map(of).collect();
        let bound = Bound { execute: &execute, keys: &keys };
        let bound = (frame.bound.is_some() && !numbers.is_empty()).then_some(&bound);
        let route =
            planned.plan.route(&planned.map, text, &normal, keys_of(bound)).map_err(ClientError::from)?;
        let limits = &self.shared.config.client;
        let limits = (limits.max_gathered_rows, limits.max_gathered_bytes);
        let settings = untimed(reading(frame.settings));
        let kept = std::mem::replace(&mut self.state.settings, settings.clone());
        let kept_rows = self.state.found_rows;
        self.captured = Some(Captured::within(limits));
        let ran = match route {
            Route::Gather => Box::pin(self.run_gathered(&planned, bound)).await,
            route => {
                let frame = Frame { planned: &planned, settings: &settings, saves: false, bound, ..frame };
                self.capture_from(frame, route).await
            }
        };
        self.state.settings = kept;
        self.state.found_rows = kept_rows;
        let captured = self.captured.take().unwrap_or_default();
        ran.map(|()| captured)
    }

    /// Runs a query that one shard answers.
    async fn capture_from(&mut self, frame: Frame<'_>, route: Route) -> Result<(), ProxyError> {
        let spot = self.spot(&frame.planned.map, &frame.planned.plan, route)?;
        self.check_moving(&spot).await?;
        let of = frame.at(&spot);
        let mut sql = Vec::new();
        if !self.rewritten_text(frame.planned, &spot, &mut sql) {
            sql.extend_from_slice(frame.planned.sql);
        }
        let mut connection = self.enter_server(of).await?;
        let begun = connection.synchronise(&spot.current, frame.settings, None).await;
        let packet = match (begun, frame.bound) {
            (Err(error), _) => Err(error),
            (Ok(()), None) => Ok((self.query_packet(&sql), ResponseKind::Query)),
            (Ok(()), Some(bound)) => {
                let key = bound.key(self.preparation(frame.planned, &spot, &sql, frame.settings));
                let id = connection.ready(key, &sql.into()).await;
                id.map(|id| execute_packet(bound.execute, id, connection.capabilities()))
                    .map(|packet| (packet, ResponseKind::Execute))
            }
        };
        let (packet, kind) = match packet {
            Ok(packet) => packet,
            Err(error) => return self.leave_server(connection, of, Err(error)).await,
        };
        let mut captured = self.captured.take().unwrap_or_default();
        let read = self.read_answer(connection, of, (&packet, kind), |columns, row| match row {
            None => {
                captured.begin(columns);
                Ok(())
            }
            Some(row) => captured.take(row),
        });
        let read = read.await;
        let read = read.map(|warnings| captured.warnings = warnings);
        self.captured = Some(captured);
        read
    }

    /// Has one shard insert some of the rows.
    async fn insert_batch(
        &mut self,
        frame: Frame<'_>,
        (transfer, taken): (&Transfer, Option<&Taken>),
        (spot, piece, counts): (&Spot, &Piece, bool),
        (rows, other): (&[u8], &[u32]),
        done: &mut Done,
    ) -> Result<(), ProxyError> {
        let of = frame.at(spot);
        let plan = &frame.planned.plan;
        let mut sql = Vec::new();
        self.with_facts(frame.planned, spot, |facts| {
            let text = (frame.planned.sql, frame.planned.normal);
            plan.transfer_text(transfer, rows, text, facts, &mut sql);
        });
        let execute = execution(frame.bound, other);
        let key = self.preparation(frame.planned, spot, &sql, frame.settings);
        let mut connection = self.enter_server(of).await?;
        if let Some(Err(error)) = taken.map(|taken| self.check_taken(taken)) {
            self.settle(connection);
            return Err(error);
        }
        let query = self.query_packet(if other.is_empty() { &sql } else { b"" });
        let work = async {
            done.begin_on(&mut connection, of).await?;
            check_fits(&mut connection, sql.len()).await?;
            let ok = if other.is_empty() {
                connection.run(&query, sequence_of_answer(&query)).await?
            } else {
                let key = Bound { execute: &execute, keys: &[] }.key(key);
                let id = connection.ready(key, &sql.into()).await?;
                let packet = execute_packet(&execute, id, connection.capabilities());
                let ran = connection.run(&packet, sequence_of_answer(&packet)).await;
                // Its rows are in its text: nobody runs it again.
                connection.close_statement(key).await?;
                ran?
            };
            match counts {
                true => done.take(&mut connection, ok, (frame.planned, piece)).await,
                false => Ok(()),
            }
        };
        let worked = tokio::select! {
            biased;
            worked = work => worked,
            error = self.client.gone(self.command_bytes) => Err(ProxyError::ClientGone(error)),
        };
        self.leave_server(connection, of, worked).await
    }
}

/// What each row wants of the cluster's numbers; nothing at all where the table's are none of the cluster's.
fn wants(
    plan: &Plan,
    transfer: &Transfer,
    (captured, is_binary): (&Captured, bool),
) -> Result<Vec<Want>, ProxyError> {
    let Some(at) = transfer.counter else { return Ok(Vec::new()) };
    let Some(column) = captured.columns.get(at) else { return Ok(vec![Want::Next; captured.rows.len()]) };
    let mut wants = Vec::with_capacity(captured.rows.len());
    for row in captured.rows.iter() {
        let cells = cells_of(&captured.columns, row, is_binary)?;
        let value = key_of_cell(column, cells.get(at).and_then(|cell| cell.as_deref()));
        wants.push(plan.row_want(transfer, value).map_err(ClientError::from)?);
    }
    Ok(wants)
}

/// Makes the column at this place one that the cluster's numbers fit into.
fn number_column(
    given: &mut Vec<Given>,
    (at, captured): (usize, &Captured),
    numbers: &[Option<u64>],
) -> Result<(), &'static str> {
    let Some(column) = captured.columns.get(at) else {
        given.push(Given::added_counter(at));
        return Ok(());
    };
    let is_null = column.column_type == podway_wire::ColumnType::MYSQL_TYPE_NULL;
    let numbered = given.get(at).and_then(|given| given.numbered(at, is_null));
    let Some(numbered) = numbered else {
        return Err("AUTO_INCREMENT numbers stand among what is no integer");
    };
    let fits =
        |number: &u64| i64::try_from(*number).is_ok() || numbered.column.declared.ends_with("unsigned");
    if !numbers.iter().flatten().all(fits) {
        return Err("an AUTO_INCREMENT number is too large for the query's column");
    }
    given[at] = numbered;
    Ok(())
}

/// The rows by their shards; one shard at least, which says what is wrong if there are no rows.
fn batches(
    plan: &Plan,
    (transfer, numbers): (&Transfer, &[Option<u64>]),
    keyspace: &Keyspace,
    (captured, is_binary): (&Captured, bool),
    (given, carriage, limit): (&[Given], &Carriage, usize),
) -> Result<BTreeMap<ShardIndex, Arc<Vec<Batch>>>, ProxyError> {
    let mut bytes = 0;
    let mut all: BTreeMap<ShardIndex, Vec<Batch>> = BTreeMap::new();
    let (columns, last) = (&captured.columns, captured.rows.len().wrapping_sub(1));
    for (nth, row) in captured.rows.iter().enumerate() {
        let mut cells = cells_of(columns, row, is_binary)?;
        let number = transfer.counter.zip(numbers.get(nth).copied().flatten());
        if let Some((at, number)) = number {
            let cell = Some(Cow::Owned(number.to_string().into_bytes()));
            match cells.get_mut(at) {
                Some(place) => *place = cell,
                None => cells.push(cell),
            }
        }
        let cell = |at: usize| cells.get(at).and_then(|cell| cell.as_deref());
        let value = |at: usize| match (columns.get(at), number) {
            (_, Some((counter, number))) if counter == at => KeyValue::UInt(number),
            (Some(column), _) => key_of_cell(column, cell(at)),
            (None, _) => KeyValue::Unknown,
        };
        let shard = plan.row_shard(transfer, keyspace, value).map_err(ClientError::from)?;
        let taken: Result<Vec<_>, _> =
            given.iter().zip(&cells).map(|(given, cell)| given.cell(cell.as_deref())).collect();
        let taken = taken.map_err(|why| uncarried(transfer, why))?;
        let batches = all.entry(shard.unwrap_or(keyspace.home)).or_default();
        if batches.last().is_none_or(|batch| batch.document.len() >= ROWS_AT_ONCE) {
            batches.push(Batch::default());
        }
        if let Some(batch) = batches.last_mut() {
            let before = batch.document.len();
            let put = carriage.put_row(taken.iter().map(|cell| cell.as_deref()), &mut batch.document);
            put.map_err(|error| uncarried(transfer, &error.to_string()))?;
            bytes += batch.document.len() - before;
            if bytes > limit {
                return Err(out_of_room("client.max_gathered_bytes"));
            }
            batch.has_last_row |= nth == last;
        }
    }
    if all.is_empty() {
        all.insert(keyspace.home, vec![Batch { has_last_row: true, ..Batch::default() }]);
    }
    if transfer.to == Receiver::Copies {
        let only = Arc::new(all.into_values().next().unwrap_or_default());
        let shards = (0..keyspace.shards.len()).map(|shard| ShardIndex(shard as u16));
        return Ok(shards.map(|shard| (shard, only.clone())).collect());
    }
    Ok(all.into_iter().map(|(shard, batches)| (shard, Arc::new(batches))).collect())
}

/// A row's cells as the text protocol writes them.
pub(super) fn cells_of<'r>(
    columns: &[ColumnDefinition],
    row: &'r [u8],
    is_binary: bool,
) -> Result<Vec<Option<Cow<'r, [u8]>>>, ProxyError> {
    if is_binary {
        let values = decode_binary_row(row, columns).map_err(unreadable)?;
        return Ok(columns.iter().zip(&values).map(|(column, value)| text_of(column, value)).collect());
    }
    let cells: Result<Vec<Option<&[u8]>>, _> = decode_text_row(row).collect();
    Ok(cells.map_err(unreadable)?.into_iter().map(|cell| cell.map(Cow::Borrowed)).collect())
}

fn text_of<'v>(column: &ColumnDefinition, value: &BinaryValue<'v>) -> Option<Cow<'v, [u8]>> {
    let text = match *value {
        BinaryValue::Null => return None,
        BinaryValue::Bytes(bytes) => return Some(Cow::Borrowed(bytes)),
        BinaryValue::Int(value) => value.to_string(),
        BinaryValue::UInt(value) if column.column_type == podway_wire::ColumnType::MYSQL_TYPE_YEAR => {
            format!("{value:04}")
        }
        BinaryValue::UInt(value) => value.to_string(),
        BinaryValue::Float(value) => format!("{:e}", f64::from(value)),
        BinaryValue::Double(value) => format!("{value:e}"),
        BinaryValue::Date { year, month, day, hour, minute, second, micros } => {
            let date = format!("{year:04}-{month:02}-{day:02}");
            match column.column_type {
                podway_wire::ColumnType::MYSQL_TYPE_DATE | podway_wire::ColumnType::MYSQL_TYPE_NEWDATE => {
                    date
                }
                _ => format!("{date} {hour:02}:{minute:02}:{second:02}{}", fraction(column, micros)),
            }
        }
        BinaryValue::Time { negative, days, hours, minutes, seconds, micros } => {
            let sign = if negative { "-" } else { "" };
            let hours = u64::from(days) * 24 + u64::from(hours);
            format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{}", fraction(column, micros))
        }
    };
    Some(Cow::Owned(text.into_bytes()))
}

/// A time's fraction in the digits that its column has, as the text protocol writes it.
fn fraction(column: &ColumnDefinition, micros: u32) -> String {
    match usize::from(column.decimals.min(6)) {
        0 => String::new(),
        digits => format!(".{}", &format!("{micros:06}")[..digits]),
    }
}

/// The settings without what bounds the time of a SELECT: that is not for an INSERT.
fn untimed(settings: Arc<Settings>) -> Arc<Settings> {
    if settings.get("max_execution_time").is_none() {
        return settings;
    }
    let mut settings = (*settings).clone();
    settings.put("max_execution_time", b"0");
    Arc::new(settings)
}

/// The query that gives these rows: what a TIMESTAMP's text does not say for certain makes it fail.
fn rows_text(given: &[Given], carriage: &Carriage, document: &[u8]) -> Vec<u8> {
    let names: Vec<String> = (0..given.len()).map(|at| format!("p.{}", column_of(at))).collect();
    let mut text = format!("SELECT {} FROM ", names.join(", ")).into_bytes();
    carriage.derived_table(document, &mut text);
    text.extend_from_slice(b" AS p");
    let guards: Vec<String> =
        given.iter().zip(&names).filter_map(|(given, name)| given.guard(name)).collect();
    if !guards.is_empty() {
        let guard = format!(" WHERE IF({}, 1, (SELECT 1 UNION ALL SELECT 2))", guards.join(" AND "));
        text.extend_from_slice(guard.as_bytes());
    }
    text.push(b' ');
    text
}

fn unnumbered(transfer: &Transfer, what: &str) -> ProxyError {
    ClientError::not_supported(&format!("{what} in INSERT … SELECT into {}", transfer.table)).into()
}

fn uncarried(transfer: &Transfer, why: &str) -> ProxyError {
    ClientError::not_supported(&format!(
        "INSERT … SELECT into {} over several shards, where {why}",
        transfer.table
    ))
    .into()
}
