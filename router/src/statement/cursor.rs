//! Walking the tokens of a statement. Never knows a statement's grammar.
//!
//! Read next: [`super::verb`].

use podway_model::Name;

use super::assignment::{Scalar, Scope};
use super::span::TemplateSpan;
use crate::lex::{Symbol, Token, TokenKind};
use crate::normalise::Normalised;

/// A place among a statement's tokens.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    n: &'a Normalised,
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the first token.
    pub fn new(n: &'a Normalised, tokens: &'a [Token]) -> Self {
        Cursor { n, tokens, at: 0 }
    }

    /// How many tokens are behind it.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Goes to a token.
    pub fn seek(&mut self, position: usize) {
        self.at = position;
    }

    /// The token `ahead` of here.
    pub fn peek(&self, ahead: usize) -> Option<Token> {
        self.tokens.get(self.at + ahead).copied()
    }

    /// The next token, which is then behind.
    pub fn next(&mut self) -> Option<Token> {
        let token = self.peek(0)?;
        self.at += 1;
        Some(token)
    }

    /// Whether the statement ends here: at its end, or at a semicolon behind which nothing comes.
    pub fn at_end(&self) -> bool {
        match self.peek(0) {
            None => true,
            Some(token) => token.is(Symbol::Semicolon) && self.peek(1).is_none(),
        }
    }

    /// Where the next token starts, in the template.
    pub fn offset(&self) -> u32 {
        self.peek(0).map_or(self.n.template().len() as u32, |token| token.start)
    }

    /// Whether the token `ahead` is this keyword.
    pub fn is_word(&self, ahead: usize, word: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.is_word(self.n.template(), word))
    }

    /// Whether the next token is one of these keywords.
    pub fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_word(0, word))
    }

    /// Takes this keyword, if it is next.
    pub fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(0, word);
        self.at += usize::from(found);
        found
    }

    /// Takes the first of these keywords that is next.
    pub fn any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.word(word))
    }

    /// Takes these keywords, if all are next in this order.
    pub fn words(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(ahead, word)| self.is_word(ahead, word));
        self.at += if found { words.len() } else { 0 };
        found
    }

    /// Whether the token `ahead` is this symbol.
    pub fn is_symbol(&self, ahead: usize, symbol: Symbol) -> bool {
        self.peek(ahead).is_some_and(|token| token.is(symbol))
    }

    /// Takes this symbol, if it is next.
    pub fn symbol(&mut self, symbol: Symbol) -> bool {
        let found = self.is_symbol(0, symbol);
        self.at += usize::from(found);
        found
    }

    /// Behind the group in parentheses that opens here (or at the end, if it never closes).
    pub fn skip_group(&mut self) {
        let mut depth = 0usize;
        while let Some(token) = self.next() {
            if token.is(Symbol::LeftParen) {
                depth += 1;
            } else if token.is(Symbol::RightParen) {
                depth = depth.saturating_sub(1);
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// The text of a token that is a name.
    pub fn text(&self, token: &Token) -> Option<Box<str>> {
        self.n.name(token).map(|text| text.as_ref().into())
    }

    /// Takes a word or a quoted name.
    pub fn name(&mut self) -> Option<Box<str>> {
        let token = self.peek(0)?;
        let is_name = matches!(token.kind, TokenKind::Word | TokenKind::QuotedName);
        let text = if is_name { self.text(&token)? } else { return None };
        self.at += 1;
        Some(text)
    }

    /// Takes a name that is compared without case.
    pub fn caseless(&mut self) -> Option<Name> {
        self.name().map(|text| Name::caseless(&text))
    }

    /// The scalar that the tokens from here up to (not including) `end` are.
    pub fn scalar_until(&self, end: usize) -> Scalar {
        let tokens = self.tokens.get(self.at..end).unwrap_or_default();
        self.scalar_of(tokens).unwrap_or(Scalar::Expression)
    }

    fn scalar_of(&self, tokens: &[Token]) -> Option<Scalar> {
        match tokens {
            [token] => match token.kind {
                TokenKind::Literal(index) => Some(Scalar::Literal(index as usize)),
                TokenKind::QuotedName => Some(Scalar::Word(self.text(token)?)),
                TokenKind::UserVariable => Some(Scalar::UserVariable(Name::caseless(&self.text(token)?))),
                TokenKind::Word if token.is_word(self.n.template(), "DEFAULT") => Some(Scalar::Default),
                TokenKind::Word if token.is_word(self.n.template(), "NULL") => Some(Scalar::Null),
                TokenKind::Word => Some(Scalar::Word(self.text(token)?)),
                _ => None,
            },
            [minus, Token { kind: TokenKind::Literal(index), .. }] if minus.is(Symbol::Minus) => {
                let literal = self.n.literals().get(*index as usize)?;
                literal.kind().is_number().then_some(Scalar::NegatedLiteral(*index as usize))
            }
            [at, rest @ ..] if at.is(Symbol::AtAt) => {
                let (scope, name, used) = system_name(self.n, rest)?;
                (used == rest.len()).then_some(Scalar::SystemVariable { scope, name })
            }
            _ => None,
        }
    }

    /// Takes a limit's number: a literal or a name.
    pub fn scalar(&mut self) -> Scalar {
        let scalar = self.scalar_until(self.at + 1);
        self.at += 1;
        scalar
    }

    /// Behind the value that starts here: at the next comma or semicolon outside parentheses, or at the end.
    pub fn value_end(&self) -> usize {
        let mut ahead = self.clone();
        let stops = |at: &Self| at.is_symbol(0, Symbol::Comma) || at.is_symbol(0, Symbol::Semicolon);
        while ahead.peek(0).is_some() && !stops(&ahead) {
            if ahead.is_symbol(0, Symbol::LeftParen) {
                ahead.skip_group();
            } else {
                ahead.at += 1;
            }
        }
        ahead.at
    }

    /// The template's range from the token here to the one before `end`; empty where there is none.
    pub fn span_until(&self, end: usize) -> TemplateSpan {
        let start = self.offset();
        let last = end.checked_sub(1).filter(|&last| last >= self.at).and_then(|last| self.tokens.get(last));
        TemplateSpan { start, end: last.map_or(start, |token| token.end) }
    }
}

/// The scope and name that follow `@@`, and how many tokens they are.
pub(super) fn system_name(n: &Normalised, tokens: &[Token]) -> Option<(Scope, Name, usize)> {
    let mut names = String::new();
    let mut scope = Scope::Unscoped;
    let mut used = 0;
    loop {
        let token = tokens.get(used)?;
        if !matches!(token.kind, TokenKind::Word | TokenKind::QuotedName) {
            return None;
        }
        let dotted = tokens.get(used + 1).is_some_and(|next| next.is(Symbol::Dot));
        match scope_of(n, token) {
            Some(found) if used == 0 && dotted => scope = found,
            _ => names.push_str(&n.name(token)?),
        }
        used += 1;
        if !dotted {
            return Some((scope, Name::caseless(&names), used));
        }
        if !names.is_empty() {
            names.push('.');
        }
        used += 1;
    }
}

/// The scope that a keyword names.
pub(super) fn scope_of(n: &Normalised, token: &Token) -> Option<Scope> {
    let is = |word| token.is_word(n.template(), word);
    if is("SESSION") || is("LOCAL") {
        Some(Scope::Session)
    } else if is("GLOBAL") {
        Some(Scope::Global)
    } else if is("PERSIST") {
        Some(Scope::Persist)
    } else if is("PERSIST_ONLY") {
        Some(Scope::PersistOnly)
    } else {
        None
    }
}
