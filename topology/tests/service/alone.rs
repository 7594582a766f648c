//! One node, as a laptop has it: no TLS, no peers, on disk or in memory.

use podway_model::{Map, NameRule};
use podway_topology::{NodeConfig, StartError, TopologyNode};
use podway_topology_api::{
    ClientConfig, MemberRole, StoreError, TopologyClient, TopologyContact, TopologyStore, follow, map_channel,
};

use super::cluster::{PATIENCE, Writer, eventually, refusal, setting_at};

#[tokio::test(flavor = "multi_thread")]
async fn one_node_keeps_what_it_answered_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let config = NodeConfig::embedded(Some(directory.path().to_owned()));
    let node = TopologyNode::start(config.clone()).await.unwrap();
    node.wait_until_ready(PATIENCE).await.unwrap();
    Writer::new(node.store()).changes(0..20).await;
    let before = node.store().read(true).await.unwrap();
    assert!(matches!(TopologyNode::start(config.clone()).await, Err(StartError::Disk(_))), "it is open");
    let (cluster, store) = (node.cluster(), node.store());
    node.stop().await;
    assert!(matches!(store.read(true).await, Err(StoreError::Away { .. })), "it has stopped");

    let node = TopologyNode::start(config).await.unwrap();
    node.wait_until_ready(PATIENCE).await.unwrap();
    let after = node.store().read(true).await.unwrap();
    assert_eq!(after.revision, before.revision);
    assert_eq!(after.settings, before.settings);
    assert_eq!(after.log, before.log);
    assert_eq!(node.cluster(), cluster);
    eventually("the members name the node's present port", || async {
        let members = node.store().members().await.unwrap();
        (members.nodes[0].member.client == node.client_address()).then_some(())
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_in_memory_answers_over_its_port_too() {
    let node = TopologyNode::start(NodeConfig::embedded(None)).await.unwrap();
    node.wait_until_ready(PATIENCE).await.unwrap();
    let client = TopologyClient::new(ClientConfig::plain(vec![node.client_address().to_owned()])).unwrap();
    Writer::new(client.clone()).changes(0..3).await;
    assert_eq!(setting_at(&client, true).await, 2);
    assert_eq!(setting_at(&node.store(), false).await, 2);
    let members = client.members().await.unwrap();
    assert_eq!((members.leader, members.nodes.len()), (Some(node.id()), 1));
    assert_eq!(members.nodes[0].role, MemberRole::Leader);
    let change = podway_topology_api::MemberChange::Remove { id: node.id() };
    assert!(refusal(client.change_members(change).await).contains("only one"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_is_fed_and_outlives_its_topology() {
    let node = TopologyNode::start(NodeConfig::embedded(None)).await.unwrap();
    node.wait_until_ready(PATIENCE).await.unwrap();
    let (publisher, mut watch) = map_channel(Map::empty(NameRule::CaseSensitive));
    let following = follow(node.store(), publisher);
    let writer = Writer::new(node.store());
    writer.changes(0..3).await;
    while watch.current().setting("freeze.drain") != Some("12ms") {
        tokio::time::timeout(PATIENCE, watch.changed()).await.unwrap().unwrap();
    }
    let mut health = following.health();
    assert!(matches!(health.borrow().contact, TopologyContact::Connected { .. }));
    node.stop().await;
    let is_away = |contact: &TopologyContact| matches!(contact, TopologyContact::Away { .. });
    tokio::time::timeout(PATIENCE, health.wait_for(|health| is_away(&health.contact)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(watch.current().setting("freeze.drain"), Some("12ms"), "the last map stays");
}
