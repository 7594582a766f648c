//! INSERT … SELECT over several shards: the query runs as a statement of its own inside the statement's transaction, its rows are held, and each shard that gets some is
//! given the statement with these rows in the query's place, as MySQL's JSON_TABLE reads them. What a column then stores, MySQL says, as of the query's own values.

use std::borrow::Cow;
use std::collections::BTreeMap;

use podway_model::{Keyspace, ShardIndex};
use podway_router::{
    KeyValue, Normalised, Piece, Plan, Receiver, Route, Scatter, Statement, Target, Transfer, Want,
};
use podway_wire::{BinaryValue, ColumnDefinition, ResponseKind, decode_binary_row, decode_text_row};

use super::captured::Captured;
use super::core::{Planned, Session, Spot};
use super::gather::{Bound, keys_of, reading};
use super::key_cells::key_of_cell;
use super::move_rows::{execution, unreadable};
use super::query_columns::{Given, column_of, columns_of};
use super::scatter::{Done, Frame};
use crate::error::{ClientError, ProxyError};
use crate::execute::{Carriage, execute_packet, sequence_of_answer};
use crate::numbers::Wanted;

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
        let captured = self.capture(frame, transfer, &numbers).await?;
        let given = columns_of(&captured.columns, transfer).map_err(|why| uncarried(transfer, &why))?;
        let columns: Vec<_> = given.iter().map(|given| given.column.clone()).collect();
        let carriage = Carriage::of(&columns).map_err(|error| uncarried(transfer, &error.to_string()))?;
        let batches = {
            let plan = &frame.planned.plan;
            let captured = (&captured, is_bound);
            batches(plan, transfer, keyspace, captured, (&given, &carriage))?
        };
        let brought = brought_numbers(transfer, (&captured, is_bound))?;
        drop(captured);
        self.claim_numbers(keyspace, transfer, &brought).await?;
        let other = transfer.other_params();
        let mut is_first = true;
        for (shard, batches) in batches {
            let spot = self.target(frame, shard).await?;
            for batch in batches {
                let rows = rows_text(&given, &carriage, &batch.document);
                let piece = Piece::of_query(shard, batch.has_last_row);
                let to = (&spot, &piece, is_first || !scatter.is_copies);
                self.insert_batch(frame, transfer, to, (&rows, &other), done).await?;
            }
            is_first = false;
        }
        Ok(())
    }

    /// Has the numbers that the rows bring for an AUTO_INCREMENT column given to nobody else.
    async fn claim_numbers(
        &mut self,
        keyspace: &Keyspace,
        transfer: &Transfer,
        brought: &[Want],
    ) -> Result<(), ProxyError> {
        let names = self.shared.map.load().names;
        let table = keyspace.tables.get(names.fold(&transfer.table).as_ref());
        let counted = match &transfer.to {
            Receiver::Sharded(table) => Some(table),
            Receiver::Copies => table,
            Receiver::Home => None,
        };
        let Some(table) = counted.filter(|table| table.counter().is_some()) else { return Ok(()) };
        if brought.is_empty() || !self.shared.numbers.has_source() {
            return Ok(());
        }
        let of = Wanted { keyspace: &keyspace.name, table, wants: brought };
        self.reserve_numbers(of).await.map(drop)
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
        let settings = reading(frame.settings);
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
        self.captured = Some(captured);
        read
    }

    /// Has one shard insert some of the rows.
    async fn insert_batch(
        &mut self,
        frame: Frame<'_>,
        transfer: &Transfer,
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
        let query = self.query_packet(if other.is_empty() { &sql } else { b"" });
        let work = async {
            done.begin_on(&mut connection, of).await?;
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

/// The numbers that the rows bring for an AUTO_INCREMENT column.
fn brought_numbers(
    transfer: &Transfer,
    (captured, is_binary): (&Captured, bool),
) -> Result<Vec<Want>, ProxyError> {
    let given = transfer.columns.as_deref().unwrap_or_default();
    let Some(at) = given.iter().position(|column| column.auto_increment) else { return Ok(Vec::new()) };
    let mut brought = Vec::with_capacity(captured.rows.len());
    for row in captured.rows.iter() {
        let cells = cells_of(&captured.columns, row, is_binary)?;
        let cell = cells.get(at).and_then(|cell| cell.as_deref());
        let value = captured.columns.get(at).map(|column| key_of_cell(column, cell));
        brought.extend(
            match value {
                Some(KeyValue::Int(number)) => u64::try_from(number).ok(),
                Some(KeyValue::UInt(number)) => Some(number),
                _ => None,
            }
            .filter(|number| *number > 0)
            .map(Want::Explicit),
        );
    }
    Ok(brought)
}

/// The rows by their shards; one shard at least, which says what is wrong if there are no rows.
fn batches(
    plan: &Plan,
    transfer: &Transfer,
    keyspace: &Keyspace,
    (captured, is_binary): (&Captured, bool),
    (given, carriage): (&[Given], &Carriage),
) -> Result<BTreeMap<ShardIndex, Vec<Batch>>, ProxyError> {
    let mut all: BTreeMap<ShardIndex, Vec<Batch>> = BTreeMap::new();
    let (columns, last) = (&captured.columns, captured.rows.len().wrapping_sub(1));
    for (nth, row) in captured.rows.iter().enumerate() {
        let cells = cells_of(columns, row, is_binary)?;
        let cell = |at: usize| cells.get(at).and_then(|cell| cell.as_deref());
        let value = |at: usize| match columns.get(at) {
            Some(column) => key_of_cell(column, cell(at)),
            None => KeyValue::Unknown,
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
            let put = carriage.put_row(taken.iter().map(|cell| cell.as_deref()), &mut batch.document);
            put.map_err(|error| uncarried(transfer, &error.to_string()))?;
            batch.has_last_row |= nth == last;
        }
    }
    if all.is_empty() {
        all.insert(keyspace.home, vec![Batch { has_last_row: true, ..Batch::default() }]);
    }
    if transfer.to == Receiver::Copies {
        let mut rows: Vec<Vec<Batch>> = all.into_values().collect();
        let only = rows.pop().unwrap_or_default();
        let copy = |batch: &Batch| Batch { document: batch.document.clone(), ..*batch };
        let shards = (0..keyspace.shards.len()).map(|shard| ShardIndex(shard as u16));
        return Ok(shards.map(|shard| (shard, only.iter().map(copy).collect())).collect());
    }
    Ok(all)
}

/// A row's cells as the text protocol writes them.
fn cells_of<'r>(
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
        BinaryValue::UInt(value) => value.to_string(),
        BinaryValue::Float(value) => format!("{:e}", f64::from(value)),
        BinaryValue::Double(value) => format!("{value:e}"),
        BinaryValue::Date { year, month, day, hour, minute, second, micros } => {
            let date = format!("{year:04}-{month:02}-{day:02}");
            match column.column_type {
                podway_wire::ColumnType::MYSQL_TYPE_DATE | podway_wire::ColumnType::MYSQL_TYPE_NEWDATE => {
                    date
                }
                _ => format!("{date} {hour:02}:{minute:02}:{second:02}.{micros:06}"),
            }
        }
        BinaryValue::Time { negative, days, hours, minutes, seconds, micros } => {
            let sign = if negative { "-" } else { "" };
            let hours = u64::from(days) * 24 + u64::from(hours);
            format!("{sign}{hours:02}:{minutes:02}:{seconds:02}.{micros:06}")
        }
    };
    Some(Cow::Owned(text.into_bytes()))
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

fn uncarried(transfer: &Transfer, why: &str) -> ProxyError {
    ClientError::not_supported(&format!(
        "INSERT … SELECT into {} over several shards, where {why}",
        transfer.table
    ))
    .into()
}
