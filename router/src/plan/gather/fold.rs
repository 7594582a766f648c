//! Aggregates over several shards: each shard computes its own, and MySQL puts them together. `SELECT g, SUM(x) … WHERE … GROUP BY g HAVING …` becomes, on every shard, the groups and partial
//! sums of its own rows, and, at the end, the statement itself over those rows: the columns of GROUP BY stand for themselves, a sum is the sum of sums. All comparisons are MySQL's.
//!
//! Done where rows of the FROM clause are rows of one shard each ([`super::merge`]), where all columns outside aggregates are those of GROUP BY, and where partial results are exact:
//! COUNT of anything, SUM and AVG of integers and DECIMAL, MIN and MAX of columns whose result is of the column's own type.

use podway_model::{Column, ColumnType, Name};

use super::merge::{CLAUSES, Root, find, is_one_select, listed};
use super::parts::span;
use super::words;
use crate::plan::bind::Binding;
use crate::plan::functions;
use crate::plan::sketch::has_alias;
use crate::plan::sketch::parts::{BlockId, Run};
use crate::plan::target::KeyPin;
use crate::plan::tokens::{Class, Tokens};
use crate::{Recognised, TemplateSpan};

/// What the shards compute, and what stands in its place at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// Keys that lead to the shards; all shards where there are none.
    pub keys: Vec<KeyPin>,
    /// The columns of the partial results; the n-th is called `c<n>`.
    pub columns: Vec<FoldColumn>,
    /// What a shard computes for each: the text around a span.
    pub(in crate::plan) computed: Vec<(&'static str, Option<TemplateSpan>, &'static str)>,
    /// Whether it has averages, which have more digits than they show: what is put together has no more than that.
    pub averages: bool,
    /// The columns of GROUP BY.
    pub(in crate::plan) groups: Vec<TemplateSpan>,
    /// FROM and WHERE.
    pub(in crate::plan) region: TemplateSpan,
    /// What stands for a column or an aggregate at the end.
    pub(in crate::plan) edits: Vec<(TemplateSpan, String)>,
}

/// A column of partial results.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldColumn {
    /// The table that it comes from, as the statement spells it.
    pub table: Box<str>,
    /// The column that it comes from; none for a count.
    pub column: Option<Name>,
    /// What is made of it.
    pub made: Made,
}

/// What is made of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// One of its values.
    Value,
    /// How many there are.
    Count,
    /// Their sum.
    Sum,
}

/// The words of grouping, besides those of [`CLAUSES`].
const GROUPING: [&str; 9] = ["GROUP", "HAVING", "WITH", "ROLLUP", "COUNT", "SUM", "AVG", "MIN", "MAX"];
/// The aggregates among them.
const AGGREGATES: [&str; 5] = ["COUNT", "SUM", "AVG", "MIN", "MAX"];
/// Words that keep a statement from being folded.
const UNFOLDED: [&str; 15] = [
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "TABLE",
    "VALUES",
    "DISTINCT",
    "DISTINCTROW",
    "WINDOW",
    "OVER",
    "PROCEDURE",
    "INTO",
    "LATERAL",
    "EXISTS",
    "SQL_CALC_FOUND_ROWS",
    "GROUPING",
];

/// How shards' own aggregates are put together; `None` where that is not certain to be the answer.
pub(super) fn fold(binding: &Binding<'_>, recognised: &Recognised, root: &Root) -> Option<Fold> {
    let t = binding.t;
    let words: Vec<&str> = CLAUSES.iter().chain(&GROUPING).copied().collect();
    let whole = Run { first: 0, end: t.len() };
    let is_rollup = |at: usize| !t.is(at, "WITH") || t.is(at + 1, "ROLLUP");
    let is_simple = is_one_select(t, recognised, &UNFOLDED)
        && (0..t.len()).all(is_rollup)
        && !(0..t.len()).any(|at| words::is_star(t, at))
        && words::is_plain(t, whole, &words);
    if !is_simple {
        return None;
    }
    let from = find(t, 1, &["FROM"])?;
    let end = find(t, from, &["GROUP", "HAVING", "ORDER", "LIMIT"]).unwrap_or(t.len());
    let mut folding = Folding {
        binding,
        block: root.block,
        aliases: Vec::new(),
        fold: Fold {
            keys: root.keys.clone(),
            columns: Vec::new(),
            computed: Vec::new(),
            averages: false,
            groups: Vec::new(),
            region: span(t, Run { first: from, end }),
            edits: Vec::new(),
        },
        sites: Vec::new(),
        aggregates: 0,
    };
    folding.groups(end)?;
    for item in listed(t, Run { first: 1, end: from }) {
        folding.item(item)?;
    }
    folding.walk(Run { first: end, end: t.len() })?;
    let groups = !folding.fold.groups.is_empty();
    (groups || folding.aggregates > 0).then_some(folding.fold)
}

impl Fold {
    /// How many columns it groups by.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }
}

struct Folding<'b> {
    binding: &'b Binding<'b>,
    block: BlockId,
    aliases: Vec<Name>,
    fold: Fold,
    /// The columns of GROUP BY.
    sites: Vec<(usize, usize)>,
    aggregates: usize,
}

impl Folding<'_> {
    fn t(&self) -> &Tokens<'_> {
        self.binding.t
    }

    /// GROUP BY, if it stands at `at`.
    fn groups(&mut self, at: usize) -> Option<()> {
        if !self.t().is(at, "GROUP") {
            return Some(());
        }
        let end = find(self.t(), at + 2, &["WITH", "HAVING", "ORDER", "LIMIT"]).unwrap_or(self.t().len());
        for item in listed(self.t(), Run { first: at + 2, end }) {
            let site = self.binding.column(item, self.block, None)?;
            let column = self.column(site)?;
            if !is_grouped_exactly(column) {
                return None;
            }
            let name = column.name.clone();
            self.sites.push(site);
            let item = span(self.t(), item);
            self.fold.groups.push(item);
            self.add(site.0, Some(name), Made::Value, ("", Some(item), ""));
        }
        Some(())
    }

    fn column(&self, (source, position): (usize, usize)) -> Option<&Column> {
        self.binding.sources[source].columns()?.get(position)
    }

    fn add(
        &mut self,
        source: usize,
        column: Option<Name>,
        made: Made,
        computed: (&'static str, Option<TemplateSpan>, &'static str),
    ) -> usize {
        let table = self.binding.sources[source].table.as_str().into();
        self.fold.columns.push(FoldColumn { table, column, made });
        self.fold.computed.push(computed);
        self.fold.columns.len() - 1
    }

    /// An item of the select list, with its alias.
    fn item(&mut self, item: Run) -> Option<()> {
        let t = self.binding.t;
        let last = item.end - 1;
        if t.is(last, "END") || t.is(last.wrapping_sub(1), "END") {
            return None;
        }
        if !has_alias(t, item) {
            return self.walk(item);
        }
        // A literal as an alias may be what a name in ORDER BY means.
        if !t.is_name(last) {
            return None;
        }
        self.aliases.push(Name::caseless(&t.name(last)?));
        let end = if t.is(last - 1, "AS") { last - 1 } else { last };
        self.walk(Run { first: item.first, end })
    }

    /// Replaces what stands for a column or an aggregate of the statement's rows.
    fn walk(&mut self, run: Run) -> Option<()> {
        let mut at = run.first;
        while at < run.end {
            let t = self.binding.t;
            let is_call = t.is(at + 1, "(") && at + 1 < run.end;
            if is_call && t.class(at) == Class::Word && AGGREGATES.contains(&t.text(at)) {
                at = self.aggregate(at)?;
                continue;
            }
            let is_word = t.class(at) == Class::Word;
            if !t.is_name(at)
                || is_call
                || is_word && functions::is_reserved(t.text(at))
                || self.is_clause_word(at)
            {
                at += 1;
                continue;
            }
            let first = at;
            while t.is(at + 1, ".") && at + 2 < run.end && t.is_name(at + 2) {
                at += 2;
            }
            at += 1;
            self.name(Run { first, end: at })?;
        }
        Some(())
    }

    /// Words of the clauses that are not reserved.
    fn is_clause_word(&self, at: usize) -> bool {
        let t = self.binding.t;
        t.class(at) == Class::Word && matches!(t.text(at), "OFFSET" | "ROLLUP")
    }

    fn name(&mut self, run: Run) -> Option<()> {
        let t = self.binding.t;
        let is_alias =
            run.end - run.first == 1 && self.aliases.contains(&Name::caseless(&t.name(run.first)?));
        let site = self.binding.column(run, self.block, None);
        match (site, is_alias) {
            (None, true) => Some(()),
            (Some(site), false) => {
                let nth = self.sites.iter().position(|grouped| *grouped == site)?;
                self.fold.edits.push((span(t, run), format!("p.`c{nth}`")));
                Some(())
            }
            _ => None,
        }
    }

    /// An aggregate; gives the place behind it.
    fn aggregate(&mut self, at: usize) -> Option<usize> {
        let t = self.binding.t;
        let close = t.mate(at + 1);
        let inner = Run { first: at + 2, end: close };
        let nests = (inner.first..inner.end).any(|at| t.is(at + 1, "(") && AGGREGATES.contains(&t.text(at)));
        if nests || inner.first >= inner.end {
            return None;
        }
        self.aggregates += 1;
        let name = t.text(at);
        self.fold.averages |= name == "AVG";
        let text = match name {
            "COUNT" => format!("CAST(COALESCE(SUM(p.`c{}`), 0) AS SIGNED)", self.count(inner)),
            "SUM" => format!("SUM(p.`c{}`)", self.of_column(inner, "SUM(", Made::Sum)?),
            "AVG" => {
                let (sum, count) = (self.of_column(inner, "SUM(", Made::Sum)?, self.count(inner));
                format!("(SUM(p.`c{sum}`) / NULLIF(SUM(p.`c{count}`), 0))")
            }
            "MIN" => format!("MIN(p.`c{}`)", self.of_column(inner, "MIN(", Made::Value)?),
            _ => format!("MAX(p.`c{}`)", self.of_column(inner, "MAX(", Made::Value)?),
        };
        self.fold.edits.push((span(t, Run { first: at, end: close + 1 }), text));
        Some(close + 1)
    }

    fn count(&mut self, inner: Run) -> usize {
        let inner = span(self.binding.t, inner);
        self.add(0, None, Made::Count, ("COUNT(", Some(inner), ")"))
    }

    fn of_column(&mut self, inner: Run, function: &'static str, made: Made) -> Option<usize> {
        let site = self.binding.column(inner, self.block, None)?;
        let column = self.column(site)?;
        let is_exact = match made {
            Made::Sum => {
                matches!(column.column_type, ColumnType::Integer { .. } | ColumnType::Decimal { .. })
            }
            _ => is_extreme_exactly(column),
        };
        let name = column.name.clone();
        let inner = span(self.binding.t, inner);
        is_exact.then(|| self.add(site.0, Some(name), made, (function, Some(inner), ")")))
    }
}

/// Whether a column's groups on one shard are put together by grouping them again.
fn is_grouped_exactly(column: &Column) -> bool {
    matches!(
        column.column_type,
        ColumnType::Integer { .. }
            | ColumnType::Decimal { .. }
            | ColumnType::Year
            | ColumnType::Date
            | ColumnType::Datetime(_)
            | ColumnType::Time(_)
            | ColumnType::Char(_)
            | ColumnType::Varchar(_)
            | ColumnType::Text(_)
            | ColumnType::Binary(_)
            | ColumnType::Varbinary(_)
    )
}

/// Whether MIN and MAX of the column are of its own type.
fn is_extreme_exactly(column: &Column) -> bool {
    match column.column_type {
        ColumnType::Double => true,
        ColumnType::Year | ColumnType::Binary(_) | ColumnType::Varbinary(_) => false,
        _ => is_grouped_exactly(column),
    }
}
