//! Our tokens as the parser's: literals as their numbers, names as text, and MySQL's spellings that the parser lacks as others that
//! group alike. Never changes what is forwarded: this is for analysis alone.
//!
//! Read next: [`super::precedence`].

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token as Fed, TokenWithSpan, Word};

use super::ParseRefusal;
use crate::lex::{LiteralKind, Symbol, Token, TokenKind};
use crate::normalise::Normalised;
use crate::sql_mode::SqlMode;

/// Units of intervals that the parser lacks; any unit that it knows serves.
const COMPOSITE_UNITS: [&str; 11] = [
    "DAY_HOUR",
    "DAY_MICROSECOND",
    "DAY_MINUTE",
    "DAY_SECOND",
    "HOUR_MICROSECOND",
    "HOUR_MINUTE",
    "HOUR_SECOND",
    "MINUTE_MICROSECOND",
    "MINUTE_SECOND",
    "SECOND_MICROSECOND",
    "YEAR_MONTH",
];

/// The parser's tokens for a statement.
pub(super) fn feed(
    n: &Normalised,
    tokens: &[Token],
    mode: SqlMode,
) -> Result<Vec<TokenWithSpan>, ParseRefusal> {
    let mut feeder = Feeder { n, tokens, mode, fed: Vec::with_capacity(tokens.len() + 1), modifies: false };
    let mut at = 0;
    while at < tokens.len() {
        at = feeder.token(at)?;
    }
    Ok(feeder.fed)
}

struct Feeder<'a> {
    n: &'a Normalised,
    tokens: &'a [Token],
    mode: SqlMode,
    fed: Vec<TokenWithSpan>,
    /// Whether the next words may be modifiers of INSERT, REPLACE, UPDATE or DELETE.
    modifies: bool,
}

impl Feeder<'_> {
    /// Feeds what starts at a token; gives the next one.
    fn token(&mut self, at: usize) -> Result<usize, ParseRefusal> {
        let token = self.tokens[at];
        match token.kind {
            TokenKind::Word => return self.word(at),
            TokenKind::QuotedName => self.name(&token, Some('`'))?,
            TokenKind::UserVariable => self.variable(&token)?,
            TokenKind::Literal(index) => self.literal(&token, index as usize)?,
            TokenKind::Symbol(Symbol::AtAt) => return self.system_variable(at),
            TokenKind::Symbol(symbol) => self.symbol(&token, symbol)?,
            TokenKind::Hint => {}
            TokenKind::Unknown => return Err(ParseRefusal::Unparsed("a character outside SQL".into())),
        }
        Ok(at + 1)
    }

    fn push(&mut self, token: Fed, span: &Token) {
        let location = |offset: u32| Location { line: 1, column: u64::from(offset) + 1 };
        let span = Span { start: location(span.start), end: location(span.end) };
        self.fed.push(TokenWithSpan { token, span });
    }

    fn is_word(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.n.template(), word))
    }

    fn is_any(&self, at: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_word(at, word))
    }

    fn is_symbol(&self, at: usize, symbol: Symbol) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is(symbol))
    }

    fn text(&self, token: &Token) -> Result<String, ParseRefusal> {
        self.n.name(token).map(|text| text.into_owned()).ok_or(ParseRefusal::NameEncoding)
    }

    fn name(&mut self, token: &Token, quote_style: Option<char>) -> Result<(), ParseRefusal> {
        let word = Word { value: self.text(token)?, quote_style, keyword: Keyword::NoKeyword };
        self.push(Fed::Word(word), token);
        Ok(())
    }

    fn variable(&mut self, token: &Token) -> Result<(), ParseRefusal> {
        let value = format!("@{}", self.text(token)?);
        self.push(Fed::Word(Word { value, quote_style: None, keyword: Keyword::NoKeyword }), token);
        Ok(())
    }

    /// `@@` and its first name become one word.
    fn system_variable(&mut self, at: usize) -> Result<usize, ParseRefusal> {
        let name = self.tokens.get(at + 1).copied();
        let Some(name) = name.filter(|name| matches!(name.kind, TokenKind::Word | TokenKind::QuotedName))
        else {
            return Err(ParseRefusal::Unparsed("@@ without a name".into()));
        };
        let value = format!("@@{}", self.text(&name)?);
        let whole = Token { start: self.tokens[at].start, ..name };
        self.push(Fed::Word(Word { value, quote_style: None, keyword: Keyword::NoKeyword }), &whole);
        Ok(at + 2)
    }

    fn literal(&mut self, token: &Token, index: usize) -> Result<(), ParseRefusal> {
        let Some(literal) = self.n.literals().get(index) else { return Err(ParseRefusal::NotOneStatement) };
        if literal.continues() {
            return Ok(());
        }
        let number = index.to_string();
        let fed = match literal.kind() {
            LiteralKind::Integer | LiteralKind::Decimal | LiteralKind::Float => Fed::Number(number, false),
            LiteralKind::String | LiteralKind::National => Fed::SingleQuotedString(number),
            LiteralKind::Hex | LiteralKind::Bit => Fed::HexStringLiteral(number),
            LiteralKind::Param => Fed::Placeholder(format!("?{number}")),
        };
        self.push(fed, token);
        Ok(())
    }

    fn keyword(&mut self, keyword: &str, token: &Token) {
        self.push(Fed::make_word(keyword, None), token);
    }

    /// A word, with MySQL's spellings that the parser lacks.
    fn word(&mut self, at: usize) -> Result<usize, ParseRefusal> {
        let token = self.tokens[at];
        let modifies = std::mem::take(&mut self.modifies);
        if (at > 0 && self.is_symbol(at - 1, Symbol::Dot)) || self.is_symbol(at + 1, Symbol::Dot) {
            self.name(&token, None)?;
            return Ok(at + 1);
        }
        if modifies && self.is_any(at, &["LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK", "IGNORE"]) {
            self.modifies = true;
            return Ok(at + 1);
        }
        let first_or_inside = at == 0 || !self.is_any(at - 1, &["ON", "KEY", "FOR"]);
        self.modifies = first_or_inside && self.is_any(at, &["INSERT", "REPLACE", "UPDATE", "DELETE"]);
        if self.introduces(at) {
            return Ok(at + 1);
        }
        if let Some(next) = self.rewritten(at, &token) {
            return Ok(next);
        }
        if self.is_any(at, &COMPOSITE_UNITS) {
            self.keyword("SECOND", &token);
        } else {
            let text = self.text(&token)?;
            self.push(Fed::make_word(&text, None), &token);
        }
        Ok(at + 1)
    }

    /// Whether it is `_utf8mb4` before a literal: the literal knows.
    fn introduces(&self, at: usize) -> bool {
        let Some(TokenKind::Literal(index)) = self.tokens.get(at + 1).map(|next| next.kind) else {
            return false;
        };
        self.tokens[at].text(self.n.template()).starts_with(b"_")
            && self.n.literals().get(index as usize).is_some_and(|literal| literal.introducer().is_some())
    }

    /// Feeds other words where the parser lacks MySQL's; gives the next token.
    fn rewritten(&mut self, at: usize, token: &Token) -> Option<usize> {
        if self.is_word(at, "LOCK") && self.is_word(at + 1, "IN") && self.is_word(at + 2, "SHARE") {
            self.keyword("FOR", token);
            self.keyword("SHARE", &self.tokens[at + 2].clone());
            return Some(at + 4);
        }
        if self.is_word(at, "SOUNDS") && self.is_word(at + 1, "LIKE") {
            return Some(at + 1);
        }
        if self.is_any(at, &["MOD", "DIV"]) && self.behind_operand() {
            self.push(Fed::Mod, token);
            return Some(at + 1);
        }
        if self.is_word(at, "INTO") && self.is_variable(at + 1) {
            let mut at = at + 1;
            while self.is_symbol(at + 1, Symbol::Comma) && self.is_variable(at + 2) {
                at += 2;
            }
            return Some(at + 1);
        }
        let names_partitions = self.is_word(at, "PARTITION") && self.is_symbol(at + 1, Symbol::LeftParen);
        if names_partitions && at > 0 && self.behind_operand() && self.is_dml() {
            let close = self.tokens[at..].iter().position(|token| token.is(Symbol::RightParen))?;
            return Some(at + close + 1);
        }
        None
    }

    fn is_variable(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == TokenKind::UserVariable)
    }

    fn is_dml(&self) -> bool {
        let first = self.tokens.iter().position(|token| !token.is(Symbol::LeftParen)).unwrap_or(0);
        self.is_any(first, &["SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "WITH"])
    }

    /// Whether what was fed last ends an operand, so that an operator may follow.
    fn behind_operand(&self) -> bool {
        match self.fed.last().map(|last| &last.token) {
            Some(Fed::Word(word)) => {
                word.keyword == Keyword::NoKeyword || !is_clause_or_operator(word.keyword)
            }
            Some(
                Fed::Number(..)
                | Fed::SingleQuotedString(_)
                | Fed::HexStringLiteral(_)
                | Fed::Placeholder(_)
                | Fed::RParen,
            ) => true,
            _ => false,
        }
    }

    fn symbol(&mut self, token: &Token, symbol: Symbol) -> Result<(), ParseRefusal> {
        let fed = match symbol {
            Symbol::LeftParen => Fed::LParen,
            Symbol::RightParen => Fed::RParen,
            Symbol::Comma => Fed::Comma,
            Symbol::Semicolon => Fed::SemiColon,
            Symbol::Dot => Fed::Period,
            Symbol::Plus => Fed::Plus,
            Symbol::Minus => Fed::Minus,
            Symbol::Star => Fed::Mul,
            Symbol::Slash => Fed::Div,
            Symbol::Percent => Fed::Mod,
            Symbol::Caret => Fed::Caret,
            Symbol::Tilde => Fed::Tilde,
            Symbol::Bang => Fed::ExclamationMark,
            Symbol::Ampersand => Fed::Ampersand,
            Symbol::AndAnd => Fed::make_word("AND", None),
            Symbol::Pipe => Fed::Pipe,
            Symbol::PipePipe if self.mode.contains(SqlMode::PIPES_AS_CONCAT) => Fed::StringConcat,
            Symbol::PipePipe => Fed::make_word("OR", None),
            Symbol::Equals => Fed::Eq,
            Symbol::NullSafeEquals => Fed::Spaceship,
            Symbol::NotEquals => Fed::Neq,
            Symbol::Less => Fed::Lt,
            Symbol::LessEquals => Fed::LtEq,
            Symbol::Greater => Fed::Gt,
            Symbol::GreaterEquals => Fed::GtEq,
            Symbol::ShiftLeft => Fed::ShiftLeft,
            Symbol::ShiftRight => Fed::ShiftRight,
            Symbol::Assign => Fed::Assignment,
            Symbol::Arrow => Fed::Arrow,
            Symbol::LongArrow => Fed::LongArrow,
            Symbol::AtAt | Symbol::Colon | Symbol::LeftBrace | Symbol::RightBrace => {
                return Err(ParseRefusal::Unparsed(format!("{symbol:?}")));
            }
        };
        self.push(fed, token);
        Ok(())
    }
}

/// Keywords behind which an operand starts.
fn is_clause_or_operator(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::SELECT
            | Keyword::DISTINCT
            | Keyword::ALL
            | Keyword::WHERE
            | Keyword::HAVING
            | Keyword::ON
            | Keyword::BY
            | Keyword::SET
            | Keyword::LIMIT
            | Keyword::OFFSET
            | Keyword::VALUES
            | Keyword::VALUE
            | Keyword::CASE
            | Keyword::WHEN
            | Keyword::THEN
            | Keyword::ELSE
            | Keyword::AND
            | Keyword::OR
            | Keyword::XOR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::LIKE
            | Keyword::REGEXP
            | Keyword::RLIKE
            | Keyword::BETWEEN
            | Keyword::IN
            | Keyword::BINARY
            | Keyword::INTERVAL
            | Keyword::ESCAPE
            | Keyword::OVER
            | Keyword::RETURN
            | Keyword::DO
            | Keyword::CALL
            | Keyword::AS
    )
}
