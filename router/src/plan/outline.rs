//! A query or a change of rows, walked from its verb on. Never decides where it goes.

use super::sketch::walker::Walker;
use super::tokens::Tokens;
use crate::{RouterError, Verb};

/// A query or a change of rows that starts at `at`.
pub(super) fn statement(
    w: &mut Walker<'_>,
    t: &Tokens<'_>,
    at: usize,
    verb: Option<Verb>,
) -> Result<(), RouterError> {
    let end = t.len();
    let is_query = matches!(verb, Some(Verb::Select | Verb::Values | Verb::Table));
    if is_query {
        w.query(at, end, None)?;
        return Ok(());
    }
    let at = if t.is(at, "WITH") { w.with(at + 1, end, None)? } else { at };
    match (verb, t.text(at)) {
        (Some(Verb::Insert), "INSERT") | (Some(Verb::Replace), "REPLACE") => w.insert(at + 1, end),
        (Some(Verb::Update), "UPDATE") => w.update(at + 1, end),
        (Some(Verb::Delete), "DELETE") => w.delete(at + 1, end),
        _ => Err(RouterError::unsupported(format_args!(
            "this statement ({}) over several shards",
            shown(t, at)
        ))),
    }
}

fn shown(t: &Tokens<'_>, at: usize) -> String {
    let words: Vec<&str> = (at..at + 3).map(|at| t.text(at)).take_while(|text| !text.is_empty()).collect();
    words.join(" ")
}
