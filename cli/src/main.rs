//! The `podway` binary: reads the command line, sets up logs and the runtime, and calls the command. What commands do is the library's.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use podway::demo::{self, DemoArgs};
use podway::serve::{self, ProxyArgs};
use tracing_subscriber::EnvFilter;

/// Small allocations by the million, from many threads, in a process that lives for months.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXAMPLES: &str = "\
Examples:
  podway demo                              a sharded MySQL to look around in, gone with Ctrl-C
  podway demo --shards 2 --data-dir ./shop the same with two shards, and kept
  podway proxy --cluster cluster.toml      Podway before the MySQL servers that the file names

PODWAY_LOG says what is logged to stderr: error, warn, info, debug, or podway_proxy=debug,info and the like.";

/// Podway, a sharding proxy for MySQL
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(DemoArgs),
    Proxy(ProxyArgs),
}

fn main() -> ExitCode {
    let CommandLine { command } = CommandLine::parse();
    log_to_stderr(match command {
        Command::Demo(_) => "warn",
        Command::Proxy(_) => "info",
    });
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("podway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match command {
            Command::Demo(args) => demo::run(args).await.map_err(anyhow::Error::from),
            Command::Proxy(args) => serve::run(args).await.map_err(anyhow::Error::from),
        }
    });
    // A download that was cut short by Ctrl-C is not waited for.
    runtime.shutdown_background();
    result
}

fn log_to_stderr(default: &str) {
    let filter = EnvFilter::try_from_env("PODWAY_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .init();
}
