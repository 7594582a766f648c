//! Nodes added, removed and replaced while changes are made, and a node that lost its disk.

use podway_topology::{Start, TopologyNode, Tuning};
use podway_topology_api::contract::peer_client::PeerClient;
use podway_topology_api::contract::{Envelope, PeerRequest};
use podway_topology_api::{MemberChange, NodeId, StoreId, TopologyStore};
use tonic::Code;

use super::cluster::{
    Cluster, PATIENCE, Place, Writer, eventually, free_address, refusal, setting_at, voters,
};
use super::watcher::Watcher;

/// Snapshots soon, and a log that is purged right behind them.
fn forgetful() -> Tuning {
    Tuning { snapshot_every: 20, entries_kept: 2, ..Tuning::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_grows_to_three_and_shrinks_again() {
    let mut cluster = Cluster::of(1).await;
    let client = cluster.client();
    let writer = Writer::new(client.clone());
    writer.changes(0..5).await;
    for id in [2, 3] {
        let peer = cluster.newcomer(id).await;
        let add = MemberChange::Add { id: NodeId(id), peer };
        let members = client.change_members(add.clone()).await.unwrap();
        assert!(voters(&members).contains(&id));
        assert_eq!(voters(&client.change_members(add).await.unwrap()), voters(&members), "again: no harm");
        assert_eq!(setting_at(&cluster.node(id).store(), true).await, 4);
    }
    assert_eq!(cluster.node(2).cluster(), cluster.node(1).cluster());
    writer.changes(5..10).await;

    let client = cluster.client();
    let leader = cluster.leader().await;
    client.change_members(MemberChange::Remove { id: NodeId(leader) }).await.unwrap();
    cluster.stop(leader).await;
    Writer::new(client.clone()).change(10).await;
    let members = client.members().await.unwrap();
    assert_eq!(voters(&members).len(), 2);
    assert!(!voters(&members).contains(&leader));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_takes_the_place_of_one_that_is_gone() {
    let mut cluster = Cluster::of(3).await;
    let client = cluster.client();
    Writer::new(client.clone()).changes(0..3).await;
    let gone = cluster.leader().await;
    cluster.stop(gone).await;
    let peer = cluster.newcomer(4).await;
    let replace = MemberChange::Replace { old: NodeId(gone), id: NodeId(4), peer };
    let members = client.change_members(replace).await.unwrap();
    let expected: Vec<u64> = (1..=4).filter(|id| *id != gone).collect();
    assert_eq!(voters(&members), expected);
    Writer::new(client).change(3).await;
    assert_eq!(setting_at(&cluster.node(4).store(), true).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_its_disk_has_no_vote_until_it_is_replaced_by_itself() {
    let mut cluster = Cluster::tuned(3, forgetful()).await;
    let client = cluster.client();
    let writer = Writer::new(client.clone());
    writer.changes(0..50).await;
    let robbed = cluster.follower().await;
    cluster.stop(robbed).await;
    writer.changes(50..100).await;
    let peer = cluster.start_without_disk(robbed).await;

    // Together with the robbed node there are two; but its vote was lost with its disk, so they are no majority.
    let other = *cluster.nodes.keys().find(|id| **id != robbed && !cluster.node(**id).is_leader()).unwrap();
    cluster.stop(other).await;
    let deserted = cluster.leader().await;
    assert!(
        cluster.node(deserted).store().read(true).await.is_err(),
        "an empty disk is no part of a majority"
    );
    cluster.start(other).await;
    writer.change(100).await;

    let add = MemberChange::Add { id: NodeId(robbed), peer: peer.clone() };
    assert!(refusal(client.change_members(add).await).contains("replace"));
    let replace = MemberChange::Replace { old: NodeId(robbed), id: NodeId(robbed), peer };
    let members = client.change_members(replace).await.unwrap();
    assert_eq!(voters(&members), [1, 2, 3]);
    assert_eq!(setting_at(&cluster.node(robbed).store(), true).await, 100);

    // Its log begins behind a snapshot, and watches go on from there.
    let from = client.read(true).await.unwrap().revision;
    let watcher = Watcher::new(cluster.client_of(&[robbed]), from);
    writer.changes(101..110).await;
    let last = client.read(true).await.unwrap().revision;
    assert_eq!(watcher.until(last).await.events.len(), 9);

    cluster.stop(other).await;
    Writer::new(cluster.client()).change(110).await;
    assert_eq!(setting_at(&cluster.node(robbed).store(), true).await, 110, "its vote counts again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_moved_is_found_again_when_it_is_replaced_by_itself() {
    let mut cluster = Cluster::of(3).await;
    let moved = cluster.follower().await;
    cluster.stop(moved).await;
    let others: Vec<u64> = (1..=3).filter(|id| *id != moved).collect();
    let client = cluster.client_of(&others);
    Writer::new(client.clone()).changes(0..3).await;
    let place = cluster.places.get_mut(&moved).unwrap();
    (place.client, place.peer) = (free_address(), free_address());
    place.listen = place.peer;
    let (peer, address) = (place.peer.to_string(), place.client.to_string());
    cluster.start(moved).await;
    let replace = MemberChange::Replace { old: NodeId(moved), id: NodeId(moved), peer: peer.clone() };
    let members = client.change_members(replace).await.unwrap();
    assert_eq!(voters(&members), [1, 2, 3]);
    let found = members.nodes.iter().find(|node| node.id.0 == moved).unwrap();
    assert_eq!((&found.member.peer, &found.member.client), (&peer, &address));
    assert_eq!(setting_at(&cluster.node(moved).store(), true).await, 2);
    cluster.stop(others[0]).await;
    Writer::new(cluster.client()).change(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_node_is_brought_up_by_a_snapshot_and_its_watchers_resync() {
    let mut cluster = Cluster::tuned(3, forgetful()).await;
    let client = cluster.client();
    let writer = Writer::new(client.clone());
    writer.changes(0..10).await;
    let late = cluster.follower().await;
    let from = client.read(true).await.unwrap().revision;
    let watcher = Watcher::new(cluster.client_of(&[late]), from);
    cluster.stop(late).await;
    writer.changes(10..100).await;
    cluster.start(late).await;
    writer.changes(100..110).await;
    let last = client.read(true).await.unwrap().revision;
    let heard = watcher.until(last).await;
    assert!(!heard.snapshots.is_empty(), "what it missed is purged everywhere: {heard:?}");
    let after = heard.snapshots.last().unwrap();
    assert!(heard.events.iter().filter(|(revision, _)| revision > after).count() <= 100);
    assert_eq!(setting_at(&cluster.node(late).store(), true).await, 109);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_do_not_belong_are_refused_with_a_reason() {
    let mut cluster = Cluster::of(3).await;
    let client = cluster.client();
    let stranger = Place::new(9);
    let config = stranger.config(Start::Alone, &Tuning::default());
    let elsewhere = TopologyNode::start(config).await.unwrap();
    elsewhere.wait_until_ready(PATIENCE).await.unwrap();
    let peer = stranger.peer.to_string();
    let add = |id, peer: &str| MemberChange::Add { id: NodeId(id), peer: peer.to_owned() };
    assert!(refusal(client.change_members(add(9, &peer)).await).contains("another cluster"));
    assert!(refusal(client.change_members(add(8, &peer)).await).contains("node 9, not node 8"));
    let nobody = free_address().to_string();
    assert!(refusal(client.change_members(add(4, &nobody)).await).contains(&nobody));

    let follower = cluster.follower().await;
    let leader = cluster.leader().await;
    let third = (1..=3).find(|id| *id != follower && *id != leader).unwrap();
    cluster.stop(third).await;
    let refused = eventually("the leader misses the stopped node", || async {
        let members = client.members().await.unwrap();
        let missed = members.nodes.iter().find(|node| node.id.0 == third).unwrap();
        (missed.reachable == Some(false)).then_some(())
    });
    refused.await;
    let remove = MemberChange::Remove { id: NodeId(follower) };
    assert!(refusal(client.change_members(remove).await).contains("no majority"));
    elsewhere.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_meant_for_another_node_disk_or_cluster_is_refused() {
    let cluster = Cluster::of(1).await;
    let members = cluster.client().members().await.unwrap();
    let own = &members.nodes[0].member;
    let mut peer = PeerClient::connect(format!("http://{}", own.peer)).await.unwrap();
    let right = Envelope {
        cluster: members.cluster.bytes().to_vec().into(),
        from_node: 2,
        to_node: 1,
        to_store: own.store.bytes().to_vec().into(),
    };
    let other = StoreId::random().bytes().to_vec();
    let wrong = [
        Envelope { cluster: other.clone().into(), ..right.clone() },
        Envelope { to_store: other.into(), ..right.clone() },
        Envelope { to_node: 2, ..right.clone() },
    ];
    let request =
        |envelope| PeerRequest { envelope: Some(envelope), payload: b"\"Members\"".to_vec().into() };
    for envelope in wrong {
        let refused = peer.forward(request(envelope.clone())).await.unwrap_err();
        assert_eq!(refused.code(), Code::Aborted, "{envelope:?}: {refused}");
        for refused in [peer.vote(request(envelope.clone())).await, peer.append(request(envelope)).await] {
            assert_eq!(refused.unwrap_err().code(), Code::Aborted);
        }
    }
    peer.forward(request(right)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_of_another_node_is_not_started_from() {
    let mut cluster = Cluster::of(1).await;
    cluster.stop(1).await;
    let mut config = cluster.places[&1].config(Start::Join, &Tuning::default());
    config.id = NodeId(2);
    let refused = TopologyNode::start(config).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("node 1's")));
}
