//! The loss of nodes: what was answered stays, and changes go on with a majority.

use std::time::Duration;

use futures::StreamExt;
use podway_topology_api::{StoreError, TopologyStore};
use tokio::time::Instant;

use super::cluster::{Cluster, PATIENCE, Writer, setting_at};

#[tokio::test(flavor = "multi_thread")]
async fn any_node_takes_changes_and_reads_them_back_at_once() {
    let cluster = Cluster::of(3).await;
    for (number, id) in [1, 2, 3, 1].into_iter().enumerate() {
        let number = number as u64;
        Writer::new(cluster.client_of(&[id])).change(number).await;
        for other in 1..=3 {
            assert_eq!(
                setting_at(&cluster.client_of(&[other]), true).await,
                number,
                "node {other} after {id}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_go_on_within_two_seconds_when_the_leader_is_lost() {
    let mut cluster = Cluster::of(3).await;
    let writer = Writer::new(cluster.client());
    writer.changes(0..10).await;
    let leader = cluster.leader().await;
    // Nothing is handed over: that it stops in order tells the others no more than a crash would.
    cluster.stop(leader).await;
    let start = Instant::now();
    writer.change(10).await;
    let took = start.elapsed();
    println!("leader lost; the next change took {took:?}");
    // The promise is two seconds; a machine that does much else at the time gets as much again.
    assert!(took < Duration::from_secs(4), "{took:?}");

    cluster.start(leader).await;
    cluster.node(leader).wait_until_ready(PATIENCE).await.unwrap();
    assert_eq!(setting_at(&cluster.node(leader).store(), true).await, 10, "it has what it missed");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_nothing_is_answered_and_old_reads_are_said_to_be_so() {
    let mut cluster = Cluster::of(3).await;
    Writer::new(cluster.client()).changes(0..2).await;
    let leader = cluster.leader().await;
    let others: Vec<u64> = (1..=3).filter(|id| *id != leader).collect();
    for id in &others {
        cluster.stop(*id).await;
    }
    let store = cluster.node(leader).store();
    let mut watch = store.watch(store.read(false).await.unwrap().revision).await.unwrap();
    let ended = async { while let Some(Ok(_)) = watch.next().await {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("its watches end: what it knows may be old");
    let read = tokio::time::timeout(PATIENCE, store.read(true)).await.unwrap();
    assert!(matches!(read, Err(StoreError::Away { .. })), "{read:?}");
    assert_eq!(setting_at(&store, false).await, 1, "a local read tells what the node has");
    cluster.start(others[0]).await;
    Writer::new(cluster.client()).change(2).await;
    assert_eq!(setting_at(&store, true).await, 2);
}
