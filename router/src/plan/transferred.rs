//! What shards get of INSERT … SELECT, and which of its rows. Read next: [`super::scatter`], which says when that may be.

use podway_model::{ColumnType, Keyspace, ShardIndex};

use super::numbered::Want;
use super::plan::Plan;
use super::rewrite::{Facts, put_name};
use super::scatter::{Receiver, Transfer};
use crate::vindex::{CounterValue, InsertId, counter_value, keyspace_id_for_insert};
use crate::{ClientCharset, KeyValue, Normalised, RouterError, SqlMode, TemplateSpan};

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
        let mut head = TemplateSpan { start: 0, end: transfer.query.start };
        if let Some((at, name)) = &transfer.added {
            self.rewrite_span(TemplateSpan { end: *at, ..head }, sql, n, facts, out);
            out.extend_from_slice(b", ");
            put_name(name.as_str().as_bytes(), ClientCharset::Utf8, out);
            head.start = *at;
        }
        self.rewrite_span(head, sql, n, facts, out);
        // The query may have begun with a parenthesis.
        out.push(b' ');
        out.extend_from_slice(rows);
        self.rewrite_end(transfer.query.end, sql, n, facts, out);
    }

    /// What a row wants of the cluster's numbers, by what it gives for the AUTO_INCREMENT column; an error where that is not certain.
    pub fn row_want(&self, transfer: &Transfer, value: KeyValue<'_>) -> Result<Want, RouterError> {
        let counter = transfer.columns.iter().flatten().find(|column| column.auto_increment);
        if let Some(column) =
            counter.filter(|column| matches!(column.column_type, ColumnType::Integer { .. }))
        {
            let mode = self.values.sql_mode;
            let mode = if transfer.ignore { mode - SqlMode::STRICT } else { mode };
            return match counter_value(column, &value, mode) {
                CounterValue::Generated => Ok(Want::Next),
                CounterValue::Number(number) => Ok(u64::try_from(number)
                    .ok()
                    .filter(|number| *number > 0)
                    .map_or(Want::Nothing, Want::Explicit)),
                CounterValue::Refused => Ok(Want::Nothing),
                CounterValue::Uncertain => Err(RouterError::unsupported(format_args!(
                    "AUTO_INCREMENT numbers whose stored form only MySQL can tell, among the rows of INSERT … SELECT into {},",
                    transfer.table
                ))),
            };
        }
        let keeps_zero = self.values.sql_mode.contains(SqlMode::NO_AUTO_VALUE_ON_ZERO);
        match value {
            KeyValue::Null => Ok(Want::Next),
            KeyValue::Int(0) | KeyValue::UInt(0) if !keeps_zero => Ok(Want::Next),
            KeyValue::Int(number) => match u64::try_from(number) {
                Ok(number) if number > 0 => Ok(Want::Explicit(number)),
                _ => Ok(Want::Nothing),
            },
            KeyValue::UInt(0) => Ok(Want::Nothing),
            KeyValue::UInt(number) => Ok(Want::Explicit(number)),
            _ => Err(RouterError::unsupported(format_args!(
                "AUTO_INCREMENT numbers that are no integers, among the rows of INSERT … SELECT into {},",
                transfer.table
            ))),
        }
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
