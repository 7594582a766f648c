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
    /// Whether somebody said that its UNIQUE keys may be unique on each shard only. Where nobody did, each of them has to contain the sharding key.
    #[serde(default, skip_serializing_if = "is_no")]
    pub unique_per_shard: bool,
}

impl Sharding {
    /// By these columns, with UNIQUE keys that are unique over all shards.
    pub fn by(columns: Vec<usize>, vindex: Vindex) -> Sharding {
        Sharding { columns, vindex, unique_per_shard: false }
    }
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

    /// Whether no two rows of the table are equal in a UNIQUE key of these columns, each as a whole, though every shard looks at its own rows alone: equal ones are
    /// on one shard, since the key contains the whole sharding key, or it contains the column whose numbers the cluster gives.
    pub fn is_unique_over_shards(&self, columns: &[Name]) -> bool {
        let TableKind::Sharded(_) = &self.kind else { return true };
        let is_numbered = self.counter().is_some_and(|counter| columns.contains(&counter.column.name));
        is_numbered || self.key_columns().all(|column| columns.contains(&column.name))
    }

    /// Whether the table may have a UNIQUE key of these columns: one that is unique over all shards, or any where somebody said so.
    pub fn may_have_unique(&self, columns: &[Name]) -> bool {
        let is_said = matches!(&self.kind, TableKind::Sharded(sharding) if sharding.unique_per_shard);
        is_said || self.is_unique_over_shards(columns)
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

/// What is usual is not stored.
fn is_no(value: &bool) -> bool {
    !value
}
