//! A topology node from its start to its end, as a straight line.

use std::io::Write;
use std::time::Duration;

use podway_topology::{StartError, TopologyNode};

use super::args::NodeArgs;
use super::error::NodeError;
use crate::file_watch::FileWatch;
use crate::observe::{NodePages, ObservePort};
use crate::stop_signal::StopSignal;

/// How long a node waits for a leader before it says that it still does.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Runs a node until SIGINT or SIGTERM.
pub async fn run(args: NodeArgs) -> Result<(), NodeError> {
    let mut stop = StopSignal::install()?;
    // Made before they are read, so that no change is missed.
    let certificates = FileWatch::new(&args.certificate_files())?;
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
        () = stop.received() => {}
        () = renew(&args, &node, certificates) => {}
        () = tell_when_ready(&node) => {}
    }
    tracing::info!("stopping");
    node.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// Reads certificates again when their files change, for ever. What cannot be used is said, and changes nothing: a key may still be to come.
async fn renew(args: &NodeArgs, node: &TopologyNode, mut certificates: FileWatch) {
    loop {
        certificates.due().await;
        match read_again(args, node) {
            Ok(()) => tracing::info!("read the certificates again"),
            Err(error) => tracing::error!("the certificates are not taken over: {error}"),
        }
    }
}

fn read_again(args: &NodeArgs, node: &TopologyNode) -> Result<(), NodeError> {
    let (clients, peers) = (args.client_tls()?, args.peer_tls()?);
    Ok(node.renew(clients.as_ref(), peers.as_ref()).map_err(StartError::from)?)
}

/// Waits until the cluster has a leader, and says so; says now and then that it waits. Never returns.
async fn tell_when_ready(node: &TopologyNode) {
    while let Err(error) = node.wait_until_ready(READY_WITHIN).await {
        tracing::warn!("the topology cannot answer yet: {error}");
    }
    say("The topology is ready");
    std::future::pending().await
}

/// For whoever started the node; somebody who has closed the pipe does not want to know.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
