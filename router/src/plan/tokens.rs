//! The tokens of one statement as the planner asks for them: reserved words and symbols by their text, names decoded, parentheses
//! paired. Never reads a literal's value: a plan serves every statement of its template. Read next: [`super::sketch`].

use std::borrow::Cow;

use crate::lex::{Token, TokenKind};
use crate::{LiteralKind, Normalised, RouterError};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// An unquoted name or a word of the language.
    Word,
    /// A quoted name.
    Quoted,
    /// A literal, by its number.
    Literal(u32, LiteralKind),
    /// A parameter, by its number.
    Param(u32),
    /// `@name`.
    UserVariable,
    /// An operator or another sign.
    Symbol,
    /// Behind the last token.
    End,
}

/// One token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub class: Class,
    /// Where it is in the template.
    pub start: u32,
    pub end: u32,
    /// Its text in [`Tokens::upper`]; empty for what is not a word or a symbol.
    text: (u32, u32),
    /// The number of the parenthesis that belongs to this one; its own where it is none.
    mate: u32,
}

/// A statement's tokens.
pub(super) struct Tokens<'t> {
    n: &'t Normalised,
    upper: String,
    pieces: Vec<Piece>,
}

impl<'t> Tokens<'t> {
    /// The tokens of a statement, without a semicolon at its end. A literal's introducer and the strings that continue it are part
    /// of it.
    pub(super) fn read(n: &'t Normalised) -> Self {
        let mut tokens = Tokens { n, upper: String::with_capacity(n.template().len()), pieces: Vec::new() };
        let mut params = 0;
        for token in n.tokens() {
            let class = match token.kind {
                TokenKind::Hint => continue,
                TokenKind::Word => Class::Word,
                TokenKind::QuotedName => Class::Quoted,
                TokenKind::UserVariable => Class::UserVariable,
                TokenKind::Symbol(_) | TokenKind::Unknown => Class::Symbol,
                TokenKind::Literal(number) => match n.literals().get(number as usize) {
                    Some(literal) if literal.kind() == LiteralKind::Param => {
                        params += 1;
                        Class::Param(params - 1)
                    }
                    Some(literal) if literal.continues() => {
                        tokens.extend_last(token.end);
                        continue;
                    }
                    Some(literal) => {
                        let introduced = literal.introducer().is_some();
                        let start = if introduced { tokens.take_introducer() } else { None };
                        tokens.push(
                            Class::Literal(number, literal.kind()),
                            start.unwrap_or(token.start),
                            token.end,
                        );
                        continue;
                    }
                    None => Class::Symbol,
                },
            };
            tokens.push(class, token.start, token.end);
        }
        while tokens.len() > 0 && tokens.is(tokens.len() - 1, ";") {
            tokens.pieces.pop();
        }
        tokens
    }

    fn extend_last(&mut self, end: u32) {
        if let Some(piece) = self.pieces.last_mut() {
            piece.end = end;
        }
    }

    fn take_introducer(&mut self) -> Option<u32> {
        self.pieces.pop_if(|piece| piece.class == Class::Word).map(|piece| piece.start)
    }

    /// Adds a token. The word after a dot is a name, whatever it reads.
    fn push(&mut self, class: Class, start: u32, end: u32) {
        let from = self.upper.len() as u32;
        let named = class == Class::Word && self.len() > 0 && self.is(self.len() - 1, ".");
        if !named && matches!(class, Class::Word | Class::Symbol) {
            let bytes = &self.n.template()[start as usize..end as usize];
            if bytes.is_ascii() {
                self.upper.extend(bytes.iter().map(|byte| char::from(byte.to_ascii_uppercase())));
            }
        }
        let text = (from, self.upper.len() as u32);
        let mate = self.pieces.len() as u32;
        self.pieces.push(Piece { class, start, end, text, mate });
    }

    /// Pairs parentheses; an error where one is alone.
    pub(super) fn pair(&mut self, sql: &[u8]) -> Result<(), RouterError> {
        let mut open: Vec<usize> = Vec::new();
        for at in 0..self.len() {
            match self.text(at) {
                "(" => open.push(at),
                ")" => {
                    let Some(mate) = open.pop() else { return Err(RouterError::syntax(sql, sql.len())) };
                    self.pieces[mate].mate = at as u32;
                    self.pieces[at].mate = mate as u32;
                }
                _ => {}
            }
        }
        if open.is_empty() { Ok(()) } else { Err(RouterError::syntax(sql, sql.len())) }
    }

    /// Whether a comment of the statement names a shard or a key.
    pub(super) fn has_hint(&self) -> bool {
        self.n.has_hint()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// What the token is.
    pub(super) fn class(&self, at: usize) -> Class {
        self.pieces.get(at).map_or(Class::End, |piece| piece.class)
    }

    /// An unquoted word in capitals, or a symbol; empty for everything else.
    pub(super) fn text(&self, at: usize) -> &str {
        match self.pieces.get(at) {
            Some(piece) => &self.upper[piece.text.0 as usize..piece.text.1 as usize],
            None => "",
        }
    }

    /// Whether the token is this word or symbol.
    pub(super) fn is(&self, at: usize, text: &str) -> bool {
        self.text(at) == text
    }

    /// Whether the tokens from `at` on read so.
    pub(super) fn are(&self, at: usize, texts: &[&str]) -> bool {
        texts.iter().enumerate().all(|(offset, text)| self.is(at + offset, text))
    }

    /// The other parenthesis of a pair.
    pub(super) fn mate(&self, at: usize) -> usize {
        self.pieces.get(at).map_or(at, |piece| piece.mate as usize)
    }

    /// Where the token starts in the template.
    pub(super) fn start(&self, at: usize) -> usize {
        self.pieces.get(at).map_or(self.n.template().len(), |piece| piece.start as usize)
    }

    /// Where the token ends in the template.
    pub(super) fn end(&self, at: usize) -> usize {
        self.pieces.get(at).map_or(self.n.template().len(), |piece| piece.end as usize)
    }

    /// Whether it can be a name.
    pub(super) fn is_name(&self, at: usize) -> bool {
        matches!(self.class(at), Class::Word | Class::Quoted)
    }

    /// Whether the token before it is a dot.
    pub(super) fn after_dot(&self, at: usize) -> bool {
        at > 0 && self.is(at - 1, ".")
    }

    /// Bytes of the template.
    pub(super) fn slice(&self, start: usize, end: usize) -> &'t [u8] {
        self.n.template().get(start..end).unwrap_or_default()
    }

    /// Whether two tokens touch.
    pub(super) fn touch(&self, left: usize, right: usize) -> bool {
        self.end(left) == self.start(right)
    }

    /// The name of a user variable, if its bytes can be read in the client's character set.
    pub(super) fn variable(&self, at: usize) -> Option<Cow<'t, str>> {
        let (start, end) = (self.start(at) as u32, self.end(at) as u32);
        let is_variable = self.class(at) == Class::UserVariable;
        is_variable.then(|| self.n.name(&Token { kind: TokenKind::UserVariable, start, end })).flatten()
    }

    /// The name that the token spells, if its bytes can be read in the client's character set.
    pub(super) fn name(&self, at: usize) -> Option<Cow<'t, str>> {
        let kind = match self.class(at) {
            Class::Word => TokenKind::Word,
            Class::Quoted => TokenKind::QuotedName,
            _ => return None,
        };
        let (start, end) = (self.start(at) as u32, self.end(at) as u32);
        self.n.name(&Token { kind, start, end })
    }
}
