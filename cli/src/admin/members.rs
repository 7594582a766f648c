//! `podway topology members|add|remove|replace`: the nodes that keep the topology. The nodes themselves see to it that a change is safe.

use podway_topology_api::{MemberChange, MemberRole, MemberStatus, Members, NodeId, TopologyStore};
use serde::Serialize;

use super::context::{Common, Context};
use super::error::AdminError;
use super::print::{self, Row};
use super::recovering::{self, RecoverArgs};

const EXAMPLES: &str = "\
Examples:
  podway topology members
  podway topology add 4 10.0.0.4:7401            a node that was started with --id 4 --join
  podway topology replace 2 5 10.0.0.5:7401      node 5, started with --join, in the place of node 2
  podway topology replace 2 2 10.0.0.2:7401      node 2 again, with an empty disk, started with --join
  podway topology remove 3
  podway topology recover --data-dir /var/lib/podway                 what a new cluster would have, and lose";

/// Shows and changes the nodes of the topology
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum MembersCommandLine {
    /// Lists the nodes, with the leader
    Members {
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Adds a node that was started with --join; done when it has everything
    Add {
        /// Its number
        id: u64,
        /// Where other nodes reach it
        #[arg(value_name = "HOST:PORT")]
        peer: String,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Removes a node
    Remove {
        /// Its number
        id: u64,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Makes a new cluster of what one node's disk has, when a majority of the nodes is lost for good
    Recover(RecoverArgs),
    /// Puts a node that was started with --join in the place of another, or of itself with an empty disk
    Replace {
        /// Who leaves
        old: u64,
        /// Who joins
        id: u64,
        /// Where other nodes reach the one that joins
        #[arg(value_name = "HOST:PORT")]
        peer: String,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
}

/// A node in a list.
#[derive(Serialize)]
pub(super) struct NodeRow {
    pub(super) node: u64,
    pub(super) role: &'static str,
    clients: String,
    peers: String,
    /// The log entries that it lacks, as far as the leader knows.
    behind: Option<u64>,
    pub(super) reachable: Option<bool>,
}

impl Row for NodeRow {
    const HEAD: &'static [&'static str] = &["#node", "role", "clients", "peers", "#behind", "reachable"];

    fn cells(&self) -> Vec<String> {
        let reachable = match self.reachable {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "?",
        };
        vec![
            self.node.to_string(),
            self.role.to_owned(),
            self.clients.clone(),
            self.peers.clone(),
            self.behind.map_or_else(|| "?".to_owned(), |behind| behind.to_string()),
            reachable.to_owned(),
        ]
    }
}

impl NodeRow {
    fn of(node: &MemberStatus, members: &Members) -> NodeRow {
        NodeRow {
            node: node.id.0,
            role: match node.role {
                MemberRole::Leader => "leader",
                MemberRole::Voter => "voter",
                MemberRole::Learner => "learner",
            },
            clients: node.member.client.clone(),
            peers: node.member.peer.clone(),
            behind: node.has.map(|has| members.last_index.saturating_sub(has)),
            reachable: node.reachable,
        }
    }

    /// All nodes.
    pub(super) fn all(members: &Members) -> Vec<NodeRow> {
        members.nodes.iter().map(|node| NodeRow::of(node, members)).collect()
    }
}

/// Runs it.
pub(super) async fn run(line: MembersCommandLine) -> Result<(), AdminError> {
    match line {
        MembersCommandLine::Members { common } => {
            let context = Context::new(&common)?;
            let members = context.store.members().await.map_err(|error| context.failed(error))?;
            Ok(print::list(&NodeRow::all(&members), context.is_json)?)
        }
        MembersCommandLine::Add { id, peer, common } => {
            let done = format!("node {id} at {peer} has joined");
            change(&common, MemberChange::Add { id: NodeId(id), peer }, &done).await
        }
        MembersCommandLine::Recover(args) => recovering::run(args).await,
        MembersCommandLine::Remove { id, common } => {
            let done = format!("node {id} has left; it can be stopped, and its disk cleared");
            change(&common, MemberChange::Remove { id: NodeId(id) }, &done).await
        }
        MembersCommandLine::Replace { old, id, peer, common } => {
            let done = if old == id {
                format!("node {id} at {peer} is back with its new disk")
            } else {
                format!("node {id} at {peer} is in the place of node {old}")
            };
            change(&common, MemberChange::Replace { old: NodeId(old), id: NodeId(id), peer }, &done).await
        }
    }
}

async fn change(common: &Common, change: MemberChange, done: &str) -> Result<(), AdminError> {
    let context = Context::new(common)?;
    if let MemberChange::Remove { id } | MemberChange::Replace { old: id, .. } = &change {
        let members = context.store.members().await.map_err(|error| context.failed(error))?;
        if !members.nodes.iter().any(|node| node.id == *id) {
            let known: Vec<String> = members.nodes.iter().map(|node| node.id.to_string()).collect();
            return Err(AdminError::refused(format!(
                "there is no node {id}; there are: {}",
                known.join(", ")
            )));
        }
    }
    let members = context.store.change_members(change).await.map_err(|error| context.failed(error))?;
    if context.is_json {
        return Ok(print::json(&NodeRow::all(&members))?);
    }
    Ok(print::out(&format!("{done}\n\n{}", print::table(&NodeRow::all(&members))))?)
}
