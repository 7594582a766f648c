//! `podway log`: the last changes, with who and when. Reads only.

use podway_topology_api::Logged;
use serde::Serialize;

use super::clock::shown;
use super::context::{Common, Context};
use super::error::AdminError;
use super::print::{self, Row};

/// Shows the last changes, with who made them and when
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  podway log\n  podway log --last 5 --json\n\nThe topology keeps the last 1,000 changes. `podway watch` shows those to come."
)]
pub struct LogArgs {
    /// How many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    last: usize,
    /// The topology, and how to answer
    #[command(flatten)]
    common: Common,
}

/// A line of the log.
#[derive(Serialize)]
struct LogRow {
    revision: u64,
    at: String,
    who: String,
    what: String,
}

impl Row for LogRow {
    const HEAD: &'static [&'static str] = &["#revision", "when", "who", "what"];

    fn cells(&self) -> Vec<String> {
        vec![self.revision.to_string(), self.at.clone(), self.who.clone(), self.what.clone()]
    }
}

impl From<&Logged> for LogRow {
    fn from(logged: &Logged) -> LogRow {
        LogRow {
            revision: logged.revision.0,
            at: shown(logged.at),
            who: logged.who.to_string(),
            what: logged.what.to_string(),
        }
    }
}

/// Runs it.
pub(super) async fn run(args: LogArgs) -> Result<(), AdminError> {
    let context = Context::new(&args.common)?;
    let view = context.view().await?;
    let skipped = view.log.len().saturating_sub(args.last);
    let rows: Vec<LogRow> = view.log[skipped..].iter().map(LogRow::from).collect();
    Ok(print::list(&rows, context.is_json)?)
}
