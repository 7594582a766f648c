//! A DDL statement on the shards of a keyspace, as the topology remembers it: what it does to which tables, how the rows of a table that it creates are to lie,
//! and how the map follows. Where its text goes is [`statement`](crate::ClientStatement)'s.

use podway_model::{Column, Revision, Vindex};
use serde::{Deserialize, Serialize};

/// A DDL statement on every shard of a keyspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ddl {
    /// The keyspace's name.
    pub keyspace: Box<str>,
    /// What it does to which tables.
    pub effects: Vec<TableEffect>,
    /// The statement as it may be shown.
    pub shown: Box<str>,
    /// How the rows of the table that it creates are to lie. The home shard is then the last target.
    #[serde(default)]
    pub declaration: Option<TableDeclaration>,
    /// The revision of the map by which statements that name its tables wait, once they do. No target is begun while a proxy runs anything under an older one.
    #[serde(default)]
    pub held: Option<Revision>,
    /// The revision of the map that has the table so, once it has. The home shard is begun when no proxy runs anything under an older one.
    #[serde(default)]
    pub declared: Option<Revision>,
    /// The revision of the map that follows the statement, once every target has it. The operation ends when every proxy has taken it over.
    #[serde(default)]
    pub followed: Option<Revision>,
}

/// What a DDL statement does to a table, as far as the map minds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableEffect {
    /// It may have other columns.
    Altered(Box<str>),
    /// It is there, if it was not.
    Created(Box<str>),
    /// It is gone.
    Dropped(Box<str>),
    /// Its rows are gone.
    Emptied(Box<str>),
    /// It has a trigger more, or less.
    Retriggered(Box<str>),
    /// It has another name.
    Renamed {
        /// The one before.
        from: Box<str>,
        /// The one after.
        to: Box<str>,
    },
}

/// How a table's rows are to lie, in words: whether that can be, the rules for keys decide when its columns are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableDeclaration {
    /// Each row where these columns lead, by this function (`xxh3`, `hash`, `identity`).
    Sharded {
        /// The sharding key.
        columns: Vec<Box<str>>,
        /// The function.
        vindex: Vindex,
        /// Whether UNIQUE keys may be unique on each shard only.
        #[serde(default)]
        unique_per_shard: bool,
    },
    /// A copy on every shard.
    Reference,
    /// Whole, on the home shard.
    Home,
}

/// How the map follows a statement. What the map does not have is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Follow {
    /// A table has these columns.
    Columns {
        /// Its name.
        table: Box<str>,
        /// All its columns, in their order.
        columns: Vec<Column>,
        /// The highest number that a shard would give next, if it has an AUTO_INCREMENT column.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<u64>,
    },
    /// A table has another name.
    Renamed {
        /// The one before.
        from: Box<str>,
        /// The one after.
        to: Box<str>,
    },
    /// A table is gone.
    Forgotten(Box<str>),
    /// A table is empty. Its AUTO_INCREMENT numbers go on: proxies may have some in hand from before.
    Restarted(Box<str>),
}

impl TableEffect {
    /// The names that it is about.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (one, other) = match self {
            TableEffect::Renamed { from, to } => (from, Some(to)),
            TableEffect::Altered(name)
            | TableEffect::Created(name)
            | TableEffect::Dropped(name)
            | TableEffect::Emptied(name)
            | TableEffect::Retriggered(name) => (name, None),
        };
        std::iter::once(&**one).chain(other.map(|name| &**name))
    }
}

impl Ddl {
    /// Whether no statement may name its tables while it is done on some targets and not on others, or the map does not follow yet: a name that the map does
    /// not know is a table at home, and a name that another table has by now is taken for the one that it was.
    pub fn holds_names(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, TableEffect::Renamed { .. }))
    }

    /// The table of which it makes or drops a trigger.
    pub fn retriggered(&self) -> Option<&str> {
        self.effects.iter().find_map(|effect| match effect {
            TableEffect::Retriggered(name) => Some(&**name),
            _ => None,
        })
    }

    /// The tables that it is about, each once.
    pub fn tables(&self) -> Vec<&str> {
        let mut tables = Vec::new();
        for name in self.effects.iter().flat_map(TableEffect::names) {
            if !tables.contains(&name) {
                tables.push(name);
            }
        }
        tables
    }
}
