//! Chaos for as long as one likes: `cargo run -p podway-tests --bin chaos -- --minutes 60 --seed 7`. What is done and checked says `podway_tests::chaos`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use podway_tests::chaos::{Options, podway_beside, run};

/// Kills, stops and cuts off servers and proxies under load, and looks whether every transaction is whole
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Args {
    /// For how long
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// What decides on everything that is decided by chance [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Clients of each of the two proxies
    #[arg(long, default_value_t = 8)]
    clients: u64,
    /// The podway binary [default: the one beside this one: cargo build --workspace --bin podway]
    #[arg(long, value_name = "FILE")]
    podway: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let options = Options {
        seed: args.seed.unwrap_or_else(rand::random),
        length: Duration::try_from_secs_f64(args.minutes * 60.0)?,
        clients: args.clients,
        podway: args.podway.map_or_else(podway_beside, Ok)?,
    };
    println!("seed {}", options.seed);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(run(&options))?;
    println!("{report:#?}");
    anyhow::ensure!(
        report.wrong.is_empty(),
        "seed {}: {} things are wrong",
        options.seed,
        report.wrong.len()
    );
    Ok(())
}
