//! Where a thing that starts at a byte ends: strings, quoted names, words, numbers, variables and comments. Never copies, never
//! looks back.
//!
//! Each rule is MySQL's lexer's, tried on a server (`tests/` of this workspace repeats some of it). Read next: [`super::token`].

use podway_model::MySqlVersion;

use super::class::is_word;
use super::literal::LiteralKind;
use crate::charset::ClientCharset;

/// How a string's end is recognised.
#[derive(Clone, Copy)]
pub(crate) struct Quoting {
    pub charset: ClientCharset,
    /// Whether a backslash hides the byte after it.
    pub backslash: bool,
}

/// The end of the string or quoted name whose quote is at `at`; None if it never ends.
#[inline]
pub(crate) fn quoted(sql: &[u8], at: usize, quoting: Quoting) -> Option<usize> {
    if quoting.charset.has_low_trail_bytes() {
        return quoted_multibyte(sql, at, quoting);
    }
    let quote = sql[at];
    let escape = if quoting.backslash { b'\\' } else { quote };
    let mut i = at + 1;
    loop {
        i += memchr::memchr2(quote, escape, sql.get(i..)?)?;
        if sql[i] == quote && sql.get(i + 1) != Some(&quote) {
            return Some(i + 1);
        }
        i += 2;
    }
}

/// The same where a byte of a longer character may look like a quote or a backslash.
fn quoted_multibyte(sql: &[u8], at: usize, quoting: Quoting) -> Option<usize> {
    let quote = sql[at];
    let mut i = at + 1;
    loop {
        let byte = *sql.get(i)?;
        if byte == quote {
            if sql.get(i + 1) != Some(&quote) {
                return Some(i + 1);
            }
            i += 2;
        } else if byte == b'\\' && quoting.backslash {
            i += 2;
        } else {
            i += if byte >= 0x80 { quoting.charset.char_len(&sql[i..]) } else { 1 };
        }
    }
}

/// The end of the word (name or keyword, its first byte included) at `at`.
#[inline]
pub(crate) fn word(sql: &[u8], at: usize, charset: ClientCharset) -> usize {
    let mut i = at;
    while let Some(&byte) = sql.get(i) {
        if !is_word(byte) {
            break;
        }
        i += if byte >= 0x80 { charset.char_len(&sql[i..]) } else { 1 };
    }
    i
}

/// The end of the tag (`$$`, `$tag$`) whose first `$` is at `at`, if it is one: servers from 9.0 on read it as the start of a text, the
/// body of a routine in another language.
pub(crate) fn dollar_tag(sql: &[u8], at: usize) -> Option<usize> {
    let len = sql[at + 1..].iter().position(|&byte| !is_word(byte) || byte == b'$')?;
    let end = at + 1 + len;
    (sql[end] == b'$').then_some(end + 1)
}

/// The end of the text that the tag from `at` to `tag_end` starts, closing tag included.
pub(crate) fn dollar_quoted(sql: &[u8], at: usize, tag_end: usize) -> Option<usize> {
    let tag = &sql[at..tag_end];
    memchr::memmem::find(&sql[tag_end..], tag).map(|len| tag_end + len + tag.len())
}

/// What starts with a digit.
pub(crate) enum Numeric {
    /// A literal, up to here.
    Literal(LiteralKind, usize),
    /// A name that starts with a digit, up to here.
    Word(usize),
    /// `1.e` and the like, which MySQL refuses.
    Broken,
}

/// What the digit at `at` starts.
#[inline]
pub(crate) fn numeric(sql: &[u8], at: usize, charset: ClientCharset) -> Numeric {
    if sql[at] == b'0'
        && let Some(literal) = prefixed(sql, at)
    {
        return literal;
    }
    let end = digits(sql, at);
    match sql.get(end) {
        Some(b'.') => real(sql, end + 1),
        Some(b'e' | b'E') => match exponent(sql, end + 1) {
            Some(end) => Numeric::Literal(LiteralKind::Float, end),
            None => Numeric::Word(word(sql, end, charset)),
        },
        Some(&byte) if is_word(byte) => Numeric::Word(word(sql, end, charset)),
        _ => Numeric::Literal(LiteralKind::Integer, end),
    }
}

/// What follows the point of a number; `at` is behind the point.
pub(crate) fn real(sql: &[u8], at: usize) -> Numeric {
    let end = digits(sql, at);
    match sql.get(end) {
        Some(b'e' | b'E') => match exponent(sql, end + 1) {
            Some(end) => Numeric::Literal(LiteralKind::Float, end),
            None => Numeric::Broken,
        },
        _ => Numeric::Literal(LiteralKind::Decimal, end),
    }
}

/// `0x41` and `0b01`: only with a small letter, and only if no other name character follows.
fn prefixed(sql: &[u8], at: usize) -> Option<Numeric> {
    let (kind, is_digit): (_, fn(&u8) -> bool) = match sql.get(at + 1)? {
        b'x' => (LiteralKind::Hex, u8::is_ascii_hexdigit),
        b'b' => (LiteralKind::Bit, |byte| matches!(byte, b'0' | b'1')),
        _ => return None,
    };
    let start = at + 2;
    let end = start + sql[start..].iter().take_while(|byte| is_digit(byte)).count();
    let ends_here = sql.get(end).is_none_or(|&byte| !is_word(byte));
    (end > start && ends_here).then_some(Numeric::Literal(kind, end))
}

/// The end of an exponent whose `e` is before `at`.
fn exponent(sql: &[u8], at: usize) -> Option<usize> {
    let start = if matches!(sql.get(at), Some(b'+' | b'-')) { at + 1 } else { at };
    let end = digits(sql, start);
    (end > start).then_some(end)
}

#[inline]
fn digits(sql: &[u8], at: usize) -> usize {
    let mut i = at;
    while sql.get(i).is_some_and(u8::is_ascii_digit) {
        i += 1;
    }
    i
}

/// `x'41'` and `b'01'`, whose letter is at `at`; None where MySQL refuses them.
pub(crate) fn quoted_digits(sql: &[u8], at: usize) -> Option<(LiteralKind, usize)> {
    let hex = sql[at].eq_ignore_ascii_case(&b'x');
    let start = at + 2;
    let is_digit = |byte: &&u8| if hex { byte.is_ascii_hexdigit() } else { matches!(byte, b'0' | b'1') };
    let count = sql.get(start..)?.iter().take_while(is_digit).count();
    let closed = sql.get(start + count) == Some(&b'\'');
    let kind = if hex { LiteralKind::Hex } else { LiteralKind::Bit };
    (closed && !(hex && count % 2 == 1)).then_some((kind, start + count + 1))
}

/// The end of what the `@` at `at` starts: `@x`, `@'x'`, `@@x`; None if a quote never ends.
pub(crate) fn variable(sql: &[u8], at: usize, quoting: Quoting) -> Option<usize> {
    match sql.get(at + 1) {
        Some(b'@') if sql.get(at + 2) == Some(&b'`') => Some(at + 2),
        Some(b'@') => Some(word(sql, at + 2, quoting.charset)),
        Some(b'`') => quoted(sql, at + 1, Quoting { backslash: false, ..quoting }),
        Some(b'\'' | b'"') => quoted(sql, at + 1, quoting),
        _ => {
            let mut i = at + 1;
            while let Some(&byte) = sql.get(i) {
                if !(is_word(byte) || byte == b'.') {
                    break;
                }
                i += if byte >= 0x80 { quoting.charset.char_len(&sql[i..]) } else { 1 };
            }
            Some(i)
        }
    }
}

/// The end of a comment up to its line's end, which is not part of it (nor is a NUL, where MySQL stops, too).
pub(crate) fn line_comment(sql: &[u8], at: usize) -> usize {
    memchr::memchr2(b'\n', 0, &sql[at..]).map_or(sql.len(), |len| at + len)
}

/// Whether the `-` at `at` starts a comment: two of them, then a blank, a control byte or the end.
#[inline]
pub(crate) fn is_dash_comment(sql: &[u8], at: usize) -> bool {
    sql.get(at + 1) == Some(&b'-')
        && sql.get(at + 2).is_none_or(|byte| *byte == b' ' || byte.is_ascii_control())
}

/// What a `/*` starts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// A comment, up to here.
    Comment(usize),
    /// `/*+ … */`, up to here: an optimizer hint where it follows a verb, else a comment.
    Hint(usize),
    /// `/*!` or `/*!80030`, up to here: the text behind it is part of the statement, up to a `*/`.
    Text(usize),
    /// A comment that never ends.
    Unclosed,
    /// `/*!800301x`: servers differ in how many digits they read.
    Ambiguous(usize),
}

/// What the `/*` at `at` starts for servers of this version.
pub(crate) fn block(sql: &[u8], at: usize, version: MySqlVersion) -> Block {
    let start = at + 2;
    match sql.get(start) {
        Some(b'!') => match version_digits(sql, start + 1) {
            (0, _) => Block::Text(start + 1),
            (digits, ambiguous) => {
                let end = start + 1 + digits;
                if number(&sql[start + 1..end]) > version.0 {
                    nested_comment(sql, end).map_or(Block::Unclosed, Block::Comment)
                } else if ambiguous {
                    Block::Ambiguous(end)
                } else {
                    Block::Text(end)
                }
            }
        },
        Some(b'+') => comment_end(sql, start + 1).map_or(Block::Unclosed, Block::Hint),
        _ => comment_end(sql, start).map_or(Block::Unclosed, Block::Comment),
    }
}

/// How many digits of a version stand at `at` (5, or 6 before a blank, else none), and whether servers disagree about it.
fn version_digits(sql: &[u8], at: usize) -> (usize, bool) {
    let count = digits(sql, at) - at;
    let blank_after_six = sql.get(at + 6).is_some_and(|byte| byte.is_ascii_whitespace());
    match count {
        0..=4 => (0, false),
        5 => (5, false),
        6 if blank_after_six => (6, false),
        _ => (5, true),
    }
}

/// The length of a version comment's opening at `at` (`/*!`, `/*!80030`) in text whose version comments all count.
pub(crate) fn version_opening(template: &[u8], at: usize) -> usize {
    3 + version_digits(template, at + 3).0
}

fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
}

/// The end of a comment whose inside starts at `at`.
pub(crate) fn comment_end(sql: &[u8], at: usize) -> Option<usize> {
    memchr::memmem::find(sql.get(at..)?, b"*/").map(|len| at + len + 2)
}

/// The end of a version comment that does not count: it may hold one level of comments.
fn nested_comment(sql: &[u8], at: usize) -> Option<usize> {
    let mut i = at;
    loop {
        i += memchr::memchr2(b'*', b'/', sql.get(i..)?)?;
        match &sql[i..] {
            [b'*', b'/', ..] => return Some(i + 2),
            [b'/', b'*', ..] => i = comment_end(sql, i + 2)?,
            _ => i += 1,
        }
    }
}
