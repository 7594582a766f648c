//! How long branches stay prepared that a killed proxy left in the middle of commits, until the last one is resolved: with another proxy there, and without. Printed as rows of a table.
//!
//! `cargo build --release --bin podway && cargo bench -p podway-tests --bench resolve -- --help`

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use podway_tests::chaos::{Kills, Surviving, podway_beside};

/// Kills proxies in the middle of commits and measures until what they left is resolved
#[derive(Debug, Parser)]
#[command(name = "resolve")]
struct Args {
    /// Kills of each kind
    #[arg(long, default_value_t = 200)]
    kills: usize,
    /// Clients that move money through the proxy
    #[arg(long, value_delimiter = ',', default_values_t = [8, 32])]
    clients: Vec<u64>,
    /// The podway binary [default: the one beside this one]
    #[arg(long, value_name = "FILE")]
    podway: Option<PathBuf>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let podway = args.podway.clone().map_or_else(podway_beside, Ok)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!(
        "| who is there besides | clients | kills | of these left branches | p50 | p90 | p99 | longest |"
    );
    println!("| :-- | --: | --: | --: | --: | --: | --: | --: |");
    for (surviving, name) in
        [(Surviving::Another, "a second proxy"), (Surviving::Nobody, "nobody; it is started again")]
    {
        for &clients in &args.clients {
            let kills = Kills { count: args.kills, clients, surviving, podway: podway.clone() };
            let took = runtime.block_on(kills.measure())?;
            let longest = took.last().context("no kill left a branch")?;
            println!(
                "| {name} | {clients} | {} | {} | {} | {} | {} | {} |",
                args.kills,
                took.len(),
                shown(quantile(&took, 0.5)),
                shown(quantile(&took, 0.9)),
                shown(quantile(&took, 0.99)),
                shown(*longest),
            );
        }
    }
    Ok(())
}

/// Of times in their order.
fn quantile(all: &[Duration], share: f64) -> Duration {
    let at = (all.len() as f64 * share).ceil() as usize;
    all.get(at.saturating_sub(1)).copied().unwrap_or_default()
}

fn shown(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
