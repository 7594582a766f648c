//! What shards are asked where an UPDATE gives rows other sharding keys, and where these lead. Read next: [`super::scatter`], which says when that may be.

use podway_model::{Keyspace, KeyspaceId, Name, ShardIndex, Table};

use super::plan::Plan;
use super::rewrite::{Facts, put_name};
use super::scatter::{Moves, NewValue, uncertain};
use super::target::KeySource;
use crate::vindex::{InsertId, keyspace_id_for_insert};
use crate::{ClientCharset, KeyValue, Normalised, RouterError, SqlMode};

/// Where a statement's rows go by their new keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// All to this shard; the values, as literals, in the order of the key.
    One(ShardIndex, Vec<Vec<u8>>),
    /// None: MySQL refuses the value.
    Nowhere,
    /// Each its own: MySQL computes it.
    ByRow,
}

impl Plan {
    /// Where the rows go, as far as the statement says. `literal` writes a parameter's value.
    pub fn destination(
        &self,
        moves: &Moves,
        keyspace: &Keyspace,
        (sql, n): (&[u8], &Normalised),
        params: &[KeyValue<'_>],
        literal: &dyn Fn(u32) -> Option<Vec<u8>>,
    ) -> Result<Destination, RouterError> {
        let Some(pin) = &moves.given else { return Ok(Destination::ByRow) };
        let Some(shard) = self.key_shard(keyspace, pin, (sql, n), params)? else {
            return Ok(Destination::Nowhere);
        };
        let mut texts = Vec::with_capacity(moves.values.len());
        for (value, source) in moves.values.iter().zip(&pin.columns) {
            let NewValue::Set(span) = value else { return Ok(Destination::ByRow) };
            texts.push(match source {
                KeySource::Param(number) => literal(*number).ok_or_else(|| uncertain(&moves.table))?,
                _ => sql.get(n.original_range(span.range())).unwrap_or_default().to_vec(),
            });
        }
        Ok(Destination::One(shard, texts))
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

    /// Where a row with this new key goes; `None` where MySQL refuses the value.
    pub fn new_key_shard<'v>(
        &self,
        moves: &Moves,
        keyspace: &Keyspace,
        key: impl IntoIterator<Item = KeyValue<'v>>,
    ) -> Result<Option<ShardIndex>, RouterError> {
        match keyspace_id_for_insert(&moves.table, key, self.values.sql_mode) {
            InsertId::Id(id) => Ok(Some(keyspace.shard_of(id))),
            InsertId::Refused => Ok(None),
            InsertId::Generated | InsertId::Uncertain => Err(uncertain(&moves.table)),
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
