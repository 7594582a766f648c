//! The leader stops anywhere between deciding and reporting, a server dies in the middle: TRUNCATE never runs twice where new rows have come, and nothing is forgotten.

use mysql_async::prelude::Queryable;
use podway_model::ServerId;
use podway_tests::{Pod, PodOptions};
use podway_topology::{StatementMoment, StatementProbe};
use podway_topology_api::OperationState;

use crate::ground::{Ground, stop_at, wait_at};

const TABLE: &str = "CREATE TABLE t (id BIGINT PRIMARY KEY, u BIGINT) COMMENT 'podway: shard by (id)'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truncate_never_runs_again_where_it_has_run() {
    let mut ground = Ground::new(Pod::shared().await, "ddl_truncate", 2, 1).await;
    ground.connect(0).await.query_drop(TABLE).await.unwrap();
    let moments =
        [StatementMoment::Begun, StatementMoment::Checked, StatementMoment::Done, StatementMoment::Reported];
    for (turn, moment) in moments.into_iter().enumerate() {
        for shard in 0..2 {
            let mut conn = ground.connect(0).await;
            for id in 1..=20 {
                let sql = format!("INSERT INTO t VALUES ({id}, {turn}) ON DUPLICATE KEY UPDATE u = u");
                conn.query_drop(sql).await.unwrap();
            }
            let (probe, mut stopped) = stop_at(moment, shard);
            ground.restart(probe).await;
            let truncating = tokio::spawn(async move { conn.query_drop("TRUNCATE t").await });
            stopped.recv().await.unwrap();
            // A row that comes now is older than the statement where that was not sent, and newer where it was.
            let id = 1_000 + turn;
            ground.on_shard::<u64>(shard, &format!("INSERT INTO {{}}.t VALUES ({id}, 0)")).await;
            ground.restart(StatementProbe::default()).await;
            truncating.await.unwrap().unwrap();
            let rows: Vec<u64> = ground.on_shard(shard, "SELECT id FROM {}.t").await;
            let was_done = matches!(moment, StatementMoment::Done | StatementMoment::Reported);
            let expected = if was_done { vec![id as u64] } else { Vec::new() };
            assert_eq!(rows, expected, "{moment:?} on shard {shard}");
            assert_eq!(ground.last().await.state, OperationState::Finished);
        }
    }
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_comes_into_being_whatever_stops_the_leader() {
    let mut ground = Ground::new(Pod::shared().await, "ddl_born", 3, 1).await;
    let moments =
        [StatementMoment::Begun, StatementMoment::Checked, StatementMoment::Done, StatementMoment::Reported];
    for moment in moments {
        for nth in 0..3 {
            let (probe, mut stopped) = stop_at(moment, nth);
            ground.restart(probe).await;
            let mut conn = ground.connect(0).await;
            let creating = tokio::spawn(async move {
                let created = conn.query_drop(TABLE).await;
                (conn, created)
            });
            stopped.recv().await.unwrap();
            ground.restart(StatementProbe::default()).await;
            let (mut conn, created) = creating.await.unwrap();
            created.unwrap();
            assert_eq!(ground.columns("t").await, vec![vec!["id".to_owned(), "u".to_owned()]; 3]);
            for id in 1..=10 {
                conn.query_drop(format!("INSERT INTO t VALUES ({id}, {id})")).await.unwrap();
            }
            conn.query_drop("DROP TABLE t").await.unwrap();
        }
    }
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_during_an_alter_delays_it() {
    // What a server has acknowledged, it has after it was killed.
    let server_args = vec!["--innodb-flush-log-at-trx-commit=1".to_owned()];
    let options = PodOptions { servers: 2, server_args, ..PodOptions::default() };
    let pod: &'static Pod = Box::leak(Box::new(Pod::start(options).await.unwrap()));
    let mut ground = Ground::new(pod, "ddl_dies", 2, 1).await;
    let mut conn = ground.connect(0).await;
    conn.query_drop(TABLE).await.unwrap();
    for id in 1..=20 {
        conn.query_drop(format!("INSERT INTO t VALUES ({id}, {id})")).await.unwrap();
    }
    for (turn, moment) in
        [StatementMoment::Begun, StatementMoment::Checked, StatementMoment::Done].into_iter().enumerate()
    {
        // The second target, which goes when the first has it.
        let (probe, mut arrivals) = wait_at(moment, 1);
        ground.restart(probe).await;
        let sql = format!("ALTER TABLE t ADD c{turn} INT NOT NULL DEFAULT 0, FORCE");
        let altering = tokio::spawn(async move {
            let altered = conn.query_drop(sql).await;
            (conn, altered)
        });
        let go_on = arrivals.recv().await.unwrap();
        let server = pod.server(ServerId(1)).await;
        server.kill().unwrap();
        drop(arrivals);
        go_on.send(()).unwrap();
        server.restart().unwrap();
        let (back, altered) = altering.await.unwrap();
        altered.unwrap();
        conn = back;
        let columns = ground.columns("t").await;
        assert_eq!((columns[0].len(), &columns[0]), (3 + turn, &columns[1]));
    }
    ground.close().await;
}
