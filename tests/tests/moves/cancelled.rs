//! A move that is cancelled before its flip leaves nothing: the source is writable, the target as it was before.

use mysql_async::prelude::Queryable;
use podway_model::ShardIndex;
use podway_tests::Pod;
use podway_topology::{Moment, Moves};
use podway_topology_api::{MoveStep, OperationState};

use crate::ground::{Ground, Load, ledger, stop_at};

const SOURCE: u32 = 1;
const TARGET: u32 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_can_be_cancelled_in_each_step_before_its_flip() {
    let moving = ShardIndex(1);
    let mut ground = Ground::shop(Pod::shared().await, "moves_cancelled", 2, Moves::default()).await;
    let schema = ground.keyspace.physical(moving);
    ground.server(SOURCE).await.query_drop("CREATE USER IF NOT EXISTS cancelling").await.unwrap();
    ground.server(TARGET).await.query_drop("CREATE USER IF NOT EXISTS cancelling").await.unwrap();
    let grant = format!("GRANT SELECT ON `{}`.* TO cancelling", schema.replace('_', "\\_"));
    ground.server(SOURCE).await.query_drop(grant).await.unwrap();
    let load = Load::start(&ground).await;
    for step in MoveStep::ALL.into_iter().filter(|step| step.is_before_flip()) {
        let (moves, mut stopped) = stop_at(step, Moment::Done);
        ground.restart(moves).await;
        load.pass(4).await;
        let id = ground.begin(moving, TARGET, "moves_cancelled_target").await;
        stopped.recv().await.unwrap();
        ground.cancel(id).await;
        assert_eq!(ground.end(id).await.state, OperationState::Cancelled, "{step}");
        load.pass(40).await;
        check_clean(&ground, step).await;
    }
    let acknowledged = load.end().await;
    assert_eq!(ledger(&ground).await, acknowledged);
    // Nothing of the cancelled ones stands in the way of another.
    ground.restart(Moves::default()).await;
    let id = ground.begin(moving, TARGET, "moves_cancelled_target").await;
    ground.finish(id).await;
    assert_eq!(ledger(&ground).await, acknowledged);
    ground.close().await;
}

async fn check_clean(ground: &Ground, step: MoveStep) {
    let mut target = ground.server(TARGET).await;
    let questions = [
        "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'moves_cancelled_target'",
        "SELECT COUNT(*) FROM mysql.db WHERE User = 'cancelling'",
        "SELECT COUNT(*) FROM _podway.arrivals WHERE schema_name = 'moves_cancelled_target'",
    ];
    for sql in questions {
        let left: Option<u64> = target.query_first(sql).await.unwrap();
        assert_eq!(left, Some(0), "{step}: {sql}");
    }
    let schema = ground.keyspace.physical(ShardIndex(1));
    let mut source = ground.server(SOURCE).await;
    source.query_drop(format!("UPDATE `{schema}`.customers SET balance = balance")).await.unwrap();
    for table in ["departures", "withheld"] {
        let sql = format!("SELECT COUNT(*) FROM _podway.{table} WHERE schema_name = '{schema}'");
        assert_eq!(source.query_first::<u64, _>(&sql).await.unwrap(), Some(0), "{step}: {sql}");
    }
    let kept: Option<u64> =
        source.query_first("SELECT COUNT(*) FROM mysql.db WHERE User = 'cancelling'").await.unwrap();
    assert_eq!(kept, Some(1), "{step}: what was withheld was given back");
}
