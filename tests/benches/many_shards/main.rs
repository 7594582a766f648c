//! What statements over four shards cost, beside one MySQL with the same rows, in turns, in one run: rows that are merged, folded, and finished in MySQL; TPC-H's questions; TPC-C's mix with orders that reach
//! other warehouses. The proxy runs in this process; servers are as the tests have them.
//!
//! `cargo bench -p podway-tests --bench many_shards -- --help`

#[path = "../compare/client.rs"]
#[allow(dead_code, reason = "the comparison uses the rest")]
mod client;
mod ground;
mod questions;
mod rows;
mod terminals;

use clap::{Parser, ValueEnum};

/// Compares statements over four shards with one MySQL
#[derive(Clone, Debug, Parser)]
#[command(name = "many_shards")]
pub struct Args {
    /// What is measured; without this, all
    #[arg(long, value_delimiter = ',')]
    only: Vec<What>,
    /// Rows of the table that is merged and folded
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Orders of TPC-H's tables; 1,500,000 are its scale factor 1
    #[arg(long, default_value_t = 7_500)]
    orders: u32,
    /// How often each statement is run on each side
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Clients of TPC-C's mix
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8])]
    clients: Vec<u32>,
    /// Seconds of a turn of TPC-C's mix
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// What there is to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Merged, folded and finished statements, and the memory that a long result takes
    Rows,
    /// TPC-H's questions
    Tpch,
    /// TPC-C's mix
    Tpcc,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&args))
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let wants = |what| args.only.is_empty() || args.only.contains(&what);
    if wants(What::Rows) {
        rows::measure(args).await?;
    }
    if wants(What::Tpch) {
        questions::measure(args).await?;
    }
    if wants(What::Tpcc) {
        terminals::measure(args).await?;
    }
    Ok(())
}
