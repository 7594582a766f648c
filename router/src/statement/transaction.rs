//! BEGIN, COMMIT, ROLLBACK and savepoints, as they are written. Never runs one.
//!
//! A form that is not MySQL's is [`None`]: it goes to a server, which says what is wrong. Read next: [`super::set`].

use super::cursor::Cursor;
use super::kind::{BeginOptions, Completion, Statement};
use crate::lex::Symbol;

/// Behind BEGIN or START TRANSACTION.
pub(super) fn begin(at: &mut Cursor<'_>) -> Option<Statement> {
    at.word("WORK");
    let mut options = BeginOptions::default();
    while !at.at_end() {
        if at.words(&["READ", "ONLY"]) {
            options.read_only = true;
        } else if at.words(&["READ", "WRITE"]) {
            options.read_write = true;
        } else if at.words(&["WITH", "CONSISTENT", "SNAPSHOT"]) {
            options.consistent_snapshot = true;
        } else {
            return None;
        }
        if !at.symbol(Symbol::Comma) && !at.at_end() {
            return None;
        }
    }
    Some(Statement::Begin(options))
}

/// Behind COMMIT.
pub(super) fn commit(at: &mut Cursor<'_>) -> Option<Statement> {
    at.word("WORK");
    completion(at).map(Statement::Commit)
}

/// Behind ROLLBACK.
pub(super) fn rollback(at: &mut Cursor<'_>) -> Option<Statement> {
    at.word("WORK");
    if at.word("TO") {
        at.word("SAVEPOINT");
        let name = at.caseless()?;
        return at.at_end().then_some(Statement::RollbackTo(name));
    }
    completion(at).map(Statement::Rollback)
}

/// Behind SAVEPOINT.
pub(super) fn savepoint(at: &mut Cursor<'_>) -> Option<Statement> {
    let name = at.caseless()?;
    at.at_end().then_some(Statement::Savepoint(name))
}

/// Behind RELEASE SAVEPOINT.
pub(super) fn release(at: &mut Cursor<'_>) -> Option<Statement> {
    let name = at.caseless()?;
    at.at_end().then_some(Statement::ReleaseSavepoint(name))
}

/// `[AND [NO] CHAIN] [[NO] RELEASE]`
fn completion(at: &mut Cursor<'_>) -> Option<Completion> {
    let chain = if at.words(&["AND", "CHAIN"]) {
        Some(true)
    } else {
        at.words(&["AND", "NO", "CHAIN"]).then_some(false)
    };
    let release = if at.word("RELEASE") { Some(true) } else { at.words(&["NO", "RELEASE"]).then_some(false) };
    at.at_end().then_some(Completion { chain, release })
}
