//! The seam to the parser that is not trusted: our tokens in, a tree out, for analysis alone. Nothing is ever printed back, and no
//! literal's value ever gets in.
//!
//! The parser's own tokenizer is not used: it wants UTF-8, runs version comments of any version and knows no sql_mode. Every literal
//! goes in as its number, every span is a template offset. Reading order: [`guard`] (what is refused before parsing) → [`feed`] (our
//! tokens as the parser's) → [`precedence`] (MySQL's operators). Read next: [`crate::Plan`].

mod feed;
mod guard;
mod precedence;

use podway_model::MySqlVersion;
use sqlparser::ast::{self, Ident};
use sqlparser::parser::{Parser, ParserError, ParserOptions};
use sqlparser::tokenizer::{Location, Span};

use crate::lex::Token;
use crate::normalise::Normalised;
use crate::sql_mode::SqlMode;
use crate::statement::TemplateSpan;
use precedence::PodwayDialect;

/// How deep the parser may recurse; the guard has refused deeper statements before.
const RECURSION_LIMIT: usize = 4 * guard::MAX_NESTING;

/// A tree of a statement, for analysis alone.
#[derive(Debug)]
pub struct Parsed {
    /// The tree. Values are literal numbers ([`literal_index`](Parsed::literal_index)), spans are template offsets
    /// ([`span`](Parsed::span)). It is at most some hundred levels deep, so that walking it needs no care.
    pub statement: ast::Statement,
}

impl Parsed {
    /// The literal that a value stands for: the first one of adjacent strings.
    pub fn literal_index(value: &ast::Value) -> Option<usize> {
        let text = match value {
            ast::Value::Number(text, _)
            | ast::Value::SingleQuotedString(text)
            | ast::Value::HexStringLiteral(text) => text,
            ast::Value::Placeholder(text) => text.strip_prefix('?')?,
            _ => return None,
        };
        text.parse().ok()
    }

    /// Where a name stands in the template, quotes included; None for names that the seam made up.
    pub fn ident_span(ident: &Ident) -> Option<TemplateSpan> {
        Self::span(ident.span)
    }

    /// Where a node stands in the template.
    pub fn span(span: Span) -> Option<TemplateSpan> {
        let offset =
            |at: Location| (at.line == 1).then(|| u32::try_from(at.column.checked_sub(1)?).ok()).flatten();
        Some(TemplateSpan { start: offset(span.start)?, end: offset(span.end)? })
    }
}

/// Why there is no tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseRefusal {
    /// The parser does not know it; MySQL may.
    #[error("{0}")]
    Unparsed(String),
    /// Too many terms or levels: refused before parsing.
    #[error("a statement with more than {limit} {what}")]
    TooComplex {
        /// Of what there is too much.
        what: &'static str,
        /// How much is served.
        limit: usize,
    },
    /// A name that cannot be read in the client's character set.
    #[error("a name outside ASCII in this character set")]
    NameEncoding,
    /// A version comment that the servers may read differently.
    #[error("a version comment that the servers may read differently")]
    VersionComment,
    /// More than one statement, or none.
    #[error("not exactly one statement")]
    NotOneStatement,
}

/// Parses a normalised statement. `sql` and `mode` are what it was normalised from and under.
pub fn parse(
    n: &Normalised,
    sql: &[u8],
    mode: SqlMode,
    version: MySqlVersion,
) -> Result<Parsed, ParseRefusal> {
    if n.is_ambiguous() || (n.version() != version && memchr::memmem::find(sql, b"/*!").is_some()) {
        return Err(ParseRefusal::VersionComment);
    }
    let mut all = n.tokens();
    let tokens: Vec<Token> = all.by_ref().collect();
    if all.in_version_comment() {
        return Err(ParseRefusal::Unparsed("a version comment that never ends".into()));
    }
    guard::check(n.template(), &tokens)?;
    let fed = feed::feed(n, &tokens, mode)?;
    let dialect = PodwayDialect::new(mode, tokens.len());
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(RECURSION_LIMIT)
        .with_options(ParserOptions::new().with_unescape(false))
        .with_tokens_with_locations(fed);
    let statements = parser.parse_statements().map_err(|error| match error {
        ParserError::RecursionLimitExceeded => {
            ParseRefusal::TooComplex { what: "steps of parsing", limit: dialect.budget() }
        }
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => ParseRefusal::Unparsed(text),
    })?;
    match <[ast::Statement; 1]>::try_from(statements) {
        Ok([statement]) => Ok(Parsed { statement }),
        Err(_) => Err(ParseRefusal::NotOneStatement),
    }
}

#[cfg(test)]
mod tests;
