//! UNIQUE keys that DDL gives a sharded table: each has to contain the whole sharding key, or no shard could keep it, since a shard looks at its own rows alone. Reads names
//! and keywords, coarsely: what is not certain to be a column that counts as a whole does not count.

use podway_model::{Name, Table, TableKind};

use super::alter::specifications;
use super::tokens::{Class, Tokens};
use crate::{RouterError, Verb};

/// Refuses a key that would be unique on each shard only, unless somebody accepted such keys for this table. `at`: behind the table's name.
pub(super) fn check(t: &Tokens<'_>, verb: Verb, at: usize, table: &Table) -> Result<(), RouterError> {
    let key: Vec<&str> = table.key_columns().map(|column| column.name.as_str()).collect();
    let key = key.join(", ");
    let name = &table.name;
    let way_out = format!(
        "it would be unique on each shard only; ALTER PODWAY TABLE {name} SHARD BY ({key}){} UNIQUE PER SHARD accepts that",
        through(table)
    );
    if let Some(column) = loses_numbers(t, verb, at, table) {
        return Err(RouterError::unsupported(format_args!(
            "taking AUTO_INCREMENT from {column} of {name}, which may have a UNIQUE key without the sharding key ({key}): {way_out}"
        )));
    }
    let Some(columns) = keys(t, verb, at).into_iter().find(|columns| !table.may_have_unique(columns)) else {
        return Ok(());
    };
    let columns: Vec<&str> = columns.iter().map(Name::as_str).collect();
    Err(RouterError::unsupported(format_args!(
        "a UNIQUE key of {name} ({}) that does not contain its sharding key ({key}): {way_out}",
        columns.join(", ")
    )))
}

/// The column whose numbers the cluster gives, if the statement makes it one like others: then nothing but the numbers has kept its keys unique.
fn loses_numbers<'t>(t: &Tokens<'_>, verb: Verb, at: usize, table: &'t Table) -> Option<&'t Name> {
    let counter = &table.counter()?.column.name;
    let is_key = table.key_columns().all(|column| column.name == *counter);
    let is_said = matches!(&table.kind, TableKind::Sharded(sharding) if sharding.unique_per_shard);
    if verb != Verb::AlterTable || is_key || is_said {
        return None;
    }
    let is_redefined = |&(first, end): &(usize, usize)| {
        let column = if t.is(first + 1, "COLUMN") { first + 2 } else { first + 1 };
        matches!(t.text(first), "MODIFY" | "CHANGE")
            && t.name(column).is_some_and(|name| Name::caseless(&name) == *counter)
            && !(first..end).any(|at| t.is(at, "AUTO_INCREMENT"))
    };
    specifications(t, at).iter().any(is_redefined).then_some(counter)
}

fn through(table: &Table) -> &'static str {
    match &table.kind {
        TableKind::Sharded(sharding) => match sharding.vindex {
            podway_model::Vindex::Xxh3 => "",
            podway_model::Vindex::Hash => " USING hash",
            podway_model::Vindex::Identity => " USING identity",
        },
        _ => "",
    }
}

/// The whole columns of each UNIQUE and PRIMARY key that the statement makes.
fn keys(t: &Tokens<'_>, verb: Verb, at: usize) -> Vec<Vec<Name>> {
    match verb {
        // CREATE UNIQUE INDEX name ON table (…).
        Verb::CreateIndex if (0..at).any(|at| t.is(at, "UNIQUE")) => vec![parts(t, at)],
        // IF NOT EXISTS makes none of a table that is declared and there, as applications say whenever they start.
        Verb::CreateTable if t.is(at, "(") && !(0..at).any(|at| t.is(at, "EXISTS")) => definitions(t, at),
        Verb::AlterTable => {
            let all = specifications(t, at);
            all.into_iter().flat_map(|(first, end)| specification(t, first, end)).collect()
        }
        _ => Vec::new(),
    }
}

/// One of ALTER TABLE's specifications.
fn specification(t: &Tokens<'_>, first: usize, end: usize) -> Vec<Vec<Name>> {
    let behind_column = |at: usize| if t.is(at, "COLUMN") { at + 1 } else { at };
    match t.text(first) {
        "ADD" => {
            let at = behind_column(first + 1);
            if t.is(at, "(") { definitions(t, at) } else { definition(t, at, end).into_iter().collect() }
        }
        "MODIFY" => definition(t, behind_column(first + 1), end).into_iter().collect(),
        // CHANGE old new …
        "CHANGE" => definition(t, behind_column(first + 1) + 1, end).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// What stands between parentheses, each a column or a key.
fn definitions(t: &Tokens<'_>, open: usize) -> Vec<Vec<Name>> {
    let close = t.mate(open);
    let mut keys = Vec::new();
    let (mut first, mut at) = (open + 1, open + 1);
    while at < close {
        if t.is(at, ",") {
            keys.extend(definition(t, first, at));
            first = at + 1;
        }
        at = if t.is(at, "(") { t.mate(at) + 1 } else { at + 1 };
    }
    keys.extend(definition(t, first, close));
    keys
}

/// The key that a definition of a column or of a key makes, if it makes one.
fn definition(t: &Tokens<'_>, first: usize, end: usize) -> Option<Vec<Name>> {
    let mut at = first;
    if t.is(at, "CONSTRAINT") {
        let is_named = !matches!(t.text(at + 1), "UNIQUE" | "PRIMARY" | "FOREIGN" | "CHECK");
        at += if is_named { 2 } else { 1 };
    }
    match t.text(at) {
        "UNIQUE" | "PRIMARY" => {
            let open = (at..end).find(|&at| t.is(at, "("))?;
            return Some(parts(t, open));
        }
        "KEY" | "INDEX" | "FULLTEXT" | "SPATIAL" | "FOREIGN" | "CHECK" => return None,
        _ => {}
    }
    // A column: UNIQUE, PRIMARY KEY, or KEY alone, which is PRIMARY KEY, beside its type.
    let name = Name::caseless(&t.name(at)?);
    let mut at = at + 1;
    while at < end {
        let is_word = t.class(at) == Class::Word;
        if is_word && matches!(t.text(at), "UNIQUE" | "PRIMARY" | "KEY") {
            return Some(vec![name]);
        }
        at = if t.is(at, "(") { t.mate(at) + 1 } else { at + 1 };
    }
    None
}

/// The whole columns among a key's parts. `open`: the parenthesis, or what stands before it.
fn parts(t: &Tokens<'_>, open: usize) -> Vec<Name> {
    let Some(open) = (open..t.len()).find(|&at| t.is(at, "(")) else { return Vec::new() };
    let close = t.mate(open);
    let mut columns = Vec::new();
    let mut at = open + 1;
    while at < close {
        // A column of which only the beginning counts has its length in parentheses behind it; an expression has none before them.
        let is_whole = t.is_name(at) && !t.is(at + 1, "(");
        columns.extend(t.name(at).filter(|_| is_whole).map(|name| Name::caseless(&name)));
        while at < close && !t.is(at, ",") {
            at = if t.is(at, "(") { t.mate(at) + 1 } else { at + 1 };
        }
        at += 1;
    }
    columns
}
