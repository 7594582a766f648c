//! What shards are asked where an UPDATE gives rows other sharding keys, and where these lead. Read next: [`super::scatter`], which says when that may be.

use podway_model::{Column, ColumnType, Keyspace, KeyspaceId, Name, ShardIndex, Table};

use super::plan::Plan;
use super::rewrite::{Facts, put_name};
use super::scatter::{Moves, NewValue, uncertain};
use crate::vindex::{InsertId, keyspace_id_for_insert, stored_literals};
use crate::{ClientCharset, KeyValue, Normalised, RouterError, SqlMode};

/// Where a statement's rows go by their new keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// All to this shard; the values as they are stored, as literals, in the order of the key.
    One(ShardIndex, Vec<Vec<u8>>),
    /// None: MySQL refuses the value.
    Nowhere,
    /// Each its own: MySQL computes it.
    ByRow,
}

/// Where a new key leads, and its columns as they are stored, as literals.
pub type NewKey = (ShardIndex, Vec<Vec<u8>>);

impl Plan {
    /// Where the rows go, as far as the statement says.
    pub fn destination(
        &self,
        moves: &Moves,
        keyspace: &Keyspace,
        (sql, n): (&[u8], &Normalised),
        params: &[KeyValue<'_>],
    ) -> Result<Destination, RouterError> {
        let Some(pin) = &moves.given else { return Ok(Destination::ByRow) };
        let Some(shard) = self.key_shard(keyspace, pin, (sql, n), params)? else {
            return Ok(Destination::Nowhere);
        };
        // Never the client's own text: our statements read under another sql_mode than its.
        let key = self.key_literals(pin, (sql, n), params).ok_or_else(|| uncertain(&moves.table))?;
        Ok(Destination::One(shard, key))
    }

    /// Appends the query that locks the rows on a shard and gives the new key of each.
    pub fn new_keys_text(
        &self,
        moves: &Moves,
        (sql, n): (&[u8], &Normalised),
        facts: &Facts<'_>,
        out: &mut Vec<u8>,
    ) {
        for (nth, value) in moves.values.iter().enumerate() {
            out.extend_from_slice(if nth == 0 { b"SELECT " } else { b", " });
            match value {
                NewValue::Set(span) => self.rewrite_span(*span, sql, n, facts, out),
                NewValue::Kept(name) => put_name(name.as_str().as_bytes(), ClientCharset::Utf8, out),
            }
        }
        out.extend_from_slice(b" FROM ");
        self.rewrite_span(moves.from, sql, n, facts, out);
        if let Some(condition) = moves.condition {
            out.extend_from_slice(b" WHERE ");
            self.rewrite_span(condition, sql, n, facts, out);
        }
        out.extend_from_slice(b" FOR UPDATE");
    }

    /// Where a row with this new key goes, and the key as it is stored then, as literals; `None` where MySQL refuses the value.
    pub fn new_key<'v>(
        &self,
        moves: &Moves,
        keyspace: &Keyspace,
        key: impl IntoIterator<Item = KeyValue<'v>>,
    ) -> Result<Option<NewKey>, RouterError> {
        let (table, mode) = (&moves.table, self.values.sql_mode);
        let key: Vec<KeyValue<'v>> = key.into_iter().collect();
        // A column of bytes takes a text's bytes in its own character set, and here it comes in UTF-8.
        let is_in_doubt = |(value, column): (&KeyValue<'_>, &Column)| {
            matches!(column.column_type, ColumnType::Binary(_) | ColumnType::Varbinary(_))
                && matches!(value, KeyValue::Text { .. })
        };
        if key.iter().zip(table.key_columns()).any(is_in_doubt) {
            return Err(uncertain(table));
        }
        match keyspace_id_for_insert(table, key.iter().cloned(), mode) {
            InsertId::Id(id) => {
                let literals = stored_literals(table, key, mode).ok_or_else(|| uncertain(table))?;
                Ok(Some((keyspace.shard_of(id), literals)))
            }
            InsertId::Refused => Ok(None),
            InsertId::Generated | InsertId::Uncertain => Err(uncertain(table)),
        }
    }
}

impl Moves {
    /// The numbers of the parameters in the query for new keys, in their order.
    pub fn params(&self) -> &[u32] {
        &self.params
    }

    /// The key's columns, in the order of the sharding.
    pub fn key_columns(&self) -> impl Iterator<Item = &Name> {
        self.table.key_columns().map(|column| &column.name)
    }

    /// Where a row belongs that has this key, as it is stored.
    pub fn stored_shard<'v>(
        &self,
        keyspace: &Keyspace,
        key: impl IntoIterator<Item = KeyValue<'v>>,
    ) -> Result<ShardIndex, RouterError> {
        stored_id(&self.table, key).map(|id| keyspace.shard_of(id)).ok_or_else(|| uncertain(&self.table))
    }
}

/// The keyspace id of a row whose stored key this is.
pub(super) fn stored_id<'v>(
    table: &Table,
    key: impl IntoIterator<Item = KeyValue<'v>>,
) -> Option<KeyspaceId> {
    match keyspace_id_for_insert(table, key, SqlMode::STRICT | SqlMode::NO_AUTO_VALUE_ON_ZERO) {
        InsertId::Id(id) => Some(id),
        InsertId::Refused | InsertId::Generated | InsertId::Uncertain => None,
    }
}
