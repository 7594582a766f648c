//! UPDATEs that give rows other sharding keys: each shard changes its rows itself, and then those that belong to other shards go there. Which rows these are is told by
//! their new keys: the statement's own value, or what MySQL computes of each row beforehand. So one table changes at a time, and no row is chosen by its place
//! in an order. Read next: [`crate::plan::moved`], which says what the shards are asked.

use std::sync::Arc;

use podway_model::{Name, Table};

use super::changes::changes;
use super::copies::assigned_value;
use super::transfers::check_comments;
use super::{Scatter, words};
use crate::plan::bind::{Binding, Place, unreadable};
use crate::plan::conjuncts::value;
use crate::plan::decide::assigned_key;
use crate::plan::gather::{names, span};
use crate::plan::sketch::parts::{BlockId, Role, Run, SourceId};
use crate::plan::target::{KeyPin, KeyUse};
use crate::plan::tokens::{Class, Tokens};
use crate::{Recognised, RouterError, TemplateSpan};

/// How an UPDATE gives rows other sharding keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Moves {
    /// The table.
    pub table: Arc<Table>,
    /// The new key where the statement says it: one for all rows.
    pub(in crate::plan) given: Option<KeyPin>,
    /// The new value of each key column, in the order of the sharding.
    pub(in crate::plan) values: Vec<NewValue>,
    /// The table as the statement names it, with its alias.
    pub(in crate::plan) from: TemplateSpan,
    /// What stands behind WHERE.
    pub(in crate::plan) condition: Option<TemplateSpan>,
    /// The numbers of the parameters in the values, the table and the condition, in this order.
    pub(in crate::plan) params: Vec<u32>,
}

/// What a key column gets.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::plan) enum NewValue {
    /// What stands here.
    Set(TemplateSpan),
    /// What it has.
    Kept(Name),
}

/// The table whose sharding key an UPDATE sets, if it sets one's.
pub(in crate::plan) fn moved(binding: &Binding<'_>) -> Result<Option<SourceId>, RouterError> {
    for (id, source) in binding.sketch.sources.iter().enumerate() {
        if source.role == Role::Change && assigned_key(binding, id)?.is_some() {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// How an UPDATE moves rows of the source `id`; an error names what stands in the way.
pub(in crate::plan) fn moves(
    binding: &Binding<'_>,
    recognised: &Recognised,
    id: SourceId,
) -> Result<Scatter, RouterError> {
    let t = binding.t;
    let block = binding.sketch.sources[id].block;
    let Place::Sharded(table) = &binding.sources[id].place else { return Err(unreadable()) };
    let name = assigned_key(binding, id)?.unwrap_or_default();
    let refused =
        |what: &str| RouterError::unsupported(format_args!("changing the sharding key column {name} {what}"));
    if binding.sketch.blocks[block].sources.len() > 1 {
        return Err(refused("in an UPDATE of several tables"));
    }
    if t.is(1, "IGNORE") || t.is(1, "LOW_PRIORITY") && t.is(2, "IGNORE") {
        return Err(refused("with IGNORE"));
    }
    if (0..t.len()).any(|at| t.is(at, "WITH")) {
        return Err(refused("with WITH"));
    }
    let scatter = changes(binding, recognised)?;
    if scatter.limited.is_some() {
        return Err(refused("with LIMIT"));
    }
    if scatter.fed.is_some() {
        return Err(refused("where rows of other shards decide"));
    }
    let assigned: Vec<(Name, Run)> = assignments(binding, block)?;
    let mut values = Vec::new();
    let mut runs = Vec::new();
    for key in table.key_columns() {
        let mut of_key = assigned.iter().enumerate().filter(|(_, (name, _))| *name == key.name);
        let Some((nth, (_, run))) = of_key.next() else {
            values.push(NewValue::Kept(key.name.clone()));
            continue;
        };
        if of_key.next().is_some() {
            return Err(refused("twice"));
        }
        check_value(t, *run, &assigned[..nth]).map_err(|what| refused(&what))?;
        values.push(NewValue::Set(span(t, *run)));
        runs.push(*run);
    }
    let from = from_run(t).ok_or_else(|| refused("of a table that is not found"))?;
    let condition = binding.sketch.blocks[block].filters.first().map(|filter| filter.run);
    let given: Option<Vec<_>> = runs.iter().map(|&run| value(t, run)).collect();
    let given = given.filter(|columns| columns.len() == values.len()).map(|columns| KeyPin {
        table: table.clone(),
        columns,
        usage: KeyUse::Insert { ignore: false, counter: None, row: u32::MAX },
    });
    if given.is_none() && condition.is_some_and(|run| words::has_query(t, run)) {
        // It would read other rows where the rows are locked than where they are changed.
        return Err(refused("to what is computed, with a subquery in WHERE"));
    }
    let param = |at: usize| match t.class(at) {
        Class::Param(number) => Some(number),
        _ => None,
    };
    let params = runs.iter().copied().chain([from]).chain(condition).flat_map(|run| run.first..run.end);
    let moves = Moves {
        table: table.clone(),
        given,
        values,
        from: span(t, from),
        condition: condition.map(|run| span(t, run)),
        params: params.filter_map(param).collect(),
    };
    Ok(Scatter { moves: Some(Box::new(moves)), ..scatter })
}

/// What is assigned, in the statement's order.
fn assignments(binding: &Binding<'_>, block: BlockId) -> Result<Vec<(Name, Run)>, RouterError> {
    check_comments(binding.t)?;
    let of_block = binding.sketch.assigned.iter().filter(|(at, _)| *at == block);
    of_block
        .map(|(_, run)| {
            let name = binding.t.name(run.end - 1).ok_or_else(unreadable)?;
            Ok((Name::caseless(&name), assigned_value(binding, *run)))
        })
        .collect()
}

/// Whether a SELECT of the rows as they are gives the value that UPDATE will set: MySQL assigns from left to right, and later values see earlier ones.
fn check_value(t: &Tokens<'_>, run: Run, before: &[(Name, Run)]) -> Result<(), String> {
    if (run.first..run.end).any(|at| t.is(at, "DEFAULT")) {
        return Err("to DEFAULT".to_owned());
    }
    if words::has_query(t, run) {
        return Err("to what a subquery gives".to_owned());
    }
    for name in names(t, run) {
        let Some(name) = t.name(name.end - 1) else { return Err("to what is not read".to_owned()) };
        if before.iter().any(|(assigned, _)| *assigned == Name::caseless(&name)) {
            return Err(format!("to what depends on the column {name}, which is set before it"));
        }
    }
    Ok(())
}

/// The table's name with all that belongs to it, between UPDATE and SET.
fn from_run(t: &Tokens<'_>) -> Option<Run> {
    let first = (1..t.len()).find(|&at| !t.is(at, "LOW_PRIORITY"))?;
    let end = (first..t.len()).find(|&at| t.is(at, "SET"))?;
    (first < end).then_some(Run { first, end })
}

impl Moves {
    /// About how many bytes it holds.
    pub(super) fn memory(&self) -> usize {
        size_of::<Moves>()
            + self.given.as_ref().map_or(0, KeyPin::memory)
            + self.values.capacity() * 2 * size_of::<NewValue>()
            + self.params.capacity() * size_of::<u32>()
    }
}

/// What is said of a key that only MySQL could tell.
pub(in crate::plan) fn uncertain(table: &Table) -> RouterError {
    words::refused(format_args!("a new sharding key of {} whose stored form only MySQL can tell", table.name))
}
