//! What monitoring reads of a node: a few numbers of this node's own, without asking another one.

use std::sync::Arc;

use podway_model::Revision;
use podway_topology_api::NodeId;

use crate::keeper::Keeper;

/// Reads a node's numbers.
#[derive(Clone)]
pub struct NodeObserver {
    keeper: Arc<Keeper>,
}

/// How a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStanding {
    /// Whether it leads, as far as it knows.
    pub is_leader: bool,
    /// The leader, as far as it knows.
    pub leader: Option<NodeId>,
    /// Whether it has to do with a majority: else what it has may be old.
    pub is_in_touch: bool,
    /// Why it answers nothing any more, if its disk failed it.
    pub failure: Option<String>,
    /// Counts the elections.
    pub term: u64,
    /// The last entry of its log.
    pub last_entry: u64,
    /// The last entry that its state has.
    pub applied_entry: u64,
    /// The entry with which its last snapshot ends.
    pub snapshot_entry: u64,
    /// The revision of its map.
    pub revision: Revision,
    /// Nodes that have a vote.
    pub voters: u64,
    /// Proxies that have a lease.
    pub live_proxies: u64,
    /// Proxies whose lease ended and that are not shut out.
    pub ended_proxies: u64,
}

impl NodeObserver {
    pub(crate) fn new(keeper: Arc<Keeper>) -> NodeObserver {
        NodeObserver { keeper }
    }

    /// How the node stands now.
    pub fn standing(&self) -> NodeStanding {
        let is_in_touch = self.keeper.is_in_touch();
        let metrics = self.keeper.raft.metrics();
        let known = metrics.borrow();
        let (revision, live_proxies, ended_proxies) = self.keeper.machine.look(|state| {
            (state.map().revision, state.live_proxies().len() as u64, state.ended_proxies().len() as u64)
        });
        NodeStanding {
            is_leader: known.current_leader == Some(self.keeper.myself.node),
            leader: known.current_leader,
            is_in_touch,
            failure: known.running_state.as_ref().err().map(ToString::to_string),
            term: known.current_term,
            last_entry: known.last_log_index.unwrap_or_default(),
            applied_entry: known.last_applied.map_or(0, |applied| applied.index),
            snapshot_entry: known.snapshot.map_or(0, |snapshot| snapshot.index),
            revision,
            voters: known.membership_config.voter_ids().count() as u64,
            live_proxies,
            ended_proxies,
        }
    }
}

impl std::fmt::Debug for NodeObserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeObserver({:?})", self.standing())
    }
}
