//! Writes on two, three and four servers in one transaction, which all take effect or none does: what each statement is answered with is what one MySQL says.

use mysql_async::Value;
use mysql_async::prelude::Queryable;

use crate::ground::{Decision, Ground, add, answer, code, until_one_waits};
use podway_model::ServerId;

/// The only decision of a transaction that was committed on several servers.
fn only(decisions: Vec<Decision>) -> Decision {
    let [decision] = decisions.try_into().unwrap_or_else(|all| panic!("one decision, not {all:?}"));
    assert_eq!(decision.standing, "C");
    decision
}

#[tokio::test]
async fn writes_on_two_three_and_four_servers_are_committed_together() {
    let mut ground = Ground::new("several_commit").await;
    let mut both = ground.both().await;
    for servers in 2..=4 {
        let before = ground.same_rows().await;
        both.same("BEGIN").await;
        for shard in 0..servers {
            both.same(&add(ground.row(shard, 0), 1)).await;
            both.same(&format!("INSERT INTO cells VALUES ({}, 7, 'new')", ground.free(shard, servers))).await;
            both.same(&format!("DELETE FROM cells WHERE id = {}", ground.row(shard, servers))).await;
            both.same(&format!("SELECT * FROM cells WHERE id = {}", ground.free(shard, servers))).await;
        }
        let mut other = ground.session().await;
        let seen: Vec<(u64, i64)> = other.query("SELECT id, v FROM cells ORDER BY id").await.unwrap();
        assert_eq!(seen, before, "not before COMMIT");
        both.same("COMMIT").await;
        let after = ground.same_rows().await;
        assert_ne!(after, before);
        ground.nothing_is_prepared().await;

        let decision = only(ground.decisions().await);
        let parts: Vec<String> = (0..servers).map(|server| server.to_string()).collect();
        assert_eq!((decision.server, decision.parts), (0, parts.join(",")));
        let marks = ground.marks(&decision.gtrid).await;
        assert_eq!(marks.keys().copied().collect::<Vec<u32>>(), (0..servers as u32).collect::<Vec<u32>>());
        let stamp = decision.stamp.unwrap();
        assert!(stamp > 0 && marks[&0] == stamp, "{stamp}, {marks:?}");
        assert!(marks.values().all(|mark| *mark <= stamp), "{stamp}, {marks:?}");
        for server in 1..servers as u32 {
            let floors = ground.marks(&format!("{}-floor", decision.gtrid)).await;
            assert!(marks[&server] == stamp || floors[&server] == stamp, "{stamp}, {marks:?}, {floors:?}");
        }
    }
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_rollback_leaves_nothing_anywhere() {
    let mut ground = Ground::new("several_rollback").await;
    let mut both = ground.both().await;
    let before = ground.same_rows().await;
    for servers in 2..=4 {
        both.same("START TRANSACTION").await;
        for shard in (0..servers).rev() {
            both.same(&add(ground.row(shard, 0), 1)).await;
            both.same(&format!("INSERT INTO cells VALUES ({}, 7, 'new')", ground.free(shard, 0))).await;
            both.same(&format!("DELETE FROM cells WHERE id = {}", ground.row(shard, 1))).await;
        }
        both.same("ROLLBACK").await;
        assert_eq!(ground.same_rows().await, before);
        both.same(&add(ground.row(0, 0), 0)).await;
    }
    ground.nothing_is_open().await;
    assert_eq!(ground.decisions().await, []);
}

#[tokio::test]
async fn one_writer_needs_no_decision() {
    let mut ground = Ground::new("several_one_writer").await;
    let mut both = ground.both().await;
    for (writer, servers) in [(0, 2), (1, 2), (0, 4), (2, 4), (9, 3)] {
        both.same("BEGIN").await;
        for shard in 0..servers {
            both.same(&format!("SELECT * FROM cells WHERE id = {}", ground.row(shard, 0))).await;
        }
        if writer < servers {
            both.same(&add(ground.row(writer, 0), 3)).await;
        }
        both.same("COMMIT").await;
        ground.nothing_is_prepared().await;
        ground.same_rows().await;
        assert_eq!(ground.decisions().await, [], "{writer} of {servers}");
    }
    // Two that wrote, beside one that read.
    both.same("BEGIN").await;
    both.same(&format!("SELECT * FROM cells WHERE id = {}", ground.row(3, 0))).await;
    both.same(&add(ground.row(1, 0), 3)).await;
    both.same(&format!("SELECT * FROM cells WHERE id = {} FOR UPDATE", ground.row(0, 0))).await;
    both.same(&add(ground.row(2, 0), 3)).await;
    both.same("COMMIT").await;
    ground.same_rows().await;
    let decision = only(ground.decisions().await);
    assert_eq!(decision.server, 3, "the first server holds it, whether it wrote or not");
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_duplicate_key_undoes_its_statement_alone() {
    let ground = Ground::new("several_duplicate").await;
    let mut both = ground.both().await;
    for failing in [0, 1, 2] {
        both.same("BEGIN").await;
        for shard in 0..3 {
            both.same(&add(ground.row(shard, 0), 1)).await;
        }
        let there = format!("INSERT INTO cells VALUES ({}, 1, 'twice')", ground.row(failing, 1));
        assert_eq!(both.same(&there).await, "error 1062 23000");
        let (new, old) = (ground.free(failing, failing), ground.row(failing, 1));
        let two = format!("INSERT INTO cells VALUES ({new}, 1, 'undone'), ({old}, 1, 'twice')");
        assert_eq!(both.same(&two).await, "error 1062 23000");
        both.same(&format!("SELECT COUNT(*) FROM cells WHERE id = {new}")).await;
        both.same(&add(ground.row(3, 0), 1)).await;
        both.same("COMMIT").await;
        ground.same_rows().await;
    }
    // Other errors leave the transaction too.
    both.same("BEGIN").await;
    both.same(&add(ground.row(0, 0), 1)).await;
    both.same(&add(ground.row(1, 0), 1)).await;
    for (sql, expected) in [
        (format!("UPDATE cells SET v = NULL WHERE id = {}", ground.row(1, 0)), "error 1048 23000"),
        (format!("UPDATE cells SET nothing = 1 WHERE id = {}", ground.row(2, 0)), "error 1054 42S22"),
        (format!("SELEC {}", ground.row(2, 0)), "error 1064 42000"),
    ] {
        assert_eq!(both.same(&sql).await, expected);
    }
    both.same("COMMIT").await;
    ground.same_rows().await;
    ground.nothing_is_open().await;
}

/// Two transactions over servers 0 and 1, of which the first is the lighter; they meet on `shard`.
async fn deadlock(ground: &mut Ground, shard: usize) {
    let before = ground.same_rows().await;
    let (mut light, mut heavy) = (ground.session().await, ground.session().await);
    let first = ground.row(0, 0);
    light.query_drop("BEGIN").await.unwrap();
    light.query_drop(add(first, 100)).await.unwrap();
    light.query_drop(add(ground.row(1, 0), 100)).await.unwrap();
    light.query_drop(add(ground.row(2, 0), 100)).await.unwrap();
    light.query_drop(add(ground.row(shard, 1), 100)).await.unwrap();
    heavy.query_drop("BEGIN").await.unwrap();
    for nth in 2..7 {
        heavy.query_drop(add(ground.row(shard, nth), 1_000)).await.unwrap();
    }
    let (own, others) = (add(ground.row(shard, 1), 1_000), add(ground.row(shard, 2), 100));
    let waiting = tokio::spawn(async move {
        heavy.query_drop(own).await.unwrap();
        heavy.query_drop("ROLLBACK").await.unwrap();
    });
    ground.until_one_waits(shard as u32).await;
    assert_eq!(answer(&mut light, &others).await, "error 1213 40001");
    waiting.await.unwrap();

    // All of it is undone, and its locks are gone; the session goes on outside a transaction.
    let mut other = ground.session().await;
    other.query_drop("SET innodb_lock_wait_timeout = 1").await.unwrap();
    for shard in 0..3 {
        other.query_drop(add(ground.row(shard, 0), 0)).await.unwrap();
    }
    let sql = format!("SELECT v FROM cells WHERE id = {first}");
    assert_eq!(light.query_first::<i64, _>(&sql).await.unwrap(), Some(10 * first as i64));
    assert_eq!(code(light.query_drop("COMMIT").await), 0);
    assert_eq!(ground.same_rows().await, before);
    light.query_drop(add(first, 5)).await.unwrap();
    light.query_drop("ROLLBACK").await.unwrap();
    let kept: Option<i64> = other.query_first(&sql).await.unwrap();
    assert_eq!(kept, Some(10 * first as i64 + 5), "a statement of its own");
    light.query_drop("BEGIN").await.unwrap();
    light.query_drop(add(first, -5)).await.unwrap();
    light.query_drop(add(ground.row(1, 0), 0)).await.unwrap();
    light.query_drop("COMMIT").await.unwrap();
    assert_eq!(ground.same_rows().await, before);
    drop((light, other));
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_deadlock_rolls_back_on_all_servers_wherever_it_is() {
    let mut ground = Ground::new("several_deadlock").await;
    for shard in [0, 1, 2] {
        deadlock(&mut ground, shard).await;
    }
}

#[tokio::test]
async fn a_lock_that_does_not_come_leaves_the_transaction() {
    let ground = Ground::new("several_timeout").await;
    let mut both = ground.both().await;
    let (mut holder, mut there) = (ground.session().await, ground.plain().await);
    for (locked, free) in [(1, 2), (0, 1)] {
        let lock = format!("SELECT * FROM cells WHERE id = {} FOR UPDATE", ground.row(locked, 1));
        for conn in [&mut holder, &mut there] {
            conn.query_drop("BEGIN").await.unwrap();
            conn.query_drop(&lock).await.unwrap();
        }
        both.same("SET SESSION innodb_lock_wait_timeout = 1").await;
        both.same("BEGIN").await;
        both.same(&add(ground.row(0, 0), 1)).await;
        both.same(&add(ground.row(free, 0), 1)).await;
        assert_eq!(both.same(&add(ground.row(locked, 1), 1)).await, "error 1205 HY000");
        both.same(&add(ground.row(locked, 0), 1)).await;
        both.same(&add(ground.row(3, 0), 1)).await;
        both.same("COMMIT").await;
        ground.same_rows().await;
        for conn in [&mut holder, &mut there] {
            conn.query_drop("ROLLBACK").await.unwrap();
        }
    }
    drop(holder);
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_lock_that_comes_while_others_wait_is_taken() {
    let ground = Ground::new("several_waits").await;
    let (mut first, mut second) = (ground.session().await, ground.session().await);
    for conn in [&mut first, &mut second] {
        conn.query_drop("BEGIN").await.unwrap();
    }
    for shard in 0..3 {
        first.query_drop(add(ground.row(shard, 0), 1)).await.unwrap();
    }
    second.query_drop(add(ground.row(3, 0), 1)).await.unwrap();
    let text = add(ground.row(1, 0), 10);
    let waiting = tokio::spawn(async move {
        second.query_drop(text).await.unwrap();
        second.query_drop("COMMIT").await.unwrap();
    });
    until_one_waits(&mut ground.pod.admin(ServerId(1)).await.unwrap()).await;
    first.query_drop("COMMIT").await.unwrap();
    waiting.await.unwrap();
    let mut theirs = ground.plain().await;
    for (shard, amount) in [(0, 1), (1, 11), (2, 1), (3, 1)] {
        theirs.query_drop(add(ground.row(shard, 0), amount)).await.unwrap();
    }
    ground.same_rows().await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn prepared_statements_go_over_servers_too() {
    let mut ground = Ground::new("several_prepared").await;
    let mut both = ground.both().await;
    for end in ["ROLLBACK", "COMMIT"] {
        both.same("BEGIN").await;
        for shard in 0..4 {
            let (id, free) = (Value::from(ground.row(shard, 0)), Value::from(ground.free(shard, 0)));
            let note = Value::from(format!("by {shard}"));
            both.same_executed("UPDATE cells SET v = v * ? WHERE id = ?", &[Value::from(2), id.clone()])
                .await;
            both.same_executed("INSERT INTO cells (id, note, v) VALUES (?, ?, 5)", &[free.clone(), note])
                .await;
            both.same_executed("SELECT * FROM cells WHERE id IN (?, ?) ORDER BY id", &[id.clone(), free])
                .await;
            both.same_executed("SELECT v FROM cells WHERE id = ? FOR UPDATE", &[id]).await;
        }
        both.same_executed(
            "SELECT COUNT(*), CAST(SUM(v) AS SIGNED) FROM cells WHERE v > ?",
            &[Value::from(4)],
        )
        .await;
        both.same(end).await;
        ground.same_rows().await;
    }
    only(ground.decisions().await);
    let duplicate = [Value::from(ground.row(1, 0)), Value::from("x")];
    both.same("BEGIN").await;
    both.same_executed("UPDATE cells SET v = v + 1 WHERE id = ?", &[Value::from(ground.row(0, 0))]).await;
    let refused = both.same_executed("INSERT INTO cells (id, note, v) VALUES (?, ?, 5)", &duplicate).await;
    assert_eq!(refused, "error 1062 23000");
    // COMMIT can be prepared as well.
    both.same_executed("COMMIT", &[]).await;
    ground.same_rows().await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn several_statements_in_one_text_go_over_servers() {
    let mut ground = Ground::new("several_texts").await;
    let mut ours = ground.session().await;
    let parts: Vec<String> = (0..3).map(|shard| add(ground.row(shard, 0), 1)).collect();
    let text = format!("BEGIN; {}; COMMIT; SELECT 1", parts.join("; "));
    ours.query_drop(&text).await.unwrap();
    ours.query_drop("SELECT 1").await.unwrap();
    only(ground.decisions().await);
    let mut theirs = ground.plain().await;
    theirs.query_drop(&text).await.unwrap();
    theirs.query_drop("SELECT 1").await.unwrap();
    ground.same_rows().await;
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn many_sessions_commit_over_servers_at_the_same_time() {
    let mut ground = Ground::new("several_many").await;
    let mut sessions = Vec::new();
    for nth in 0..8_usize {
        let mut conn = ground.session().await;
        let ids: Vec<u64> = (0..4).map(|shard| ground.row((nth + shard) % 4, nth)).collect();
        sessions.push(tokio::spawn(async move {
            for _ in 0..10 {
                conn.query_drop("BEGIN").await.unwrap();
                for id in &ids {
                    conn.query_drop(add(*id, 1)).await.unwrap();
                }
                conn.query_drop("COMMIT").await.unwrap();
            }
        }));
    }
    for session in sessions {
        session.await.unwrap();
    }
    let mut theirs = ground.plain().await;
    for nth in 0..8 {
        for shard in 0..4 {
            theirs.query_drop(add(ground.row(shard, nth), 10)).await.unwrap();
        }
    }
    ground.same_rows().await;
    let decisions = ground.decisions().await;
    assert!(decisions.len() == 80 && decisions.iter().all(|decision| decision.standing == "C"));
    let stamps: std::collections::BTreeSet<Option<u64>> =
        decisions.iter().map(|decision| decision.stamp).collect();
    assert_eq!(stamps.len(), 80, "no two have the same stamp");
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn who_leaves_before_commit_leaves_nothing() {
    let mut ground = Ground::new("several_leaves").await;
    let before = ground.same_rows().await;
    let begun = async |ground: &Ground| {
        let mut conn = ground.session().await;
        conn.query_drop("BEGIN").await.unwrap();
        for shard in 0..4 {
            conn.query_drop(add(ground.row(shard, 0), 1)).await.unwrap();
        }
        conn
    };
    // By its own will, by another's, and by a new start.
    begun(&ground).await.disconnect().await.unwrap();
    ground.nothing_is_open().await;
    let killed = begun(&ground).await;
    let mut other = ground.session().await;
    other.query_drop(format!("KILL {}", killed.id())).await.unwrap();
    ground.nothing_is_open().await;
    let mut killed = killed;
    assert!(killed.query_drop("COMMIT").await.is_err());
    let mut reset = begun(&ground).await;
    reset.reset().await.unwrap();
    ground.nothing_is_open().await;
    reset.query_drop("COMMIT").await.unwrap();
    assert_eq!(ground.same_rows().await, before);
    assert_eq!(ground.decisions().await, []);
    other.query_drop("SET innodb_lock_wait_timeout = 1").await.unwrap();
    for shard in 0..4 {
        other.query_drop(add(ground.row(shard, 0), 0)).await.unwrap();
    }
}

#[tokio::test]
async fn a_part_that_is_killed_on_its_server_takes_all_with_it() {
    let mut ground = Ground::new("several_part_killed").await;
    let before = ground.same_rows().await;
    for victim in 0..3_u32 {
        for next in ["COMMIT", "UPDATE"] {
            let mut conn = ground.session().await;
            conn.query_drop("BEGIN").await.unwrap();
            for shard in 0..3 {
                conn.query_drop(add(ground.row(shard, 0), 1)).await.unwrap();
            }
            let mut root = ground.pod.admin(ServerId(victim)).await.unwrap();
            let open = ground.open().await;
            let part = open.iter().find(|(server, ..)| *server == victim).unwrap();
            root.query_drop(format!("KILL {}", part.1)).await.unwrap();
            let touches = add(ground.row(victim as usize, 1), 1);
            let refused = answer(&mut conn, if next == "COMMIT" { next } else { &touches }).await;
            assert!(!refused.ends_with("affected"), "server {victim}, {next}: {refused}");
            ground.nothing_is_open().await;
            assert_eq!(ground.same_rows().await, before);
            let decisions = ground.decisions().await;
            assert!(decisions.iter().all(|decision| decision.standing == "A"), "{decisions:?}");
        }
    }
}
