//! What a statement consists of: query blocks, the tables each one reads, and the conditions that hold for them. Reads structure by
//! reserved words alone and keeps token numbers; never looks at the map, never groups operators, never decides where anything goes.
//!
//! Reading order: [`parts`] (what is found) → [`walker`] (expressions) → [`query`] (WITH, SELECT, UNION) → [`from`] (joins) →
//! [`write`] (INSERT, UPDATE, DELETE).

mod from;
pub(super) mod parts;
mod query;
pub(super) mod walker;
mod write;

pub(super) use query::{has_alias, is_column};
