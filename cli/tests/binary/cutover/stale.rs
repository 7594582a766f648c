//! A proxy that does not hear of a move, and what is found where a part of the protocol is missing: each part is needed, and the check sees it.

#![allow(clippy::unwrap_used, reason = "a panic is the failure's report")]

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use podway_topology::Moment;
use podway_topology_api::MoveStep;

use super::faults::{Fault, carry_out_all, check, write_by_a};
use super::history::{Finding, Key};
use super::load::{Load, TRY_AGAIN, code, doors, note, read};
use super::node::{Parts, moment};
use super::rig::{Rig, eventually};

/// How often a client of a proxy with an old map reads.
const READS: usize = 5;

/// What became of a run.
struct Ran {
    rig: Rig,
    findings: Vec<Finding>,
    /// What `b`'s client was told when it wrote after everything had been copied, and at its last read after the flip; 0: no error.
    write: u16,
    read: u16,
}

/// Moves the shard to where the other one lies, while `b` is cut off and clients of both proxies work. `b` writes after everything was copied; `a` writes, and then `b` reads,
/// after the flip.
async fn run(nodes: usize, parts: Parts) -> Ran {
    let mut rig = Rig::start(nodes, parts).await;
    let (moving, _) = rig.keys().await;
    let key = moving[0];
    // Without the fence, what is copied would be seen to change.
    let load = if parts.fence { Load::start(&rig) } else { Load::through(&rig, &doors(&rig)[..1]) };
    load.pass(200).await;
    let mut by_b = rig.connect(rig.at_b).await;
    read(&mut by_b, key, &rig.history).await.unwrap();

    rig.relay.cut();
    let copied = moment(MoveStep::CatchUp, Moment::Done);
    rig.hold(&copied);
    let id = rig.begin(0).await;
    rig.standing(&copied).await;
    let write = told(note(&mut by_b, key, &rig.history, false).await);
    rig.release();
    rig.finish(id).await;
    write_by_a(&rig, key).await;
    let mut last = 0;
    for _ in 0..READS {
        last = told(read(&mut by_b, key, &rig.history).await);
        if last == TRY_AGAIN {
            break;
        }
    }
    // What is on the servers is read shard by shard: nothing may be on its way meanwhile.
    load.end().await;
    let findings = rig.history.check(&rig.found().await);
    Ran { rig, findings, write, read: last }
}

fn told(result: Result<(), mysql_async::Error>) -> u16 {
    result.map_or_else(|error| code(&error), |()| 0)
}

fn is_stale(finding: &Finding) -> bool {
    matches!(finding, Finding::Stale { .. })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_does_not_hear_of_a_move_is_refused_by_the_shard_and_finds_it_when_it_can() {
    let Ran { rig, findings, write, read: last } = run(3, Parts::ALL).await;
    assert_eq!(findings, []);
    assert_eq!(
        (write, last),
        (TRY_AGAIN, TRY_AGAIN),
        "the shard itself says so, and the proxy knows no better"
    );
    rig.relay.heal();
    let mut by_b = rig.connect(rig.at_b).await;
    let (moving, _) = rig.keys().await;
    eventually("b finds the shard", async || read(&mut by_b, moving[0], &rig.history).await.is_ok()).await;
    let load = Load::start(&rig);
    load.pass(100).await;
    load.end().await;
    check(&rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_stopped_or_cut_off_at_any_time_reads_nothing_old() {
    let mut rig = Rig::start(1, Parts::ALL).await;
    carry_out_all(&mut rig, &[Fault::ProxyStopped, Fault::CutOffAfterFreeze, Fault::CutOff]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_are_idle_over_a_move_or_hold_an_old_snapshot_end_with_1213() {
    let mut rig = Rig::start(1, Parts::ALL).await;
    let (moving, others) = rig.keys().await;
    let load = Load::start(&rig);
    load.pass(50).await;
    let (mut idle_a, mut idle_b) = (rig.connect(rig.at_a).await, rig.connect(rig.at_b).await);
    for (conn, entry) in [(&mut idle_a, 1_000_001), (&mut idle_b, 1_000_002)] {
        begin(conn, &format!("INSERT INTO notes VALUES ({}, {entry})", moving[0])).await;
        rig.history.refused(moving[0], entry);
    }
    // On the server that the shard comes to, from before it comes.
    let mut snapshot = rig.connect(rig.at_a).await;
    begin(&mut snapshot, &select(others[0])).await;
    rig.relay.cut();
    let id = rig.begin(0).await;
    rig.finish(id).await;
    write_by_a(&rig, moving[0]).await;

    let refused = snapshot.query_first::<Row, _>(select(moving[0])).await.unwrap_err();
    assert_eq!(code(&refused), TRY_AGAIN, "{refused}");
    assert_eq!(code(&idle_a.query_drop("COMMIT").await.unwrap_err()), TRY_AGAIN);
    idle_b.query_drop("COMMIT").await.unwrap_err();
    rig.relay.heal();
    load.pass(50).await;
    load.end().await;
    check(&rig).await;
}

async fn begin(conn: &mut Conn, first: &str) {
    conn.query_drop("BEGIN").await.unwrap();
    conn.query_drop(first).await.unwrap();
}

fn select(key: Key) -> String {
    format!("SELECT n FROM counters WHERE id = {key}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_fence_a_write_is_lost_that_was_acknowledged_after_the_copy() {
    let ran = run(1, Parts { fence: false, ..Parts::ALL }).await;
    assert_eq!(ran.write, 0, "the old owner takes what it should not");
    let is_lost = |finding: &Finding| matches!(finding, Finding::Lost(..));
    assert!(ran.findings.iter().any(is_lost), "{:?}", ran.findings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_acknowledgement_of_the_freeze_old_rows_are_read() {
    let ran = run(1, Parts { acknowledgement: false, ..Parts::ALL }).await;
    assert!(ran.findings.iter().any(is_stale), "{:?}; {}", ran.findings, ran.read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_shut_out_old_rows_are_read() {
    let ran = run(1, Parts { shut_out: false, ..Parts::ALL }).await;
    assert!(ran.findings.iter().any(is_stale), "{:?}; {}", ran.findings, ran.read);
}
