//! Who the nodes are: told, and changed one at a time by the leader. A node gets its vote when it has the log; one that lost its disk has none
//! until it is replaced by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::{ChangeMembers, RaftMetrics};
use podway_topology_api::contract::{IdentifyReply, IdentifyRequest};
use podway_topology_api::status::describe;
use podway_topology_api::{
    ClusterId, Member, MemberChange, MemberRole, MemberStatus, Members, NodeId, StoreError, StoreId,
};
use tonic::Request;

use super::Keeper;
use super::answers::not_written;
use super::leader::{MEMBERS_WITHIN, away};
use crate::config::MAX_NODES;
use crate::raft::peers::Peers;

/// A node says who it is within this.
const IDENTIFY_WITHIN: Duration = Duration::from_secs(2);
/// A node that answered longer ago than this counts as unreachable.
const REACHABLE_WITHIN: Duration = Duration::from_secs(3);

type Metrics = RaftMetrics<NodeId, Member>;

/// Why a node did not say who it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node at {address} does not say who it is: {reason}")]
pub struct Unreachable {
    /// Where.
    pub address: String,
    /// Why.
    pub reason: String,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduced {
    /// Its number.
    pub node: NodeId,
    /// Its cluster, if it has one.
    pub cluster: Option<ClusterId>,
    /// Its addresses and its disk.
    pub member: Member,
}

/// Asks the node at `address` who it is.
pub async fn identify(peers: &Peers, address: &str) -> Result<Introduced, Unreachable> {
    let failed = |reason: String| Unreachable { address: address.to_owned(), reason };
    let mut client = peers.at(address).map_err(|error| failed(error.to_string()))?;
    let mut request = Request::new(IdentifyRequest {});
    request.set_timeout(IDENTIFY_WITHIN);
    let reply = client.identify(request).await.map_err(|status| failed(describe(&status)))?;
    let IdentifyReply { node, store, cluster, client_address } = reply.into_inner();
    let store = StoreId::from_bytes(&store).ok_or_else(|| failed("it has no store".to_owned()))?;
    let member = Member { peer: address.to_owned(), client: client_address, store };
    Ok(Introduced { node: NodeId(node), cluster: ClusterId::from_bytes(&cluster), member })
}

impl Keeper {
    /// The nodes, as this one knows them.
    pub(super) fn members_here(&self) -> Members {
        self.told(&self.raft.metrics().borrow().clone())
    }

    pub(super) fn members_as_leader(&self) -> Result<Members, StoreError> {
        let metrics = self.raft.metrics().borrow().clone();
        let leads = metrics.current_leader == Some(self.myself.node);
        if leads { Ok(self.told(&metrics)) } else { Err(away("this node does not lead")) }
    }

    fn told(&self, metrics: &Metrics) -> Members {
        let voters: BTreeSet<NodeId> = metrics.membership_config.voter_ids().collect();
        let nodes = metrics.membership_config.nodes().map(|(&id, member)| MemberStatus {
            id,
            member: member.clone(),
            role: match voters.contains(&id) {
                true if metrics.current_leader == Some(id) => MemberRole::Leader,
                true => MemberRole::Voter,
                false => MemberRole::Learner,
            },
            has: has(metrics, id),
            reachable: metrics.replication.as_ref().map(|_| self.is_reachable(id)),
        });
        Members {
            cluster: self.myself.cluster.get().copied().unwrap_or_default(),
            told_by: self.myself.node,
            leader: metrics.current_leader,
            term: metrics.current_term,
            last_index: metrics.last_log_index.unwrap_or(0),
            nodes: nodes.collect(),
        }
    }

    fn is_reachable(&self, id: NodeId) -> bool {
        id == self.myself.node || self.peers.heard(id).is_some_and(|ago| ago < REACHABLE_WITHIN)
    }

    /// Changes the nodes as the leader.
    pub(super) async fn change_members_here(&self, change: MemberChange) -> Result<Members, StoreError> {
        let members = self.members_as_leader()?;
        match change {
            MemberChange::Add { id, peer } => self.add(&members, id, &peer).await?,
            MemberChange::Remove { id } => self.remove(&members, id).await?,
            MemberChange::Replace { old, id, peer } if old == id => {
                self.replace_by_itself(&members, id, &peer).await?;
            }
            MemberChange::Replace { old, id, peer } => {
                self.add(&members, id, &peer).await?;
                self.remove(&self.members_here(), old).await?;
            }
        }
        Ok(self.members_here())
    }

    async fn add(&self, members: &Members, id: NodeId, peer: &str) -> Result<(), StoreError> {
        let known = members.nodes.iter().find(|node| node.id == id);
        let introduced = self.introduced(id, peer).await?;
        match known {
            Some(node) if node.member.store != introduced.store => {
                return refuse(format!(
                    "there is a node {id} already, with another disk: if it lost that, replace {id} by itself"
                ));
            }
            // It was added before, perhaps by an attempt whose answer was lost.
            Some(node) if node.role != MemberRole::Learner => return Ok(()),
            Some(_) => {}
            None if members.nodes.len() >= MAX_NODES => {
                return refuse(format!("the cluster has {MAX_NODES} nodes already, and can have no more"));
            }
            None => {}
        }
        let added = self.raft.add_learner(id, introduced, false).await;
        let index = added.map_err(|error| not_written(&error))?.log_id.index;
        if let Err(error) = self.caught_up(id, index).await {
            let removed = self.raft.change_membership(ChangeMembers::RemoveNodes([id].into()), true).await;
            if let Err(error) = removed {
                tracing::warn!(%id, %error, "a node that did not catch up stays a learner");
            }
            return Err(error);
        }
        self.change(ChangeMembers::AddVoterIds([id].into()), true).await
    }

    async fn remove(&self, members: &Members, id: NodeId) -> Result<(), StoreError> {
        let Some(node) = members.nodes.iter().find(|node| node.id == id) else {
            // It was removed before, perhaps by an attempt whose answer was lost.
            return Ok(());
        };
        if node.role == MemberRole::Learner {
            return self.change(ChangeMembers::RemoveNodes([id].into()), false).await;
        }
        let rest: Vec<_> = members
            .nodes
            .iter()
            .filter(|other| other.id != id && other.role != MemberRole::Learner)
            .collect();
        if rest.is_empty() {
            return refuse(format!("node {id} is the only one that has a vote"));
        }
        let reachable = rest.iter().filter(|other| other.reachable == Some(true)).count();
        if reachable <= rest.len() / 2 {
            return refuse(format!(
                "without node {id} there would be no majority: of the other {} only {reachable} answer",
                rest.len()
            ));
        }
        self.change(ChangeMembers::RemoveVoters([id].into()), false).await
    }

    /// The same number: with an empty disk, what the old disk promised does not count any more, so it leaves first; with the disk that joined, it has
    /// other addresses at most.
    async fn replace_by_itself(&self, members: &Members, id: NodeId, peer: &str) -> Result<(), StoreError> {
        let introduced = self.introduced(id, peer).await?;
        let known = members.nodes.iter().find(|node| node.id == id && node.member.store == introduced.store);
        match known {
            Some(node) if node.member == introduced => {}
            Some(_) => self.change(ChangeMembers::SetNodes([(id, introduced)].into()), true).await?,
            None => self.remove(members, id).await?,
        }
        self.add(&self.members_here(), id, peer).await
    }

    async fn introduced(&self, id: NodeId, peer: &str) -> Result<Member, StoreError> {
        let introduced =
            identify(&self.peers, peer).await.map_err(|error| StoreError::Members(error.to_string()))?;
        if introduced.node != id {
            return refuse(format!("the node at {peer} is node {}, not node {id}", introduced.node));
        }
        match (introduced.cluster, self.myself.cluster.get()) {
            (Some(theirs), Some(ours)) if theirs != *ours => {
                refuse(format!("node {id} belongs to another cluster ({theirs}); this one is {ours}"))
            }
            _ => Ok(introduced.member),
        }
    }

    /// Waits until a node has the log up to `index`; openraft's own waiting takes thousands of missing entries for none.
    async fn caught_up(&self, id: NodeId, index: u64) -> Result<(), StoreError> {
        let within = MEMBERS_WITHIN / 2;
        let has_it = |metrics: &Metrics| {
            metrics.replication.is_none() || has(metrics, id).is_some_and(|has| has >= index)
        };
        let waited = self.raft.wait(Some(within)).metrics(has_it, "a new node has the log").await;
        match waited {
            Ok(metrics) if metrics.replication.is_none() => Err(away("this node does not lead any more")),
            Ok(_) => Ok(()),
            Err(_) => refuse(format!("node {id} did not fetch the log within {within:?}; it was not added")),
        }
    }

    /// A node as the configuration has it.
    pub fn member(&self, id: NodeId) -> Option<Member> {
        let metrics = self.raft.server_metrics();
        let known = metrics.borrow();
        known.membership_config.nodes().find(|(node, _)| **node == id).map(|(_, member)| member.clone())
    }

    /// Puts this node's own addresses right, as the leader. The disk must be the one that joined: another one is another node.
    pub async fn correct(&self, own: Member) {
        let id = self.myself.node;
        if self.member(id).is_none_or(|known| known.store != own.store) {
            return;
        }
        let corrected = self.change(ChangeMembers::SetNodes([(id, own)].into()), true).await;
        if let Err(error) = corrected {
            tracing::info!(%error, "this node's address is not right in the configuration yet");
        }
    }

    async fn change(&self, change: ChangeMembers<NodeId, Member>, retain: bool) -> Result<(), StoreError> {
        self.raft.change_membership(change, retain).await.map_err(|error| not_written(&error))?;
        Ok(())
    }
}

fn has(metrics: &Metrics, id: NodeId) -> Option<u64> {
    if id == metrics.id {
        return metrics.last_log_index;
    }
    metrics.replication.as_ref()?.get(&id)?.map(|log_id| log_id.index)
}

fn refuse<T>(why: String) -> Result<T, StoreError> {
    Err(StoreError::Members(why))
}
