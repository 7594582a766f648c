//! SHOW: what it is about, and so which shards can answer it. Never reads LIKE or WHERE further than for subqueries.

use podway_model::Name;

use super::bind::{Binding, Place};
use super::sketch::parts::Run;
use super::sketch::walker::Walker;
use super::tokens::Tokens;
use crate::{RouterError, TableDirective};

/// What a SHOW is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A table's structure, which every shard has: the tokens of its database and its name.
    Table { database: Option<usize>, name: usize },
    /// What a database holds; `None`: the current one.
    Database(Option<usize>),
    /// An object that only the home shard has: the tokens of its database and its name.
    Object { database: Option<usize>, name: usize },
    /// The server.
    Server,
    /// Not served over several shards, by name.
    Refused(&'static str),
}

/// What this SHOW is about, and the expressions behind its WHERE.
pub(super) fn subject(t: &Tokens<'_>) -> (Subject, Option<Run>) {
    let condition = (1..t.len()).find(|&at| t.is(at, "WHERE")).map(|at| Run { first: at + 1, end: t.len() });
    let mut at = 1;
    while matches!(t.text(at), "FULL" | "EXTENDED" | "SESSION" | "GLOBAL" | "LOCAL" | "STORAGE") {
        at += 1;
    }
    let subject = match t.text(at) {
        "CREATE" => create(t, at + 1),
        "COLUMNS" | "FIELDS" | "INDEX" | "INDEXES" | "KEYS" => of_table(t, at + 1),
        "TABLES" | "TRIGGERS" | "EVENTS" => Subject::Database(from(t, at + 1)),
        "TABLE" | "OPEN" => Subject::Database(from(t, at + 2)),
        "DATABASES" | "SCHEMAS" => Subject::Server,
        "BINLOG" | "RELAYLOG" | "BINARY" | "MASTER" | "SLAVE" | "REPLICA" | "REPLICAS" => {
            Subject::Refused("replication's SHOW statements over several servers")
        }
        _ => Subject::Server,
    };
    (subject, condition)
}

/// The keyspace of a sharded table whose indexes are shown: how many values they have all shards know together. Of what WHERE says of that no shard knows whether it
/// holds.
pub(super) fn sums_of_index(binding: &Binding<'_>) -> Option<Name> {
    let t = binding.t;
    let at = if t.is(1, "EXTENDED") { 2 } else { 1 };
    let is_index = matches!(t.text(at), "INDEX" | "INDEXES" | "KEYS");
    let has_condition = (0..t.len()).any(|at| t.is(at, "WHERE"));
    let bound = binding.sources.first().filter(|_| is_index && !has_condition)?;
    let keyspace = bound.keyspace.as_ref().filter(|keyspace| !keyspace.is_single())?;
    matches!(bound.place, Place::Sharded(_)).then(|| keyspace.name.clone())
}

fn from(t: &Tokens<'_>, at: usize) -> Option<usize> {
    (matches!(t.text(at), "FROM" | "IN") && t.is_name(at + 1)).then_some(at + 1)
}

/// `FROM table [FROM database]`, `FROM database.table`.
fn of_table(t: &Tokens<'_>, at: usize) -> Subject {
    let Some(first) = from(t, at) else { return Subject::Server };
    if t.is(first + 1, ".") && t.is_name(first + 2) {
        return Subject::Table { database: Some(first), name: first + 2 };
    }
    Subject::Table { database: from(t, first + 1), name: first }
}

fn create(t: &Tokens<'_>, at: usize) -> Subject {
    let name = if t.are(at + 1, &["IF", "NOT", "EXISTS"]) { at + 4 } else { at + 1 };
    let (database, name) =
        if t.is(name + 1, ".") && t.is_name(name + 2) { (Some(name), name + 2) } else { (None, name) };
    match t.text(at) {
        "TABLE" => Subject::Table { database, name },
        "DATABASE" | "SCHEMA" => Subject::Database(Some(name)),
        "VIEW" | "PROCEDURE" | "FUNCTION" | "TRIGGER" | "EVENT" | "LIBRARY" => {
            Subject::Object { database, name }
        }
        _ => Subject::Server,
    }
}

/// How the rows of a table that every shard has lie.
pub(super) fn directive_of(binding: &Binding<'_>) -> Option<Box<TableDirective>> {
    match &binding.sources.first()?.place {
        Place::Sharded(table) => TableDirective::of_table(table).map(Box::new),
        Place::Reference(_) => Some(Box::new(TableDirective::Reference)),
        _ => None,
    }
}

/// Walks what is shown, and the condition.
pub(super) fn sketch(
    w: &mut Walker<'_>,
    t: &Tokens<'_>,
    subject: Subject,
    condition: Option<Run>,
) -> Result<(), RouterError> {
    let block = match condition {
        Some(run) => w.values(run.first, run.end)?,
        None => w.values(t.len(), t.len())?,
    };
    match subject {
        Subject::Table { database, name } => w.shown_table(database, name, block),
        Subject::Object { database, .. } => w.qualifier(database),
        Subject::Database(at) => w.qualifier(at),
        Subject::Server | Subject::Refused(_) => {}
    }
    Ok(())
}
