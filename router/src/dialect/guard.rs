//! What is refused before parsing: trees so deep that dropping or walking them could overflow a stack. Never looks at meaning.
//!
//! A tree's depth is at most the nesting of its brackets plus the operators chained at each level; commas begin a new chain, so
//! that wide lists and inserts of many rows are shallow. Read next: [`super::feed`].

use super::ParseRefusal;
use crate::lex::{Symbol, Token, TokenKind};

/// How deep parentheses and CASE may be nested.
pub(super) const MAX_NESTING: usize = 200;

/// How deep a tree may become: chained operators, UNIONs and brackets together.
const MAX_DEPTH: usize = 500;

/// Words that chain or nest expressions.
const CHAINING: [&str; 27] = [
    "AND",
    "OR",
    "XOR",
    "NOT",
    "IS",
    "LIKE",
    "REGEXP",
    "RLIKE",
    "BETWEEN",
    "IN",
    "DIV",
    "MOD",
    "BINARY",
    "COLLATE",
    "ESCAPE",
    "MEMBER",
    "SOUNDS",
    "INTERVAL",
    "JOIN",
    "STRAIGHT_JOIN",
    "WHEN",
    "THEN",
    "ELSE",
    "ALL",
    "ANY",
    "SOME",
    "EXISTS",
];

/// Words that chain queries, whatever commas are between.
const CHAINING_QUERIES: [&str; 4] = ["UNION", "EXCEPT", "INTERSECT", "MINUS"];

/// One bracket that is open, or the whole statement.
#[derive(Default)]
struct Level {
    /// Operators since the last comma.
    terms: usize,
    queries: usize,
}

impl Level {
    fn depth(&self) -> usize {
        1 + self.terms + self.queries
    }
}

/// Refuses what is too deep.
pub(super) fn check(template: &[u8], tokens: &[Token]) -> Result<(), ParseRefusal> {
    let mut open: Vec<Level> = Vec::new();
    let mut level = Level::default();
    // The depth of all open levels but the innermost.
    let mut outer = 0;
    for token in tokens {
        let is = |words: &[&str]| words.iter().any(|word| token.is_word(template, word));
        if token.is(Symbol::LeftParen) || is(&["CASE"]) {
            outer += level.depth();
            open.push(std::mem::take(&mut level));
        } else if token.is(Symbol::RightParen) || is(&["END"]) {
            if let Some(outside) = open.pop() {
                level = outside;
                outer -= level.depth();
            }
        } else if token.is(Symbol::Comma) || is(&["SELECT"]) {
            level.terms = 0;
        } else if is(&CHAINING_QUERIES) {
            level.queries += 1;
        } else if is_operator(token.kind) || is(&CHAINING) {
            level.terms += 1;
        }
        if open.len() > MAX_NESTING {
            return Err(ParseRefusal::TooComplex { what: "nested parentheses", limit: MAX_NESTING });
        }
        if outer + level.depth() > MAX_DEPTH {
            return Err(ParseRefusal::TooComplex { what: "terms in one expression", limit: MAX_DEPTH });
        }
    }
    Ok(())
}

fn is_operator(kind: TokenKind) -> bool {
    match kind {
        TokenKind::Symbol(symbol) => !matches!(
            symbol,
            Symbol::LeftParen
                | Symbol::RightParen
                | Symbol::Comma
                | Symbol::Semicolon
                | Symbol::Dot
                | Symbol::AtAt
        ),
        _ => false,
    }
}
