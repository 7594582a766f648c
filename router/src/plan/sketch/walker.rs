//! Walks the tokens of expressions: finds subqueries, functions, variables and qualified names. Operators mean nothing to it.
//! Read next: [`super::query`].

use podway_model::{MySqlVersion, NameRule};

use super::parts::{Block, BlockId, Role, Run, Sketch, Source, SourceId, SourceKind};
use crate::RouterError;
use crate::plan::functions::{self, Native};
use crate::plan::tokens::{Class, Tokens};

/// How deep subqueries and parenthesised joins may nest; MySQL itself stops at 63 subqueries.
const MAX_DEPTH: usize = 64;
/// How many tokens back the start of a list of types is looked for.
const LOOK_BACK: usize = 1_000;

/// Where a run of expressions ends: asked at each token outside parentheses.
pub(super) type Stop = fn(&Tokens<'_>, usize) -> bool;

/// What the reading of words depends on.
#[derive(Clone, Copy, Debug)]
pub(in crate::plan) struct Rules {
    pub names: NameRule,
    pub version: MySqlVersion,
    /// IGNORE_SPACE in sql_mode.
    pub ignore_space: bool,
}

/// The state of one walk.
pub(in crate::plan) struct Walker<'t> {
    pub(super) t: &'t Tokens<'t>,
    pub(super) sketch: Sketch,
    pub(super) rules: Rules,
    /// The CTEs that are visible here, innermost last, as their names compare.
    pub(super) ctes: Vec<String>,
    pub(super) depth: usize,
    /// Of the tables of the block around the next query, those in sight; `None`: all.
    pub(super) scope: Option<Vec<SourceId>>,
}

impl<'t> Walker<'t> {
    /// A walk that has found nothing yet.
    pub(in crate::plan) fn new(t: &'t Tokens<'t>, rules: Rules) -> Self {
        Walker { t, rules, sketch: Sketch::default(), ctes: Vec::new(), depth: 0, scope: None }
    }

    /// What was found.
    pub(in crate::plan) fn finish(self) -> Sketch {
        self.sketch
    }

    /// What is said of a statement that does not read as expected at `at`.
    pub(super) fn lost(&self, at: usize) -> RouterError {
        RouterError::unsupported(format_args!(
            "this form of statement over several shards, near '{}'",
            self.near(at)
        ))
    }

    fn near(&self, at: usize) -> String {
        let end = self.t.end((at + 5).min(self.t.len().saturating_sub(1)));
        let bytes = self.t.slice(self.t.start(at).min(end), end);
        String::from_utf8_lossy(bytes).replace(|c: char| c.is_control(), "?")
    }

    /// Notes a construct that is understood but not served over several shards.
    pub(in crate::plan) fn refuse(&mut self, what: impl Into<String>) {
        self.sketch.refusal.get_or_insert_with(|| what.into());
    }

    /// One level deeper, or an error.
    pub(super) fn descend(&mut self) -> Result<(), RouterError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(RouterError::unsupported("subqueries or joins that nest as deep as this"));
        }
        Ok(())
    }

    pub(super) fn block(&mut self, parent: Option<BlockId>) -> BlockId {
        let parent_scope = self.scope.clone();
        self.sketch.blocks.push(Block { parent, parent_scope, ..Block::default() });
        self.sketch.blocks.len() - 1
    }

    pub(super) fn source(&mut self, source: Source) -> SourceId {
        let (id, block) = (self.sketch.sources.len(), source.block);
        self.sketch.sources.push(source);
        self.sketch.blocks[block].sources.push(id);
        id
    }

    /// The name at `at` in the form in which tables' names compare.
    pub(super) fn folded(&self, at: usize) -> Option<String> {
        self.t.name(at).map(|name| self.rules.names.fold(&name).into_owned())
    }

    /// Whether a CTE of this name is in sight.
    pub(super) fn is_cte(&self, name: usize) -> bool {
        self.folded(name).is_some_and(|name| self.ctes.contains(&name))
    }

    /// Whether a query starts at `at`.
    pub(in crate::plan) fn starts_query(&self, at: usize) -> bool {
        match self.t.text(at) {
            "SELECT" | "WITH" | "TABLE" => true,
            "VALUES" => self.t.is(at + 1, "ROW"),
            _ => false,
        }
    }

    /// Walks expressions from `at` to the first stop, `end` at the latest; gives the place of the stop.
    pub(in crate::plan) fn expressions(
        &mut self,
        at: usize,
        end: usize,
        block: BlockId,
        stop: Stop,
    ) -> Result<usize, RouterError> {
        let t = self.t;
        let mut closers: Vec<usize> = Vec::new();
        let mut at = at;
        while at < end {
            if closers.is_empty() && stop(t, at) {
                break;
            }
            let inner_end = closers.last().copied().unwrap_or(end);
            match t.class(at) {
                Class::Symbol if t.is(at, "(") => {
                    if self.starts_query(at + 1) {
                        self.query(at + 1, t.mate(at), Some(block))?;
                        at = t.mate(at);
                    } else {
                        closers.push(t.mate(at));
                    }
                    at += 1;
                }
                Class::Symbol if t.is(at, ")") => {
                    if closers.pop() != Some(at) {
                        return Err(self.lost(at));
                    }
                    at += 1;
                }
                Class::Word if !t.is(at, "WITH") && self.starts_query(at) => {
                    if closers.is_empty() {
                        return Err(self.lost(at));
                    }
                    self.query(at, inner_end, Some(block))?;
                    at = inner_end;
                }
                Class::Word | Class::Quoted => at = self.word(at)?,
                _ => at += 1,
            }
        }
        if closers.is_empty() { Ok(at) } else { Err(self.lost(at)) }
    }

    /// A word of an expression: a name with its qualifiers, a function's name or a word of the language.
    fn word(&mut self, at: usize) -> Result<usize, RouterError> {
        let t = self.t;
        if at > 0 && t.is(at - 1, "@@") {
            return Ok(at + 1);
        }
        let mut last = at;
        while t.is(last + 1, ".") && (t.is_name(last + 2) || t.is(last + 2, "*")) {
            last += 2;
        }
        let parts = (last - at) / 2 + 1;
        if t.is(last + 1, "(") && t.is_name(last) {
            self.call(at, last, parts);
        } else if parts == 3 {
            self.sketch.qualifiers.push(at);
        } else if parts > 3 {
            return Err(self.lost(at));
        }
        Ok(last + 1)
    }

    fn call(&mut self, first: usize, last: usize, parts: usize) {
        let t = self.t;
        if parts == 2 {
            self.sketch.qualifiers.push(first);
        }
        if parts > 1 || t.class(last) == Class::Quoted {
            return self.sketch.foreign_functions.push(last);
        }
        let name = t.text(last);
        let parted = !self.rules.ignore_space && !t.touch(last, last + 1) && functions::minds_blanks(name);
        match functions::native(name, self.rules.version) {
            Native::Unknown if self.is_connective(last) => {}
            Native::Anywhere if !parted => {}
            Native::AtHome => self.sketch.needs_home = true,
            _ => self.sketch.foreign_functions.push(last),
        }
    }

    /// Whether the word before a parenthesis is one of the language, not a function's name.
    fn is_connective(&self, at: usize) -> bool {
        let t = self.t;
        let word = t.text(at);
        if functions::opens_parenthesis(word) {
            return true;
        }
        let Some(before) = at.checked_sub(1) else { return false };
        let behind = |words: &[&str]| words.contains(&t.text(before));
        // These are not reserved: where an operand precedes, no function's name can follow.
        let after_operand = behind(&[")"])
            || matches!(
                t.class(before),
                Class::Literal(..) | Class::Param(_) | Class::Quoted | Class::UserVariable
            );
        match word {
            "ANY" | "SOME" => self.starts_query(at + 2),
            "AGAINST" | "ESCAPE" | "COLUMNS" | "RETURNING" => after_operand,
            _ if !functions::TYPES.contains(&word) => false,
            _ if behind(&["AS", "RETURNING"]) => true,
            _ if behind(&[","]) => self.is_inside("CONVERT", at),
            _ => t.is_name(before) && self.is_inside("COLUMNS", at),
        }
    }

    /// Whether the innermost parenthesis around `at` follows this word.
    fn is_inside(&self, word: &str, at: usize) -> bool {
        let t = self.t;
        let first = at.saturating_sub(LOOK_BACK);
        let open = (first..at).rev().find(|&open| t.is(open, "(") && t.mate(open) > at);
        open.is_some_and(|open| open > 0 && t.is(open - 1, word))
    }

    /// The tokens of a comma-separated list of expressions, item by item.
    pub(super) fn items(
        &mut self,
        at: usize,
        end: usize,
        block: BlockId,
        stop: Stop,
    ) -> Result<(Vec<Run>, usize), RouterError> {
        let mut runs = Vec::new();
        let mut first = at;
        loop {
            let next = self.expressions(first, end, block, stop)?;
            runs.push(Run { first, end: next });
            if next >= end || !self.t.is(next, ",") {
                return Ok((runs, next));
            }
            first = next + 1;
        }
    }

    /// Marks tables as possibly replaced by NULLs.
    pub(super) fn set_nullable(&mut self, sources: &[SourceId]) {
        for &source in sources {
            self.sketch.sources[source].nullable = true;
        }
    }

    /// A source that is no table by name.
    pub(super) fn derived(&mut self, block: BlockId, alias: Option<usize>) -> SourceId {
        self.source(Source { block, kind: SourceKind::Derived, alias, nullable: false, role: Role::Read })
    }
}
