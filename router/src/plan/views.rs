//! Views in keyspaces with several shards. A view is on the home shard alone and reads what its server has: all of home tables, a part or one copy of others.

use super::bind::{Binding, Bound, Place};
use crate::{RouterError, Verb};

/// Refuses to make a view of a table that several shards have, naming it. What is a view already, or of another keyspace, is refused wherever it is named.
pub(super) fn check(binding: &Binding<'_>, verb: Verb) -> Result<(), RouterError> {
    if !matches!(verb, Verb::CreateView | Verb::AlterView) {
        return Ok(());
    }
    let of = |bound: &Bound| match &bound.place {
        Place::Sharded(_) => Some("sharded"),
        Place::Reference(_) => Some("reference"),
        _ => None,
    };
    match binding.sources.iter().find_map(|bound| Some((of(bound)?, &bound.table))) {
        Some((kind, table)) => Err(RouterError::unsupported(format_args!(
            "a view with the {kind} table {table} over several shards"
        ))),
        None => Ok(()),
    }
}

/// What is said of a view that is known as one.
pub(super) fn refused(binding: &Binding<'_>, bound: &Bound) -> RouterError {
    let is_marked = bound.keyspace.as_ref().is_some_and(|keyspace| {
        let name = binding.ctx.map.names.name(&bound.table);
        binding.ctx.map.unpinned(&keyspace.name, &name).is_some()
    });
    match is_marked {
        true => RouterError::unsupported(format_args!(
            "the view {} over several shards, for it uses a table that is not on the home shard alone; SHOW PODWAY DRIFT says which. \
             DROP VIEW works, and the name can be used when the shards were looked at again",
            bound.table
        )),
        false => RouterError::unsupported(format_args!("the view {} over several shards", bound.table)),
    }
}
