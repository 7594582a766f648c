//! One run, from its seed to its history, as a straight line: a cluster is made, has load and trouble, is made well, and says what it has.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use podway_topology::{
    ClientListener, Clock, InitialMember, NodeConfig, PeerListener, Start, Storage, Surroundings,
    TopologyNode,
};
use podway_topology_api::{Command, LogTime, NodeId, Proposer, SettingCommand, TopologyStore, Wire};
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::sleep;
use turmoil::{Builder, Sim};

use super::clients::{self, client};
use super::disk::Disk;
use super::fault::Fault;
use super::network::SimulatedNetwork;
use super::plan::{CLIENT_PORT, PEER_PORT, Phase, Plan, Shared, peer_address};
use super::trouble::{OFFICES, Trouble};
use super::watchers;

/// The simulation's time goes in such steps.
const TICK: Duration = Duration::from_millis(5);
/// A cluster is made, and is well again after all trouble, within this: elections, deaf leaders and connections given up included.
const WELL_WITHIN: Duration = Duration::from_secs(40);
/// Questions that are answered when all trouble is over, before the run comes to its end. In some runs there is not one good moment before.
const ANSWERED_IN_THE_END: usize = 10;
/// When all of this happens, in seconds since 1970.
const EPOCH: u64 = 1_700_000_000;

/// What a run left behind.
pub struct Outcome {
    pub shared: Shared,
    /// Why it did not come to its end.
    pub stuck: Option<String>,
}

/// Runs a plan.
pub fn run(plan: &Plan) -> Outcome {
    let shared = Shared::new(plan);
    let mut sim = simulation(plan);
    let mut random = StdRng::seed_from_u64(plan.seed);
    let lies = plan.fault == Fault::DisksLie;
    let disks: Vec<Disk> = (0..plan.nodes).map(|_| Disk::new(random.random(), lies)).collect();
    for (disk, id) in disks.iter().zip(1..) {
        add_node(&mut sim, plan, &shared, id, disk.clone(), random.random_range(0..5_000));
    }
    for (office, number) in OFFICES.into_iter().zip(0..) {
        sim.client(office, work(shared.clone(), number));
    }
    let mut trouble = Trouble::new(plan, disks, random, shared.clone());
    let stuck = drive(&mut sim, plan, &shared, &mut trouble).err();
    // Nobody may answer to questions of a process that is gone.
    shared.enter(Phase::Over);
    Outcome { shared, stuck }
}

fn simulation<'a>(plan: &Plan) -> Sim<'a> {
    let mut sim = Builder::new();
    sim.rng_seed(plan.seed)
        .epoch(SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH))
        .tick_duration(TICK)
        .simulation_duration(Duration::from_secs(24 * 3_600))
        .tcp_capacity(4_096)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(plan.slowest)
        .fail_rate(plan.loss)
        .repair_rate(0.05);
    sim.build()
}

fn add_node(sim: &mut Sim<'_>, plan: &Plan, shared: &Shared, id: u64, disk: Disk, skew_ms: u64) {
    let (plan, shared) = (plan.clone(), shared.clone());
    sim.host(format!("n{id}"), move || {
        let config = node(&plan, &shared, id, &disk, skew_ms);
        let history = shared.history.clone();
        async move {
            let node = TopologyNode::start(config).await?;
            history.note(&format!("n{id}"), "runs");
            Err(format!("n{id} fails: {}", node.failed().await).into())
        }
    });
}

fn node(plan: &Plan, shared: &Shared, id: u64, disk: &Disk, skew_ms: u64) -> NodeConfig {
    let everywhere = |port| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    let member = |id| InitialMember { id: NodeId(id), peer: peer_address(id) };
    let is_new = shared.phase() == Phase::Beginning;
    let clock = Clock::of(move || {
        let elapsed = turmoil::sim_elapsed().unwrap_or_default();
        EPOCH * 1_000 + u64::try_from(elapsed.as_millis()).unwrap() + skew_ms
    });
    NodeConfig {
        id: NodeId(id),
        storage: Storage::Simulated(disk.open()),
        start: if is_new { Start::Together((1..=plan.nodes).map(member).collect()) } else { Start::Join },
        clients: ClientListener {
            listen: everywhere(CLIENT_PORT),
            advertise: Some(format!("n{id}:{CLIENT_PORT}")),
            tls: None,
            tokens: Vec::new(),
        },
        peers: Some(PeerListener {
            listen: everywhere(PEER_PORT),
            advertise: Some(peer_address(id)),
            tls: None,
        }),
        insecure: true,
        tuning: plan.tuning(id),
        surroundings: Surroundings { wire: Wire::over(SimulatedNetwork), clock },
    }
}

/// What is done in an office: it begins when the cluster is there.
async fn work(shared: Shared, office: u64) -> turmoil::Result {
    let everyone = client(1..=shared.nodes);
    while !everyone.read(true).await.is_ok_and(|view| view.is_founded) {
        sleep(TICK).await;
    }
    if shared.phase() == Phase::Beginning {
        shared.enter(Phase::Trouble);
    }
    for number in 0..2 {
        shared.begin_to_write();
        tokio::spawn(clients::write(shared.clone(), 1 + 2 * office + number));
    }
    let (nodes, is_first) = (1..=shared.nodes, office == 0);
    for id in nodes {
        if is_first {
            tokio::spawn(watchers::watch(shared.clone(), id));
        } else {
            tokio::spawn(clients::read(shared.clone(), id));
        }
    }
    if is_first {
        tokio::spawn(watchers::follow_all(shared.clone()));
    } else {
        tokio::spawn(watchers::operate(shared.clone()));
        tokio::spawn(close(shared.clone()));
    }
    while !shared.is_over() {
        sleep(TICK).await;
    }
    Ok(())
}

/// When all is well: one more change, and what each node has then.
async fn close(shared: Shared) {
    while !shared.is_closing() || !shared.is_written() || shared.lost().is_some() {
        sleep(TICK).await;
    }
    let last = Proposer::new(client(1..=shared.nodes), "the end");
    let set = || SettingCommand::Set { name: "freeze.hold".into(), value: "77s".into() };
    while last.propose(Command::Setting(set())).await.is_err() {}
    shared.history.note("the end", "made the last change");
    shared.set_last_write();
    for id in (1..=shared.nodes).cycle() {
        if shared.is_over() {
            return;
        }
        // A node's own knowledge, but for the clock, which goes on as long as there are leases.
        if let Ok(mut view) = client([id]).read(false).await {
            view.time = LogTime::default();
            shared.set_end(id, serde_json::to_string(&view).unwrap());
        }
        sleep(TICK).await;
    }
}

fn drive(sim: &mut Sim<'_>, plan: &Plan, shared: &Shared, trouble: &mut Trouble) -> Result<(), String> {
    let step = |sim: &mut Sim<'_>| sim.step().map(drop).map_err(|error| error.to_string());
    while shared.phase() == Phase::Beginning {
        step(sim)?;
        if sim.elapsed() > WELL_WITHIN {
            return Err("no cluster was made".to_owned());
        }
    }
    let end = sim.elapsed() + plan.trouble;
    let mut next = sim.elapsed() + trouble.pause();
    while sim.elapsed() < end {
        step(sim)?;
        if sim.elapsed() >= next {
            trouble.make(sim);
            next = sim.elapsed() + trouble.pause();
        }
    }
    trouble.end(sim);
    let deadline = sim.elapsed() + WELL_WITHIN;
    let enough = shared.history.answered() + ANSWERED_IN_THE_END;
    while shared.history.answered() < enough {
        step(sim)?;
        if sim.elapsed() > deadline {
            return Err("questions are not answered after all trouble".to_owned());
        }
    }
    shared.enter(Phase::Closing);
    let deadline = sim.elapsed() + WELL_WITHIN;
    while !is_settled(shared) {
        step(sim)?;
        if sim.elapsed() > deadline {
            return Err(unsettled(shared));
        }
    }
    shared.enter(Phase::Over);
    step(sim)
}

/// Whether every node, watcher and follower has everything.
fn is_settled(shared: &Shared) -> bool {
    let ends = shared.ends();
    let is_one = ends[0].is_some() && ends.iter().all(|end| *end == ends[0]);
    shared.has_last_write() && is_one && {
        let last = last_revision(shared);
        let behind = |events: &super::history::Events| {
            events.watched.iter().any(|watched| watched.map.revision < last)
        };
        !shared.history.look(behind) && shared.followed().is_some_and(|map| map.revision >= last)
    }
}

fn last_revision(shared: &Shared) -> podway_model::Revision {
    let view = shared.ends()[0].clone().unwrap_or_default();
    serde_json::from_str(&view).map(|view: podway_topology_api::View| view.revision).unwrap_or_default()
}

fn unsettled(shared: &Shared) -> String {
    if let Some(lost) = shared.lost() {
        return format!("n{lost} did not come back into its place");
    }
    if !shared.has_last_write() {
        return "no change could be made after all trouble".to_owned();
    }
    let watched: Vec<String> = shared.history.look(|events| {
        events.watched.iter().map(|watched| format!("{} {:?}", watched.name, watched.map.revision)).collect()
    });
    let followed = shared.followed().map(|map| map.revision);
    format!(
        "nodes or watchers do not come to {:?}: {watched:?}, follower {followed:?}",
        last_revision(shared)
    )
}
