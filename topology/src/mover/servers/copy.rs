//! Everything of a schema, brought from under the fence into one that is laid out and empty: rows, triggers, views, grants; then compared. It begins anew each time.

use mysql_async::prelude::Queryable;
use mysql_async::{Row, Value};

use super::super::error::MoveError;
use super::arrival::Arrival;
use super::columns::{Column, columns};
use super::compare::compare;
use super::control::Control;
use super::grants::bring_grants;
use super::layout::{laid_out, lay_out};
use super::objects::{make_triggers, make_views, tables, triggers};
use super::text::name;

/// An INSERT is sent when it has become so long, in bytes.
const BATCH: usize = 1 << 20;
/// A transaction has so many of them.
const BATCHES_A_TRANSACTION: usize = 16;
/// What the target takes in one packet beyond the statement itself.
const PACKET_MARGIN: usize = 1 << 10;

/// Copies a schema and compares the two.
pub async fn catch_up(
    source: &mut Control,
    target: &mut Control,
    arrival: &Arrival<'_>,
) -> Result<(), MoveError> {
    let counters = match laid_out(source, target, arrival).await? {
        Some(counters) => counters,
        None => {
            lay_out(source, target, arrival).await?;
            Vec::new()
        }
    };
    for (table, counter) in counters {
        target.change(format!("ALTER TABLE {} AUTO_INCREMENT = {counter}", name(&table))).await?;
    }
    copy_tables(source, target, arrival).await?;
    let triggers = triggers(source, arrival.from_schema).await?;
    make_triggers(target, &triggers).await?;
    make_views(source, target, arrival.from_schema).await?;
    compare(source, target, arrival).await?;
    raise_floor(source, target, arrival).await?;
    bring_grants(source, target, arrival).await
}

/// Sees to it that stamps on the target are above all that the shard's rows have got on the source.
async fn raise_floor(
    source: &mut Control,
    target: &mut Control,
    arrival: &Arrival<'_>,
) -> Result<(), MoveError> {
    let tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '_podway' AND table_name = 'mark'";
    if source.row::<u64>(tables).await? == 0 {
        return Ok(());
    }
    let highest: u64 = source.row("SELECT COALESCE(MAX(ts), 0) FROM _podway.mark").await?;
    if highest == 0 {
        return Ok(());
    }
    let sql = "INSERT INTO _podway.mark (g, ts, parts) VALUES (?, ?, '') ON DUPLICATE KEY UPDATE ts = GREATEST(ts, VALUES(ts))";
    target.change_with(sql, (format!("move-{}", arrival.operation.0), highest)).await
}

async fn copy_tables(
    source: &mut Control,
    target: &mut Control,
    arrival: &Arrival<'_>,
) -> Result<(), MoveError> {
    let longest: usize = target.row("SELECT @@max_allowed_packet").await?;
    let longest = longest.saturating_sub(PACKET_MARGIN);
    let tables = tables(source, arrival.from_schema, "BASE TABLE").await?;
    let mut all_columns = Vec::new();
    for table in &tables {
        all_columns.push(columns(source, arrival.from_schema, table).await?);
    }
    // Text comes in the bytes of its own character set.
    source.set("SET SESSION character_set_results = NULL").await?;
    target.set("BEGIN").await?;
    let mut sent = 0;
    for (table, columns) in tables.iter().zip(&all_columns) {
        let columns: Vec<&Column> = columns.iter().filter(|column| !column.is_generated()).collect();
        copy_rows(source, target, table, &columns, &mut Batch { sql: Vec::new(), sent: &mut sent, longest })
            .await?;
    }
    target.change("COMMIT").await?;
    source.set("SET NAMES utf8mb4").await
}

async fn copy_rows(
    source: &mut Control,
    target: &mut Control,
    table: &str,
    columns: &[&Column],
    batch: &mut Batch<'_>,
) -> Result<(), MoveError> {
    let names: Vec<String> = columns.iter().map(|column| column.name()).collect();
    let reads: Vec<String> = columns.iter().map(|column| column.read()).collect();
    let head = format!("INSERT INTO {} ({}) VALUES ", name(table), names.join(", "));
    let server = source.server().to_owned();
    let sql = format!("SELECT {} FROM {}", reads.join(", "), name(table));
    let failed = |error| MoveError::Server { server: server.as_str().into(), error };
    let mut rows = source.stream().query_iter(sql).await.map_err(failed)?;
    while let Some(row) = rows.next().await.map_err(failed)? {
        let written = write_row(&row, columns);
        if head.len() + written.len() > batch.longest {
            return Err(MoveError::Refused(format!(
                "table {table} has a row of {} bytes, more than max_allowed_packet of server {} allows",
                written.len(),
                target.server()
            )));
        }
        if batch.sql.len() + written.len() > BATCH.min(batch.longest) {
            batch.send(target).await?;
        }
        batch.push(&head, &written);
    }
    batch.send(target).await
}

/// Rows on their way.
struct Batch<'a> {
    sql: Vec<u8>,
    /// How many were sent, of all tables.
    sent: &'a mut usize,
    /// What the target takes in one packet.
    longest: usize,
}

impl Batch<'_> {
    fn push(&mut self, head: &str, row: &[u8]) {
        match self.sql.is_empty() {
            true => self.sql.extend_from_slice(head.as_bytes()),
            false => self.sql.push(b','),
        }
        self.sql.extend_from_slice(row);
    }

    async fn send(&mut self, target: &mut Control) -> Result<(), MoveError> {
        if self.sql.is_empty() {
            return Ok(());
        }
        target.change(std::mem::take(&mut self.sql)).await?;
        *self.sent += 1;
        if self.sent.is_multiple_of(BATCHES_A_TRANSACTION) {
            target.change("COMMIT").await?;
            target.set("BEGIN").await?;
        }
        Ok(())
    }
}

fn write_row(row: &Row, columns: &[&Column]) -> Vec<u8> {
    let mut sql = vec![b'('];
    for (place, column) in columns.iter().enumerate() {
        if place > 0 {
            sql.push(b',');
        }
        match row.as_ref(place) {
            Some(Value::Bytes(bytes)) => column.write(Some(bytes), &mut sql),
            // The text protocol knows bytes and NULL only.
            _ => column.write(None, &mut sql),
        }
    }
    sql.push(b')');
    sql
}
