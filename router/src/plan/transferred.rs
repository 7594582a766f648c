//! What shards get of INSERT … SELECT, and which of its rows. Read next: [`super::scatter`], which says when that may be.

use podway_model::{Keyspace, ShardIndex};

use super::plan::Plan;
use super::rewrite::Facts;
use super::scatter::{Receiver, Transfer};
use crate::vindex::{InsertId, keyspace_id_for_insert};
use crate::{KeyValue, Normalised, RouterError, SqlMode, TemplateSpan};

impl Plan {
    /// The query whose rows are inserted, as the client wrote it.
    pub fn query_text<'s>(&self, transfer: &Transfer, (sql, n): (&'s [u8], &Normalised)) -> &'s [u8] {
        sql.get(n.original_range(transfer.query.range())).unwrap_or_default()
    }

    /// Appends the statement with `rows`, another query, in the query's place.
    pub fn transfer_text(
        &self,
        transfer: &Transfer,
        rows: &[u8],
        (sql, n): (&[u8], &Normalised),
        facts: &Facts<'_>,
        out: &mut Vec<u8>,
    ) {
        let head = TemplateSpan { start: 0, end: transfer.query.start };
        self.rewrite_span(head, sql, n, facts, out);
        out.extend_from_slice(rows);
        self.rewrite_end(transfer.query.end, sql, n, facts, out);
    }

    /// Where a row goes, by its values in the columns' order; `None`: to any shard, for MySQL refuses it.
    pub fn row_shard<'v>(
        &self,
        transfer: &Transfer,
        keyspace: &Keyspace,
        value: impl Fn(usize) -> KeyValue<'v>,
    ) -> Result<Option<ShardIndex>, RouterError> {
        let columns = transfer.columns.as_deref().unwrap_or_default();
        let mode = self.values.sql_mode;
        let mode = if transfer.ignore { mode - SqlMode::STRICT } else { mode };
        if transfer.to != Receiver::Home
            && let Some(at) = columns.iter().position(|column| column.auto_increment)
        {
            let is_own = match value(at) {
                KeyValue::Int(number) => number != 0 || mode.contains(SqlMode::NO_AUTO_VALUE_ON_ZERO),
                KeyValue::UInt(_) => true,
                _ => false,
            };
            if !is_own {
                return Err(RouterError::unsupported(format_args!(
                    "AUTO_INCREMENT numbers for the rows of INSERT … SELECT into {}",
                    transfer.table
                )));
            }
        }
        let Receiver::Sharded(table) = &transfer.to else { return Ok(None) };
        let place = |name: &podway_model::Name| columns.iter().position(|column| column.name == *name);
        let key = table.key_columns().map(|key| place(&key.name).map_or(KeyValue::Unknown, &value));
        match keyspace_id_for_insert(table, key, mode) {
            InsertId::Id(id) => Ok(Some(keyspace.shard_of(id))),
            InsertId::Refused => Ok(None),
            InsertId::Generated | InsertId::Uncertain => Err(RouterError::unsupported(format_args!(
                "a sharding key of {} whose stored form only MySQL can tell, among the rows of INSERT … SELECT",
                table.name
            ))),
        }
    }
}
