//! What the model of servers, in which the coordinator is explored, takes for granted of MySQL, looked for on a real one: what becomes of a branch in each of its states, and of a decision's row. The model is in
//! `proxy/src/txn/coordinator/tests/world.rs`.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{ServerId, ShardIndex};
use podway_tests::eventually_async;

use crate::ground::{Ground, SOON, add, answer, code};

/// How far a branch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Xa {
    Active,
    Ended,
    Prepared,
    Committed,
    RolledBack,
}

/// What happens to it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Its session ends.
    Leave,
    /// Its session is killed.
    Kill,
    /// Another session, while its own is there.
    CommitElsewhere,
    RollBackElsewhere,
    /// Another session, when its own has ended.
    LeaveAndCommit,
    LeaveAndRollBack,
}

use Act::{CommitElsewhere, Kill, Leave, LeaveAndCommit, LeaveAndRollBack, RollBackElsewhere};
use Xa::{Active, Committed, Ended, Prepared, RolledBack};

/// The state, what happens, what it is answered, and whether the branch is listed and has taken effect after that.
const CASES: [(Xa, Act, u16, bool, bool); 18] = [
    (Active, Leave, 0, false, false),
    (Active, Kill, 0, false, false),
    (Active, CommitElsewhere, 1397, false, false),
    (Active, RollBackElsewhere, 1397, false, false),
    (Ended, Leave, 0, false, false),
    (Ended, Kill, 0, false, false),
    (Ended, CommitElsewhere, 1397, false, false),
    (Ended, RollBackElsewhere, 1397, false, false),
    (Prepared, Leave, 0, true, false),
    (Prepared, Kill, 0, true, false),
    (Prepared, CommitElsewhere, 0, false, true),
    (Prepared, RollBackElsewhere, 0, false, false),
    (Prepared, LeaveAndCommit, 0, false, true),
    (Prepared, LeaveAndRollBack, 0, false, false),
    (Committed, CommitElsewhere, 1397, false, true),
    (Committed, RollBackElsewhere, 1397, false, true),
    (RolledBack, CommitElsewhere, 1397, false, false),
    (RolledBack, RollBackElsewhere, 1397, false, false),
];

/// A session with a branch that adds one to a row, in this state.
async fn branch(ground: &Ground, xid: &str, state: Xa, row: u64) -> Conn {
    let mut conn = ground.keyspace.direct(ShardIndex(1)).await.unwrap();
    let mut steps = vec![format!("XA START {xid}"), add(row, 1)];
    if state != Active {
        steps.push(format!("XA END {xid}"));
    }
    if matches!(state, Prepared | Committed | RolledBack) {
        steps.push(format!("XA PREPARE {xid}"));
    }
    match state {
        Committed => steps.push(format!("XA COMMIT {xid}")),
        RolledBack => steps.push(format!("XA ROLLBACK {xid}")),
        _ => {}
    }
    for sql in steps {
        conn.query_drop(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    conn
}

/// Does it; the branch's own session, if it is there still, and what another was answered.
async fn act(root: &mut Conn, conn: Conn, xid: &str, act: Act) -> (Option<Conn>, u16) {
    let thread = conn.id();
    let own = match act {
        CommitElsewhere | RollBackElsewhere => Some(conn),
        Kill => {
            root.query_drop(format!("KILL {thread}")).await.unwrap();
            gone(root, thread).await;
            None
        }
        Leave | LeaveAndCommit | LeaveAndRollBack => {
            conn.disconnect().await.unwrap();
            gone(root, thread).await;
            None
        }
    };
    let verb = match act {
        Leave | Kill => return (own, 0),
        CommitElsewhere | LeaveAndCommit => "COMMIT",
        RollBackElsewhere | LeaveAndRollBack => "ROLLBACK",
    };
    (own, code(root.query_drop(format!("XA {verb} {xid}")).await))
}

/// Waits until the server knows a session no longer.
async fn gone(root: &mut Conn, thread: u32) {
    let root = tokio::sync::Mutex::new(root);
    let sql = format!("SELECT COUNT(*) FROM performance_schema.threads WHERE PROCESSLIST_ID = {thread}");
    eventually_async(SOON, "the session has ended", async || {
        let left: Option<u64> = root.lock().await.query_first(&sql).await.unwrap();
        (left == Some(0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_branch_goes_the_ways_that_the_model_knows() {
    let ground = Ground::new("conformance_branch").await;
    let mut root = ground.pod.admin(ServerId(1)).await.unwrap();
    let mut seen = ground.keyspace.direct(ShardIndex(1)).await.unwrap();
    seen.query_drop("SET innodb_lock_wait_timeout = 1").await.unwrap();
    let row = ground.row(1, 0);
    let look = format!("SELECT v FROM cells WHERE id = {row}");
    for (nth, (state, what, answered, is_listed, has_effect)) in CASES.into_iter().enumerate() {
        let case = format!("{state:?}, {what:?}");
        let xid = format!("'conformance-{nth}'");
        let before: Option<i64> = seen.query_first(&look).await.unwrap();
        let conn = branch(&ground, &xid, state, row).await;
        let (own, told) = act(&mut root, conn, &xid, what).await;
        assert_eq!(told, answered, "{case}");
        let listed: Vec<(u64, u64, u64, String)> = root.query("XA RECOVER").await.unwrap();
        assert_eq!(!listed.is_empty(), is_listed, "{case}: {listed:?}");
        let after: Option<i64> = seen.query_first(&look).await.unwrap();
        assert_eq!(after != before, has_effect, "{case}: {before:?}, {after:?}");
        if is_listed {
            // Its rows are locked, and its session's end was nothing to it.
            assert_eq!(code(seen.query_drop(add(row, 0)).await), 1205, "{case}");
            root.query_drop(format!("XA ROLLBACK {xid}")).await.unwrap();
        }
        if let Some(mut own) = own.filter(|_| matches!(state, Prepared | Committed | RolledBack)) {
            // Who prepared is free: its session may do anything, at once.
            own.query_drop("BEGIN").await.unwrap();
            own.query_drop("ROLLBACK").await.unwrap();
        }
    }
    ground.nothing_is_open().await;
}

#[tokio::test]
async fn a_decisions_row_is_the_one_arbiter() {
    let ground = Ground::new("conformance_row").await;
    let mut primary = ground.pod.admin(ServerId(0)).await.unwrap();
    let mut resolver = ground.pod.admin(ServerId(0)).await.unwrap();
    resolver.query_drop("SET innodb_lock_wait_timeout = 1").await.unwrap();
    let row = |standing: &str| {
        format!(
            "INSERT INTO _podway.decision (g, st, cts, parts) VALUES ('conformance', '{standing}', NULL, '')"
        )
    };
    for end in ["ROLLBACK", "COMMIT"] {
        primary.query_drop("BEGIN").await.unwrap();
        primary.query_drop(row("C")).await.unwrap();
        // While it may yet be either, nobody is told of either.
        assert_eq!(code(resolver.query_drop(row("A")).await), 1205, "{end}");
        let read = "SELECT st FROM _podway.decision WHERE g = 'conformance'";
        assert_eq!(answer(&mut resolver, read).await, "0 rows affected");
        primary.query_drop(end).await.unwrap();
        let is_committed = end == "COMMIT";
        assert_eq!(code(resolver.query_drop(row("A")).await), if is_committed { 1062 } else { 0 }, "{end}");
        assert_eq!(answer(&mut resolver, read).await, if is_committed { "'C'" } else { "'A'" });
        // Who comes late finds it, and what it did besides is still its to roll back.
        primary.query_drop("BEGIN").await.unwrap();
        assert_eq!(code(primary.query_drop(row("C")).await), 1062);
        primary.query_drop("ROLLBACK").await.unwrap();
        resolver.query_drop("DELETE FROM _podway.decision WHERE g = 'conformance'").await.unwrap();
    }
}
