//! One node's disk: a redb file with who the node is, its vote, its log and its last snapshot. What has to survive is synced before it is
//! answered; every call runs on a thread that may block. It knows bytes alone, not what they say.

use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use podway_topology_api::{ClusterId, NodeId, StoreId};
use redb::backends::InMemoryBackend;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::storage::SimulatedStorage;

/// The file's name in a node's directory.
pub const FILE_NAME: &str = "topology.redb";

/// Memory that redb may use for pages: the log's end is what is read again.
const CACHE_BYTES: usize = 32 << 20;

const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
const HEAD: TableDefinition<&str, &[u8]> = TableDefinition::new("head");

/// A record of which there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// The node's number.
    Node,
    /// The store's number.
    Store,
    /// The cluster that the store belongs to.
    Cluster,
    /// The last vote.
    Vote,
    /// The last entry known to be committed.
    Committed,
    /// The last entry that was purged.
    Purged,
    /// The snapshot's description.
    SnapshotMeta,
    /// The snapshot.
    Snapshot,
}

impl Head {
    fn key(self) -> &'static str {
        match self {
            Head::Node => "node",
            Head::Store => "store",
            Head::Cluster => "cluster",
            Head::Vote => "vote",
            Head::Committed => "committed",
            Head::Purged => "purged",
            Head::SnapshotMeta => "snapshot_meta",
            Head::Snapshot => "snapshot",
        }
    }
}

/// Why the disk did not do it.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// redb, or the disk under it.
    #[error("the topology's file: {0}")]
    Redb(#[from] redb::Error),
    /// The directory.
    #[error("{path}: {error}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file belongs to another node.
    #[error("this store is node {found}'s, not node {expected}'s")]
    AnotherNode {
        /// Whose it is.
        found: NodeId,
        /// Who opened it.
        expected: NodeId,
    },
    /// What was read is not what is written there.
    #[error("the topology's file: a record of {0:?} cannot be read")]
    Garbled(&'static str),
    /// The node has stopped.
    #[error("the topology's file is closed")]
    Closed,
    /// The thread that did it is gone.
    #[error("the thread at the disk ended: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for DiskError {
            fn from(error: $error) -> DiskError {
                DiskError::Redb(error.into())
            }
        }
    )*};
}

from_redb!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError
);

/// A node's disk. Clones are the same disk.
#[derive(Clone)]
pub struct Disk {
    database: Arc<RwLock<Option<Database>>>,
    /// If it is a simulation's: then calls never block, and take the simulation's time.
    simulated: Option<SimulatedStorage>,
}

/// Whose a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The node.
    pub node: NodeId,
    /// The disk's own number.
    pub store: StoreId,
    /// The cluster; `None` until the node joins one.
    pub cluster: Option<ClusterId>,
}

impl Disk {
    /// Opens the store in a directory, or makes both. Fails if another process has it open.
    pub fn in_directory(directory: &Path) -> Result<Disk, DiskError> {
        let failed = |error| DiskError::Directory { path: directory.to_owned(), error };
        make_private(directory).map_err(failed)?;
        let file = open_private(&directory.join(FILE_NAME)).map_err(failed)?;
        let database = Database::builder().set_cache_size(CACHE_BYTES).create_file(file)?;
        // The file's own directory entry has to survive too, or a vote could be lost with it.
        std::fs::File::open(directory).and_then(|opened| opened.sync_all()).map_err(failed)?;
        Disk::with_tables(database, None)
    }

    /// A store that ends with the process: for trying out, and for tests.
    pub fn in_memory() -> Result<Disk, DiskError> {
        let database = Database::builder().create_with_backend(InMemoryBackend::new())?;
        Disk::with_tables(database, None)
    }

    /// A store on a simulation's disk.
    pub fn simulated(storage: &SimulatedStorage) -> Result<Disk, DiskError> {
        let database = Database::builder().create_with_backend(storage.backend())?;
        Disk::with_tables(database, Some(storage.clone()))
    }

    fn with_tables(database: Database, simulated: Option<SimulatedStorage>) -> Result<Disk, DiskError> {
        let write = database.begin_write()?;
        write.open_table(LOG)?;
        write.open_table(HEAD)?;
        write.commit()?;
        Ok(Disk { database: Arc::new(RwLock::new(Some(database))), simulated })
    }

    /// Ends the store's use, so that it can be opened again; whoever still holds it gets [`DiskError::Closed`].
    pub async fn close(&self) {
        let disk = self.clone();
        // Dropping the database syncs: not on a thread that serves others. It cannot fail but by the thread's end, which closes it too.
        let _ended = self.aside(move || drop(disk.database.write().take())).await;
    }

    /// Does work that takes long, or that may block, on a thread of its own; a simulation has one thread, and waits.
    pub async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, DiskError> {
        match self.simulated {
            None => Ok(tokio::task::spawn_blocking(work).await?),
            Some(_) => Ok(work()),
        }
    }

    async fn take_time(&self) {
        if let Some(storage) = &self.simulated {
            storage.take_time().await;
        }
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, DiskError> + Send + 'static,
    ) -> Result<T, DiskError> {
        let disk = self.clone();
        self.aside(move || work(disk.database.read().as_ref().ok_or(DiskError::Closed)?)).await?
    }

    async fn write(
        &self,
        durability: Durability,
        work: impl FnOnce(&WriteTransaction) -> Result<(), DiskError> + Send + 'static,
    ) -> Result<(), DiskError> {
        self.take_time().await;
        let written = self.on_thread(move |database| {
            let mut write = database.begin_write()?;
            write.set_durability(durability)?;
            work(&write)?;
            Ok(write.commit()?)
        });
        written.await?;
        self.take_time().await;
        Ok(())
    }

    /// Whose store this is; an empty one becomes `node`'s.
    pub async fn owner(&self, node: NodeId) -> Result<Owner, DiskError> {
        let Some(found) = self.head(Head::Node).await? else {
            let store = StoreId::random();
            let records =
                vec![(Head::Node, node.0.to_be_bytes().to_vec()), (Head::Store, store.bytes().to_vec())];
            self.put_heads(records).await?;
            return Ok(Owner { node, store, cluster: None });
        };
        let found = found.try_into().map_err(|_| DiskError::Garbled("node"))?;
        let found = NodeId(u64::from_be_bytes(found));
        if found != node {
            return Err(DiskError::AnotherNode { found, expected: node });
        }
        let store = self.head(Head::Store).await?.as_deref().and_then(StoreId::from_bytes);
        let cluster = match self.head(Head::Cluster).await? {
            Some(bytes) => Some(ClusterId::from_bytes(&bytes).ok_or(DiskError::Garbled("cluster"))?),
            None => None,
        };
        Ok(Owner { node, store: store.ok_or(DiskError::Garbled("store"))?, cluster })
    }

    /// Writes down which cluster the store belongs to.
    pub async fn join(&self, cluster: ClusterId) -> Result<(), DiskError> {
        self.put_heads(vec![(Head::Cluster, cluster.bytes().to_vec())]).await
    }

    /// A record, if it was ever written.
    pub async fn head(&self, head: Head) -> Result<Option<Vec<u8>>, DiskError> {
        let [bytes] = self.heads([head]).await?;
        Ok(bytes)
    }

    /// Records as they were at one moment.
    pub async fn heads<const N: usize>(&self, heads: [Head; N]) -> Result<[Option<Vec<u8>>; N], DiskError> {
        self.on_thread(move |database| {
            let table = database.begin_read()?.open_table(HEAD)?;
            let mut found = [const { None }; N];
            for (place, head) in found.iter_mut().zip(heads) {
                *place = table.get(head.key())?.map(|bytes| bytes.value().to_vec());
            }
            Ok(found)
        })
        .await
    }

    /// Writes records, all or none, and syncs.
    pub async fn put_heads(&self, records: Vec<(Head, Vec<u8>)>) -> Result<(), DiskError> {
        self.write(Durability::Immediate, move |write| {
            let mut table = write.open_table(HEAD)?;
            for (head, bytes) in &records {
                table.insert(head.key(), bytes.as_slice())?;
            }
            Ok(())
        })
        .await
    }

    /// Writes a record, or removes it, with whatever is synced next.
    pub async fn put_lazily(&self, head: Head, bytes: Option<Vec<u8>>) -> Result<(), DiskError> {
        self.write(Durability::None, move |write| {
            let mut table = write.open_table(HEAD)?;
            match bytes {
                Some(bytes) => table.insert(head.key(), bytes.as_slice())?,
                None => table.remove(head.key())?,
            };
            Ok(())
        })
        .await
    }

    /// The log's entries in a range, lowest first; no more after `enough` bytes.
    pub async fn entries(
        &self,
        range: impl RangeBounds<u64>,
        enough: usize,
    ) -> Result<Vec<Vec<u8>>, DiskError> {
        let range = (range.start_bound().cloned(), range.end_bound().cloned());
        self.on_thread(move |database| {
            let table = database.begin_read()?.open_table(LOG)?;
            let (mut entries, mut bytes) = (Vec::new(), 0);
            for entry in table.range(range)? {
                let entry = entry?.1.value().to_vec();
                bytes += entry.len();
                entries.push(entry);
                if bytes >= enough {
                    break;
                }
            }
            Ok(entries)
        })
        .await
    }

    /// The log's last entry.
    pub async fn last_entry(&self) -> Result<Option<Vec<u8>>, DiskError> {
        self.on_thread(|database| {
            let table = database.begin_read()?.open_table(LOG)?;
            Ok(table.last()?.map(|(_, entry)| entry.value().to_vec()))
        })
        .await
    }

    /// Appends to the log, and syncs.
    pub async fn append(&self, entries: Vec<(u64, Vec<u8>)>) -> Result<(), DiskError> {
        self.write(Durability::Immediate, move |write| {
            let mut table = write.open_table(LOG)?;
            for (index, entry) in &entries {
                table.insert(index, entry.as_slice())?;
            }
            Ok(())
        })
        .await
    }

    /// Forgets the log's entries in a range and writes records, both or neither, and syncs.
    pub async fn cut(
        &self,
        range: impl RangeBounds<u64>,
        records: Vec<(Head, Vec<u8>)>,
    ) -> Result<(), DiskError> {
        let range = (range.start_bound().cloned(), range.end_bound().cloned());
        self.write(Durability::Immediate, move |write| {
            write.open_table(LOG)?.retain_in(range, |_, _| false)?;
            let mut table = write.open_table(HEAD)?;
            for (head, bytes) in &records {
                table.insert(head.key(), bytes.as_slice())?;
            }
            Ok(())
        })
        .await
    }
}

/// Makes a directory that only its owner may look into: the topology holds the cluster's secrets.
fn make_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn open_private(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_is_one_nodes_and_opened_once() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::in_directory(directory.path()).unwrap();
        let owner = disk.owner(NodeId(1)).await.unwrap();
        assert_eq!(owner.cluster, None);
        disk.join(ClusterId(7)).await.unwrap();
        assert!(Disk::in_directory(directory.path()).is_err(), "it is open already");
        disk.close().await;
        assert!(matches!(disk.head(Head::Vote).await, Err(DiskError::Closed)));
        let disk = Disk::in_directory(directory.path()).unwrap();
        assert_eq!(disk.owner(NodeId(1)).await.unwrap(), Owner { cluster: Some(ClusterId(7)), ..owner });
        assert!(matches!(disk.owner(NodeId(2)).await, Err(DiskError::AnotherNode { .. })));
    }
}
