//! The leader stops in each step of a move, before it, when its work is done and when it is reported, and the next one goes on: under load, without an error, and every
//! acknowledged write is there once.

use mysql_async::prelude::Queryable;
use podway_model::ShardIndex;
use podway_tests::Pod;
use podway_topology::{Moment, Moves};
use podway_topology_api::MoveStep;

use crate::ground::{Ground, Load, ledger, stop_at};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stops_anywhere_is_followed_by_one_that_goes_on() {
    let moving = ShardIndex(1);
    let mut ground = Ground::shop(Pod::shared().await, "moves_restarts", 2, Moves::default()).await;
    let load = Load::start(&ground).await;
    let mut turn = 0;
    for step in MoveStep::ALL {
        for moment in [Moment::Before, Moment::Done, Moment::Reported] {
            turn += 1;
            let (moves, mut stopped) = stop_at(step, moment);
            ground.restart(moves).await;
            load.pass(4).await;
            let id = ground.begin(moving, 2 + turn % 2, &format!("moves_restarts_{turn}")).await;
            stopped.recv().await.unwrap();
            ground.restart(Moves::default()).await;
            ground.finish(id).await;
            load.pass(4).await;
        }
    }
    let acknowledged = load.end().await;
    assert_eq!(ledger(&ground).await, acknowledged, "{} acknowledged", acknowledged.len());
    assert_eq!(ground.view().await.keyspaces[0].shards[1].epoch.0, 1 + u64::from(turn));
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_moves_under_load_without_an_error_and_with_every_write_once() {
    let ground = Ground::shop(Pod::shared().await, "moves_under_load", 3, Moves::default()).await;
    let load = Load::start(&ground).await;
    load.pass(100).await;
    for turn in 0..3 {
        let id = ground.begin(ShardIndex(1), 3 - turn % 2 * 3, &format!("moves_under_load_{turn}")).await;
        ground.finish(id).await;
        load.pass(100).await;
    }
    let acknowledged = load.end().await;
    assert_eq!(ledger(&ground).await, acknowledged);
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_late_changes_nothing_and_what_it_left_open_is_ended() {
    let ground = Ground::shop(Pod::shared().await, "moves_late", 2, Moves::default()).await;
    let cluster = ground.cluster();
    let id = ground.begin(ShardIndex(1), 3, "moves_late_1").await;
    ground.finish(id).await;

    // On the target a later leader has been; the one that is here does not know yet.
    let mut target = ground.server(3).await;
    let sql = format!("SELECT term FROM _podway.control WHERE cluster = '{cluster}'");
    let term: Option<u64> = target.query_first(&sql).await.unwrap();
    let later = format!("UPDATE _podway.control SET term = 1000 WHERE cluster = '{cluster}'");
    target.query_drop(later).await.unwrap();
    let lock = format!("SELECT GET_LOCK('podway.control.{cluster}', 10)");
    let mut left_open = ground.server(3).await;
    let got: Option<u64> = left_open.query_first(&lock).await.unwrap();
    assert_eq!(got, Some(1));
    let id = ground.begin(ShardIndex(0), 3, "moves_late_2").await;
    ground.trouble(id, "a later leader of the topology works on server s3").await;
    left_open.query_drop("DO 1").await.unwrap();
    let made = "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'moves_late_2'";
    let made: Option<u64> = target.query_first(made).await.unwrap();
    assert_eq!(made, Some(0));

    // As if it were the later one itself.
    let now = format!("UPDATE _podway.control SET term = {} WHERE cluster = '{cluster}'", term.unwrap());
    target.query_drop(now).await.unwrap();
    ground.finish(id).await;
    left_open.query_drop("DO 1").await.unwrap_err();
    ground.close().await;
}
