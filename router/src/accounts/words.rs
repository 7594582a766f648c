//! The tokens of one statement with their places in the client's own bytes. Read next: [`super::said`].

use std::borrow::Cow;
use std::ops::Range;

use crate::lex::{LiteralKind, Token, TokenKind, literal_text};
use crate::{Normalised, RouterError};

/// One token.
struct Word {
    token: Token,
    /// The text of an unquoted word in capitals, or of a symbol.
    text: String,
    /// Where it stands in the original.
    range: Range<usize>,
}

/// The tokens of a statement, without a semicolon at its end.
pub(super) struct Words<'a> {
    sql: &'a [u8],
    n: &'a Normalised,
    words: Vec<Word>,
}

impl<'a> Words<'a> {
    /// Reads all of them.
    pub(super) fn of(sql: &'a [u8], n: &'a Normalised) -> Words<'a> {
        let word = |token: Token| {
            let is_text = matches!(token.kind, TokenKind::Word | TokenKind::Symbol(_));
            let bytes = token.text(n.template());
            let text =
                if is_text { String::from_utf8_lossy(bytes).to_ascii_uppercase() } else { String::new() };
            Word { token, text, range: n.original_range(token.range()) }
        };
        let mut words: Vec<Word> = n.tokens().map(word).collect();
        while words.last().is_some_and(|word| word.text == ";") {
            words.pop();
        }
        Words { sql, n, words }
    }

    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// The client's bytes.
    pub(super) fn sql(&self) -> &'a [u8] {
        self.sql
    }

    /// An unquoted word in capitals, or a symbol; empty for everything else.
    pub(super) fn text(&self, at: usize) -> &str {
        self.words.get(at).map_or("", |word| &word.text)
    }

    pub(super) fn is(&self, at: usize, text: &str) -> bool {
        self.text(at) == text
    }

    pub(super) fn are(&self, at: usize, texts: &[&str]) -> bool {
        texts.iter().enumerate().all(|(ahead, text)| self.is(at + ahead, text))
    }

    pub(super) fn is_end(&self, at: usize) -> bool {
        at >= self.words.len()
    }

    /// Whether it is an unquoted word or a quoted name.
    pub(super) fn is_name(&self, at: usize) -> bool {
        self.words
            .get(at)
            .is_some_and(|word| matches!(word.token.kind, TokenKind::Word | TokenKind::QuotedName))
    }

    /// Whether it is a string.
    pub(super) fn is_string(&self, at: usize) -> bool {
        self.literal(at).is_some_and(|kind| kind.is_text())
    }

    /// Whether it is a value in quotes or in hexadecimal digits: where a secret can stand.
    pub(super) fn is_secret(&self, at: usize) -> bool {
        self.literal(at).is_some_and(|kind| kind.is_text() || kind == LiteralKind::Hex)
    }

    /// Whether it is `@name`.
    pub(super) fn is_host(&self, at: usize) -> bool {
        self.words.get(at).is_some_and(|word| word.token.kind == TokenKind::UserVariable)
    }

    fn literal(&self, at: usize) -> Option<LiteralKind> {
        let TokenKind::Literal(number) = self.words.get(at)?.token.kind else { return None };
        let literal = self.n.literals().get(number as usize)?;
        (literal.introducer().is_none() && !literal.continues()).then(|| literal.kind())
    }

    /// What a name, a string or `@name` says, if its bytes can be read with certainty.
    pub(super) fn value(&self, at: usize) -> Option<Cow<'_, str>> {
        let word = self.words.get(at)?;
        match word.token.kind {
            TokenKind::Word | TokenKind::QuotedName | TokenKind::UserVariable => self.n.name(&word.token),
            TokenKind::Literal(_) if self.is_string(at) => {
                literal_text(&self.sql[word.range.clone()], self.n.mode(), self.n.charset())
            }
            _ => None,
        }
    }

    /// Where the tokens from `first` to before `end` stand in the original.
    pub(super) fn range(&self, first: usize, end: usize) -> Range<usize> {
        let start = self.words.get(first).map_or(self.sql.len(), |word| word.range.start);
        let last = end.checked_sub(1).filter(|last| *last >= first).and_then(|last| self.words.get(last));
        start..last.map_or(start, |word| word.range.end)
    }

    /// What is said of a statement that cannot be read.
    pub(super) fn unread(&self) -> RouterError {
        let verb: Vec<&str> = (0..2).map(|at| self.text(at)).filter(|text| !text.is_empty()).collect();
        RouterError::unsupported(format_args!("this form of {} over several servers", verb.join(" ")))
    }
}
