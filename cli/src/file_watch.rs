//! When to read files again: on SIGHUP, or when one of them is another than it was, by what its folder says of it. What is in them is not
//! read here.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Files that somebody wants to read again when they change.
pub(crate) struct FileWatch {
    paths: Vec<PathBuf>,
    seen: Vec<Option<Stamp>>,
    looks: Interval,
    hangup: Signal,
}

/// What changes when a file does; links are followed. None while it is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    bytes: u64,
    inode: u64,
}

impl FileWatch {
    /// Watches these files from now on: made before they are first read, it misses no change. SIGHUP no longer ends the process.
    pub(crate) fn new(paths: &[&Path]) -> io::Result<FileWatch> {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
        Ok(FileWatch { seen: stamps(&paths), paths, looks, hangup: signal(SignalKind::hangup())? })
    }

    /// Waits until it is time to read them again.
    pub(crate) async fn due(&mut self) {
        loop {
            let is_asked = tokio::select! {
                _ = self.hangup.recv() => true,
                _ = self.looks.tick() => false,
            };
            // Taken before they are read: a change during the reading is seen at the next look.
            let now = stamps(&self.paths);
            let has_changed = now != self.seen;
            self.seen = now;
            if is_asked || has_changed {
                return;
            }
        }
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        Some(Stamp { modified: metadata.modified().ok()?, bytes: metadata.len(), inode: metadata.ino() })
    };
    paths.iter().map(stamp).collect()
}
