//! FROM: tables, derived tables and joins, and for which tables the condition of a join holds. Read next: [`super::write`].
//!
//! The condition of an inner join holds for every row of both sides that has a part in the result. That of an outer join holds for
//! the rows of its inner side only: the outer side's rows stay, whatever the condition says.

use super::parts::{Block, BlockId, Filter, JoinKind, Merge, Role, Run, SourceId};
use super::query::at_clause;
use super::walker::Walker;
use crate::RouterError;
use crate::plan::functions;
use crate::plan::tokens::{Class, Tokens};

/// How many tables MySQL joins.
const MAX_TABLES: usize = 61;

/// A join as far as its words tell.
struct Join {
    kind: JoinKind,
    natural: bool,
    /// Behind its words.
    next: usize,
}

fn join_at(t: &Tokens<'_>, at: usize) -> Option<Join> {
    let inner = |next| Some(Join { kind: JoinKind::Inner, natural: false, next });
    match t.text(at) {
        "JOIN" | "STRAIGHT_JOIN" => inner(at + 1),
        "INNER" | "CROSS" if t.is(at + 1, "JOIN") => inner(at + 2),
        "LEFT" | "RIGHT" => {
            let kind = if t.is(at, "LEFT") { JoinKind::Left } else { JoinKind::Right };
            let word = if t.is(at + 1, "OUTER") { at + 2 } else { at + 1 };
            t.is(word, "JOIN").then_some(Join { kind, natural: false, next: word + 1 })
        }
        "NATURAL" => join_at(t, at + 1).map(|join| Join { natural: true, ..join }),
        _ => None,
    }
}

/// Whether the condition of a join ends here.
fn at_condition_end(t: &Tokens<'_>, at: usize) -> bool {
    matches!(t.text(at), "," | "ON" | "USING" | "SET" | "}") || join_at(t, at).is_some() || at_clause(t, at)
}

impl Walker<'_> {
    /// A list of table references. Gives the place behind it.
    pub(super) fn from(&mut self, at: usize, end: usize, block: BlockId) -> Result<usize, RouterError> {
        let mut at = at;
        loop {
            at = self.reference(at, end, block)?.0;
            self.check_tables(block)?;
            if at >= end || !self.t.is(at, ",") {
                return Ok(at);
            }
            at += 1;
        }
    }

    /// An error where a block has more tables than MySQL joins.
    fn check_tables(&self, block: BlockId) -> Result<(), RouterError> {
        if self.sketch.blocks[block].sources.len() <= MAX_TABLES {
            return Ok(());
        }
        let message = format!("Too many tables; MySQL can only use {MAX_TABLES} tables in a join");
        Err(RouterError::new(1116, b"HY000", message))
    }

    /// A table and all that is joined to it.
    fn reference(
        &mut self,
        at: usize,
        end: usize,
        block: BlockId,
    ) -> Result<(usize, Vec<SourceId>), RouterError> {
        let (next, left) = self.factor(at, end, block)?;
        self.joins(next, end, block, left)
    }

    fn joins(
        &mut self,
        at: usize,
        end: usize,
        block: BlockId,
        left: Vec<SourceId>,
    ) -> Result<(usize, Vec<SourceId>), RouterError> {
        let t = self.t;
        let (mut at, mut left) = (at, left);
        // Inner joins whose ON is still to come: `a JOIN b JOIN c ON … ON …`.
        let mut open = 0_usize;
        while at < end {
            if t.is(at, "ON") && open > 0 {
                open -= 1;
                at = self.condition((at + 1, end), block, left.clone(), left.clone())?;
                continue;
            }
            let Some(join) = join_at(t, at) else { break };
            self.check_tables(block)?;
            let (next, mut right) = self.factor(join.next, end, block)?;
            at = next;
            let outer = join.kind != JoinKind::Inner;
            if outer && !join.natural && !t.is(at, "ON") && !t.is(at, "USING") {
                // `a LEFT JOIN b JOIN c ON … ON …`: the right side is itself a join.
                self.descend()?;
                (at, right) = self.joins(at, end, block, right)?;
                self.depth -= 1;
            }
            match join.kind {
                JoinKind::Inner => {}
                JoinKind::Left => self.set_nullable(&right),
                JoinKind::Right => self.set_nullable(&left),
            }
            let reach = match join.kind {
                JoinKind::Inner => left.iter().chain(&right).copied().collect(),
                JoinKind::Left => right.clone(),
                JoinKind::Right => left.clone(),
            };
            match t.text(at) {
                _ if join.natural => self.sketch.blocks[block].natural = true,
                "ON" => {
                    let scope = left.iter().chain(&right).copied().collect();
                    at = self.condition((at + 1, end), block, reach, scope)?;
                }
                "USING" => at = self.using(at + 1, block, join.kind, (&left, &right))?,
                _ if outer => return Err(self.lost(at)),
                _ => open += 1,
            }
            left.append(&mut right);
        }
        Ok((at, left))
    }

    fn condition(
        &mut self,
        (at, end): (usize, usize),
        block: BlockId,
        reach: Vec<SourceId>,
        scope: Vec<SourceId>,
    ) -> Result<usize, RouterError> {
        self.scope = Some(scope);
        let next = self.expressions(at, end, block, at_condition_end)?;
        let run = Run { first: at, end: next };
        let filter = Filter { run, reach: Some(reach), scope: self.scope.take() };
        self.sketch.blocks[block].filters.push(filter);
        Ok(next)
    }

    fn using(
        &mut self,
        at: usize,
        block: BlockId,
        join: JoinKind,
        (left, right): (&[SourceId], &[SourceId]),
    ) -> Result<usize, RouterError> {
        let t = self.t;
        if !t.is(at, "(") {
            return Err(self.lost(at));
        }
        let close = t.mate(at);
        let columns = (at + 1..close).filter(|&at| t.is_name(at)).collect();
        let merge = Merge { columns, left: left.to_vec(), right: right.to_vec(), join };
        self.sketch.blocks[block].merges.push(merge);
        Ok(close + 1)
    }

    /// One table, derived table or joined tables in parentheses. Gives the place behind it and the tables in it.
    pub(super) fn factor(
        &mut self,
        at: usize,
        end: usize,
        block: BlockId,
    ) -> Result<(usize, Vec<SourceId>), RouterError> {
        let t = self.t;
        match t.text(at) {
            "(" if self.is_query_in_parentheses(at) => {
                let Block { parent, parent_scope, .. } = &self.sketch.blocks[block];
                let (parent, scope) = (*parent, parent_scope.clone());
                self.subquery((at, end), block, parent, scope)
            }
            "(" => {
                self.descend()?;
                let close = t.mate(at);
                let first = self.sketch.blocks[block].sources.len();
                let next = self.from(at + 1, close, block)?;
                self.depth -= 1;
                if next != close {
                    return Err(self.lost(next));
                }
                Ok((close + 1, self.sketch.blocks[block].sources[first..].to_vec()))
            }
            "{" if t.is(at + 1, "OJ") => {
                let (next, sources) = self.reference(at + 2, end, block)?;
                if t.is(next, "}") { Ok((next + 1, sources)) } else { Err(self.lost(next)) }
            }
            "LATERAL" if t.is(at + 1, "(") => {
                let before = self.sketch.blocks[block].sources.clone();
                self.subquery((at + 1, end), block, Some(block), Some(before))
            }
            "JSON_TABLE" if t.is(at + 1, "(") => {
                let close = t.mate(at + 1);
                self.expressions(at + 2, close, block, |_, _| false)?;
                let (next, alias) = self.alias(close + 1, end);
                Ok((next, vec![self.derived(block, alias)]))
            }
            "DUAL" => Ok((at + 1, Vec::new())),
            _ => self.named(at, end, block, Role::Read),
        }
    }

    fn subquery(
        &mut self,
        (at, end): (usize, usize),
        block: BlockId,
        parent: Option<BlockId>,
        scope: Option<Vec<SourceId>>,
    ) -> Result<(usize, Vec<SourceId>), RouterError> {
        let close = self.t.mate(at);
        let around = std::mem::replace(&mut self.scope, scope);
        self.query(at + 1, close, parent)?;
        self.scope = around;
        let (mut next, alias) = self.alias(close + 1, end);
        if self.t.is(next, "(") && next < end {
            next = self.t.mate(next) + 1;
        }
        Ok((next, vec![self.derived(block, alias)]))
    }

    /// A table by its name, with partitions, alias, index hints and sampling.
    pub(super) fn named(
        &mut self,
        at: usize,
        end: usize,
        block: BlockId,
        role: Role,
    ) -> Result<(usize, Vec<SourceId>), RouterError> {
        let t = self.t;
        if !t.is_name(at) || functions::is_reserved(t.text(at)) {
            return Err(self.lost(at));
        }
        let (database, name) =
            if t.is(at + 1, ".") && t.is_name(at + 2) { (Some(at), at + 2) } else { (None, at) };
        let mut next = name + 1;
        if t.is(next, "PARTITION") && t.is(next + 1, "(") {
            next = t.mate(next + 1) + 1;
        }
        let (after, alias) = self.alias(next, end);
        next = self.index_hints(after, end)?;
        if database.is_none() && self.is_cte(name) {
            return Ok((next, vec![self.derived(block, alias.or(Some(name)))]));
        }
        let mut source = self.table(block, database, name, role);
        source.alias = alias.or(source.alias);
        Ok((next, vec![self.source(source)]))
    }

    /// `[AS] alias`: its token, and the place behind it.
    pub(super) fn alias(&self, at: usize, end: usize) -> (usize, Option<usize>) {
        let t = self.t;
        if at >= end {
            (at, None)
        } else if t.is(at, "AS") && t.is_name(at + 1) {
            (at + 2, Some(at + 1))
        } else if t.class(at) == Class::Quoted
            || t.class(at) == Class::Word && !functions::is_reserved(t.text(at))
        {
            (at + 1, Some(at))
        } else {
            (at, None)
        }
    }

    fn index_hints(&self, at: usize, end: usize) -> Result<usize, RouterError> {
        let t = self.t;
        let mut at = at;
        while at < end
            && matches!(t.text(at), "USE" | "FORCE" | "IGNORE")
            && matches!(t.text(at + 1), "INDEX" | "KEY")
        {
            let mut next = at + 2;
            if t.is(next, "FOR") {
                next += if t.is(next + 1, "JOIN") { 2 } else { 3 };
            }
            if !t.is(next, "(") {
                return Err(self.lost(next));
            }
            at = t.mate(next) + 1;
            // `USE INDEX (a), USE INDEX (b)` is no list of MySQL's; blanks alone separate hints.
        }
        Ok(at)
    }

    /// Whether the parenthesis at `at` in FROM encloses a query, not joined tables: the innermost query's own closing
    /// parenthesis is followed by more of a query, or by the closing of the next.
    fn is_query_in_parentheses(&self, at: usize) -> bool {
        let t = self.t;
        let mut inner = at;
        while t.is(inner + 1, "(") {
            inner += 1;
        }
        if !self.starts_query(inner + 1) {
            return false;
        }
        while inner > at {
            let behind = t.mate(inner) + 1;
            let query_goes_on = matches!(
                t.text(behind),
                ")" | "UNION" | "EXCEPT" | "INTERSECT" | "ORDER" | "LIMIT" | "FOR" | "LOCK" | "INTO"
            );
            if !query_goes_on {
                return false;
            }
            inner -= 1;
        }
        true
    }
}
