//! The command line of the comparison.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use crate::workload::Workload;

/// Compares MySQL itself, HAProxy, MySQL Router, ProxySQL and Podway under the same statements, in turns, in one run
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "compare")]
pub struct Args {
    /// What is compared; without this, all that is here but podway-4-renamed
    #[arg(long, value_delimiter = ',', value_name = "NAME,…", value_parser = parse_target)]
    pub targets: Vec<&'static str>,
    /// The workloads: point-text, point-prepared, update, rows-100, rows-10000; with or without --connections, each with each
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub workloads: Vec<Workload>,
    /// How many connections work at once
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    pub connections: Vec<usize>,
    /// How often every target has its turn
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Seconds of one turn
    #[arg(long, default_value_t = 0.8)]
    pub seconds: f64,
    /// Worker threads of HAProxy, MySQL Router, ProxySQL and Podway each [default: one per CPU]
    #[arg(long)]
    pub workers: Option<usize>,
    /// Threads of the load generator [default: a quarter of the CPUs, at least one]
    #[arg(long)]
    pub load_threads: Option<usize>,
    /// Idle connections to Podway whose memory is measured; 0: none
    #[arg(long, default_value_t = 10_000)]
    pub idle: usize,
    /// Idle connections to the others, each of which needs one of the server's
    #[arg(long, default_value_t = 500)]
    pub idle_others: usize,
    /// The podway binary [default: built by cargo, in the release profile]
    #[arg(long, value_name = "FILE")]
    pub podway: Option<PathBuf>,
    /// Prints JSON
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Prints the tables of docs/benchmarks.md
    #[arg(long)]
    pub markdown: bool,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    pub bench: bool,
}

/// All that can be compared.
pub const TARGETS: [&str; 8] =
    ["mysql", "haproxy", "haproxy-4", "mysqlrouter", "proxysql", "podway-1", "podway-4", "podway-4-renamed"];

/// One line of the result: a workload from so many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub workload: Workload,
    pub connections: usize,
}

fn parse_target(text: &str) -> Result<&'static str, String> {
    let found = TARGETS.into_iter().find(|name| *name == text);
    found.ok_or_else(|| format!("known are {}", TARGETS.join(", ")))
}

impl Args {
    /// Whether a target was asked for.
    pub fn wants(&self, target: &str) -> bool {
        match self.targets.is_empty() {
            true => target != "podway-4-renamed",
            false => self.targets.contains(&target),
        }
    }

    /// What is measured.
    pub fn cells(&self) -> Vec<Cell> {
        if self.workloads.is_empty() && self.connections.is_empty() {
            return default_cells();
        }
        let or = |given: &[usize], default: &[usize]| if given.is_empty() { default } else { given }.to_vec();
        let connections = or(&self.connections, &[1, 8, 64, 512]);
        let workloads =
            if self.workloads.is_empty() { Workload::ALL.to_vec() } else { self.workloads.clone() };
        let row = |workload| connections.iter().map(move |&connections| Cell { workload, connections });
        workloads.into_iter().flat_map(row).collect()
    }

    /// The time of one turn.
    pub fn turn(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// Worker threads of each proxy.
    pub fn workers(&self) -> usize {
        self.workers.unwrap_or_else(cpus).max(1)
    }

    /// Threads of the load generator.
    pub fn load_threads(&self) -> usize {
        self.load_threads.unwrap_or(cpus() / 4).max(1)
    }
}

/// CPUs of this machine.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// What the targets of the design are about, and a line for everything else; all of it within five minutes.
fn default_cells() -> Vec<Cell> {
    let cells = [
        (Workload::PointText, 1),
        (Workload::PointText, 8),
        (Workload::PointText, 64),
        (Workload::PointText, 512),
        (Workload::PointPrepared, 64),
        (Workload::Update, 64),
        (Workload::Rows100, 8),
        (Workload::Rows10000, 8),
    ];
    cells.map(|(workload, connections)| Cell { workload, connections }).to_vec()
}
