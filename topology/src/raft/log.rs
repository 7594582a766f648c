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
pub struct RaftLog(Disk);

impl RaftLog {
    /// The log on this disk.
    pub fn new(disk: Disk) -> RaftLog {
        RaftLog(disk)
    }

    async fn record<T: DeserializeOwned>(&self, head: Head) -> Result<Option<T>, AnyError> {
        let bytes = self.0.head(head).await.map_err(|error| AnyError::new(&error))?;
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
        let entries = self.0.entries(range, usize::MAX).await.map_err(|error| reading(disk_failed(error)))?;
        entries.iter().map(|entry| parsed(entry).map_err(reading)).collect()
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Outcome<Vec<Entry>> {
        let entries = self.0.entries(start..end, READ_BYTES).await;
        let entries = entries.map_err(|error| reading(disk_failed(error)))?;
        entries.iter().map(|entry| parsed(entry).map_err(reading)).collect()
    }
}

impl RaftLogStorage<TypeConfig> for RaftLog {
    type LogReader = RaftLog;

    async fn get_log_state(&mut self) -> Outcome<LogState<TypeConfig>> {
        let purged = self.record(Head::Purged).await.map_err(reading)?;
        let last = self.0.last_entry().await.map_err(|error| reading(disk_failed(error)))?;
        let last: Option<Entry> = last.map(|entry| parsed(&entry).map_err(reading)).transpose()?;
        let last = last.map(|entry| *entry.get_log_id()).or(purged);
        Ok(LogState { last_purged_log_id: purged, last_log_id: last })
    }

    async fn get_log_reader(&mut self) -> RaftLog {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<NodeId>) -> Outcome<()> {
        let bytes = printed(vote).map_err(StorageIOError::write_vote)?;
        let written = self.0.put_heads(vec![(Head::Vote, bytes)]).await;
        Ok(written.map_err(|error| StorageIOError::write_vote(disk_failed(error)))?)
    }

    async fn read_vote(&mut self) -> Outcome<Option<Vote<NodeId>>> {
        Ok(self.record(Head::Vote).await.map_err(StorageIOError::read_vote)?)
    }

    async fn save_committed(&mut self, committed: Option<LogId<NodeId>>) -> Outcome<()> {
        let bytes = committed.map(|committed| printed(&committed)).transpose().map_err(writing)?;
        self.0.put_lazily(Head::Committed, bytes).await.map_err(|error| writing(disk_failed(error)))
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
        match self.0.append(entries.map_err(writing)?).await {
            Ok(()) => callback.log_io_completed(Ok(())),
            Err(error) => {
                callback.log_io_completed(Err(std::io::Error::other(error.to_string())));
                return Err(writing(disk_failed(error)));
            }
        }
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId<NodeId>) -> Outcome<()> {
        self.0.cut(log_id.index.., Vec::new()).await.map_err(|error| writing(disk_failed(error)))
    }

    async fn purge(&mut self, log_id: LogId<NodeId>) -> Outcome<()> {
        let purged = printed(&log_id).map_err(writing)?;
        let cut = self.0.cut(..=log_id.index, vec![(Head::Purged, purged)]).await;
        cut.map_err(|error| writing(disk_failed(error)))
    }
}
