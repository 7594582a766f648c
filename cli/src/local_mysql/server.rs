//! A MySQL server of this process's own: started, stopped, killed and restarted. Its data is either temporary, gone with the server, or
//! kept in a folder that a later process starts again. Read before: `launch`, `guardian`, `template`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use podway_topology::provision::AdminLogin;

use super::cache::{Owned, lock_within, remove_dir};
use super::find::MysqlSource;
use super::guardian::{Duty, Guardian};
use super::launch::{Launch, LaunchError, Up};
use super::template;

/// How long a clean shutdown may take before the server is killed.
const SHUTDOWN_SECS: u32 = 30;
/// How long a start waits for a former owner of a kept folder to let go: its guardian may still be shutting the server down.
const TAKEOVER_PATIENCE: Duration = Duration::from_secs(10);
/// How long a start waits for others that copy data directories.
const COPY_PATIENCE: Duration = Duration::from_secs(60);
const KEPT_LOCK_FILE: &str = "podway.lock";

/// Where a server's data lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DataDir {
    /// In the cache; gone when the server is stopped, or when the process is gone.
    #[default]
    Temporary,
    /// In this folder, which is made if it is not there, and kept.
    Kept(PathBuf),
}

/// What a server is to be.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// Where its data lies.
    pub data: DataDir,
    /// Its port; the system chooses one if none is named.
    pub port: Option<u16>,
    /// Further options of mysqld's; they win over Podway's own.
    pub extra_args: Vec<String>,
}

/// A running MySQL server. Dropping it stops it; so does the end of the process, whatever ends it.
#[derive(Debug)]
pub struct LocalServer {
    source: MysqlSource,
    extra_args: Vec<String>,
    data: PathBuf,
    keeps_data: bool,
    container: String,
    port: u16,
    uuid: String,
    root_password: String,
    running: Mutex<Running>,
}

/// What changes while a server lives.
#[derive(Debug)]
struct Running {
    child: Option<Child>,
    guardian: Option<Guardian>,
}

/// Why a server could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The data directory could not be made or read.
    #[error("{path}: {error}; is there room, and may this user write there?", path = path.display())]
    Data {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another process serves the kept folder.
    #[error("{path} is in use by another process; stop it, or name another folder", path = path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder to keep data in holds something else.
    #[error("{path} is not empty and was not made by Podway; name an empty folder, or one that is not there", path = path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
    },
    /// mysqld did not come up.
    #[error("the server on {path} did not start: {reason}", path = path.display())]
    NotStarted {
        /// The data directory.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
    /// The server was stopped for good.
    #[error("the server was stopped; start a new one")]
    Stopped,
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A data directory with the lock that makes it this process's.
struct Prepared {
    data: PathBuf,
    lock: File,
    remove: Vec<PathBuf>,
}

impl LocalServer {
    /// Starts a server and waits until it answers; about a second.
    pub fn start(source: &MysqlSource, options: ServerOptions) -> Result<LocalServer, ServerError> {
        let prepared = match &options.data {
            DataDir::Temporary => prepare_temporary(source)?,
            DataDir::Kept(path) => prepare_kept(source, path)?,
        };
        let data = prepared.data.clone();
        let keeps_data = options.data != DataDir::Temporary;
        let root_password = template::root_password(&data)
            .map_err(|error| ServerError::Data { path: data.clone(), error })?;
        let container = container_name(&data);
        let duty = Duty {
            grace_secs: if keeps_data { SHUTDOWN_SECS } else { 0 },
            container: source.inner.program.is_contained().then(|| container.clone()),
            remove: prepared.remove,
            lock: prepared.lock,
        };
        let mut guardian = Guardian::start(duty)?;
        let launch = Launch {
            program: &source.inner.program,
            data: &data,
            container: &container,
            is_durable: keeps_data,
            extra_args: &options.extra_args,
        };
        match launch.run(options.port, &mut guardian) {
            Ok(Up { child, port, uuid }) => {
                let running = Mutex::new(Running { child: Some(child), guardian: Some(guardian) });
                let (source, extra_args) = (source.clone(), options.extra_args);
                Ok(LocalServer {
                    source,
                    extra_args,
                    data,
                    keeps_data,
                    container,
                    port,
                    uuid,
                    root_password,
                    running,
                })
            }
            Err(error) => {
                guardian.dismiss()?;
                Err(not_started(&data, error))
            }
        }
    }

    /// Starts several servers at once; if one fails, none stays.
    pub fn start_all(
        source: &MysqlSource,
        options: Vec<ServerOptions>,
    ) -> Result<Vec<LocalServer>, ServerError> {
        thread::scope(|scope| {
            let starting: Vec<_> = options
                .into_iter()
                .map(|options| scope.spawn(move || LocalServer::start(source, options)))
                .collect();
            let ended = starting.into_iter().map(|thread| {
                thread.join().unwrap_or_else(|_| Err(io::Error::other("a starting thread panicked").into()))
            });
            // All are waited for before the first failure is reported: a server that came up is then dropped, not lost.
            ended.collect::<Vec<_>>().into_iter().collect()
        })
    }

    /// [`LocalServer::start_all`] for callers in an asynchronous world.
    pub async fn start_all_async(
        source: &MysqlSource,
        options: Vec<ServerOptions>,
    ) -> Result<Vec<LocalServer>, ServerError> {
        let source = source.clone();
        let started = tokio::task::spawn_blocking(move || LocalServer::start_all(&source, options)).await;
        started.unwrap_or_else(|error| Err(io::Error::other(error).into()))
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port; a restart keeps it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `@@server_uuid`; a restart keeps it.
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// The version that mysqld prints.
    pub fn version(&self) -> &str {
        self.source.version()
    }

    /// The password of `root`, who may do all; others on this machine do not know it.
    pub fn root_password(&self) -> &str {
        &self.root_password
    }

    /// How its root logs in.
    pub fn admin(&self) -> AdminLogin {
        AdminLogin {
            host: "127.0.0.1".to_owned(),
            port: self.port(),
            user: "root".to_owned(),
            password: self.root_password().to_owned(),
        }
    }

    /// Its data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The process id of mysqld (of Docker's client, for a contained server), while it runs.
    pub fn pid(&self) -> Option<u32> {
        let mut running = self.running.lock();
        let child = running.child.as_mut()?;
        matches!(child.try_wait(), Ok(None)).then(|| child.id())
    }

    /// Kills mysqld as `kill -9` does. The data stays, for [`LocalServer::restart`].
    pub fn kill(&self) -> Result<(), ServerError> {
        self.end(&mut self.running.lock(), Duration::ZERO)
    }

    /// Starts mysqld again on the same data and port, after a crash, after [`LocalServer::kill`], or after a clean shutdown if it runs.
    pub fn restart(&self) -> Result<(), ServerError> {
        let mut running = self.running.lock();
        self.end(&mut running, Duration::from_secs(SHUTDOWN_SECS.into()))?;
        let guardian = running.guardian.as_mut().ok_or(ServerError::Stopped)?;
        let launch = Launch {
            program: &self.source.inner.program,
            data: &self.data,
            container: &self.container,
            is_durable: self.keeps_data,
            extra_args: &self.extra_args,
        };
        let up = launch.run(Some(self.port), guardian).map_err(|error| not_started(&self.data, error))?;
        running.child = Some(up.child);
        Ok(())
    }

    /// Ends the server for good: cleanly where the data is kept, at once where it is not, and then removes the data. Idempotent.
    pub fn stop(&self) -> Result<(), ServerError> {
        let mut running = self.running.lock();
        let grace = if self.keeps_data { Duration::from_secs(SHUTDOWN_SECS.into()) } else { Duration::ZERO };
        let ended = self.end(&mut running, grace);
        let dismissed = running.guardian.take().map_or(Ok(()), Guardian::dismiss);
        ended.and(dismissed.map_err(ServerError::from))
    }

    /// Ends mysqld: asks it to shut down if there is time, kills it else or afterwards.
    fn end(&self, running: &mut Running, grace: Duration) -> Result<(), ServerError> {
        let Some(mut child) = running.child.take() else { return Ok(()) };
        let deadline = Instant::now() + grace;
        if !grace.is_zero() && child.try_wait()?.is_none() {
            // A process id that does not fit is none; one that is gone needs no signal.
            let _ = i32::try_from(child.id()).map(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM));
        }
        while Instant::now() < deadline && child.try_wait()?.is_none() {
            thread::sleep(Duration::from_millis(10));
        }
        if child.try_wait()?.is_none() {
            self.source.inner.program.kill(&mut child, &self.container)?;
        }
        running.guardian.as_mut().map_or(Ok(()), Guardian::forget)?;
        Ok(())
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        // Whatever fails here, the guardian's pipe closes with this value.
        let _ = self.stop();
    }
}

fn prepare_temporary(source: &MysqlSource) -> Result<Prepared, ServerError> {
    let cache = &source.inner.cache;
    let Owned { path, lock_path, lock } =
        cache.own().map_err(|error| ServerError::Data { path: cache.path().to_owned(), error })?;
    match template::copy(&source.inner.template, &path) {
        Ok(()) => Ok(Prepared { data: path.clone(), lock, remove: vec![path, lock_path] }),
        Err(error) => {
            let _ = remove_dir(&path).and_then(|()| fs::remove_file(lock_path));
            Err(ServerError::Data { path, error })
        }
    }
}

fn prepare_kept(source: &MysqlSource, path: &Path) -> Result<Prepared, ServerError> {
    let failed = |error| ServerError::Data { path: path.to_owned(), error };
    let data = std::path::absolute(path).map_err(failed)?;
    let cache = source.inner.cache.path();
    // One at a time: two processes that are told the same new folder would copy into each other's copy.
    let copying = lock_within(&cache.join("kept.lock"), COPY_PATIENCE).map_err(failed)?;
    let copying =
        copying.ok_or_else(|| failed(io::Error::other("another process copies data, and does not end")))?;
    if !data.exists() {
        if let Some(parent) = data.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        template::copy(&source.inner.template, &data).map_err(failed)?;
    } else if fs::read_dir(&data).map_err(failed)?.next().is_none() {
        fs::remove_dir(&data).map_err(failed)?;
        template::copy(&source.inner.template, &data).map_err(failed)?;
    } else if template::root_password(&data).is_err() {
        return Err(ServerError::NotOurs { path: data });
    }
    drop(copying);
    let lock = lock_within(&data.join(KEPT_LOCK_FILE), TAKEOVER_PATIENCE).map_err(failed)?;
    let lock = lock.ok_or_else(|| ServerError::InUse { path: data.clone() })?;
    Ok(Prepared { data, lock, remove: Vec::new() })
}

/// A container's name from the data directory's: unlike any other's on this machine.
fn container_name(data: &Path) -> String {
    let text = data.display().to_string();
    let clean: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("podway{}", &clean[clean.len().saturating_sub(100)..])
}

fn not_started(data: &Path, error: LaunchError) -> ServerError {
    ServerError::NotStarted { path: data.to_owned(), reason: error.to_string() }
}
