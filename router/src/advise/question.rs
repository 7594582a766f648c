//! What the adviser is told: tables as a server has them, statements that ran, and what is settled already. Data only.

use podway_model::{Column, MySqlVersion, Name, NameRule};

use crate::SqlMode;

/// A database whose sharding keys are looked for.
#[derive(Clone, Debug)]
pub struct Question {
    /// The database's name.
    pub keyspace: String,
    /// How the servers compare names.
    pub names: NameRule,
    /// The lowest version of the servers.
    pub version: MySqlVersion,
    /// The mode that statements are read in.
    pub sql_mode: SqlMode,
    /// Its tables and views, in their names' order.
    pub tables: Vec<TableFacts>,
    /// What ran.
    pub statements: Vec<RanStatement>,
    /// How many shards are thought of; decides which keys have too few values.
    pub shards: u16,
    /// Where tables are to lie, whatever the statements say.
    pub kept: Vec<Kept>,
}

/// A table or view as a server has it.
#[derive(Clone, Debug)]
pub struct TableFacts {
    /// Its name.
    pub name: Name,
    /// Whether it is a view.
    pub is_view: bool,
    /// Its columns in their order.
    pub columns: Vec<Column>,
    /// For each column: why it cannot be the sharding key; `None` where it can.
    pub refused_keys: Vec<Option<String>>,
    /// For each column: how many values it has, where that is known.
    pub distinct: Vec<Option<u64>>,
    /// The primary key's columns, by their places.
    pub primary_key: Vec<usize>,
    /// Its UNIQUE keys beside the primary key.
    pub unique_keys: Vec<UniqueKey>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// About how many rows it has.
    pub rows: u64,
    /// About how many bytes it has, indexes included.
    pub bytes: u64,
}

/// A UNIQUE key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueKey {
    /// Its name.
    pub name: String,
    /// Its columns, by their places.
    pub columns: Vec<usize>,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its name.
    pub name: String,
    /// Its columns, by their places.
    pub columns: Vec<usize>,
    /// The table that it refers to.
    pub table: Name,
    /// The columns there.
    pub referenced: Vec<Name>,
}

/// A statement that ran, with whatever differs only in its literals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RanStatement {
    /// The current database that it ran in, if it was another than the question's.
    pub database: Option<String>,
    /// Texts of it, at least one; each stands for an equal part of its executions.
    pub texts: Vec<String>,
    /// How often it ran.
    pub count: u64,
    /// How long it ran in all, in nanoseconds; 0 where that is not known.
    pub nanos: u64,
    /// How many rows it read in all.
    pub rows_examined: u64,
}

/// A table whose place is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its place in [`Question::tables`].
    pub table: usize,
    /// Where it lies.
    pub lies: Lies,
}

/// Where the rows of a table lie, or would.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lies {
    /// Each where these columns lead, by their places.
    Sharded(Vec<usize>),
    /// A copy on every shard.
    Reference,
    /// Whole, on the home shard.
    Home,
}

impl TableFacts {
    /// The place of a column.
    pub fn position(&self, name: &Name) -> Option<usize> {
        self.columns.iter().position(|column| column.name == *name)
    }

    /// The UNIQUE keys that no shard could keep if rows lay by this key, with their columns' places: those without all of it, unless the cluster numbers one of their
    /// columns.
    pub fn unique_on_each_shard_only(&self, key: &[usize]) -> Vec<(&str, &[usize])> {
        let is_numbered =
            |column: &usize| self.columns.get(*column).is_some_and(|column| column.auto_increment);
        let is_loose = |columns: &[usize]| {
            !key.iter().all(|column| columns.contains(column)) && !columns.iter().any(is_numbered)
        };
        let primary = (!self.primary_key.is_empty()).then_some(("PRIMARY KEY", &self.primary_key[..]));
        let unique = self.unique_keys.iter().map(|unique| (unique.name.as_str(), &unique.columns[..]));
        primary.into_iter().chain(unique).filter(|(_, columns)| is_loose(columns)).collect()
    }
}
