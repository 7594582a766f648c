//! The tokens of a normalised statement: borrowed, with template offsets. Never allocates per token, never knows grammar.
//!
//! Literals are already one byte each, plain comments are blanks, and every version comment that is left counts as text: so a token
//! is a word, a quoted name, a variable, a literal's number or a symbol. Read next: [`crate::Statement`], recognised from tokens.

use super::class::{Class, class};
use super::literal::LiteralKind;
use super::scan::{self, Quoting};
use crate::charset::ClientCharset;
use crate::sql_mode::SqlMode;

/// One token and where it stands in the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its first byte.
    pub start: u32,
    /// Behind its last byte.
    pub end: u32,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An unquoted name or a keyword.
    Word,
    /// A name in backticks, or in double quotes under ANSI_QUOTES.
    QuotedName,
    /// `@x`, `` @`x` ``, `@'x'`: the `@` included. Also the host part of an account's name.
    UserVariable,
    /// A literal, by its number in [`crate::Normalised::literals`].
    Literal(u32),
    /// An operator or a bracket.
    Symbol(Symbol),
    /// `/*+ … */`.
    Hint,
    /// A byte that starts nothing, or a dollar-quoted text.
    Unknown,
}

/// Operators and brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named as its sign is read")]
pub enum Symbol {
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    Comma,
    Semicolon,
    Dot,
    AtAt,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Caret,
    Tilde,
    Bang,
    Ampersand,
    AndAnd,
    Pipe,
    PipePipe,
    Equals,
    NullSafeEquals,
    NotEquals,
    Less,
    LessEquals,
    Greater,
    GreaterEquals,
    ShiftLeft,
    ShiftRight,
    Assign,
    Colon,
    Arrow,
    LongArrow,
}

impl Token {
    /// Its bytes.
    pub fn text<'a>(&self, template: &'a [u8]) -> &'a [u8] {
        &template[self.range()]
    }

    /// Where it stands in the template.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Whether it is this keyword (in any case); a quoted name never is.
    pub fn is_word(&self, template: &[u8], word: &str) -> bool {
        self.kind == TokenKind::Word && self.text(template).eq_ignore_ascii_case(word.as_bytes())
    }

    /// Whether it is this symbol.
    pub fn is(&self, symbol: Symbol) -> bool {
        self.kind == TokenKind::Symbol(symbol)
    }
}

/// The tokens of a template, in order.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    template: &'a [u8],
    at: usize,
    literals: u32,
    charset: ClientCharset,
    mode: SqlMode,
    dollar_quotes: bool,
    open_version_comment: bool,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(
        template: &'a [u8],
        mode: SqlMode,
        charset: ClientCharset,
        dollar_quotes: bool,
    ) -> Self {
        Tokens { template, at: 0, literals: 0, charset, mode, dollar_quotes, open_version_comment: false }
    }

    /// Whether the text up to here ends inside a version comment: MySQL refuses a statement that does.
    pub fn in_version_comment(&self) -> bool {
        self.open_version_comment
    }

    /// Skips blanks, comments and the marks of version comments.
    fn skip_blanks(&mut self) {
        while let Some(&byte) = self.template.get(self.at) {
            let next = self.template.get(self.at + 1);
            if class(byte) == Class::Blank || matches!(byte, LiteralKind::COMMENT | LiteralKind::HINT) {
                self.at += 1;
            } else if byte == b'/' && next == Some(&b'*') && self.template.get(self.at + 2) == Some(&b'!') {
                self.at += scan::version_opening(self.template, self.at);
                self.open_version_comment = true;
            } else if self.open_version_comment && byte == b'*' && next == Some(&b'/') {
                self.at += 2;
                self.open_version_comment = false;
            } else {
                return;
            }
        }
    }

    fn token_at(&mut self, at: usize) -> (TokenKind, usize) {
        let byte = self.template[at];
        if LiteralKind::from_placeholder(byte).is_some() {
            self.literals += 1;
            return (TokenKind::Literal(self.literals - 1), at + 1);
        }
        let quoting = Quoting { charset: self.charset, backslash: false };
        let name = |at: usize| scan::quoted(self.template, at, quoting).unwrap_or(self.template.len());
        // Directly behind a point a name follows, whatever it looks like.
        let is_behind_point = at.checked_sub(1).is_some_and(|before| self.template[before] == b'.');
        if byte == b'$'
            && !is_behind_point
            && self.dollar_quotes
            && let Some(tag_end) = scan::dollar_tag(self.template, at)
        {
            let end = scan::dollar_quoted(self.template, at, tag_end).unwrap_or(self.template.len());
            return (TokenKind::Unknown, end);
        }
        match class(byte) {
            Class::Word | Class::Digit => (TokenKind::Word, scan::word(self.template, at, self.charset)),
            Class::Backtick | Class::DoubleQuote => (TokenKind::QuotedName, name(at)),
            Class::At => self.variable(at),
            Class::Slash if self.template[at..].starts_with(b"/*+") => {
                (TokenKind::Hint, scan::comment_end(self.template, at + 3).unwrap_or(self.template.len()))
            }
            _ => match symbol(&self.template[at..]) {
                Some((symbol, len)) => (TokenKind::Symbol(symbol), at + len),
                None => (TokenKind::Unknown, at + 1),
            },
        }
    }

    fn variable(&self, at: usize) -> (TokenKind, usize) {
        if self.template.get(at + 1) == Some(&b'@') {
            return (TokenKind::Symbol(Symbol::AtAt), at + 2);
        }
        let backslash = !self.mode.contains(SqlMode::NO_BACKSLASH_ESCAPES);
        let quoting = Quoting { charset: self.charset, backslash };
        let end = scan::variable(self.template, at, quoting).unwrap_or(self.template.len());
        (TokenKind::UserVariable, end)
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.skip_blanks();
        let start = self.at;
        if start >= self.template.len() {
            return None;
        }
        let (kind, end) = self.token_at(start);
        self.at = end;
        Some(Token { kind, start: start as u32, end: end as u32 })
    }
}

/// The symbol at the start of `rest`, the longest that MySQL takes.
fn symbol(rest: &[u8]) -> Option<(Symbol, usize)> {
    let three = match rest {
        [b'<', b'=', b'>', ..] => Some(Symbol::NullSafeEquals),
        [b'-', b'>', b'>', ..] => Some(Symbol::LongArrow),
        _ => None,
    };
    if let Some(symbol) = three {
        return Some((symbol, 3));
    }
    two(rest).map(|symbol| (symbol, 2)).or_else(|| one(*rest.first()?).map(|symbol| (symbol, 1)))
}

fn two(rest: &[u8]) -> Option<Symbol> {
    Some(match rest {
        [b'<', b'=', ..] => Symbol::LessEquals,
        [b'<', b'>', ..] | [b'!', b'=', ..] => Symbol::NotEquals,
        [b'<', b'<', ..] => Symbol::ShiftLeft,
        [b'>', b'=', ..] => Symbol::GreaterEquals,
        [b'>', b'>', ..] => Symbol::ShiftRight,
        [b'|', b'|', ..] => Symbol::PipePipe,
        [b'&', b'&', ..] => Symbol::AndAnd,
        [b':', b'=', ..] => Symbol::Assign,
        [b'-', b'>', ..] => Symbol::Arrow,
        _ => return None,
    })
}

fn one(byte: u8) -> Option<Symbol> {
    Some(match byte {
        b'(' => Symbol::LeftParen,
        b')' => Symbol::RightParen,
        b'{' => Symbol::LeftBrace,
        b'}' => Symbol::RightBrace,
        b',' => Symbol::Comma,
        b';' => Symbol::Semicolon,
        b'.' => Symbol::Dot,
        b'+' => Symbol::Plus,
        b'-' => Symbol::Minus,
        b'*' => Symbol::Star,
        b'/' => Symbol::Slash,
        b'%' => Symbol::Percent,
        b'^' => Symbol::Caret,
        b'~' => Symbol::Tilde,
        b'!' => Symbol::Bang,
        b'&' => Symbol::Ampersand,
        b'|' => Symbol::Pipe,
        b'=' => Symbol::Equals,
        b'<' => Symbol::Less,
        b'>' => Symbol::Greater,
        b':' => Symbol::Colon,
        _ => return None,
    })
}
