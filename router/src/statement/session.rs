//! USE, KILL, SHOW WARNINGS, SHOW PROCESSLIST, SHOW PODWAY, PREPARE and the like: what a session answers itself. Never answers.
//!
//! A form that is not MySQL's is [`None`]: it goes to a server, which says what is wrong. Read next: [`super::observe`].

use super::assignment::Scalar;
use super::cursor::Cursor;
use super::kind::{Diagnostics, Limit, Statement};
use crate::lex::Symbol;

/// Behind USE.
pub(super) fn use_database(at: &mut Cursor<'_>) -> Option<Statement> {
    let name = at.name()?;
    at.at_end().then_some(Statement::Use(name))
}

/// Behind KILL.
pub(super) fn kill(at: &mut Cursor<'_>) -> Option<Statement> {
    let query_only = at.word("QUERY");
    if !query_only {
        at.word("CONNECTION");
    }
    let end = at.value_end();
    let id = (end > at.position()).then(|| at.scalar_until(end))?;
    at.seek(end);
    at.at_end().then_some(Statement::Kill { query_only, id })
}

/// Behind SHOW; None is any SHOW that servers answer.
pub(super) fn show(at: &mut Cursor<'_>) -> Option<Statement> {
    let full = at.word("FULL");
    if at.word("PROCESSLIST") {
        return at.at_end().then_some(Statement::ShowProcesslist { full });
    }
    if !full && at.word("PODWAY") {
        let topic = if at.at_end() { "".into() } else { at.name()? };
        return at.at_end().then_some(Statement::ShowPodway(topic));
    }
    let count_only = at.word("COUNT") && at.symbol(Symbol::LeftParen);
    if count_only && !(at.symbol(Symbol::Star) && at.symbol(Symbol::RightParen)) {
        return None;
    }
    let errors_only = at.word("ERRORS");
    if full || !(errors_only || at.word("WARNINGS")) {
        return None;
    }
    let limit = if !count_only && at.word("LIMIT") { Some(limit(at)) } else { None };
    at.at_end().then_some(Statement::ShowWarnings(Diagnostics { errors_only, count_only, limit }))
}

/// Behind LIMIT: `count`, `offset, count` or `count OFFSET offset`.
fn limit(at: &mut Cursor<'_>) -> Limit {
    let first = at.scalar();
    if at.symbol(Symbol::Comma) {
        Limit { offset: Some(first), count: at.scalar() }
    } else if at.word("OFFSET") {
        Limit { offset: Some(at.scalar()), count: first }
    } else {
        Limit { offset: None, count: first }
    }
}

/// Behind PREPARE.
pub(super) fn prepare(at: &mut Cursor<'_>) -> Option<Statement> {
    let name = at.caseless()?;
    if !at.word("FROM") {
        return None;
    }
    let source = at.scalar();
    at.at_end().then_some(Statement::Prepare { name, source })
}

/// Behind EXECUTE.
pub(super) fn execute(at: &mut Cursor<'_>) -> Option<Statement> {
    let name = at.caseless()?;
    let mut using = Vec::new();
    if at.word("USING") {
        loop {
            let Scalar::UserVariable(variable) = at.scalar() else { return None };
            using.push(variable);
            if !at.symbol(Symbol::Comma) {
                break;
            }
        }
    }
    at.at_end().then_some(Statement::Execute { name, using })
}

/// Behind DEALLOCATE PREPARE or DROP PREPARE.
pub(super) fn deallocate(at: &mut Cursor<'_>) -> Option<Statement> {
    let name = at.caseless()?;
    at.at_end().then_some(Statement::Deallocate(name))
}

/// Behind LOAD.
pub(super) fn load(at: &mut Cursor<'_>) -> Option<Statement> {
    if !at.any(&["DATA", "XML"]) {
        return None;
    }
    at.any(&["LOW_PRIORITY", "CONCURRENT"]);
    Some(Statement::Load { local: at.word("LOCAL") })
}
