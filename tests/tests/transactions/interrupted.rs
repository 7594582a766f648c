//! A COMMIT that is held up or struck at each of its steps: what its client is told, and what becomes of the transaction. A step is held by a lock on what it writes.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use podway_model::{ServerId, ShardIndex};
use podway_tests::{RunningProxy, eventually_async, is_left_out};
use tokio::task::JoinHandle;

use crate::ground::{Ground, SOON, add, prepared};

/// Servers that the transactions here write to; the first is the primary.
const PARTS: usize = 3;

/// A proxy whose steps are short.
async fn hasty(ground: &Ground) -> RunningProxy {
    let pod = ground.pod;
    pod.another_proxy(pod.watch(), |config| config.client.commit_step = Duration::from_secs(1)).await.unwrap()
}

/// A proxy with time for a server to come back.
async fn patient(ground: &Ground) -> RunningProxy {
    let pod = ground.pod;
    pod.another_proxy(pod.watch(), |config| config.client.commit_step = Duration::from_secs(60))
        .await
        .unwrap()
}

async fn root(ground: &Ground, server: u32) -> Conn {
    ground.pod.admin(ServerId(server)).await.unwrap()
}

/// Keeps decisions from being written at the primary, until it is rolled back.
async fn hold_decisions(ground: &Ground) -> Conn {
    let mut holder = root(ground, 0).await;
    holder.query_drop("BEGIN").await.unwrap();
    holder.query_drop("SELECT COUNT(*) FROM _podway.decision FOR UPDATE").await.unwrap();
    holder
}

/// A session of this proxy's that has written on all parts.
async fn begun(ground: &Ground, proxy: &RunningProxy) -> Conn {
    let options = ground.pod.client_options().tcp_port(proxy.address.port());
    write(ground, Conn::new(options.db_name(Some(&ground.keyspace.name))).await.unwrap()).await
}

async fn write(ground: &Ground, mut conn: Conn) -> Conn {
    conn.query_drop("BEGIN").await.unwrap();
    for shard in 0..PARTS {
        conn.query_drop(add(ground.row(shard, 0), 1)).await.unwrap();
    }
    conn
}

/// Sends COMMIT; what it is answered comes later: its warnings, or its error.
fn commit(mut conn: Conn) -> JoinHandle<Result<Vec<String>, Error>> {
    tokio::spawn(async move {
        conn.query_drop("COMMIT").await?;
        let told = conn.get_warnings();
        let warnings: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await.unwrap();
        assert_eq!(warnings.len(), usize::from(told));
        // Whoever was told that it is committed has a session that goes on.
        conn.query_drop("SELECT COUNT(*) FROM cells").await.unwrap();
        Ok(warnings.into_iter().map(|(.., message)| message).collect())
    })
}

/// Waits until the decision is being written: all branches are prepared then.
async fn until_deciding(ground: &Ground) {
    ground.until_one_waits(0).await;
    assert_eq!(prepared(ground.pod).await.len(), PARTS - 1);
}

/// On which servers it has taken effect.
async fn effects(ground: &Ground) -> Vec<bool> {
    let mut effects = Vec::new();
    for shard in 0..PARTS {
        let id = ground.row(shard, 0);
        let mut direct = ground.keyspace.direct(ShardIndex(shard as u16)).await.unwrap();
        let v: Option<u64> =
            direct.query_first(format!("SELECT v FROM cells WHERE id = {id}")).await.unwrap();
        effects.push(v != Some(id * 10));
    }
    effects
}

/// Waits until nothing is prepared; then it is there on all servers or on none. Which?
async fn outcome(ground: &Ground) -> bool {
    eventually_async(SOON, "nothing is prepared", async || {
        prepared(ground.pod).await.is_empty().then_some(())
    })
    .await;
    ground.nothing_is_open().await;
    let effects = effects(ground).await;
    assert!(effects.iter().all(|one| *one == effects[0]), "a half: {effects:?}");
    effects[0]
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, Error>) -> (u16, String) {
    match answer {
        Err(Error::Server(error)) => (error.code, error.message),
        other => panic!("{other:?}"),
    }
}

async fn kill(ground: &Ground, server: u32) {
    let server = ground.pod.server(ServerId(server)).await;
    tokio::task::spawn_blocking(move || server.kill().unwrap()).await.unwrap();
}

async fn restart(ground: &Ground, server: u32) {
    let server = ground.pod.server(ServerId(server)).await;
    tokio::task::spawn_blocking(move || server.restart().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_branch_that_does_not_prepare_in_time_rolls_all_back() {
    if is_left_out("a proxy of its own") {
        return;
    }
    let mut ground = Ground::new("interrupted_prepare").await;
    let proxy = hasty(&ground).await;
    for server in 1..PARTS as u32 {
        let session = begun(&ground, &proxy).await;
        // It waits for statements, and writes wait for it.
        let mut lock = root(&ground, server).await;
        lock.query_drop("FLUSH TABLES WITH READ LOCK").await.unwrap();
        let (code, message) = refusal(commit(session).await.unwrap());
        assert_eq!(code, 1213, "{message}");
        assert!(message.contains("commit_step"), "{message}");
        lock.query_drop("UNLOCK TABLES").await.unwrap();
        drop(lock);
        assert!(!outcome(&ground).await);
        assert!(ground.decisions().await.iter().all(|decision| decision.standing == "A"));
    }
}

#[tokio::test]
async fn who_cannot_be_told_in_time_is_told_the_transactions_name() {
    if is_left_out("a proxy of its own") {
        return;
    }
    let mut ground = Ground::new("interrupted_decision").await;
    let proxy = hasty(&ground).await;
    let mut holder = hold_decisions(&ground).await;
    let commit = commit(begun(&ground, &proxy).await);
    until_deciding(&ground).await;
    let (code, message) = refusal(commit.await.unwrap());
    assert_eq!(code, 1105, "{message}");
    let branch = prepared(ground.pod).await.pop().unwrap().1;
    let gtrid = &branch[..35];
    assert!(message.contains(gtrid), "{message} does not name {gtrid}");
    assert_eq!(effects(&ground).await, [false; PARTS]);
    holder.query_drop("ROLLBACK").await.unwrap();
    let is_committed = outcome(&ground).await;
    let decisions = ground.decisions().await;
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    assert_eq!(decisions[0].gtrid, gtrid);
    assert_eq!(decisions[0].standing, if is_committed { "C" } else { "A" });
}

#[tokio::test]
async fn a_client_that_leaves_while_it_is_decided_changes_nothing() {
    let mut ground = Ground::new("interrupted_client").await;
    let mut holder = hold_decisions(&ground).await;
    let commit = commit(write(&ground, ground.session().await).await);
    until_deciding(&ground).await;
    commit.abort();
    assert!(commit.await.unwrap_err().is_cancelled());
    holder.query_drop("ROLLBACK").await.unwrap();
    drop(holder);
    assert!(outcome(&ground).await, "it goes on to its end");
    assert_eq!(ground.decisions().await.len(), 1);
}

#[tokio::test]
async fn a_killed_session_that_is_deciding_goes_on_to_its_end() {
    let mut ground = Ground::new("interrupted_kill").await;
    let mut holder = hold_decisions(&ground).await;
    let session = ground.session().await;
    let id = session.id();
    let commit = commit(write(&ground, session).await);
    until_deciding(&ground).await;
    ground.session().await.query_drop(format!("KILL {id}")).await.unwrap();
    holder.query_drop("ROLLBACK").await.unwrap();
    drop(holder);
    // Its client may have been told of the end, or of nothing.
    let _ = commit.await;
    let is_committed = outcome(&ground).await;
    let decisions = ground.decisions().await;
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    assert_eq!(decisions[0].standing, if is_committed { "C" } else { "A" });
}

#[tokio::test]
async fn what_is_decided_is_committed_by_others_where_a_branch_cannot_be_reached() {
    if is_left_out("servers that are killed") {
        return;
    }
    let ground = Ground::new("interrupted_finish").await;
    let proxy = hasty(&ground).await;
    // Held up, by a lock that commits wait for.
    let mut holder = hold_decisions(&ground).await;
    let commit = commit(begun(&ground, &proxy).await);
    until_deciding(&ground).await;
    let mut lock = root(&ground, 1).await;
    lock.query_drop("FLUSH TABLES WITH READ LOCK").await.unwrap();
    holder.query_drop("ROLLBACK").await.unwrap();
    let warnings = commit.await.unwrap().unwrap();
    assert!(matches!(&*warnings, [one] if one.contains("commit_step")), "{warnings:?}");
    assert_eq!(effects(&ground).await, [true, false, true], "it is committed, and not there yet");
    lock.query_drop("UNLOCK TABLES").await.unwrap();
    drop((lock, holder));
    assert!(outcome(&ground).await);
}

#[tokio::test]
async fn a_branch_whose_server_died_after_it_was_prepared_is_committed_when_it_is_back() {
    if is_left_out("servers that are killed") {
        return;
    }
    let ground = Ground::new("interrupted_branch").await;
    let proxy = patient(&ground).await;
    let mut holder = hold_decisions(&ground).await;
    let commit = commit(begun(&ground, &proxy).await);
    until_deciding(&ground).await;
    kill(&ground, 2).await;
    holder.query_drop("ROLLBACK").await.unwrap();
    drop(holder);
    eventually_async(SOON, "the other branch is committed", async || {
        let mut direct = ground.keyspace.direct(ShardIndex(1)).await.unwrap();
        let id = ground.row(1, 0);
        let v: Option<u64> =
            direct.query_first(format!("SELECT v FROM cells WHERE id = {id}")).await.unwrap();
        (v == Some(id * 10 + 1)).then_some(())
    })
    .await;
    restart(&ground, 2).await;
    // The session may have lost its connection, but not what became of the transaction.
    let answer = tokio::time::timeout(SOON, commit).await.unwrap();
    assert!(!matches!(answer, Ok(Err(_))), "{answer:?}");
    if let Ok(Ok(warnings)) = answer {
        assert_eq!(warnings, [""; 0]);
        assert_eq!(effects(&ground).await, [true; PARTS], "who was told so without a warning finds it");
    }
    assert!(outcome(&ground).await);
}

#[tokio::test]
async fn a_primary_that_dies_before_its_decision_is_there_has_decided_nothing() {
    if is_left_out("servers that are killed") {
        return;
    }
    let mut ground = Ground::new("interrupted_primary").await;
    for is_patient in [true, false] {
        let proxy = if is_patient { patient(&ground).await } else { hasty(&ground).await };
        let holder = hold_decisions(&ground).await;
        let commit = commit(begun(&ground, &proxy).await);
        until_deciding(&ground).await;
        kill(&ground, 0).await;
        drop(holder);
        let answer = match is_patient {
            true => {
                restart(&ground, 0).await;
                refusal(tokio::time::timeout(SOON, commit).await.unwrap().unwrap())
            }
            false => {
                let answer = refusal(tokio::time::timeout(SOON, commit).await.unwrap().unwrap());
                restart(&ground, 0).await;
                answer
            }
        };
        assert_eq!(answer.0, if is_patient { 1213 } else { 1105 }, "{}", answer.1);
        assert!(!outcome(&ground).await);
        let decisions = ground.decisions().await;
        assert!(decisions.len() == 1 && decisions[0].standing == "A", "{decisions:?}");
    }
}
