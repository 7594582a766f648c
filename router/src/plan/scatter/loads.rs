//! LOAD DATA LOCAL into sharded and reference tables: what the statement says of its file and of the table's columns. Which of the file's records a shard gets, the
//! key in each decides. Never reads a literal: that is [`crate::plan::loaded`].

use std::sync::Arc;

use podway_model::{Column, Name, Table};

use super::copies::has_unknown_default;
use super::{Scatter, words};
use crate::plan::bind::{Binding, Place, unreadable};
use crate::plan::sketch::parts::Run;
use crate::plan::tokens::{Class, Tokens};
use crate::{ClientCharset, Effects, Recognised, RouterError, TemplateSpan};

/// How the records of a file come into a table of several shards.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// The table.
    pub table: Arc<Table>,
    /// Whether each shard gets the records that it owns; else every shard gets all.
    pub is_sharded: bool,
    /// How many fields of a record count.
    pub fields: usize,
    /// Where the sharding key's columns are, in the key's order.
    pub key: Vec<FieldPlace>,
    /// Where the AUTO_INCREMENT column is whose numbers are the cluster's.
    pub counter: Option<FieldPlace>,
    /// The user variables that take fields.
    pub variables: Vec<Name>,
    /// The file's name.
    pub(in crate::plan) file: u32,
    /// CHARACTER SET.
    pub(in crate::plan) charset: LoadCharset,
    /// What FIELDS and LINES say, each by its literal.
    pub(in crate::plan) marks: Marks,
    /// IGNORE n LINES.
    pub(in crate::plan) skipped: Option<u32>,
    /// The statement's text without its IGNORE n LINES, and where further words come.
    pub(in crate::plan) text: LoadText,
}

/// Where a column's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldPlace {
    /// The field of this place.
    Field(usize),
    /// Not in the file: the cluster gives it.
    Number,
}

/// The character set of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) enum LoadCharset {
    /// The current database's.
    OfDatabase,
    /// The one of this name.
    Named(Box<str>),
    /// The one that this literal names.
    Literal(u32),
}

/// The literals of FIELDS and LINES.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::plan) struct Marks {
    pub field_end: Option<u32>,
    pub enclosed: Option<u32>,
    pub escape: Option<u32>,
    pub line_start: Option<u32>,
    pub line_end: Option<u32>,
}

/// How the text for a shard is put together of the client's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) struct LoadText {
    /// Up to where CHARACTER SET goes, if the statement has none.
    pub head: u32,
    /// Where what follows IGNORE n LINES begins, and where what is before it ends.
    pub skipped: TemplateSpan,
    /// Where the list of columns begins; all of it is put in where the statement has none.
    pub columns: u32,
    /// What is put there where the cluster gives numbers that the file has not.
    pub with_number: Box<[u8]>,
    /// What is put there else.
    pub without: Box<[u8]>,
}

/// How a file's records go to the shards of its table; `None` for a table of one place. An error names what stands in the way.
pub(in crate::plan) fn load(
    binding: &Binding<'_>,
    recognised: &Recognised,
) -> Result<Option<Scatter>, RouterError> {
    let (t, Some(target)) = (binding.t, binding.sources.first()) else { return Ok(None) };
    let (table, is_sharded) = match &target.place {
        Place::Sharded(table) => (table.clone(), true),
        Place::Reference(Some(table)) if !table.columns.is_empty() => (table.clone(), false),
        Place::Reference(_) => {
            return Err(refused(&target.table, "where its columns are not known"));
        }
        _ => return Ok(None),
    };
    let Some(keyspace) = target.keyspace.as_ref().map(|keyspace| keyspace.name.clone()) else {
        return Ok(None);
    };
    let name = target.table.as_str();
    if recognised.effects.contains(Effects::SERVER_FILES) {
        return Err(RouterError::unsupported(format_args!(
            "LOAD DATA without LOCAL into the table {name}, whose rows are on several servers; use LOAD DATA LOCAL"
        )));
    }
    if binding.sketch.needs_home || binding.sources.len() > 1 {
        return Err(refused(name, "with a subquery or a function of one server"));
    }
    let read = Reading::of(t, name)?;
    let listed = listed(&read, &table, t)?;
    check_listed(&listed, &table)?;
    check_set(&read, &table, binding)?;
    let place = |column: &Column| listed.iter().position(|given| given.as_ref() == Some(&column.name));
    let counter = counter(&table, &place)?;
    let key = key(&table, &place)?;
    check_columns(&table, is_sharded, &place)?;
    let given = |with_number| column_text(&table, &read, binding.ctx.charset, with_number);
    let (with_number, without) = (given(true)?, given(false)?);
    let reads_clock = words::reads_clock(t, Run { first: read.set, end: t.len() })
        || words::keeps_time(Some(&table.columns));
    let load = Load {
        is_sharded,
        fields: listed.len(),
        key,
        counter,
        variables: read.variables(t)?,
        file: read.file,
        charset: read.charset,
        marks: read.marks,
        skipped: read.skipped.map(|(_, literal)| literal),
        text: LoadText {
            head: t.end(read.head - 1) as u32,
            skipped: match read.skipped {
                Some((at, _)) => TemplateSpan { start: t.start(at) as u32, end: t.end(at + 2) as u32 },
                None => TemplateSpan { start: t.end(read.list - 1) as u32, end: t.end(read.list - 1) as u32 },
            },
            columns: match read.has_list {
                true => t.end(read.list) as u32,
                false => t.end(read.list - 1) as u32,
            },
            with_number,
            without,
        },
        table,
    };
    Ok(Some(Scatter {
        reads_clock,
        is_copies: !is_sharded,
        load: Some(Box::new(load)),
        ..Scatter::new(keyspace)
    }))
}

fn refused(table: &str, what: &str) -> RouterError {
    RouterError::unsupported(format_args!("LOAD DATA into the table {table} over several shards, {what}"))
}

/// The statement's clauses, by tokens.
struct Reading {
    file: u32,
    charset: LoadCharset,
    marks: Marks,
    /// Where IGNORE n LINES begins, and its number.
    skipped: Option<(usize, u32)>,
    /// The token behind the table and its partitions.
    head: usize,
    /// The list of columns' parenthesis, or where it would stand.
    list: usize,
    has_list: bool,
    /// The token behind SET; the end if there is none.
    set: usize,
}

impl Reading {
    fn of(t: &Tokens<'_>, table: &str) -> Result<Reading, RouterError> {
        let lost = |at: usize| match at < t.len() {
            true => refused(table, &format!("in this form (near {})", shown(t, at))),
            false => refused(table, "in this form"),
        };
        let from = (0..t.len()).find(|&at| t.is(at, "INFILE")).ok_or_else(|| lost(0))?;
        let is_plain = (0..from)
            .all(|at| matches!(t.text(at), "LOAD" | "DATA" | "LOW_PRIORITY" | "CONCURRENT" | "LOCAL"));
        let file = literal(t, from + 1).filter(|_| is_plain).ok_or_else(|| lost(1))?;
        let mut at = from + 2;
        at += usize::from(matches!(t.text(at), "REPLACE" | "IGNORE"));
        if !t.are(at, &["INTO", "TABLE"]) {
            return Err(lost(at));
        }
        at += 3;
        at += if t.is(at, ".") { 2 } else { 0 };
        if t.are(at, &["PARTITION", "("]) {
            at = t.mate(at + 1) + 1;
        }
        let head = at;
        let (mut charset, mut marks) = (LoadCharset::OfDatabase, Marks::default());
        if t.are(at, &["CHARACTER", "SET"]) || t.is(at, "CHARSET") {
            at += if t.is(at, "CHARSET") { 1 } else { 2 };
            charset = match (literal(t, at), t.name(at)) {
                (Some(literal), _) => LoadCharset::Literal(literal),
                (None, Some(name)) => LoadCharset::Named(name.into()),
                (None, None) => return Err(lost(at)),
            };
            at += 1;
        }
        at = marks.read(t, at);
        let mut skipped = None;
        if t.is(at, "IGNORE") {
            let number = literal(t, at + 1).filter(|_| matches!(t.text(at + 2), "LINES" | "ROWS"));
            skipped = Some((at, number.ok_or_else(|| lost(at))?));
            at += 3;
        }
        let (list, has_list) = (at, t.is(at, "("));
        if has_list {
            at = t.mate(at) + 1;
        }
        let set = if t.is(at, "SET") { at + 1 } else { t.len() };
        if !t.is(at, "SET") && at < t.len() {
            return Err(lost(at));
        }
        Ok(Reading { file, charset, marks, skipped, head, list, has_list, set })
    }

    fn variables(&self, t: &Tokens<'_>) -> Result<Vec<Name>, RouterError> {
        let end = if self.has_list { t.mate(self.list) } else { self.list };
        let name = |at: usize| {
            let text = std::str::from_utf8(t.slice(t.start(at), t.end(at))).map_err(|_| unreadable())?;
            let name = text.trim_start_matches('@');
            let quote = name.chars().next().filter(|sign| ['`', '\'', '"'].contains(sign));
            match quote.map(|quote| name.trim_matches(quote)) {
                Some(inner) if inner.contains(['`', '\'', '"', '\\']) => Err(unreadable()),
                Some(inner) => Ok(Name::caseless(inner)),
                None => Ok(Name::caseless(name)),
            }
        };
        (self.list..end).filter(|&at| t.class(at) == Class::UserVariable).map(name).collect()
    }
}

impl Marks {
    /// Reads FIELDS and LINES; gives the token behind them.
    fn read(&mut self, t: &Tokens<'_>, at: usize) -> usize {
        let mut at = at;
        if matches!(t.text(at), "FIELDS" | "COLUMNS") {
            at += 1;
            loop {
                let optionally = usize::from(t.are(at, &["OPTIONALLY", "ENCLOSED"]));
                let mark = match t.text(at + optionally) {
                    "TERMINATED" => &mut self.field_end,
                    "ENCLOSED" => &mut self.enclosed,
                    "ESCAPED" => &mut self.escape,
                    _ => break,
                };
                let Some(literal) = by(t, at + optionally + 1) else { break };
                *mark = Some(literal);
                at += optionally + 3;
            }
        }
        if t.is(at, "LINES") {
            at += 1;
            loop {
                let mark = match t.text(at) {
                    "STARTING" => &mut self.line_start,
                    "TERMINATED" => &mut self.line_end,
                    _ => break,
                };
                let Some(literal) = by(t, at + 1) else { break };
                *mark = Some(literal);
                at += 3;
            }
        }
        at
    }
}

fn by(t: &Tokens<'_>, at: usize) -> Option<u32> {
    t.is(at, "BY").then(|| literal(t, at + 1)).flatten()
}

fn literal(t: &Tokens<'_>, at: usize) -> Option<u32> {
    match t.class(at) {
        Class::Literal(number, _) => Some(number),
        _ => None,
    }
}

fn shown<'t>(t: &'t Tokens<'_>, at: usize) -> &'t str {
    match t.text(at) {
        "" => "a name or a value",
        text => text,
    }
}

/// What the fields go to, in their order; nothing for a user variable.
fn listed(read: &Reading, table: &Table, t: &Tokens<'_>) -> Result<Vec<Option<Name>>, RouterError> {
    if !read.has_list || t.mate(read.list) == read.list + 1 {
        let visible = table.columns.iter().filter(|column| !column.invisible);
        return Ok(visible.map(|column| Some(column.name.clone())).collect());
    }
    let (mut at, end) = (read.list + 1, t.mate(read.list));
    let mut listed = Vec::new();
    while at < end {
        let mut last = at;
        while last + 1 < end && !t.is(last + 1, ",") {
            last += 1;
        }
        listed.push(match t.class(at) {
            Class::UserVariable if last == at => None,
            _ => Some(Name::caseless(&t.name(last).ok_or_else(unreadable)?)),
        });
        at = last + 2;
    }
    Ok(listed)
}

/// Of a column that is listed twice MySQL stores the later field: what a key or a number is must not be in doubt.
fn check_listed(listed: &[Option<Name>], table: &Table) -> Result<(), RouterError> {
    let numbers = table.columns.iter().filter(|column| column.auto_increment);
    let count = |name: &Name| listed.iter().flatten().filter(|listed| *listed == name).count();
    match table.key_columns().chain(numbers).find(|column| count(&column.name) > 1) {
        None => Ok(()),
        Some(column) => {
            Err(refused(table.name.as_str(), &format!("with the column {} listed twice", column.name)))
        }
    }
}

/// SET may use what is known to be the same on each shard, and set neither key nor number.
fn check_set(read: &Reading, table: &Table, binding: &Binding<'_>) -> Result<(), RouterError> {
    let t = binding.t;
    let name = table.name.as_str();
    if (read.set..t.len()).any(|at| t.is(at, "SELECT")) {
        return Err(refused(name, "with a subquery or a function of one server"));
    }
    let mut first = read.set;
    for at in read.set..=t.len() {
        if at == t.len() || t.class(at) == Class::UserVariable {
            words::check(t, Run { first, end: at }, &[])?;
            first = at + 1;
        }
    }
    let mut at = read.set;
    while at < t.len() {
        let equals = (at..t.len()).find(|&at| t.is(at, "=") || t.is(at, ":="));
        let Some(equals) = equals else { return Err(refused(name, "in this form")) };
        let column = t.name(equals - 1).map(|name| Name::caseless(&name)).ok_or_else(unreadable)?;
        let is_key = table.key_columns().any(|key| key.name == column);
        let is_number = table.columns.iter().any(|known| known.auto_increment && known.name == column);
        if is_key || is_number {
            let what = if is_key { "sharding key" } else { "AUTO_INCREMENT" };
            return Err(refused(name, &format!("with its {what} column {column} in SET")));
        }
        at = equals + 1;
        while at < t.len() && !t.is(at, ",") {
            at = if t.is(at, "(") { t.mate(at) + 1 } else { at + 1 };
        }
        at += 1;
    }
    Ok(())
}

fn counter(
    table: &Table,
    place: &dyn Fn(&Column) -> Option<usize>,
) -> Result<Option<FieldPlace>, RouterError> {
    let Some(column) = table.columns.iter().find(|column| column.auto_increment) else { return Ok(None) };
    match (table.counter(), place(column)) {
        (Some(_), Some(at)) => Ok(Some(FieldPlace::Field(at))),
        (Some(_), None) => Ok(Some(FieldPlace::Number)),
        (None, _) => Err(refused(
            table.name.as_str(),
            &format!("whose AUTO_INCREMENT column {} is of no integer type", column.name),
        )),
    }
}

fn key(table: &Table, place: &dyn Fn(&Column) -> Option<usize>) -> Result<Vec<FieldPlace>, RouterError> {
    let of = |column: &Column| match place(column) {
        Some(at) => Ok(FieldPlace::Field(at)),
        None if column.auto_increment => Ok(FieldPlace::Number),
        None => Err(refused(
            table.name.as_str(),
            &format!("without a field for the sharding key column {}", column.name),
        )),
    };
    table.key_columns().map(of).collect()
}

/// All copies must get the same.
fn check_columns(
    table: &Table,
    is_sharded: bool,
    place: &dyn Fn(&Column) -> Option<usize>,
) -> Result<(), RouterError> {
    let unknown = |column: &&Column| place(column).is_none() && has_unknown_default(column);
    match table.columns.iter().find(unknown).filter(|_| !is_sharded) {
        None => Ok(()),
        Some(column) => {
            Err(refused(table.name.as_str(), &format!("without a field for the column {}", column.name)))
        }
    }
}

/// What is put in where the columns are listed: with the column of the cluster's numbers, or without it.
fn column_text(
    table: &Table,
    read: &Reading,
    charset: ClientCharset,
    with_number: bool,
) -> Result<Box<[u8]>, RouterError> {
    let is_number = |column: &&Column| column.auto_increment && with_number;
    let is_put_in = |column: &&Column| !read.has_list && !column.invisible;
    let number = table.columns.iter().filter(is_number);
    let names: Vec<&Name> =
        number.chain(table.columns.iter().filter(is_put_in)).map(|column| &column.name).collect();
    if !names.iter().all(|name| name.as_str().is_ascii()) && charset != ClientCharset::Utf8 {
        return Err(unreadable());
    }
    let mut text = if read.has_list { Vec::new() } else { b" (".to_vec() };
    for (nth, name) in names.iter().enumerate() {
        text.extend_from_slice(if nth > 0 { b", " } else { b"" });
        text.extend_from_slice(format!("`{}`", name.as_str().replace('`', "``")).as_bytes());
    }
    text.extend_from_slice(match read.has_list {
        true if names.is_empty() => b"",
        true => b", ",
        false => b")",
    });
    Ok(text.into())
}

impl Load {
    /// About how many bytes it holds.
    pub(super) fn memory(&self) -> usize {
        size_of::<Load>() + self.text.with_number.len() + self.text.without.len() + self.variables.len() * 64
    }
}
