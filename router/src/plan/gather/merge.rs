//! Whether the rows that every shard gives for the statement itself, put together, are its answer.
//!
//! They are where each row of the result is made of the rows of one shard: one sharded table, others joined to it by the whole sharding key, reference tables; and
//! where nothing is computed over several rows. ORDER BY is merged by columns whose order the proxy can tell; which those are is research on real servers: text in
//! collations without padding by its WEIGHT_STRING, whose bytes are MySQL's order; numbers and temporal values by what they are.

use podway_model::{Column, ColumnType, Name, Table, TableKind};

use super::parts::span;
use super::{locks, words};
use crate::plan::bind::{Binding, Place};
use crate::plan::conjuncts::list;
use crate::plan::pins::{self, Known};
use crate::plan::sketch::is_column;
use crate::plan::sketch::parts::{BlockId, Run, Source, SourceId, SourceKind};
use crate::plan::target::KeyPin;
use crate::plan::tokens::{Class, Tokens};
use crate::statement::SELECT_OPTIONS;
use crate::{Effects, Normalised, Recognised, RouterError, TemplateSpan};

/// How the shards' answers become one.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    /// Keys that lead to the shards; all shards where there are none.
    pub keys: Vec<KeyPin>,
    /// ORDER BY.
    pub order: Vec<OrderKey>,
    /// LIMIT.
    pub limit: Option<RowLimit>,
    /// Where the select list ends, in the template: what is ordered by is added there.
    pub(in crate::plan) list_end: u32,
}

/// One key of ORDER BY.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrderKey {
    /// The column.
    pub(in crate::plan) column: TemplateSpan,
    /// What is asked of a shard for it, around the column.
    pub(in crate::plan) asked: (&'static str, &'static str),
    /// How the values of two shards compare.
    pub compared: Compared,
    /// DESC.
    pub descending: bool,
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// As decimal numbers.
    Number,
    /// As floating-point numbers.
    Double,
    /// Byte by byte.
    Bytes,
}

/// LIMIT, its numbers being literals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowLimit {
    /// All behind the word.
    pub(in crate::plan) span: TemplateSpan,
    /// The number of the literal that says how many rows.
    pub count: u32,
    /// That of the literal that says how many are left out before them.
    pub offset: Option<u32>,
}

/// Words that compute over several rows, or see more than one query.
pub(super) const MORE_THAN_ROWS: [&str; 17] = [
    "WITH",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "TABLE",
    "VALUES",
    "DISTINCT",
    "DISTINCTROW",
    "GROUP",
    "HAVING",
    "WINDOW",
    "OVER",
    "PROCEDURE",
    "INTO",
    "LATERAL",
    "EXISTS",
    "SQL_CALC_FOUND_ROWS",
];

/// Words of clauses, besides those of expressions.
pub(super) const CLAUSES: [&str; 27] = [
    "SELECT",
    "WHERE",
    "JOIN",
    "INNER",
    "CROSS",
    "LEFT",
    "RIGHT",
    "OUTER",
    "NATURAL",
    "ON",
    "USING",
    "ORDER",
    "LIMIT",
    "ASC",
    "DESC",
    "OFFSET",
    "USE",
    "FORCE",
    "IGNORE",
    "INDEX",
    "KEY",
    "PARTITION",
    "STRAIGHT_JOIN",
    "ALL",
    "HIGH_PRIORITY",
    "SQL_SMALL_RESULT",
    "SQL_BIG_RESULT",
];

/// How the shards' own answers are merged; `None` where that is not certain to be the answer.
pub(super) fn merge(binding: &Binding<'_>, recognised: &Recognised, root: &Root) -> Option<Merge> {
    let t = binding.t;
    let end = locks::body_end(binding)?;
    let whole = Run { first: 0, end };
    let is_simple = is_one_select(t, recognised, &MORE_THAN_ROWS) && words::is_plain(t, whole, &CLAUSES);
    if !is_simple {
        return None;
    }
    let clauses = Clauses::of(t, end)?;
    let order =
        clauses.order.map_or(Some(Vec::new()), |run| order(binding, root.block, run, &clauses.items))?;
    let limit = match clauses.limit {
        Some(run) => Some(limit(t, run)?),
        None => None,
    };
    let list_end = t.end(clauses.items.last()?.end - 1) as u32;
    Some(Merge { keys: root.keys.clone(), order, limit, list_end })
}

/// Whether the statement is one SELECT without these words, and without what only its session knows.
pub(super) fn is_one_select(t: &Tokens<'_>, recognised: &Recognised, without: &[&str]) -> bool {
    let selects = (0..t.len()).filter(|&at| t.is(at, "SELECT")).count();
    t.is(0, "SELECT")
        && selects == 1
        && !(0..t.len()).any(|at| without.contains(&t.text(at)) && !t.after_dot(at))
        && !recognised.effects.intersects(Effects::READS_USER_VARIABLES | Effects::READS_DIAGNOSTICS)
}

/// A sharded table with whose rows all others lie: each row of the FROM clause has exactly one of its rows.
pub(in crate::plan) struct Root {
    /// Where the clause stands.
    pub(super) block: BlockId,
    /// Keys that lead to its rows; none where they may be anywhere.
    pub(in crate::plan) keys: Vec<KeyPin>,
}

impl Root {
    /// Of a statement without subqueries.
    pub(super) fn of(binding: &Binding<'_>, known: &Known) -> Option<Root> {
        let is_table = |source: &Source| matches!(source.kind, SourceKind::Table { .. });
        let all: Vec<SourceId> = (0..binding.sources.len()).collect();
        if binding.sketch.sources.iter().all(is_table) { Root::among(binding, known, &all) } else { None }
    }

    /// Of the FROM clause with these sources, of which derived ones have to be the same on every shard.
    pub(in crate::plan) fn among(binding: &Binding<'_>, known: &Known, sources: &[SourceId]) -> Option<Root> {
        let mut sharded = Vec::new();
        for &id in sources {
            match &binding.sources[id].place {
                Place::Sharded(table) => sharded.push((id, &**table)),
                Place::Reference(_) | Place::Derived => {}
                _ => return None,
            }
        }
        let is_root = |&(id, table): &(SourceId, &Table)| {
            !binding.sketch.sources[id].nullable
                && sharded.iter().all(|other| other.0 == id || lies_with(known, (id, table), *other))
        };
        let (id, _) = sharded.iter().copied().find(is_root)?;
        let keys = pins::pins_of(binding, known, id).unwrap_or_default();
        Some(Root { block: binding.sketch.sources[id].block, keys })
    }
}

/// Whether every row of `other` that is joined to a row of `root` is on its shard: the sharding keys are of one kind and equal.
pub(in crate::plan) fn lies_with(known: &Known, root: (SourceId, &Table), other: (SourceId, &Table)) -> bool {
    let (TableKind::Sharded(ours), TableKind::Sharded(theirs)) = (&root.1.kind, &other.1.kind) else {
        return false;
    };
    ours.vindex == theirs.vindex
        && ours.columns.len() == theirs.columns.len()
        && ours.columns.iter().zip(&theirs.columns).all(|(&from, &to)| {
            let columns = (root.1.columns.get(from), other.1.columns.get(to));
            let (Some(left), Some(right)) = columns else { return false };
            is_alike(left, right) && known.reaches((root.0, from), (other.0, to))
        })
}

/// Whether equal values of both columns have one canonical form.
fn is_alike(left: &Column, right: &Column) -> bool {
    let integer = |column: &Column| matches!(column.column_type, ColumnType::Integer { .. });
    integer(left) && integer(right)
        || left.column_type == right.column_type && left.collation == right.collation
}

/// The clauses of a SELECT that is the whole statement.
pub(super) struct Clauses {
    pub(super) items: Vec<Run>,
    pub(super) order: Option<Run>,
    limit: Option<Run>,
}

impl Clauses {
    /// Of what ends there: locking clauses may follow.
    pub(super) fn of(t: &Tokens<'_>, end: usize) -> Option<Clauses> {
        let mut at = 1;
        while SELECT_OPTIONS.contains(&t.text(at)) {
            at += 1;
        }
        let mut clauses = Clauses { items: Vec::new(), order: None, limit: None };
        let from = find(t, at, &["FROM"])?;
        clauses.items = listed(t, Run { first: at, end: from });
        let order = find(t, from, &["ORDER"]);
        let limit = find(t, from, &["LIMIT"]);
        if let Some(order) = order {
            clauses.order = Some(Run { first: order + 2, end: limit.unwrap_or(end) });
        }
        clauses.limit = limit.map(|limit| Run { first: limit + 1, end });
        let in_order =
            order.is_none_or(|order| t.is(order + 1, "BY") && limit.is_none_or(|limit| limit > order));
        in_order.then_some(clauses)
    }
}

/// The first of these words outside parentheses.
pub(in crate::plan) fn find(t: &Tokens<'_>, at: usize, words: &[&str]) -> Option<usize> {
    let mut at = at;
    while at < t.len() {
        if words.contains(&t.text(at)) {
            return Some(at);
        }
        at = if t.is(at, "(") { t.mate(at) + 1 } else { at + 1 };
    }
    None
}

/// The items of a list, without those of which there is nothing.
pub(super) fn listed(t: &Tokens<'_>, run: Run) -> Vec<Run> {
    let mut items = list(t, run);
    items.retain(|item| item.first < item.end);
    items
}

pub(in crate::plan) fn order(
    binding: &Binding<'_>,
    block: BlockId,
    run: Run,
    items: &[Run],
) -> Option<Vec<OrderKey>> {
    listed(binding.t, run).into_iter().map(|key| order_key(binding, block, key, items)).collect()
}

fn order_key(binding: &Binding<'_>, block: BlockId, key: Run, items: &[Run]) -> Option<OrderKey> {
    let t = binding.t;
    let descending = t.is(key.end - 1, "DESC");
    let end = if descending || t.is(key.end - 1, "ASC") { key.end - 1 } else { key.end };
    let run = Run { first: key.first, end };
    if run.first >= run.end || is_hidden_by_alias(t, run, items) {
        return None;
    }
    let (source, position) = binding.column(run, block, None)?;
    let column = binding.sources[source].columns()?.get(position)?;
    let (asked, compared) = comparison(column)?;
    Some(OrderKey { column: span(t, run), asked, compared, descending })
}

/// Whether an item of the select list may be what an unqualified name in ORDER BY means.
fn is_hidden_by_alias(t: &Tokens<'_>, run: Run, items: &[Run]) -> bool {
    if run.end - run.first > 1 {
        return false;
    }
    let Some(name) = t.name(run.first).map(|name| Name::caseless(&name)) else { return true };
    items.iter().any(|item| {
        let last = item.end - 1;
        let may_be_it = match t.class(last) {
            Class::Literal(..) | Class::Param(_) => item.end - item.first > 1,
            Class::Word | Class::Quoted => t.name(last).is_none_or(|last| Name::caseless(&last) == name),
            _ => false,
        };
        !is_column(t, *item) && may_be_it
    })
}

/// What is asked of the shards to put this column's values in order, and how that compares.
fn comparison(column: &Column) -> Option<((&'static str, &'static str), Compared)> {
    let without_padding = |collation: &Option<Box<str>>| {
        collation
            .as_deref()
            .is_some_and(|collation| collation.starts_with("utf8mb4_") && collation.contains("_0900_"))
    };
    Some(match column.column_type {
        ColumnType::Integer { .. } | ColumnType::Decimal { .. } | ColumnType::Year => {
            (("", ""), Compared::Number)
        }
        ColumnType::Float => (("CAST(", " AS DOUBLE)"), Compared::Double),
        ColumnType::Double => (("", ""), Compared::Double),
        ColumnType::Date | ColumnType::Datetime(_) => (("", ""), Compared::Bytes),
        ColumnType::Time(_) => (("(", " + 0)"), Compared::Number),
        ColumnType::Timestamp(_) => (("UNIX_TIMESTAMP(", ")"), Compared::Number),
        ColumnType::Char(_) | ColumnType::Varchar(_) | ColumnType::Text(_)
            if without_padding(&column.collation) =>
        {
            (("WEIGHT_STRING(", ")"), Compared::Bytes)
        }
        ColumnType::Binary(_) | ColumnType::Varbinary(_) => (("", ""), Compared::Bytes),
        _ => return None,
    })
}

fn limit(t: &Tokens<'_>, run: Run) -> Option<RowLimit> {
    let number = |at: usize| match t.class(at) {
        Class::Literal(number, kind) if kind.is_number() => Some(number),
        _ => None,
    };
    let span = span(t, run);
    let first = number(run.first)?;
    match run.end - run.first {
        1 => Some(RowLimit { span, count: first, offset: None }),
        3 if t.is(run.first + 1, ",") => {
            Some(RowLimit { span, count: number(run.first + 2)?, offset: Some(first) })
        }
        3 if t.is(run.first + 1, "OFFSET") => {
            Some(RowLimit { span, count: first, offset: Some(number(run.first + 2)?) })
        }
        _ => None,
    }
}

/// How much of a merged result is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Rows that are left out before the first.
    pub offset: u64,
    /// Rows; `None`: all.
    pub count: Option<u64>,
}

impl Wanted {
    /// How many rows a shard has to give at most.
    pub fn of_each(&self) -> Option<u64> {
        self.count.map(|count| count.saturating_add(self.offset))
    }
}

impl Merge {
    /// How many rows are wanted of the statement with this text.
    pub fn wanted(&self, sql: &[u8], n: &Normalised) -> Result<Wanted, RouterError> {
        let number = |literal: u32| {
            let text =
                n.literals().get(literal as usize).map(|literal| literal.text(sql)).unwrap_or_default();
            let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok());
            number.ok_or_else(|| RouterError::syntax(sql, 0))
        };
        Ok(match self.limit {
            None => Wanted { offset: 0, count: None },
            Some(limit) => Wanted {
                offset: limit.offset.map(number).transpose()?.unwrap_or(0),
                count: Some(number(limit.count)?),
            },
        })
    }
}
