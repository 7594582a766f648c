//! Topology nodes that are killed under load, and a cluster that is made anew of one node's disk.

use nix::sys::signal::Signal;

use crate::load::{Load, PATIENCE, client};
use crate::nodes::Nodes;
use podway_topology_api::TopologyStore;

#[tokio::test(flavor = "multi_thread")]
async fn each_node_is_killed_under_load_and_nothing_is_lost() {
    let mut nodes = Nodes::start();
    let addresses = nodes.addresses(&[1, 2, 3]);
    let mut load = Load::start(&addresses).await;
    for id in [1, 2, 3] {
        load.more(20).await;
        nodes.kill(id);
        let took = load.more(20).await;
        println!("node {id} was killed; the next 20 changes took {took:?}");
        nodes.restart(id, "--join");
        // A majority is needed for the next one: it has to have caught up.
        client(&nodes.addresses(&[id]), PATIENCE).read(true).await.expect("it is back");
    }
    // All at once, as when the power goes.
    load.more(20).await;
    [1, 2, 3].into_iter().for_each(|id| nodes.kill(id));
    [1, 2, 3].into_iter().for_each(|id| nodes.restart(id, "--join"));
    load.more(20).await;
    let written = load.end(&addresses).await;
    println!("{written} changes, each of them there once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_made_anew_of_one_nodes_disk() {
    let mut nodes = Nodes::start();
    nodes.done("settings set proxy.lease 11s");
    let leader = nodes.leader();
    let data = nodes.data(leader);
    let recover = ["topology", "recover", "--data-dir", &data];
    let running = crate::podway::Podway::run(&recover);
    assert_eq!(running.code, Some(1), "it runs: {running:?}");
    let before = client(&nodes.addresses(&[leader]), PATIENCE).read(true).await.expect("a leader").revision;

    [1, 2, 3].into_iter().for_each(|id| nodes.kill(id));
    for id in (1..=3).filter(|id| *id != leader) {
        std::fs::remove_dir_all(nodes.data(id)).expect("its disk is lost");
    }
    let asked = crate::podway::Podway::run(&recover);
    assert_eq!(asked.code, Some(1), "{asked:?}");
    assert!(asked.said.contains("--lose-the-rest"), "{asked:?}");
    assert!(asked.printed.contains("last entry") && asked.printed.contains("other nodes"), "{asked:?}");
    let done = crate::podway::Podway::run(&[&recover[..], &["--lose-the-rest"]].concat());
    assert_eq!(done.code, Some(0), "{done:?}");

    nodes.restart(leader, "--join");
    let alone = client(&nodes.addresses(&[leader]), PATIENCE);
    let view = alone.read(true).await.expect("it leads alone");
    assert!(view.revision > before, "no watcher has a revision that comes again");
    let lease = view.settings.iter().find(|setting| &*setting.name == "proxy.lease");
    assert_eq!(lease.map(|setting| &*setting.value), Some("11s"), "what was answered is there");
    for id in (1..=3).filter(|id| *id != leader) {
        nodes.restart(id, "--join");
        let peer = nodes.peers[id - 1];
        let ran = nodes.run(&[leader], &format!("topology add {id} 127.0.0.1:{peer}"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let mut load = Load::start(&nodes.addresses(&[1, 2, 3])).await;
    load.more(10).await;
    nodes.kill(leader);
    load.more(10).await;
    nodes.restart(leader, "--join");
    load.end(&nodes.addresses(&[1, 2, 3])).await;

    let empty = nodes.data(4);
    let nothing = crate::podway::Podway::run(&["topology", "recover", "--data-dir", &empty]);
    assert!(nothing.code == Some(1) && nothing.said.contains("no topology node's file"), "{nothing:?}");
    let ended = nodes.running[0].take().expect("it runs").end(Signal::SIGTERM);
    assert!(ended.status.success(), "{}", ended.said);
}
