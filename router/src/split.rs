//! Several statements in one text: where each begins and ends. Never reads further into a statement than it takes to find its end.
//!
//! A `;` inside a stored program's body ends nothing. Where a body cannot be followed, the rest stays one statement, which then is
//! refused or fails as one: nothing is ever cut too early. Read next: [`crate::recognise`].

use std::ops::Range;

use podway_model::MySqlVersion;

use crate::charset::ClientCharset;
use crate::lex::{Symbol, Token, TokenKind};
use crate::normalise::Normalised;
use crate::sql_mode::SqlMode;

/// The first servers that read `$$ … $$` as one text: a `;` in it ends nothing. Older ones have no use for such a text, and a version
/// comment that is read wrongly for them is refused when the statement is recognised.
const READ_AS: MySqlVersion = MySqlVersion(90000);

/// The statements of a text, without their semicolons; what follows the last semicolon counts if it is more than blanks and comments.
/// A text that cannot be read (a quote never ends) is one statement.
pub fn split_statements(sql: &[u8], mode: SqlMode, charset: ClientCharset) -> Vec<Range<usize>> {
    let mut n = Normalised::new();
    n.set_version(READ_AS);
    if memchr::memchr(b';', sql).is_none() || n.run(sql, mode, charset).is_err() {
        return std::iter::once(0..sql.len()).collect();
    }
    let tokens: Vec<Token> = n.tokens().collect();
    let mut statements = Vec::new();
    let (mut start, mut rest) = (0, tokens.as_slice());
    while !rest.is_empty() {
        let end = Body::of(n.template(), rest).map_or_else(|| next_semicolon(rest, 0), |body| body.end(rest));
        let end_at = rest.get(end).map_or(n.template().len(), |token| token.start as usize);
        statements.push(n.original_range(start..end_at));
        start = (end_at + 1).min(n.template().len());
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    if statements.is_empty() {
        statements.push(0..sql.len());
    }
    statements
}

fn next_semicolon(tokens: &[Token], from: usize) -> usize {
    let behind = tokens.get(from..).unwrap_or_default();
    from + behind.iter().position(|token| token.is(Symbol::Semicolon)).unwrap_or(behind.len())
}

/// What is open inside a stored program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    /// BEGIN, IF, LOOP, REPEAT, WHILE, CASE as statements.
    Block,
    /// CASE as an expression: its THEN and ELSE start no statements.
    CaseExpression,
}

/// Follows the body of a stored program.
struct Body<'a> {
    template: &'a [u8],
    /// The token at which the body may start.
    start: usize,
    open: Vec<Open>,
    /// Whether the next token starts a statement.
    at_statement: bool,
    /// How many WHILEs still wait for their DO.
    awaits_do: usize,
}

impl<'a> Body<'a> {
    /// The body of the CREATE or ALTER of a stored program that `tokens` starts with.
    fn of(template: &'a [u8], tokens: &[Token]) -> Option<Self> {
        let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(template, word));
        if !is(0, "CREATE") && !is(0, "ALTER") {
            return None;
        }
        // No semicolon stands before a body.
        let header = next_semicolon(tokens, 0);
        const PROGRAMS: [&str; 4] = ["PROCEDURE", "FUNCTION", "TRIGGER", "EVENT"];
        const OTHERS: [&str; 9] =
            ["TABLE", "VIEW", "INDEX", "DATABASE", "SCHEMA", "USER", "ROLE", "SERVER", "TABLESPACE"];
        let first = |words: &[&str]| {
            (1..header)
                .find(|&at| words.iter().any(|word| is(at, word)) && !tokens[at - 1].is(Symbol::Equals))
        };
        let program = first(&PROGRAMS)?;
        if first(&OTHERS).is_some_and(|other| other < program) {
            return None;
        }
        let start = if is(program, "EVENT") {
            (program..header).find(|&at| is(at, "DO"))? + 1
        } else if is(program, "TRIGGER") {
            let row = (program..header).find(|&at| is(at, "EACH") && is(at + 1, "ROW"))? + 2;
            if is(row, "FOLLOWS") || is(row, "PRECEDES") { row + 2 } else { row }
        } else {
            routine_start(template, tokens, program + 1)
        };
        Some(Body { template, start, open: Vec::new(), at_statement: true, awaits_do: 0 })
    }

    /// The token that ends the statement: its semicolon, or the number of tokens.
    fn end(mut self, tokens: &[Token]) -> usize {
        let mut at = self.start;
        while let Some(token) = tokens.get(at) {
            if token.is(Symbol::Semicolon) {
                if self.open.is_empty() {
                    return at;
                }
                self.at_statement = true;
                at += 1;
            } else {
                at = self.token(tokens, at);
            }
        }
        tokens.len()
    }

    /// Follows one token; gives the next.
    fn token(&mut self, tokens: &[Token], at: usize) -> usize {
        let is = |ahead: usize, word: &str| {
            tokens.get(at + ahead).is_some_and(|token| token.is_word(self.template, word))
        };
        let starts = std::mem::take(&mut self.at_statement);
        // A label: the statement is still to come.
        if tokens.get(at + 1).is_some_and(|next| next.is(Symbol::Colon)) {
            self.at_statement = starts;
            return at + 2;
        }
        if starts && is(0, "WHILE") {
            self.awaits_do += 1;
        }
        if starts && ["BEGIN", "IF", "CASE", "LOOP", "REPEAT", "WHILE"].iter().any(|word| is(0, word)) {
            self.open.push(Open::Block);
            self.at_statement = ["BEGIN", "LOOP", "REPEAT"].iter().any(|word| is(0, word));
        } else if is(0, "CASE") {
            self.open.push(Open::CaseExpression);
        } else if is(0, "END") {
            let closed = self.open.pop();
            let closes_named = ["IF", "CASE", "LOOP", "REPEAT", "WHILE"].iter().any(|word| is(1, word));
            return at + 1 + usize::from(closed == Some(Open::Block) && closes_named);
        } else if is(0, "DO") && self.awaits_do > 0 {
            self.awaits_do -= 1;
            self.at_statement = true;
        } else if is(0, "THEN") || is(0, "ELSE") {
            self.at_statement = self.open.last() == Some(&Open::Block);
        } else if is(0, "HANDLER") && is(1, "FOR") {
            return self.handler(tokens, at);
        }
        at + 1
    }

    /// `HANDLER FOR condition, … statement`: gives the token at which the statement starts.
    fn handler(&mut self, tokens: &[Token], at: usize) -> usize {
        let mut at = at + 2;
        loop {
            let is = |ahead: usize, word: &str| {
                tokens.get(at + ahead).is_some_and(|token| token.is_word(self.template, word))
            };
            at += if is(0, "SQLSTATE") {
                if is(1, "VALUE") { 3 } else { 2 }
            } else if is(0, "NOT") {
                2
            } else {
                1
            };
            if !tokens.get(at).is_some_and(|token| token.is(Symbol::Comma)) {
                self.at_statement = true;
                return at;
            }
            at += 1;
        }
    }
}

/// Where the body of a procedure or function starts, whose name is at `at`: behind the parameters, at the first word that starts a
/// statement.
fn routine_start(template: &[u8], tokens: &[Token], at: usize) -> usize {
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(template, word));
    let mut at = at;
    if is(at, "IF") {
        at += 3;
    }
    at += if tokens.get(at + 1).is_some_and(|token| token.is(Symbol::Dot)) { 3 } else { 1 };
    let mut depth = 0usize;
    while let Some(token) = tokens.get(at) {
        match token.kind {
            TokenKind::Symbol(Symbol::LeftParen) => depth += 1,
            TokenKind::Symbol(Symbol::RightParen) => depth = depth.saturating_sub(1),
            TokenKind::Symbol(Symbol::Semicolon) if depth == 0 => return at,
            _ if depth > 0 => {}
            _ if tokens.get(at + 1).is_some_and(|next| next.is(Symbol::Colon)) => return at,
            TokenKind::Word => {
                const STARTS: [&str; 16] = [
                    "BEGIN", "IF", "CASE", "LOOP", "REPEAT", "WHILE", "RETURN", "SELECT", "INSERT", "UPDATE",
                    "DELETE", "REPLACE", "CALL", "WITH", "DO", "CREATE",
                ];
                if STARTS.iter().any(|word| is(at, word)) {
                    return at;
                }
            }
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(sql: &str) -> Vec<&str> {
        let ranges = split_statements(sql.as_bytes(), SqlMode::empty(), ClientCharset::Utf8);
        ranges.into_iter().map(|range| sql[range].trim()).collect()
    }

    #[test]
    fn statements_end_at_semicolons_outside_quotes_and_comments() {
        let cases: [(&str, &[&str]); 12] = [
            ("SELECT 1", &["SELECT 1"]),
            ("SELECT 1;", &["SELECT 1"]),
            ("SELECT 1; ", &["SELECT 1"]),
            ("SELECT 1; -- c", &["SELECT 1"]),
            ("SELECT 1; SELECT 2", &["SELECT 1", "SELECT 2"]),
            ("SELECT ';'; SELECT \";\", `;`", &["SELECT ';'", "SELECT \";\", `;`"]),
            (
                "SELECT 1 /* ; */; SELECT 2 -- ;\n; SELECT 3 # ;",
                &["SELECT 1 /* ; */", "SELECT 2 -- ;", "SELECT 3 # ;"],
            ),
            ("SELECT 'long literal'; SELECT 2, 'x';;", &["SELECT 'long literal'", "SELECT 2, 'x'", ""]),
            ("", &[""]),
            (";", &[""]),
            ("SELECT 1; SELECT 'x", &["SELECT 1; SELECT 'x"]),
            ("CREATE TABLE begin (a INT); SELECT 1", &["CREATE TABLE begin (a INT)", "SELECT 1"]),
        ];
        for (sql, expected) in cases {
            assert_eq!(split(sql), expected, "{sql}");
        }
    }

    #[test]
    fn bodies_of_stored_programs_stay_whole() {
        let programs = [
            "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END",
            "CREATE PROCEDURE p() SELECT 1",
            "CREATE DEFINER=`begin`@`%` PROCEDURE IF NOT EXISTS d.begin(IN a INT, OUT b INT) COMMENT 'x' DETERMINISTIC BEGIN END",
            "CREATE PROCEDURE p() l: BEGIN IF a THEN SELECT 1; ELSEIF b THEN SELECT 2; ELSE SELECT 3; END IF; LEAVE l; END l",
            "CREATE PROCEDURE p() IF IF(a, b, c) THEN SELECT IF(1, 2, 3); END IF",
            "CREATE PROCEDURE p() BEGIN WHILE a < 5 DO SET a = a + 1; DO SLEEP(1); END WHILE; END",
            "CREATE PROCEDURE p() BEGIN REPEAT SET a = REPEAT('x', 3); UNTIL a > 5 END REPEAT; END",
            "CREATE PROCEDURE p() BEGIN l: LOOP ITERATE l; END LOOP l; END",
            "CREATE PROCEDURE p() BEGIN CASE x WHEN 1 THEN SELECT 1; ELSE BEGIN END; END CASE; END",
            "CREATE PROCEDURE p() BEGIN SELECT CASE WHEN a THEN IF(b, 1, 2) ELSE REPEAT('a', 3) END; SELECT 2; END",
            "CREATE PROCEDURE p() BEGIN DECLARE EXIT HANDLER FOR SQLSTATE VALUE '23000', NOT FOUND BEGIN SELECT 1; END; SELECT 2; END",
            "CREATE PROCEDURE p() BEGIN DECLARE c CURSOR FOR SELECT 1; OPEN c; DROP TABLE IF EXISTS t; END",
            "CREATE FUNCTION f(a INT) RETURNS VARCHAR(10) CHARACTER SET utf8mb4 DETERMINISTIC RETURN CASE a WHEN 1 THEN 2 END",
            "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW FOLLOWS y BEGIN SET NEW.a = 1; SET NEW.b = 2; END",
            "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS NOW() ENDS NOW() DO BEGIN SELECT 1; SELECT 2; END",
            "ALTER EVENT e DO BEGIN SELECT 1; END",
            "CREATE FUNCTION f() RETURNS INT LANGUAGE JAVASCRIPT AS $$ let it = 'x'; return it; $$",
        ];
        for program in programs {
            let text = format!("{program}; SELECT 9");
            assert_eq!(split(&text), [program, "SELECT 9"]);
        }
    }
}
