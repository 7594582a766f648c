//! A disk that is not one: bytes that a simulation keeps, loses and delays.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redb::StorageBackend;

/// Says how long the disk takes before the next change, and before its answer.
type Pace = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A simulated disk. Clones are the same disk. Work on it is done at once, on the thread that asks: it never blocks.
#[derive(Clone)]
pub struct SimulatedStorage {
    bytes: Arc<dyn StorageBackend>,
    pace: Pace,
}

impl std::fmt::Debug for SimulatedStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulatedStorage").finish_non_exhaustive()
    }
}

impl SimulatedStorage {
    /// A disk that keeps `bytes` and takes as long as `pace` says, asked twice for each change: before it, and between it and its answer.
    pub fn new(
        bytes: Arc<dyn StorageBackend>,
        pace: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> SimulatedStorage {
        SimulatedStorage { bytes, pace: Arc::new(pace) }
    }

    /// Waits as long as the disk takes.
    pub(super) async fn take_time(&self) {
        tokio::time::sleep((self.pace)()).await;
    }

    /// For redb.
    pub(super) fn backend(&self) -> Bytes {
        Bytes(self.bytes.clone())
    }
}

/// What redb gets.
#[derive(Debug)]
pub(super) struct Bytes(Arc<dyn StorageBackend>);

impl StorageBackend for Bytes {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}
