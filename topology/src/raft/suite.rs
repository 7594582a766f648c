//! openraft's own conformance suite, on a file and in memory.

use openraft::StorageError;
use openraft::testing::{StoreBuilder, Suite};
use podway_topology_api::NodeId;
use std::sync::Arc;
use tempfile::TempDir;

use super::disk::Disk;
use super::log::RaftLog;
use super::machine::{Machine, MachineHandle};
use super::types::TypeConfig;
use crate::feed::{EVENTS_KEPT, Feed};

struct OnFile;
struct InMemory;

async fn stores(disk: Disk) -> Result<(RaftLog, MachineHandle), StorageError<NodeId>> {
    let machine = Machine::open(disk.clone(), Arc::new(Feed::new(EVENTS_KEPT))).await?;
    Ok((RaftLog::new(disk, NodeId(0)), MachineHandle(machine)))
}

impl StoreBuilder<TypeConfig, RaftLog, MachineHandle, TempDir> for OnFile {
    async fn build(&self) -> Result<(TempDir, RaftLog, MachineHandle), StorageError<NodeId>> {
        let directory = tempfile::tempdir().unwrap();
        let (log, machine) = stores(Disk::in_directory(directory.path()).unwrap()).await?;
        Ok((directory, log, machine))
    }
}

impl StoreBuilder<TypeConfig, RaftLog, MachineHandle, ()> for InMemory {
    async fn build(&self) -> Result<((), RaftLog, MachineHandle), StorageError<NodeId>> {
        let (log, machine) = stores(Disk::in_memory().unwrap()).await?;
        Ok(((), log, machine))
    }
}

#[test]
fn the_store_on_a_file_passes_openrafts_suite() {
    Suite::test_all(OnFile).unwrap();
}

#[test]
fn the_store_in_memory_passes_openrafts_suite() {
    Suite::test_all(InMemory).unwrap();
}
