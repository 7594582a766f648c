//! LOCK TABLES: which tables it locks, where they lie and how. Never locks anything. Read next: [`super::locked_use`].

use super::bind::{Binding, Place};
use super::locked::{LockMode, TableLock, TableLocks};
use super::plan::Plan;
use super::sketch::parts::SourceKind;
use super::target::Target;
use super::tokens::Tokens;
use crate::Verb;

/// The target of a LOCK TABLES, whose plan knows then what it locks: the session has each server lock its own.
pub(super) fn target(plan: &mut Plan, binding: &Binding<'_>) -> Option<Target> {
    let locks = (plan.verb() == Verb::LockTables).then(|| locks(binding)).flatten()?;
    let target = Target::Home { keyspace: Some(locks.keyspace.clone()) };
    plan.locks = Some(Box::new(locks));
    Some(target)
}

/// What a LOCK TABLES locks; `None` where it names other things than tables of one keyspace.
fn locks(binding: &Binding<'_>) -> Option<TableLocks> {
    let mut tables = Vec::with_capacity(binding.sources.len());
    let first = binding.sources.first()?.keyspace.as_ref()?;
    for (source, bound) in binding.sketch.sources.iter().zip(&binding.sources) {
        let is_everywhere = match bound.place {
            Place::Sharded(_) | Place::Reference(_) => true,
            Place::Home(_) => false,
            _ => return None,
        };
        if bound.keyspace.as_ref().is_none_or(|keyspace| keyspace.name != first.name) {
            return None;
        }
        let SourceKind::Table { name, .. } = source.kind else { return None };
        let (alias, mode) = how(binding.t, name + 1)?;
        tables.push(TableLock { table: bound.table.as_str().into(), is_everywhere, alias, mode });
    }
    Some(TableLocks { keyspace: first.name.clone(), tables })
}

/// `[[AS] alias] READ [LOCAL] | [LOW_PRIORITY] WRITE`, to its end.
fn how(t: &Tokens<'_>, at: usize) -> Option<(Option<Box<str>>, LockMode)> {
    let modes: [(&[&str], LockMode); 4] = [
        (&["READ", "LOCAL"], LockMode::ReadLocal),
        (&["READ"], LockMode::Read),
        (&["WRITE"], LockMode::Write),
        (&["LOW_PRIORITY", "WRITE"], LockMode::Write),
    ];
    let mode = |at: usize| {
        let ends = |words: &&[&str]| at + words.len() == t.len() || t.is(at + words.len(), ",");
        modes.iter().find(|(words, _)| t.are(at, words) && ends(words)).map(|(_, mode)| *mode)
    };
    if let Some(mode) = mode(at) {
        return Some((None, mode));
    }
    let at = if t.is(at, "AS") { at + 1 } else { at };
    Some((Some(t.name(at)?.into()), mode(at + 1)?))
}
