//! Several topology nodes as processes: formed together, one killed and replaced, a majority lost and back, a data directory saved and brought back,
//! and a node that lets nobody in without its token.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cluster::eventually;
use crate::podway::{Podway, Ran};

/// Ports that nobody listens on just now.
fn ports<const N: usize>() -> [u16; N] {
    let listeners: Vec<TcpListener> =
        (0..N).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    std::array::from_fn(|index| listeners[index].local_addr().expect("an address").port())
}

/// Three nodes.
struct Nodes {
    folder: tempfile::TempDir,
    clients: [u16; 4],
    peers: [u16; 4],
    running: Vec<Option<Podway>>,
}

impl Nodes {
    fn start() -> Nodes {
        let ports: [u16; 8] = ports();
        let mut nodes = Nodes {
            folder: tempfile::tempdir().expect("a folder"),
            clients: std::array::from_fn(|index| ports[index]),
            peers: std::array::from_fn(|index| ports[index + 4]),
            running: Vec::new(),
        };
        nodes.running = (1..=3).map(|id| Some(nodes.node(id, &nodes.together()))).collect();
        nodes.running.push(None);
        for node in nodes.running.iter_mut().flatten() {
            node.line("The topology is ready");
        }
        nodes
    }

    /// The flag that makes three new nodes one cluster.
    fn together(&self) -> String {
        let members: Vec<String> =
            (1..=3).map(|id| format!("{id}=127.0.0.1:{}", self.peers[id - 1])).collect();
        format!("--together={}", members.join(","))
    }

    fn data(&self, id: usize) -> String {
        self.folder.path().join(format!("node-{id}")).to_str().unwrap_or_default().to_owned()
    }

    /// Starts a node in this way.
    fn node(&self, id: usize, how: &str) -> Podway {
        let (listen, peers) = (self.clients[id - 1], self.peers[id - 1]);
        Podway::start(&[
            "topology",
            "--id",
            &id.to_string(),
            "--data-dir",
            &self.data(id),
            "--listen",
            &format!("127.0.0.1:{listen}"),
            "--peer-listen",
            &format!("127.0.0.1:{peers}"),
            how,
        ])
    }

    fn restart(&mut self, id: usize, how: &str) {
        let node = self.node(id, how);
        self.running[id - 1] = Some(node);
    }

    fn kill(&mut self, id: usize) {
        let mut node = self.running[id - 1].take().expect("it runs");
        node.end(Signal::SIGKILL);
    }

    /// Runs a command against these nodes.
    fn run(&self, ids: &[usize], words: &str) -> Ran {
        let addresses: Vec<String> =
            ids.iter().map(|id| format!("127.0.0.1:{}", self.clients[id - 1])).collect();
        let addresses = addresses.join(",");
        let args: Vec<&str> = words.split(' ').chain(["--topology", &addresses]).collect();
        Podway::run(&args)
    }

    /// Runs one that has to work.
    fn done(&self, words: &str) -> String {
        let ran = self.run(&[1, 2, 3, 4], words);
        assert_eq!(ran.code, Some(0), "podway {words}: {ran:?}");
        ran.printed
    }

    fn json(&self, words: &str) -> Value {
        let printed = self.done(&format!("{words} --json"));
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{words}: {error}: {printed}"))
    }

    fn leader(&self) -> usize {
        let members = self.json("topology members");
        let nodes = members.as_array().expect("a list");
        let leader = nodes.iter().find(|node| node["role"] == "leader").expect("a leader");
        leader["node"].as_u64().expect("a number") as usize
    }
}

fn copy(from: &str, to: &str) {
    let copied = Command::new("cp").args(["-a", from, to]).status().expect("cp runs");
    assert!(copied.success());
}

#[tokio::test]
async fn a_node_is_lost_replaced_and_a_majority_comes_back() {
    let mut nodes = Nodes::start();
    nodes.done("settings set proxy.lease 11s");
    let members = nodes.json("topology members");
    assert_eq!(members.as_array().map(Vec::len), Some(3), "{members}");

    // The leader dies: the others go on.
    let lost = nodes.leader();
    nodes.kill(lost);
    nodes.done("settings set proxy.lease 12s");
    eventually("the loss is noticed", async || {
        let status = nodes.json("status");
        let alarms = status["alarms"].to_string();
        let named = alarms.contains(&format!("topology node {lost} is not reached"));
        if named && alarms.contains("no more may fail") { Ok(()) } else { Err(alarms) }
    })
    .await;

    // It comes back with an empty disk, as itself.
    std::fs::remove_dir_all(nodes.data(lost)).unwrap();
    nodes.restart(lost, "--join");
    let peer = nodes.peers[lost - 1];
    nodes.done(&format!("topology replace {lost} {lost} 127.0.0.1:{peer}"));
    // A fourth takes the place of another one.
    let old = (1..=3).find(|id| *id != nodes.leader()).unwrap();
    nodes.restart(4, "--join");
    let peer = nodes.peers[3];
    let replaced = nodes.done(&format!("topology replace {old} 4 127.0.0.1:{peer}"));
    assert!(
        replaced.contains(&format!("node 4 at 127.0.0.1:{peer} is in the place of node {old}")),
        "{replaced}"
    );
    nodes.running[old - 1].take().unwrap().end(Signal::SIGTERM);
    assert_eq!(nodes.json("topology members").as_array().map(Vec::len), Some(3));
    eventually("no alarm is left", async || {
        let status = nodes.json("status");
        if status["alarms"].as_array().is_some_and(Vec::is_empty) {
            Ok(())
        } else {
            Err(status["alarms"].to_string())
        }
    })
    .await;

    // A majority dies: what is known can be read, nothing can be changed; it comes back, and nothing was lost.
    let left: Vec<usize> = (1..=4).filter(|id| *id != old).collect();
    for id in &left[..2] {
        nodes.kill(*id);
    }
    let refused = nodes.run(&left[2..], "settings set proxy.lease 13s");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let status = nodes.run(&left[2..], "status");
    assert!(status.code == Some(0) && status.printed.contains("has no leader"), "{status:?}");
    for id in &left[..2] {
        nodes.restart(*id, "--join");
    }
    eventually("a leader", async || {
        let ran = nodes.run(&left, "settings list --json");
        if ran.code == Some(0) { Ok(()) } else { Err(ran) }
    })
    .await;
    let settings = nodes.json("settings list");
    let lease = settings.as_array().unwrap().iter().find(|setting| setting["name"] == "proxy.lease").unwrap();
    assert_eq!(lease["value"], "12s");
}

#[tokio::test]
async fn a_saved_data_directory_brings_a_lone_node_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, saved) = (path("node"), path("saved"));
    let start = |data: &str| {
        let mut node = Podway::start(&["topology", "--data-dir", data, "--listen", "127.0.0.1:0"]);
        let address = node.line("Podway's topology node 1 listens on ");
        node.line("The topology is ready");
        (node, address)
    };
    let lease = |address: &str| {
        let ran = Podway::run(&["settings", "list", "--json", "--topology", address]);
        let settings: Value =
            serde_json::from_str(&ran.printed).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        let found =
            settings.as_array().unwrap().iter().find(|setting| setting["name"] == "proxy.lease").cloned();
        found.unwrap()["value"].as_str().unwrap().to_owned()
    };
    let set = |address: &str, value: &str| {
        Podway::run(&["settings", "set", "proxy.lease", value, "--topology", address]).code
    };
    let (mut node, address) = start(&data);
    assert_eq!(set(&address, "14s"), Some(0));
    assert!(node.end(Signal::SIGTERM).status.success());
    copy(&data, &saved);
    let (mut node, address) = start(&data);
    assert_eq!(set(&address, "15s"), Some(0));
    assert!(node.end(Signal::SIGTERM).status.success());
    assert!(Path::new(&data).exists());
    std::fs::remove_dir_all(&data).unwrap();
    copy(&saved, &data);
    let (_node, address) = start(&data);
    assert_eq!(lease(&address), "14s", "as it was when it was saved");
}

#[tokio::test]
async fn a_node_lets_nobody_in_without_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("tokens"), "0123456789abcdef0123\n").unwrap();
    std::fs::write(path("wrong"), "0123456789abcdef0124\n").unwrap();
    let (data, tokens, wrong) = (path("node"), path("tokens"), path("wrong"));
    let mut node = Podway::start(&[
        "topology",
        "--data-dir",
        &data,
        "--listen",
        "127.0.0.1:0",
        "--tokens-file",
        &tokens,
    ]);
    let address = node.line("Podway's topology node 1 listens on ");
    node.line("The topology is ready");
    let status = |rest: &[&str]| Podway::run(&[&["status", "--topology", &address], rest].concat());
    assert_eq!(status(&["--topology-token-file", &tokens]).code, Some(0));
    for rest in [&[][..], &["--topology-token-file", &wrong]] {
        let refused = status(rest);
        assert!(
            refused.code == Some(1) && refused.said.contains("does not let this caller in"),
            "{refused:?}"
        );
    }
    let open = Podway::run(&["topology", "--data-dir", &path("open"), "--listen", "0.0.0.0:0"]);
    assert!(open.code == Some(1) && open.said.contains("--insecure"), "{open:?}");
    let proxy = Podway::run(&["proxy", "--topology", &address, "--listen", "127.0.0.1:0"]);
    assert!(proxy.code == Some(1) && proxy.said.contains("does not let this caller in"), "{proxy:?}");
}
