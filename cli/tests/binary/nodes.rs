//! Several topology nodes as processes: formed together, one killed and replaced, a majority lost and back, a data directory saved and brought back,
//! and a node that lets nobody in without its token.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;

use crate::cluster::eventually;
use crate::podway::{Podway, Ran};

/// Ports that nobody listens on just now, below those that systems give to connections: a node finds its own free when it comes back.
pub fn ports<const N: usize>() -> [u16; N] {
    let free =
        || (0..).find_map(|_| TcpListener::bind(("127.0.0.1", rand::random_range(20_000..32_000))).ok());
    let listeners: [TcpListener; N] = std::array::from_fn(|_| free().expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

/// Three nodes.
pub struct Nodes {
    folder: tempfile::TempDir,
    clients: [u16; 4],
    pub peers: [u16; 4],
    pub running: Vec<Option<Podway>>,
}

impl Nodes {
    pub fn start() -> Nodes {
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

    pub fn data(&self, id: usize) -> String {
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

    pub fn restart(&mut self, id: usize, how: &str) {
        let mut node = self.node(id, how);
        node.line(&format!("Podway's topology node {id} listens on "));
        self.running[id - 1] = Some(node);
    }

    pub fn kill(&mut self, id: usize) {
        let mut node = self.running[id - 1].take().expect("it runs");
        node.end(Signal::SIGKILL);
    }

    /// Where clients reach these nodes.
    pub fn addresses(&self, ids: &[usize]) -> Vec<String> {
        ids.iter().map(|id| format!("127.0.0.1:{}", self.clients[id - 1])).collect()
    }

    /// Runs a command against these nodes.
    pub fn run(&self, ids: &[usize], words: &str) -> Ran {
        let addresses = self.addresses(ids).join(",");
        let args: Vec<&str> = words.split(' ').chain(["--topology", &addresses]).collect();
        Podway::run(&args)
    }

    /// Runs one that has to work.
    pub fn done(&self, words: &str) -> String {
        let ran = self.run(&[1, 2, 3, 4], words);
        assert_eq!(ran.code, Some(0), "podway {words}: {ran:?}");
        ran.printed
    }

    fn json(&self, words: &str) -> Value {
        let printed = self.done(&format!("{words} --json"));
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{words}: {error}: {printed}"))
    }

    pub fn leader(&self) -> usize {
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

/// Writes an authority's certificate, and one of 127.0.0.1 that it signed with its key: `NAME-ca`, `NAME-cert`, `NAME-key`.
fn certify(folder: &Path, name: &str) -> anyhow::Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &authority)?;
    for (part, text) in [("ca", authority.pem()), ("cert", certificate.pem()), ("key", key.serialize_pem())] {
        std::fs::write(folder.join(format!("{name}-{part}")), text)?;
    }
    Ok(())
}

#[tokio::test]
async fn three_nodes_and_their_clients_prove_who_they_are() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["clients", "peers", "other"] {
        certify(folder.path(), name).unwrap();
    }
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("tokens"), "0123456789abcdef0123\n").unwrap();
    let ports: [u16; 6] = ports();
    let together: Vec<String> =
        (0..3).map(|index| format!("{}=127.0.0.1:{}", index + 1, ports[index])).collect();
    let node = |index: usize| {
        let flags = [
            ("--id", (index + 1).to_string()),
            ("--data-dir", path(&format!("node-{index}"))),
            ("--listen", format!("127.0.0.1:{}", ports[index + 3])),
            ("--tls-cert", path("clients-cert")),
            ("--tls-key", path("clients-key")),
            ("--tokens-file", path("tokens")),
            ("--peer-listen", format!("127.0.0.1:{}", ports[index])),
            ("--peer-cert", path("peers-cert")),
            ("--peer-key", path("peers-key")),
            ("--peer-ca", path("peers-ca")),
            ("--together", together.join(",")),
        ];
        let words = flags.iter().flat_map(|(flag, value)| [*flag, value.as_str()]);
        Podway::start(&std::iter::once("topology").chain(words).collect::<Vec<_>>())
    };
    let mut nodes: Vec<Podway> = (0..3).map(node).collect();
    nodes.iter_mut().for_each(|node| drop(node.line("The topology is ready")));
    let addresses = [3, 4, 5].map(|index| format!("127.0.0.1:{}", ports[index])).join(",");
    let status = |ca: Option<&str>, token: Option<&str>| {
        let mut args = vec!["status".to_owned(), "--topology".to_owned(), addresses.clone()];
        args.extend(ca.into_iter().flat_map(|ca| ["--topology-ca".to_owned(), path(ca)]));
        args.extend(token.into_iter().flat_map(|token| ["--topology-token-file".to_owned(), path(token)]));
        Podway::run(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let good = status(Some("clients-ca"), Some("tokens"));
    assert!(good.code == Some(0) && good.printed.contains("All is well"), "{good:?}");
    for (ca, token) in
        [(None, Some("tokens")), (Some("other-ca"), Some("tokens")), (Some("clients-ca"), None)]
    {
        let refused = status(ca, token);
        assert_eq!(refused.code, Some(1), "{ca:?} {token:?}: {refused:?}");
    }
    for node in &mut nodes {
        let ended = node.end(Signal::SIGTERM);
        assert!(ended.status.success(), "{}", ended.said);
    }
}
