//! A simulated disk. What was synced survives a loss of power; of what was not, some sectors do and some do not, by chance.

use std::collections::BTreeSet;
use std::io::{Error, Result};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podway_topology::SimulatedStorage;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::StorageBackend;

/// A disk writes this much at once.
const SECTOR: usize = 4_096;
/// A change takes up to this long before it is done, and as long before it is answered.
const SLOWEST: Duration = Duration::from_millis(8);

/// A disk that lies syncs once in so many times.
const HONEST: u64 = 8;

/// A disk that outlives the processes which use it. Clones are the same disk.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<Platter>>);

struct Platter {
    random: StdRng,
    now: Vec<u8>,
    synced: Vec<u8>,
    unsynced: BTreeSet<usize>,
    /// Counts the losses of power: who opened the disk before one has nothing to do with it any more.
    life: u64,
    /// Whether it says that bytes are synced when they are not, but for one time in [`HONEST`].
    lies: bool,
    syncs: u64,
}

impl Disk {
    /// An empty disk.
    pub fn new(seed: u64, lies: bool) -> Disk {
        let random = StdRng::seed_from_u64(seed);
        let platter = Platter {
            random,
            now: vec![],
            synced: vec![],
            unsynced: BTreeSet::new(),
            life: 0,
            lies,
            syncs: 0,
        };
        Disk(Arc::new(Mutex::new(platter)))
    }

    /// For a node that starts now.
    pub fn open(&self) -> SimulatedStorage {
        let (disk, life) = (self.clone(), self.0.lock().unwrap().life);
        let pace = self.clone();
        SimulatedStorage::new(Arc::new(Opened { disk, life }), move || pace.pace())
    }

    fn pace(&self) -> Duration {
        let slowest = u64::try_from(SLOWEST.as_millis()).unwrap();
        let random = &mut self.0.lock().unwrap().random;
        // Mostly fast, as disks are.
        if random.random_bool(0.8) {
            Duration::ZERO
        } else {
            Duration::from_millis(random.random_range(1..=slowest))
        }
    }

    /// The power goes.
    pub fn lose_power(&self) {
        let platter = &mut *self.0.lock().unwrap();
        platter.synced.resize(platter.now.len(), 0);
        for sector in std::mem::take(&mut platter.unsynced) {
            // A disk that lies loses all that it only said it had.
            let survives = !platter.lies && platter.random.random_bool(0.5);
            let range = platter.range(sector);
            if survives {
                platter.synced[range.clone()].copy_from_slice(&platter.now[range]);
            } else {
                platter.now[range.clone()].copy_from_slice(&platter.synced[range]);
            }
        }
        platter.life += 1;
    }

    /// Another disk is put in its place.
    pub fn lose_everything(&self) {
        let platter = &mut *self.0.lock().unwrap();
        platter.now.clear();
        platter.synced.clear();
        platter.unsynced.clear();
        platter.life += 1;
    }
}

impl Platter {
    fn range(&self, sector: usize) -> std::ops::Range<usize> {
        let start = (sector * SECTOR).min(self.now.len());
        start..(start + SECTOR).min(self.now.len())
    }

    fn sync(&mut self) {
        self.syncs += 1;
        if self.lies && !self.syncs.is_multiple_of(HONEST) {
            return;
        }
        self.synced.resize(self.now.len(), 0);
        for sector in std::mem::take(&mut self.unsynced) {
            let range = self.range(sector);
            self.synced[range.clone()].copy_from_slice(&self.now[range]);
        }
    }
}

/// A disk as a node opened it.
struct Opened {
    disk: Disk,
    life: u64,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}

impl Opened {
    fn platter<T>(&self, work: impl FnOnce(&mut Platter) -> T) -> Result<T> {
        let platter = &mut *self.disk.0.lock().unwrap();
        if platter.life != self.life {
            return Err(Error::other("the power went"));
        }
        Ok(work(platter))
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Opened {
    fn len(&self) -> Result<u64> {
        self.platter(|platter| platter.now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.platter(|platter| {
            let bytes = platter.now.get(place(offset)..place(offset) + out.len());
            bytes.map(|bytes| out.copy_from_slice(bytes)).ok_or_else(|| Error::other("beyond the end"))
        })?
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.platter(|platter| platter.now.resize(place(len), 0))
    }

    fn sync_data(&self) -> Result<()> {
        self.platter(Platter::sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.platter(|platter| {
            let start = place(offset);
            platter.now[start..start + data.len()].copy_from_slice(data);
            platter.unsynced.extend(start / SECTOR..=(start + data.len() - 1) / SECTOR);
        })
    }
}
