//! The locking clauses of a SELECT over several shards: which parts' rows are locked, and where the clauses stand. MySQL's FOR UPDATE is about the tables of its own query block, never about
//! those of a subquery or a derived table, which have clauses of their own; so each part has the clause of its block.

use crate::plan::bind::Binding;
use crate::plan::sketch::parts::{LockClause, SourceId};
use crate::{Effects, Recognised, RouterError};

/// How a part's rows are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLock {
    /// FOR UPDATE; else FOR SHARE.
    pub exclusive: bool,
    /// What is done about rows that others have locked.
    pub otherwise: Locked,
}

/// What is done about rows that others have locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// They are waited for.
    Waits,
    /// They are an error.
    Refuses,
    /// They are left out.
    Skips,
}

impl RowLock {
    /// FOR SHARE, which waits.
    pub const SHARED: RowLock = RowLock { exclusive: false, otherwise: Locked::Waits };

    /// The clause.
    pub fn sql(self) -> &'static str {
        match (self.exclusive, self.otherwise) {
            (true, Locked::Waits) => "FOR UPDATE",
            (true, Locked::Refuses) => "FOR UPDATE NOWAIT",
            (true, Locked::Skips) => "FOR UPDATE SKIP LOCKED",
            (false, Locked::Waits) => "FOR SHARE",
            (false, Locked::Refuses) => "FOR SHARE NOWAIT",
            (false, Locked::Skips) => "FOR SHARE SKIP LOCKED",
        }
    }
}

/// What several shards cannot lock as one MySQL would.
pub(super) fn check(binding: &Binding<'_>, recognised: &Recognised) -> Result<(), RouterError> {
    let clauses = &binding.sketch.locks;
    if clauses.is_empty() {
        return match recognised.effects.contains(Effects::LOCKS_ROWS) {
            true => Err(RouterError::unsupported("a locking read over several shards of this form")),
            false => Ok(()),
        };
    }
    let t = binding.t;
    let has_set = (0..t.len())
        .any(|at| matches!(t.text(at), "UNION" | "EXCEPT" | "INTERSECT") && !t.after_dot(at));
    if has_set {
        let what = "a locking read with UNION, EXCEPT or INTERSECT over several shards";
        return Err(RouterError::unsupported(what));
    }
    for clause in clauses {
        for &name in &clause.tables {
            let is_known = |block: &usize| {
                !binding.named(name, &binding.sketch.blocks[*block].sources).is_empty()
            };
            if !clause.arms.iter().any(is_known) {
                let what = "a locking read over several shards OF a table that its FROM clause does not name";
                return Err(RouterError::unsupported(what));
            }
        }
    }
    Ok(())
}

/// How the rows of a source are locked.
pub(super) fn of_source(binding: &Binding<'_>, id: SourceId) -> Option<RowLock> {
    let t = binding.t;
    let block = binding.sketch.sources[id].block;
    let covers = |clause: &&LockClause| {
        let is_named =
            |&name: &usize| binding.named(name, &binding.sketch.blocks[block].sources).contains(&id);
        clause.arms.contains(&block) && (clause.tables.is_empty() || clause.tables.iter().any(is_named))
    };
    let clause = binding.sketch.locks.iter().find(covers)?;
    let otherwise = match t.text(clause.behind_tables) {
        _ if clause.behind_tables >= clause.run.end => Locked::Waits,
        "NOWAIT" => Locked::Refuses,
        "SKIP" => Locked::Skips,
        _ => Locked::Waits,
    };
    Some(RowLock { exclusive: t.is(clause.run.first + 1, "UPDATE"), otherwise })
}

/// Where the rest of a statement ends whose locking clauses are its end; `None` where they stand elsewhere.
pub(super) fn body_end(binding: &Binding<'_>) -> Option<usize> {
    binding.sketch.locks.iter().rev().try_fold(binding.t.len(), |end, clause| {
        (clause.run.end == end).then_some(clause.run.first)
    })
}

