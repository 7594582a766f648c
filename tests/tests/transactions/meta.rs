//! What servers are given for transactions over several of them: the procedures do their work whatever a session is set to, nobody but a proxy can have them do it, and preparing a server twice
//! changes nothing.

mod attacks;
mod prepared;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder};
use podway::provision::grant_calls;
use podway_model::{AccountName, HostPattern, ServerId, transaction_token};
use podway_tests::{Pod, PodOptions};
use tokio::sync::OnceCell;

const SERVER: ServerId = ServerId(0);
/// An ordinary user's password.
const PASSWORD: &str = "an ordinary password";
/// Long after every test.
const LATER: i64 = 4_000_000_000_000_000;
/// ER_PROCACCESS_DENIED_ERROR.
const DENIED: u16 = 1370;

/// A server without a proxy; tests use names of their own there.
async fn pod() -> &'static Pod {
    static POD: OnceCell<Pod> = OnceCell::const_new();
    POD.get_or_init(another_pod).await
}

async fn another_pod() -> Pod {
    Pod::start(PodOptions { servers: 1, has_proxy: false, ..PodOptions::default() }).await.unwrap()
}

fn uuid(pod: &Pod) -> Box<str> {
    pod.map().server(SERVER).unwrap().uuid.clone()
}

fn options(pod: &Pod, user: &str, password: &str) -> OptsBuilder {
    let (host, port) = pod.server_address(SERVER).unwrap();
    OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(port)
        .user(Some(user.to_owned()))
        .pass(Some(password.to_owned()))
        .prefer_socket(false)
}

/// MySQL's number; 0 where there is no error.
fn errno<T>(result: Result<T, Error>) -> u16 {
    match result {
        Ok(_) => 0,
        Err(Error::Server(error)) => error.code,
        Err(error) => panic!("{error}"),
    }
}

/// What one test stands on: a schema of its own with a table `t`, and a user who may do everything in it and nothing elsewhere.
struct Ground {
    pod: &'static Pod,
    user: String,
    key: String,
    root: Conn,
}

impl Ground {
    async fn new(name: &str) -> Ground {
        let pod = pod().await;
        let mut root = pod.admin(SERVER).await.unwrap();
        for sql in [
            format!("CREATE DATABASE {name}"),
            format!("CREATE TABLE {name}.t (a INT PRIMARY KEY)"),
            format!("CREATE USER {name} IDENTIFIED BY '{PASSWORD}'"),
            format!("GRANT ALL PRIVILEGES ON {name}.* TO {name}"),
        ] {
            root.query_drop(sql).await.unwrap();
        }
        let account = AccountName { user: name.into(), host: HostPattern::new("%") };
        grant_calls(&mut root, &account).await.unwrap();
        Ground { pod, user: name.to_owned(), key: pod.secret().transaction_key(&uuid(pod)), root }
    }

    /// A session of the ordinary user's.
    async fn session(&self) -> Conn {
        let options = options(self.pod, &self.user, PASSWORD).db_name(Some(self.user.clone()));
        Conn::new(options).await.unwrap()
    }

    /// CALL decide as a proxy says it.
    fn decide(&self, conn: &Conn, g: &str, deadline: i64) -> String {
        let (id, until) = (conn.id().to_string(), deadline.to_string());
        let token = transaction_token(&self.key, &["decide", &id, g, &until, "7", "1,2"]);
        format!("CALL _podway.decide('{token}','{g}',{deadline},7,'1,2')")
    }

    /// CALL mark as a proxy says it.
    fn mark(&self, conn: &Conn, g: &str, ts: u64) -> String {
        let (id, stamp) = (conn.id().to_string(), ts.to_string());
        let token = transaction_token(&self.key, &["mark", &id, g, &stamp, "1,2"]);
        format!("CALL _podway.mark('{token}','{g}',{ts},'1,2')")
    }

    /// The decision on `g`: what it is, and how many seconds ago it was made by the server's clock.
    async fn decision(&mut self, g: &str) -> Option<(String, u64, String, f64)> {
        let sql = "SELECT st, cts, parts, CAST(TIMESTAMPDIFF(MICROSECOND, t, NOW(6)) / 1000000 AS DOUBLE) \
                   FROM _podway.decision WHERE g = ?";
        self.root.exec_first(sql, (g,)).await.unwrap()
    }

    /// The stamp of the mark of `g`.
    async fn stamp(&mut self, g: &str) -> Option<u64> {
        self.root.exec_first("SELECT ts FROM _podway.mark WHERE g = ?", (g,)).await.unwrap()
    }

    async fn has_row(&mut self, a: usize) -> bool {
        let sql = format!("SELECT COUNT(*) FROM {}.t WHERE a = {a}", self.user);
        self.root.query_first::<u64, _>(sql).await.unwrap() == Some(1)
    }

    /// Opens a transaction and writes a row.
    async fn begun(&self, conn: &mut Conn, a: usize) {
        conn.query_drop("BEGIN").await.unwrap();
        conn.query_drop(format!("INSERT INTO t VALUES ({a})")).await.unwrap();
    }
}

/// Settings that users may have, and that change what statements mean.
const HOSTILE: [&str; 24] = [
    "SET SESSION sql_mode = 'ANSI,PAD_CHAR_TO_FULL_LENGTH,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,NO_UNSIGNED_SUBTRACTION'",
    "SET SESSION sql_mode = ''",
    "SET SESSION autocommit = 0",
    "SET SESSION sql_select_limit = 0",
    "SET SESSION max_execution_time = 1",
    "SET SESSION time_zone = '+14:00'",
    "SET SESSION time_zone = '-12:00'",
    "SET SESSION timestamp = 1000",
    "SET SESSION timestamp = 2000000000",
    "SET SESSION completion_type = 1",
    "SET SESSION completion_type = 2",
    "SET SESSION sql_safe_updates = 1",
    "SET SESSION transaction_isolation = 'SERIALIZABLE'",
    "SET SESSION transaction_isolation = 'READ-UNCOMMITTED'",
    "SET SESSION max_join_size = 1, sql_big_selects = 0",
    "SET SESSION unique_checks = 0, foreign_key_checks = 0",
    "SET SESSION sql_auto_is_null = 1",
    "SET SESSION max_sort_length = 4, group_concat_max_len = 4",
    "SET SESSION big_tables = 1",
    "SET SESSION optimizer_trace = 'enabled=on'",
    "SET SESSION lc_messages = 'de_DE', lc_time_names = 'de_DE'",
    "SET NAMES gbk",
    "SET SESSION collation_connection = utf16_general_ci",
    "SET SESSION character_set_results = NULL",
];

#[tokio::test]
async fn a_decision_is_the_same_whatever_the_session_is_set_to() {
    let mut ground = Ground::new("hostile_decide").await;
    for (n, setting) in HOSTILE.into_iter().enumerate() {
        let mut conn = ground.session().await;
        conn.query_drop(setting).await.unwrap();
        ground.begun(&mut conn, n).await;
        let g = format!("decide-{n}");
        conn.query_drop(ground.decide(&conn, &g, soon(60)))
            .await
            .unwrap_or_else(|e| panic!("{setting}: {e}"));
        let (st, cts, parts, age) = ground.decision(&g).await.unwrap_or_else(|| panic!("{setting}"));
        assert_eq!((&*st, cts, &*parts), ("C", 7, "1,2"), "{setting}");
        assert!((-5.0..60.0).contains(&age), "{setting}: made {age} s ago");
        assert_eq!(ground.stamp(&g).await, Some(7), "{setting}");
        assert!(ground.has_row(n).await, "{setting}: what it decides on is committed with it");
        // The session goes on, in no transaction: COMMIT neither chained nor released it.
        conn.query_drop(format!("INSERT INTO t VALUES ({})", n + 1_000)).await.unwrap();

        let mut conn = ground.session().await;
        conn.query_drop(setting).await.unwrap();
        ground.begun(&mut conn, n + 100).await;
        let g = format!("late-{n}");
        let late = conn.query_drop(ground.decide(&conn, &g, soon(-1))).await;
        assert_eq!(errno(late), 1048, "{setting}: a decision after its deadline");
        drop(conn);
        assert_eq!(ground.decision(&g).await, None, "{setting}");
        assert!(!ground.has_row(n + 100).await, "{setting}");
    }
}

#[tokio::test]
async fn a_branch_is_marked_and_prepared_whatever_the_session_is_set_to() {
    let mut ground = Ground::new("hostile_mark").await;
    for (n, setting) in HOSTILE.into_iter().enumerate() {
        let mut conn = ground.session().await;
        conn.query_drop(setting).await.unwrap();
        let g = format!("mark-{n}");
        let xid = format!("'{g}','1.2',1347");
        let stamp = 1_000 + n as u64;
        for sql in [
            format!("XA START {xid}"),
            format!("INSERT INTO t VALUES ({n})"),
            ground.mark(&conn, &g, stamp),
            format!("XA END {xid}"),
            format!("XA PREPARE {xid}"),
        ] {
            conn.query_drop(&sql).await.unwrap_or_else(|error| panic!("{setting}: {sql}: {error}"));
        }
        assert_eq!(ground.stamp(&g).await, None, "{setting}: it is not to be seen before the branch is");
        let highest: Vec<u64> = conn.query("CALL _podway.highest()").await.unwrap();
        assert!(highest.len() == 1 && highest[0] < stamp, "{setting}: {highest:?}");
        conn.query_drop(format!("XA COMMIT {xid}")).await.unwrap_or_else(|e| panic!("{setting}: {e}"));
        assert_eq!(ground.stamp(&g).await, Some(stamp), "{setting}");
        assert!(ground.has_row(n).await, "{setting}");
        let highest: Vec<u64> = conn.query("CALL _podway.highest()").await.unwrap();
        assert_eq!(highest, [stamp], "{setting}");
    }
}

#[tokio::test]
async fn where_nothing_can_be_written_or_no_transaction_is_open_there_is_an_error() {
    let mut ground = Ground::new("unwritable").await;
    for begin in ["START TRANSACTION READ ONLY", "SET SESSION transaction_read_only = 1"] {
        let mut conn = ground.session().await;
        conn.query_drop(begin).await.unwrap();
        if begin.starts_with("SET") {
            conn.query_drop("BEGIN").await.unwrap();
        }
        let decided = conn.query_drop(ground.decide(&conn, "read-only", LATER)).await;
        assert_eq!(errno(decided), 1792, "{begin}");
        let marked = conn.query_drop(ground.mark(&conn, "read-only", 1)).await;
        assert_eq!(errno(marked), 1792, "{begin}");
    }
    // The server has rolled the transaction back by itself, say: its decision must not stand alone.
    let mut conn = ground.session().await;
    for sql in [ground.decide(&conn, "alone", LATER), ground.mark(&conn, "alone", 1)] {
        assert_eq!(errno(conn.query_drop(&sql).await), 1644, "{sql}");
    }
    // Inside a branch nothing can be committed.
    conn.query_drop("XA START 'unwritable','1.2',1347").await.unwrap();
    assert_eq!(errno(conn.query_drop(ground.decide(&conn, "branch", LATER)).await), 1399);
    drop(conn);
    // Another's decision is there first.
    ground
        .root
        .query_drop("INSERT INTO _podway.decision (g, st, parts) VALUES ('taken', 'A', '')")
        .await
        .unwrap();
    let mut conn = ground.session().await;
    ground.begun(&mut conn, 1).await;
    assert_eq!(errno(conn.query_drop(ground.decide(&conn, "taken", LATER)).await), 1062);
    conn.query_drop("ROLLBACK").await.unwrap();
    assert!(!ground.has_row(1).await);
    for g in ["read-only", "alone", "branch"] {
        assert!(ground.decision(g).await.is_none() && ground.stamp(g).await.is_none(), "{g}");
    }
    let mut conn = ground.session().await;
    ground.begun(&mut conn, 2).await;
    let highest = conn.query_drop("CALL _podway.highest()").await;
    assert_eq!(errno(highest), 1568, "in a transaction it would see an old snapshot, and commit");
    conn.query_drop("ROLLBACK").await.unwrap();
    assert!(!ground.has_row(2).await);
}

/// So many seconds from now, as a deadline.
fn soon(seconds: i64) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_micros()).unwrap() + seconds * 1_000_000
}
