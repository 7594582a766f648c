//! `cargo bench -p podway-tests --bench compare`: what a statement costs through Podway, beside MySQL alone and other proxies before it.
//! What it measures, and how to read it, is in `docs/benchmarks.md`.
//!
//! Reading order: `args`, `workload` (the statements), `client`, `process`, `data` (servers and rows), `targets` (the proxies), `load`,
//! `rounds` (the turns), `idle` (memory), `report`.

mod args;
mod client;
mod data;
mod idle;
mod load;
mod process;
mod report;
mod rounds;
mod targets;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use data::Servers;
use load::Generator;
use report::Results;
use targets::Targets;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    idle::open_files_limit()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    eprintln!("starting and filling {} servers", data::SERVERS);
    let servers = runtime.block_on(Servers::start(args.wants("podway-4-renamed")))?;
    let targets = Targets::start(args, &servers, folder.path())?;
    for (name, why) in &targets.absent {
        eprintln!("absent: {name}: {why}");
    }
    let generator = Generator::start(args.load_threads())?;
    let mut results = Results { args, targets: &targets, measured: Vec::new(), idle: Vec::new() };
    // Before the load: a proxy keeps what it needed for its busiest moment.
    for target in &targets.here {
        eprintln!("idle connections on {}", target.name);
        results.idle.extend(runtime.block_on(idle::measure(&generator, target, args))?);
    }
    for cell in args.cells() {
        eprintln!("{} from {} connections", cell.workload.name(), cell.connections);
        results.measured.extend(runtime.block_on(rounds::measure(&generator, &targets.here, cell, args))?);
    }
    results.print()
}
