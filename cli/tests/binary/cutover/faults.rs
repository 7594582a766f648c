//! What goes wrong while the shard moves, and how that is made to happen. Whichever it is, the move ends well, and the [`History`](super::history::History) holds.

#![allow(clippy::unwrap_used, reason = "a panic is the failure's report")]

use mysql_async::prelude::Queryable;
use nix::sys::signal::Signal;
use podway_topology::Moment;
use podway_topology_api::{MoveStep, View};

use super::history::Key;
use super::load::{BACKEND_LOST, Load, TRY_AGAIN, WRONG_SHARD, code, read, transaction};
use super::node::{Node, Parts, moment};
use super::rig::{MOVING, Rig, SERVERS, eventually};

/// Something that goes wrong during a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing does.
    None,
    /// The topology's leader is killed when it comes to this moment, and comes back later.
    LeaderKilled(MoveStep, Moment),
    /// It is stopped there, and goes on when another has ended the move.
    LeaderStopped(MoveStep, Moment),
    /// The server that the shard leaves is killed before this step is done.
    SourceKilled(MoveStep),
    /// The server that it moves to is.
    TargetKilled(MoveStep),
    /// Proxy `b` does not hear of the move.
    CutOff,
    /// Proxy `b` is stopped from before the move until after it.
    ProxyStopped,
    /// Proxy `b` is cut off as soon as it has acknowledged the freeze.
    CutOffAfterFreeze,
}

/// Moves the shard to the server at this place while something goes wrong, and waits until everything is whole again.
pub async fn carry_out(rig: &mut Rig, fault: Fault, to: usize) {
    match fault {
        Fault::None => {
            let id = rig.begin(to).await;
            rig.finish(id).await;
        }
        Fault::LeaderKilled(step, when) => leader(rig, &moment(step, when), to, true).await,
        Fault::LeaderStopped(step, when) => leader(rig, &moment(step, when), to, false).await,
        Fault::SourceKilled(step) => {
            let (source, _) = rig.owner().await;
            server(rig, step, to, source).await;
        }
        Fault::TargetKilled(step) => server(rig, step, to, to).await,
        Fault::CutOff | Fault::ProxyStopped | Fault::CutOffAfterFreeze => stale(rig, fault, to).await,
    }
}

async fn leader(rig: &mut Rig, at: &str, to: usize, is_killed: bool) {
    rig.hold(at);
    let id = rig.begin(to).await;
    let leader = rig.standing(at).await;
    if is_killed {
        rig.nodes[leader].kill();
    } else {
        rig.nodes[leader].signal(Signal::SIGSTOP);
    }
    for (place, node) in rig.nodes.iter_mut().enumerate() {
        // The one that is stopped reads this when it goes on, and does what it was about to do.
        if place != leader || !is_killed {
            node.release();
        }
    }
    rig.finish(id).await;
    if is_killed {
        let told = rig.nodes[leader].told.clone();
        rig.nodes[leader] = Node::start(told);
        rig.nodes[leader].wait_until_ready();
    } else {
        rig.nodes[leader].signal(Signal::SIGCONT);
    }
    rig.all_nodes().await;
}

async fn server(rig: &mut Rig, step: MoveStep, to: usize, victim: usize) {
    let at = moment(step, Moment::Before);
    rig.hold(&at);
    let id = rig.begin(to).await;
    rig.standing(&at).await;
    rig.servers[victim].kill().unwrap();
    rig.release();
    // Some steps do not need the server; those that do say that it is away.
    let away = format!("server {}", SERVERS[victim]);
    eventually("the move ends, or says what it waits for", async || {
        rig.operation(id).await.is_some_and(|operation| {
            !operation.state.is_open() || operation.trouble.is_some_and(|trouble| trouble.contains(&away))
        })
    })
    .await;
    rig.servers[victim].restart().unwrap();
    rig.finish(id).await;
}

/// A proxy that has not heard of the move: what it reads afterwards is new, or it says that it is to be tried again.
async fn stale(rig: &mut Rig, fault: Fault, to: usize) {
    let (moving, _) = rig.keys().await;
    let key = moving[0];
    let mut by_b = rig.connect(rig.at_b).await;
    read(&mut by_b, key, &rig.history).await.unwrap();
    let after_freeze = moment(MoveStep::Freeze, Moment::Reported);
    match fault {
        Fault::ProxyStopped => rig.b.signal(Signal::SIGSTOP),
        Fault::CutOffAfterFreeze => rig.hold(&after_freeze),
        _ => rig.relay.cut(),
    }
    let id = rig.begin(to).await;
    if fault == Fault::CutOffAfterFreeze {
        rig.standing(&after_freeze).await;
        rig.relay.cut();
        rig.release();
    }
    rig.finish(id).await;
    write_by_a(rig, key).await;
    let history = rig.history.clone();
    let reading = tokio::spawn(async move {
        let did = read(&mut by_b, key, &history).await;
        (by_b, did)
    });
    if fault == Fault::ProxyStopped {
        rig.b.signal(Signal::SIGCONT);
    }
    let (mut by_b, did) = reading.await.unwrap();
    if let Err(error) = did {
        // The server may end the connection just while it is read from: a client that is told so knows nothing, and reads nothing old.
        assert!([TRY_AGAIN, BACKEND_LOST].contains(&code(&error)), "{fault:?}: {error}");
    }
    rig.relay.heal();
    // Whole again, it finds the new owner by itself.
    eventually("b finds the shard", async || read(&mut by_b, key, &rig.history).await.is_ok()).await;
}

/// What `b` is to find from now on.
pub async fn write_by_a(rig: &Rig, key: Key) {
    let mut by_a = rig.connect(rig.at_a).await;
    eventually("a writes to the new owner", async || {
        let written = transaction(&mut by_a, key, &rig.history).await;
        if written.is_err() {
            let _ended = by_a.query_drop("ROLLBACK").await;
        }
        written.is_ok()
    })
    .await;
}

/// Carries out one after the other under load, each to another server than the shard is on, and checks everything at the end.
pub async fn carry_out_all(rig: &mut Rig, faults: &[Fault]) {
    // What is left behind is dropped at once, while all this goes on.
    rig.set("retired.retention", "0s").await;
    let load = Load::start(rig);
    for fault in faults {
        load.pass(10).await;
        let (at, _) = rig.owner().await;
        let began = std::time::Instant::now();
        carry_out(rig, *fault, (at + 1) % SERVERS.len()).await;
        let paused = paused_ms(&rig.view().await);
        eprintln!("{fault:?}: {:.1} s, of which {paused} ms frozen", began.elapsed().as_secs_f32());
    }
    load.pass(40).await;
    load.end().await;
    check(rig).await;
    let (place, schema) = rig.owner().await;
    eventually("what was left behind is gone", async || rig.view().await.retired.is_empty()).await;
    let sql = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'shop\\_%'";
    for (server, name) in SERVERS.iter().enumerate() {
        let there: Vec<String> = rig.admin(server).await.query(sql).await.unwrap();
        let expected = if server == place { vec![schema.clone()] } else { vec![] };
        assert_eq!(there, expected, "on {name}");
    }
}

/// How long the shard was frozen for its last move, by the topology's log.
fn paused_ms(view: &View) -> u64 {
    let last = |step: MoveStep| {
        let said = format!(": {step} of {MOVING} is done");
        view.log.iter().rev().find(|line| line.what.contains(&said)).map_or(0, |line| line.at.0)
    };
    last(MoveStep::Flip).saturating_sub(last(MoveStep::Prepare))
}

/// Nothing is there that must not be.
pub async fn check(rig: &Rig) {
    for proxy in ["a", "b"] {
        let errors = rig.history.errors(proxy);
        eprintln!("clients of {proxy} got {errors:?}");
        assert!(!errors.keys().any(|code| WRONG_SHARD.contains(code)), "{proxy}: {errors:?}");
    }
    assert_eq!(rig.history.check(&rig.found().await), []);
}

const STEPS: [MoveStep; 9] = MoveStep::ALL;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_or_stopped_in_any_step_is_followed_by_one_that_goes_on() {
    let mut rig = Rig::start(3, Parts::ALL).await;
    // Proxies may ask a node that is stopped, and ask another after that: their leases outlast it.
    rig.set("proxy.lease", "10s").await;
    let moments = [Moment::Before, Moment::Done];
    let faults = STEPS.into_iter().zip(moments.into_iter().cycle()).flat_map(|(step, when)| {
        let other = if when == Moment::Before { Moment::Done } else { Moment::Before };
        [Fault::LeaderKilled(step, when), Fault::LeaderStopped(step, other)]
    });
    carry_out_all(&mut rig, &faults.collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_any_step_delays_a_move_and_loses_nothing() {
    let mut rig = Rig::start(1, Parts::ALL).await;
    rig.set("proxy.lease", "10s").await;
    let faults = STEPS.into_iter().flat_map(|step| [Fault::SourceKilled(step), Fault::TargetKilled(step)]);
    carry_out_all(&mut rig, &faults.collect::<Vec<_>>()).await;
}
