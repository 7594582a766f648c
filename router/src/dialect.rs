//! The seam to the parser that is not trusted: token stream in, tree out, nothing printed back. Never sees a literal's value.
//!
//! Read next: [`crate::Plan`], made from the tree.

use podway_model::MySqlVersion;
use sqlparser::ast::{self, Ident};
use sqlparser::tokenizer::{Location, Span};

use crate::normalise::Normalised;
use crate::sql_mode::SqlMode;
use crate::statement::TemplateSpan;

/// A tree of a statement, for analysis alone.
#[derive(Debug)]
pub struct Parsed {
    /// The tree. Values are literal numbers ([`literal_index`](Parsed::literal_index)), spans are template offsets.
    pub statement: ast::Statement,
}

impl Parsed {
    /// The literal that a value stands for.
    pub fn literal_index(_value: &ast::Value) -> Option<usize> {
        None
    }

    /// Where a name stands in the template; None for names that the seam made up.
    pub fn ident_span(ident: &Ident) -> Option<TemplateSpan> {
        Self::span(ident.span)
    }

    /// Where a node stands in the template.
    pub fn span(span: Span) -> Option<TemplateSpan> {
        let offset = |at: Location| (at.line == 1).then(|| at.column.checked_sub(1)).flatten();
        Some(TemplateSpan {
            start: u32::try_from(offset(span.start)?).ok()?,
            end: u32::try_from(offset(span.end)?).ok()?,
        })
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
    #[error("a version comment whose version servers read differently")]
    VersionComment,
    /// More than one statement, or none.
    #[error("not exactly one statement")]
    NotOneStatement,
}

/// Parses a normalised statement.
pub fn parse(
    _n: &Normalised,
    _sql: &[u8],
    _mode: SqlMode,
    _version: MySqlVersion,
) -> Result<Parsed, ParseRefusal> {
    Err(ParseRefusal::NotOneStatement)
}
