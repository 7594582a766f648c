//! LIMIT in an UPDATE or DELETE on several shards. Without ORDER BY any rows will do: the shards write one after the other, each what is left. With ORDER BY the rows
//! are chosen first: every shard locks those that come first on it and says what they are ordered by, the proxy puts them in order as it merges SELECTs, and
//! each shard writes those of its rows that are among the first of all, by their primary key. Read next: [`crate::plan::limited`], which writes the texts.

use super::words;
use crate::plan::bind::Binding;
use crate::plan::gather::{OrderKey, find, order, span};
use crate::plan::sketch::parts::{BlockId, Run};
use crate::plan::target::KeySource;
use crate::plan::tokens::{Class, Tokens};
use crate::{Recognised, RouterError, TemplateSpan, Verb};

/// How many rows a statement writes at most.
#[derive(Clone, Debug, PartialEq)]
pub struct Limited {
    /// Which rows, where ORDER BY says.
    pub chosen: Option<Chosen>,
    /// The number.
    pub(in crate::plan) rows: KeySource,
    /// Where it stands.
    pub(in crate::plan) span: TemplateSpan,
    /// The statement's other parameters, by their numbers.
    pub(in crate::plan) params: Vec<u32>,
}

/// The rows that come first.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The table's name, as the statement spells it.
    pub table: Box<str>,
    /// What they are ordered by.
    pub keys: Vec<OrderKey>,
    /// The table as the statement names it, with its alias.
    pub(in crate::plan) from: TemplateSpan,
    /// What stands behind WHERE.
    pub(in crate::plan) condition: Option<TemplateSpan>,
    /// What stands behind ORDER BY.
    pub(in crate::plan) order: TemplateSpan,
    /// Where ORDER BY begins.
    pub(in crate::plan) order_start: u32,
    /// The numbers of the parameters in the table's place and the condition.
    pub(in crate::plan) params: Vec<u32>,
}

/// What narrows a statement on one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) struct Narrowed {
    /// How many rows it may write.
    pub(in crate::plan) rows: u64,
    /// A condition that its rows must meet besides.
    pub(in crate::plan) keys: Option<Vec<u8>>,
}

/// Where the statement's own LIMIT stands, if it has one.
pub(super) fn limit_at(t: &Tokens<'_>) -> Option<usize> {
    find(t, 1, &["LIMIT"])
}

/// What the LIMIT at this place says; an error names what stands in the way.
pub(super) fn limited(
    binding: &Binding<'_>,
    recognised: &Recognised,
    (block, at): (BlockId, usize),
) -> Result<Limited, RouterError> {
    let t = binding.t;
    if t.is(0, "WITH") {
        return Err(words::refused("LIMIT behind WITH"));
    }
    let [source] = binding.sketch.blocks[block].sources[..] else {
        return Err(words::refused("LIMIT of several tables"));
    };
    let is_delete = recognised.verb == Verb::Delete;
    let behind = find(t, 1, &[if is_delete { "FROM" } else { "SET" }]).unwrap_or(1);
    if is_delete && (1..behind).any(|at| t.is(at, "IGNORE")) {
        // Whether a row counts that could not be deleted is MySQL's to say, row by row.
        return Err(words::refused("DELETE IGNORE with LIMIT"));
    }
    let rows = match t.class(at + 1) {
        Class::Literal(number, kind) if kind.is_number() => KeySource::Literal(number),
        Class::Param(number) => KeySource::Param(number),
        _ => return Err(words::refused("LIMIT with what is no number")),
    };
    if at + 2 != t.len() {
        return Err(words::refused("LIMIT with OFFSET"));
    }
    let number = Run { first: at + 1, end: at + 2 };
    let all = Run { first: 0, end: at };
    let table = binding.sources[source].table.as_str();
    let chosen = match find(t, 1, &["ORDER"]) {
        None => None,
        Some(order) => {
            let from = from_run(t, is_delete).ok_or_else(|| words::refused("a table that is not found"))?;
            Some(chosen(binding, (block, table), from, (order, at))?)
        }
    };
    let mut before = (1..behind).take_while(|&at| matches!(t.text(at), "LOW_PRIORITY" | "IGNORE"));
    if !is_delete && chosen.is_none() && before.any(|at| t.is(at, "IGNORE")) {
        // Rows that a CHECK leaves out are found, but do not count for LIMIT.
        return Err(words::refused("UPDATE IGNORE with LIMIT and no ORDER BY"));
    }
    Ok(Limited { chosen, rows, span: span(t, number), params: params(t, [all]) })
}

fn chosen(
    binding: &Binding<'_>,
    (block, table): (BlockId, &str),
    from: Run,
    (order_at, limit_at): (usize, usize),
) -> Result<Chosen, RouterError> {
    let t = binding.t;
    let by = Run { first: order_at + 2, end: limit_at };
    let is_read = t.is(order_at + 1, "BY") && by.first < by.end;
    let keys = order(binding, block, by, &[]).filter(|keys| is_read && !keys.is_empty());
    let Some(keys) = keys else {
        return Err(words::refused(
            "LIMIT with an ORDER BY of more than columns whose order is certain outside MySQL",
        ));
    };
    let condition = binding.sketch.blocks[block].filters.first().map(|filter| filter.run);
    if condition.is_some_and(|run| words::has_query(t, run)) {
        // It would read other rows where rows are chosen than where they are changed.
        return Err(words::refused("LIMIT with ORDER BY and a subquery"));
    }
    Ok(Chosen {
        table: table.into(),
        keys,
        from: span(t, from),
        condition: condition.map(|run| span(t, run)),
        order: span(t, by),
        order_start: t.start(order_at) as u32,
        params: params(t, [from].into_iter().chain(condition)),
    })
}

/// The table's name with all that belongs to it.
fn from_run(t: &Tokens<'_>, is_delete: bool) -> Option<Run> {
    let (before, ends): (_, &[&str]) = match is_delete {
        true => (find(t, 1, &["FROM"])?, &["WHERE", "ORDER"]),
        false => ((1..t.len()).find(|&at| !matches!(t.text(at), "LOW_PRIORITY" | "IGNORE"))? - 1, &["SET"]),
    };
    let end = find(t, before + 1, ends)?;
    (before + 1 < end).then_some(Run { first: before + 1, end })
}

/// The numbers of the parameters in these places.
fn params(t: &Tokens<'_>, runs: impl IntoIterator<Item = Run>) -> Vec<u32> {
    let param = |at: usize| match t.class(at) {
        Class::Param(number) => Some(number),
        _ => None,
    };
    runs.into_iter().flat_map(|run| run.first..run.end).filter_map(param).collect()
}

impl Limited {
    /// About how many bytes it holds.
    pub(super) fn memory(&self) -> usize {
        let of_chosen = |chosen: &Chosen| {
            chosen.table.len()
                + chosen.keys.capacity() * size_of::<OrderKey>()
                + chosen.params.capacity() * size_of::<u32>()
        };
        size_of::<Limited>()
            + self.params.capacity() * size_of::<u32>()
            + self.chosen.as_ref().map_or(0, of_chosen)
    }
}
