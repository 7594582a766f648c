//! The items of the outermost SELECT list: where they are, and whether they name themselves. Never reads further than the list.
//!
//! A proxy that puts a value in place of a call must give the column the name that it would have had. Read next:
//! [`super::observe`].

use super::span::TemplateSpan;
use crate::lex::{Symbol, Token, TokenKind};
use crate::normalise::Normalised;

/// The options that may stand behind SELECT.
pub(crate) const SELECT_OPTIONS: [&str; 11] = [
    "ALL",
    "DISTINCT",
    "DISTINCTROW",
    "HIGH_PRIORITY",
    "STRAIGHT_JOIN",
    "SQL_SMALL_RESULT",
    "SQL_BIG_RESULT",
    "SQL_BUFFER_RESULT",
    "SQL_NO_CACHE",
    "SQL_CACHE",
    "SQL_CALC_FOUND_ROWS",
];

/// What ends a SELECT list, outside parentheses.
const ENDS: [&str; 14] = [
    "FROM",
    "INTO",
    "WHERE",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "ORDER",
    "LIMIT",
    "GROUP",
    "HAVING",
    "WINDOW",
    "FOR",
    "LOCK",
    "PROCEDURE",
];

/// Words behind which another word is an operand, not an alias.
const OPERATORS: [&str; 30] = [
    "AND",
    "OR",
    "XOR",
    "NOT",
    "DIV",
    "MOD",
    "IS",
    "LIKE",
    "REGEXP",
    "RLIKE",
    "IN",
    "BETWEEN",
    "BINARY",
    "COLLATE",
    "ESCAPE",
    "INTERVAL",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "SOUNDS",
    "MEMBER",
    "OF",
    "OVER",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "SEPARATOR",
    "ANY",
    "SOME",
];

/// The spans of the items without an alias of a SELECT whose verb is token `verb_at`.
pub(super) fn unaliased(n: &Normalised, tokens: &[Token], verb_at: usize) -> Vec<TemplateSpan> {
    let is = |token: &Token, words: &[&str]| words.iter().any(|word| token.is_word(n.template(), word));
    let mut rest = tokens.get(verb_at + 1..).unwrap_or_default();
    while let Some((first, behind)) = rest.split_first()
        && (first.kind == TokenKind::Hint || is(first, &SELECT_OPTIONS))
    {
        rest = behind;
    }
    let mut items = Vec::new();
    let mut depth = 0usize;
    let mut start = 0;
    for (at, token) in rest.iter().enumerate() {
        let ends_list =
            depth == 0 && (token.is(Symbol::Semicolon) || token.is(Symbol::RightParen) || is(token, &ENDS));
        if ends_list || (depth == 0 && token.is(Symbol::Comma)) {
            items.extend(item(n, &rest[start..at]));
            start = at + 1;
        }
        if ends_list {
            return items;
        }
        depth = match token.kind {
            TokenKind::Symbol(Symbol::LeftParen) => depth + 1,
            TokenKind::Symbol(Symbol::RightParen) => depth.saturating_sub(1),
            _ => depth,
        };
    }
    items.extend(item(n, &rest[start..]));
    items
}

/// The item's span, unless it has an alias.
fn item(n: &Normalised, tokens: &[Token]) -> Option<TemplateSpan> {
    let (first, last) = (tokens.first()?, tokens.last()?);
    (!has_alias(n, tokens)).then_some(TemplateSpan { start: first.start, end: last.end })
}

fn has_alias(n: &Normalised, tokens: &[Token]) -> bool {
    let [.., before, last] = tokens else { return false };
    let is = |token: &Token, words: &[&str]| words.iter().any(|word| token.is_word(n.template(), word));
    if is(before, &["AS"]) {
        return true;
    }
    let names = match last.kind {
        TokenKind::QuotedName => true,
        TokenKind::Word => {
            let unit = tokens.iter().any(|token| is(token, &["INTERVAL"]));
            !is(last, &["END", "NULL", "TRUE", "FALSE", "UNKNOWN"]) && !unit
        }
        TokenKind::Literal(index) => {
            n.literals().get(index as usize).is_some_and(|l| l.kind().is_text() && !l.continues())
        }
        _ => false,
    };
    let operand_before = match before.kind {
        TokenKind::Word => !is(before, &OPERATORS),
        TokenKind::QuotedName | TokenKind::Literal(_) | TokenKind::UserVariable => true,
        TokenKind::Symbol(Symbol::RightParen) => true,
        _ => false,
    };
    names && operand_before
}
