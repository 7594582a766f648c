//! Who cleans up when nobody else can: for each server a small `sh` that holds the read end of a pipe. When this process is gone, by
//! whatever death, the pipe closes, and the shell ends the server and removes its files. It never acts before that.
//!
//! The server is started by `start_watched`, whose child waits for a word before it becomes mysqld: so there is no moment in which a
//! server runs and its guardian does not know of it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

/// $1: seconds for a clean shutdown (0: none), $2: a container's name or nothing, the rest: what to remove. Standard input: the
/// server's process id, or an empty line when there is no server any more.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM PIPE
grace=$1 container=$2 pid=
shift 2
while read -r line; do pid=$line; done
is_alive() { kill -0 "$pid" && ! grep -q '^State:.*Z' "/proc/$pid/status"; }
wait_tenths() { left=$1; while [ "$left" -gt 0 ] && is_alive; do sleep 0.1; left=$((left - 1)); done; }
if [ -n "$pid" ]; then
    if [ "$grace" -gt 0 ]; then
        kill -TERM "$pid"
        wait_tenths $((grace * 10))
    fi
    [ -z "$container" ] || docker kill "$container"
    kill -KILL "$pid"
    wait_tenths 50
elif [ -n "$container" ]; then
    docker kill "$container"
fi
[ $# -eq 0 ] || rm -rf -- "$@" || { sleep 1; rm -rf -- "$@"; }
"#;

/// What a guardian does when its pipe closes.
#[derive(Debug)]
pub(crate) struct Duty {
    /// How long the server may take to shut down cleanly; 0: it is killed.
    pub(crate) grace_secs: u32,
    /// The container that the server runs in, if any.
    pub(crate) container: Option<String>,
    /// Files and folders to remove.
    pub(crate) remove: Vec<PathBuf>,
    /// Held locked until the guardian is done.
    pub(crate) lock: File,
}

/// A running guardian.
#[derive(Debug)]
pub(crate) struct Guardian {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Guardian {
    /// Starts the guardian, before the server.
    pub(crate) fn start(duty: Duty) -> io::Result<Guardian> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "podway-guardian"]).arg(duty.grace_secs.to_string());
        command.arg(duty.container.unwrap_or_default()).args(duty.remove);
        // Its output is the lock: a lock file stays locked as long as any process has the same opening of it.
        command.stdin(Stdio::piped()).stdout(duty.lock).stderr(Stdio::null());
        let mut child = command.process_group(0).spawn()?;
        let pipe = child.stdin.take();
        Ok(Guardian { child, pipe })
    }

    /// Starts a program that the guardian knows of before it runs; its output goes to `log`.
    pub(crate) fn start_watched(&mut self, words: &[OsString], log: File) -> io::Result<Child> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "read -r go && exec \"$@\" </dev/null", "podway-mysqld"]).args(words);
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let mut child = command.process_group(0).spawn()?;
        self.say(&child.id().to_string())?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(b"go\n")?;
        }
        Ok(child)
    }

    /// Says that the server is no more: its process id may be another's from now on.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        self.say("")
    }

    /// Lets the guardian do its duty and waits until it has.
    pub(crate) fn dismiss(mut self) -> io::Result<()> {
        drop(self.pipe.take());
        self.child.wait().map(drop)
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        let pipe = self.pipe.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        pipe.write_all(format!("{line}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn duty(folder: &std::path::Path) -> Duty {
        let lock = File::create(folder.join("lock")).unwrap();
        Duty { grace_secs: 0, container: None, remove: vec![folder.join("doomed")], lock }
    }

    #[test]
    fn a_dismissed_guardian_kills_what_it_watches_and_removes_its_files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("doomed/inner")).unwrap();
        let mut guardian = Guardian::start(duty(folder.path())).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut child = guardian.start_watched(&["sleep".into(), "600".into()], log).unwrap();
        let started = Instant::now();
        guardian.dismiss().unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(started.elapsed() < Duration::from_secs(60), "it was killed, not waited for");
        assert!(!folder.path().join("doomed").exists() && folder.path().join("lock").exists());
    }

    #[test]
    fn a_forgotten_process_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut guardian = Guardian::start(duty(folder.path())).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut child = guardian.start_watched(&["sleep".into(), "600".into()], log).unwrap();
        guardian.forget().unwrap();
        guardian.dismiss().unwrap();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_lock_is_held_until_the_guardian_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let duty = duty(folder.path());
        duty.lock.lock().unwrap();
        let guardian = Guardian::start(duty).unwrap();
        let again = File::open(folder.path().join("lock")).unwrap();
        assert!(again.try_lock().is_err());
        guardian.dismiss().unwrap();
        assert!(again.try_lock().is_ok());
    }
}
