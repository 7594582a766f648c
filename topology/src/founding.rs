//! How a cluster begins: who makes it, and its first command. A node whose disk has a cluster already does nothing here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{InitializeError, RaftError};
use podway_model::ClusterSecret;
use podway_topology_api::{ClientId, ClusterId, Command, Member, NodeId, Proposal, Refusal};
use rand::Rng;
use tokio::time::sleep;

use crate::config::{InitialMember, Start};
use crate::keeper::{Keeper, identify};
use crate::raft::disk::{Disk, DiskError};

/// Nodes that do not answer yet are asked again after this.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// The length of a cluster's secret.
const SECRET_BYTES: usize = 32;

/// Why a cluster was not made.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A node that should join has a cluster: it is not new, or this one's disk was lost.
    #[error(
        "node {id} belongs to a cluster already ({cluster}): no new one is made. If this node lost its disk, start it to join, and replace it"
    )]
    NotNew {
        /// Which node.
        id: NodeId,
        /// Its cluster.
        cluster: ClusterId,
    },
    /// Another node listens where one is expected.
    #[error("at {address} is node {found}, not node {expected}")]
    AnotherNode {
        /// Where.
        address: String,
        /// Who is there.
        found: NodeId,
        /// Who should be.
        expected: NodeId,
    },
    /// Raft would not begin.
    #[error("Raft: {0}")]
    Raft(String),
}

/// Makes the cluster, if there is none yet and it is this node's part to. Waits for the other nodes of a new cluster as long as it takes.
pub async fn found(keeper: &Keeper, disk: &Disk, own: &Member, start: &Start) -> Result<(), FoundingError> {
    let failed = |error: &dyn std::fmt::Display| FoundingError::Raft(error.to_string());
    if keeper.raft.is_initialized().await.map_err(|error| failed(&error))? {
        return Ok(());
    }
    let members = match start {
        Start::Join => return Ok(()),
        Start::Alone => BTreeMap::from([(keeper.myself.node, own.clone())]),
        Start::Together(members) => {
            let lowest = members.iter().map(|member| member.id).min();
            if lowest != Some(keeper.myself.node) {
                return Ok(());
            }
            meet(keeper, own, members).await?
        }
    };
    // One that stopped right here before has its number already.
    let cluster = *keeper.myself.cluster.get_or_init(ClusterId::random);
    disk.join(cluster).await?;
    match keeper.raft.initialize(members).await {
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(error) => Err(failed(&error)),
    }
}

/// Waits until all nodes of a new cluster answer from empty disks.
async fn meet(
    keeper: &Keeper,
    own: &Member,
    members: &[InitialMember],
) -> Result<BTreeMap<NodeId, Member>, FoundingError> {
    let mut met = BTreeMap::from([(keeper.myself.node, own.clone())]);
    for member in members.iter().filter(|member| member.id != keeper.myself.node) {
        let introduced = loop {
            match identify(&keeper.peers, &member.peer).await {
                Ok(introduced) => break introduced,
                Err(error) => tracing::info!(%error, "waiting for the nodes of the new cluster"),
            }
            sleep(ASK_AGAIN).await;
        };
        if introduced.node != member.id {
            let (found, expected) = (introduced.node, member.id);
            return Err(FoundingError::AnotherNode { address: member.peer.clone(), found, expected });
        }
        if let Some(cluster) = introduced.cluster
            && Some(&cluster) != keeper.myself.cluster.get()
        {
            return Err(FoundingError::NotNew { id: member.id, cluster });
        }
        met.insert(member.id, introduced.member);
    }
    Ok(met)
}

/// What the leader puts right when it finds it missing: the cluster's secret, and its own address if that changed with a restart. Ends when the
/// cluster has its secret and this node's address is right, or the node stops.
pub async fn settle(keeper: Arc<Keeper>, own: Member) {
    let mut stopping = keeper.stopping();
    loop {
        let has_secret = keeper.machine.look(|state| state.secret().is_some());
        let is_known = keeper.member(keeper.myself.node).is_some_and(|known| known == own);
        if has_secret && is_known {
            return;
        }
        if keeper.is_leader() {
            if !has_secret {
                give_secret(&keeper).await;
            }
            if !is_known {
                keeper.correct(own.clone()).await;
            }
        }
        tokio::select! {
            biased;
            () = sleep(ASK_AGAIN) => {}
            _ = stopping.wait_for(|stops| *stops) => return,
        }
    }
}

/// Gives a new cluster its secret; refused, and without effect, where it has one.
async fn give_secret(keeper: &Keeper) {
    let mut secret = [0; SECRET_BYTES];
    rand::rng().fill(&mut secret);
    let proposal = Proposal {
        client: ClientId(rand::random()),
        sequence: 1,
        who: "the topology".into(),
        command: Command::Found { secret: ClusterSecret::new(&secret) },
    };
    match keeper.propose(proposal).await {
        Ok(Ok(_) | Err(Refusal::Founded)) => {}
        Ok(Err(refusal)) => tracing::error!(%refusal, "the cluster was not given its secret"),
        Err(error) => tracing::info!(%error, "the cluster was not given its secret yet"),
    }
}
