//! A plan as text, for golden tests and EXPLAIN: stable, one fact per line.

use std::fmt::Write;

use super::definition::{Definition, TableChange};
use super::gather::{CatalogRows, Gather, Part, Rows, SchemaSource};
use super::plan::Plan;
use super::scatter::{Receiver, Scatter};
use super::target::{KeyPin, KeySource, KeyUse, SpliceKind, Target};
use crate::{Effects, Statement};

impl Plan {
    /// The plan as text.
    pub fn printed(&self) -> String {
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = self.print(&mut out);
        out
    }

    fn print(&self, out: &mut String) -> std::fmt::Result {
        match &self.target {
            Target::Nowhere => write!(out, "nowhere")?,
            Target::Any { keyspace } => write!(out, "any shard of {}", shown(keyspace.as_ref()))?,
            Target::Home { keyspace } => write!(out, "home of {}", shown(keyspace.as_ref()))?,
            Target::Whole { keyspace } => write!(out, "whole to {keyspace}")?,
            Target::Everywhere { keyspace } => write!(out, "every shard of {keyspace}")?,
            Target::Gathered { keyspace } => {
                write!(out, "gathered from {keyspace}")?;
                if let Some(gather) = &self.gather {
                    print_gather(gather, out)?;
                }
            }
            Target::Scattered { keyspace } => {
                write!(out, "scattered over {keyspace}")?;
                if let Some(scatter) = &self.scatter {
                    print_scatter(scatter, "", out)?;
                }
            }
            Target::Refused(error) => write!(out, "refused {}: {}", error.errno, error.message)?,
            Target::Keys { keyspace, pins, needs_home } => {
                write!(out, "keys of {keyspace}")?;
                for pin in pins {
                    write!(out, " | {}", printed_pin(pin))?;
                }
                if *needs_home {
                    write!(out, " | home")?;
                }
                if let Some(scatter) = &self.scatter {
                    print_scatter(scatter, "or ", out)?;
                }
                if let Some(reason) = &self.unscattered {
                    write!(out, "\nnot on several shards: {}", reason.message)?;
                }
            }
        }
        if self.recognised.statement != Statement::Query {
            let name = format!("{:?}", self.recognised.statement);
            let end = name.find([' ', '(']).unwrap_or(name.len());
            write!(out, "\nstatement: {}", &name[..end])?;
        }
        if let Some(directive) = &self.shows {
            write!(out, "\nshows: {directive}")?;
        }
        for lock in self.locks.iter().flat_map(|locks| &locks.tables) {
            let whose = if lock.is_everywhere { "every shard's" } else { "home's" };
            write!(out, "\nlocks {whose} {}", lock.table)?;
            if let Some(alias) = &lock.alias {
                write!(out, " as {alias}")?;
            }
            write!(out, " {}", lock.mode.sql())?;
        }
        if let Some(definition) = &self.definition {
            print_definition(definition, out)?;
        }
        self.print_names(out)?;
        for splice in &self.splices {
            let span = splice.span;
            let what = match &splice.kind {
                SpliceKind::Schema(keyspace) => format!("schema of {keyspace}"),
                SpliceKind::Function(kind) => format!("{kind:?}"),
                SpliceKind::SchemaText(_) => "schema as text".to_owned(),
                SpliceKind::Number { row, .. } => format!("number of row {row}"),
                SpliceKind::NumberColumn { text } => format!("column{}", String::from_utf8_lossy(text)),
                SpliceKind::Heading(item) => format!("heading {}..{}", item.start, item.end),
            };
            write!(out, "\nsplice {}..{}: {what}", span.start, span.end)?;
        }
        Ok(())
    }

    fn print_names(&self, out: &mut String) -> std::fmt::Result {
        let names = &self.names;
        for (what, list) in
            [("with", &names.neighbours), ("foreign", &names.foreign), ("not physical", &names.suspects)]
        {
            if !list.is_empty() {
                let list: Vec<&str> = list.iter().map(|name| name.as_str()).collect();
                write!(out, "\n{what}: {}", list.join(", "))?;
            }
        }
        if let Some(name) = &names.ambiguous {
            write!(out, "\nambiguous: {name}")?;
        }
        Ok(())
    }

    /// The effects by name.
    pub fn printed_effects(&self) -> String {
        let names: Vec<&str> =
            self.recognised.effects.iter_names().map(|(name, _): (&str, Effects)| name).collect();
        names.join(" ")
    }
}

fn print_definition(definition: &Definition, out: &mut String) -> std::fmt::Result {
    for change in &definition.changes {
        match change {
            TableChange::Altered(name) => write!(out, "\nalters {name}")?,
            TableChange::Created(name) => write!(out, "\ncreates {name}")?,
            TableChange::Dropped(name) => write!(out, "\ndrops {name}")?,
            TableChange::Emptied(name) => write!(out, "\nempties {name}")?,
            TableChange::Retriggered(name) => write!(out, "\nchanges the triggers of {name}")?,
            TableChange::Renamed { from, to } => write!(out, "\nrenames {from} to {to}")?,
        }
    }
    if let Some(comment) = definition.comment {
        write!(out, "\ncomment: #{comment}")?;
    }
    match definition.otherwise.as_deref() {
        None => Ok(()),
        Some(Target::Refused(error)) => write!(out, "\notherwise refused: {}", error.message),
        Some(Target::Home { .. }) => write!(out, "\notherwise home"),
        Some(Target::Whole { .. }) => write!(out, "\notherwise whole"),
        Some(_) => write!(out, "\notherwise one shard"),
    }
}

fn shown(name: Option<&podway_model::Name>) -> &str {
    name.map_or("no keyspace", |name| name.as_str())
}

fn printed_pin(pin: &KeyPin) -> String {
    let operators = |at: usize| match &pin.usage {
        KeyUse::Predicate { null_safe, .. } if null_safe.get(at) == Some(&true) => "<=>",
        KeyUse::Predicate { listed: true, .. } => "in",
        KeyUse::Predicate { .. } => "=",
        KeyUse::Insert { .. } => ":=",
    };
    let columns = pin.table.key_columns().zip(&pin.columns).enumerate();
    let columns: Vec<String> = columns
        .map(|(at, (column, source))| {
            format!("{} {} {}", column.name, operators(at), printed_source(*source))
        })
        .collect();
    let counter = match &pin.usage {
        KeyUse::Insert { counter: Some(source), .. } => format!(", counter {}", printed_source(*source)),
        _ => String::new(),
    };
    format!("{}({}{counter})", pin.table.name, columns.join(", "))
}

fn printed_source(source: KeySource) -> String {
    match source {
        KeySource::Literal(at) => format!("#{at}"),
        KeySource::NegatedLiteral(at) => format!("-#{at}"),
        KeySource::Param(at) => format!("?{at}"),
        KeySource::Integer(value) => value.to_string(),
        KeySource::Null => "NULL".to_owned(),
        KeySource::Default => "DEFAULT".to_owned(),
    }
}

fn print_gather(gather: &Gather, out: &mut String) -> std::fmt::Result {
    if let Some(merge) = &gather.merge {
        write!(out, "\nmerge rows")?;
        for key in &merge.keys {
            write!(out, " | {}", printed_pin(key))?;
        }
        for key in &merge.order {
            let direction = if key.descending { " descending" } else { "" };
            write!(out, " | by {:?}{direction}", key.compared)?;
        }
        if merge.limit.is_some() {
            write!(out, " | limit")?;
        }
    }
    if let Some(fold) = &gather.fold {
        write!(out, "\nfold {} groups, {} columns", fold.groups(), fold.columns.len())?;
        for key in &fold.keys {
            write!(out, " | {}", printed_pin(key))?;
        }
    }
    match &gather.columns {
        None => write!(out, "\nor finish: all columns")?,
        Some(names) => write!(out, "\nor finish: columns among {} names", names.len())?,
    }
    gather.parts.iter().try_for_each(|part| {
        print_part(part, out)?;
        part.lock.map_or(Ok(()), |lock| write!(out, " | {}", lock.sql().to_lowercase()))
    })
}

fn print_part(part: &Part, out: &mut String) -> std::fmt::Result {
    write!(out, "\npart {}", part.table)?;
    if part.alias != part.table {
        write!(out, " as {}", part.alias)?;
    }
    match &part.rows {
        Rows::Home => write!(out, " at home")?,
        Rows::Copy => write!(out, " from any shard")?,
        Rows::Catalog(rows) => print_catalog(rows, out)?,
        Rows::Shards(keys) if keys.is_empty() => write!(out, " from every shard")?,
        Rows::Shards(keys) => {
            for key in keys {
                write!(out, " | {}", printed_pin(key))?;
            }
        }
    }
    match part.filters.len() {
        0 => Ok(()),
        filters => write!(out, " where {filters} conditions hold"),
    }
}

fn print_catalog(rows: &CatalogRows, out: &mut String) -> std::fmt::Result {
    let numbers = if rows.numbers { ", numbers of every shard" } else { "" };
    match (&rows.table, &rows.schemas) {
        (None, _) => write!(out, " of the server"),
        (Some(_), None) => write!(out, " of all databases{numbers}"),
        (Some(_), Some(schemas)) => {
            let name = |source: &SchemaSource| match source {
                SchemaSource::Current => "the current one".to_owned(),
                SchemaSource::Value(source) => printed_source(*source),
            };
            let names: Vec<String> = schemas.iter().map(name).collect();
            write!(out, " of the databases {}{numbers}", names.join(", "))
        }
    }
}

fn print_scatter(scatter: &Scatter, or: &str, out: &mut String) -> std::fmt::Result {
    if let Some(load) = &scatter.load {
        let to = if load.is_sharded { "each to its shard" } else { "to every copy" };
        let (fields, key, counter) = (load.fields, &load.key, &load.counter);
        return write!(
            out,
            "\n{or}a file's records, {to} | {fields} fields, key {key:?}, number {counter:?}"
        );
    }
    if let Some(transfer) = &scatter.transfer {
        let to = match &transfer.to {
            Receiver::Sharded(_) => "each to its shard",
            Receiver::Copies => "to every copy",
            Receiver::Home => "to the home shard",
        };
        let params = transfer.params.1 - transfer.params.0;
        return write!(
            out,
            "\n{or}a query's rows into {}, {to} | {params} parameters in the query",
            transfer.table
        );
    }
    match (scatter.is_copies, scatter.rows.len()) {
        (true, _) => write!(out, "\n{or}every copy")?,
        (false, 0) if scatter.keys.is_empty() => write!(out, "\n{or}every shard's rows")?,
        (false, 0) => write!(out, "\n{or}rows of several shards")?,
        (false, rows) => write!(out, "\n{or}{rows} rows to several shards")?,
    }
    if let Some(limited) = &scatter.limited {
        let which = if limited.chosen.is_some() { "the first" } else { "any" };
        write!(out, " | {which} {}", printed_source(limited.rows))?;
    }
    for key in scatter.keys.iter().filter(|_| or.is_empty()) {
        write!(out, " | {}", printed_pin(key))?;
    }
    for source in scatter.counters.iter().flat_map(|counters| &counters.values) {
        write!(out, " | counter {}", printed_source(*source))?;
    }
    match scatter.moves.as_deref().map(|moves| (moves, &moves.given)) {
        Some((_, Some(pin))) => write!(out, " | to {}", printed_pin(pin))?,
        Some((moves, None)) => write!(out, " | to what MySQL computes of {}", moves.table.name)?,
        None => {}
    }
    if scatter.is_at_home {
        write!(out, " | at home")?;
    }
    if scatter.reads_clock {
        write!(out, " | clock")?;
    }
    let parts = scatter.fed.iter().flat_map(|gather| &gather.parts);
    parts.into_iter().try_for_each(|part| {
        print_part(part, out)?;
        write!(out, " | locked")
    })
}
