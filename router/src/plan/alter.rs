//! What ALTER TABLE does to the columns of a sharded table, as far as routing minds: nothing may happen to its sharding key, and a row that is written by position
//! under the columns from before must not find its key in another place. Reads names and keywords; types are MySQL's.

use podway_model::{Name, Table};

use super::tokens::Tokens;
use crate::RouterError;

/// Refuses what would make rows lie, or be looked for, elsewhere. `at`: behind the table's name.
pub(super) fn check(t: &Tokens<'_>, at: usize, table: &Table) -> Result<(), RouterError> {
    let key: Vec<&Name> = table.key_columns().map(|column| &column.name).collect();
    let mut columns = Columns {
        names: table.columns.iter().map(|column| column.name.clone()).collect(),
        hides: table.columns.iter().any(|column| column.invisible),
        key: &key,
    };
    let before = columns.names.clone();
    for (first, end) in specifications(t, at) {
        columns.apply(t, first, end, table)?;
    }
    let place = |names: &[Name], column: &Name| names.iter().position(|name| name == column);
    let moved = key.iter().any(|column| place(&before, column) != place(&columns.names, column));
    // With another number of columns a row by position is refused, whichever columns it was meant for.
    if moved && (before.len() == columns.names.len() || columns.hides) {
        return Err(RouterError::unsupported(format_args!(
            "an ALTER TABLE that gives the sharding key of {} another place among as many columns; take two statements",
            table.name
        )));
    }
    Ok(())
}

/// The specifications between commas.
pub(super) fn specifications(t: &Tokens<'_>, at: usize) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    let (mut first, mut at) = (at, at);
    while at < t.len() {
        if t.is(at, ",") {
            all.push((first, at));
            first = at + 1;
        }
        at = if t.is(at, "(") { t.mate(at) + 1 } else { at + 1 };
    }
    all.push((first, t.len()));
    all
}

struct Columns<'k> {
    names: Vec<Name>,
    /// Whether a column is, or may be, left out of rows by position.
    hides: bool,
    key: &'k [&'k Name],
}

/// What follows ADD and DROP if it is no column.
const NO_COLUMN: [&str; 14] = [
    "INDEX",
    "KEY",
    "UNIQUE",
    "PRIMARY",
    "FULLTEXT",
    "SPATIAL",
    "CONSTRAINT",
    "FOREIGN",
    "CHECK",
    "PARTITION",
    "PARTITIONING",
    "(",
    "PERIOD",
    "SYSTEM",
];

impl Columns<'_> {
    fn apply(&mut self, t: &Tokens<'_>, first: usize, end: usize, table: &Table) -> Result<(), RouterError> {
        self.hides |= (first..end).any(|at| matches!(t.text(at), "INVISIBLE" | "VISIBLE"));
        let behind_column = |at: usize| if t.is(at, "COLUMN") { at + 1 } else { at };
        if (first..end).any(|at| t.is(at, "AUTO_INCREMENT")) {
            let has_it = |name: &Name| {
                table.columns.iter().any(|column| column.auto_increment && column.name == *name)
            };
            let what = match t.text(first) {
                "ADD" => Some("adding an AUTO_INCREMENT column to"),
                "MODIFY" | "CHANGE" if !has_it(&named(t, behind_column(first + 1))?) => {
                    Some("making a column AUTO_INCREMENT in")
                }
                _ => None,
            };
            if let Some(what) = what {
                return Err(RouterError::unsupported(format_args!(
                    "{what} {}: each shard would number its own rows",
                    table.name
                )));
            }
        }
        match t.text(first) {
            "ADD" => self.add(t, first + 1, end),
            "DROP" if t.is(first + 1, "COLUMN") || !NO_COLUMN.contains(&t.text(first + 1)) => {
                let name = named(t, behind_column(first + 1))?;
                self.check(&name, "dropping")?;
                self.names.retain(|known| *known != name);
                Ok(())
            }
            "CHANGE" => {
                let at = behind_column(first + 1);
                let (from, to) = (named(t, at)?, named(t, at + 1)?);
                self.check(&from, "changing")?;
                self.rename(&from, to.clone());
                self.place(t, at + 2, end, &to)
            }
            "MODIFY" => {
                let at = behind_column(first + 1);
                let name = named(t, at)?;
                self.check(&name, "changing")?;
                self.place(t, at + 1, end, &name)
            }
            "RENAME" if t.is(first + 1, "COLUMN") => {
                let (from, to) = (named(t, first + 2)?, named(t, first + 4)?);
                self.check(&from, "renaming")?;
                self.rename(&from, to);
                Ok(())
            }
            "ALTER" if !matches!(t.text(first + 1), "INDEX" | "CHECK" | "CONSTRAINT") => {
                self.check(&named(t, behind_column(first + 1))?, "changing")
            }
            "CONVERT" => match table.key_columns().find(|column| column.collation.is_some()) {
                Some(column) => self.check(&column.name, "changing the collation of"),
                None => Ok(()),
            },
            "DISCARD" | "IMPORT" | "EXCHANGE" => Err(RouterError::unsupported(format_args!(
                "ALTER TABLE … {} over several shards",
                t.text(first)
            ))),
            _ => Ok(()),
        }
    }

    fn add(&mut self, t: &Tokens<'_>, at: usize, end: usize) -> Result<(), RouterError> {
        let at = match (t.is(at, "COLUMN"), t.text(at)) {
            (true, _) => at + 1,
            (false, "(") => at,
            (false, word) if NO_COLUMN.contains(&word) => return Ok(()),
            _ => at,
        };
        if !t.is(at, "(") {
            let name = named(t, at)?;
            self.names.push(name.clone());
            return self.place(t, at + 1, end, &name);
        }
        let (mut at, close) = (at + 1, t.mate(at));
        while at < close {
            if !NO_COLUMN.contains(&t.text(at)) {
                self.names.push(named(t, at)?);
            }
            while at < close && !t.is(at, ",") {
                at = if t.is(at, "(") { t.mate(at) + 1 } else { at + 1 };
            }
            at += 1;
        }
        Ok(())
    }

    fn rename(&mut self, from: &Name, to: Name) {
        if let Some(known) = self.names.iter_mut().find(|known| *known == from) {
            *known = to;
        }
    }

    /// FIRST and AFTER at a specification's end.
    fn place(&mut self, t: &Tokens<'_>, at: usize, end: usize, name: &Name) -> Result<(), RouterError> {
        let is_first = end > at && t.is(end - 1, "FIRST");
        let is_after = end > at + 1 && t.is(end - 2, "AFTER");
        if !is_first && !is_after {
            return Ok(());
        }
        let Some(old) = self.names.iter().position(|known| known == name) else { return Ok(()) };
        let moved = self.names.remove(old);
        let to = if is_first {
            0
        } else {
            let after = named(t, end - 1)?;
            self.names.iter().position(|known| *known == after).map_or(self.names.len(), |place| place + 1)
        };
        self.names.insert(to, moved);
        Ok(())
    }

    fn check(&self, name: &Name, doing: &str) -> Result<(), RouterError> {
        match self.key.contains(&name) {
            true => Err(RouterError::unsupported(format_args!(
                "{doing} the sharding key column {name}: rows lie by it"
            ))),
            false => Ok(()),
        }
    }
}

fn named(t: &Tokens<'_>, at: usize) -> Result<Name, RouterError> {
    let lost = || RouterError::unsupported("this form of ALTER TABLE over several shards");
    t.name(at).map(|name| Name::caseless(&name)).ok_or_else(lost)
}
