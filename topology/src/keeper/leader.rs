//! Asking the leader: directly where it is this node, over the peer port where it is another, again where it has just changed. It does not know
//! what is asked.

use std::time::Duration;

use podway_topology_api::contract::PeerRequest;
use podway_topology_api::status::{describe, from_status, is_worth_another_try};
use podway_topology_api::{
    Answer, Beat, BeatAnswer, LogTime, Member, MemberChange, Members, NodeId, Proposal, StoreError,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use tokio::time::{Instant, timeout};
use tonic::{Request, Status};

use super::Keeper;

/// A question waits so long for a leader: longer than an election takes.
pub const LEADER_WITHIN: Duration = Duration::from_secs(2);
/// A leader that does not answer an ordinary question within this is asked no more.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Changing the nodes takes as long as a new node needs to fetch the state.
pub const MEMBERS_WITHIN: Duration = Duration::from_secs(110);
/// A leader that is known but does not answer is asked again after this, unless another is elected before.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// What only the leader answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Asked {
    /// Make a change: an [`Answer`].
    Propose(Proposal),
    /// The log index that a linearizable read has to see: a `u64`.
    ReadIndex,
    /// Renew a lease: a [`BeatAnswer`].
    Beat(Beat),
    /// How the nodes stand: [`Members`].
    Members,
    /// Change the nodes: [`Members`].
    ChangeMembers(MemberChange),
}

/// Who leads, as this node knows.
enum Leader {
    Me,
    Other(NodeId, Member),
    Nobody,
}

impl Asked {
    fn within(&self) -> Duration {
        match self {
            Asked::ChangeMembers(_) => MEMBERS_WITHIN,
            _ => ANSWER_WITHIN,
        }
    }
}

impl Keeper {
    /// Makes a change, wherever the leader is.
    pub async fn propose(&self, proposal: Proposal) -> Result<Answer, StoreError> {
        self.ask_leader(Asked::Propose(proposal)).await
    }

    /// Renews a lease, wherever the leader is.
    pub async fn beat(&self, beat: Beat) -> Result<BeatAnswer, StoreError> {
        self.ask_leader(Asked::Beat(beat)).await
    }

    /// How the nodes stand, as the leader knows; as this node knows, where there is none. A node that waits to join knows of nobody: another
    /// one is to be asked.
    pub async fn members(&self) -> Result<Members, StoreError> {
        match self.ask_leader(Asked::Members).await {
            Err(error @ StoreError::Away { .. }) => {
                let here = self.members_here();
                if here.nodes.is_empty() { Err(error) } else { Ok(here) }
            }
            told => told,
        }
    }

    /// Changes the nodes, wherever the leader is.
    pub async fn change_members(&self, change: MemberChange) -> Result<Members, StoreError> {
        self.ask_leader(Asked::ChangeMembers(change)).await
    }

    /// Where clients reach the leader, if it is known and not this node.
    pub fn leader_address(&self) -> Option<String> {
        match self.leader() {
            Leader::Other(_, member) => Some(member.client),
            Leader::Me | Leader::Nobody => None,
        }
    }

    /// Asks whoever leads, until one answers or [`LEADER_WITHIN`] has passed without one.
    pub(super) async fn ask_leader<T: DeserializeOwned>(&self, asked: Asked) -> Result<T, StoreError> {
        let start = Instant::now();
        let mut elections = self.raft.server_metrics();
        loop {
            elections.mark_unchanged();
            let answer = match self.leader() {
                Leader::Me => timeout(asked.within(), self.answer(asked.clone())).await,
                Leader::Other(id, member) => timeout(asked.within(), self.forward(id, &member, &asked)).await,
                Leader::Nobody => Ok(Err(away("there is no leader"))),
            };
            let error = match answer {
                Ok(Ok(bytes)) => {
                    return serde_json::from_slice(&bytes).map_err(|error| garbled(&error));
                }
                Ok(Err(error)) => error,
                Err(_) => away("the leader does not answer"),
            };
            let StoreError::Away { last, .. } = error else { return Err(error) };
            let waited = start.elapsed();
            if waited >= LEADER_WITHIN {
                return Err(StoreError::Away { waited, last });
            }
            // Another leader, or another try at this one: whichever comes first.
            let _either = timeout(ASK_AGAIN, elections.changed()).await;
        }
    }

    async fn forward(&self, id: NodeId, member: &Member, asked: &Asked) -> Result<Vec<u8>, StoreError> {
        let mut client = self.peers.at(&member.peer).map_err(|error| away(&error.to_string()))?;
        let payload = serde_json::to_vec(asked).map_err(|error| garbled(&error))?;
        let envelope = Some(self.peers.envelope(id, member));
        let mut request = Request::new(PeerRequest { envelope, payload: payload.into() });
        request.set_timeout(asked.within());
        match client.forward(request).await {
            Ok(reply) => Ok(reply.into_inner().payload.into()),
            Err(status) => Err(refused(&status)),
        }
    }

    fn leader(&self) -> Leader {
        let metrics = self.raft.server_metrics();
        // Read and let go: whoever holds it keeps Raft from going on.
        let known = metrics.borrow();
        let Some(id) = known.current_leader else { return Leader::Nobody };
        if id == self.myself.node {
            return Leader::Me;
        }
        let member = known.membership_config.nodes().find(|(node, _)| **node == id);
        member.map_or(Leader::Nobody, |(_, member)| Leader::Other(id, member.clone()))
    }

    /// This node's clock: the time since 1970.
    pub(super) fn wall_clock(&self) -> Duration {
        Duration::from_millis(self.clock.now_ms())
    }

    /// This node's clock, for an entry that it proposes as the leader; never before that of the one before.
    pub fn stamp(&self) -> LogTime {
        let now = self.clock.now_ms();
        let last = self.last_stamp.fetch_max(now, Ordering::Relaxed);
        LogTime(now.max(last))
    }
}

fn refused(status: &Status) -> StoreError {
    if is_worth_another_try(status) { away(&describe(status)) } else { from_status(status, Duration::ZERO) }
}

/// There is no answer now; how long it was tried, the one who tries says.
pub(super) fn away(last: &str) -> StoreError {
    StoreError::Away { waited: Duration::ZERO, last: last.to_owned() }
}

pub(super) fn garbled(error: &serde_json::Error) -> StoreError {
    StoreError::Garbled(error.to_string())
}
