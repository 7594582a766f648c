//! What these tests stand on: four servers behind a proxy, on which one test works at a time, and beside them one MySQL that is told the same.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder, Row, Value};
use podway::provision::Declaration;
use podway_model::{ServerId, ShardIndex};
use podway_tests::{Pod, TestKeyspace, eventually_async, plain_server};
use tokio::sync::{Mutex, MutexGuard};

/// How long an effect elsewhere may take to be seen.
pub const SOON: Duration = Duration::from_secs(20);
/// Rows of `cells`: 1 to this.
pub const CELLS: u64 = 60;
/// Ids that no row has yet: up to this.
const IDS: u64 = 140;
/// The servers: one shard on each.
pub const SERVERS: u16 = 4;
/// Who has the servers.
static ALONE: Mutex<()> = Mutex::const_new(());

const CREATE: [(&str, &str); 3] = [
    ("cells", "CREATE TABLE cells (id BIGINT PRIMARY KEY, v BIGINT NOT NULL, note VARCHAR(40))"),
    ("kinds", "CREATE TABLE kinds (code INT PRIMARY KEY, name VARCHAR(20))"),
    ("settings", "CREATE TABLE settings (id INT PRIMARY KEY, v BIGINT NOT NULL)"),
];
const KINDS: &str = "INSERT INTO kinds VALUES (0, 'even'), (1, 'odd')";
const SETTINGS: &str = "INSERT INTO settings VALUES (1, 10), (2, 20)";

/// A keyspace of four shards, each on its own server, and a database of the same name on one MySQL.
pub struct Ground {
    pub pod: &'static Pod,
    pub keyspace: TestKeyspace<'static>,
    /// The ids below [`IDS`] of each shard: those with rows, and those without.
    ids: Vec<(Vec<u64>, Vec<u64>)>,
    /// Decisions that have been looked at.
    known: BTreeMap<(u32, String), Decision>,
    _alone: MutexGuard<'static, ()>,
}

/// A row of `_podway.decision`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub server: u32,
    pub gtrid: String,
    pub standing: String,
    pub stamp: Option<u64>,
    pub parts: String,
}

/// A session on each side.
pub struct Both {
    pub ours: Conn,
    pub theirs: Conn,
}

impl Ground {
    /// A keyspace of this name, which is no other test's.
    pub async fn new(name: &str) -> Ground {
        let alone = ALONE.lock().await;
        let pod = Pod::shared().await;
        let keyspace = pod.keyspace(name, SERVERS.into()).await.unwrap();
        for (table, sql) in CREATE {
            let declaration = match table {
                "cells" => Declaration::sharded_by(&["id"]),
                "kinds" => Declaration::Reference,
                _ => Declaration::Home,
            };
            keyspace.create_table(sql, table, declaration).await.unwrap();
        }
        for shard in 0..SERVERS {
            keyspace.on_shard(ShardIndex(shard), KINDS).await.unwrap();
        }
        let ids = vec![Default::default(); SERVERS.into()];
        let mut ground = Ground { pod, keyspace, ids, known: BTreeMap::new(), _alone: alone };
        let mut theirs = ground.plain_without_database().await;
        for sql in [format!("CREATE DATABASE {name}"), format!("USE {name}")] {
            theirs.query_drop(sql).await.unwrap();
        }
        for sql in CREATE.iter().map(|(_, sql)| *sql).chain([KINDS]) {
            theirs.query_drop(sql).await.unwrap();
        }
        ground.fill(&mut theirs).await;
        ground.decisions().await;
        ground
    }

    async fn fill(&mut self, theirs: &mut Conn) {
        let mut ours = self.session().await;
        for conn in [&mut ours, theirs] {
            conn.query_drop(SETTINGS).await.unwrap();
            conn.query_drop("BEGIN").await.unwrap();
            for id in 1..=IDS {
                let sql = format!("INSERT INTO cells VALUES ({id}, {}, 'row {id}')", id * 10);
                conn.query_drop(sql).await.unwrap();
            }
            conn.query_drop("COMMIT").await.unwrap();
        }
        for shard in 0..SERVERS {
            let mut direct = self.keyspace.direct(ShardIndex(shard)).await.unwrap();
            let all: Vec<u64> = direct.query("SELECT id FROM cells ORDER BY id").await.unwrap();
            self.ids[usize::from(shard)] = all.into_iter().partition(|id| *id <= CELLS);
        }
        theirs.query_drop(format!("DELETE FROM cells WHERE id > {CELLS}")).await.unwrap();
        for shard in 0..SERVERS {
            let sql = format!("DELETE FROM cells WHERE id > {CELLS}");
            self.keyspace.on_shard(ShardIndex(shard), &sql).await.unwrap();
        }
    }

    /// The id of a row on this shard.
    pub fn row(&self, shard: usize, nth: usize) -> u64 {
        self.ids[shard].0[nth]
    }

    /// An id of this shard that no row has.
    pub fn free(&self, shard: usize, nth: usize) -> u64 {
        self.ids[shard].1[nth]
    }

    /// A client's session.
    pub async fn session(&self) -> Conn {
        self.keyspace.connect().await.unwrap()
    }

    /// Options of a client of the one MySQL.
    fn plain_options() -> OptsBuilder {
        plain_server().stmt_cache_size(0)
    }

    async fn plain_without_database(&self) -> Conn {
        let options = tokio::task::spawn_blocking(Ground::plain_options).await.unwrap();
        Conn::new(options).await.unwrap()
    }

    /// A session of the one MySQL.
    pub async fn plain(&self) -> Conn {
        Conn::new(Ground::plain_options().db_name(Some(&self.keyspace.name))).await.unwrap()
    }

    /// A session on each side.
    pub async fn both(&self) -> Both {
        let (ours, theirs) = tokio::join!(self.session(), self.plain());
        Both { ours, theirs }
    }

    /// The decisions that have been made since this was asked last.
    pub async fn decisions(&mut self) -> Vec<Decision> {
        let mut new = Vec::new();
        for server in 0..u32::from(SERVERS) {
            let mut root = self.pod.admin(ServerId(server)).await.unwrap();
            let sql = "SELECT g, st, cts, parts FROM _podway.decision";
            let rows: Vec<(String, String, Option<u64>, String)> = root.query(sql).await.unwrap();
            for (gtrid, standing, stamp, parts) in rows {
                let decision = Decision { server, gtrid: gtrid.clone(), standing, stamp, parts };
                if self.known.insert((server, gtrid), decision.clone()).is_none() {
                    new.push(decision);
                }
            }
            root.disconnect().await.unwrap();
        }
        new
    }

    /// The stamps of a transaction's marks, by server.
    pub async fn marks(&self, gtrid: &str) -> BTreeMap<u32, u64> {
        let mut marks = BTreeMap::new();
        for server in 0..u32::from(SERVERS) {
            let mut root = self.pod.admin(ServerId(server)).await.unwrap();
            let sql = "SELECT ts FROM _podway.mark WHERE g = ?";
            marks.extend(root.exec_first(sql, (gtrid,)).await.unwrap().map(|stamp: u64| (server, stamp)));
        }
        marks
    }

    /// Fails if a branch is prepared: a transaction that was answered has none.
    pub async fn nothing_is_prepared(&self) {
        let prepared = prepared(self.pod).await;
        assert!(prepared.is_empty(), "{prepared:?}");
    }

    /// Waits until no transaction is open on any server but the one that asks.
    pub async fn nothing_is_open(&self) {
        let started = Instant::now();
        loop {
            let open = self.open().await;
            if open.is_empty() {
                return self.nothing_is_prepared().await;
            }
            assert!(started.elapsed() < SOON, "open still: {open:?}");
        }
    }

    /// The transactions that are open: the server, its thread, and what it runs.
    pub async fn open(&self) -> Vec<(u32, u64, Option<String>)> {
        // InnoDB answers with what it has collected for who asked in the last tenth of a second.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let mut open = Vec::new();
        for server in 0..u32::from(SERVERS) {
            let mut root = self.pod.admin(ServerId(server)).await.unwrap();
            let sql = "SELECT trx_mysql_thread_id, trx_query FROM information_schema.INNODB_TRX \
                       WHERE trx_mysql_thread_id <> CONNECTION_ID()";
            let rows: Vec<(u64, Option<String>)> = root.query(sql).await.unwrap();
            open.extend(rows.into_iter().map(|(thread, query)| (server, thread, query)));
            root.disconnect().await.unwrap();
        }
        open
    }

    /// The rows as a client sees them, which must be what the servers and the one MySQL have.
    pub async fn same_rows(&self) -> Vec<(u64, i64)> {
        let sql = "SELECT id, v FROM cells ORDER BY id";
        let seen: Vec<(u64, i64)> = self.session().await.query(sql).await.unwrap();
        let mut there = Vec::new();
        for shard in 0..SERVERS {
            let mut direct = self.keyspace.direct(ShardIndex(shard)).await.unwrap();
            there.extend(direct.query::<(u64, i64), _>(sql).await.unwrap());
        }
        there.sort_unstable();
        assert_eq!(seen, there, "through the proxy, and on the servers");
        let expected: Vec<(u64, i64)> = self.plain().await.query(sql).await.unwrap();
        assert_eq!(seen, expected, "of Podway, and of MySQL");
        seen
    }

    /// Waits until a statement waits for a lock on this server.
    pub async fn until_one_waits(&self, server: u32) {
        let mut root = self.pod.admin(ServerId(server)).await.unwrap();
        until_one_waits(&mut root).await;
    }
}

impl Both {
    /// Runs a statement on both sides, which must answer the same; what they answered.
    #[track_caller]
    pub fn same<'b>(&'b mut self, sql: &'b str) -> impl Future<Output = String> + 'b {
        let caller = std::panic::Location::caller();
        async move {
            let ours = answer(&mut self.ours, sql).await;
            let theirs = answer(&mut self.theirs, sql).await;
            assert_eq!(ours, theirs, "{sql} (at {caller}): Podway's answer, and MySQL's");
            ours
        }
    }

    /// The same for a prepared statement.
    pub async fn same_executed(&mut self, sql: &str, values: &[Value]) -> String {
        let ours = executed(&mut self.ours, sql, values).await;
        let theirs = executed(&mut self.theirs, sql, values).await;
        assert_eq!(ours, theirs, "{sql} {values:?}: Podway's answer, and MySQL's");
        ours
    }

    /// The same for one after the other.
    #[track_caller]
    pub fn all<'b>(&'b mut self, statements: &'b [&'b str]) -> impl Future<Output = ()> + 'b {
        let caller = std::panic::Location::caller();
        async move {
            for sql in statements {
                let ours = answer(&mut self.ours, sql).await;
                let theirs = answer(&mut self.theirs, sql).await;
                assert_eq!(ours, theirs, "{sql} (at {caller}): Podway's answer, and MySQL's");
            }
        }
    }
}

/// `UPDATE` of one cell.
pub fn add(id: u64, amount: i64) -> String {
    format!("UPDATE cells SET v = v + {amount} WHERE id = {id}")
}

/// What a statement is answered with, in a form that can be compared.
pub async fn answer(conn: &mut Conn, sql: &str) -> String {
    let rows = conn.query(sql).await;
    shown(conn, rows)
}

async fn executed(conn: &mut Conn, sql: &str, values: &[Value]) -> String {
    let rows = conn.exec(sql, values.to_vec()).await;
    shown(conn, rows)
}

fn shown(conn: &Conn, rows: Result<Vec<Row>, Error>) -> String {
    match rows {
        Ok(rows) if rows.is_empty() => format!("{} rows affected", conn.affected_rows()),
        Ok(rows) => {
            let text =
                |row: Row| row.unwrap().iter().map(|value| value.as_sql(true)).collect::<Vec<_>>().join(" ");
            rows.into_iter().map(text).collect::<Vec<_>>().join("; ")
        }
        Err(Error::Server(error)) => format!("error {} {}", error.code, error.state),
        Err(error) => format!("lost: {error}"),
    }
}

/// MySQL's number of the error; 0 where there is none.
pub fn code<T>(result: Result<T, Error>) -> u16 {
    match result {
        Ok(_) => 0,
        Err(Error::Server(error)) => error.code,
        Err(error) => panic!("no server's error: {error}"),
    }
}

/// The branches that the pod's servers list as prepared.
pub async fn prepared(pod: &Pod) -> Vec<(u32, String)> {
    let mut all = Vec::new();
    for server in pod.server_ids() {
        let mut root = pod.admin(server).await.unwrap();
        let rows: Vec<(u64, u64, u64, String)> = root.query("XA RECOVER").await.unwrap();
        all.extend(rows.into_iter().map(|(_, _, _, data)| (server.0, data)));
        root.disconnect().await.unwrap();
    }
    all
}

/// Waits until a statement waits for a lock on this server.
pub async fn until_one_waits(root: &mut Conn) {
    let root = Mutex::new(root);
    eventually_async(SOON, "a statement waits for a lock", async || {
        let sql = "SELECT COUNT(*) FROM performance_schema.data_lock_waits";
        let waiting: Option<u64> = root.lock().await.query_first(sql).await.unwrap();
        (waiting > Some(0)).then_some(())
    })
    .await;
}
