//! A new cluster made of what one node's disk has, when a majority is lost for good. Done on the disk alone, while the node does not run: it becomes the
//! only node of another cluster, which the old one's nodes do not belong to. What that means for the state, [`State::recover`] says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openraft::{CommittedLeaderId, LogId, Membership, SnapshotMeta, StoredMembership, Vote};
use podway_topology_api::{ClusterId, LogTime, Member, NodeId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::feed::{EVENTS_KEPT, Feed};
use crate::raft::disk::{Disk, DiskError, FILE_NAME, Head};
use crate::raft::machine::Machine;
use crate::raft::types::Entry;
use crate::state::{INDEXES_SKIPPED, State};

/// What a node's disk has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The node.
    pub node: NodeId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// The other nodes, as this one knows them.
    pub others: BTreeMap<NodeId, Member>,
    /// The term of the last entry.
    pub term: u64,
    /// The last entry.
    pub last_index: u64,
    /// The last change of the map.
    pub revision: u64,
    /// The time of the last entry, by the leader's clock.
    pub time: LogTime,
}

/// What was made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The new cluster.
    pub cluster: ClusterId,
    /// The revision that it begins with.
    pub revision: u64,
    /// What a person has to know.
    pub notes: Vec<String>,
}

/// Why no cluster was made.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The directory is no node's.
    #[error("there is no topology node's file in {0}")]
    NotThere(PathBuf),
    /// The disk; perhaps the node runs.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The node never was part of a cluster.
    #[error("this node has no cluster: there is nothing to make one of")]
    NoCluster,
    /// A record cannot be read.
    #[error("the node's file: {0}")]
    Garbled(String),
}

/// A disk that is looked at, with what it says.
struct Opened {
    disk: Disk,
    found: Found,
    myself: Member,
    state: State,
}

/// Says what a node's disk has, and changes nothing. The node must not run.
pub async fn inspect(directory: &Path) -> Result<Found, RecoveryError> {
    let opened = open(directory).await?;
    opened.disk.close().await;
    Ok(opened.found)
}

/// Makes a new cluster of what a node's disk has, with that node alone. The node must not run.
pub async fn recover(directory: &Path) -> Result<Recovered, RecoveryError> {
    let Opened { disk, found, myself, mut state } = open(directory).await?;
    let index = found.last_index + INDEXES_SKIPPED;
    let notes = state.recover(index);
    let cluster = ClusterId::random();
    let last = LogId::new(CommittedLeaderId::new(found.term + 1, found.node), index);
    let voters = vec![BTreeSet::from([found.node])];
    let membership = Membership::new(voters, BTreeMap::from([(found.node, myself)]));
    let meta = SnapshotMeta {
        last_log_id: Some(last),
        last_membership: StoredMembership::new(Some(last), membership),
        snapshot_id: format!("{index}-recovered"),
    };
    let records = vec![
        (Head::Cluster, cluster.bytes().to_vec()),
        (Head::Vote, printed(&Vote::<NodeId>::new(found.term + 2, found.node))?),
        (Head::Committed, printed(&last)?),
        (Head::Purged, printed(&last)?),
        (Head::SnapshotMeta, printed(&meta)?),
        (Head::Snapshot, printed(&state)?),
    ];
    // All or nothing: a disk on which this was begun is as it was, or done.
    let done = disk.cut(.., records).await;
    disk.close().await;
    done?;
    Ok(Recovered { cluster, revision: index, notes })
}

async fn open(directory: &Path) -> Result<Opened, RecoveryError> {
    if !directory.join(FILE_NAME).is_file() {
        return Err(RecoveryError::NotThere(directory.to_owned()));
    }
    let disk = Disk::in_directory(directory)?;
    match read(&disk).await {
        Ok((found, myself, state)) => Ok(Opened { disk, found, myself, state }),
        Err(error) => {
            disk.close().await;
            Err(error)
        }
    }
}

async fn read(disk: &Disk) -> Result<(Found, Member, State), RecoveryError> {
    let garbled = |error: &dyn std::fmt::Display| RecoveryError::Garbled(error.to_string());
    let [node, cluster] = disk.heads([Head::Node, Head::Cluster]).await?;
    let node = node.and_then(|bytes| bytes.try_into().ok()).ok_or(RecoveryError::NoCluster)?;
    let node = NodeId(u64::from_be_bytes(node));
    let cluster = cluster.as_deref().and_then(ClusterId::from_bytes).ok_or(RecoveryError::NoCluster)?;

    let feed = Arc::new(Feed::new(EVENTS_KEPT));
    let machine = Machine::open(disk.clone(), feed).await.map_err(|error| garbled(&error))?;
    // Every entry counts, also those of which this node does not know whether a majority has them: what was answered is among them.
    for bytes in disk.entries(.., usize::MAX).await? {
        machine.replay(parsed::<Entry>(&bytes)?);
    }
    let (last, members) = machine.stands();
    let last = last.ok_or(RecoveryError::NoCluster)?;
    let mut others: BTreeMap<NodeId, Member> = members.into_iter().collect();
    let myself = others.remove(&node).ok_or(RecoveryError::NoCluster)?;
    let vote = disk.head(Head::Vote).await?.map(|bytes| parsed::<Vote<NodeId>>(&bytes)).transpose()?;
    let term = vote.map_or(0, |vote| vote.leader_id.term).max(last.leader_id.term);
    let state = machine.look(State::clone);
    let (revision, time) = (state.map().revision.0, state.time());
    Ok((Found { node, cluster, others, term, last_index: last.index, revision, time }, myself, state))
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RecoveryError> {
    serde_json::from_slice(bytes).map_err(|error| RecoveryError::Garbled(error.to_string()))
}

fn printed<T: Serialize>(value: &T) -> Result<Vec<u8>, RecoveryError> {
    serde_json::to_vec(value).map_err(|error| RecoveryError::Garbled(error.to_string()))
}
