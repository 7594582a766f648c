//! What a session keeps beside its transaction over several servers: locks, variables, statements that were ended, another user's turn; and shards that share a server.

use mysql_async::prelude::Queryable;
use podway::provision::Declaration;
use podway_model::{ServerId, ShardIndex};
use podway_tests::eventually_async;

use crate::ground::{Ground, SOON, add, answer, code};

#[tokio::test]
async fn what_a_session_holds_outlives_its_transaction() {
    let ground = Ground::new("sessions_holds").await;
    for end in ["COMMIT", "ROLLBACK"] {
        let mut both = ground.both().await;
        let (mut other, mut others) = (ground.session().await, ground.plain().await);
        both.same("BEGIN").await;
        both.same(&add(ground.row(1, 0), 1)).await;
        both.same(&add(ground.row(2, 0), 1)).await;
        both.same("SELECT GET_LOCK('sessions_holds', 0)").await;
        both.same("SET @kept = 5").await;
        let sql = format!("UPDATE cells SET v = v + @kept WHERE id = {}", ground.row(3, 0));
        both.same(&sql).await;
        both.same(&format!("SELECT v, @kept FROM cells WHERE id = {}", ground.row(3, 0))).await;
        both.same(end).await;
        ground.same_rows().await;
        both.same("SELECT @kept").await;
        both.same("SELECT IS_USED_LOCK('sessions_holds') IS NULL").await;
        let taken = "SELECT GET_LOCK('sessions_holds', 0)";
        assert_eq!(answer(&mut other, taken).await, answer(&mut others, taken).await);
        both.same("BEGIN").await;
        for shard in [0, 2, 1] {
            both.same(&add(ground.row(shard, 0), 1)).await;
        }
        both.same("SELECT RELEASE_LOCK('sessions_holds')").await;
        both.same(end).await;
        assert_eq!(answer(&mut other, taken).await, answer(&mut others, taken).await);
        ground.same_rows().await;
    }
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_statement_that_is_ended_leaves_its_transaction() {
    let ground = Ground::new("sessions_ended").await;
    for shard in [0, 1] {
        let mut conn = ground.session().await;
        let id = conn.id();
        conn.query_drop("BEGIN").await.unwrap();
        for shard in 0..3 {
            conn.query_drop(add(ground.row(shard, 0), 1)).await.unwrap();
        }
        let slow = format!("SELECT SLEEP(100) FROM cells WHERE id = {}", ground.row(shard, 1));
        let running = tokio::spawn(async move { (answer(&mut conn, &slow).await, conn) });
        let mut root = ground.pod.admin(ServerId(shard as u32)).await.unwrap();
        let looking = tokio::sync::Mutex::new(&mut root);
        eventually_async(SOON, "the statement runs", async || {
            let sql = "SELECT COUNT(*) FROM performance_schema.processlist \
                       WHERE info LIKE 'SELECT SLEEP%' AND id <> CONNECTION_ID()";
            let count: Option<u64> = looking.lock().await.query_first(sql).await.unwrap();
            (count == Some(1)).then_some(())
        })
        .await;
        ground.session().await.query_drop(format!("KILL QUERY {id}")).await.unwrap();
        let (ended, mut conn) = running.await.unwrap();
        // SLEEP answers 1 where it is ended, if the statement has nothing more to do.
        assert!(ended == "error 1317 70100" || ended == "'1'", "{ended}");
        conn.query_drop(add(ground.row(shard, 2), 1)).await.unwrap();
        conn.query_drop("COMMIT").await.unwrap();
        let mut theirs = ground.plain().await;
        for (shard, nth) in [(0, 0), (1, 0), (2, 0), (shard, 2)] {
            theirs.query_drop(add(ground.row(shard, nth), 1)).await.unwrap();
        }
        ground.same_rows().await;
        for shard in 0..3 {
            conn.query_drop(add(ground.row(shard, 0), 0)).await.unwrap();
        }
    }
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn another_users_turn_rolls_back() {
    let mut ground = Ground::new("sessions_change").await;
    let before = ground.same_rows().await;
    let mut conn = ground.session().await;
    for _ in 0..2 {
        conn.query_drop("BEGIN").await.unwrap();
        for shard in 0..3 {
            conn.query_drop(add(ground.row(shard, 0), 1)).await.unwrap();
        }
        let options = mysql_async::ChangeUserOpts::default().with_db_name(Some("sessions_change".into()));
        conn.change_user(options).await.unwrap();
        ground.nothing_is_open().await;
        conn.query_drop("COMMIT").await.unwrap();
        assert_eq!(ground.same_rows().await, before);
    }
    assert_eq!(ground.decisions().await, []);
}

#[tokio::test]
async fn who_waits_too_long_for_a_lock_keeps_its_transaction() {
    let ground = Ground::new("sessions_race").await;
    let (mut hasty, mut patient) = (ground.session().await, ground.session().await);
    hasty.query_drop("SET innodb_lock_wait_timeout = 1").await.unwrap();
    let (here, there) = (ground.row(0, 0), ground.row(1, 0));
    for (conn, first) in [(&mut hasty, here), (&mut patient, there)] {
        conn.query_drop("BEGIN").await.unwrap();
        conn.query_drop(add(first, 1)).await.unwrap();
    }
    assert_eq!(code(hasty.query_drop(add(there, 10)).await), 1205);
    patient.query_drop("COMMIT").await.unwrap();
    hasty.query_drop(add(there, 10)).await.unwrap();
    hasty.query_drop("COMMIT").await.unwrap();
    let mut theirs = ground.plain().await;
    for (id, amount) in [(here, 1), (there, 1), (there, 10)] {
        theirs.query_drop(add(id, amount)).await.unwrap();
    }
    ground.same_rows().await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn shards_that_share_a_server_are_one_part() {
    let mut ground = Ground::new("sessions_shared").await;
    let names: Vec<String> = (0..8).map(|n| format!("sessions_eight_{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let eight = ground.pod.keyspace_named("sessions_eight", &names).await.unwrap();
    let sql = "CREATE TABLE things (id BIGINT PRIMARY KEY, v BIGINT NOT NULL)";
    eight.create_table(sql, "things", Declaration::sharded_by(&["id"])).await.unwrap();
    let mut conn = eight.connect().await.unwrap();
    let insert = async |conn: &mut mysql_async::Conn| {
        conn.query_drop("BEGIN").await.unwrap();
        for id in 1..=64 {
            conn.query_drop(format!("INSERT INTO things VALUES ({id}, {id})")).await.unwrap();
        }
    };
    insert(&mut conn).await;
    conn.query_drop("ROLLBACK").await.unwrap();
    let all = "SELECT COUNT(*), CAST(SUM(v) AS SIGNED) FROM things";
    assert_eq!(answer(&mut conn, all).await, "'0' NULL");
    insert(&mut conn).await;
    assert_eq!(answer(&mut conn, all).await, "'64' '2080'");
    conn.query_drop("COMMIT").await.unwrap();
    assert_eq!(answer(&mut conn, all).await, "'64' '2080'");
    let mut there = 0;
    for shard in 0..8 {
        let mut direct = eight.direct(ShardIndex(shard)).await.unwrap();
        let count: u64 = direct.query_first("SELECT COUNT(*) FROM things").await.unwrap().unwrap();
        assert!(count > 0, "shard {shard}");
        there += count;
    }
    assert_eq!(there, 64);
    let decisions = ground.decisions().await;
    assert_eq!(decisions.len(), 1);
    let mut parts: Vec<&str> = decisions[0].parts.split(',').collect();
    parts.sort_unstable();
    assert_eq!(parts, ["0", "1", "2", "3"]);

    // Two shards of one server need no decision.
    let of_server = |server: u32| {
        let keyspace = eight.get();
        (0..8_u16)
            .filter(|n| keyspace.shards[usize::from(*n)].server == ServerId(server))
            .collect::<Vec<u16>>()
    };
    conn.query_drop("BEGIN").await.unwrap();
    for shard in of_server(1) {
        let mut direct = eight.direct(ShardIndex(shard)).await.unwrap();
        let id: u64 = direct.query_first("SELECT MIN(id) FROM things").await.unwrap().unwrap();
        conn.query_drop(format!("UPDATE things SET v = v + 100 WHERE id = {id}")).await.unwrap();
    }
    conn.query_drop("COMMIT").await.unwrap();
    assert_eq!(answer(&mut conn, all).await, "'64' '2280'");
    assert_eq!(ground.decisions().await, []);
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn nothing_is_committed_when_the_locks_of_what_was_only_read_are_gone() {
    let ground = Ground::new("sessions_unlocked").await;
    let (written, only_read) = (ground.row(0, 0), ground.row(1, 0));
    for (mode, locks) in [("serializable", ""), ("fast", "FOR UPDATE"), ("fast", "")] {
        let mut conn = ground.session().await;
        conn.query_drop(format!("SET podway_read = '{mode}'")).await.unwrap();
        conn.query_drop("BEGIN").await.unwrap();
        conn.query_drop(add(written, 1)).await.unwrap();
        conn.query_drop(format!("SELECT v FROM cells WHERE id = {only_read} {locks}")).await.unwrap();
        let mut root = ground.pod.admin(ServerId(1)).await.unwrap();
        let thread = ground.open().await.into_iter().find(|(server, ..)| *server == 1).unwrap().1;
        root.query_drop(format!("KILL {thread}")).await.unwrap();
        eventually_async(SOON, "the session on the server has ended", async || {
            ground.open().await.iter().all(|(server, ..)| *server != 1).then_some(())
        })
        .await;
        // What it had locked another changes.
        let mut direct = ground.keyspace.direct(ShardIndex(1)).await.unwrap();
        direct.query_drop(add(only_read, 0)).await.unwrap();
        assert_eq!(code(conn.query_drop("COMMIT").await), 1213, "{mode} {locks}");
        ground.nothing_is_open().await;
        ground.same_rows().await;
    }
}
