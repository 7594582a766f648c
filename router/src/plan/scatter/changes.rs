//! UPDATE and DELETE on several shards: each shard runs the statement over its own rows, and what they did adds up. That is what one MySQL would do where
//! each row of the FROM clause is made of the rows of one shard, which is the rule by which SELECTs are merged ([`super::super::gather`]).

use podway_model::Name;

use super::feeds::{self, feed};
use super::limits::{limit_at, limited};
use super::{Scatter, words};
use crate::plan::bind::{Binding, Place};
use crate::plan::decide::is_changed;
use crate::plan::gather::Root;
use crate::plan::pins::Known;
use crate::plan::sketch::parts::{BlockId, Role, Run, SourceId};
use crate::{Recognised, RouterError, Verb};

/// How an UPDATE or DELETE of sharded tables runs on several shards; an error names what stands in the way.
pub(in crate::plan) fn changes(
    binding: &Binding<'_>,
    recognised: &Recognised,
) -> Result<Scatter, RouterError> {
    let limit_at = limit_at(binding.t);
    let whole = Run { first: 0, end: limit_at.unwrap_or(binding.t.len()) };
    words::check_effects(recognised)?;
    words::check(binding.t, whole, &[&words::STATEMENTS[..], &words::OVER_ROWS, &feeds::WORDS].concat())?;
    let (block, keyspace) = changed_block(binding).ok_or_else(|| words::refused("no table"))?;
    let sources = &binding.sketch.blocks[block].sources;
    let limited = match limit_at {
        Some(at) => Some(Box::new(limited(binding, recognised, (block, at))?)),
        None => None,
    };
    let may_keep_time = |&id: &SourceId| {
        matches!(binding.sources[id].place, Place::Sharded(_) | Place::Home(_))
            && is_changed(binding, id)
            && words::keeps_time(binding.sources[id].columns())
    };
    let sets_time = recognised.verb == Verb::Update && sources.iter().any(may_keep_time);
    let scatter = Scatter {
        reads_clock: sets_time || words::reads_clock(binding.t, whole),
        limited,
        ..Scatter::new(keyspace)
    };
    let root = check_places(binding, block).and_then(|()| {
        Root::among(binding, &Known::of(binding), sources).ok_or_else(|| apart(binding, sources))
    });
    match root {
        Ok(root) => Ok(Scatter { keys: root.keys, ..scatter }),
        Err(error) => feed(binding, scatter, error),
    }
}

/// The block whose tables change, and their keyspace.
fn changed_block(binding: &Binding<'_>) -> Option<(BlockId, Name)> {
    let source = binding.sketch.sources.iter().find(|source| source.role == Role::Change)?;
    let keyspace = binding.sources.iter().find_map(|bound| bound.keyspace.as_ref())?;
    Some((source.block, keyspace.name.clone()))
}

/// Every shard must have the rows of the statement's own tables with them, and all rows of its subqueries'.
fn check_places(binding: &Binding<'_>, block: BlockId) -> Result<(), RouterError> {
    if binding.sketch.needs_home {
        return Err(words::refused("a function of one server"));
    }
    for (source, bound) in binding.sketch.sources.iter().zip(&binding.sources) {
        let what = match bound.place {
            Place::Reference(_) | Place::Derived => continue,
            Place::Sharded(_) if source.block == block => continue,
            Place::Sharded(_) => "a subquery over the sharded table",
            Place::Home(_) => "the table of the home shard",
            Place::View | Place::System(_) | Place::Foreign => "the table",
        };
        return Err(words::refused(format_args!("{what} {}", bound.table)));
    }
    Ok(())
}

/// What is said of tables whose rows may meet those of other shards.
fn apart(binding: &Binding<'_>, sources: &[SourceId]) -> RouterError {
    let is_sharded = |id: &&SourceId| matches!(binding.sources[**id].place, Place::Sharded(_));
    let names: Vec<&str> =
        sources.iter().filter(is_sharded).map(|&id| binding.sources[id].table.as_str()).collect();
    match names[..] {
        [name] => words::refused(format_args!("an outer join in which rows of {name} may be missing")),
        _ => words::refused(format_args!(
            "sharded tables that are not joined by their sharding keys ({})",
            names.join(", ")
        )),
    }
}
