//! Raft's log, vote and commit mark on a [`Disk`]. A call returns when its bytes are synced; only the commit mark may come later, because it
//! merely saves work at a restart.

use std::fmt::Debug;
use std::ops::RangeBounds;

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{
    AnyError, LogId, LogState, OptionalSend, RaftLogId, RaftLogReader, StorageError, StorageIOError, Vote,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::disk::{Disk, DiskError, Head};
use super::types::{Entry, TypeConfig};
use podway_topology_api::NodeId;

/// Replication reads at most so many bytes at once, so that one message stays small; a single entry may be larger.
const READ_BYTES: usize = 4 << 20;

type Outcome<T> = Result<T, StorageError<NodeId>>;

/// The log of one node. Clones are the same log.
#[derive(Clone)]
pub struct RaftLog {
    disk: Disk,
    node: NodeId,
}

impl RaftLog {
    /// The log of this node on its disk.
    pub fn new(disk: Disk, node: NodeId) -> RaftLog {
        RaftLog { disk, node }
    }

    async fn record<T: DeserializeOwned>(&self, head: Head) -> Result<Option<T>, AnyError> {
        let bytes = self.disk.head(head).await.map_err(|error| AnyError::new(&error))?;
        bytes.map(|bytes| parsed(&bytes)).transpose()
    }
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, AnyError> {
    serde_json::from_slice(bytes).map_err(|error| AnyError::new(&error))
}

fn printed<T: Serialize>(value: &T) -> Result<Vec<u8>, AnyError> {
    serde_json::to_vec(value).map_err(|error| AnyError::new(&error))
}

fn reading(error: impl Into<AnyError>) -> StorageError<NodeId> {
    StorageIOError::read_logs(error).into()
}

fn writing(error: impl Into<AnyError>) -> StorageError<NodeId> {
    StorageIOError::write_logs(error).into()
}

fn disk_failed(error: DiskError) -> AnyError {
    AnyError::new(&error)
}

impl RaftLogReader<TypeConfig> for RaftLog {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Outcome<Vec<Entry>> {
        let range = (range.start_bound().cloned(), range.end_bound().cloned());
        let entries =
            self.disk.entries(range, usize::MAX).await.map_err(|error| reading(disk_failed(error)))?;
        entries.iter().map(|entry| parsed(entry).map_err(reading)).collect()
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Outcome<Vec<Entry>> {
        let entries = self.disk.entries(start..end, READ_BYTES).await;
        let entries = entries.map_err(|error| reading(disk_failed(error)))?;
        entries.iter().map(|entry| parsed(entry).map_err(reading)).collect()
    }
}

impl RaftLogStorage<TypeConfig> for RaftLog {
    type LogReader = RaftLog;

    async fn get_log_state(&mut self) -> Outcome<LogState<TypeConfig>> {
        let purged = self.record(Head::Purged).await.map_err(reading)?;
        let last = self.disk.last_entry().await.map_err(|error| reading(disk_failed(error)))?;
        let last: Option<Entry> = last.map(|entry| parsed(&entry).map_err(reading)).transpose()?;
        let last = last.map(|entry| *entry.get_log_id()).or(purged);
        Ok(LogState { last_purged_log_id: purged, last_log_id: last })
    }

    async fn get_log_reader(&mut self) -> RaftLog {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<NodeId>) -> Outcome<()> {
        let bytes = printed(vote).map_err(StorageIOError::write_vote)?;
        let written = self.disk.put_heads(vec![(Head::Vote, bytes)]).await;
        Ok(written.map_err(|error| StorageIOError::write_vote(disk_failed(error)))?)
    }

    /// Read once, when the node starts. One that led before has to be elected anew: openraft would have it lead on at once, in its old term, and take
    /// the first entry of that term for the least that a linearizable read has to see. But the commit mark may have been lost, and with it the
    /// knowledge of what was answered since. A new term begins with an entry behind all of that.
    async fn read_vote(&mut self) -> Outcome<Option<Vote<NodeId>>> {
        let vote: Option<Vote<NodeId>> = self.record(Head::Vote).await.map_err(StorageIOError::read_vote)?;
        Ok(vote.map(|vote| match vote.leader_id.voted_for() == Some(self.node) {
            true => Vote { committed: false, ..vote },
            false => vote,
        }))
    }

    async fn save_committed(&mut self, committed: Option<LogId<NodeId>>) -> Outcome<()> {
        let bytes = committed.map(|committed| printed(&committed)).transpose().map_err(writing)?;
        self.disk.put_lazily(Head::Committed, bytes).await.map_err(|error| writing(disk_failed(error)))
    }

    async fn read_committed(&mut self) -> Outcome<Option<LogId<NodeId>>> {
        self.record(Head::Committed).await.map_err(reading)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Outcome<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let bytes = |entry: Entry| Ok((entry.log_id.index, printed(&entry)?));
        let entries: Result<Vec<_>, AnyError> = entries.into_iter().map(bytes).collect();
        match self.disk.append(entries.map_err(writing)?).await {
            Ok(()) => callback.log_io_completed(Ok(())),
            Err(error) => {
                callback.log_io_completed(Err(std::io::Error::other(error.to_string())));
                return Err(writing(disk_failed(error)));
            }
        }
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId<NodeId>) -> Outcome<()> {
        self.disk.cut(log_id.index.., Vec::new()).await.map_err(|error| writing(disk_failed(error)))
    }

    async fn purge(&mut self, log_id: LogId<NodeId>) -> Outcome<()> {
        let purged = printed(&log_id).map_err(writing)?;
        let cut = self.disk.cut(..=log_id.index, vec![(Head::Purged, purged)]).await;
        cut.map_err(|error| writing(disk_failed(error)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::{Arc, OnceLock};

    use openraft::error::{CheckIsLeaderError, RaftError};
    use openraft::{CommittedLeaderId, Config, EntryPayload, Membership};
    use podway_topology_api::{Member, StoreId, Wire};

    use super::*;
    use crate::feed::{EVENTS_KEPT, Feed};
    use crate::raft::machine::{Machine, MachineHandle};
    use crate::raft::network::Network;
    use crate::raft::peers::{Myself, Peers};
    use crate::raft::types::Raft;

    const MYSELF: NodeId = NodeId(1);
    const OTHER: NodeId = NodeId(2);

    fn entry(index: u64, payload: EntryPayload<TypeConfig>) -> Vec<u8> {
        let log_id = LogId::new(CommittedLeaderId::new(1, MYSELF), index);
        printed(&Entry { log_id, payload }).unwrap()
    }

    /// Of the last leader's two entries, the disk knows the first one only to be committed.
    async fn disk_of_a_leader() -> Disk {
        let disk = Disk::in_memory().unwrap();
        let member = |id: NodeId| {
            (id, Member { peer: "127.0.0.1:1".into(), client: String::new(), store: StoreId::random() })
        };
        let members = BTreeMap::from([MYSELF, OTHER].map(member));
        let members = Membership::new(vec![BTreeSet::from([MYSELF, OTHER])], members);
        let entries =
            vec![(0, entry(0, EntryPayload::Membership(members))), (1, entry(1, EntryPayload::Blank))];
        disk.append(entries).await.unwrap();
        let mut log = RaftLog::new(disk.clone(), MYSELF);
        log.save_vote(&Vote::new_committed(1, MYSELF)).await.unwrap();
        log.save_committed(Some(LogId::new(CommittedLeaderId::new(1, MYSELF), 0))).await.unwrap();
        disk
    }

    #[tokio::test]
    async fn a_leader_that_starts_again_has_to_be_elected_again() {
        let disk = disk_of_a_leader().await;
        let machine = Machine::open(disk.clone(), Arc::new(Feed::new(EVENTS_KEPT))).await.unwrap();
        let myself = Myself { node: MYSELF, store: StoreId::random(), cluster: OnceLock::new() };
        let peers = Arc::new(Peers::new(Arc::new(myself), None, Wire::default(), None));
        let (log, machine) = (RaftLog::new(disk, MYSELF), MachineHandle(machine));
        let config = Arc::new(Config::default());
        let raft = Raft::new(MYSELF, config, Network::new(peers), log, machine).await.unwrap();
        // As a leader it would ask the other node whether it still is one.
        let read = raft.get_read_log_id().await;
        let is_no_leader =
            |error: &_| matches!(error, RaftError::APIError(CheckIsLeaderError::ForwardToLeader(_)));
        assert!(read.as_ref().is_err_and(is_no_leader), "{read:?}");
        raft.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn a_vote_for_another_node_is_read_as_it_was_written() {
        let mut log = RaftLog::new(Disk::in_memory().unwrap(), MYSELF);
        for vote in [Vote::new(3, OTHER), Vote::new_committed(3, OTHER), Vote::new(4, MYSELF)] {
            log.save_vote(&vote).await.unwrap();
            assert_eq!(log.read_vote().await.unwrap(), Some(vote));
        }
    }
}
