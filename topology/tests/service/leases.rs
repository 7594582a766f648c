//! Proxies: registered with the cluster's secret, kept by heartbeats through any node and leader, shut out by the log's time without them.

use podway_model::{HybridTime, Revision};
use podway_topology_api::{
    Beat, ClockReport, Command, Incarnation, Lease, ProxyInfo, SettingCommand, TopologyStore,
};

use super::cluster::{Cluster, Writer, eventually};

fn proxy(name: &str) -> ProxyInfo {
    ProxyInfo { name: name.into(), address: "127.0.0.1:3306".into(), version: "0".into() }
}

fn beat(incarnation: Incarnation) -> Beat {
    Beat {
        incarnation,
        applied: Revision(3),
        settled: Revision(2),
        clock: HybridTime(9),
        clocks: ClockReport { steps_back: 4, ..ClockReport::default() },
        drained: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_keeps_a_lease_and_silence_ends_it() {
    let mut cluster = Cluster::of(3).await;
    let shortest = SettingCommand::Set { name: "proxy.lease".into(), value: "3s".into() };
    Writer::new(cluster.client()).propose(Command::Setting(shortest)).await;
    let alive = cluster.client_of(&[1]).register(proxy("alive")).await.unwrap();
    let silent = cluster.client_of(&[2]).register(proxy("silent")).await.unwrap();
    assert_ne!(alive.incarnation, silent.incarnation);
    let same = |a: &podway_model::ClusterSecret, b: &podway_model::ClusterSecret| {
        serde_json::to_vec(a).unwrap() == serde_json::to_vec(b).unwrap()
    };
    assert!(same(&alive.secret, &silent.secret), "one secret for the cluster");

    let leader = cluster.leader().await;
    cluster.stop(leader).await;
    let client = cluster.client();
    eventually("the silent one's lease ends", || async {
        let answer = client.beat(beat(alive.incarnation)).await.unwrap();
        assert!(answer.has_lease);
        assert!(answer.clock > HybridTime(9), "the leader's clock is later than what it heard");
        let [came, answered] = answer.wall_us;
        assert!(came > 0 && came <= answered, "the leader's time of day: {came}, {answered}");
        let proxies = client.read(true).await.unwrap().proxies;
        let kept = proxies.iter().find(|proxy| proxy.incarnation == alive.incarnation).unwrap();
        assert!(matches!(kept.lease, Lease::Until(_)));
        assert_eq!((kept.applied, kept.settled, kept.clock), (Revision(3), Revision(2), HybridTime(9)));
        assert_eq!(kept.clocks.steps_back, 4);
        let lost = proxies.iter().find(|proxy| proxy.incarnation == silent.incarnation).unwrap();
        (lost.lease == Lease::Ended).then_some(())
    })
    .await;
    assert!(!client.beat(beat(silent.incarnation)).await.unwrap().has_lease);
    assert!(!client.beat(beat(Incarnation(99))).await.unwrap().has_lease, "it is unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_of_one_tick_share_an_entry() {
    let cluster = Cluster::of(1).await;
    let client = cluster.client();
    let mut proxies = Vec::new();
    for number in 0..40 {
        proxies.push(client.register(proxy(&format!("p{number}"))).await.unwrap().incarnation);
    }
    let before = client.members().await.unwrap().last_index;
    let beats = proxies.iter().map(|incarnation| client.beat(beat(*incarnation)));
    for answer in futures::future::join_all(beats).await {
        assert!(answer.unwrap().has_lease);
    }
    let entries = client.members().await.unwrap().last_index - before;
    assert!(entries <= 10, "40 heartbeats made {entries} entries");
}
