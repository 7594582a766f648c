//! A server dies while a move is about to do something there, and comes back: the move says so, waits, and goes on.

use mysql_async::prelude::Queryable;
use podway_model::{ServerId, ShardIndex};
use podway_tests::{Pod, PodOptions};
use podway_topology::{Moment, Moves};
use podway_topology_api::MoveStep;

use crate::ground::{CUSTOMERS, Ground, ledger, wait_at};

const MOVING: ShardIndex = ShardIndex(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_or_a_target_that_dies_in_a_step_delays_the_move_and_loses_nothing() {
    // What a server has acknowledged, it has after it was killed.
    let server_args = vec!["--innodb-flush-log-at-trx-commit=1".to_owned()];
    let options = PodOptions { servers: 3, server_args, ..PodOptions::default() };
    let pod: &'static Pod = Box::leak(Box::new(Pod::start(options).await.unwrap()));
    let mut ground = Ground::shop(pod, "moves_crashes", 2, Moves::default()).await;
    let mut at_source = true;
    let mut written = Vec::new();
    let killed = [
        (MoveStep::Prepare, true),
        (MoveStep::ResolveBranches, true),
        (MoveStep::Fence, true),
        (MoveStep::CatchUp, true),
        (MoveStep::CatchUp, false),
        (MoveStep::Flip, false),
        (MoveStep::Flip, true),
        (MoveStep::Revoke, true),
    ];
    for (turn, (step, is_source)) in killed.into_iter().enumerate() {
        let mut conn = ground.connect().await;
        for customer in 1..=CUSTOMERS {
            let sql = format!("INSERT INTO ledger VALUES ({customer}, {turn})");
            conn.query_drop(sql).await.unwrap();
            written.push((customer, turn as u64));
        }
        let (moves, mut arrivals) = wait_at(step, Moment::Before);
        ground.restart(moves).await;
        let (from, to) = if at_source { (1, 2) } else { (2, 1) };
        let id = ground.begin(MOVING, to, &format!("moves_crashes_{turn}")).await;
        let go_on = arrivals.recv().await.unwrap();
        let victim = if is_source { from } else { to };
        let server = pod.server(ServerId(victim)).await;
        server.kill().unwrap();
        drop(arrivals);
        go_on.send(()).unwrap();
        ground.trouble(id, &format!("{step}: server s{victim}")).await;
        server.restart().unwrap();
        ground.finish(id).await;
        at_source = !at_source;
    }
    written.sort_unstable();
    assert_eq!(ledger(&ground).await, written);
    ground.close().await;
}
