//! The keys of the rows that an INSERT or REPLACE stores.

use std::sync::Arc;

use podway_model::{Column, ColumnDefault, Name, Table};

use super::bind::Binding;
use super::conjuncts::value;
use super::sketch::parts::{Insert, Run};
use super::target::{KeyPin, KeySource, KeyUse};
use super::tokens::Tokens;
use crate::{RouterError, SqlMode};

/// The keys of the rows for a sharded table, one pin per row.
pub(super) fn insert_pins(
    binding: &Binding<'_>,
    insert: &Insert,
    table: &Arc<Table>,
) -> Result<Vec<KeyPin>, RouterError> {
    let Some(rows) = &insert.rows else {
        return Err(RouterError::unsupported(format_args!(
            "INSERT … SELECT into the sharded table {}",
            table.name
        )));
    };
    let ignore = insert.ignore;
    let names = Columns::of(binding, insert, table)?;
    let keys: Vec<&Column> = table.key_columns().collect();
    let counter = table
        .columns
        .iter()
        .find(|column| column.auto_increment && !keys.iter().any(|key| key.name == column.name));
    let mut pins = Vec::with_capacity(rows.len());
    for (number, row) in rows.iter().enumerate() {
        if !row.is_empty() && row.len() != names.listed.len() {
            let message = format!("Column count doesn't match value count at row {}", number + 1);
            return Err(RouterError::new(1136, b"21S01", message));
        }
        let given = |column: &Column| names.source(binding, row, column, ignore);
        let columns: Result<Vec<KeySource>, RouterError> = keys.iter().map(|column| given(column)).collect();
        let counter = counter.map(given).transpose()?;
        pins.push(KeyPin {
            table: Arc::clone(table),
            columns: columns?,
            usage: KeyUse::Insert { ignore, counter, row: number as u32 },
        });
    }
    Ok(pins)
}

/// What a value for the AUTO_INCREMENT column is; NULL where the row wants a number.
pub(super) fn as_stored(t: &Tokens<'_>, run: Run, column: &Column) -> Result<KeySource, RouterError> {
    if run.end == run.first + 1 && t.is(run.first, "DEFAULT") {
        return Ok(KeySource::Null);
    }
    value(t, run).ok_or_else(|| {
        RouterError::unsupported(format_args!(
            "an expression as the value of the AUTO_INCREMENT column {}",
            column.name
        ))
    })
}

/// The columns that the rows give values for.
pub(super) struct Columns {
    listed: Vec<Name>,
    /// Whether the cluster has numbers for its AUTO_INCREMENT column.
    is_counted: bool,
}

impl Columns {
    pub(super) fn names(&self) -> &[Name] {
        &self.listed
    }

    /// The place of a column among the values.
    pub(super) fn place(&self, column: &Name) -> Option<usize> {
        self.listed.iter().position(|name| name == column)
    }

    pub(super) fn of(binding: &Binding<'_>, insert: &Insert, table: &Table) -> Result<Columns, RouterError> {
        let listed = match &insert.columns {
            None => table
                .columns
                .iter()
                .filter(|column| !column.invisible)
                .map(|column| column.name.clone())
                .collect(),
            Some(tokens) => {
                let name = |&at: &usize| binding.t.name(at).map(|name| Name::caseless(&name));
                let names: Option<Vec<Name>> = tokens.iter().map(name).collect();
                names.ok_or_else(super::bind::unreadable)?
            }
        };
        let twice = listed.iter().enumerate().find(|(at, name)| listed[..*at].contains(name));
        match twice {
            Some((_, name)) => {
                Err(RouterError::new(1110, b"42000", format!("Column '{name}' specified twice")))
            }
            None => Ok(Columns { listed, is_counted: table.counter().is_some() }),
        }
    }

    fn source(
        &self,
        binding: &Binding<'_>,
        row: &[Run],
        column: &Column,
        ignore: bool,
    ) -> Result<KeySource, RouterError> {
        let generated = || match self.is_counted {
            true => Ok(KeySource::Null),
            false => Err(RouterError::unsupported(format_args!(
                "INSERT without a value for the AUTO_INCREMENT column {} of a sharded table",
                column.name
            ))),
        };
        let place = self.place(&column.name);
        let run = place.and_then(|place| row.get(place)).copied();
        let default = run.is_none_or(|run| run.end == run.first + 1 && binding.t.is(run.first, "DEFAULT"));
        match (default, run) {
            (true, _) if column.auto_increment => generated(),
            (true, _) => match column.default {
                ColumnDefault::None if !ignore && binding.ctx.sql_mode.contains(SqlMode::STRICT) => {
                    let message = format!("Field '{}' doesn't have a default value", column.name);
                    Err(RouterError::new(1364, b"HY000", message))
                }
                ColumnDefault::None | ColumnDefault::Expression => Err(RouterError::unsupported(
                    format_args!("INSERT without a value for the sharding key column {}", column.name),
                )),
                ColumnDefault::Null => Ok(KeySource::Null),
                ColumnDefault::Literal(_) => Ok(KeySource::Default),
            },
            (false, Some(run)) => match value(binding.t, run) {
                Some(KeySource::Null) if column.auto_increment => generated(),
                Some(source) => Ok(source),
                None => Err(RouterError::unsupported(format_args!(
                    "an expression as the value of column {} of a sharded table",
                    column.name
                ))),
            },
            (false, None) => generated(),
        }
    }
}
