//! SELECT … INTO user variables over several shards: where INTO stands. The query is planned and run as a statement without it, and its row is the session's to keep.

use podway_model::Name;

use super::parts::span;
use crate::plan::bind::{Binding, unreadable};
use crate::plan::sketch::parts::Run;
use crate::plan::tokens::{Class, Tokens};
use crate::{ClientCharset, Effects, Normalised, Recognised, RouterError, TemplateSpan};

/// What INTO makes of a statement, besides reading.
pub(super) const OF_INTO: Effects =
    Effects::SELECTS_INTO.union(Effects::ASSIGNS_USER_VARIABLES).union(Effects::PINS);

/// `INTO @a, @b`.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectInto {
    /// The variables, in order; one may be there twice.
    pub variables: Vec<Name>,
    /// From the word to the last variable.
    span: TemplateSpan,
}

impl SelectInto {
    /// The statement without it.
    pub fn query_text(&self, (sql, n): (&[u8], &Normalised)) -> Vec<u8> {
        let whole = n.original_range(self.span.range());
        let before = sql.get(..whole.start).unwrap_or_default();
        [before, b" ", sql.get(whole.end..).unwrap_or_default()].concat()
    }

    /// It, as the client wrote it.
    pub fn text<'s>(&self, (sql, n): (&'s [u8], &Normalised)) -> &'s [u8] {
        sql.get(n.original_range(self.span.range())).unwrap_or_default()
    }

    /// About how many bytes it holds.
    pub(super) fn memory(&self) -> usize {
        self.variables.capacity() * 2 * size_of::<Name>()
    }
}

/// The INTO of a statement that assigns variables by it alone; `None` where there is none, or where it is none of these.
pub(super) fn into(
    binding: &Binding<'_>,
    recognised: &Recognised,
) -> Result<Option<SelectInto>, RouterError> {
    let t = binding.t;
    let assigns_otherwise = (0..t.len()).any(|at| t.is(at, ":="));
    if !recognised.effects.contains(Effects::SELECTS_INTO) || assigns_otherwise {
        return Ok(None);
    }
    let mut words = (0..t.len()).filter(|&at| t.is(at, "INTO"));
    let (Some(first), None) = (words.next(), words.next()) else { return Ok(None) };
    let Some(end) = end_of_variables(t, first + 1) else { return Ok(None) };
    let named = (first + 1..end).step_by(2).map(|at| t.variable(at).map(|name| Name::caseless(&name)));
    let variables: Vec<Name> = named.collect::<Option<_>>().ok_or_else(unreadable)?;
    let is_ascii = variables.iter().all(|name| name.as_str().is_ascii());
    if !is_ascii && binding.ctx.charset != ClientCharset::Utf8 {
        return Err(RouterError::unsupported(
            "user variables with names outside ASCII in this character set, in SELECT … INTO over several shards",
        ));
    }
    Ok(Some(SelectInto { variables, span: span(t, Run { first, end }) }))
}

/// Behind `@a, @b`.
fn end_of_variables(t: &Tokens<'_>, at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        if t.class(at) != Class::UserVariable {
            return None;
        }
        at += 1;
        if !t.is(at, ",") {
            return Some(at);
        }
        at += 1;
    }
}
