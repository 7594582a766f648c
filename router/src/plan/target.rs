//! Where a statement goes, as values: targets, keys and splices. Data only. Read next: [`super::plan`].

use std::sync::Arc;

use podway_model::{Name, ShardIndex, Table};

use crate::{FunctionKind, RouterError, TemplateSpan};

/// Where a statement goes, before its values are known.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The session itself acts on it.
    Nowhere,
    /// Every shard of the keyspace answers it alike: no tables, or reference tables only.
    Any {
        /// The keyspace; `None` only where the map has none.
        keyspace: Option<Name>,
    },
    /// The keyspace's home shard.
    Home {
        /// The keyspace; `None` only where the map has none.
        keyspace: Option<Name>,
    },
    /// The one shard that all keys lead to.
    Keys {
        /// The keyspace.
        keyspace: Name,
        /// The keys, at least one.
        pins: Vec<KeyPin>,
        /// Whether it also needs tables of the home shard.
        needs_home: bool,
    },
    /// The keyspace has one shard: everything goes there as it is.
    Whole {
        /// The keyspace.
        keyspace: Name,
    },
    /// Every shard of the keyspace, as an operation: see [`Definition`](super::Definition).
    Everywhere {
        /// The keyspace.
        keyspace: Name,
    },
    /// Several shards, whose rows are put together: see [`Gather`](super::Gather).
    Gathered {
        /// The keyspace.
        keyspace: Name,
    },
    /// Several shards, each of which changes its own rows: see [`Scatter`](super::Scatter).
    Scattered {
        /// The keyspace.
        keyspace: Name,
    },
    /// Nowhere: the client gets this error.
    Refused(RouterError),
}

/// The sharding key of one table (or of one row to insert), as the statement gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyPin {
    /// The table.
    pub table: Arc<Table>,
    /// One source per key column, in the order of the sharding.
    pub columns: Vec<KeySource>,
    /// How the values are meant.
    pub usage: KeyUse,
}

/// How a pin's values are meant.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyUse {
    /// Rows that equal them.
    Predicate {
        /// For each key column: whether it is compared by `<=>` or IS NULL.
        null_safe: Vec<bool>,
        /// One of several values of an IN list: MySQL then chooses one comparison for all, so only the column's own type is certain.
        listed: bool,
    },
    /// A row that will hold them.
    Insert {
        /// INSERT IGNORE: values are bent to fit.
        ignore: bool,
        /// What the row gives for an AUTO_INCREMENT column that is no key: it must be a value of its own.
        counter: Option<KeySource>,
        /// Its place among the statement's rows.
        row: u32,
    },
}

impl KeyPin {
    /// About how many bytes it holds.
    pub(super) fn memory(&self) -> usize {
        let flags = match &self.usage {
            KeyUse::Predicate { null_safe, .. } => null_safe.capacity(),
            KeyUse::Insert { .. } => 0,
        };
        size_of::<KeyPin>() + self.columns.capacity() * size_of::<KeySource>() + flags
    }
}

/// Where a key column's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A literal, by its number.
    Literal(u32),
    /// The negative of a literal number.
    NegatedLiteral(u32),
    /// A parameter, by its number.
    Param(u32),
    /// A constant of the language: TRUE and FALSE.
    Integer(i64),
    /// NULL.
    Null,
    /// The column's default.
    Default,
}

/// Bytes that the proxy puts in the place of the client's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// What is replaced, in the template; empty where something is inserted.
    pub span: TemplateSpan,
    /// By what.
    pub kind: SpliceKind,
}

/// What a splice puts in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpliceKind {
    /// The physical schema of this keyspace, as a quoted name.
    Schema(Name),
    /// What the call gives in this session.
    Function(FunctionKind),
    /// A string literal that may be a keyspace's name, in a query about the server's own schemas.
    SchemaText(u32),
    /// The number of this row's AUTO_INCREMENT column, where the cluster gives it; behind a comma where a value stands before it.
    Number {
        /// The row's place among the statement's rows.
        row: u32,
        /// Whether it follows other values.
        comma: bool,
    },
    /// The AUTO_INCREMENT column in a list of columns that lacks it, where the cluster gives its numbers.
    NumberColumn {
        /// Its quoted name, with what stands around it.
        text: Box<[u8]>,
    },
    /// An alias that keeps the column's name what it was: the text of this span.
    Heading(TemplateSpan),
}

/// Where one execution of a statement goes. The keyspace is the plan's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The session itself acts on it.
    Nowhere,
    /// Any shard.
    Any,
    /// This shard.
    Shard(ShardIndex),
    /// Several shards, whose rows are put together: see [`Gather`](super::Gather).
    Gather,
    /// Several shards, each of which changes its own rows: see [`Scatter`](super::Scatter).
    Scatter,
}
