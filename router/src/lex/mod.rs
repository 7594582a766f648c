//! SQL as bytes: where literals, names, comments and symbols begin and end, exactly as MySQL's own lexer sees it. Never builds a
//! tree, never assumes UTF-8, never looks at a map.
//!
//! Reading order: [`class`] (what a byte can start) → [`scan`] (where a thing that has started ends) → [`literal`] (what the
//! normaliser makes of literals) → [`charset_names`] (introducers) → [`token`] (tokens of a normalised statement) →
//! [`name`] (the text of names).

pub(crate) mod charset_names;
pub(crate) mod class;
mod literal;
mod name;
pub(crate) mod scan;
mod token;

pub use literal::{Literal, LiteralKind};
pub use name::{literal_text, name_text};
pub use token::{Symbol, Token, TokenKind, Tokens};
