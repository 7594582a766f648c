//! The state in memory, and what openraft does to it: apply, snapshot, install. It is rebuilt from the last snapshot and the log at every start.
//! What an entry means is the state's business.

use std::io::Cursor;
use std::sync::Arc;

use openraft::storage::RaftStateMachine;
use openraft::{
    AnyError, EntryPayload, LogId, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageError,
    StorageIOError, StoredMembership,
};
use parking_lot::RwLock;
use podway_model::Change;
use podway_topology_api::{Member, NodeId};
use tonic::codegen::Bytes;

use super::disk::{Disk, Head};
use super::types::{Entry, Outcome, TypeConfig};
use crate::feed::{Feed, FeedEvent};
use crate::state::State;

/// A piece of a snapshot for watchers has about so many changes: a map of ten thousand tables is then a few dozen messages.
const CHANGES_IN_A_PIECE: usize = 256;

/// What a watcher gets in the place of changes that could not be printed: nothing that it could take for changes.
const UNPRINTABLE: &[u8] = b"unprintable";

/// The whole map at one revision, encoded for watchers.
#[derive(Debug)]
pub struct WatchSnapshot {
    /// Which.
    pub revision: u64,
    /// The pieces, each a `Vec<Change>` as JSON; at least one.
    pub pieces: Vec<Bytes>,
}

/// The state and what feeds on it. Shared by Raft, which alone changes it, and its readers.
pub struct Machine {
    applied: RwLock<Applied>,
    feed: Arc<Feed>,
    disk: Disk,
    encoded: tokio::sync::Mutex<Option<Arc<WatchSnapshot>>>,
}

struct Applied {
    state: State,
    last: Option<LogId<NodeId>>,
    membership: StoredMembership<NodeId, Member>,
}

type Done<T> = Result<T, StorageError<NodeId>>;

impl Machine {
    /// As the last snapshot on `disk` has it; empty without one.
    pub async fn open(disk: Disk, feed: Arc<Feed>) -> Done<Arc<Machine>> {
        let applied = Applied { state: State::new(), last: None, membership: StoredMembership::default() };
        let machine =
            Machine { applied: RwLock::new(applied), feed, disk, encoded: tokio::sync::Mutex::default() };
        if let Some(snapshot) = machine.saved().await? {
            machine.take(&snapshot.meta, snapshot.snapshot.get_ref())?;
        }
        Ok(Arc::new(machine))
    }

    /// Looks at the state between two entries.
    pub fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.applied.read().state)
    }

    /// The feed of changes.
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// The whole map for watchers: made once for all that ask about the same time.
    pub async fn watch_snapshot(&self) -> Arc<WatchSnapshot> {
        let mut encoded = self.encoded.lock().await;
        // An older one does as well where the feed still has what came after it.
        if let Some(made) = encoded.as_ref()
            && !matches!(self.feed.after(made.revision), crate::feed::Next::TooOld)
        {
            return made.clone();
        }
        let map = self.look(|state| state.map().clone());
        let revision = map.revision.0;
        // A large map takes milliseconds to print: not on a thread that serves others.
        let printing = self
            .disk
            .aside(move || map.as_changes().chunks(CHANGES_IN_A_PIECE).map(printed_changes).collect());
        // The thread cannot fail but by a bug in printing, which a watcher has to stumble over.
        let pieces = printing.await.unwrap_or_else(|_| vec![Bytes::from_static(UNPRINTABLE)]);
        let made = Arc::new(WatchSnapshot { revision, pieces });
        *encoded = Some(made.clone());
        made
    }

    /// Applies an entry that the log has, unless the snapshot has it already.
    pub fn replay(&self, entry: Entry) {
        let is_new = self.applied.read().last.is_none_or(|last| last < entry.log_id);
        if is_new {
            self.step(entry);
        }
    }

    /// The last entry that was applied, and the nodes that it leaves the cluster with.
    pub fn stands(&self) -> (Option<LogId<NodeId>>, Vec<(NodeId, Member)>) {
        let applied = self.applied.read();
        let nodes = applied.membership.nodes().map(|(id, member)| (*id, member.clone()));
        (applied.last, nodes.collect())
    }

    fn step(&self, entry: Entry) -> Outcome {
        let mut applied = self.applied.write();
        applied.last = Some(entry.log_id);
        match entry.payload {
            EntryPayload::Blank => Outcome(None),
            EntryPayload::Membership(membership) => {
                applied.membership = StoredMembership::new(Some(entry.log_id), membership);
                Outcome(None)
            }
            EntryPayload::Normal(logged) => {
                let revision = entry.log_id.index;
                let stepped = applied.state.apply(logged.at, revision, &logged.proposal);
                if !stepped.changes.is_empty() {
                    self.feed.push(FeedEvent { revision, changes: printed_changes(&stepped.changes) });
                }
                Outcome(Some(stepped.answer))
            }
        }
    }

    fn take(&self, meta: &SnapshotMeta<NodeId, Member>, bytes: &[u8]) -> Done<()> {
        let state: State = serde_json::from_slice(bytes)
            .map_err(|error| StorageIOError::read_snapshot(Some(meta.signature()), AnyError::new(&error)))?;
        let revision = state.map().revision.0;
        let membership = meta.last_membership.clone();
        *self.applied.write() = Applied { state, last: meta.last_log_id, membership };
        self.feed.restart(revision);
        Ok(())
    }

    async fn saved(&self) -> Done<Option<Snapshot<TypeConfig>>> {
        let failed = |error: AnyError| StorageIOError::read_snapshot(None, error);
        let heads = self.disk.heads([Head::SnapshotMeta, Head::Snapshot]).await;
        let [Some(meta), Some(body)] = heads.map_err(|error| failed(AnyError::new(&error)))? else {
            return Ok(None);
        };
        let meta = serde_json::from_slice(&meta).map_err(|error| failed(AnyError::new(&error)))?;
        Ok(Some(Snapshot { meta, snapshot: Box::new(Cursor::new(body)) }))
    }

    async fn save(&self, meta: &SnapshotMeta<NodeId, Member>, body: Vec<u8>) -> Done<()> {
        let failed = |error| StorageIOError::write_snapshot(Some(meta.signature()), error);
        let head = serde_json::to_vec(meta).map_err(|error| failed(AnyError::new(&error)))?;
        let records = vec![(Head::SnapshotMeta, head), (Head::Snapshot, body)];
        Ok(self.disk.put_heads(records).await.map_err(|error| failed(AnyError::new(&error)))?)
    }
}

/// Changes as watchers get them.
fn printed_changes(changes: &[Change]) -> Bytes {
    match serde_json::to_vec(changes) {
        Ok(bytes) => bytes.into(),
        // Plain data with text keys always prints. If it ever did not, a watcher must stumble rather than miss a change.
        Err(error) => {
            tracing::error!(%error, "changes of the map cannot be printed");
            Bytes::from_static(UNPRINTABLE)
        }
    }
}

/// openraft's handle of the [`Machine`].
#[derive(Clone)]
pub struct MachineHandle(pub Arc<Machine>);

impl RaftSnapshotBuilder<TypeConfig> for MachineHandle {
    async fn build_snapshot(&mut self) -> Done<Snapshot<TypeConfig>> {
        let (state, meta) = {
            let applied = self.0.applied.read();
            let index = applied.last.map_or(0, |last| last.index);
            let meta = SnapshotMeta {
                last_log_id: applied.last,
                last_membership: applied.membership.clone(),
                snapshot_id: format!("{index}-{:08x}", rand::random::<u32>()),
            };
            (applied.state.clone(), meta)
        };
        // A large state takes milliseconds to print: not on a thread that serves others.
        let printed = self.0.disk.aside(move || serde_json::to_vec(&state)).await;
        let failed = |error| StorageIOError::write_snapshot(Some(meta.signature()), error);
        let bytes = printed
            .map_err(|error| failed(AnyError::new(&error)))?
            .map_err(|error| failed(AnyError::new(&error)))?;
        self.0.save(&meta, bytes.clone()).await?;
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) })
    }
}

impl RaftStateMachine<TypeConfig> for MachineHandle {
    type SnapshotBuilder = MachineHandle;

    async fn applied_state(&mut self) -> Done<(Option<LogId<NodeId>>, StoredMembership<NodeId, Member>)> {
        let applied = self.0.applied.read();
        Ok((applied.last, applied.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Done<Vec<Outcome>>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        Ok(entries.into_iter().map(|entry| self.0.step(entry)).collect())
    }

    async fn get_snapshot_builder(&mut self) -> MachineHandle {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Done<Box<Cursor<Vec<u8>>>> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<NodeId, Member>,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Done<()> {
        let bytes = snapshot.into_inner();
        self.0.save(meta, bytes.clone()).await?;
        self.0.take(meta, &bytes)
    }

    async fn get_current_snapshot(&mut self) -> Done<Option<Snapshot<TypeConfig>>> {
        self.0.saved().await
    }
}
