//! What a comparison of the shards with the map found, as the topology is told of it. Whoever compares is elsewhere; what a difference is stands in
//! the model.

use podway_model::{Column, DriftSubject, Revision};
use serde::{Deserialize, Serialize};

use crate::operation::OperationId;

/// The most findings of one report.
pub const MAX_FINDINGS: usize = 500;

/// Of what differs on the servers from the map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftCommand {
    /// Somebody wants the shards compared now.
    Check,
    /// The shards were compared.
    Report(DriftReport),
}

/// What a comparison of the shards found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// The revision of the map that the shards were compared with: refused if there is another one by now.
    pub as_of: Revision,
    /// The last operation that had begun before anything was read: refused if another one began since.
    pub last_operation: OperationId,
    /// The last request that had come before anything was read.
    pub answers: u64,
    /// What could not be looked at, as sentences.
    #[serde(default)]
    pub unread: Vec<Box<str>>,
    /// What is to be changed of what is known. At most [`MAX_FINDINGS`].
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Something differs.
    Differs {
        /// What.
        subject: DriftSubject,
        /// In what, as a sentence.
        what: Box<str>,
        /// Whether a sharding key is not what it was declared as.
        stops_pinning: bool,
    },
    /// Nothing differs any more.
    Agrees {
        /// What differed.
        subject: DriftSubject,
    },
    /// Every shard has a table alike, with other columns than the map.
    Columns {
        /// The table's keyspace.
        keyspace: Box<str>,
        /// The table.
        table: Box<str>,
        /// All its columns, in their order.
        columns: Vec<Column>,
    },
}
