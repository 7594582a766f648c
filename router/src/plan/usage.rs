//! What a statement does with its tables, wherever their rows lie: which it reads and writes, which columns it compares and joins, and
//! what it does with the rows besides. For whoever chooses where tables are to lie ([`crate::advise`]); no statement is routed by it.

use std::collections::BTreeSet;

use podway_model::{ColumnType, Name};

use super::bind::{Binding, Bound, Place};
use super::build::{Planning, recognised};
use super::context::PlanContext;
use super::decide::is_changed;
use super::pins::Known;
use super::sketch::parts::{Role, Run, SourceKind};
use super::tokens::{Class, Tokens};
use crate::{Normalised, Verb};

/// What a statement does with its tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What kind of statement it is.
    pub verb: Verb,
    /// What stands in its FROM clauses and the like, each time that it is named.
    pub sources: Vec<UsedTable>,
    /// Columns that one value pins.
    pub pinned: Vec<Site>,
    /// Columns that are equal to each other, by a join or a condition.
    pub equal: Vec<(Site, Site)>,
    /// Columns that UPDATE or ON DUPLICATE KEY UPDATE sets.
    pub assigned: Vec<Site>,
    /// How many rows an INSERT or REPLACE lists; `None` where they come from a query, or nothing is inserted.
    pub listed_rows: Option<usize>,
    /// What keeps the results of several shards from being merged; `None`: plain rows, ORDER BY, LIMIT, GROUP BY, DISTINCT and aggregates
    /// that merge.
    pub unmergeable: Option<&'static str>,
}

/// Something in a statement's FROM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedTable {
    /// The table, if it is one of a keyspace; `None` for derived tables, views and tables of other databases.
    pub table: Option<Name>,
    /// What is done with it.
    pub used_as: UsedAs,
    /// Whether it is in the outermost query, not in a subquery or a derived table.
    pub is_outermost: bool,
}

/// What a statement does with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedAs {
    /// Reads it.
    Read,
    /// Adds rows to it.
    Inserted,
    /// Changes or deletes rows.
    Changed,
    /// Does something with the table as a whole: DDL, LOAD DATA.
    Whole,
}

/// A column of one of [`Usage::sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// Its place in [`Usage::sources`].
    pub source: usize,
    /// Its place in the table's columns.
    pub column: usize,
}

/// What a statement does with its tables; `None` where it cannot be read. Columns are found of tables that the map knows them of.
pub fn usage(ctx: &PlanContext<'_>, sql: &[u8], n: &Normalised) -> Option<Usage> {
    let mut plan = recognised(ctx, sql, n);
    let mut tokens = Tokens::read(n);
    tokens.pair(sql).ok()?;
    let found = Planning { ctx, t: &tokens, plan: &mut plan }.sketch().ok()?;
    let binding = Binding::new(ctx, &tokens, &found.sketch).ok()?;
    Some(read(&binding, plan.verb()))
}

fn read(binding: &Binding<'_>, verb: Verb) -> Usage {
    let known = Known::of(binding);
    let site = |(source, column)| Site { source, column };
    let pinned: BTreeSet<Site> = known.pinned().map(site).collect();
    let equal: BTreeSet<(Site, Site)> = known.equal().map(|(from, to)| (site(from), site(to))).collect();
    let insert = binding.sketch.insert.as_ref();
    Usage {
        verb,
        sources: (0..binding.sources.len()).map(|id| used_table(binding, id)).collect(),
        pinned: pinned.into_iter().collect(),
        equal: equal.into_iter().collect(),
        assigned: assigned(binding),
        listed_rows: insert.and_then(|insert| insert.rows.as_ref()).map(Vec::len),
        unmergeable: unmergeable(binding),
    }
}

fn used_table(binding: &Binding<'_>, id: usize) -> UsedTable {
    let source = &binding.sketch.sources[id];
    let used_as = match source.role {
        Role::Insert => UsedAs::Inserted,
        Role::Whole => UsedAs::Whole,
        Role::Change if is_changed(binding, id) => UsedAs::Changed,
        Role::Change | Role::Read => UsedAs::Read,
    };
    let bound: &Bound = &binding.sources[id];
    let is_table = matches!(source.kind, SourceKind::Table { .. })
        && matches!(bound.place, Place::Sharded(_) | Place::Reference(_) | Place::Home(_));
    let table = is_table.then(|| binding.ctx.map.names.name(&bound.table));
    UsedTable { table, used_as, is_outermost: Some(source.block) == outermost(binding) }
}

/// The block of the outermost query's tables. Where a set operation has several, the statement is not merged anyway.
fn outermost(binding: &Binding<'_>) -> Option<usize> {
    let blocks = &binding.sketch.blocks;
    blocks.iter().position(|block| block.parent.is_none() && !block.sources.is_empty())
}

fn assigned(binding: &Binding<'_>) -> Vec<Site> {
    let mut found = BTreeSet::new();
    for (block, run) in &binding.sketch.assigned {
        let Some(name) = binding.t.name(run.end - 1).map(|name| Name::caseless(&name)) else { continue };
        for source in binding.candidates(*run, *block) {
            let columns = binding.sources[source].columns().unwrap_or_default();
            let column = columns.iter().position(|column| column.name == name);
            found.extend(column.map(|column| Site { source, column }));
        }
    }
    found.into_iter().collect()
}

/// What keeps results from being merged. Subqueries in parentheses are left out: those of a row's own shard are answered there.
fn unmergeable(binding: &Binding<'_>) -> Option<&'static str> {
    let t = binding.t;
    let mut at = 0;
    while at < t.len() {
        match t.text(at) {
            "(" if starts_query(t, at + 1) => at = t.mate(at),
            "WITH" if t.is(at + 1, "ROLLUP") => return Some("WITH ROLLUP"),
            "WITH" => return Some("common table expressions"),
            "UNION" | "EXCEPT" | "INTERSECT" => return Some("UNION, EXCEPT and INTERSECT"),
            "HAVING" => return Some("HAVING"),
            "OVER" | "WINDOW" => return Some("window functions"),
            name if t.is(at + 1, "(") => {
                if let Some(what) = unmergeable_aggregate(binding, at, name) {
                    return Some(what);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn starts_query(t: &Tokens<'_>, at: usize) -> bool {
    let mut at = at;
    while t.is(at, "(") {
        at += 1;
    }
    matches!(t.text(at), "SELECT" | "WITH" | "TABLE")
}

fn unmergeable_aggregate(binding: &Binding<'_>, at: usize, name: &str) -> Option<&'static str> {
    let t = binding.t;
    let adds = match name {
        "COUNT" | "MIN" | "MAX" | "ANY_VALUE" => false,
        "SUM" | "AVG" => true,
        "GROUP_CONCAT" | "JSON_ARRAYAGG" | "JSON_OBJECTAGG" | "STD" | "STDDEV" | "STDDEV_POP"
        | "STDDEV_SAMP" | "VARIANCE" | "VAR_POP" | "VAR_SAMP" | "BIT_AND" | "BIT_OR" | "BIT_XOR" => {
            return Some("aggregates that need all rows (GROUP_CONCAT, STDDEV and the like)");
        }
        _ => return None,
    };
    let close = t.mate(at + 1);
    if t.is(at + 2, "DISTINCT") {
        return Some("DISTINCT in an aggregate");
    }
    let before = at.checked_sub(1).map_or("", |before| t.text(before));
    let stands_alone = matches!(before, "SELECT" | "," | "DISTINCT" | "ALL" | "BY" | "SQL_CALC_FOUND_ROWS")
        && (matches!(t.text(close + 1), "," | "FROM" | "AS" | "ASC" | "DESC" | "LIMIT" | "ORDER" | ")")
            || matches!(t.class(close + 1), Class::End | Class::Quoted | Class::Literal(..))
            || t.class(close + 1) == Class::Word && !super::functions::is_operator(t.text(close + 1)));
    if !stands_alone {
        return Some("an expression over aggregates");
    }
    let argument = Run { first: at + 2, end: close };
    let column = outermost(binding).and_then(|block| binding.column(argument, block, None));
    let column = column.and_then(|(source, column)| binding.sources[source].columns()?.get(column));
    let is_float =
        column.is_some_and(|column| matches!(column.column_type, ColumnType::Float | ColumnType::Double));
    (adds && is_float).then_some("sums of floating-point numbers")
}
