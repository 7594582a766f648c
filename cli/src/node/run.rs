//! A topology node from its start to its end, as a straight line.

use std::io::Write;
use std::time::Duration;

use podway_topology::TopologyNode;

use super::args::NodeArgs;
use super::error::NodeError;
use crate::observe::{NodePages, ObservePort};
use crate::stop_signal::StopSignal;

/// How long a node waits for a leader before it says that it still does.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Runs a node until SIGINT or SIGTERM.
pub async fn run(args: NodeArgs) -> Result<(), NodeError> {
    let mut stop = StopSignal::install()?;
    let node = TopologyNode::start(args.config()?).await?;
    say(&format!("Podway's topology node {} listens on {}", node.id(), node.client_address()));
    if let Some(peers) = node.peer_address() {
        say(&format!("Other nodes reach it at {peers}"));
    }
    let observed = match args.metrics_listen {
        Some(listen) => Some(ObservePort::open(listen, NodePages(node.observer())).await?),
        None => None,
    };
    if let Some(port) = &observed {
        say(&format!("Health and metrics are at http://{}", port.address()));
    }
    tokio::select! {
        () = tell_when_ready(&node) => stop.received().await,
        () = stop.received() => {}
    }
    tracing::info!("stopping");
    node.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// Waits until the cluster has a leader, and says so; says now and then that it waits.
async fn tell_when_ready(node: &TopologyNode) {
    while let Err(error) = node.wait_until_ready(READY_WITHIN).await {
        tracing::warn!("the topology cannot answer yet: {error}");
    }
    say("The topology is ready");
}

/// For whoever started the node; somebody who has closed the pipe does not want to know.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
