//! The leader stops anywhere between deciding and reporting, a server dies in the middle: TRUNCATE never runs twice where new rows have come, and nothing is forgotten.

use mysql_async::prelude::Queryable;
use podway_model::ServerId;
use podway_tests::{Pod, PodOptions, eventually_async};
use podway_topology::{StatementMoment, StatementProbe};
use podway_topology_api::OperationState;

use crate::ground::{DEADLINE, Ground, stop_at, wait_at};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_leader_has_open_is_ended_and_a_later_one_is_left_alone() {
    let ground = Ground::new(Pod::shared().await, "ddl_late", 2, 1).await;
    let mut conn = ground.connect(0).await;
    conn.query_drop(TABLE).await.unwrap();

    // It was stopped before it sent its statement: the session is dead when it goes on.
    let mut of_an_earlier_term = ground.marked(0, "0:999:s77").await;
    let mut of_another_work = ground.marked(0, "1000000:999:s77").await;
    conn.query_drop("ALTER TABLE t ADD a INT").await.unwrap();
    of_an_earlier_term.query_drop("DO 1").await.unwrap_err();
    of_another_work.query_drop("DO 1").await.unwrap();

    // On the second server a later leader has been; the one that is here does not know yet.
    let cluster = ground.cluster();
    let mut server = ground.server(1).await;
    let sql = format!("SELECT term FROM _podway.control WHERE cluster = '{cluster}'");
    let term: Option<u64> = server.query_first(sql).await.unwrap();
    let set = |term: u64| format!("UPDATE _podway.control SET term = {term} WHERE cluster = '{cluster}'");
    server.query_drop(set(1_000)).await.unwrap();
    let altering = tokio::spawn(async move { conn.query_drop("ALTER TABLE t ADD b INT").await });
    eventually_async(DEADLINE, "it says what stands in its way", async || {
        let trouble = ground.last().await.trouble?;
        trouble.contains("a later leader of the topology works on server s1").then_some(())
    })
    .await;
    let columns = ground.columns("t").await;
    assert_eq!((columns[0].len(), columns[1].len()), (4, 3));

    // As if it were the later one itself.
    server.query_drop(set(term.unwrap())).await.unwrap();
    altering.await.unwrap().unwrap();
    assert_eq!(ground.columns("t").await[1].len(), 4);
    ground.close().await;
}
