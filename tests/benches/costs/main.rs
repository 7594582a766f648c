//! What is asked for costs, each beside the same without it, in one run, in turns: reads of one moment by how much is written meanwhile, stamps of transactions that write on one server,
//! and the procedures that sessions of users write decisions and marks by.
//!
//! `cargo bench -p podway-tests --bench costs -- --help`

mod calls;
mod ground;
mod reads;
mod stamps;

use clap::{Parser, ValueEnum};

use ground::Ground;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// `podway_read = 'atomic'` beside 'fast', by the rate of transactions over two servers
    Reads,
    /// `podway_stamp_single_shard` beside none
    Stamps,
    /// Calls of Podway's procedures beside the bare statements
    Calls,
}

/// Measures what parts of transactions cost
#[derive(Clone, Debug, Parser)]
#[command(name = "costs")]
struct Args {
    /// What is measured
    #[arg(long, value_delimiter = ',', default_values = ["reads", "stamps", "calls"])]
    only: Vec<Part>,
    /// Transactions over two servers a second that are committed while others read; `0`: none
    #[arg(long, value_delimiter = ',', default_values_t = [0, 30, 100, 300])]
    writes: Vec<u32>,
    /// How many clients commit at a time
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    clients: Vec<usize>,
    /// How often each has its turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a turn is, in milliseconds
    #[arg(long, default_value_t = 2_000)]
    turn_ms: u64,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let ground = Ground::start().await?;
        for part in &args.only {
            match part {
                Part::Reads => reads::measure(&ground, &args).await?,
                Part::Stamps => stamps::measure(&ground, &args).await?,
                Part::Calls => calls::measure(&ground, &args).await?,
            }
        }
        anyhow::Ok(())
    })
}
