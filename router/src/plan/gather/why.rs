//! Why the rows of several shards are not merged, in words for whoever asks how a statement is run. Decides nothing: [`super::merge`] has decided.

use super::merge::{CLAUSES, Clauses, MORE_THAN_ROWS, Root, order};
use super::{locks, words};
use crate::plan::bind::{Binding, Place};
use crate::plan::sketch::parts::{Run, SourceKind};
use crate::plan::tokens::Tokens;
use crate::{Effects, Recognised};

/// The first thing that keeps the shards' own answers from being the answer.
pub(super) fn unmerged(binding: &Binding<'_>, recognised: &Recognised, root: Option<&Root>) -> String {
    let t = binding.t;
    if let Some(word) = (0..t.len()).find(|&at| MORE_THAN_ROWS.contains(&t.text(at)) && !t.after_dot(at)) {
        return format!("{} is about more than one row", t.text(word));
    }
    let selects = (0..t.len()).filter(|&at| t.is(at, "SELECT")).count();
    if selects > 1 || !t.is(0, "SELECT") {
        return "it is more than one SELECT".to_owned();
    }
    if recognised.effects.intersects(Effects::READS_USER_VARIABLES | Effects::READS_DIAGNOSTICS) {
        return "it reads what only its session knows".to_owned();
    }
    let Some(end) = locks::body_end(binding) else {
        return "its locking clause is not its end".to_owned();
    };
    if let Some(at) = words::first_odd(t, Run { first: 0, end }, &CLAUSES) {
        return odd(t, at);
    }
    let Some(root) = root else { return apart(binding) };
    let clauses = Clauses::of(t, end);
    let ordered = clauses.and_then(|clauses| {
        clauses.order.map_or(Some(Vec::new()), |run| order(binding, root.block, run, &clauses.items))
    });
    match ordered {
        None => "only MySQL can tell the order of what it is ordered by".to_owned(),
        Some(_) => "the numbers in LIMIT are not known".to_owned(),
    }
}

fn odd(t: &Tokens<'_>, at: usize) -> String {
    match (t.text(at), t.is(at + 1, "(")) {
        ("", _) => "a name or sign in it is not certain to mean the same on every shard".to_owned(),
        (word, true) => {
            format!("{word}() is not certain to mean the same on every shard, or is about more than one row")
        }
        (word, false) => format!("{word} is not certain to mean the same on every shard"),
    }
}

/// Why rows that belong together are not on one shard each.
fn apart(binding: &Binding<'_>) -> String {
    if binding.sketch.sources.iter().any(|source| !matches!(source.kind, SourceKind::Table { .. })) {
        return "it has more than tables to read from".to_owned();
    }
    match binding.sources.iter().find(|bound| matches!(bound.place, Place::Home(_))) {
        Some(bound) => format!("the rows of {} are on the home shard alone", bound.table),
        None => "its tables are not joined so that all rows of one result row are on one shard".to_owned(),
    }
}
