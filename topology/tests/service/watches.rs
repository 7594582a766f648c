//! Watches: the same changes in the same order at every node, without gaps, whatever happens to nodes meanwhile.

use podway_model::Revision;
use podway_topology_api::TopologyStore;

use super::cluster::{Cluster, Writer};
use super::watcher::Watcher;

#[tokio::test(flavor = "multi_thread")]
async fn every_watcher_hears_the_same_changes_while_nodes_stop_and_start() {
    let mut cluster = Cluster::of(3).await;
    let writer = Writer::new(cluster.client());
    writer.change(1_000).await;
    let from = cluster.client().read(true).await.unwrap().revision;
    let steady: Vec<Watcher> = (1..=3).map(|id| Watcher::new(cluster.client_of(&[id]), from)).collect();
    let roaming = Watcher::new(cluster.client(), from);
    writer.changes(0..30).await;
    let follower = cluster.follower().await;
    cluster.stop(follower).await;
    writer.changes(30..60).await;
    cluster.start(follower).await;
    writer.changes(60..90).await;
    let leader = cluster.leader().await;
    cluster.stop(leader).await;
    writer.changes(90..120).await;
    cluster.start(leader).await;
    writer.changes(120..150).await;

    let last = cluster.client().read(true).await.unwrap().revision;
    let reference = roaming.until(last).await;
    assert_eq!(reference.events.len(), 150);
    assert!(reference.events.is_sorted_by_key(|(revision, _)| *revision), "in order");
    assert_eq!(reference.snapshots, [], "nothing was too old");
    for (watcher, id) in steady.iter().zip(1..) {
        let heard = watcher.until(last).await;
        assert_eq!(heard.events, reference.events, "node {id}");
        let was_stopped = id == follower || id == leader;
        assert!(!was_stopped || heard.ends > 0, "the watch of node {id} ended with it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_nothing_gets_the_whole_map_first() {
    let cluster = Cluster::of(1).await;
    let writer = Writer::new(cluster.client());
    writer.changes(0..5).await;
    let watcher = Watcher::new(cluster.client(), Revision(0));
    let before = cluster.client().read(true).await.unwrap().revision;
    watcher.until(before).await;
    writer.changes(5..8).await;
    let last = cluster.client().read(true).await.unwrap().revision;
    let heard = watcher.until(last).await;
    assert_eq!(heard.snapshots, [before]);
    assert_eq!(heard.events.len(), 3);
}
