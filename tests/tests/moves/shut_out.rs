//! A proxy that is not heard of any more loses its lease, and its threads on every server are ended before its shards go elsewhere.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{ServerId, ShardIndex};
use podway_tests::Pod;
use podway_topology::Moves;
use podway_topology_api::{Lease, ProxyInfo, TopologyStore};

use crate::ground::Ground;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_whose_lease_ended_is_shut_out_on_every_server() {
    let ground = Ground::shop(Pod::shared().await, "moves_shut_out", 2, Moves::default()).await;
    ground.set("proxy.lease", "10s").await;
    // It says nothing after this.
    let info = ProxyInfo { name: "lost".into(), address: "".into(), version: "".into() };
    let lost = ground.client.register(info).await.unwrap().incarnation;
    let (mut its_own, mut others) = (Vec::new(), Vec::new());
    for server in 0..4 {
        let options = ground.keyspace.pod.direct_options(ServerId(server)).unwrap();
        let its = options.clone().connect_attribute("podway_incarnation", lost.0.to_string());
        its_own.push(Conn::new(its).await.unwrap());
        let other = options.connect_attribute("podway_incarnation", "4000000000");
        others.push(Conn::new(other).await.unwrap());
    }
    let id = ground.begin(ShardIndex(1), 3, "moves_shut_out_moved").await;
    ground.trouble(id, &format!("still to drain: {lost}")).await;
    ground.finish(id).await;
    for conn in &mut its_own {
        conn.query_drop("DO 1").await.unwrap_err();
    }
    for conn in &mut others {
        conn.query_drop("DO 1").await.unwrap();
    }
    let view = ground.view().await;
    let proxy = view.proxies.iter().find(|proxy| proxy.incarnation == lost).unwrap();
    assert_eq!(proxy.lease, Lease::ShutOut);
    ground.close().await;
}
