//! A topology node in a process of its own that can be held at each moment of each step of a move, and told to leave parts of a move out: this test binary itself, run again as
//! one. The `podway` binary has no such switches.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use podway_topology::{
    ClientListener, InitialMember, Moment, MoveProbe, Moves, NodeConfig, PeerListener, Start, Storage,
    TopologyNode, Tuning,
};
use podway_topology_api::{MoveStep, NodeId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Makes this test binary a node, with what it is told.
const ROLE: &str = "PODWAY_TEST_NODE";
/// The test that is one.
const ITSELF: &str = "cutover::node::is_a_node_when_it_is_told_to_be_one";
/// How long a line may take to come.
const LINE_WITHIN: Duration = Duration::from_secs(60);
/// Clients are not to be told of a way round the relay: nobody listens there.
const NOWHERE: &str = "127.0.0.1:1";

/// What a node is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    pub id: u64,
    pub data: PathBuf,
    pub clients: SocketAddr,
    pub peers: SocketAddr,
    /// All nodes' peer ports, by number from 1.
    pub together: Vec<SocketAddr>,
    pub parts: Parts,
}

/// Which parts of a move are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    pub fence: bool,
    pub acknowledgement: bool,
    pub shut_out: bool,
}

impl Parts {
    /// As in operation.
    pub const ALL: Parts = Parts { fence: true, acknowledgement: true, shut_out: true };
}

/// A running node.
pub struct Node {
    pub told: Told,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

/// A moment of a step, as it is said between a test and its nodes.
pub fn moment(step: MoveStep, moment: Moment) -> String {
    format!("{step} {moment:?}")
}

impl Node {
    /// Starts one.
    pub fn start(told: Told) -> Node {
        let mut command = Command::new(std::env::current_exe().expect("a path"));
        command.args(["--ignored", "--exact", ITSELF, "--nocapture"]);
        command.env(ROLE, serde_json::to_string(&told).expect("JSON"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("a node starts");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Node { told, child, stdin, lines }
    }

    /// Has it stop where a step comes to a moment; see [`moment`].
    pub fn hold(&mut self, at: &str) {
        self.say(&format!("hold {at}"));
    }

    /// It stops nowhere any more, and goes on where it stands.
    pub fn release(&mut self) {
        self.say("release");
    }

    /// Whether it has said that it stands at a moment since that was asked last.
    pub fn stands(&self, at: &str) -> bool {
        let wanted = format!("held at {at}");
        self.lines.try_iter().any(|line| line == wanted)
    }

    /// Waits until it is part of a cluster with a leader.
    pub fn wait_until_ready(&self) {
        let deadline = Instant::now() + LINE_WITHIN;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).expect("a node becomes ready");
            if line == "ready" {
                return;
            }
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it runs");
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").and_then(|()| self.stdin.flush()).expect("it listens");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
#[ignore = "the other tests run it as a process of its own"]
fn is_a_node_when_it_is_told_to_be_one() {
    let Ok(told) = std::env::var(ROLE) else { return };
    let told: Told = serde_json::from_str(&told).expect("what a node is told");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(run(told));
}

async fn run(told: Told) {
    let (holds, held) = watch::channel(BTreeSet::new());
    std::thread::spawn(move || listen(&holds));
    let node = TopologyNode::start(config(told, held)).await.expect("a node");
    node.wait_until_ready(LINE_WITHIN).await.expect("a leader");
    tell("ready");
    std::future::pending::<()>().await;
}

/// Does what it is told, until whoever tells is gone.
fn listen(holds: &watch::Sender<BTreeSet<String>>) {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match line.strip_prefix("hold ") {
            Some(at) => holds.send_modify(|holds| {
                holds.insert(at.to_owned());
            }),
            None => holds.send_modify(BTreeSet::clear),
        }
    }
    std::process::exit(0);
}

fn config(told: Told, held: watch::Receiver<BTreeSet<String>>) -> NodeConfig {
    let members = told.together.iter().zip(1..);
    let members = members.map(|(peer, id)| InitialMember { id: NodeId(id), peer: peer.to_string() });
    let probe = MoveProbe::new(move |step, when| {
        let (at, mut held) = (moment(step, when), held.clone());
        Box::pin(async move {
            if held.borrow().contains(&at) {
                tell(&format!("held at {at}"));
                let _released = held.wait_for(|held| !held.contains(&at)).await;
            }
        })
    });
    let Parts { fence, acknowledgement, shut_out } = told.parts;
    let moves =
        Moves { has_fence: fence, has_acknowledgement: acknowledgement, has_shut_out: shut_out, probe };
    let clients = ClientListener {
        listen: told.clients,
        advertise: Some(NOWHERE.to_owned()),
        tls: None,
        tokens: Vec::new(),
    };
    NodeConfig {
        id: NodeId(told.id),
        storage: Storage::Directory(told.data),
        start: Start::Together(members.collect()),
        clients,
        peers: Some(PeerListener { listen: told.peers, advertise: None, tls: None }),
        insecure: false,
        tuning: Tuning { moves, ..Tuning::default() },
        surroundings: Default::default(),
    }
}

fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    // The harness may have begun a line of its own.
    let _nobody_listens = writeln!(out, "\n{line}").and_then(|()| out.flush());
}
