//! What runs as a process of its own, so that it can be killed and stopped: proxies and the topology node.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a process may take to say that it is there.
const WITHIN: Duration = Duration::from_secs(60);

/// A process that ends with this.
pub struct Process {
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Process {
    /// Starts it, and waits until it prints a line that begins with these words; what it logs goes behind this file's end.
    pub fn start(mut command: Command, log: &Path, words: &'static str) -> anyhow::Result<Process> {
        let err = std::fs::File::options().create(true).append(true).open(log)?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(err).spawn()?;
        let out = child.stdout.take().context("no output")?;
        let (says, heard) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if line.starts_with(words) {
                    let _heard = says.send(());
                }
            }
        });
        match heard.recv_timeout(WITHIN) {
            Ok(()) => Ok(Process { child }),
            Err(_) => {
                let _ended = child.kill();
                bail!("{command:?} did not say {words:?}: {}", log.display())
            }
        }
    }

    /// Kills it at once.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

/// Stops a process, and lets it go on after this time.
pub async fn stall(process: u32, time: Duration) -> anyhow::Result<()> {
    let process = Pid::from_raw(i32::try_from(process)?);
    kill(process, Signal::SIGSTOP)?;
    tokio::time::sleep(time).await;
    kill(process, Signal::SIGCONT)?;
    Ok(())
}

/// An address that nobody listens on just now, below those that systems give to connections: who is killed finds its own free when it comes back.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let free =
        (0..1_000).find_map(|_| TcpListener::bind(("127.0.0.1", rand::random_range(20_000..32_000))).ok());
    Ok(free.context("no port is free")?.local_addr()?)
}
