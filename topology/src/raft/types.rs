//! What openraft is told about us: the log entry, its answer, the node.

use std::io::Cursor;

use podway_topology_api::{Answer, LogTime, Member, NodeId, Proposal};
use serde::{Deserialize, Serialize};

/// A proposal as the log has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Logged {
    /// The leader's clock when it took the proposal. The state never sees a time before that of an earlier entry, whatever clocks do.
    pub at: LogTime,
    /// What was proposed.
    pub proposal: Proposal,
}

/// What applying an entry gave; entries of Raft's own give nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome(pub Option<Answer>);

openraft::declare_raft_types!(
    /// Podway's topology in openraft's terms.
    pub TypeConfig:
        D = Logged,
        R = Outcome,
        NodeId = NodeId,
        Node = Member,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = openraft::TokioRuntime,
);

/// A log entry.
pub type Entry = openraft::Entry<TypeConfig>;
/// The consensus of one node.
pub type Raft = openraft::Raft<TypeConfig>;
