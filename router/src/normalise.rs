//! A statement without its literals: the key of the plan cache, and the map from its offsets back to the client's bytes. Never
//! decodes a literal, never changes a byte outside literals and comments.
//!
//! It runs on each statement, so it is one pass over bytes into buffers that the session keeps. Read next:
//! [`crate::lex::Token`], what the front end makes of a template.

use std::borrow::Cow;
use std::ops::Range;

use podway_model::MySqlVersion;
use xxhash_rust::xxh3::xxh3_64;

use crate::charset::ClientCharset;
use crate::error::RouterError;
use crate::lex::class::{Class, class, is_word};
use crate::lex::scan::{self, Block, Numeric, Quoting};
use crate::lex::{Literal, LiteralKind, Token, Tokens, charset_names, name_text};
use crate::sql_mode::SqlMode;

/// What a comment begins with that names a shard or a key.
const HINT_WORD: &[u8] = b"podway:";

/// Offsets into statements are 32 bits wide; the protocol's own limit is 1 GiB.
const MAX_BYTES: usize = 1 << 30;

/// The first servers that read `$$…$$` as one text.
const DOLLAR_QUOTES: MySqlVersion = MySqlVersion(90000);

/// A statement taken apart: the template (every literal and every plain comment is one byte) and where they were.
#[derive(Clone, Debug)]
pub struct Normalised {
    template: Vec<u8>,
    literals: Vec<Literal>,
    comments: Vec<Comment>,
    /// Where optimizer hints begin and end in the template.
    hints: Vec<(u32, u32)>,
    hash: u64,
    mode: SqlMode,
    charset: ClientCharset,
    version: MySqlVersion,
    /// The comment that names a shard or a key: where its text is in the statement.
    hint: Option<(u32, u32)>,
    /// A version comment whose number servers read differently.
    ambiguous: bool,
}

#[derive(Clone, Copy, Debug)]
struct Comment {
    end: u32,
    at: u32,
}

impl Default for Normalised {
    fn default() -> Self {
        Self::new()
    }
}

impl Normalised {
    /// An empty one, for servers of the oldest version that is served.
    pub fn new() -> Self {
        Normalised {
            template: Vec::new(),
            literals: Vec::new(),
            comments: Vec::new(),
            hints: Vec::new(),
            hint: None,
            hash: 0,
            mode: SqlMode::empty(),
            charset: ClientCharset::default(),
            version: MySqlVersion::FLOOR,
            ambiguous: false,
        }
    }

    /// Sets the lowest version of the servers: it decides which version comments are text. To be set before
    /// [`run`](Self::run) whenever the map has changed.
    pub fn set_version(&mut self, version: MySqlVersion) {
        self.version = version;
    }

    /// Takes a statement apart; whatever was here before is gone.
    pub fn run(&mut self, sql: &[u8], mode: SqlMode, charset: ClientCharset) -> Result<(), RouterError> {
        self.template.clear();
        self.literals.clear();
        self.comments.clear();
        self.hints.clear();
        self.hint = None;
        self.ambiguous = false;
        (self.mode, self.charset) = (mode, charset);
        if sql.len() > MAX_BYTES {
            return Err(RouterError::new(
                1153,
                b"08S01",
                "Got a packet bigger than 'max_allowed_packet' bytes",
            ));
        }
        let backslash = !mode.contains(SqlMode::NO_BACKSLASH_ESCAPES);
        let quoting = Quoting { charset, backslash };
        Pass { sql, out: self, quoting, copied: 0 }.run()?;
        self.hash = xxh3_64(&self.template);
        Ok(())
    }

    /// The statement with one byte for each literal ([`LiteralKind::placeholder`]) and each plain comment.
    pub fn template(&self) -> &[u8] {
        &self.template
    }

    /// What stands behind `podway:` in the first comment that begins so.
    pub fn hint<'s>(&self, sql: &'s [u8]) -> Option<&'s [u8]> {
        let (start, end) = self.hint?;
        sql.get(start as usize..end as usize)
    }

    /// Whether it has such a comment.
    pub fn has_hint(&self) -> bool {
        self.hint.is_some()
    }

    /// The literals, in order.
    pub fn literals(&self) -> &[Literal] {
        &self.literals
    }

    /// xxh3 of the template, which holds the kinds of the literals, too.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The sql_mode that the statement was read under.
    pub fn mode(&self) -> SqlMode {
        self.mode
    }

    /// The character set that the statement was read under.
    pub fn charset(&self) -> ClientCharset {
        self.charset
    }

    /// The version of the servers that the statement was read for.
    pub fn version(&self) -> MySqlVersion {
        self.version
    }

    /// Whether servers may disagree about what is a comment in this statement.
    pub fn is_ambiguous(&self) -> bool {
        self.ambiguous
    }

    /// The tokens of the template.
    pub fn tokens(&self) -> Tokens<'_> {
        let dollar_quotes = self.version >= DOLLAR_QUOTES;
        Tokens::new(&self.template, self.mode, self.charset, dollar_quotes)
    }

    /// The text of a token that is a name; see [`lex::name_text`](crate::lex::name_text).
    pub fn name(&self, token: &Token) -> Option<Cow<'_, str>> {
        name_text(token, &self.template, self.mode, self.charset)
    }

    /// The ordinal of the parameter that literal `index` is, if it is one.
    pub fn param_ordinal(&self, index: usize) -> Option<usize> {
        let is_param = |literal: &Literal| literal.kind() == LiteralKind::Param;
        is_param(self.literals.get(index)?)
            .then(|| self.literals[..index].iter().filter(|l| is_param(l)).count())
    }

    /// How many parameters the statement has.
    pub fn param_count(&self) -> usize {
        self.literals.iter().filter(|literal| literal.kind() == LiteralKind::Param).count()
    }

    /// Where a range of the template stands in the original.
    pub fn original_range(&self, template: Range<usize>) -> Range<usize> {
        self.original_offset(template.start)..self.original_offset(template.end)
    }

    /// Where a byte of the template stands in the original; a placeholder stands where its literal starts.
    pub fn original_offset(&self, at: usize) -> usize {
        let literal = self.literals.partition_point(|literal| literal.template_at() < at).checked_sub(1);
        let comment = self.comments.partition_point(|comment| (comment.at as usize) < at).checked_sub(1);
        let literal = literal.map(|i| (self.literals[i].template_at(), self.literals[i].range().end));
        let comment = comment.map(|i| (self.comments[i].at as usize, self.comments[i].end as usize));
        match literal.max(comment) {
            Some((cut_at, cut_end)) => cut_end + (at - cut_at - 1),
            None => at,
        }
    }
}

/// One pass over a statement. What lies before `copied` is in the template.
struct Pass<'a> {
    sql: &'a [u8],
    out: &'a mut Normalised,
    quoting: Quoting,
    copied: usize,
}

impl Pass<'_> {
    fn run(mut self) -> Result<(), RouterError> {
        let sql = self.sql;
        let mut i = 0;
        while let Some(&byte) = sql.get(i) {
            i = match class(byte) {
                Class::Plain | Class::Blank => i + 1,
                Class::Word => self.word(i)?,
                Class::Digit => self.number(i, scan::numeric(sql, i, self.quoting.charset))?,
                Class::Quote => self.string(i, i, LiteralKind::String)?,
                Class::DoubleQuote if self.out.mode.contains(SqlMode::ANSI_QUOTES) => self.name(i)?,
                Class::DoubleQuote => self.string(i, i, LiteralKind::String)?,
                Class::Backtick => self.name(i)?,
                Class::Minus if scan::is_dash_comment(sql, i) => self.comment(i, scan::line_comment(sql, i)),
                Class::Minus => i + 1,
                Class::Hash => self.comment(i, scan::line_comment(sql, i)),
                Class::Slash if sql.get(i + 1) == Some(&b'*') => self.block(i)?,
                Class::Slash => i + 1,
                Class::Dot if sql.get(i + 1).is_some_and(u8::is_ascii_digit) => {
                    self.number(i, scan::real(sql, i + 1))?
                }
                Class::Dot => self.after_dot(i + 1),
                Class::At => self.variable(i)?,
                Class::Question if sql.get(i + 1).is_none_or(|&next| !is_word(next)) => {
                    self.literal(LiteralKind::Param, i, i + 1)
                }
                Class::Question => i + 1,
                Class::Refused => return Err(self.syntax(i)),
            };
        }
        self.out.template.extend_from_slice(&sql[self.copied..]);
        Ok(())
    }

    /// A word, and what hangs on it: `N'…'`, `x'…'`, `t.1a`.
    #[inline]
    fn word(&mut self, at: usize) -> Result<usize, RouterError> {
        if self.sql[at] == b'$'
            && self.out.version >= DOLLAR_QUOTES
            && let Some(tag_end) = scan::dollar_tag(self.sql, at)
        {
            return scan::dollar_quoted(self.sql, at, tag_end).ok_or_else(|| self.syntax(at));
        }
        let end = scan::word(self.sql, at, self.quoting.charset);
        match self.sql.get(end) {
            Some(b'.') => Ok(self.after_word_dot(end)),
            Some(b'\'') if end == at + 1 => match self.sql[at] {
                b'n' | b'N' => self.string(at, end, LiteralKind::National),
                b'x' | b'X' | b'b' | b'B' => {
                    let (kind, end) = scan::quoted_digits(self.sql, at).ok_or_else(|| self.syntax(at))?;
                    Ok(self.literal(kind, at, end))
                }
                _ => Ok(end),
            },
            _ => Ok(end),
        }
    }

    /// Directly behind a word's point a name goes on, even with a digit: `t.1a`. `at` is the point's.
    fn after_word_dot(&self, at: usize) -> usize {
        let end = scan::word(self.sql, at + 1, self.quoting.charset);
        match self.sql.get(end) {
            Some(b'.') if end > at + 1 => self.after_word_dot(end),
            _ => end,
        }
    }

    /// Behind a point that no word precedes directly: a word that follows at once is a name, never `N'…'`.
    fn after_dot(&self, at: usize) -> usize {
        match self.sql.get(at) {
            Some(&byte) if class(byte) == Class::Word => self.after_word_dot(at - 1),
            _ => at,
        }
    }

    #[inline]
    fn number(&mut self, at: usize, numeric: Numeric) -> Result<usize, RouterError> {
        match numeric {
            Numeric::Literal(kind, end) => Ok(self.literal(kind, at, end)),
            Numeric::Word(end) if self.sql.get(end) == Some(&b'.') => Ok(self.after_word_dot(end)),
            Numeric::Word(end) => Ok(end),
            Numeric::Broken => Err(self.syntax(at)),
        }
    }

    /// A string whose quote is at `quote`; its prefix, if any, starts at `at`.
    fn string(&mut self, at: usize, quote: usize, kind: LiteralKind) -> Result<usize, RouterError> {
        let end = scan::quoted(self.sql, quote, self.quoting).ok_or_else(|| self.syntax(at))?;
        Ok(self.literal(kind, at, end))
    }

    fn name(&mut self, at: usize) -> Result<usize, RouterError> {
        let quoting = Quoting { backslash: false, ..self.quoting };
        scan::quoted(self.sql, at, quoting).ok_or_else(|| self.syntax(at))
    }

    fn variable(&mut self, at: usize) -> Result<usize, RouterError> {
        let end = scan::variable(self.sql, at, self.quoting).ok_or_else(|| self.syntax(at))?;
        let is_system = self.sql.get(at + 1) == Some(&b'@');
        Ok(if is_system && self.sql.get(end) == Some(&b'.') { self.after_word_dot(end) } else { end })
    }

    fn block(&mut self, at: usize) -> Result<usize, RouterError> {
        match scan::block(self.sql, at, self.out.version) {
            Block::Comment(end) => Ok(self.comment(at, end)),
            Block::Hint(end) => {
                let start = self.out.template.len() + at - self.copied;
                self.out.hints.push((start as u32, (start + end - at) as u32));
                Ok(end)
            }
            Block::Text(end) => Ok(end),
            Block::Ambiguous(end) => {
                self.out.ambiguous = true;
                Ok(end)
            }
            Block::Unclosed => Err(self.syntax(at)),
        }
    }

    #[inline]
    fn cut(&mut self, at: usize, end: usize, placeholder: u8) -> usize {
        let sql = self.sql;
        self.out.template.extend_from_slice(&sql[self.copied..at]);
        let cut_at = self.out.template.len();
        self.out.template.push(placeholder);
        self.copied = end;
        cut_at
    }

    fn comment(&mut self, at: usize, end: usize) -> usize {
        let hint = podway_comment(&self.sql[at..end]);
        let placeholder = if hint.is_some() { LiteralKind::HINT } else { LiteralKind::COMMENT };
        if let Some(text) = hint.filter(|_| self.out.hint.is_none()) {
            self.out.hint = Some(((at + text.start) as u32, (at + text.end) as u32));
        }
        let cut_at = self.cut(at, end, placeholder);
        self.out.comments.push(Comment { end: end as u32, at: cut_at as u32 });
        end
    }

    #[inline]
    fn literal(&mut self, kind: LiteralKind, at: usize, end: usize) -> usize {
        let cut_at = self.cut(at, end, kind.placeholder());
        let mut literal = Literal::new(kind, at..end, cut_at);
        if matches!(kind, LiteralKind::String | LiteralKind::Hex | LiteralKind::Bit) {
            literal = match before_literal(&self.out.template[..cut_at], &self.out.hints) {
                Before::Text if kind == LiteralKind::String => literal.continuing(true),
                Before::Introducer(charset) => literal.with_introducer(charset),
                _ => literal,
            };
        }
        self.out.literals.push(literal);
        end
    }

    #[cold]
    fn syntax(&self, at: usize) -> RouterError {
        RouterError::syntax(self.sql, at)
    }
}

/// Where the text of `/*podway: … */` is in it, if the comment is one.
fn podway_comment(comment: &[u8]) -> Option<Range<usize>> {
    let inner = comment.strip_prefix(b"/*")?.strip_suffix(b"*/")?;
    let blanks = inner.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let word = inner.get(blanks..blanks + HINT_WORD.len())?;
    let start = 2 + blanks + HINT_WORD.len();
    word.eq_ignore_ascii_case(HINT_WORD).then_some(start..2 + inner.len())
}

/// What stands before a literal, as far as it belongs to it.
enum Before {
    /// A string.
    Text,
    /// `_utf8mb4`
    Introducer(u8),
    Other,
}

/// Looks back from the end of a template's part, over blanks, comments and the marks of version comments.
#[inline]
fn before_literal(template: &[u8], hints: &[(u32, u32)]) -> Before {
    match template.last() {
        Some(b'(' | b',' | b'=') | None => Before::Other,
        Some(_) => look_back(template, hints),
    }
}

fn look_back(template: &[u8], hints: &[(u32, u32)]) -> Before {
    let mut rest = template;
    loop {
        let Some(&last) = rest.last() else { return Before::Other };
        let shorter = &rest[..rest.len() - 1];
        if class(last) == Class::Blank || matches!(last, LiteralKind::COMMENT | LiteralKind::HINT) {
            rest = shorter;
        } else if LiteralKind::from_placeholder(last).is_some_and(LiteralKind::is_text) {
            return Before::Text;
        } else if last == b'/' && shorter.ends_with(b"*") {
            let hint = hints.binary_search_by_key(&rest.len(), |&(_, end)| end as usize);
            rest = &rest[..hint.map_or(rest.len() - 2, |hint| hints[hint].0 as usize)];
        } else if last == b'!' && shorter.ends_with(b"/*") {
            rest = &shorter[..shorter.len() - 2];
        } else if is_word(last) {
            let start = rest.iter().rposition(|&byte| !is_word(byte)).map_or(0, |at| at + 1);
            let (head, word) = rest.split_at(start);
            if head.ends_with(b"/*!") && word.iter().all(u8::is_ascii_digit) {
                rest = &head[..head.len() - 3];
                continue;
            }
            let is_plain = !matches!(head.last(), Some(b'.' | b'@'));
            let charset = word.strip_prefix(b"_").and_then(charset_names::number);
            return match charset {
                Some(charset) if is_plain => Before::Introducer(charset),
                _ => Before::Other,
            };
        } else {
            return Before::Other;
        }
    }
}

#[cfg(test)]
mod tests;
