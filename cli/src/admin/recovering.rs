//! `podway topology recover`: a new cluster of what one node's disk has. It asks no node: there is no majority any more that could answer.

use std::path::PathBuf;

use podway_topology::{Found, RecoveryError};

use super::clock::shown;
use super::error::AdminError;
use super::print;

const EXAMPLES: &str = "\
Examples:
  podway topology recover --data-dir /var/lib/podway                 says what would be kept, and changes nothing
  podway topology recover --data-dir /var/lib/podway --lose-the-rest
  podway topology --id 2 --data-dir /var/lib/podway …                then the node runs again, as the only one of a new cluster

Stop the node first, and see to it that no other node of the old cluster ever runs again on its disk: those would be another cluster.
Take the disk with the highest last entry.";

/// Which disk.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct RecoverArgs {
    /// The data directory of the node that is left, which must not run
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Do it: whatever this disk does not have is lost
    #[arg(long)]
    lose_the_rest: bool,
}

/// Runs it.
pub(super) async fn run(args: RecoverArgs) -> Result<(), AdminError> {
    let failed = |error: RecoveryError| AdminError::refused(error.to_string());
    let found = podway_topology::inspect(&args.data_dir).await.map_err(failed)?;
    print::out(&described(&found))?;
    if !args.lose_the_rest {
        return Err(AdminError::refused(
            "nothing was changed; with --lose-the-rest a new cluster is made of this".to_owned(),
        ));
    }
    let recovered = podway_topology::recover(&args.data_dir).await.map_err(failed)?;
    let mut text = format!(
        "\nMade cluster {} of it, at revision {}, with node {} alone. Start the node, and let others join it with empty disks.\n",
        recovered.cluster, recovered.revision, found.node
    );
    for note in recovered.notes {
        text.push_str(&format!("- {note}\n"));
    }
    Ok(print::out(&text)?)
}

fn described(found: &Found) -> String {
    let others: Vec<String> =
        found.others.iter().map(|(id, member)| format!("node {id} at {}", member.peer)).collect();
    let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
    format!(
        "The disk of node {}, of cluster {}:\n  last entry     {} (term {})\n  last change    revision {}\n  last time      {}\n  \
         other nodes    {others}\nWhat other nodes were told after that would be lost.\n",
        found.node,
        found.cluster,
        found.last_index,
        found.term,
        found.revision,
        shown(found.time),
    )
}
