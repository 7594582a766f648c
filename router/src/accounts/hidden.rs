//! Texts of statements without their secrets, for everything that is shown or kept.

use std::borrow::Cow;
use std::ops::Range;

use super::words::Words;
use crate::{ClientCharset, Normalised, SqlMode};

/// What stands where a secret was.
pub const SECRET: &str = "<secret>";

/// The text with these ranges taken out.
pub(super) fn shown(sql: &[u8], secrets: &[Range<usize>]) -> String {
    let mut secrets = secrets.to_vec();
    secrets.sort_by_key(|range| range.start);
    let (mut out, mut from) = (String::with_capacity(sql.len()), 0);
    for secret in secrets {
        out.push_str(&String::from_utf8_lossy(&sql[from..secret.start.max(from)]));
        out.push_str(SECRET);
        from = secret.end;
    }
    out.push_str(&String::from_utf8_lossy(&sql[from.min(sql.len())..]));
    out
}

/// A text as it may be shown: where it may hold a password, all its strings but the names of accounts are taken out. Where it cannot be read at all, nothing
/// of it is shown.
pub fn without_secrets(sql: &[u8], mode: SqlMode, charset: ClientCharset) -> Cow<'_, [u8]> {
    if !may_hold_a_secret(sql) {
        return Cow::Borrowed(sql);
    }
    let mut n = Normalised::new();
    if n.run(sql, mode, charset).is_err() {
        return Cow::Borrowed(SECRET.as_bytes());
    }
    let words = Words::of(sql, &n);
    let is_secret = |at: &usize| words.is_secret(*at) && !words.is_host(at + 1);
    let secrets: Vec<Range<usize>> =
        (0..words.len()).filter(is_secret).map(|at| words.range(at, at + 1)).collect();
    // What continues a string, or has an introducer, is no value that is read here: all of the text goes.
    let strings = n.literals().iter().filter(|literal| literal.kind().is_text());
    if strings.clone().any(|literal| literal.continues() || literal.introducer().is_some()) {
        return Cow::Borrowed(SECRET.as_bytes());
    }
    Cow::Owned(shown(sql, &secrets).into_bytes())
}

/// Whether a word that stands before passwords is in it. Cheap for what begins like no such statement: it is asked of every statement.
fn may_hold_a_secret(sql: &[u8]) -> bool {
    let first = sql.iter().find(|byte| !byte.is_ascii_whitespace()).map(u8::to_ascii_uppercase);
    // ALTER, CREATE, CHANGE, CLONE, GRANT, PREPARE, EXECUTE, SET, START; a comment or a parenthesis may stand before them.
    if !matches!(first, Some(b'A' | b'C' | b'G' | b'P' | b'E' | b'S' | b'/' | b'-' | b'#' | b'(' | b';')) {
        return false;
    }
    let is_select = sql.trim_ascii_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case(b"SELECT"));
    !is_select && [&b"IDENTIFIED"[..], b"PASSWORD"].iter().any(|word| contains(sql, word))
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}
