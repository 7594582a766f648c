//! Who watches the map: a watcher at each node, which comes back where it left off, and a follower as every proxy has it, which goes to any node.

use std::time::Duration;

use futures::StreamExt;
use podway_model::{Map, NameRule, Revision};
use podway_topology_api::{StoreError, TopologyStore, WatchMessage, follow, map_channel};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{sleep, timeout};

use super::clients::client;
use super::fault::Fault;
use super::history::Heard;
use super::plan::Shared;

/// A watcher that hears nothing for so long looks for another stream, as followers do.
const SILENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(50);

/// Watches at one node until the run is over.
pub async fn watch(shared: Shared, node: u64) {
    let mut random = StdRng::seed_from_u64(shared.seed ^ (node << 48));
    let watcher = shared.history.watcher(format!("watcher-{node}"), Map::empty(NameRule::CaseSensitive));
    let store = client([node]);
    let mut from = Revision(0);
    while !shared.is_over() {
        if let Ok(mut stream) = store.watch(from).await {
            shared.history.hear(watcher, Heard::Began(from), &[]);
            while let Ok(Some(Ok(message))) = timeout(SILENCE, stream.next()).await {
                match message {
                    WatchMessage::Snapshot(event) => {
                        from = event.revision;
                        shared.history.hear(watcher, Heard::Snapshot(from), &event.changes);
                    }
                    WatchMessage::Event(event) => {
                        from = event.revision;
                        if shared.fault == Fault::WatchSkips && random.random_ratio(1, 10) {
                            continue;
                        }
                        let heard = Heard::Event(from, event.changes.clone());
                        shared.history.hear(watcher, heard, &event.changes);
                    }
                    WatchMessage::Progress { .. } => {}
                }
                if shared.is_over() {
                    return;
                }
            }
        }
        sleep(AGAIN).await;
    }
}

/// Follows from any node until the run is over; tells each map's revision.
pub async fn follow_all(shared: Shared) {
    let (publisher, mut maps) = map_channel(Map::empty(NameRule::CaseSensitive));
    let _following = follow(client(1..=shared.nodes), publisher);
    while !shared.is_over() {
        if let Ok(Some(map)) = timeout(AGAIN, maps.changed()).await {
            shared.history.note("follower", &format!("has {:?}", map.revision));
            shared.note_followed(&map);
        }
    }
}

/// Puts lost nodes back into their own place, until the run is over.
pub async fn operate(shared: Shared) {
    use podway_topology_api::{MemberChange, NodeId};
    while !shared.is_over() {
        if let Some(lost) = shared.lost() {
            let others = (1..=shared.nodes).filter(|id| *id != lost);
            let peer = super::plan::peer_address(lost);
            let id = NodeId(lost);
            let done = client(others).change_members(MemberChange::Replace { old: id, id, peer }).await;
            match done {
                Ok(_) => {
                    shared.history.note("operator", &format!("replaced n{lost}"));
                    shared.set_lost(None);
                }
                Err(StoreError::Away { .. }) => shared.history.note("operator", "was not answered"),
                Err(error) => shared.history.note("operator", &format!("was refused: {error}")),
            }
        }
        sleep(AGAIN).await;
    }
}
