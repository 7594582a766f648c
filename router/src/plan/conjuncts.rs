//! Takes conditions apart at their ANDs, and reads those that are plain equalities. Whatever is not exactly one is dropped.

use super::sketch::parts::Run;
use super::target::KeySource;
use super::tokens::{Class, Tokens};

/// Rows with more values than this pin nothing: `(a, b, …) = (1, 2, …)`.
const MAX_ROW: usize = 16;

/// `left = right`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Equality {
    pub left: Operand,
    pub right: Operand,
    /// `<=>`, IS NULL.
    pub null_safe: bool,
}

/// One side of an equality.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    /// `[[database.]table.]column`.
    Column(Run),
    /// One of these values.
    Values(Vec<KeySource>),
}

/// The conditions that all hold where `run` does; none where an operator looser than AND is about.
pub(super) fn conjuncts(t: &Tokens<'_>, run: Run, pipes_concat: bool) -> Vec<Run> {
    let mut found = Vec::new();
    let mut open = vec![run];
    while let Some(run) = open.pop() {
        let run = bare(t, run);
        match split(t, run, pipes_concat) {
            Split::Opaque => {}
            Split::One => found.push(run),
            Split::Parts(parts) => open.extend(parts),
        }
    }
    found
}

enum Split {
    Opaque,
    One,
    Parts(Vec<Run>),
}

/// Without the parentheses around all of it.
fn bare(t: &Tokens<'_>, run: Run) -> Run {
    let mut run = run;
    while run.end >= run.first + 2 && t.is(run.first, "(") && t.mate(run.first) + 1 == run.end {
        run = Run { first: run.first + 1, end: run.end - 1 };
    }
    run
}

/// Cuts at the ANDs outside parentheses, CASE and BETWEEN.
fn split(t: &Tokens<'_>, run: Run, pipes_concat: bool) -> Split {
    let (mut cases, mut ends) = (0_usize, 0_usize);
    let (mut depth, mut betweens) = (0_usize, 0_usize);
    let mut cuts = Vec::new();
    let mut at = run.first;
    while at < run.end {
        match t.text(at) {
            "(" => at = t.mate(at),
            "OR" | "XOR" | ":=" | "SELECT" => return Split::Opaque,
            "||" if !pipes_concat => return Split::Opaque,
            "CASE" => {
                cases += 1;
                depth += 1;
            }
            "END" => {
                ends += 1;
                depth = depth.saturating_sub(1);
            }
            "BETWEEN" if depth == 0 => betweens += 1,
            "AND" if depth == 0 && betweens > 0 => betweens -= 1,
            "&&" if depth == 0 && betweens > 0 => return Split::Opaque,
            "AND" | "&&" if depth == 0 => cuts.push(at),
            _ => {}
        }
        at += 1;
    }
    // `end` can be a column's name: then CASE and END do not tally, and nothing is certain.
    if cases != 0 && cases != ends || betweens != 0 {
        return Split::Opaque;
    }
    if cuts.is_empty() {
        return Split::One;
    }
    let firsts = std::iter::once(run.first).chain(cuts.iter().map(|cut| cut + 1));
    let ends = cuts.iter().copied().chain(std::iter::once(run.end));
    Split::Parts(firsts.zip(ends).map(|(first, end)| Run { first, end }).collect())
}

/// The equalities that this condition is.
pub(super) fn equalities(t: &Tokens<'_>, run: Run) -> Vec<Equality> {
    let mut operators = Vec::new();
    let mut at = run.first;
    while at < run.end {
        match t.text(at) {
            "(" => at = t.mate(at),
            "=" | "<=>" | "IN" | "IS" => operators.push(at),
            _ => {}
        }
        at += 1;
    }
    let [operator] = operators[..] else { return Vec::new() };
    let (left, right) = (Run { first: run.first, end: operator }, Run { first: operator + 1, end: run.end });
    match t.text(operator) {
        "IS" => is_null(t, left, right).into_iter().collect(),
        "IN" => in_list(t, left, right),
        text => sides(t, left, right, text == "<=>"),
    }
}

fn is_null(t: &Tokens<'_>, left: Run, right: Run) -> Option<Equality> {
    let column = column(t, bare(t, left))?;
    let null = right.end == right.first + 1 && t.is(right.first, "NULL");
    null.then_some(Equality { left: column, right: Operand::Values(vec![KeySource::Null]), null_safe: true })
}

fn in_list(t: &Tokens<'_>, left: Run, right: Run) -> Vec<Equality> {
    if !(t.is(right.first, "(") && t.mate(right.first) + 1 == right.end) {
        return Vec::new();
    }
    let items = list(t, Run { first: right.first + 1, end: right.end - 1 });
    if let [item] = items[..] {
        return sides(t, left, item, false);
    }
    let values: Option<Vec<KeySource>> = items.iter().map(|&item| value(t, bare(t, item))).collect();
    let column = column(t, bare(t, left));
    match (column, values) {
        (Some(left), Some(values)) if !values.is_empty() => {
            vec![Equality { left, right: Operand::Values(values), null_safe: false }]
        }
        _ => Vec::new(),
    }
}

/// The equalities of two sides: one, or one per member of two rows.
fn sides(t: &Tokens<'_>, left: Run, right: Run, null_safe: bool) -> Vec<Equality> {
    if let (Some(left), Some(right)) = (row(t, left), row(t, right)) {
        if left.len() != right.len() || left.len() > MAX_ROW {
            return Vec::new();
        }
        return left
            .into_iter()
            .zip(right)
            .flat_map(|(left, right)| sides(t, left, right, null_safe))
            .collect();
    }
    match (operand(t, bare(t, left)), operand(t, bare(t, right))) {
        (Some(left), Some(right)) => vec![Equality { left, right, null_safe }],
        _ => Vec::new(),
    }
}

/// The members of `(a, b)` or ROW(a, b).
fn row(t: &Tokens<'_>, run: Run) -> Option<Vec<Run>> {
    let first = if t.is(run.first, "ROW") { run.first + 1 } else { run.first };
    if !(t.is(first, "(") && t.mate(first) + 1 == run.end) {
        return None;
    }
    let inner = bare(t, Run { first, end: run.end });
    let members = list(t, inner);
    (members.len() > 1).then_some(members)
}

/// A comma-separated list, cut.
pub(super) fn list(t: &Tokens<'_>, run: Run) -> Vec<Run> {
    let mut items = Vec::new();
    let (mut first, mut at) = (run.first, run.first);
    while at < run.end {
        if t.is(at, "(") {
            at = t.mate(at);
        } else if t.is(at, ",") {
            items.push(Run { first, end: at });
            first = at + 1;
        }
        at += 1;
    }
    items.push(Run { first, end: run.end });
    items
}

fn operand(t: &Tokens<'_>, run: Run) -> Option<Operand> {
    match value(t, run) {
        Some(value) => Some(Operand::Values(vec![value])),
        None => column(t, run),
    }
}

fn column(t: &Tokens<'_>, run: Run) -> Option<Operand> {
    let parts = run.end.checked_sub(run.first)?;
    let is_chain = parts % 2 == 1
        && (0..parts).all(|n| if n % 2 == 0 { t.is_name(run.first + n) } else { t.is(run.first + n, ".") });
    // A lone reserved word is no column (CURRENT_DATE, DEFAULT, …).
    let is_word = parts == 1 && super::functions::is_reserved(t.text(run.first));
    (is_chain && !is_word).then_some(Operand::Column(run))
}

/// The value that `run` is, if it is exactly one.
pub(super) fn value(t: &Tokens<'_>, run: Run) -> Option<KeySource> {
    let negative = t.is(run.first, "-");
    let first = if negative || t.is(run.first, "+") { run.first + 1 } else { run.first };
    if run.end != first + 1 {
        return None;
    }
    match t.class(first) {
        Class::Literal(number, _) if first == run.first => Some(KeySource::Literal(number)),
        Class::Literal(number, kind) if kind.is_number() && negative => {
            Some(KeySource::NegatedLiteral(number))
        }
        Class::Literal(number, kind) if kind.is_number() => Some(KeySource::Literal(number)),
        Class::Param(number) if first == run.first => Some(KeySource::Param(number)),
        Class::Word if first == run.first => match t.text(first) {
            "NULL" => Some(KeySource::Null),
            "TRUE" => Some(KeySource::Integer(1)),
            "FALSE" => Some(KeySource::Integer(0)),
            _ => None,
        },
        _ => None,
    }
}
