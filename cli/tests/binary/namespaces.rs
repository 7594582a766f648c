//! Topology nodes in network namespaces of their own, and a network between them that loses what it is told to, direction by direction. Needs root and
//! `ip netns`; where those are not to be had it says so.

use std::process::Command;

use crate::load::{Load, PATIENCE, client};
use crate::podway::Podway;
use podway_topology_api::{NodeId, StoreError, TopologyStore};

/// Nodes 1 to 3, each in a namespace; one more routes between them and the tests.
struct Country {
    /// What its namespaces' names begin with, and the second byte of its addresses.
    tag: u8,
    folder: tempfile::TempDir,
    nodes: Vec<Podway>,
}

/// The tests' own place in addresses.
const US: u64 = 0;

fn ip(words: &str) -> Result<(), String> {
    run(Command::new("ip").args(words.split(' ')))
}

fn run(command: &mut Command) -> Result<(), String> {
    let ran = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    if ran.status.success() { Ok(()) } else { Err(format!("{command:?}: {said}")) }
}

impl Country {
    /// `None`, and why, where there can be none.
    fn make() -> Result<Country, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let country = Country { tag: rand::random_range(128..250), folder, nodes: Vec::new() };
        let hub = country.namespace(US);
        ip(&format!("netns add {hub}"))?;
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        run(Command::new("ip").args(["netns", "exec", &hub, "sh", "-c", forward]))?;
        for id in 1..=3 {
            let (namespace, tag) = (country.namespace(id), country.tag);
            ip(&format!("netns add {namespace}"))?;
            ip(&format!(
                "link add pw{tag}h{id} netns {hub} type veth peer name pw{tag}e{id} netns {namespace}"
            ))?;
            country.joined(id, &format!("netns exec {namespace} ip"))?;
        }
        let tag = country.tag;
        ip(&format!("link add pw{tag}h0 netns {hub} type veth peer name pw{tag}e0"))?;
        country.joined(US, "")?;
        Ok(country)
    }

    /// Gives both ends of a link their addresses; `there` is what stands before a command at the far end.
    fn joined(&self, id: u64, there: &str) -> Result<(), String> {
        let (hub, tag) = (self.namespace(US), self.tag);
        let far = |words: String| ip(format!("{there} {words}").trim_start());
        ip(&format!("netns exec {hub} ip address add 10.{tag}.{id}.1/24 dev pw{tag}h{id}"))?;
        ip(&format!("netns exec {hub} ip link set pw{tag}h{id} up"))?;
        far(format!("address add 10.{tag}.{id}.2/24 dev pw{tag}e{id}"))?;
        far(format!("link set pw{tag}e{id} up"))?;
        far("link set lo up".to_owned())?;
        far(format!("route add 10.{tag}.0.0/16 via 10.{tag}.{id}.1"))
    }

    fn namespace(&self, id: u64) -> String {
        if id == US { format!("pw{}hub", self.tag) } else { format!("pw{}n{id}", self.tag) }
    }

    fn host(&self, id: u64) -> String {
        format!("10.{}.{id}.2", self.tag)
    }

    fn address(&self, id: u64) -> Vec<String> {
        vec![format!("{}:7400", self.host(id))]
    }

    fn addresses(&self) -> Vec<String> {
        (1..=3).flat_map(|id| self.address(id)).collect()
    }

    fn start(&mut self) {
        let members: Vec<String> = (1..=3).map(|id| format!("{id}={}:7401", self.host(id))).collect();
        for id in 1..=3 {
            let data = self.folder.path().join(id.to_string());
            let host = self.host(id);
            self.nodes.push(Podway::start_in(
                &self.namespace(id),
                &[
                    "topology",
                    "--insecure",
                    "--id",
                    &id.to_string(),
                    "--data-dir",
                    data.to_str().expect("a path"),
                    "--listen",
                    &format!("{host}:7400"),
                    "--peer-listen",
                    &format!("{host}:7401"),
                    &format!("--together={}", members.join(",")),
                ],
            ));
        }
        self.nodes.iter_mut().for_each(|node| drop(node.line("The topology is ready")));
    }

    async fn leader(&self) -> u64 {
        let members = client(&self.addresses(), PATIENCE).members().await.expect("a leader");
        members.leader.map(|NodeId(id)| id).expect("a leader")
    }

    /// Loses everything that goes from one to the other; silently, as a network does.
    fn cut(&self, from: u64, to: u64) {
        self.rule("add", from, to);
    }

    fn heal(&self, from: u64, to: u64) {
        self.rule("del", from, to);
    }

    fn rule(&self, what: &str, from: u64, to: u64) {
        let (hub, from, to) = (self.namespace(US), self.host(from), self.host(to));
        ip(&format!("netns exec {hub} ip rule {what} priority 10 from {from} to {to} blackhole"))
            .expect("a rule");
    }

    fn others(id: u64) -> impl Iterator<Item = u64> {
        (1..=3).filter(move |other| *other != id)
    }
}

impl Drop for Country {
    fn drop(&mut self) {
        self.nodes.clear();
        for id in 0..=3 {
            // One that was not made is not there.
            let _gone = ip(&format!("netns del {}", self.namespace(id)));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_networks_that_are_cut_lose_no_change() {
    let mut country = match Country::make() {
        Ok(country) => country,
        Err(reason) => return println!("skipped: no network namespaces here ({})", reason.trim()),
    };
    country.start();
    let addresses = country.addresses();
    let mut load = Load::start(&addresses).await;
    load.more(10).await;

    // The leader is cut off from the other nodes, and not from clients.
    let leader = country.leader().await;
    for other in Country::others(leader) {
        country.cut(leader, other);
        country.cut(other, leader);
    }
    println!("leader cut off: the next 20 changes took {:?}", load.more(20).await);
    let old = client(&country.address(leader), std::time::Duration::from_secs(3)).read(true).await;
    assert!(matches!(old, Err(StoreError::Away { .. })), "it cannot know what is new: {old:?}");
    for other in Country::others(leader) {
        country.heal(leader, other);
        country.heal(other, leader);
    }
    client(&country.address(leader), PATIENCE).read(true).await.expect("it follows");

    // The leader is cut off from clients only: they reach it through the others.
    let leader = country.leader().await;
    country.cut(US, leader);
    country.cut(leader, US);
    println!("leader out of clients' reach: the next 20 changes took {:?}", load.more(20).await);
    country.heal(US, leader);
    country.heal(leader, US);

    // The leader is heard and does not hear.
    let leader = country.leader().await;
    Country::others(leader).for_each(|other| country.cut(other, leader));
    println!("leader deaf: the next 20 changes took {:?}", load.more(20).await);
    Country::others(leader).for_each(|other| country.heal(other, leader));

    // One follower hears the leader and is not heard.
    let leader = country.leader().await;
    let mute = Country::others(leader).next().expect("a follower");
    country.cut(mute, leader);
    println!("a follower mute: the next 20 changes took {:?}", load.more(20).await);
    country.heal(mute, leader);
    load.more(10).await;
    println!("{} changes, each of them there once", load.end(&addresses).await);
}
