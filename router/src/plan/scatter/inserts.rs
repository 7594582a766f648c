//! INSERT and REPLACE of listed rows that lie on several shards: each shard gets its own, in their order. Rows are stored one by one and meet no row of another
//! shard, so what ON DUPLICATE KEY UPDATE and REPLACE do to a row is the same wherever the others are.

use super::{Row, Scatter, words};
use crate::plan::bind::{Binding, Place};
use crate::plan::gather::span;
use crate::plan::sketch::parts::{Insert, Role, Run};
use crate::plan::tokens::{Class, Tokens};
use crate::{Recognised, RouterError, TemplateSpan};

/// How the rows of an INSERT into a sharded table go to several shards; `None` where it lists no two rows, an error where something stands in the way.
pub(in crate::plan) fn inserts(
    binding: &Binding<'_>,
    recognised: &Recognised,
) -> Result<Option<Scatter>, RouterError> {
    let Some(insert) = binding.sketch.insert.as_ref().filter(|insert| insert.places.len() > 1) else {
        return Ok(None);
    };
    words::check_effects(recognised)?;
    let reads_clock = check_words(binding.t, insert, &words::OVER_ROWS)?;
    if binding.sketch.needs_home {
        return Err(words::refused("a function of one server"));
    }
    let mut target = None;
    for (source, bound) in binding.sketch.sources.iter().zip(&binding.sources) {
        match bound.place {
            Place::Sharded(_) if source.role == Role::Insert => target = Some(bound),
            Place::Reference(_) | Place::Derived => {}
            _ => return Err(words::refused(format_args!("a subquery over the table {}", bound.table))),
        }
    }
    let Some((target, keyspace)) = target.and_then(|bound| Some((bound, bound.keyspace.as_ref()?))) else {
        return Ok(None);
    };
    let rows = rows(binding.t, &insert.places);
    if is_cut_by_comment(binding.t, &rows) {
        return Err(words::refused("a version comment among the rows"));
    }
    let reads_clock = reads_clock || words::keeps_time(target.columns());
    Ok(Some(Scatter { reads_clock, rows, ..Scatter::new(keyspace.name.clone()) }))
}

/// An error where the values or what follows the rows has a word that is not known; else whether it asks for the time.
pub(super) fn check_words(t: &Tokens<'_>, insert: &Insert, more: &[&str]) -> Result<bool, RouterError> {
    let mut reads_clock = false;
    for &run in insert.rows.iter().flatten().flatten() {
        words::check(t, run, more)?;
        reads_clock |= words::reads_clock(t, run);
    }
    let update = insert_update(t);
    words::check(t, update, &[more, &["VALUES"]].concat())?;
    Ok(reads_clock || words::reads_clock(t, update))
}

/// What follows ON DUPLICATE KEY UPDATE.
pub(super) fn insert_update(t: &Tokens<'_>) -> Run {
    let words = (0..t.len()).find(|&at| t.are(at, &["ON", "DUPLICATE", "KEY", "UPDATE"]));
    Run { first: words.map_or(t.len(), |at| at + 4), end: t.len() }
}

fn rows(t: &Tokens<'_>, places: &[Run]) -> Vec<Row> {
    let is_param = |at: &usize| matches!(t.class(*at), Class::Param(_));
    let mut seen = 0;
    let mut passed = 0;
    let mut rows = Vec::with_capacity(places.len());
    for &run in places {
        let first = passed + (seen..run.first).filter(is_param).count() as u32;
        passed = first + (run.first..run.end).filter(is_param).count() as u32;
        seen = run.end;
        rows.push(Row { span: span(t, run), params: (first, passed) });
    }
    rows
}

/// Whether a version comment may begin or end among the rows: leaving rows out would break it.
fn is_cut_by_comment(t: &Tokens<'_>, rows: &[Row]) -> bool {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return false };
    let TemplateSpan { start, end } = TemplateSpan { start: first.span.start, end: last.span.end };
    let between = t.slice(start as usize, end as usize);
    [b"/*".as_slice(), b"*/"].iter().any(|mark| memchr::memmem::find(between, mark).is_some())
}
