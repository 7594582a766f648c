//! Statements about users that do not reach every server at once: visible, resumable, and harmless wherever the topology's leader stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mysql_async::prelude::Queryable;
use podway_topology::{StatementMoment, StatementProbe};
use podway_topology_api::{OperationState, TargetState};
use tokio::sync::mpsc;

use crate::ground::{Ground, errno};

#[tokio::test]
async fn what_a_later_server_refuses_stays_open_until_somebody_says_how_to_go_on() {
    let ground = Ground::shop("half", 2).await;
    let mut boss = ground.boss().await;
    // Somebody made it there, beside Podway.
    let mut second = ground.server(1).await;
    second.query_drop("CREATE USER twin IDENTIFIED BY 'other'").await.unwrap();
    let code = errno(boss.query_drop("CREATE USER twin IDENTIFIED BY 'hunter2'").await);
    assert_ne!(code, 0, "the client is not told that it was done");
    let open = ground.last().await;
    let open = ground.wait_for(open.id, "the second server refuses", |one| one.needs_somebody()).await;
    assert!(matches!(open.targets[0].1, TargetState::Done { .. }), "{open:?}");
    let TargetState::Refused { error, .. } = &open.targets[1].1 else { panic!("{open:?}") };
    assert_eq!(error.code, 1396);
    // Nobody gets in yet, and the next statement waits or is told so.
    assert_eq!(errno(ground.connect_as("twin", "hunter2", 0).await), 1045);
    second.query_drop("DROP USER twin").await.unwrap();
    ground.retry(open.id).await;
    ground.wait_for(open.id, "it is done", |one| one.state == OperationState::Finished).await;
    let mut twin = ground.connect_as("twin", "hunter2", 1).await.unwrap();
    twin.query_drop("SELECT 1").await.unwrap();
    boss.query_drop("DROP USER twin").await.unwrap();
    ground.close().await;
}

/// Once it is armed, stops for ever at the first try that comes to a moment, and says so.
fn stop_at(
    wanted: StatementMoment,
    is_armed: Arc<AtomicBool>,
) -> (StatementProbe, mpsc::UnboundedReceiver<()>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let probe = StatementProbe::new(move |_, _, moment| {
        let (sender, stops) = (sender.clone(), is_armed.load(Ordering::SeqCst) && moment == wanted);
        Box::pin(async move {
            if stops && sender.send(()).is_ok() {
                std::future::pending::<()>().await;
            }
        })
    });
    (probe, receiver)
}

#[tokio::test]
async fn a_leader_that_stops_anywhere_leaves_nothing_that_the_next_one_does_not_finish() {
    let moments =
        [StatementMoment::Begun, StatementMoment::Checked, StatementMoment::Done, StatementMoment::Reported];
    let statements = [
        "CREATE USER made IDENTIFIED BY 'one'",
        "ALTER USER bob IDENTIFIED BY 'two'",
        "RENAME USER bob TO rob",
        "GRANT SELECT ON halts.* TO bob",
        "DROP USER bob",
    ];
    for (n, moment) in moments.into_iter().enumerate() {
        // One after the other over the moments, so that each statement meets some of them, and all do.
        let sql = statements[n % statements.len()];
        stopped(&format!("halts_{n}"), sql, moment).await;
    }
    for (n, sql) in statements.into_iter().enumerate() {
        stopped(&format!("halts_too_{n}"), sql, StatementMoment::Done).await;
    }
}

async fn stopped(keyspace: &str, sql: &str, moment: StatementMoment) {
    let sql = sql.replace("halts.", &format!("{keyspace}."));
    let is_armed = Arc::new(AtomicBool::new(false));
    let (probe, mut reached) = stop_at(moment, is_armed.clone());
    let mut ground = Ground::probed(keyspace, 2, probe).await;
    let mut boss = ground.boss().await;
    boss.query_drop("CREATE USER bob IDENTIFIED BY 'one'").await.unwrap();
    is_armed.store(true, Ordering::SeqCst);
    let typed = sql.clone();
    let client = tokio::spawn(async move { boss.query_drop(typed).await });
    reached.recv().await.unwrap();
    ground.restart().await;
    let id = ground.last().await.id;
    ground.wait_for(id, "the next leader finishes it", |one| one.state == OperationState::Finished).await;
    let _ = client.await;
    let (user, password) = match sql.split(' ').next() {
        Some("CREATE") => ("made", "one"),
        Some("ALTER") => ("bob", "two"),
        Some("RENAME") => ("rob", "one"),
        _ => ("bob", "one"),
    };
    for (n, options) in ground.ways_in(user, password).into_iter().enumerate() {
        let is_in = mysql_async::Conn::new(options).await.is_ok();
        assert_eq!(is_in, !sql.starts_with("DROP"), "{sql}, {moment:?}, way {n}");
    }
    ground.close().await;
}
