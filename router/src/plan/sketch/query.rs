//! Query expressions: WITH, SELECT, TABLE, VALUES, and what UNION, EXCEPT and INTERSECT join. Read next: [`super::from`].

use super::parts::{BlockId, Filter, Lock, LockClause, Role, Run, Source, SourceId, SourceKind};
use super::walker::Walker;
use crate::RouterError;
use crate::plan::functions;
use crate::plan::tokens::{Class, Tokens};
use crate::statement::SELECT_OPTIONS;

/// How many CTEs may be in sight at once.
const MAX_CTES: usize = 128;

/// Whether a clause of a SELECT starts here, or the SELECT ends.
pub(super) fn at_clause(t: &Tokens<'_>, at: usize) -> bool {
    match t.text(at) {
        "FROM" => !is_from_first(t, at),
        "WHERE" | "GROUP" | "HAVING" | "WINDOW" | "ORDER" | "LIMIT" | "INTO" | "FOR" | "LOCK"
        | "PROCEDURE" => true,
        text => is_set_operation(text) || text == ")" || text == ";",
    }
}

fn is_set_operation(text: &str) -> bool {
    matches!(text, "UNION" | "EXCEPT" | "INTERSECT")
}

/// `NTH_VALUE(x, 2) FROM FIRST OVER w` is no FROM clause.
fn is_from_first(t: &Tokens<'_>, at: usize) -> bool {
    (t.is(at + 1, "FIRST") || t.is(at + 1, "LAST"))
        && (t.is(at + 2, "OVER")
            || ((t.is(at + 2, "RESPECT") || t.is(at + 2, "IGNORE")) && t.is(at + 3, "NULLS")))
}

fn at_item_end(t: &Tokens<'_>, at: usize) -> bool {
    t.is(at, ",") || at_clause(t, at)
}

impl Walker<'_> {
    /// A query expression that fills `at .. end`. Gives the blocks of its arms.
    pub(in crate::plan) fn query(
        &mut self,
        at: usize,
        end: usize,
        parent: Option<BlockId>,
    ) -> Result<Vec<BlockId>, RouterError> {
        self.descend()?;
        let visible = self.ctes.len();
        let start = if self.t.is(at, "WITH") { self.with(at + 1, end, parent)? } else { at };
        let scope = self.scope.take();
        let arms = self.arms(start, end, parent, &scope)?;
        self.scope = scope;
        self.ctes.truncate(visible);
        self.depth -= 1;
        Ok(arms)
    }

    /// The list behind WITH; its names stay in sight until the caller takes them away. Gives the place behind it.
    pub(in crate::plan) fn with(
        &mut self,
        at: usize,
        end: usize,
        parent: Option<BlockId>,
    ) -> Result<usize, RouterError> {
        let t = self.t;
        let recursive = t.is(at, "RECURSIVE");
        let mut at = if recursive { at + 1 } else { at };
        if recursive {
            self.declare_ahead(at)?;
        }
        loop {
            let Some(name) = self.folded(at) else { return Err(self.lost(at)) };
            let mut next = at + 1;
            if t.is(next, "(") {
                next = t.mate(next) + 1;
            }
            if !(t.is(next, "AS") && t.is(next + 1, "(")) {
                return Err(self.lost(next));
            }
            let close = t.mate(next + 1);
            self.query(next + 2, close, parent)?;
            self.ctes.push(name);
            at = close + 1;
            if at >= end || !t.is(at, ",") {
                return Ok(at);
            }
            if self.ctes.len() > MAX_CTES {
                return Err(RouterError::unsupported("as many CTEs as this"));
            }
            at += 1;
        }
    }

    /// Under RECURSIVE each CTE is visible in its own body; a name declared later in the same list is not, but no table of that name
    /// may be mistaken for one either, so a list in which that would matter is refused.
    fn declare_ahead(&mut self, at: usize) -> Result<(), RouterError> {
        let t = self.t;
        let mut at = at;
        let mut names: Vec<String> = Vec::new();
        loop {
            let Some(name) = self.folded(at) else { return Err(self.lost(at)) };
            names.push(name);
            if names.len() > MAX_CTES {
                return Err(RouterError::unsupported("as many CTEs as this"));
            }
            let mut next = at + 1;
            if t.is(next, "(") {
                next = t.mate(next) + 1;
            }
            if !(t.is(next, "AS") && t.is(next + 1, "(")) {
                return Err(self.lost(next));
            }
            let (open, close) = (next + 1, t.mate(next + 1));
            let later = self.later_names(close + 1);
            let named_early = (open..close).any(|inner| {
                t.is_name(inner) && self.folded(inner).is_some_and(|name| later.contains(&name))
            });
            if named_early {
                return Err(RouterError::unsupported("a CTE that names one declared after it"));
            }
            at = close + 1;
            if !t.is(at, ",") {
                self.ctes.extend(names);
                return Ok(());
            }
            at += 1;
        }
    }

    fn later_names(&self, at: usize) -> Vec<String> {
        let t = self.t;
        let mut names = Vec::new();
        let mut at = at;
        while t.is(at, ",") && names.len() <= MAX_CTES {
            names.extend(self.folded(at + 1));
            let mut next = at + 2;
            if t.is(next, "(") {
                next = t.mate(next) + 1;
            }
            at = if t.is(next + 1, "(") { t.mate(next + 1) + 1 } else { t.len() };
        }
        names
    }

    fn arms(
        &mut self,
        at: usize,
        end: usize,
        parent: Option<BlockId>,
        scope: &Option<Vec<SourceId>>,
    ) -> Result<Vec<BlockId>, RouterError> {
        let t = self.t;
        let mut arms = Vec::new();
        let mut at = at;
        // What stands behind all arms sees none of their tables.
        let behind = self.arm(parent, scope);
        loop {
            match t.text(at) {
                "(" => {
                    self.scope.clone_from(scope);
                    arms.extend(self.query(at + 1, t.mate(at), parent)?);
                    self.scope = None;
                    at = t.mate(at) + 1;
                }
                "SELECT" => {
                    let block = self.arm(parent, scope);
                    arms.push(block);
                    at = self.select(at + 1, end, block)?;
                }
                "TABLE" => {
                    let block = self.arm(parent, scope);
                    arms.push(block);
                    at = self.factor(at + 1, end, block)?.0;
                }
                "VALUES" => {
                    let block = self.arm(parent, scope);
                    arms.push(block);
                    at = self.expressions(at + 1, end, block, at_clause)?;
                }
                _ => return Err(self.lost(at)),
            }
            at = self.tail(at, end, behind, &arms)?;
            if at >= end {
                return Ok(arms);
            }
            at += 1;
            if t.is(at, "ALL") || t.is(at, "DISTINCT") {
                at += 1;
            }
        }
    }

    /// ORDER BY, LIMIT, INTO and locking clauses behind an arm, up to a set operation or the end.
    fn tail(
        &mut self,
        at: usize,
        end: usize,
        behind: BlockId,
        arms: &[BlockId],
    ) -> Result<usize, RouterError> {
        let mut at = at;
        while at < end && !is_set_operation(self.t.text(at)) {
            if matches!(self.t.text(at), "FROM" | "WHERE" | "GROUP" | "HAVING" | "WINDOW") {
                return Err(self.lost(at));
            }
            at = self.clause(at, end, behind, arms)?;
        }
        Ok(at)
    }

    /// A SELECT from behind the word to where a set operation, or `end`, follows.
    fn select(&mut self, at: usize, end: usize, block: BlockId) -> Result<usize, RouterError> {
        let t = self.t;
        let mut at = at;
        while SELECT_OPTIONS.contains(&t.text(at)) {
            at += 1;
        }
        let (items, next) = self.items(at, end, block, at_item_end)?;
        self.name_items(&items);
        at = next;
        while at < end && !is_set_operation(t.text(at)) {
            at = self.clause(at, end, block, &[block])?;
        }
        Ok(at)
    }

    fn arm(&mut self, parent: Option<BlockId>, scope: &Option<Vec<SourceId>>) -> BlockId {
        let block = self.block(parent);
        self.sketch.blocks[block].parent_scope.clone_from(scope);
        block
    }

    fn clause(
        &mut self,
        at: usize,
        end: usize,
        block: BlockId,
        arms: &[BlockId],
    ) -> Result<usize, RouterError> {
        let t = self.t;
        match t.text(at) {
            "FROM" => self.from(at + 1, end, block),
            "WHERE" => {
                let next = self.expressions(at + 1, end, block, at_clause)?;
                let run = Run { first: at + 1, end: next };
                self.sketch.blocks[block].filters.push(Filter { run, reach: None, scope: None });
                Ok(next)
            }
            "GROUP" | "HAVING" | "WINDOW" | "ORDER" | "LIMIT" => {
                self.expressions(at + 1, end, block, at_clause)
            }
            "INTO" => self.destination(at + 1, end, block),
            "FOR" => self.locking(at + 1, end, arms),
            "LOCK" if t.are(at, &["LOCK", "IN", "SHARE", "MODE"]) => {
                self.lock(arms, || Lock::All);
                self.note_lock(Run { first: at, end: at + 4 }, arms, (Vec::new(), at + 4));
                Ok(at + 4)
            }
            _ => Err(self.lost(at)),
        }
    }

    fn destination(&mut self, at: usize, end: usize, block: BlockId) -> Result<usize, RouterError> {
        if matches!(self.t.text(at), "OUTFILE" | "DUMPFILE") {
            self.refuse("SELECT … INTO OUTFILE");
        }
        self.expressions(at, end, block, at_clause)
    }

    fn locking(&mut self, at: usize, end: usize, arms: &[BlockId]) -> Result<usize, RouterError> {
        let t = self.t;
        if !(t.is(at, "UPDATE") || t.is(at, "SHARE")) {
            return Err(self.lost(at));
        }
        let first = at - 1;
        let mut at = at + 1;
        let mut tables = Vec::new();
        if t.is(at, "OF") {
            loop {
                if t.is(at + 2, ".") {
                    self.sketch.qualifiers.push(at + 1);
                    at += 2;
                }
                if !t.is_name(at + 1) {
                    return Err(self.lost(at + 1));
                }
                tables.push(at + 1);
                at += 2;
                if at >= end || !t.is(at, ",") {
                    break;
                }
            }
        }
        let behind_tables = at;
        if t.is(at, "NOWAIT") {
            at += 1;
        } else if t.are(at, &["SKIP", "LOCKED"]) {
            at += 2;
        }
        self.lock(arms, || if tables.is_empty() { Lock::All } else { Lock::Of(tables.clone()) });
        self.note_lock(Run { first, end: at }, arms, (tables, behind_tables));
        Ok(at)
    }

    fn note_lock(&mut self, run: Run, arms: &[BlockId], (tables, behind_tables): (Vec<usize>, usize)) {
        self.sketch.locks.push(LockClause { run, arms: arms.to_vec(), tables, behind_tables });
    }

    fn lock(&mut self, arms: &[BlockId], lock: impl Fn() -> Lock) {
        for &arm in arms {
            let held = &mut self.sketch.blocks[arm].lock;
            *held = match (std::mem::take(held), lock()) {
                (Lock::None, new) => new,
                (Lock::Of(mut names), Lock::Of(more)) => {
                    names.extend(more);
                    Lock::Of(names)
                }
                _ => Lock::All,
            };
        }
    }

    /// Notes the items whose heading is their own text.
    fn name_items(&mut self, items: &[Run]) {
        let own_text = |item: &&Run| !has_alias(self.t, **item) && !is_column(self.t, **item);
        let named: Vec<Run> = items.iter().filter(own_text).copied().collect();
        self.sketch.items.extend(named);
    }

    /// A query's table by name, as a source.
    pub(super) fn table(
        &mut self,
        block: BlockId,
        database: Option<usize>,
        name: usize,
        role: Role,
    ) -> Source {
        self.sketch.qualifiers.extend(database);
        Source { block, kind: SourceKind::Table { database, name }, alias: Some(name), nullable: false, role }
    }
}

/// Whether a select-list item ends in an alias.
pub(in crate::plan) fn has_alias(t: &Tokens<'_>, item: Run) -> bool {
    if item.end < item.first + 2 {
        return false;
    }
    let (before, last) = (item.end - 2, item.end - 1);
    if t.is(before, "AS") {
        return true;
    }
    let operand_before = match t.class(before) {
        Class::Symbol => t.is(before, ")"),
        Class::Word => {
            t.after_dot(before)
                || t.is(before, "END")
                || t.is(before, "NULL")
                || !functions::is_operator(t.text(before))
        }
        Class::End => false,
        _ => true,
    };
    let is_alias = match t.class(last) {
        Class::Quoted => !t.after_dot(last),
        Class::Word => !t.after_dot(last) && !functions::is_operator(t.text(last)) && !t.is(last, "END"),
        Class::Literal(_, kind) => kind.is_text(),
        _ => false,
    };
    operand_before && is_alias
}

/// Whether a select-list item is a column's name or `*`: MySQL heads it with the name, however it is qualified.
pub(in crate::plan) fn is_column(t: &Tokens<'_>, item: Run) -> bool {
    (item.first..item.end).all(|at| {
        let is_dot_place = (at - item.first) % 2 == 1;
        if is_dot_place { t.is(at, ".") } else { t.is_name(at) || t.is(at, "*") }
    })
}
