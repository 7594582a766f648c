//! The cache folder: where fetched packages, prepared data directories and running servers lie, and the locks by which processes
//! share it. A folder in it is either finished or not there: it is built under another name and renamed. It never deletes what a
//! living process uses.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What stands behind the name of a folder that is not complete.
pub(super) const PARTIAL: &str = ".partial";

/// A folder of this user's that survives the process, and may be deleted at any time that no process uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
    /// Where the files of running servers lie that vanish with them.
    run: PathBuf,
}

/// A folder of this process's alone, removed by whoever finds its owner gone.
#[derive(Debug)]
pub(super) struct Owned {
    /// The folder; it is made by its owner.
    pub(super) path: PathBuf,
    /// The file beside it that the owner holds locked.
    pub(super) lock_path: PathBuf,
    /// The lock; a copy of it in a child process keeps it.
    pub(super) lock: File,
}

impl Cache {
    /// The cache in this folder.
    pub fn new(root: impl Into<PathBuf>) -> Cache {
        let root = root.into();
        Cache { run: root.join("run"), root }
    }

    /// `$PODWAY_CACHE`, else `$XDG_CACHE_HOME/podway`, else `~/.cache/podway`, else a folder among the temporary files. The files
    /// of servers that keep nothing are below `$PODWAY_RUN`, if that is set: it may be in memory.
    pub fn from_env() -> Cache {
        let named = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty());
        let root = named("PODWAY_CACHE")
            .map(PathBuf::from)
            .or_else(|| named("XDG_CACHE_HOME").map(|home| PathBuf::from(home).join("podway")))
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache/podway")))
            .unwrap_or_else(|| std::env::temp_dir().join("podway-cache"));
        let cache = Cache::new(std::path::absolute(&root).unwrap_or(root));
        match named("PODWAY_RUN").map(PathBuf::from) {
            Some(run) => Cache { run: std::path::absolute(&run).unwrap_or(run), ..cache },
            None => cache,
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The finished folder `name`, built by `build` in a folder that gets this name only when it is complete. One process builds,
    /// the others wait for it.
    pub(super) fn finished<E: From<io::Error>>(
        &self,
        name: &str,
        on_wait: &dyn Fn(),
        build: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        let finished = self.root.join(name);
        if finished.is_dir() {
            return Ok(finished);
        }
        let parent = finished.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent)?;
        let lock = File::create(beside(&finished, ".lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                on_wait();
                lock.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        if !finished.is_dir() {
            let partial = beside(&finished, PARTIAL);
            remove_dir(&partial)?;
            fs::create_dir_all(&partial)?;
            if let Err(error) = build(&partial) {
                // What is left is of no use, and the next builder removes it first if it cannot be removed now.
                let _ = remove_dir(&partial);
                return Err(error);
            }
            fs::rename(&partial, &finished)?;
        }
        Ok(finished)
    }

    /// A new name in the folder of running servers, locked for this process. Folders there whose owners are gone are removed on the way.
    pub(super) fn own(&self) -> io::Result<Owned> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        fs::create_dir_all(&self.run)?;
        sweep(&self.run);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = self.run.join(format!("{}-{number}", std::process::id()));
            let lock_path = path.with_extension("lock");
            let lock = File::create(&lock_path)?;
            // Another process may have swept the file between its making and its locking, or may own the name of a process of old.
            let is_ours = match lock.try_lock() {
                Ok(()) => is_file_at(&lock, &lock_path),
                Err(TryLockError::WouldBlock) => false,
                Err(TryLockError::Error(error)) => return Err(error),
            };
            if is_ours {
                remove_dir(&path)?;
                return Ok(Owned { path, lock_path, lock });
            }
        }
    }
}

/// Locks `path` for this process; waits until `patience` ends for another one to let go, and is `None` if it did not.
pub(super) fn lock_within(path: &Path, patience: Duration) -> io::Result<Option<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(None),
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// `path` with `suffix` behind its last part.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Removes a folder and all in it, if it is there.
pub(super) fn remove_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what dead processes left below `run`. Whatever cannot be removed is left for the next one to try.
fn sweep(run: &Path) {
    let Ok(entries) = fs::read_dir(run) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        let Ok(lock) = File::open(&path) else { continue };
        let owned = path.with_extension("");
        let remove = || remove_dir(&owned).and_then(|()| remove_dir(&beside(&owned, PARTIAL)));
        if lock.try_lock().is_ok() && is_file_at(&lock, &path) && remove().is_ok() {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Whether `path` still names the open `file`.
fn is_file_at(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let (open, named) = (file.metadata().map(identity).ok(), fs::metadata(path).map(identity).ok());
    open.is_some() && open == named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        (folder, cache)
    }

    #[test]
    fn a_half_built_folder_is_never_seen_and_is_built_again() {
        let (_folder, cache) = cache();
        let failed = cache.finished("a/b", &|| (), |partial| {
            fs::write(partial.join("half"), "x")?;
            Err(io::Error::other("torn off"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "torn off");
        assert!(!cache.path().join("a/b").exists() && !cache.path().join("a/b.partial").exists());

        let built = cache.finished("a/b", &|| (), |partial| fs::write(partial.join("whole"), "x")).unwrap();
        assert!(built.join("whole").exists() && !built.join("half").exists());
        cache.finished("a/b", &|| (), |_| -> io::Result<()> { panic!("it is finished") }).unwrap();
    }

    #[test]
    fn many_threads_build_once() {
        let (_folder, cache) = cache();
        let built = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let build = |_: &Path| -> io::Result<()> {
                        built.fetch_add(1, Ordering::SeqCst);
                        thread::sleep(Duration::from_millis(20));
                        Ok(())
                    };
                    cache.finished("once", &|| (), build).unwrap()
                });
            }
        });
        assert_eq!(built.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn what_a_dead_owner_left_is_swept_and_what_a_living_one_has_stays() {
        let (_folder, cache) = cache();
        let living = cache.own().unwrap();
        fs::create_dir_all(&living.path).unwrap();
        let dead = cache.own().unwrap();
        fs::create_dir_all(dead.path.join("mysql")).unwrap();
        let half_copied = beside(&dead.path, PARTIAL);
        fs::create_dir_all(&half_copied).unwrap();
        let (dead_path, dead_lock_path) = (dead.path.clone(), dead.lock_path.clone());
        drop(dead);

        cache.own().unwrap();
        assert!(living.path.exists());
        assert!(!dead_path.exists() && !dead_lock_path.exists() && !half_copied.exists());
    }

    #[test]
    fn a_lock_that_is_held_is_waited_for_so_long_and_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = lock_within(&path, Duration::ZERO).unwrap();
        assert!(held.is_some());
        assert!(lock_within(&path, Duration::from_millis(60)).unwrap().is_none());
        drop(held);
        assert!(lock_within(&path, Duration::ZERO).unwrap().is_some());
    }
}
