//! A proposal is done once, however often and wherever it is proposed.

use podway_topology_api::{
    ClientId, Command, Done, Proposal, ProxyCommand, ProxyInfo, StoreError, TopologyStore,
};

use super::cluster::Cluster;

fn registering(sequence: u64) -> Proposal {
    let info = ProxyInfo { name: "p1".into(), address: "127.0.0.1:3306".into(), version: "0".into() };
    let command = Command::Proxy(ProxyCommand::Register(info));
    Proposal { client: ClientId(7), sequence, who: "the test".into(), command }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_gets_the_first_answer_from_any_node_and_leader() {
    let mut cluster = Cluster::of(3).await;
    let first = cluster.client_of(&[1]).propose_once(registering(1)).await.unwrap().unwrap();
    let Done::Registered { incarnation, .. } = first else { panic!("{first:?}") };
    for id in 1..=3 {
        let again = cluster.client_of(&[id]).propose_once(registering(1)).await.unwrap().unwrap();
        assert_eq!(again, first, "node {id}");
    }
    let leader = cluster.leader().await;
    cluster.stop(leader).await;
    assert_eq!(cluster.client().propose_once(registering(1)).await.unwrap().unwrap(), first);
    let next = cluster.client().propose_once(registering(2)).await.unwrap().unwrap();
    let Done::Registered { incarnation: other, .. } = next else { panic!("{next:?}") };
    assert!(other > incarnation);
    assert_eq!(cluster.client().read(true).await.unwrap().proxies.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_are_not_taken_as_proposals() {
    let cluster = Cluster::of(1).await;
    let command = Command::Proxy(ProxyCommand::Beats(Vec::new()));
    let refused = cluster.client().propose_once(Proposal { command, ..registering(1) }).await;
    assert!(matches!(refused, Err(StoreError::Garbled(_))), "{refused:?}");
}
