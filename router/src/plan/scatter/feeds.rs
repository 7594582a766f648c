//! UPDATE and DELETE whose rows meet rows of other shards: in subqueries, in joins on anything else than the sharding key, in home tables. The tables that are not with the
//! changed rows are read first, with locks, and every shard runs the statement with all their rows in the tables' places, as a SELECT is finished
//! ([`super::super::gather`]). What each row of the changed table is joined to, and what subqueries give for it, is then what one MySQL would find.
//!
//! What lies with the changed rows by the whole sharding key stays in its place, also in subqueries; where that is all, nothing is read. That holds where one table changes, or several whose rows lie together: each row of the FROM clause that changes something is made of one row of that table,
//! which is on its own shard, and of rows that are all there. An outer join that has no row of the changed table changes nothing.

use super::{Scatter, words};
use crate::plan::bind::{Binding, Place};
use crate::plan::decide::is_changed;
use crate::plan::gather::{fed, lies_with};
use crate::plan::pins::{Known, pins_of};
use crate::plan::sketch::parts::{Role, SourceId, SourceKind};
use crate::{ClientCharset, RouterError};

/// Words of such statements besides those of others.
pub(super) const WORDS: [&str; 2] = ["WITH", "RECURSIVE"];

/// How the statement is run with rows that are read first, as what is known of it otherwise stands in `scatter`; `error` says why every shard cannot run it as it is.
pub(super) fn feed(
    binding: &Binding<'_>,
    scatter: Scatter,
    error: RouterError,
) -> Result<Scatter, RouterError> {
    if binding.sketch.needs_home {
        return Err(error);
    }
    check_tables(binding)?;
    let changed: Vec<SourceId> = changed(binding).collect();
    let Some(&root) = changed.first() else { return Err(error) };
    let is_at_home = matches!(binding.sources[root].place, Place::Home(_));
    let known = Known::of(binding);
    let stays = |id: SourceId| match &binding.sources[id].place {
        Place::Reference(_) => true,
        Place::Home(_) => is_at_home,
        Place::Sharded(_) if is_at_home => false,
        Place::Sharded(_) => id == root || lies_beside(binding, &known, root, id),
        _ => false,
    };
    if let Some(&other) = changed.iter().find(|&&id| !stays(id)) {
        return Err(words::refused(format_args!(
            "a change of {} and {}, or of columns that may be either's",
            binding.sources[root].table, binding.sources[other].table
        )));
    }
    let gather = fed(binding, &known, &stays)?;
    let keys = if is_at_home { Vec::new() } else { pins_of(binding, &known, root).unwrap_or_default() };
    let scatter = Scatter { keys, is_at_home, ..scatter };
    if gather.parts.is_empty() {
        // All that its rows meet is on their own shards.
        return Ok(scatter);
    }
    if scatter.limited.is_some() {
        return Err(words::refused("LIMIT with rows of other shards"));
    }
    if (0..binding.t.len()).any(|at| binding.t.is(at, "DEFAULT") && binding.t.is(at + 1, "(")) {
        // What is read has no defaults.
        return Err(words::refused("DEFAULT() with rows of other shards"));
    }
    Ok(Scatter { fed: Some(Box::new(gather)), ..scatter })
}

/// The tables whose rows may change.
fn changed(binding: &Binding<'_>) -> impl Iterator<Item = SourceId> {
    let is_table = |id: &SourceId| !matches!(binding.sources[*id].place, Place::Derived);
    let is_target = |id: &SourceId| binding.sketch.sources[*id].role == Role::Change;
    (0..binding.sources.len()).filter(is_table).filter(is_target).filter(|&id| is_changed(binding, id))
}

/// Whether the rows of `id` that a row of the changed table meets are on its shard: in the FROM clause, and in a subquery that compares the whole sharding keys.
fn lies_beside(binding: &Binding<'_>, known: &Known, root: SourceId, id: SourceId) -> bool {
    let (Place::Sharded(ours), Place::Sharded(theirs)) =
        (&binding.sources[root].place, &binding.sources[id].place)
    else {
        return false;
    };
    !binding.sketch.sources[root].nullable && lies_with(known, (root, ours), (id, theirs))
}

/// Tables that can neither stay nor be read.
fn check_tables(binding: &Binding<'_>) -> Result<(), RouterError> {
    let tables = binding.sketch.sources.iter().zip(&binding.sources);
    for (_, bound) in tables.filter(|(source, _)| matches!(source.kind, SourceKind::Table { .. })) {
        let is_temporary = binding.ctx.temporary_tables.iter().any(|name| name.as_str() == bound.table);
        if is_temporary || matches!(bound.place, Place::View | Place::System(_) | Place::Foreign) {
            return Err(words::refused(format_args!("the table {}", bound.table)));
        }
        if !bound.table.is_ascii() && binding.ctx.charset != ClientCharset::Utf8 {
            return Err(words::refused("names outside ASCII in this character set"));
        }
    }
    Ok(())
}
