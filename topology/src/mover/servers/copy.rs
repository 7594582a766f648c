//! Everything of a schema, brought from under the fence into an empty one: tables, rows, triggers, views, grants; then compared. It begins anew each time.

use mysql_async::prelude::Queryable;
use mysql_async::{Row, Value};

use super::super::error::MoveError;
use super::arrival::Arrival;
use super::columns::{Column, columns};
use super::compare::compare;
use super::control::Control;
use super::grants::bring_grants;
use super::objects::{make_triggers, make_views, tables, triggers};
use super::prepare::make;
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
    make(source, target, arrival).await?;
    source.set(&format!("USE {}", name(arrival.from_schema))).await?;
    target.set(&format!("USE {}", name(arrival.to_schema))).await?;
    for control in [&mut *source, &mut *target] {
        without_invisible_keys(control).await?;
    }
    for table in tables(source, arrival.from_schema, "BASE TABLE").await? {
        let (_, definition): (String, String) =
            source.row(&format!("SHOW CREATE TABLE {}", name(&table))).await?;
        target.change(definition).await?;
        let columns = columns(source, arrival.from_schema, &table).await?;
        copy_rows(source, target, &table, &columns).await?;
    }
    let triggers = triggers(source, arrival.from_schema).await?;
    make_triggers(target, &triggers).await?;
    make_views(source, target, arrival.from_schema).await?;
    compare(source, target, arrival).await?;
    bring_grants(source, target, arrival).await
}

/// Tables get the primary keys that they have, and no others.
async fn without_invisible_keys(control: &mut Control) -> Result<(), MoveError> {
    control.set("SET SESSION sql_require_primary_key = 0").await?;
    let known: Vec<(String, String)> =
        control.rows("SHOW VARIABLES LIKE 'sql_generate_invisible_primary_key'").await?;
    if known.is_empty() {
        return Ok(());
    }
    let sql = "SET SESSION sql_generate_invisible_primary_key = 0, \
               show_gipk_in_create_table_and_information_schema = 1";
    control.set(sql).await
}

async fn copy_rows(
    source: &mut Control,
    target: &mut Control,
    table: &str,
    columns: &[Column],
) -> Result<(), MoveError> {
    let columns: Vec<&Column> = columns.iter().filter(|column| !column.is_generated()).collect();
    let longest: usize = target.row("SELECT @@max_allowed_packet").await?;
    let longest = longest.saturating_sub(PACKET_MARGIN);
    let names: Vec<String> = columns.iter().map(|column| column.name()).collect();
    let reads: Vec<String> = columns.iter().map(|column| column.read()).collect();
    let head = format!("INSERT INTO {} ({}) VALUES ", name(table), names.join(", "));
    let mut batch = Batch { head, sql: Vec::new(), sent: 0 };
    let server = source.server().to_owned();
    // Text comes in the bytes of its own character set.
    source.set("SET SESSION character_set_results = NULL").await?;
    target.set("BEGIN").await?;
    {
        let sql = format!("SELECT {} FROM {}", reads.join(", "), name(table));
        let failed = |error| MoveError::Server { server: server.as_str().into(), error };
        let mut rows = source.stream().query_iter(sql).await.map_err(failed)?;
        while let Some(row) = rows.next().await.map_err(failed)? {
            let written = write_row(&row, &columns);
            if batch.head.len() + written.len() > longest {
                return Err(MoveError::Refused(format!(
                    "table {table} has a row of {} bytes, more than max_allowed_packet of server {} allows",
                    written.len(),
                    target.server()
                )));
            }
            if batch.sql.len() + written.len() > BATCH.min(longest) {
                batch.send(target).await?;
            }
            batch.push(&written);
        }
    }
    batch.send(target).await?;
    target.change("COMMIT").await?;
    source.set("SET NAMES utf8mb4").await
}

/// Rows on their way.
struct Batch {
    head: String,
    sql: Vec<u8>,
    sent: usize,
}

impl Batch {
    fn push(&mut self, row: &[u8]) {
        match self.sql.is_empty() {
            true => self.sql.extend_from_slice(self.head.as_bytes()),
            false => self.sql.push(b','),
        }
        self.sql.extend_from_slice(row);
    }

    async fn send(&mut self, target: &mut Control) -> Result<(), MoveError> {
        if self.sql.is_empty() {
            return Ok(());
        }
        target.change(std::mem::take(&mut self.sql)).await?;
        self.sent += 1;
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
