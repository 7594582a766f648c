//! What differs on the servers from what the map says of them: seen by whoever compares them, told to everybody. What is done about it is decided
//! elsewhere; here it is only said.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Name, ServerId};

/// What a difference is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftSubject {
    /// A table of a keyspace, declared or not.
    Table {
        /// The keyspace.
        keyspace: Name,
        /// The table.
        table: Name,
    },
    /// A server as a whole.
    Server(ServerId),
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// What differs, as a sentence that a person understands.
    pub what: Box<str>,
    /// Since when it is known: milliseconds since 1970, by the topology's clock.
    pub since_ms: u64,
    /// Whether a sharding key is not what it was declared as: what it leads to is not certain, and nothing may be routed by it.
    #[serde(default, skip_serializing_if = "is_no")]
    pub stops_pinning: bool,
}

impl DriftSubject {
    /// The keyspace whose table it is.
    pub fn keyspace(&self) -> Option<&Name> {
        match self {
            DriftSubject::Table { keyspace, .. } => Some(keyspace),
            DriftSubject::Server(_) => None,
        }
    }
}

impl fmt::Display for DriftSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DriftSubject::Table { keyspace, table } => write!(f, "table {keyspace}.{table}"),
            DriftSubject::Server(id) => id.fmt(f),
        }
    }
}

fn is_no(value: &bool) -> bool {
    !value
}
