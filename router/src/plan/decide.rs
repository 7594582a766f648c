//! From a bound statement to its target, in a cluster where some keyspace has several shards. Never looks at tokens' order, never
//! sends anything anywhere. Read next: [`super::plan`].

use std::sync::Arc;

use podway_model::{Keyspace, Table};

use super::bind::{Binding, Bound, Place};
use super::pins;
use super::rows;
use super::sketch::parts::{Lock, Role, SourceId};
use super::target::{KeyPin, Target};
use super::views;
use crate::{Effects, Recognised, RouterError, Verb};

/// The target of a statement.
pub(super) fn decide(binding: &Binding<'_>) -> Result<Target, RouterError> {
    let keyspace = check(binding)?;
    match written_copy(binding) {
        Some(id) => Err(refused_copy(binding, id)),
        None => one_target(binding, keyspace),
    }
}

/// The reference table whose rows the statement changes.
pub(super) fn written_copy(binding: &Binding<'_>) -> Option<SourceId> {
    let is_copy = |id: &SourceId| matches!(binding.sources[*id].place, Place::Reference(_));
    let is_written = |id: &SourceId| match binding.sketch.sources[*id].role {
        Role::Read | Role::Whole => false,
        Role::Insert => true,
        Role::Change => is_changed(binding, *id),
    };
    (0..binding.sources.len()).filter(is_copy).find(is_written)
}

/// What is said of a change of a reference table where that is not served.
pub(super) fn refused_copy(binding: &Binding<'_>, id: SourceId) -> RouterError {
    refused("a write to", "reference table", &binding.sources[id])
}

/// What is said of MySQL's own EXPLAIN where one server's word would be about a part of the rows.
pub(super) fn several_explained() -> RouterError {
    RouterError::unsupported(
        "EXPLAIN of a statement over several shards; EXPLAIN FORMAT=PODWAY shows how it is run",
    )
}

/// The one target of a statement with tables of this keyspace that was checked; an error where its keys do not tell.
pub(super) fn one_target(
    binding: &Binding<'_>,
    keyspace: Option<Arc<Keyspace>>,
) -> Result<Target, RouterError> {
    let mut keys = pins::pins(binding)?;
    if let Some((id, table)) = insert_target(binding) {
        check_assigned(binding, id)?;
        let Some(insert) = &binding.sketch.insert else {
            return Err(pins::unpinned(&binding.sources[id].table));
        };
        keys.extend(rows::insert_pins(binding, insert, &table)?);
    }
    Ok(target(binding, keyspace, keys))
}

/// What is refused wherever the rows lie; else the keyspace of all tables.
pub(super) fn check(binding: &Binding<'_>) -> Result<Option<Arc<Keyspace>>, RouterError> {
    let t = binding.t;
    if let Some(what) = &binding.sketch.refusal {
        return Err(RouterError::unsupported(what));
    }
    if let Some(&at) = binding.sketch.foreign_functions.first() {
        let name = t.name(at).unwrap_or_default();
        return Err(RouterError::unsupported(format_args!("the stored function {name} over several shards")));
    }
    for bound in &binding.sources {
        match bound.place {
            Place::View => return Err(views::refused(binding, bound)),
            Place::Foreign => {
                let name = bound.database.as_ref().map(|name| name.as_str()).unwrap_or_default();
                return Err(RouterError::unknown_database(name));
            }
            Place::Sharded(ref table) => check_key(binding, bound, table)?,
            _ => {}
        }
    }
    let keyspace = one_keyspace(binding)?;
    check_roles(binding)?;
    check_locks(binding)?;
    Ok(keyspace)
}

/// Refuses a table whose sharding key is not known to be what it was declared as: what it leads to would be a guess. How it differs is not
/// told here, for who may see the table is the server's to say.
pub(super) fn check_key(binding: &Binding<'_>, bound: &Bound, table: &Table) -> Result<(), RouterError> {
    let Some(keyspace) = bound.keyspace.as_ref().filter(|keyspace| !keyspace.is_single()) else {
        return Ok(());
    };
    match binding.ctx.map.unpinned(&keyspace.name, &table.name) {
        None => Ok(()),
        Some(_) => Err(RouterError::unsupported(format_args!(
            "a statement on the sharded table {}, while its sharding key on some shard is not what was declared; \
             SHOW PODWAY DRIFT says what differs, and it goes on when that is put right",
            bound.table
        ))),
    }
}

fn target(binding: &Binding<'_>, keyspace: Option<Arc<Keyspace>>, pins: Vec<KeyPin>) -> Target {
    let needs_home = binding.sketch.needs_home
        || binding.sources.iter().any(|bound| matches!(bound.place, Place::Home(_) | Place::System(_)));
    let current = || binding.ctx.keyspace.and_then(|name| binding.ctx.map.keyspace(name)).cloned();
    let keyspace = keyspace.or_else(current).or_else(|| binding.ctx.map.default_keyspace().cloned());
    let name = keyspace.map(|keyspace| keyspace.name.clone());
    match name {
        Some(keyspace) if !pins.is_empty() => Target::Keys { keyspace, pins, needs_home },
        keyspace if needs_home => Target::Home { keyspace },
        keyspace => Target::Any { keyspace },
    }
}

/// The keyspace of all tables that are named.
fn one_keyspace(binding: &Binding<'_>) -> Result<Option<Arc<Keyspace>>, RouterError> {
    let mut keyspaces = binding.sources.iter().filter_map(|bound| bound.keyspace.as_ref());
    let Some(first) = keyspaces.next() else { return Ok(None) };
    match keyspaces.find(|other| other.name != first.name) {
        Some(other) => {
            let both =
                format_args!("a statement with tables of two keyspaces ({} and {})", first.name, other.name);
            Err(RouterError::unsupported(both))
        }
        None => Ok(Some(Arc::clone(first))),
    }
}

fn check_roles(binding: &Binding<'_>) -> Result<(), RouterError> {
    for (id, bound) in binding.sources.iter().enumerate() {
        let written = match binding.sketch.sources[id].role {
            Role::Read => false,
            Role::Insert | Role::Whole => true,
            Role::Change => is_changed(binding, id),
        };
        // A file's records are rows: their own rule says where they go.
        let is_loaded = binding.t.is(0, "LOAD") && !matches!(bound.place, Place::System(..));
        if !written || is_loaded {
            continue;
        }
        let what =
            if binding.sketch.sources[id].role == Role::Whole { "this statement on" } else { "a write to" };
        match &bound.place {
            Place::Reference(_) if binding.sketch.sources[id].role == Role::Whole => {
                return Err(refused(what, "reference table", bound));
            }
            Place::System(_) => return Err(refused(what, "system table", bound)),
            Place::Sharded(_) if binding.sketch.sources[id].role == Role::Whole => {
                return Err(refused(what, "sharded table", bound));
            }
            _ => {}
        }
    }
    Ok(())
}

fn refused(what: &str, kind: &str, bound: &Bound) -> RouterError {
    RouterError::unsupported(format_args!("{what} the {kind} {}", bound.table))
}

/// Whether an UPDATE or DELETE may change rows of this source.
pub(super) fn is_changed(binding: &Binding<'_>, id: SourceId) -> bool {
    let sketch = binding.sketch;
    let block = sketch.sources[id].block;
    let mut assigned = sketch.assigned.iter().filter(|(at, _)| *at == block).peekable();
    let mut deleted = sketch.deleted.iter().filter(|(at, _)| *at == block).peekable();
    if assigned.peek().is_none() && deleted.peek().is_none() {
        return true;
    }
    // A name that nothing here is known to have may be any table's: the map may not have heard of the column yet.
    let may_be = |found: Vec<SourceId>| found.is_empty() || found.contains(&id);
    assigned.any(|(_, run)| may_be(binding.candidates(*run, block)))
        || deleted.any(|(_, run)| may_be(binding.named(run.end - 1, &sketch.blocks[block].sources)))
}

/// Refuses a change of the sharding key: the row would have to move.
pub(super) fn check_assigned(binding: &Binding<'_>, id: SourceId) -> Result<(), RouterError> {
    match assigned_key(binding, id)?.filter(|_| !keeps_shard(binding, id)) {
        Some(name) => Err(RouterError::unsupported(format_args!("changing the sharding key column {name}"))),
        None => Ok(()),
    }
}

/// The first sharding key column of this source that the statement sets, as it spells it.
pub(super) fn assigned_key(binding: &Binding<'_>, id: SourceId) -> Result<Option<String>, RouterError> {
    let Place::Sharded(table) = &binding.sources[id].place else { return Ok(None) };
    let block = binding.sketch.sources[id].block;
    for (_, run) in binding.sketch.assigned.iter().filter(|(at, _)| *at == block) {
        let name = binding.t.name(run.end - 1).ok_or_else(super::bind::unreadable)?;
        let is_key = table.key_columns().any(|column| column.name == podway_model::Name::caseless(&name));
        if is_key && binding.candidates(*run, block).contains(&id) {
            return Ok(Some(name.into_owned()));
        }
    }
    Ok(None)
}

/// Whether ON DUPLICATE KEY UPDATE leaves rows on their shard although it sets columns of the sharding key: each to itself (`id = id`), or all to what was to be
/// inserted (`id = VALUES(id)`), which is why the statement is on this shard.
fn keeps_shard(binding: &Binding<'_>, id: SourceId) -> bool {
    let Place::Sharded(table) = &binding.sources[id].place else { return false };
    let source = &binding.sketch.sources[id];
    if source.role != Role::Insert {
        return false;
    }
    let t = binding.t;
    let named = |at: usize| t.name(at).map(|name| podway_model::Name::caseless(&name));
    let mut inserted = std::collections::BTreeSet::new();
    for (_, run) in binding.sketch.assigned.iter().filter(|(block, _)| *block == source.block) {
        let Some(name) = named(run.end - 1) else { return false };
        if !table.key_columns().any(|column| column.name == name) {
            continue;
        }
        let value = run.end + 1;
        let is_values = t.are(value, &["VALUES", "("]) && t.is(value + 3, ")");
        let (column, end) = if is_values { (value + 2, value + 4) } else { (value, value + 1) };
        let is_end = end >= t.len() || t.is(end, ",");
        if !is_end || !t.is_name(column) || named(column).as_ref() != Some(&name) {
            return false;
        }
        if is_values {
            inserted.insert(name);
        }
    }
    inserted.is_empty() || inserted.len() == table.key_columns().count()
}

fn check_locks(binding: &Binding<'_>) -> Result<(), RouterError> {
    for block in &binding.sketch.blocks {
        let locked = match &block.lock {
            Lock::None => Vec::new(),
            Lock::All => block.sources.clone(),
            Lock::Of(names) => names.iter().flat_map(|&name| binding.named(name, &block.sources)).collect(),
        };
        let copies = locked.into_iter().find(|&id| matches!(binding.sources[id].place, Place::Reference(_)));
        if let Some(id) = copies {
            return Err(refused("a locking read of", "reference table", &binding.sources[id]));
        }
    }
    Ok(())
}

fn insert_target(binding: &Binding<'_>) -> Option<(SourceId, Arc<Table>)> {
    let is_target = |id: &usize| binding.sketch.sources[*id].role == Role::Insert;
    let id = (0..binding.sources.len()).find(is_target)?;
    match &binding.sources[id].place {
        Place::Sharded(table) => Some((id, Arc::clone(table))),
        _ => None,
    }
}

/// What leaves something on one server, or defines something there, goes home even where its tables are everywhere.
pub(super) fn at_home(target: Target, verb: Verb, recognised: &Recognised) -> Target {
    let leaves = Effects::USER_LOCKS | Effects::CREATES_TEMPORARY_TABLE | Effects::SERVER_FILES;
    let is_query = matches!(
        verb,
        Verb::Select
            | Verb::Values
            | Verb::Table
            | Verb::Do
            | Verb::Set
            | Verb::Explain
            | Verb::ExplainAnalyze
            | Verb::Signal
    );
    match target {
        Target::Any { keyspace } if !is_query || recognised.effects.intersects(leaves) => {
            Target::Home { keyspace }
        }
        target => target,
    }
}
