//! What changes a reference table: every shard runs it on its own copy, and all copies must stay alike. So it may depend on nothing but its values and on
//! what all shards have, and never on the order in which a server happens to read rows.

use std::sync::Arc;

use podway_model::{Column, ColumnDefault, ColumnType, Name, Table};

use super::inserts::{check_words, insert_update};
use super::{Counters, Scatter, words};
use crate::plan::bind::{Binding, Place, unreadable};
use crate::plan::conjuncts::value;
use crate::plan::decide::is_changed;
use crate::plan::gather::{find, names};
use crate::plan::sketch::parts::{Insert, Role, Run, SourceId};
use crate::plan::target::KeySource;
use crate::{Recognised, RouterError, Verb};

/// How a statement that changes the reference table `changed` runs on every shard; an error names what stands in the way.
pub(in crate::plan) fn copies(
    binding: &Binding<'_>,
    recognised: &Recognised,
    changed: SourceId,
) -> Result<Scatter, RouterError> {
    let bound = &binding.sources[changed];
    let name = bound.table.as_str();
    check_tables(binding, changed)?;
    words::check_effects(recognised)?;
    if binding.sketch.needs_home {
        return Err(words::refused("a function of one server"));
    }
    let Some(keyspace) = bound.keyspace.as_ref().map(|keyspace| keyspace.name.clone()) else {
        return Err(RouterError::unsupported(format_args!("a write to the reference table {name}")));
    };
    let counters = match (&binding.sketch.insert, &bound.place) {
        (Some(insert), Place::Reference(table)) => inserted(binding, insert, name, table.as_ref())?,
        _ => {
            check_change(binding, recognised, changed)?;
            None
        }
    };
    // A trigger of the table may ask for the time, too.
    Ok(Scatter { reads_clock: true, is_copies: true, counters, ..Scatter::new(keyspace) })
}

/// One table changes, and what is read besides is the same everywhere.
fn check_tables(binding: &Binding<'_>, changed: SourceId) -> Result<(), RouterError> {
    let name = &binding.sources[changed].table;
    for (id, bound) in binding.sources.iter().enumerate().filter(|(id, _)| *id != changed) {
        let together = |kind: &str| {
            RouterError::unsupported(format_args!(
                "a write to the reference table {name} together with {kind}{}",
                bound.table
            ))
        };
        match &bound.place {
            Place::Derived => {}
            Place::Reference(_) if bound.table == *name => return Err(together("another read of ")),
            Place::Reference(_) => {
                let is_written = binding.sketch.sources[id].role == Role::Change && is_changed(binding, id);
                if is_written {
                    return Err(together("one to "));
                }
            }
            Place::Sharded(_) => return Err(together("the sharded table ")),
            _ => return Err(together("the table ")),
        }
    }
    Ok(())
}

fn check_change(
    binding: &Binding<'_>,
    recognised: &Recognised,
    changed: SourceId,
) -> Result<(), RouterError> {
    let t = binding.t;
    let name = &binding.sources[changed].table;
    let of_copies = |what: &str| RouterError::unsupported(format_args!("{what} the reference table {name}"));
    words::check(t, Run { first: 0, end: t.len() }, &words::STATEMENTS)?;
    // Which rows it skips may depend on the order in which they are read, or on foreign keys of one shard's rows.
    if (0..t.len()).any(|at| t.is(at, "IGNORE") && !matches!(t.text(at + 1), "INDEX" | "KEY")) {
        return Err(of_copies("UPDATE IGNORE and DELETE IGNORE of"));
    }
    let sets_default = (0..t.len()).any(|at| t.is(at, "DEFAULT"));
    let has_unknown =
        binding.sources[changed].columns().is_none_or(|columns| columns.iter().any(has_unknown_default));
    if sets_default && has_unknown {
        return Err(of_copies("DEFAULT in a change of"));
    }
    let block = binding.sketch.sources[changed].block;
    if recognised.verb == Verb::Update && binding.sketch.blocks[block].sources.len() > 1 {
        if binding.sketch.assigned.len() > 1 {
            // By how it joins, MySQL takes a column's value from before or after another assignment.
            return Err(of_copies("several assignments in an UPDATE of several tables to"));
        }
        let values = binding.sketch.assigned.iter().map(|(_, run)| assigned_value(binding, *run));
        for run in values {
            // A row that meets several of the other table's is set by whichever comes first.
            let is_own = |name: &Run| binding.column(*name, block, None).is_some_and(|(id, _)| id == changed);
            let has_query = (run.first..run.end).any(|at| t.is(at, "SELECT"));
            if has_query || !names(t, run).iter().all(is_own) {
                return Err(of_copies("an UPDATE by another table's values of"));
            }
        }
    }
    Ok(())
}

/// The value behind an assigned column.
pub(in crate::plan) fn assigned_value(binding: &Binding<'_>, column: Run) -> Run {
    let first = column.end + 1;
    let end = find(binding.t, first, &[",", "WHERE", "ORDER", "LIMIT"]).unwrap_or(binding.t.len());
    Run { first, end }
}

/// Checks what is inserted; gives what the AUTO_INCREMENT column gets, where there is one.
fn inserted(
    binding: &Binding<'_>,
    insert: &Insert,
    name: &str,
    table: Option<&Arc<Table>>,
) -> Result<Option<Counters>, RouterError> {
    let Some(rows) = &insert.rows else {
        return Err(RouterError::unsupported(format_args!(
            "INSERT … SELECT into the reference table {name}"
        )));
    };
    check_words(binding.t, insert, &[])?;
    let Some(table) = table.filter(|table| !table.columns.is_empty()) else {
        return Err(RouterError::unsupported(format_args!(
            "INSERT into the reference table {name}, whose columns are not known"
        )));
    };
    let update = insert_update(binding.t);
    if insert.ignore && update.first < update.end {
        // What it skips may depend on foreign keys of one shard's rows.
        return Err(RouterError::unsupported(format_args!(
            "INSERT IGNORE … ON DUPLICATE KEY UPDATE of the reference table {name}"
        )));
    }
    if (update.first..update.end).any(|at| binding.t.is(at, "DEFAULT"))
        && table.columns.iter().any(has_unknown_default)
    {
        return Err(RouterError::unsupported(format_args!(
            "DEFAULT in a change of the reference table {name}"
        )));
    }
    let listed = listed(binding, insert, table)?;
    let value_of = |row: &[Run], column: &Column| {
        let place = listed.iter().position(|name| *name == column.name);
        place.and_then(|place| row.get(place)).copied().filter(|run| {
            // DEFAULT is no value.
            !(run.end == run.first + 1 && binding.t.is(run.first, "DEFAULT"))
        })
    };
    let mut counters = Counters { table: Arc::clone(table), values: Vec::new() };
    for row in rows {
        for column in table.columns.iter() {
            let given = value_of(row, column);
            if given.is_none() && has_unknown_default(column) {
                return Err(RouterError::unsupported(format_args!(
                    "INSERT without a value for the column {} of the reference table {name}",
                    column.name
                )));
            }
            if column.auto_increment {
                let of = (name, table.counter().is_some());
                counters.values.push(counter(binding, given, column, of)?);
            }
        }
    }
    Ok((!counters.values.is_empty()).then_some(counters))
}

/// Whether the column's default may differ from copy to copy. That of a date or time is taken for what it always is: the time.
pub(super) fn has_unknown_default(column: &Column) -> bool {
    column.default == ColumnDefault::Expression
        && !matches!(
            column.column_type,
            ColumnType::Timestamp(_) | ColumnType::Datetime(_) | ColumnType::Date | ColumnType::Time(_)
        )
}

fn counter(
    binding: &Binding<'_>,
    given: Option<Run>,
    column: &Column,
    (name, is_counted): (&str, bool),
) -> Result<KeySource, RouterError> {
    match given.map(|run| value(binding.t, run)) {
        None | Some(Some(KeySource::Null)) if is_counted => Ok(KeySource::Null),
        None | Some(Some(KeySource::Null)) => Err(RouterError::unsupported(format_args!(
            "INSERT without a value for the AUTO_INCREMENT column {} of the reference table {name}",
            column.name
        ))),
        Some(Some(source)) => Ok(source),
        Some(None) => Err(RouterError::unsupported(format_args!(
            "an expression as the value of column {} of a reference table",
            column.name
        ))),
    }
}

/// The columns that the rows give values for.
fn listed(binding: &Binding<'_>, insert: &Insert, table: &Table) -> Result<Vec<Name>, RouterError> {
    match &insert.columns {
        None => {
            let visible = table.columns.iter().filter(|column| !column.invisible);
            Ok(visible.map(|column| column.name.clone()).collect())
        }
        Some(tokens) => {
            let name = |&at: &usize| binding.t.name(at).map(|name| Name::caseless(&name));
            let names: Option<Vec<Name>> = tokens.iter().map(name).collect();
            names.ok_or_else(unreadable)
        }
    }
}
