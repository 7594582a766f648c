//! INSERT … SELECT and REPLACE … SELECT in which each row stays on its shard: the target's sharding key is a copy of the key of the rows that the query reads, and every row
//! of the query is made of the rows of one shard. Then every shard runs the statement over its own rows; no row travels, and there is no bound on them. What is not certain
//! to be so is a transfer ([`super::transfers`]).

use podway_model::{Column, ColumnType, Table, TableKind};

use super::inserts::insert_update;
use super::{Scatter, words};
use crate::plan::bind::{Binding, Bound, Place};
use crate::plan::conjuncts::list;
use crate::plan::gather::{find, lies_with};
use crate::plan::pins::{Known, pins_of};
use crate::plan::sketch::parts::{Insert, Role, Run, SourceId, SourceKind};
use crate::plan::tokens::Tokens;
use crate::{Recognised, SqlMode};

/// How every shard inserts its own rows, where that is certain to be what one MySQL would do.
pub(in crate::plan) fn pushed(
    binding: &Binding<'_>,
    recognised: &Recognised,
    insert: &Insert,
) -> Option<Scatter> {
    let t = binding.t;
    let query = insert.query.filter(|query| t.is(query.first, "SELECT"))?;
    check_words(binding, recognised, query)?;
    let of_role =
        |role: Role| (0..binding.sources.len()).filter(move |&id| binding.sketch.sources[id].role == role);
    let target = &binding.sources[of_role(Role::Insert).next()?];
    let Place::Sharded(table) = &target.place else { return None };
    let keyspace = target.keyspace.as_ref()?.name.clone();
    if table.columns.iter().any(|column| column.auto_increment) || sets_key(binding, table) {
        return None;
    }
    let sources: Vec<SourceId> = of_role(Role::Read).collect();
    let block = binding.sketch.sources[*sources.first()?].block;
    let is_plain = |&id: &SourceId| {
        let source = &binding.sketch.sources[id];
        let is_there = matches!(binding.sources[id].place, Place::Sharded(_) | Place::Reference(_));
        source.block == block && matches!(source.kind, SourceKind::Table { .. }) && is_there
    };
    if !sources.iter().all(is_plain) {
        return None;
    }
    let given = given_columns(t, insert, target)?;
    let items = items(binding, query, &sources)?;
    let known = Known::of(binding);
    let mut root = None;
    for (nth, key) in table.key_columns().enumerate() {
        let place = given.iter().position(|column| column.name == key.name)?;
        let (source, position) = match items.get(place)? {
            Item::Written(run) => binding.column(*run, block, None)?,
            Item::Of(source, position) => (*source, *position),
        };
        if *root.get_or_insert(source) != source || !is_key(binding, (source, position), (table, nth, key)) {
            return None;
        }
    }
    let root = root?;
    let Place::Sharded(of_root) = &binding.sources[root].place else { return None };
    let lies = |&id: &SourceId| match &binding.sources[id].place {
        Place::Sharded(other) => id == root || lies_with(&known, (root, of_root), (id, other)),
        _ => true,
    };
    if items.len() != given.len() || binding.sketch.sources[root].nullable || !sources.iter().all(lies) {
        return None;
    }
    let keys = pins_of(binding, &known, root).unwrap_or_default();
    Some(Scatter { reads_clock: true, keys, ..Scatter::new(keyspace) })
}

/// What stands in the select list.
enum Item {
    Written(Run),
    /// A column of `*`.
    Of(SourceId, usize),
}

fn items(binding: &Binding<'_>, query: Run, sources: &[SourceId]) -> Option<Vec<Item>> {
    let t = binding.t;
    let from = find(t, query.first + 1, &["FROM"]).filter(|from| *from < query.end)?;
    let all = Run { first: query.first + 1, end: from };
    if all.end - all.first == 1 && t.is(all.first, "*") {
        let &[only] = sources else { return None };
        let columns = binding.sources[only].columns()?.iter().enumerate();
        return Some(columns.filter(|(_, of)| !of.invisible).map(|(at, _)| Item::Of(only, at)).collect());
    }
    let items = list(t, all);
    let has_star = |item: &Run| (item.first..item.end).any(|at| t.is(at, "*")) && item.end - item.first < 4;
    if items.iter().any(has_star) {
        return None;
    }
    let named = |item: Run| match item.end - item.first > 2 && t.is(item.end - 2, "AS") {
        true => Run { end: item.end - 2, ..item },
        false => item,
    };
    Some(items.into_iter().map(|item| Item::Written(named(item))).collect())
}

/// Every word means the same on every shard, and nothing is computed over several rows.
fn check_words(binding: &Binding<'_>, recognised: &Recognised, query: Run) -> Option<()> {
    let t = binding.t;
    words::check_effects(recognised).ok()?;
    let tail = insert_update(t);
    let has_one_query = (0..t.len()).filter(|&at| t.is(at, "SELECT")).count() == 1;
    let is_odd = binding.sketch.needs_home
        || binding.sketch.refusal.is_some()
        || binding.ctx.sql_mode.contains(SqlMode::UNKNOWN);
    words::check(t, query, &[]).ok()?;
    words::check(t, tail, &["VALUES"]).ok()?;
    (has_one_query && !is_odd).then_some(())
}

/// The columns that are given, in their order.
fn given_columns<'c>(t: &Tokens<'_>, insert: &Insert, target: &'c Bound) -> Option<Vec<&'c Column>> {
    let all = target.columns()?;
    let Some(listed) = &insert.columns else {
        return Some(all.iter().filter(|column| !column.invisible).collect());
    };
    let column = |&at: &usize| {
        let name = podway_model::Name::caseless(&t.name(at)?);
        all.iter().find(|column| column.name == name)
    };
    listed.iter().map(column).collect()
}

/// Whether the column is the key's, at the same place in a key of the same kind, and is stored in the target as it is.
fn is_key(
    binding: &Binding<'_>,
    (source, position): (SourceId, usize),
    (target, nth, key): (&Table, usize, &Column),
) -> bool {
    let Place::Sharded(table) = &binding.sources[source].place else { return false };
    let (TableKind::Sharded(ours), TableKind::Sharded(theirs)) = (&table.kind, &target.kind) else {
        return false;
    };
    let Some(column) = table.columns.get(position) else { return false };
    // Of ENUM and SET the members count as well; a TIMESTAMP is read in the session's time zone.
    let is_copied_as_it_is = matches!(
        key.column_type,
        ColumnType::Integer { .. }
            | ColumnType::Decimal { .. }
            | ColumnType::Char(_)
            | ColumnType::Varchar(_)
            | ColumnType::Binary(_)
            | ColumnType::Varbinary(_)
            | ColumnType::Date
            | ColumnType::Datetime(_)
    );
    is_copied_as_it_is
        && ours.vindex == theirs.vindex
        && ours.columns.len() == theirs.columns.len()
        && ours.columns.get(nth) == Some(&position)
        && column.column_type == key.column_type
        && column.collation == key.collation
        && !column.nullable
}

/// Whether ON DUPLICATE KEY UPDATE sets a column of the sharding key.
fn sets_key(binding: &Binding<'_>, table: &Table) -> bool {
    binding.sketch.assigned.iter().any(|(_, run)| {
        let name = binding.t.name(run.end - 1).map(|name| podway_model::Name::caseless(&name));
        name.is_none_or(|name| table.key_columns().any(|column| column.name == name))
    })
}
