//! From a plan and this statement's values to a shard. The hot path: no parsing, and no allocation but for a string with escapes.

use podway_model::{Column, ColumnType, Keyspace, KeyspaceId, Map, Name, ShardIndex, Table, TableKind};

use super::pins::unpinned;
use super::plan::Plan;
use super::scatter::Scatter;
use super::target::{KeyPin, KeySource, KeyUse, Route, Target};
use crate::vindex::{
    InsertId, KeyValue, Pinned, PredicateId, ValueContext, default_value, keyspace_id_for_insert,
    keyspace_id_for_predicate, literal_value, stored_literals,
};
use crate::{Normalised, RouterError, SqlMode, Statement};

impl Plan {
    /// The shard for this statement: `sql` and `n` are its own bytes, `params` its bound parameters.
    pub fn route(
        &self,
        map: &Map,
        sql: &[u8],
        n: &Normalised,
        params: &[KeyValue<'_>],
    ) -> Result<Route, RouterError> {
        self.route_numbered(map, (sql, n), params, &[])
    }

    /// The same, with the numbers that the cluster gave to its rows.
    pub fn route_numbered(
        &self,
        map: &Map,
        (sql, n): (&[u8], &Normalised),
        params: &[KeyValue<'_>],
        numbers: &[Option<u64>],
    ) -> Result<Route, RouterError> {
        if let Statement::Malformed(at) = self.recognised.statement {
            return Err(RouterError::syntax(sql, n.original_offset(at as usize)));
        }
        if let Some(hint) = n.hint(sql)
            && let Some(route) = self.hinted_route(map, hint, n)?
        {
            return Ok(route);
        }
        self.planned_route(map, (sql, n), params, numbers)
    }

    fn planned_route(
        &self,
        map: &Map,
        (sql, n): (&[u8], &Normalised),
        params: &[KeyValue<'_>],
        numbers: &[Option<u64>],
    ) -> Result<Route, RouterError> {
        match &self.target {
            Target::Nowhere => Ok(Route::Nowhere),
            Target::Refused(error) => Err(error.clone()),
            Target::Any { .. } => self.check_names(map, None).map(|()| Route::Any),
            Target::Home { keyspace } => {
                let name = keyspace.as_ref().ok_or_else(RouterError::no_database)?;
                Ok(Route::Shard(existing(map, name)?.home))
            }
            Target::Gathered { keyspace } => {
                match self.gather.as_deref().filter(|gather| gather.is_catalog()) {
                    Some(gather) => {
                        Ok(self.catalog_route(existing(map, keyspace)?, gather, (sql, n), params))
                    }
                    None => Ok(Route::Gather),
                }
            }
            Target::Scattered { .. } => {
                if self.counted.as_ref().is_some_and(|counted| counted.goes_one_by_one(numbers)) {
                    return Err(RouterError::unsupported(
                        "IGNORE or ON DUPLICATE KEY UPDATE with several rows of a reference table that want AUTO_INCREMENT numbers",
                    ));
                }
                if let Some(scatter) = &self.scatter {
                    self.check_counters(scatter, (sql, n), params, numbers)?;
                }
                Ok(Route::Scatter)
            }
            Target::Everywhere { keyspace } => Ok(Route::Shard(existing(map, keyspace)?.home)),
            Target::Whole { keyspace } => {
                let keyspace = existing(map, keyspace)?;
                self.check_names(map, Some(keyspace))?;
                Ok(Route::Shard(keyspace.home))
            }
            Target::Keys { keyspace, pins, needs_home } => {
                let keyspace = existing(map, keyspace)?;
                let values = Given { plan: self, sql, n, params, numbers };
                if self.counted.as_ref().is_some_and(|counted| counted.goes_one_by_one(numbers)) {
                    return self.on_several(values, pins, unpinned(""));
                }
                let shard = match values.shard(keyspace, pins) {
                    Err(_) if self.gather.is_some() => return Ok(Route::Gather),
                    Err(error) => return self.on_several(values, pins, error),
                    Ok(shard) => shard,
                };
                match shard {
                    Some(shard) if *needs_home && shard != keyspace.home && self.gather.is_some() => {
                        Ok(Route::Gather)
                    }
                    Some(shard) if *needs_home && shard != keyspace.home && self.scatter.is_some() => {
                        Ok(Route::Scatter)
                    }
                    Some(shard) if *needs_home && shard != keyspace.home => Err(RouterError::unsupported(
                        "a statement that needs several shards: tables of the home shard with rows of another",
                    )),
                    Some(shard) => Ok(Route::Shard(shard)),
                    None if *needs_home => Ok(Route::Shard(keyspace.home)),
                    None => Ok(Route::Any),
                }
            }
        }
    }

    /// The shards that these keys of a table lead to; all where there are none, or where one's place is not certain.
    pub fn shards(
        &self,
        keyspace: &Keyspace,
        keys: &[KeyPin],
        (sql, n): (&[u8], &Normalised),
        params: &[KeyValue<'_>],
    ) -> Vec<ShardIndex> {
        let all = || (0..keyspace.shards.len()).map(|shard| ShardIndex(shard as u16)).collect();
        if keys.is_empty() {
            return all();
        }
        let values = Given { plan: self, sql, n, params, numbers: &[] };
        let mut found = Vec::new();
        for key in keys {
            match values.id(key) {
                Ok(None) => {}
                Ok(Some(id)) => found.push(keyspace.shard_of(id)),
                Err(_) => return all(),
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// A write whose keys do not lead to one shard, as `error` says.
    fn on_several<'a>(
        &self,
        values: Given<'a>,
        pins: &'a [KeyPin],
        error: RouterError,
    ) -> Result<Route, RouterError> {
        // Each row must have its place, whatever the others have.
        let mut rows = pins.iter().filter(|pin| matches!(pin.usage, KeyUse::Insert { .. }));
        rows.try_for_each(|pin| values.id(pin).map(|_| ()))?;
        match (&self.scatter, &self.unscattered) {
            (Some(_), _) => Ok(Route::Scatter),
            (None, Some(reason)) => Err((**reason).clone()),
            (None, None) => Err(error),
        }
    }

    /// The shards of the rows that an INSERT lists; none for a row that MySQL refuses.
    pub(super) fn row_shards(
        &self,
        keyspace: &Keyspace,
        (sql, n): (&[u8], &Normalised),
        params: &[KeyValue<'_>],
        numbers: &[Option<u64>],
    ) -> Result<Vec<Option<ShardIndex>>, RouterError> {
        let Target::Keys { pins, .. } = &self.target else { return Ok(Vec::new()) };
        let values = Given { plan: self, sql, n, params, numbers };
        pins.iter().map(|pin| Ok(values.id(pin)?.map(|id| keyspace.shard_of(id)))).collect()
    }

    /// The shard that one key leads to; none where MySQL refuses it, or where no row can have it.
    pub(super) fn key_shard(
        &self,
        keyspace: &Keyspace,
        pin: &KeyPin,
        (sql, n): (&[u8], &Normalised),
        params: &[KeyValue<'_>],
    ) -> Result<Option<ShardIndex>, RouterError> {
        let values = Given { plan: self, sql, n, params, numbers: &[] };
        Ok(values.id(pin)?.map(|id| keyspace.shard_of(id)))
    }

    /// A key as rows have it that get it, as literals; none where that is not certain.
    pub(super) fn key_literals(
        &self,
        pin: &KeyPin,
        (sql, n): (&[u8], &Normalised),
        params: &[KeyValue<'_>],
    ) -> Option<Vec<Vec<u8>>> {
        let values = Given { plan: self, sql, n, params, numbers: &[] };
        let key = pin.columns.iter().zip(pin.table.key_columns());
        let key = key.map(|(source, column)| values.value(*source, column));
        stored_literals(&pin.table, key, self.values.sql_mode)
    }

    /// Whether every copy of a reference table gets the same numbers for its AUTO_INCREMENT column.
    pub(super) fn check_counters(
        &self,
        scatter: &Scatter,
        (sql, n): (&[u8], &Normalised),
        params: &[KeyValue<'_>],
        numbers: &[Option<u64>],
    ) -> Result<(), RouterError> {
        let Some(counters) = scatter.counters.as_ref().filter(|_| numbers.is_empty()) else { return Ok(()) };
        let values = Given { plan: self, sql, n, params, numbers };
        let mode = self.values.sql_mode;
        counters.values.iter().try_for_each(|&source| values.check_counter(source, &counters.table, mode))
    }

    /// Whether the other databases that it names are where it goes.
    fn check_names(&self, map: &Map, target: Option<&Keyspace>) -> Result<(), RouterError> {
        let names = &self.names;
        let server = |keyspace: &Keyspace| keyspace.shard(keyspace.home).map(|shard| shard.server);
        for neighbour in &names.neighbours {
            let neighbour = existing(map, neighbour)?;
            let together =
                target.is_some_and(|target| neighbour.is_single() && server(neighbour) == server(target));
            if !together {
                let what = format_args!("a statement with keyspaces on several servers ({})", neighbour.name);
                return Err(RouterError::unsupported(what));
            }
        }
        let is_physical = |name: &Name| {
            let mut shards = map.keyspaces().flat_map(|keyspace| &keyspace.shards);
            shards.any(|shard| shard.schema == *name) && map.keyspace(name).is_none()
        };
        if let Some(name) = names.foreign.iter().chain(&names.suspects).find(|name| is_physical(name)) {
            return Err(RouterError::unknown_database(name));
        }
        if let Some(name) = names.foreign.first().filter(|_| !map.is_one_server()) {
            return Err(RouterError::unknown_database(name));
        }
        let spliced = |keyspace: &Keyspace| {
            keyspace.shard(keyspace.home).is_some_and(|shard| shard.schema != keyspace.name)
        };
        if let Some(name) = &names.ambiguous
            && spliced(existing(map, name)?)
        {
            return Err(RouterError::unsupported(format_args!(
                "a statement in which {name} names a database and something else"
            )));
        }
        Ok(())
    }
}

fn existing<'m>(map: &'m Map, name: &Name) -> Result<&'m Keyspace, RouterError> {
    map.keyspace(name).map(|keyspace| &**keyspace).ok_or_else(|| RouterError::unknown_database(name))
}

/// A plan with the values of one statement.
pub(super) struct Given<'a> {
    pub plan: &'a Plan,
    pub sql: &'a [u8],
    pub n: &'a Normalised,
    pub params: &'a [KeyValue<'a>],
    /// What the cluster gave to its rows; empty where it was not asked.
    pub numbers: &'a [Option<u64>],
}

impl<'a> Given<'a> {
    /// The one shard of all pins; none where no pin leads to any row.
    fn shard(&self, keyspace: &Keyspace, pins: &'a [KeyPin]) -> Result<Option<ShardIndex>, RouterError> {
        let mut only = None;
        for pin in pins {
            let Some(id) = self.id(pin)? else { continue };
            let shard = keyspace.shard_of(id);
            if only.is_some_and(|only| only != shard) {
                return Err(RouterError::unsupported(
                    "a statement that needs several shards: its keys lie on different ones",
                ));
            }
            only = Some(shard);
        }
        Ok(only)
    }

    fn id(&self, pin: &'a KeyPin) -> Result<Option<KeyspaceId>, RouterError> {
        let values =
            || pin.columns.iter().zip(pin.table.key_columns()).map(|(source, key)| self.value(*source, key));
        let uncertain = || unpinned(pin.table.name.as_str());
        match &pin.usage {
            KeyUse::Predicate { null_safe, listed } => {
                if *listed
                    && !values().zip(pin.table.key_columns()).all(|(value, key)| is_natural(&value, key))
                {
                    return Err(uncertain());
                }
                let key = values().zip(null_safe).map(|(value, &null_safe)| Pinned { value, null_safe });
                match keyspace_id_for_predicate(&pin.table, key) {
                    PredicateId::Id(id) => Ok(Some(id)),
                    PredicateId::NoRow => Ok(None),
                    PredicateId::Uncertain => Err(uncertain()),
                }
            }
            KeyUse::Insert { ignore, counter, row } => {
                let mode = self.plan.values.sql_mode;
                let mode = if *ignore { mode - SqlMode::STRICT } else { mode };
                if let Some(source) = counter.filter(|_| self.numbers.is_empty()) {
                    self.check_counter(source, &pin.table, mode)?;
                }
                let number = self.numbers.get(*row as usize).copied().flatten();
                let values = values().zip(pin.table.key_columns()).map(|(value, key)| match number {
                    Some(number) if key.auto_increment => KeyValue::UInt(number),
                    _ => value,
                });
                match keyspace_id_for_insert(&pin.table, values, mode) {
                    InsertId::Id(id) => Ok(Some(id)),
                    InsertId::Refused => Ok(None),
                    InsertId::Generated => Err(generated(&pin.table)),
                    InsertId::Uncertain => Err(RouterError::unsupported(format_args!(
                        "a sharding key of {} whose stored form only MySQL can tell",
                        pin.table.name
                    ))),
                }
            }
        }
    }

    pub(super) fn value(&self, source: KeySource, key: &'a Column) -> KeyValue<'a> {
        let values = &self.plan.values;
        let context =
            ValueContext { sql_mode: values.sql_mode, charset: values.charset, collation: &values.collation };
        let literal = |at: u32| literal_value(self.sql, self.n.literals(), at as usize, &context);
        match source {
            KeySource::Literal(at) => literal(at),
            KeySource::NegatedLiteral(at) => literal(at).negated(),
            KeySource::Param(at) => self.params.get(at as usize).cloned().unwrap_or(KeyValue::Unknown),
            KeySource::Integer(value) => KeyValue::Int(value),
            KeySource::Null => KeyValue::Null,
            KeySource::Default => default_value(key).unwrap_or(KeyValue::Unknown),
        }
    }

    /// An AUTO_INCREMENT column must get a number of its own: the shards' counters know nothing of each other.
    fn check_counter(&self, source: KeySource, table: &'a Table, mode: SqlMode) -> Result<(), RouterError> {
        let Some(column) = table.columns.iter().find(|column| column.auto_increment) else {
            return Ok(());
        };
        let zero_is_a_value = mode.contains(SqlMode::NO_AUTO_VALUE_ON_ZERO);
        match self.value(source, column) {
            KeyValue::Int(value) if value != 0 || zero_is_a_value => Ok(()),
            KeyValue::UInt(value) if value != 0 || zero_is_a_value => Ok(()),
            KeyValue::Text { bytes, .. } if bytes.iter().any(|byte| matches!(byte, b'1'..=b'9')) => {
                let number = bytes.iter().all(u8::is_ascii_digit);
                if number { Ok(()) } else { Err(generated(table)) }
            }
            _ => Err(generated(table)),
        }
    }
}

fn generated(table: &Table) -> RouterError {
    let kind = if matches!(table.kind, TableKind::Reference) { "reference" } else { "sharded" };
    RouterError::unsupported(format_args!("AUTO_INCREMENT numbers for the {kind} table {}", table.name))
}

/// Whether the value is of the column's own kind: in a list of several kinds MySQL may compare otherwise than one by one.
fn is_natural(value: &KeyValue<'_>, column: &Column) -> bool {
    matches!(
        (value, &column.column_type),
        (KeyValue::Null, _)
            | (KeyValue::Int(_) | KeyValue::UInt(_), ColumnType::Integer { .. })
            | (KeyValue::Text { .. }, ColumnType::Char(_) | ColumnType::Varchar(_) | ColumnType::Text(_))
            | (KeyValue::Bytes(_), ColumnType::Binary(_) | ColumnType::Varbinary(_) | ColumnType::Blob(_))
    )
}
