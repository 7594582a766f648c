//! ALTER PODWAY TABLE: how an empty table's rows are to lie from now on, as a statement. Never says whether they can.

use podway_model::Vindex;

use super::cursor::Cursor;
use super::directive::TableDirective;
use super::kind::Statement;
use crate::lex::Symbol;

/// `ALTER PODWAY TABLE name directive`, from its first token; `None`: it is none, or not one that can be read.
pub(super) fn alter(at: &mut Cursor<'_>) -> Option<Statement> {
    if !at.words(&["ALTER", "PODWAY", "TABLE"]) {
        return None;
    }
    let first = at.name()?;
    let second = if at.symbol(Symbol::Dot) { Some(at.name()?) } else { None };
    let (schema, name) = match second {
        Some(name) => (Some(first), name),
        None => (None, first),
    };
    let directive = if at.word("REFERENCE") {
        TableDirective::Reference
    } else if at.word("HOME") {
        TableDirective::Home
    } else if at.words(&["SHARD", "BY"]) {
        sharded(at)?
    } else {
        return Some(Statement::Malformed(at.offset()));
    };
    let statement = Statement::DeclareTable { schema, name, directive };
    Some(if at.at_end() { statement } else { Statement::Malformed(at.offset()) })
}

fn sharded(at: &mut Cursor<'_>) -> Option<TableDirective> {
    let mut columns = Vec::new();
    if !at.symbol(Symbol::LeftParen) {
        return None;
    }
    loop {
        columns.push(at.name()?);
        if at.symbol(Symbol::RightParen) {
            break;
        }
        if !at.symbol(Symbol::Comma) {
            return None;
        }
    }
    let vindex = if !at.word("USING") || at.word("XXH3") {
        Vindex::Xxh3
    } else if at.word("HASH") {
        Vindex::Hash
    } else if at.word("IDENTITY") {
        Vindex::Identity
    } else {
        return None;
    };
    let unique_per_shard = at.word("UNIQUE");
    if unique_per_shard && !at.words(&["PER", "SHARD"]) {
        return None;
    }
    Some(TableDirective::Sharded { columns, vindex, unique_per_shard })
}
