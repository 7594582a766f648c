//! What a topology node tells of itself: that it answers, and whether what it answers can be old.

use podway_proxy::Measured;
use podway_topology::{NodeObserver, NodeStanding};

use super::Pages;
use super::health::Health;
use super::page::Page;

/// A topology node's pages.
pub(crate) struct NodePages(pub(crate) NodeObserver);

impl Pages for NodePages {
    fn health(&self) -> Health {
        health(&self.0.standing())
    }

    fn metrics(&self) -> Result<String, std::fmt::Error> {
        Page { numbers: numbers(&self.0.standing()), ..Page::default() }.text()
    }
}

/// A node without a majority still answers plain reads, but clients do better elsewhere.
fn health(standing: &NodeStanding) -> Health {
    let mut notes = Vec::new();
    if let Some(failure) = &standing.failure {
        notes.push(format!("it has failed, and has to be started again: {failure}"));
    } else if standing.voters == 0 {
        notes.push("it waits to be added to a cluster".to_owned());
    } else if !standing.is_in_touch {
        notes.push(
            "it is out of touch with a majority: nothing can be changed here, and what it has may be old"
                .to_owned(),
        );
    }
    Health::new(notes.is_empty(), notes, standing.revision.0)
}

fn numbers(standing: &NodeStanding) -> Vec<Measured> {
    let gauge = Measured::gauge;
    vec![
        gauge("topology_leader", u64::from(standing.is_leader), "1 if this node leads"),
        gauge(
            "topology_in_touch",
            u64::from(standing.is_in_touch),
            "1 while this node has to do with a majority, 0 while what it has may be old",
        ),
        gauge("topology_term", standing.term, "The term: counts the elections"),
        gauge("topology_log_entry", standing.last_entry, "The last entry of this node's log"),
        gauge("topology_applied_entry", standing.applied_entry, "The last entry that this node's state has"),
        gauge(
            "topology_snapshot_entry",
            standing.snapshot_entry,
            "The entry with which the last snapshot ends",
        ),
        gauge("topology_map_revision", standing.revision.0, "Revision of this node's map"),
        gauge("topology_voters", standing.voters, "Nodes that have a vote"),
        gauge("topology_proxies", standing.live_proxies, "Proxies that have a lease"),
        gauge(
            "topology_proxies_ended",
            standing.ended_proxies,
            "Proxies whose lease ended and that may have threads on servers",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use podway_model::Revision;
    use podway_topology_api::NodeId;

    use super::*;

    fn leading() -> NodeStanding {
        NodeStanding {
            is_leader: true,
            leader: Some(NodeId(1)),
            is_in_touch: true,
            failure: None,
            term: 3,
            last_entry: 20,
            applied_entry: 20,
            snapshot_entry: 10,
            revision: Revision(9),
            voters: 3,
            live_proxies: 2,
            ended_proxies: 0,
        }
    }

    #[test]
    fn a_node_is_recommended_while_what_it_says_is_news() {
        let cases = [
            (leading(), 200, ""),
            (NodeStanding { is_leader: false, leader: Some(NodeId(2)), ..leading() }, 200, ""),
            (NodeStanding { is_in_touch: false, ..leading() }, 503, "majority"),
            (NodeStanding { voters: 0, is_in_touch: false, ..leading() }, 503, "waits to be added"),
            (NodeStanding { failure: Some("disk full".to_owned()), ..leading() }, 503, "disk full"),
        ];
        for (standing, code, note) in cases {
            let health = health(&standing);
            assert_eq!(health.code(), code, "{standing:?}");
            assert!(health.notes.join("; ").contains(note), "{health:?}");
        }
    }

    #[test]
    fn every_number_is_on_the_page() {
        let text = Page { numbers: numbers(&leading()), ..Page::default() }.text().unwrap();
        for line in ["podway_topology_leader 1", "podway_topology_log_entry 20", "podway_topology_proxies 2"]
        {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
