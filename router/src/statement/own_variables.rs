//! What sessions ask of Podway in MySQL's own forms: SELECT PODWAY_OUTCOME(id), SHOW VARIABLES. Never answers.
//!
//! Read next: [`super::calls`], the functions and variables that stand anywhere.

use super::cursor::Cursor;
use super::kind::{Statement, Verb};
use super::{Recognised, Scalar};
use crate::lex::{Symbol, Token, TokenKind};
use crate::normalise::Normalised;

/// Behind SELECT: `PODWAY_OUTCOME(id) [[AS] alias]`, and nothing else.
pub(super) fn outcome(at: &mut Cursor<'_>) -> Option<Statement> {
    let start = at.clone();
    if !at.word("PODWAY_OUTCOME") || !at.symbol(Symbol::LeftParen) {
        return None;
    }
    let id = at.scalar();
    if !at.symbol(Symbol::RightParen) {
        return None;
    }
    let item = start.span_until(at.position());
    let is_named = at.word("AS");
    let alias = if at.at_end() { None } else { at.name() };
    (at.at_end() && (alias.is_some() || !is_named)).then_some(Statement::Outcome { id, alias, item })
}

/// The literal that `SHOW [SESSION | LOCAL] VARIABLES LIKE literal` compares with, if that is what a statement is.
pub fn shown_variables(recognised: &Recognised, n: &Normalised) -> Option<Scalar> {
    if recognised.verb != Verb::Show || recognised.statement != Statement::Query {
        return None;
    }
    let tokens: Vec<Token> = n.tokens().collect();
    let mut at = Cursor::new(n, &tokens);
    at.word("SHOW");
    at.any(&["SESSION", "LOCAL"]);
    if !at.words(&["VARIABLES", "LIKE"]) {
        return None;
    }
    let is_literal = at.peek(0).is_some_and(|token| matches!(token.kind, TokenKind::Literal(_)));
    let pattern = at.scalar();
    (is_literal && at.at_end()).then_some(pattern)
}
