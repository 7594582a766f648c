//! DDL on tables that every shard has: whether a statement is such a one, what it does to them, and what is refused before it has any effect. Also finds the
//! COMMENT by which a new table may be declared. Never reads a literal: what stands in a COMMENT is the session's to look at.

use std::sync::Arc;

use podway_model::{Keyspace, Name, Table, TableKind};

use super::alter;
use super::bind::{Binding, Bound, Place};
use super::definition::{Child, Definition, ForeignKey, KeyActions, Parent, TableChange};
use super::sketch::parts::{Role, SourceKind};
use super::target::Target;
use super::tokens::{Class, Tokens};
use super::uniques;
use crate::{RouterError, Verb};

/// A DDL statement for every shard, or one that may be; `None`: it goes where other statements on its tables go.
pub(super) fn definition(
    binding: &Binding<'_>,
    verb: Verb,
) -> Result<Option<(Arc<Keyspace>, Definition)>, RouterError> {
    let is_spread = matches!(
        verb,
        Verb::CreateTable
            | Verb::AlterTable
            | Verb::DropTable
            | Verb::RenameTable
            | Verb::Truncate
            | Verb::CreateIndex
            | Verb::DropIndex
    );
    let subjects: Vec<&Bound> = subjects(binding).map(|(_, bound)| bound).collect();
    let Some(keyspace) = subjects.first().and_then(|bound| bound.keyspace.clone()).filter(|_| is_spread)
    else {
        return Ok(None);
    };
    let comment = table_comment(binding.t, verb, behind_name(binding));
    let is_everywhere = subjects.iter().any(|bound| is_everywhere(&bound.place));
    if !is_everywhere && comment.is_none() {
        return Ok(None);
    }
    let definition = Definition {
        changes: if is_everywhere { changes(binding, verb)? } else { plain_changes(binding, verb) },
        comment,
        otherwise: None,
        creates: verb == Verb::CreateTable && !has_query(binding) && !is_like(binding),
        foreign_keys: foreign_keys(binding, verb)?,
    };
    if is_everywhere {
        check(binding, verb, &definition, &keyspace)?;
    }
    Ok(Some((keyspace, definition)))
}

/// Whether its tables are on every shard already; else its COMMENT has to say so.
pub(super) fn is_everywhere_already(binding: &Binding<'_>) -> bool {
    subjects(binding).any(|(_, bound)| is_everywhere(&bound.place))
}

fn is_everywhere(place: &Place) -> bool {
    matches!(place, Place::Sharded(_) | Place::Reference(_))
}

/// The tables that the statement is about, with the tokens of their names.
fn subjects<'b>(binding: &'b Binding<'_>) -> impl Iterator<Item = (usize, &'b Bound)> {
    let sources = binding.sketch.sources.iter().zip(&binding.sources);
    sources.filter_map(|(source, bound)| match source.kind {
        SourceKind::Table { name, .. } if source.role == Role::Whole => Some((name, bound)),
        _ => None,
    })
}

/// Behind the name of the first table.
fn behind_name(binding: &Binding<'_>) -> usize {
    subjects(binding).next().map_or(binding.t.len(), |(name, _)| name + 1)
}

fn has_query(binding: &Binding<'_>) -> bool {
    binding.sketch.blocks.len() > 1
}

fn is_like(binding: &Binding<'_>) -> bool {
    let (t, at) = (binding.t, behind_name(binding));
    t.is(at, "LIKE") || t.are(at, &["(", "LIKE"])
}

/// The changes of a statement whose tables are not known to be everywhere.
fn plain_changes(binding: &Binding<'_>, verb: Verb) -> Vec<TableChange> {
    let one = |bound: &Bound| match verb {
        Verb::CreateTable => TableChange::Created(name(binding, bound)),
        _ => TableChange::Altered(name(binding, bound)),
    };
    subjects(binding).take(1).map(|(_, bound)| one(bound)).collect()
}

fn changes(binding: &Binding<'_>, verb: Verb) -> Result<Vec<TableChange>, RouterError> {
    let all: Vec<&Bound> = subjects(binding).map(|(_, bound)| bound).collect();
    let renamed = |pair: &[&Bound]| TableChange::Renamed {
        from: name(binding, pair[0]),
        to: pair.get(1).map_or_else(|| name(binding, pair[0]), |to| name(binding, to)),
    };
    Ok(match verb {
        Verb::CreateTable => vec![TableChange::Created(name(binding, all[0]))],
        Verb::DropTable => all.iter().map(|bound| TableChange::Dropped(name(binding, bound))).collect(),
        Verb::Truncate => all.iter().map(|bound| TableChange::Emptied(name(binding, bound))).collect(),
        Verb::RenameTable => all.chunks(2).map(renamed).collect(),
        Verb::AlterTable if all.len() == 2 => {
            vec![renamed(&all), TableChange::Altered(name(binding, all[1]))]
        }
        Verb::AlterTable if all.len() > 2 => {
            return Err(RouterError::unsupported("an ALTER TABLE about so many tables over several shards"));
        }
        _ => vec![TableChange::Altered(name(binding, all[0]))],
    })
}

fn name(binding: &Binding<'_>, bound: &Bound) -> Name {
    binding.ctx.map.names.name(&bound.table)
}

fn check(
    binding: &Binding<'_>,
    verb: Verb,
    definition: &Definition,
    keyspace: &Keyspace,
) -> Result<(), RouterError> {
    for (_, bound) in subjects(binding) {
        if bound.keyspace.as_ref().is_none_or(|other| other.name != keyspace.name) {
            return Err(RouterError::unsupported(format_args!(
                "a statement about whole tables of two databases ({} and another)",
                keyspace.name
            )));
        }
    }
    if let Some(what) = binding.sketch.refusal.as_ref() {
        return Err(RouterError::unsupported(what));
    }
    match verb {
        // With one shard every table is on it.
        _ if keyspace.is_single() => {}
        Verb::RenameTable => check_renames(definition, keyspace)?,
        Verb::DropTable | Verb::Truncate => {
            if let Some((_, bound)) = subjects(binding).find(|(_, bound)| !is_everywhere(&bound.place)) {
                return Err(mixed(&bound.table));
            }
        }
        Verb::CreateTable if has_query(binding) => {
            return Err(RouterError::unsupported("CREATE TABLE … SELECT of a table that every shard has"));
        }
        _ => {}
    }
    let Some((_, first)) = subjects(binding).next() else { return Ok(()) };
    if !is_everywhere(&first.place) && !keyspace.is_single() {
        return Err(mixed(&first.table));
    }
    if let (Place::Sharded(table) | Place::Reference(Some(table)), Verb::AlterTable) = (&first.place, verb) {
        alter::check(binding.t, behind_name(binding), table)?;
    }
    // With one shard no foreign key reaches over shards.
    if keyspace.is_single() {
        return Ok(());
    }
    match &first.place {
        Place::Sharded(table) => {
            uniques::check(binding.t, verb, behind_name(binding), table)?;
            let key: Vec<Name> = table.key_columns().map(|column| column.name.clone()).collect();
            let TableKind::Sharded(sharding) = &table.kind else { return Ok(()) };
            definition.check_foreign_keys(Child::Sharded { key: &key, vindex: sharding.vindex })
        }
        _ => definition.check_foreign_keys(Child::Reference),
    }
}

fn mixed(table: &str) -> RouterError {
    RouterError::unsupported(format_args!(
        "a statement about tables that every shard has and {table}, which is on the home shard alone"
    ))
}

/// Each name is given up before another table takes it: two tables may change their names. What is renamed has to be everywhere when its turn comes.
fn check_renames(definition: &Definition, keyspace: &Keyspace) -> Result<(), RouterError> {
    let is_spread = |table: &Arc<Table>| matches!(table.kind, TableKind::Sharded(_) | TableKind::Reference);
    let mut known: Vec<Name> =
        keyspace.tables.values().filter(|table| is_spread(table)).map(|table| table.name.clone()).collect();
    for change in &definition.changes {
        let TableChange::Renamed { from, to } = change else { continue };
        let Some(place) = known.iter().position(|name| name == from) else {
            return Err(mixed(from.as_str()));
        };
        known[place] = to.clone();
    }
    Ok(())
}

/// The literal of the table's own COMMENT.
fn table_comment(t: &Tokens<'_>, verb: Verb, at: usize) -> Option<u32> {
    let (mut at, end) = match verb {
        Verb::CreateTable => {
            let columns = if t.is(at, "(") { t.mate(at) + 1 } else { at };
            (columns, t.len())
        }
        Verb::AlterTable => {
            let is_option = |(first, _): &(usize, usize)| {
                !matches!(t.text(*first), "ADD" | "MODIFY" | "CHANGE" | "ALTER" | "RENAME" | "DROP")
            };
            return alter::specifications(t, at)
                .into_iter()
                .filter(is_option)
                .find_map(|(first, end)| comment_in(t, first, end));
        }
        _ => return None,
    };
    // Behind PARTITION BY only partitions have comments.
    let partitions = (at..end).find(|&at| t.are(at, &["PARTITION", "BY"])).unwrap_or(end);
    at = at.min(partitions);
    comment_in(t, at, partitions)
}

fn comment_in(t: &Tokens<'_>, first: usize, end: usize) -> Option<u32> {
    let mut at = first;
    while at < end {
        if t.is(at, "COMMENT") {
            let value = if t.is(at + 1, "=") { at + 2 } else { at + 1 };
            if let Class::Literal(number, kind) = t.class(value) {
                return kind.is_text().then_some(number);
            }
        }
        at = if t.is(at, "(") { t.mate(at) + 1 } else { at + 1 };
    }
    None
}

/// The foreign keys of CREATE TABLE and ALTER TABLE.
fn foreign_keys(binding: &Binding<'_>, verb: Verb) -> Result<Vec<ForeignKey>, RouterError> {
    if !matches!(verb, Verb::CreateTable | Verb::AlterTable) {
        return Ok(Vec::new());
    }
    let own = subjects(binding).next().map(|(_, bound)| bound);
    let mut keys = Vec::new();
    for (source, bound) in binding.sketch.sources.iter().zip(&binding.sources) {
        let SourceKind::Table { database, name } = source.kind else { continue };
        let first = database.unwrap_or(name);
        if source.role != Role::Read || first == 0 || !binding.t.is(first - 1, "REFERENCES") {
            continue;
        }
        let is_itself = own.is_some_and(|own| {
            own.keyspace.as_ref().map(|k| &k.name) == bound.keyspace.as_ref().map(|k| &k.name)
                && binding.ctx.map.names.fold(&own.table) == binding.ctx.map.names.fold(&bound.table)
        });
        let parent = match &bound.place {
            _ if is_itself => Parent::Itself,
            Place::Reference(_) => Parent::Reference,
            Place::Sharded(table) => sharded(table),
            _ => Parent::Home(binding.ctx.map.names.name(&bound.table)),
        };
        let parent_columns = listed(binding.t, name + 1);
        let actions = actions(binding.t, name + 1);
        keys.push(ForeignKey { columns: referring(binding.t, first - 1), parent, parent_columns, actions });
    }
    Ok(keys)
}

fn sharded(table: &Table) -> Parent {
    let key = table.key_columns().map(|column| column.name.clone()).collect();
    match &table.kind {
        TableKind::Sharded(sharding) => {
            Parent::Sharded { table: table.name.clone(), key, vindex: sharding.vindex }
        }
        _ => Parent::Reference,
    }
}

/// The actions behind the referred table, up to what follows the foreign key.
fn actions(t: &Tokens<'_>, at: usize) -> KeyActions {
    let mut at = if t.is(at, "(") { t.mate(at) + 1 } else { at };
    let mut actions = KeyActions::default();
    while at < t.len() && !t.is(at, ",") && !t.is(at, ")") {
        actions.follows_updates |= t.are(at, &["ON", "UPDATE", "CASCADE"]);
        actions.sets_null |= t.are(at, &["SET", "NULL"]) || t.are(at, &["SET", "DEFAULT"]);
        at = if t.is(at, "(") { t.mate(at) + 1 } else { at + 1 };
    }
    actions
}

/// `(a, b)` that starts at `at`.
fn listed(t: &Tokens<'_>, at: usize) -> Vec<Name> {
    if !t.is(at, "(") {
        return Vec::new();
    }
    let names = (at + 1..t.mate(at)).filter_map(|at| t.name(at));
    names.map(|name| Name::caseless(&name)).collect()
}

/// The columns before REFERENCES: `FOREIGN KEY [name] (a, b) REFERENCES`.
fn referring(t: &Tokens<'_>, references: usize) -> Vec<Name> {
    let Some(close) = references.checked_sub(1).filter(|&at| t.is(at, ")")) else { return Vec::new() };
    let open = t.mate(close);
    let is_key = |behind: usize| open >= behind + 2 && t.are(open - behind - 2, &["FOREIGN", "KEY"]);
    if is_key(0) || is_key(1) { listed(t, open) } else { Vec::new() }
}

/// The plan's target for a definition.
pub(super) fn target(
    keyspace: &Keyspace,
    mut definition: Definition,
    otherwise: Option<Result<Target, RouterError>>,
) -> (Target, Definition) {
    definition.otherwise = otherwise.map(|target| Box::new(target.unwrap_or_else(Target::Refused)));
    (Target::Everywhere { keyspace: keyspace.name.clone() }, definition)
}
