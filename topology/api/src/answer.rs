//! What a command is answered when it was done, and what watchers are told of it.

use podway_model::{Change, FreezeId, Revision, ServerId, ShardId};
use serde::{Deserialize, Serialize};

use crate::incarnation::Incarnation;
use crate::operation::OperationId;
use crate::refusal::Refusal;

/// What a proposal is answered; a retry of it is answered the same.
pub type Answer = Result<Done, Refusal>;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// The state is as it was asked to be, and was not before.
    Changed,
    /// The state was so already.
    Unchanged,
    /// A keyspace has these new shards.
    Shards(Vec<ShardId>),
    /// A server was added under this number.
    Server(ServerId),
    /// A proxy is this incarnation. The cluster's secret is handed out beside the answer, never in it.
    Registered {
        /// Its number.
        incarnation: Incarnation,
        /// Without a heartbeat for this long, it is shut out.
        lease_ms: u64,
    },
    /// Heartbeats were taken.
    Beats {
        /// The ones who must register again: their lease ended, or they are unknown.
        refused: Vec<Incarnation>,
        /// The ones whose lease ended just now.
        expired: Vec<Incarnation>,
    },
    /// A shard is frozen.
    Frozen(FreezeId),
    /// Numbers for a proxy: `first ..= last`, good while the table's generation in the map is this one.
    Block {
        /// The lowest.
        first: u64,
        /// The highest.
        last: u64,
        /// The table's generation.
        generation: u64,
        /// No number below this one is in another proxy's hands, or will be under this generation.
        #[serde(default)]
        floor: u64,
    },
    /// Where a sequence stands.
    Sequence {
        /// The next number that is given out.
        next: u64,
        /// The table's generation: blocks of older ones are void.
        generation: u64,
        /// Who may not have heard yet that blocks with these numbers are void. The numbers are free when there is nobody left: whoever is has applied the
        /// map with this generation, or was shut out.
        voided: Vec<Incarnation>,
        /// No number below this one is in another proxy's hands, or will be under this generation.
        #[serde(default)]
        floor: u64,
    },
    /// An operation began.
    Began(OperationId),
    /// The shards will be compared: this is the request's number.
    CheckAsked(u64),
}

/// What watchers are told: at this revision, these things changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchEvent {
    /// The index of the command that did it.
    pub revision: Revision,
    /// In the order in which they are to be applied.
    pub changes: Vec<Change>,
}
