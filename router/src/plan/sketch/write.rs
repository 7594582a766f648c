//! INSERT, REPLACE, UPDATE and DELETE: the table that is written, the values that are stored, the columns that change.

use super::parts::{BlockId, Filter, Insert, Role, Rows, Run};
use super::query::at_clause;
use super::walker::Walker;
use crate::RouterError;
use crate::plan::tokens::Tokens;

fn never(_: &Tokens<'_>, _: usize) -> bool {
    false
}

fn at_comma(t: &Tokens<'_>, at: usize) -> bool {
    t.is(at, ",")
}

/// Where the assignments of UPDATE … SET end.
fn at_assignments_end(t: &Tokens<'_>, at: usize) -> bool {
    t.is(at, ",") || matches!(t.text(at), "WHERE" | "ORDER" | "LIMIT")
}

/// Where those of INSERT … SET and ON DUPLICATE KEY UPDATE end.
fn at_insert_part_end(t: &Tokens<'_>, at: usize) -> bool {
    t.is(at, ",") || t.is(at, "ON") && t.is(at + 1, "DUPLICATE") || t.is(at, "AS")
}

impl Walker<'_> {
    /// UPDATE, from behind the word.
    pub(in crate::plan) fn update(&mut self, at: usize, end: usize) -> Result<(), RouterError> {
        let t = self.t;
        let block = self.block(None);
        let at = skip_words(t, at, &["LOW_PRIORITY", "IGNORE"]);
        let at = self.from(at, end, block)?;
        self.set_changing(block);
        if !t.is(at, "SET") {
            return Err(self.lost(at));
        }
        let (assignments, mut at) = self.items(at + 1, end, block, at_assignments_end)?;
        for run in assignments {
            self.assign(block, run)?;
        }
        while at < end {
            at = self.write_clause(at, end, block)?;
        }
        Ok(())
    }

    /// DELETE, from behind the word.
    pub(in crate::plan) fn delete(&mut self, at: usize, end: usize) -> Result<(), RouterError> {
        let t = self.t;
        let block = self.block(None);
        let mut at = skip_words(t, at, &["LOW_PRIORITY", "QUICK", "IGNORE"]);
        let multi_table = !t.is(at, "FROM") || self.names_targets(at + 1, end);
        if !multi_table {
            at = self.named(at + 1, end, block, Role::Change)?.0;
        } else {
            at = if t.is(at, "FROM") { at + 1 } else { at };
            at = self.targets(at, block)?;
            if !(t.is(at, "FROM") || t.is(at, "USING")) {
                return Err(self.lost(at));
            }
            at = self.from(at + 1, end, block)?;
            self.set_changing(block);
        }
        while at < end {
            at = self.write_clause(at, end, block)?;
        }
        Ok(())
    }

    /// Marks a block's tables as those that the statement may change.
    fn set_changing(&mut self, block: BlockId) {
        for &source in &self.sketch.blocks[block].sources {
            self.sketch.sources[source].role = Role::Change;
        }
    }

    /// Whether `FROM a, b USING …` follows: a list of targets, not a table.
    fn names_targets(&self, at: usize, end: usize) -> bool {
        let t = self.t;
        let behind = (at..end)
            .find(|&at| !(t.is_name(at) && !t.is(at, "USING") || matches!(t.text(at), "." | "*" | ",")));
        behind.is_some_and(|at| t.is(at, "USING"))
    }

    /// `a, db.b.*`: the tables that a DELETE empties. Gives the place behind the list.
    fn targets(&mut self, at: usize, block: BlockId) -> Result<usize, RouterError> {
        let t = self.t;
        let mut at = at;
        loop {
            if !t.is_name(at) {
                return Err(self.lost(at));
            }
            let first = at;
            let qualified = t.is(at + 1, ".") && t.is_name(at + 2);
            if qualified {
                self.sketch.qualifiers.push(at);
                at += 2;
            }
            self.sketch.deleted.push((block, Run { first, end: at + 1 }));
            at += if t.is(at + 1, ".") && t.is(at + 2, "*") { 3 } else { 1 };
            if !t.is(at, ",") {
                return Ok(at);
            }
            at += 1;
        }
    }

    fn write_clause(&mut self, at: usize, end: usize, block: BlockId) -> Result<usize, RouterError> {
        match self.t.text(at) {
            "WHERE" => {
                let next = self.expressions(at + 1, end, block, at_clause)?;
                let run = Run { first: at + 1, end: next };
                self.sketch.blocks[block].filters.push(Filter { run, reach: None, scope: None });
                Ok(next)
            }
            "ORDER" | "LIMIT" => self.expressions(at + 1, end, block, at_clause),
            _ => Err(self.lost(at)),
        }
    }

    /// Notes the column that `run` (`column = value`) sets.
    fn assign(&mut self, block: BlockId, run: Run) -> Result<(), RouterError> {
        let t = self.t;
        let mut last = run.first;
        while t.is(last + 1, ".") && t.is_name(last + 2) {
            last += 2;
        }
        if !t.is_name(run.first) || !(t.is(last + 1, "=") || t.is(last + 1, ":=")) {
            return Err(self.lost(run.first));
        }
        self.sketch.assigned.push((block, Run { first: run.first, end: last + 1 }));
        Ok(())
    }

    /// INSERT or REPLACE, from behind the word.
    pub(in crate::plan) fn insert(&mut self, at: usize, end: usize) -> Result<(), RouterError> {
        let t = self.t;
        let block = self.block(None);
        let target = skip_words(t, at, &["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"]);
        let ignore = (at..target).any(|at| t.is(at, "IGNORE"));
        let mut at = self.insert_target(target, block)?;
        let mut columns = None;
        if t.is(at, "(") && !self.is_query_list(at) {
            let close = t.mate(at);
            columns = Some(self.column_list(at + 1, close)?);
            at = close + 1;
        }
        let first = at;
        // A row alias stands behind VALUES; `SET a = 1 AS new` likewise.
        let mut places = Vec::new();
        let rows = match t.text(at) {
            "VALUES" | "VALUE" if !(t.is(at, "VALUES") && t.is(at + 1, "ROW")) => {
                let (rows, next) = self.value_rows(at + 1, end, block, &mut places)?;
                at = next;
                Some(rows)
            }
            "VALUES" => {
                let (rows, next) = self.row_constructors(at + 1, end, block, &mut places)?;
                at = next;
                rows
            }
            "SET" => {
                let (names, values, next) = self.set_list(at + 1, end, block)?;
                columns = Some(names);
                at = next;
                Some(vec![values])
            }
            _ => {
                at = self.insert_query(at, end)?;
                None
            }
        };
        let query = rows.is_none().then_some(Run { first, end: at });
        self.sketch.insert = Some(Insert { ignore, columns, rows, query, places });
        self.insert_tail(at, end, block)
    }

    fn insert_target(&mut self, at: usize, block: BlockId) -> Result<usize, RouterError> {
        let t = self.t;
        if !t.is_name(at) {
            return Err(self.lost(at));
        }
        let (database, name) =
            if t.is(at + 1, ".") && t.is_name(at + 2) { (Some(at), at + 2) } else { (None, at) };
        let source = self.table(block, database, name, Role::Insert);
        self.source(source);
        let mut at = name + 1;
        if t.is(at, "PARTITION") && t.is(at + 1, "(") {
            at = t.mate(at + 1) + 1;
        }
        Ok(at)
    }

    /// Whether the parenthesis encloses a query, not a column list.
    fn is_query_list(&self, at: usize) -> bool {
        let mut inner = at + 1;
        while self.t.is(inner, "(") {
            inner += 1;
        }
        self.starts_query(inner)
    }

    /// The last parts of the names in a column list.
    fn column_list(&mut self, at: usize, close: usize) -> Result<Vec<usize>, RouterError> {
        let t = self.t;
        let mut columns = Vec::new();
        let mut at = at;
        while at < close {
            let first = at;
            let mut last = at;
            while t.is(last + 1, ".") {
                last += 2;
            }
            if last - first == 4 {
                self.sketch.qualifiers.push(first);
            }
            if !t.is_name(last) || !(last + 1 == close || t.is(last + 1, ",")) {
                return Err(self.lost(last));
            }
            columns.push(last);
            at = last + 2;
        }
        Ok(columns)
    }

    fn value_rows(
        &mut self,
        at: usize,
        end: usize,
        block: BlockId,
        places: &mut Vec<Run>,
    ) -> Result<(Rows, usize), RouterError> {
        let t = self.t;
        let mut rows = Vec::new();
        let mut at = at;
        loop {
            if !t.is(at, "(") {
                return Err(self.lost(at));
            }
            let close = t.mate(at);
            rows.push(self.row(at + 1, close, block)?);
            places.push(Run { first: at, end: close + 1 });
            at = close + 1;
            if at >= end || !t.is(at, ",") {
                return Ok((rows, at));
            }
            at += 1;
        }
    }

    fn row(&mut self, at: usize, close: usize, block: BlockId) -> Result<Vec<Run>, RouterError> {
        if at == close {
            return Ok(Vec::new());
        }
        Ok(self.items(at, close, block, at_comma)?.0)
    }

    /// `VALUES ROW(…), ROW(…)`: as values, unless a query goes on behind them.
    fn row_constructors(
        &mut self,
        at: usize,
        end: usize,
        block: BlockId,
        places: &mut Vec<Run>,
    ) -> Result<(Option<Rows>, usize), RouterError> {
        let t = self.t;
        let mut rows = Vec::new();
        let mut next = at;
        while t.is(next, "ROW") && t.is(next + 1, "(") {
            let close = t.mate(next + 1);
            rows.push(self.row(next + 2, close, block)?);
            places.push(Run { first: next, end: close + 1 });
            next = close + 1;
            if next >= end || !t.is(next, ",") {
                break;
            }
            next += 1;
        }
        if next >= end || t.is(next, "ON") || t.is(next, "AS") {
            return Ok((Some(rows), next));
        }
        Ok((None, self.insert_query(at - 1, end)?))
    }

    fn set_list(
        &mut self,
        at: usize,
        end: usize,
        block: BlockId,
    ) -> Result<(Vec<usize>, Vec<Run>, usize), RouterError> {
        let t = self.t;
        let (items, next) = self.items(at, end, block, at_insert_part_end)?;
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for item in items {
            let mut last = item.first;
            while t.is(last + 1, ".") && t.is_name(last + 2) {
                last += 2;
            }
            if !t.is_name(last) || !(t.is(last + 1, "=") || t.is(last + 1, ":=")) {
                return Err(self.lost(last));
            }
            names.push(last);
            values.push(Run { first: last + 2, end: item.end });
        }
        Ok((names, values, next))
    }

    /// The query of INSERT … SELECT, up to ON DUPLICATE KEY UPDATE. Gives the place behind it.
    fn insert_query(&mut self, at: usize, end: usize) -> Result<usize, RouterError> {
        let t = self.t;
        let query_end = (at..end)
            .find(|&at| t.are(at, &["ON", "DUPLICATE", "KEY", "UPDATE"]) && !self.is_enclosed(at))
            .unwrap_or(end);
        self.query(at, query_end, None)?;
        Ok(query_end)
    }

    fn is_enclosed(&self, at: usize) -> bool {
        (0..at).any(|open| self.t.is(open, "(") && self.t.mate(open) > at)
    }

    fn insert_tail(&mut self, at: usize, end: usize, block: BlockId) -> Result<(), RouterError> {
        let t = self.t;
        let mut at = at;
        if t.is(at, "AS") && t.is_name(at + 1) {
            at += 2;
            if t.is(at, "(") {
                at = t.mate(at) + 1;
            }
        }
        if t.are(at, &["ON", "DUPLICATE", "KEY", "UPDATE"]) {
            let (assignments, next) = self.items(at + 4, end, block, at_comma)?;
            for run in assignments {
                self.assign(block, run)?;
            }
            at = next;
        }
        if at < end { Err(self.lost(at)) } else { Ok(()) }
    }

    /// Expressions alone, as in DO and SET.
    pub(in crate::plan) fn values(&mut self, at: usize, end: usize) -> Result<BlockId, RouterError> {
        let block = self.block(None);
        self.expressions(at, end, block, never)?;
        Ok(block)
    }

    /// A table that the statement uses as a whole. Gives the place behind its name.
    pub(in crate::plan) fn whole_table(&mut self, at: usize, block: BlockId) -> Result<usize, RouterError> {
        let t = self.t;
        if !t.is_name(at) {
            return Err(self.lost(at));
        }
        let (database, name) =
            if t.is(at + 1, ".") && t.is_name(at + 2) { (Some(at), at + 2) } else { (None, at) };
        let source = self.table(block, database, name, Role::Whole);
        self.source(source);
        Ok(name + 1)
    }

    /// A table of which only the structure is read, which every shard has: CREATE TABLE … LIKE.
    pub(in crate::plan) fn model_table(&mut self, at: usize) -> Result<(), RouterError> {
        let t = self.t;
        if t.is(at + 1, ".") && t.is_name(at + 2) {
            self.sketch.qualifiers.push(at);
        }
        if t.is_name(at) { Ok(()) } else { Err(self.lost(at)) }
    }

    /// The table of a foreign key.
    pub(in crate::plan) fn referenced_table(&mut self, at: usize, block: BlockId) -> Result<(), RouterError> {
        let t = self.t;
        let (database, name) =
            if t.is(at + 1, ".") && t.is_name(at + 2) { (Some(at), at + 2) } else { (None, at) };
        let source = self.table(block, database, name, Role::Read);
        self.source(source);
        Ok(())
    }

    /// The table that a SHOW is about.
    pub(in crate::plan) fn shown_table(&mut self, database: Option<usize>, name: usize, block: BlockId) {
        let source = self.table(block, database, name, Role::Read);
        self.source(source);
    }

    /// A database that is named alone.
    pub(in crate::plan) fn qualifier(&mut self, at: Option<usize>) {
        self.sketch.qualifiers.extend(at);
    }

    /// What was walked last is stored and run later, for every caller: no condition of it pins anything.
    pub(in crate::plan) fn stored_query(&mut self) {
        for block in &mut self.sketch.blocks {
            block.filters.clear();
            block.merges.clear();
        }
    }
}

fn skip_words(t: &Tokens<'_>, at: usize, words: &[&str]) -> usize {
    let mut at = at;
    while words.contains(&t.text(at)) {
        at += 1;
    }
    at
}
