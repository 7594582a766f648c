//! Full-text search over several shards: as a condition alone. InnoDB says of each row by itself whether it matches, but its score depends on all rows of the table (how many there are, and how
//! many have each word). What matches has a score above nothing, a word that every row has included; but not where operators of the boolean mode lower it.

use super::Gather;
use crate::plan::bind::Binding;
use crate::plan::conjuncts::conjuncts;
use crate::plan::sketch::parts::Run;
use crate::plan::tokens::{Class, Tokens};
use crate::{KeyValue, LiteralKind, Normalised, RouterError, SqlMode};

/// Operators of the boolean mode by which the score decides whether a row matches, or whose meaning was not compared: `~`, `<`, `>`, `@`.
const LOWERS: &[u8] = b"~<>@";
/// The words of a search, besides those of expressions.
pub(super) const WORDS: [&str; 3] = ["MATCH", "AGAINST", "NATURAL"];
/// Words that may stand between a condition and what it is a part of.
const AROUND: [&str; 4] = ["AND", "OR", "XOR", "&&"];

/// One MATCH … AGAINST.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// What is searched for.
    sought: Sought,
    /// IN BOOLEAN MODE.
    is_boolean: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sought {
    Literal(u32),
    Param(u32),
}

/// Where one stands.
#[derive(Clone, Copy)]
pub(super) struct Site {
    /// All of it.
    run: Run,
    /// Behind AGAINST's opening parenthesis, up to the closing one.
    against: Run,
}

/// All searches of a statement.
#[derive(Default)]
pub(super) struct Searches {
    pub(super) searches: Vec<Search>,
    sites: Vec<Site>,
}

/// The searches of a statement; an error where one is more than a condition.
pub(super) fn searches(binding: &Binding<'_>) -> Result<Searches, RouterError> {
    let t = binding.t;
    let mut found = Searches { searches: Vec::new(), sites: Vec::new() };
    for at in (0..t.len()).filter(|&at| t.is(at, "MATCH")) {
        let (search, site) = read(t, at).ok_or_else(|| {
            RouterError::unsupported(
                "full-text search for more than a text, or WITH QUERY EXPANSION, over several shards",
            )
        })?;
        if !is_condition(binding, site.run) {
            return Err(RouterError::unsupported("scores of full-text search over several shards"));
        }
        found.searches.push(search);
        found.sites.push(site);
    }
    Ok(found)
}

impl Searches {
    /// Whether a token is a word of how a search is made, and no name.
    pub(super) fn is_word(&self, at: usize) -> bool {
        self.sites.iter().any(|site| (site.against.first..site.against.end).contains(&at))
    }

    /// Whether one stands in this run.
    pub(super) fn is_in(&self, run: Run) -> bool {
        self.sites.iter().any(|site| run.first <= site.run.first && site.run.end <= run.end)
    }

    /// Whether all searches are in these conditions.
    pub(super) fn are_all_in(&self, runs: &[Run]) -> bool {
        let is_inside =
            |site: &Site| runs.iter().any(|run| run.first <= site.run.first && site.run.end <= run.end);
        self.sites.iter().all(is_inside)
    }
}

/// Whether these conditions have parameters.
pub(super) fn has_params(t: &Tokens<'_>, runs: &[Run]) -> bool {
    let is_param = |at: usize| matches!(t.class(at), Class::Param(_));
    runs.iter().any(|run| (run.first..run.end).any(is_param))
}

/// What is said where a search cannot be made where rows are read, and has to be.
pub(super) fn not_in_parts() -> RouterError {
    RouterError::unsupported(
        "full-text search that is no condition on one table's rows alone, over several shards",
    )
}

/// `MATCH (a, b) AGAINST ('text' …)`.
fn read(t: &Tokens<'_>, at: usize) -> Option<(Search, Site)> {
    let word = if t.is(at + 1, "(") { t.mate(at + 1) + 1 } else { at + 1 };
    if !t.is(word, "AGAINST") || !t.is(word + 1, "(") {
        return None;
    }
    let close = t.mate(word + 1);
    let sought = match t.class(word + 2) {
        Class::Literal(number, LiteralKind::String) => Sought::Literal(number),
        Class::Param(number) => Sought::Param(number),
        _ => return None,
    };
    let mode: Vec<&str> = (word + 3..close).map(|at| t.text(at)).collect();
    let is_boolean = match mode[..] {
        [] | ["IN", "NATURAL", "LANGUAGE", "MODE"] => false,
        ["IN", "BOOLEAN", "MODE"] => true,
        _ => return None,
    };
    let site = Site { run: Run { first: at, end: close + 1 }, against: Run { first: word + 2, end: close } };
    Some((Search { sought, is_boolean }, site))
}

/// Whether of what stands in `run` no more is asked than whether it is true, of rows of a FROM clause.
fn is_condition(binding: &Binding<'_>, run: Run) -> bool {
    let t = binding.t;
    let pipes_concat = binding.ctx.sql_mode.contains(SqlMode::PIPES_AS_CONCAT);
    let covers = |whole: &Run| whole.first <= run.first && run.end <= whole.end;
    let filters = binding.sketch.blocks.iter().flat_map(|block| &block.filters);
    filters.filter(|filter| covers(&filter.run)).any(|filter| {
        let parts = conjuncts(t, filter.run, pipes_concat);
        let whole = parts.into_iter().find(covers).unwrap_or(filter.run);
        let has_more = (whole.first..whole.end)
            .any(|at| matches!(t.text(at), "BETWEEN" | "CASE" | "SELECT" | "TABLE" | "VALUES" | ":="));
        !has_more && is_truth(t, whole, run)
    })
}

/// Whether a part of the condition `whole` is a condition itself, not a value.
fn is_truth(t: &Tokens<'_>, whole: Run, run: Run) -> bool {
    let mut run = run;
    loop {
        let before = (run.first > whole.first).then(|| run.first - 1);
        let behind = (run.end < whole.end).then_some(run.end);
        match (before, behind) {
            (Some(open), Some(close)) if t.is(open, "(") && t.is(close, ")") => {
                if !groups(t, whole, open) {
                    return false;
                }
                run = Run { first: open, end: close + 1 };
            }
            _ => {
                let is_before = before.is_none_or(|at| {
                    AROUND.contains(&t.text(at)) || t.is(at, "NOT") || t.is(at, "(") && groups(t, whole, at)
                });
                let is_behind = behind.is_none_or(|at| {
                    AROUND.contains(&t.text(at)) || t.is(at, ")") && groups(t, whole, t.mate(at))
                });
                return is_before && is_behind;
            }
        }
    }
}

/// Whether the parenthesis at `open` groups conditions: no function's, and no list's.
fn groups(t: &Tokens<'_>, whole: Run, open: usize) -> bool {
    open == whole.first
        || open > whole.first && {
            let before = t.text(open - 1);
            AROUND.contains(&before) || matches!(before, "NOT" | "(")
        }
}

impl Gather {
    /// Refuses what is searched for with operators by which a row's score decides.
    pub fn check_searches(
        &self,
        (sql, n): (&[u8], &Normalised),
        params: &[KeyValue<'_>],
    ) -> Result<(), RouterError> {
        let lowers = |bytes: &[u8]| bytes.iter().any(|byte| LOWERS.contains(byte));
        let is_plain = |search: &&Search| match search.sought {
            _ if !search.is_boolean => true,
            Sought::Literal(number) => {
                let literals = n.literals().get(number as usize..).unwrap_or_default();
                let continued = literals.iter().skip(1).take_while(|literal| literal.continues());
                let mut all = literals.iter().take(1).chain(continued);
                !literals.is_empty()
                    && all.all(|literal| literal.introducer().is_none() && !lowers(literal.text(sql)))
            }
            Sought::Param(number) => match params.get(number as usize) {
                Some(KeyValue::Text { bytes, .. }) => !lowers(bytes),
                Some(KeyValue::Null | KeyValue::Int(_) | KeyValue::UInt(_)) => true,
                _ => false,
            },
        };
        match self.searches.iter().all(|search| is_plain(&search)) {
            true => Ok(()),
            false => Err(RouterError::unsupported(
                "full-text search with ~, <, > or @ in boolean mode over several shards",
            )),
        }
    }
}
