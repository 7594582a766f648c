//! CREATE TABLE … SELECT of a home table from rows of several shards: where its query stands, so that the table can be made empty first and its rows be inserted then. Never reads a value.

use super::bind::{Binding, Place};
use super::gather::span;
use super::made::Making;
use super::plan::Plan;
use super::sketch::parts::{Role, Run, SourceKind};
use super::target::Target;
use super::tokens::Tokens;
use crate::{Effects, RouterError, Statement, Verb};

/// The target of a CREATE TABLE … SELECT whose query needs several shards, as `error` says; its plan knows then how the table is made.
pub(super) fn target(
    plan: &mut Plan,
    binding: &Binding<'_>,
    error: RouterError,
) -> Result<Target, RouterError> {
    let making = (plan.verb() == Verb::CreateTable).then(|| making(binding)).flatten().ok_or(error)?;
    if plan.effects().contains(Effects::LOCKS_ROWS) {
        return Err(RouterError::unsupported("a locking read in CREATE TABLE … SELECT over several shards"));
    }
    let variables = Effects::READS_USER_VARIABLES | Effects::ASSIGNS_USER_VARIABLES;
    if plan.effects().intersects(variables) {
        return Err(RouterError::unsupported("user variables in CREATE TABLE … SELECT over several shards"));
    }
    let target = Target::Home { keyspace: Some(making.keyspace.clone()) };
    plan.recognised.statement = Statement::Define;
    plan.making = Some(Box::new(making));
    Ok(target)
}

fn making(binding: &Binding<'_>) -> Option<Making> {
    let (t, end) = (binding.t, binding.t.len());
    let sources = binding.sketch.sources.iter().zip(&binding.sources);
    let mut whole = sources.filter(|(source, _)| source.role == Role::Whole);
    let (Some((source, bound)), None) = (whole.next(), whole.next()) else { return None };
    let SourceKind::Table { database, name } = source.kind else { return None };
    if !matches!(bound.place, Place::Home(_)) || !t.are(0, &["CREATE", "TABLE"]) {
        return None;
    }
    let first = if t.are(2, &["IF", "NOT", "EXISTS"]) { 5 } else { 2 };
    if first != database.unwrap_or(name) {
        return None;
    }
    let start = query_start(t, name + 1)?;
    let outside = |words: &[&str]| top_level(t, start, end).find(|&at| words.contains(&t.text(at)));
    if outside(&["INTO", "FOR", "LOCK", "PROCEDURE"]).is_some() {
        return None;
    }
    let before = if t.is(start - 1, "AS") { start - 2 } else { start - 1 };
    let duplicates = ["IGNORE", "REPLACE"].into_iter().find(|word| t.is(before, word));
    let limit = outside(&["LIMIT"]).unwrap_or(end);
    Some(Making {
        keyspace: bound.keyspace.as_ref()?.name.clone(),
        table: bound.table.clone(),
        if_not_exists: first == 5,
        duplicates,
        named: span(t, Run { first: 2, end: name + 1 }),
        query: span(t, Run { first: start, end }),
        unlimited: span(t, Run { first: start, end: limit }),
    })
}

/// Where the query begins, which is all of the rest.
fn query_start(t: &Tokens<'_>, at: usize) -> Option<usize> {
    let is_query = |at: usize| {
        let inner = (at..t.len()).find(|&at| !t.is(at, "("));
        inner.is_some_and(|inner| matches!(t.text(inner), "SELECT" | "WITH" | "VALUES" | "TABLE"))
    };
    let mut at = at;
    while at < t.len() {
        if is_query(at) {
            return Some(at);
        }
        at = if t.is(at, "(") { t.mate(at) + 1 } else { at + 1 };
    }
    None
}

/// The places outside of parentheses.
fn top_level<'t>(t: &'t Tokens<'_>, first: usize, end: usize) -> impl Iterator<Item = usize> + 't {
    let mut at = first;
    std::iter::from_fn(move || {
        let here = at;
        at = if t.is(at, "(") { t.mate(at) + 1 } else { at + 1 };
        (here < end).then_some(here)
    })
}
