//! A stored program's body, taken apart: its statements and expressions, each with the local variables in sight. Follows MySQL's grammar of compound statements;
//! whatever does not fit is an error, never skipped. What a piece may do is decided in [`super::check`].

use podway_model::Name;

use crate::RouterError;
use crate::plan::sketch::parts::Run;
use crate::plan::tokens::{Class, Tokens};

/// How deep blocks may nest.
const MAX_DEPTH: usize = 32;

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An expression, or what is evaluated as some.
    Expression,
    /// A query.
    Query,
    Insert,
    Update,
    Delete,
}

/// A statement or an expression of a body.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub kind: Kind,
    pub run: Run,
    /// The local variables in sight.
    pub locals: Vec<Name>,
}

/// A body, taken apart.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub pieces: Vec<Piece>,
    /// The tokens of the columns `NEW.column` that it sets.
    pub sets_new: Vec<usize>,
}

/// Takes the statement that fills the tokens from `at` to the end apart, in a program with these parameters.
pub(super) fn read(t: &Tokens<'_>, at: usize, params: &[Name]) -> Result<Body, RouterError> {
    let mut reader = Reader { t, body: Body::default(), scopes: vec![params.to_vec()], depth: 0 };
    let end = reader.statement(at)?;
    if end == t.len() { Ok(reader.body) } else { Err(reader.lost(end)) }
}

struct Reader<'t> {
    t: &'t Tokens<'t>,
    body: Body,
    scopes: Vec<Vec<Name>>,
    depth: usize,
}

impl Reader<'_> {
    fn lost(&self, at: usize) -> RouterError {
        let t = self.t;
        let near = t.slice(t.start(at.min(t.len().saturating_sub(1))), t.end((at + 4).min(t.len() - 1)));
        let near = String::from_utf8_lossy(near).replace(|c: char| c.is_control(), " ");
        RouterError::unsupported(format_args!(
            "this form of statement in a stored program over several shards, near '{near}'"
        ))
    }

    fn piece(&mut self, kind: Kind, first: usize, end: usize) {
        let locals = self.scopes.iter().flatten().cloned().collect();
        self.body.pieces.push(Piece { kind, run: Run { first, end }, locals });
    }

    /// One statement; gives the place behind it, where its semicolon is.
    fn statement(&mut self, at: usize) -> Result<usize, RouterError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(RouterError::unsupported("stored programs that nest as deep as this"));
        }
        let end = self.inner(at)?;
        self.depth -= 1;
        Ok(end)
    }

    fn inner(&mut self, at: usize) -> Result<usize, RouterError> {
        let t = self.t;
        if t.is_name(at) && t.is(at + 1, ":") {
            return match t.text(at + 2) {
                "BEGIN" | "LOOP" | "REPEAT" | "WHILE" => self.inner(at + 2),
                _ => Err(self.lost(at)),
            };
        }
        match t.text(at) {
            "BEGIN" => self.block(at + 1),
            "IF" => self.conditional(at + 1),
            "CASE" => self.case(at + 1),
            "LOOP" => {
                let end = self.list(at + 1, &["END"])?;
                self.closed(end, Some("LOOP"))
            }
            "WHILE" => {
                let body = self.expression(at + 1, &["DO"])?;
                let end = self.list(body + 1, &["END"])?;
                self.closed(end, Some("WHILE"))
            }
            "REPEAT" => {
                let until = self.list(at + 1, &["UNTIL"])?;
                let end = self.expression(until + 1, &["END"])?;
                self.closed(end, Some("REPEAT"))
            }
            "ITERATE" | "LEAVE" | "OPEN" | "CLOSE" if t.is_name(at + 1) => Ok(at + 2),
            "FETCH" => self.fetch(at),
            "SET" => self.set(at + 1),
            _ => self.simple(at),
        }
    }

    /// A statement that no other is within.
    fn simple(&mut self, at: usize) -> Result<usize, RouterError> {
        let t = self.t;
        let end = self.end_of(at);
        let kind = match t.text(at) {
            "SELECT" => {
                self.check_into(at, end)?;
                Kind::Query
            }
            "INSERT" | "REPLACE" => Kind::Insert,
            "UPDATE" => Kind::Update,
            "DELETE" => Kind::Delete,
            "SIGNAL" | "RESIGNAL" => {
                self.piece(Kind::Expression, at + 1, end);
                return Ok(end);
            }
            "DO" => {
                self.piece(Kind::Expression, at + 1, end);
                return Ok(end);
            }
            "" => return Err(self.lost(at)),
            word => {
                return Err(RouterError::unsupported(format_args!(
                    "{word} in a stored program over several shards"
                )));
            }
        };
        self.piece(kind, at, end);
        Ok(end)
    }

    /// Where the statement at `at` ends.
    fn end_of(&self, at: usize) -> usize {
        let t = self.t;
        let mut at = at;
        while at < t.len() && !t.is(at, ";") {
            at = if t.is(at, "(") { t.mate(at) + 1 } else { at + 1 };
        }
        at
    }

    /// Statements with a semicolon each, up to one of these words; gives its place.
    fn list(&mut self, at: usize, stops: &[&str]) -> Result<usize, RouterError> {
        let t = self.t;
        let mut at = at;
        while !stops.contains(&t.text(at)) {
            at = self.statement(at)?;
            if !t.is(at, ";") {
                return Err(self.lost(at));
            }
            at += 1;
        }
        Ok(at)
    }

    /// An expression, up to one of these words; gives its place.
    fn expression(&mut self, first: usize, stops: &[&str]) -> Result<usize, RouterError> {
        let t = self.t;
        let (mut at, mut cases) = (first, 0_usize);
        while at < t.len() && !t.is(at, ";") {
            let word = t.text(at);
            if cases == 0 && stops.contains(&word) {
                if at == first {
                    break;
                }
                self.piece(Kind::Expression, first, at);
                return Ok(at);
            }
            match word {
                "CASE" => cases += 1,
                "END" if cases == 0 => break,
                "END" => cases -= 1,
                _ => {}
            }
            at = if word == "(" { t.mate(at) + 1 } else { at + 1 };
        }
        Err(self.lost(at))
    }

    /// Behind `END`, `END IF` … and a label.
    fn closed(&self, at: usize, word: Option<&str>) -> Result<usize, RouterError> {
        let t = self.t;
        if !t.is(at, "END") || word.is_some_and(|word| !t.is(at + 1, word)) {
            return Err(self.lost(at));
        }
        let at = if word.is_some() { at + 2 } else { at + 1 };
        let has_label = !matches!(word, Some("IF" | "CASE")) && t.is_name(at);
        Ok(if has_label { at + 1 } else { at })
    }

    fn block(&mut self, at: usize) -> Result<usize, RouterError> {
        let t = self.t;
        self.scopes.push(Vec::new());
        let mut at = at;
        while t.is(at, "DECLARE") {
            at = self.declare(at + 1)?;
            if !t.is(at, ";") {
                return Err(self.lost(at));
            }
            at += 1;
        }
        let end = self.list(at, &["END"])?;
        self.scopes.pop();
        self.closed(end, None)
    }

    fn conditional(&mut self, at: usize) -> Result<usize, RouterError> {
        let t = self.t;
        let mut at = at;
        loop {
            let then = self.expression(at, &["THEN"])?;
            at = self.list(then + 1, &["ELSEIF", "ELSE", "END"])?;
            match t.text(at) {
                "ELSEIF" => at += 1,
                "ELSE" => {
                    let end = self.list(at + 1, &["END"])?;
                    return self.closed(end, Some("IF"));
                }
                _ => return self.closed(at, Some("IF")),
            }
        }
    }

    fn case(&mut self, at: usize) -> Result<usize, RouterError> {
        let t = self.t;
        let mut at = if t.is(at, "WHEN") { at } else { self.expression(at, &["WHEN"])? };
        while t.is(at, "WHEN") {
            let then = self.expression(at + 1, &["THEN"])?;
            at = self.list(then + 1, &["WHEN", "ELSE", "END"])?;
        }
        let end = if t.is(at, "ELSE") { self.list(at + 1, &["END"])? } else { at };
        self.closed(end, Some("CASE"))
    }

    /// What stands behind DECLARE.
    fn declare(&mut self, at: usize) -> Result<usize, RouterError> {
        let t = self.t;
        if matches!(t.text(at), "CONTINUE" | "EXIT" | "UNDO") && t.are(at + 1, &["HANDLER", "FOR"]) {
            let action = self.conditions(at + 3)?;
            return self.statement(action);
        }
        if !t.is_name(at) {
            return Err(self.lost(at));
        }
        if t.is(at + 1, "CONDITION") {
            return Ok(self.end_of(at));
        }
        if t.are(at + 1, &["CURSOR", "FOR"]) {
            let end = self.end_of(at);
            if !t.is(at + 3, "SELECT") || (at..end).any(|at| t.is(at, "INTO")) {
                return Err(self.lost(at));
            }
            self.piece(Kind::Query, at + 3, end);
            return Ok(end);
        }
        let mut names = Vec::new();
        let mut next = at;
        loop {
            let Some(name) = t.name(next).filter(|_| t.is_name(next)) else { return Err(self.lost(next)) };
            names.push(Name::caseless(&name));
            if !t.is(next + 1, ",") {
                break;
            }
            next += 2;
        }
        let end = self.end_of(next);
        if let Some(default) = (next + 1..end).find(|&at| t.is(at, "DEFAULT")) {
            self.piece(Kind::Expression, default + 1, end);
        }
        if let Some(scope) = self.scopes.last_mut() {
            scope.extend(names);
        }
        Ok(end)
    }

    /// The conditions that a handler is for; gives the place of its statement.
    fn conditions(&self, at: usize) -> Result<usize, RouterError> {
        let t = self.t;
        let mut at = at;
        loop {
            at = match t.text(at) {
                "SQLSTATE" if t.is(at + 1, "VALUE") => at + 3,
                "SQLSTATE" => at + 2,
                "NOT" if t.is(at + 1, "FOUND") => at + 2,
                _ if t.is_name(at) || matches!(t.class(at), Class::Literal(..)) => at + 1,
                _ => return Err(self.lost(at)),
            };
            if !t.is(at, ",") {
                return Ok(at);
            }
            at += 1;
        }
    }

    fn is_local(&self, at: usize) -> bool {
        let Some(name) = self.t.name(at).map(|name| Name::caseless(&name)) else { return false };
        !self.t.is(at + 1, ".") && self.scopes.iter().flatten().any(|local| *local == name)
    }

    /// `a, b`, all of them local variables; gives the place behind them.
    fn locals(&self, at: usize) -> Result<usize, RouterError> {
        let mut at = at;
        while self.is_local(at) {
            if !self.t.is(at + 1, ",") {
                return Ok(at + 1);
            }
            at += 2;
        }
        Err(self.lost(at))
    }

    fn fetch(&self, at: usize) -> Result<usize, RouterError> {
        let end = self.end_of(at);
        let into = (at..end).find(|&at| self.t.is(at, "INTO")).ok_or_else(|| self.lost(at))?;
        if self.locals(into + 1)? == end { Ok(end) } else { Err(self.lost(into)) }
    }

    /// What SELECT … INTO fills are local variables.
    fn check_into(&self, at: usize, end: usize) -> Result<(), RouterError> {
        for into in (at..end).filter(|&at| self.t.is(at, "INTO")) {
            self.locals(into + 1)?;
        }
        Ok(())
    }

    /// The assignments behind SET, each to a local variable or a column of NEW.
    fn set(&mut self, at: usize) -> Result<usize, RouterError> {
        let t = self.t;
        let end = self.end_of(at);
        let mut first = at;
        loop {
            let is_new = t.is(first, "NEW") && t.is(first + 1, ".") && t.is_name(first + 2);
            let sign = match () {
                () if is_new => {
                    self.body.sets_new.push(first + 2);
                    first + 3
                }
                () if self.is_local(first) => first + 1,
                () => {
                    let name = t.name(first).unwrap_or_default();
                    return Err(RouterError::unsupported(format_args!(
                        "SET {name} in a stored program over several shards: it is no local variable"
                    )));
                }
            };
            if !t.is(sign, "=") && !t.is(sign, ":=") {
                return Err(self.lost(sign));
            }
            let mut next = sign + 1;
            while next < end && !t.is(next, ",") {
                next = if t.is(next, "(") { t.mate(next) + 1 } else { next + 1 };
            }
            self.piece(Kind::Expression, sign + 1, next);
            if next >= end {
                return Ok(end);
            }
            first = next + 1;
        }
    }
}
