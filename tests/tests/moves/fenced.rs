//! What the fence is for: a proxy that nobody told of the move goes on writing by its old map. With the fence it is refused; without it, what it was told is lost, which
//! shows that the check for lost writes can fail.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::ShardIndex;
use podway_tests::Pod;
use podway_topology::{Moment, Moves};
use podway_topology_api::{MoveStep, map_channel};

use crate::ground::{Ground, ledger, wait_at};

/// Moves a shard while a proxy writes there by an old map, after everything was copied; gives back what was acknowledged to its client, and what is there afterwards.
async fn write_by_an_old_map(name: &str, has_fence: bool) -> (Vec<(u64, u64)>, Vec<(u64, u64)>) {
    let (moves, mut arrivals) = wait_at(MoveStep::CatchUp, Moment::Done);
    let ground = Ground::shop(Pod::shared().await, name, 2, Moves { has_fence, ..moves }).await;
    let moving = ShardIndex(1);
    let customer = ground.customer(moving).await;
    let (publisher, watch) = map_channel((*ground.keyspace.pod.map()).clone());
    publisher.set_live(false);
    let deadline: fn(&mut podway_proxy::ProxyConfig) =
        |config| config.client.move_deadline = std::time::Duration::from_secs(1);
    let stale = ground.keyspace.pod.another_proxy(watch, deadline).await.unwrap();
    let options = ground.keyspace.pod.client_options().tcp_port(stale.address.port());
    let mut conn = Conn::new(options.db_name(Some(name))).await.unwrap();

    let mut acknowledged = Vec::new();
    let mut write = async |entry: u64| {
        let sql = format!("INSERT INTO ledger VALUES ({customer}, {entry})");
        if conn.query_drop(sql).await.is_ok() {
            acknowledged.push((customer, entry));
        }
    };
    write(1).await;
    let id = ground.begin(moving, 3, &format!("{name}_moved")).await;
    let go_on = arrivals.recv().await.unwrap();
    write(2).await;
    go_on.send(()).unwrap();
    ground.finish(id).await;
    write(3).await;
    let there = ledger(&ground).await;
    ground.close().await;
    (acknowledged, there)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_with_an_old_map_is_refused_and_nothing_that_it_acknowledged_is_lost() {
    let (acknowledged, there) = write_by_an_old_map("moves_fenced", true).await;
    assert_eq!(acknowledged.len(), 1, "only what came before the move was taken");
    assert_eq!(acknowledged, there);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_fence_acknowledged_writes_are_lost_and_the_check_says_so() {
    let (acknowledged, there) = write_by_an_old_map("moves_unfenced", false).await;
    assert!(acknowledged.len() >= 2, "the old owner takes what it should not");
    assert_ne!(acknowledged, there, "a check that finds nothing here would find nothing anywhere");
}
