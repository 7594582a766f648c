//! A table of a keyspace and how its rows lie on the shards.

use serde::{Deserialize, Serialize};

use crate::{Column, ColumnType, Name};

/// A table that somebody declared, or that the schema is known of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its logical name.
    pub name: Name,
    /// Where its rows lie.
    pub kind: TableKind,
    /// Its columns in their order; may be empty for tables that are not sharded.
    pub columns: Vec<Column>,
}

/// Where a table's rows lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableKind {
    /// Each row on the shard that its sharding key leads to.
    Sharded(Sharding),
    /// A whole copy on every shard.
    Reference,
    /// Whole, on the keyspace's home shard. What an undeclared table is.
    Home,
    /// A view: its rows are those of other tables.
    View,
}

/// How a sharded table's rows find their shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharding {
    /// The sharding key: positions in [`Table::columns`], at least one.
    pub columns: Vec<usize>,
    /// The function that makes a keyspace id of the key.
    pub vindex: Vindex,
}

/// The functions that make a keyspace id of a sharding key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vindex {
    /// XXH3 (64 bits) over the key's canonical form. The default.
    Xxh3,
    /// Vitess's `hash`: one integer column through DES with a null key.
    Hash,
    /// The integer itself.
    Identity,
}

/// An AUTO_INCREMENT column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter<'t> {
    /// Its place in [`Table::columns`].
    pub position: usize,
    /// The column.
    pub column: &'t Column,
    /// The largest number that it holds.
    pub largest: u64,
}

impl Table {
    /// The sharding key's columns, for a sharded table.
    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        let positions = match &self.kind {
            TableKind::Sharded(sharding) => sharding.columns.as_slice(),
            _ => &[],
        };
        positions.iter().filter_map(|&position| self.columns.get(position))
    }

    /// The AUTO_INCREMENT column whose numbers the cluster gives: that of a sharded or a reference table, if its type is an integer.
    pub fn counter(&self) -> Option<Counter<'_>> {
        if !matches!(self.kind, TableKind::Sharded(_) | TableKind::Reference) {
            return None;
        }
        let position = self.columns.iter().position(|column| column.auto_increment)?;
        let column = &self.columns[position];
        match column.column_type {
            ColumnType::Integer { bytes: bytes @ 1..=8, unsigned } => {
                let bits = u32::from(bytes) * 8 - u32::from(!unsigned);
                Some(Counter { position, column, largest: u64::MAX >> (u64::BITS - bits) })
            }
            _ => None,
        }
    }
}
