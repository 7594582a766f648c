//! Faults in the middle of a gathered statement: a server that is killed, a shard that refuses, KILL, a client that leaves. Nobody takes a part of an answer for
//! the whole, and nothing is left behind.

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use podway::provision::Declaration;
use podway_model::{ServerId, ShardIndex};
use podway_tests::{Pod, TestKeyspace, is_left_out};

use crate::bounds::with_big_table;
use crate::world::{four_shards, refusal, two_servers, until_over, until_running, world};

/// A keyspace with things and parts of things, sixty each.
async fn things(pod: &'static Pod, name: &str) -> TestKeyspace<'static> {
    let keyspace = four_shards(pod, name).await;
    for table in ["things", "parts"] {
        let sql = format!("CREATE TABLE {table} (id BIGINT PRIMARY KEY, v INT NOT NULL)");
        keyspace.create_table(&sql, table, Declaration::sharded_by(&["id"])).await.unwrap();
    }
    let mut conn = keyspace.connect().await.unwrap();
    for id in 1..=60 {
        conn.query_drop(format!("INSERT INTO things VALUES ({id}, {id})")).await.unwrap();
        conn.query_drop(format!("INSERT INTO parts VALUES ({id}, {id} % 7)")).await.unwrap();
    }
    keyspace
}

/// What a session of the keyspace must be answered, whatever happened to another's.
async fn answers_are_right(keyspace: &TestKeyspace<'_>) {
    for _ in 0..3 {
        let mut conn = keyspace.connect().await.unwrap();
        assert_right(&mut conn).await;
    }
}

async fn assert_right(conn: &mut Conn) {
    let ids: Vec<u64> = conn.query("SELECT id FROM things ORDER BY id").await.unwrap();
    assert_eq!(ids, (1..=60).collect::<Vec<u64>>());
    let sum: Option<(u64, u64)> = conn.exec_first("SELECT COUNT(*), SUM(v) FROM things", ()).await.unwrap();
    assert_eq!(sum, Some((60, 1830)));
    let v: Option<u64> = conn.exec_first("SELECT v FROM things WHERE id = ?", (9,)).await.unwrap();
    assert_eq!(v, Some(9));
}

/// Never ends by itself, and is computed by MySQL over gathered rows.
fn endless(mark: &str) -> String {
    let tables: Vec<String> = (0..9).map(|n| format!("things t{n}")).collect();
    format!(
        "SELECT /* {mark} */ COUNT(*), SUM(t0.v * t1.v + t2.v * t3.v + t4.v * t5.v + t6.v * t7.v * t8.v) FROM {}",
        tables.join(", ")
    )
}

#[tokio::test]
async fn a_killed_server_never_makes_a_short_answer() {
    if is_left_out("a server that is killed") {
        return;
    }
    let pod = two_servers().await;
    let each = 20_000;
    let keyspace = with_big_table(pod, "gather_killed", each, 1500).await;
    for sql in ["SELECT * FROM big", "SELECT * FROM big ORDER BY id", "SELECT * FROM big ORDER BY v DESC"] {
        for is_prepared in [false, true] {
            let mut conn = keyspace.connect().await.unwrap();
            let server = pod.server(ServerId(1)).await;
            let (rows, failed) = match is_prepared {
                false => interrupted(conn.query_iter(sql).await.unwrap(), server.clone()).await,
                true => interrupted(conn.exec_iter(sql, ()).await.unwrap(), server.clone()).await,
            };
            assert!(failed, "{sql}: {rows} of {} rows are taken for all", 4 * each);
            assert!(rows < 4 * each, "{sql}: the server was killed too late");
            tokio::task::spawn_blocking(move || server.restart().unwrap()).await.unwrap();
            podway_tests::eventually_async(crate::world::SOON, "the server is back", async || {
                let mut conn = keyspace.connect().await.ok()?;
                let rows: Vec<u64> = conn.query("SELECT id FROM big WHERE v < 4 ORDER BY id").await.ok()?;
                assert_eq!(rows, (4..16).collect::<Vec<u64>>());
                Some(())
            })
            .await;
        }
    }
}

/// Reads a few rows, kills the server, and reads on: how many rows came, and whether the answer ended in an error.
async fn interrupted<P: mysql_async::prelude::Protocol>(
    mut result: mysql_async::QueryResult<'_, 'static, P>,
    server: Arc<podway::local_mysql::LocalServer>,
) -> (u64, bool) {
    let mut rows = 0;
    let mut server = Some(server);
    loop {
        match result.next().await {
            Ok(Some(_)) => rows += 1,
            Ok(None) => return (rows, false),
            Err(_) => return (rows, true),
        }
        if rows == 10
            && let Some(server) = server.take()
        {
            tokio::task::spawn_blocking(move || server.kill().unwrap()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_shard_that_refuses_is_one_error_before_any_row() {
    if is_left_out("a table that is dropped beside the proxy") {
        return;
    }
    let keyspace = things(world().await.keyspace.pod, "gather_lacks").await;
    keyspace.on_shard(ShardIndex(2), "DROP TABLE parts").await.unwrap();
    let mut conn = keyspace.connect().await.unwrap();
    for sql in [
        "SELECT * FROM parts",
        "SELECT * FROM parts ORDER BY id LIMIT 3",
        "SELECT COUNT(*) FROM parts",
        "SELECT things.id FROM things JOIN parts ON parts.v = things.v",
    ] {
        for is_prepared in [false, true] {
            let result: Result<Vec<Row>, _> = match is_prepared {
                true => conn.exec(sql, ()).await,
                false => conn.query(sql).await,
            };
            let (code, text) = refusal(result.expect_err(sql));
            assert_eq!(code, 1146, "{sql}: {text}");
            assert!(text.contains("'gather_lacks.parts'"), "{sql}: {text}");
        }
        assert_right(&mut conn).await;
    }
    // A column that one shard lacks.
    keyspace.on_shard(ShardIndex(3), "ALTER TABLE things RENAME COLUMN v TO w").await.unwrap();
    for sql in ["SELECT v FROM things", "SELECT SUM(v) FROM things"] {
        let (code, text) = refusal(conn.query_drop(sql).await.expect_err(sql));
        assert_eq!(code, 1054, "{sql}: {text}");
    }
    keyspace.on_shard(ShardIndex(3), "ALTER TABLE things RENAME COLUMN w TO v").await.unwrap();
    answers_are_right(&keyspace).await;
}

/// Runs the statement, kills it by the session's number when it is running, and tells how it ended and whether the session goes on.
async fn kill(keyspace: &TestKeyspace<'static>, sql: String, mark: &str, is_prepared: bool) {
    let mut victim = keyspace.connect().await.unwrap();
    let id = victim.id();
    let running = tokio::spawn(async move {
        let result = match is_prepared {
            true => victim.exec_drop(&sql, ()).await,
            false => victim.query_drop(&sql).await,
        };
        (victim, result)
    });
    until_running(keyspace.pod, mark).await;
    let mut killer = keyspace.connect().await.unwrap();
    killer.query_drop(format!("KILL QUERY {id}")).await.unwrap();
    let ended = tokio::time::timeout(crate::world::SOON, running).await;
    let (mut victim, result) = ended.unwrap_or_else(|_| panic!("{mark}: KILL QUERY ends nothing")).unwrap();
    let (code, text) = refusal(result.unwrap_err());
    assert_eq!(code, 1317, "{mark}: {text}");
    let one: Option<u64> = victim.query_first("SELECT 1").await.unwrap();
    assert_eq!(one, Some(1), "the session goes on");
    until_over(keyspace.pod, mark).await;
}

#[tokio::test]
async fn kill_query_ends_what_mysql_finishes() {
    if is_left_out("looking into servers beside the proxy") {
        return;
    }
    let keyspace = things(world().await.keyspace.pod, "gather_kill").await;
    kill(&keyspace, endless("gather_kill_text"), "gather\\_kill\\_text", false).await;
    kill(&keyspace, endless("gather_kill_prep"), "gather\\_kill\\_prep", true).await;
    answers_are_right(&keyspace).await;
}

#[tokio::test]
async fn kill_query_ends_a_merge_that_waits() {
    if is_left_out("looking into servers beside the proxy") {
        return;
    }
    let keyspace = things(world().await.keyspace.pod, "gather_wait").await;
    let mut holder = keyspace.direct(ShardIndex(3)).await.unwrap();
    holder.query_drop("LOCK TABLES things WRITE").await.unwrap();
    for (is_prepared, mark) in [(false, "gather_wait_text"), (true, "gather_wait_prep")] {
        // Preparing waits for no lock when the shard that prepares is another.
        let sql = format!("SELECT /* {mark} */ id FROM things ORDER BY v, id");
        kill(&keyspace, sql, &mark.replace('_', "\\_"), is_prepared).await;
    }
    holder.query_drop("UNLOCK TABLES").await.unwrap();
    answers_are_right(&keyspace).await;
}

#[tokio::test]
async fn a_client_that_leaves_leaves_nothing_behind() {
    if is_left_out("looking into servers beside the proxy") {
        return;
    }
    let keyspace = things(world().await.keyspace.pod, "gather_leave").await;
    for is_prepared in [false, true] {
        let (mut leaving, sql) = (keyspace.connect().await.unwrap(), endless("gather_leave_final"));
        let task = tokio::spawn(async move {
            let _ = match is_prepared {
                true => leaving.exec_drop(&sql, ()).await,
                false => leaving.query_drop(&sql).await,
            };
        });
        until_running(keyspace.pod, "gather\\_leave\\_final").await;
        task.abort();
        until_over(keyspace.pod, "gather\\_leave\\_final").await;
        answers_are_right(&keyspace).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_rows_leaves_nothing_behind() {
    if is_left_out("looking into servers beside the proxy") {
        return;
    }
    let pod = world().await.keyspace.pod;
    let keyspace = with_big_table(pod, "gather_rows", 10_000, 1500).await;
    for sql in [
        "SELECT /* gather_rows_left */ * FROM big",
        "SELECT /* gather_rows_left */ * FROM big ORDER BY v DESC, id",
    ] {
        for _ in 0..4 {
            let mut leaving = keyspace.connect().await.unwrap();
            let mut result = leaving.query_iter(sql).await.unwrap();
            let _: Option<Row> = result.next().await.unwrap();
            let task = tokio::spawn(async move {
                // Dropped here with its rows unread: the socket closes.
                drop(leaving);
            });
            task.await.unwrap();
        }
        until_over(pod, "gather\\_rows\\_left").await;
        let mut conn = keyspace.connect().await.unwrap();
        let rows: Vec<(u64, u64)> = conn.query("SELECT id, v FROM big ORDER BY id LIMIT 8").await.unwrap();
        assert_eq!(rows, [(4, 1), (5, 1), (6, 1), (7, 1), (8, 2), (9, 2), (10, 2), (11, 2)]);
        let sum: Option<(u64, u64)> =
            conn.exec_first("SELECT COUNT(*), SUM(v) FROM big WHERE v <= ?", (100,)).await.unwrap();
        assert_eq!(sum, Some((400, 4 * 5050)));
    }
}
