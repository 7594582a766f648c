//! A proxy's process: started, watched, ended with its owner; what it has used of the CPU and of memory, from `/proc`.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, bail};

/// How long a proxy may take to start.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// Linux tells processes' times in this unit, whatever its own is.
const TICK: Duration = Duration::from_millis(10);

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

/// What a process has used of the CPU until now.
#[derive(Clone, Debug, Default)]
pub struct CpuTimes {
    /// Each thread's nanoseconds.
    threads: HashMap<u32, u64>,
    user: Duration,
    system: Duration,
}

/// What it has used between two moments.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuSpent {
    pub nanos: u64,
    /// The share of it outside the kernel, to the tick.
    pub user_ticks: u32,
    pub all_ticks: u32,
}

/// Memory of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Resident bytes.
    pub rss: u64,
    /// Resident bytes, those shared with others in proportion.
    pub pss: u64,
}

impl Process {
    /// Starts a process with its output in `log`.
    pub fn start(mut command: Command, log: &Path) -> anyhow::Result<Process> {
        let (out, err) = (fs::File::create(log)?, fs::File::options().append(true).open(log)?);
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        Ok(Process { child })
    }

    /// Starts a process and waits for the line of its output that begins with `word`; returns what follows in it.
    pub fn start_until(
        mut command: Command,
        log: &Path,
        word: &'static str,
    ) -> anyhow::Result<(Process, String)> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(fs::File::create(log)?);
        let mut child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let out = child.stdout.take().context("no output")?;
        let (said, heard) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some(rest) = line.strip_prefix(word) {
                    let _ = said.send(rest.trim().to_owned());
                }
            }
        });
        let process = Process { child };
        match heard.recv_timeout(START_DEADLINE) {
            Ok(rest) => Ok((process, rest)),
            Err(_) => bail!("{command:?} did not start:\n{}", fs::read_to_string(log)?),
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// What it has used of the CPU; nothing where the system does not tell.
    pub fn cpu(&self) -> CpuTimes {
        let pid = self.child.id();
        CpuTimes::read(pid).unwrap_or_default()
    }

    /// Its memory; `None` where the system does not tell.
    pub fn memory(&self) -> Option<Memory> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id())).ok()?;
        let kib = |word: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(word))?;
            line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
        };
        Some(Memory { rss: kib("Rss:")? << 10, pss: kib("Pss:")? << 10 })
    }
}

impl CpuTimes {
    fn read(pid: u32) -> Option<CpuTimes> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name, in parentheses, and may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks = |n: usize| fields.get(n)?.parse::<u32>().ok();
        let (user, system) = (TICK * ticks(11)?, TICK * ticks(12)?);
        let mut threads = HashMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            let nanos = fs::read_to_string(entry.path().join("schedstat")).ok();
            let nanos = nanos.and_then(|text| text.split(' ').next()?.parse().ok());
            if let (Ok(thread), Some(nanos)) = (entry.file_name().to_string_lossy().parse(), nanos) {
                threads.insert(thread, nanos);
            }
        }
        Some(CpuTimes { threads, user, system })
    }

    /// What was used since `earlier`, by the threads that are still there; nothing where the system did not tell.
    pub fn since(&self, earlier: &CpuTimes) -> CpuSpent {
        let of = |thread: &u32| earlier.threads.get(thread).copied().unwrap_or(0);
        let nanos = self.threads.iter().map(|(thread, nanos)| nanos.saturating_sub(of(thread))).sum();
        let ticks = |time: Duration| (time.as_millis() / TICK.as_millis()) as u32;
        let (user, system) = (self.user - earlier.user, self.system - earlier.system);
        CpuSpent { nanos, user_ticks: ticks(user), all_ticks: ticks(user + system) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
