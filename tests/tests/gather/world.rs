//! The same tables twice: in a keyspace of four shards on two servers behind the proxy, and in one plain MySQL. Runs statements on both and
//! says how they differ. Never decides which.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder, Value};
use podway::provision::Declaration;
use podway_model::{ServerId, ShardIndex};
use podway_proxy::ProxyConfig;
use podway_tests::{Pod, PodOptions, RunningProxy, TestKeyspace, eventually_async};
use std::time::Duration;
use tokio::sync::OnceCell;

use crate::tables::{COUNTRIES, Lies, TABLES, rows};
use podway_tests::answer::{Answer, execute, prepare, query};

/// The name of both the keyspace and the database.
pub const DATABASE: &str = "gathered";
/// The shards' schemas: two on each server.
const PHYSICAL: [&str; 4] = ["gathered", "gathered", "gathered_b", "gathered__2"];
/// How long an effect elsewhere may take to be seen.
pub const SOON: Duration = Duration::from_secs(30);

/// Both sides.
pub struct World {
    pub keyspace: TestKeyspace<'static>,
    pub mysql: &'static Pod,
    /// A proxy that may not gather a single row for MySQL to finish a statement: what it answers it has merged.
    merging: RunningProxy,
}

/// A client's session on each side.
pub struct Both {
    pub ours: Conn,
    pub theirs: Conn,
    /// What differed so far.
    pub differences: Vec<String>,
    /// Whether columns' types are compared besides their names and origins.
    pub compares_types: bool,
}

/// The world of all tests.
pub async fn world() -> &'static World {
    static WORLD: OnceCell<World> = OnceCell::const_new();
    WORLD.get_or_init(World::start).await
}

/// A pod of two servers that lives as long as the tests.
pub async fn two_servers() -> &'static Pod {
    let options = PodOptions { servers: 2, ..PodOptions::default() };
    Box::leak(Box::new(Pod::start(options).await.unwrap()))
}

/// A keyspace of four shards, two of them on each server.
pub async fn four_shards(pod: &'static Pod, name: &str) -> TestKeyspace<'static> {
    let (third, fourth) = (format!("{name}_b"), format!("{name}__2"));
    pod.keyspace_named(name, &[name, name, &third, &fourth]).await.unwrap()
}

impl World {
    async fn start() -> World {
        let alone = PodOptions { servers: 1, has_proxy: false, ..PodOptions::default() };
        let (pod, mysql) = tokio::join!(two_servers(), Pod::start(alone));
        let mysql: &'static Pod = Box::leak(Box::new(mysql.unwrap()));
        let keyspace = pod.keyspace_named(DATABASE, &PHYSICAL).await.unwrap();
        let mut admin = mysql.admin(ServerId(0)).await.unwrap();
        admin.query_drop(format!("CREATE DATABASE {DATABASE}")).await.unwrap();
        let merging = pod.another_proxy(pod.watch(), |config| config.client.max_gathered_rows = 0);
        let world = World { keyspace, mysql, merging: merging.await.unwrap() };
        world.create().await;
        world.fill().await;
        world
    }

    async fn create(&self) {
        let mut single = self.single().await;
        for table in TABLES {
            single.query_drop(table.definition).await.unwrap();
            let declaration = match table.lies {
                Lies::By(column) => Declaration::sharded_by(&[column]),
                Lies::Everywhere => Declaration::Reference,
                Lies::Home => Declaration::Home,
            };
            self.keyspace.create_table(table.definition, table.name, declaration).await.unwrap();
        }
    }

    async fn fill(&self) {
        let (mut single, mut proxied) = (self.single().await, self.proxied().await);
        single.query_drop(COUNTRIES).await.unwrap();
        for shard in 0..4 {
            self.keyspace.on_shard(ShardIndex(shard), COUNTRIES).await.unwrap();
        }
        for sql in rows() {
            single.query_drop(&sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
            proxied.query_drop(&sql).await.unwrap_or_else(|error| panic!("Podway: {error}: {sql}"));
        }
        for table in ["kinds", "customers", "orders", "parted"] {
            for shard in 0..4 {
                let mut conn = self.keyspace.direct(ShardIndex(shard)).await.unwrap();
                let rows: Option<u64> =
                    conn.query_first(format!("SELECT COUNT(*) FROM {table}")).await.unwrap();
                assert!(rows > Some(0), "shard {shard} has no rows of {table}");
            }
        }
    }

    /// Options of a client of Podway's.
    pub fn options(&self) -> OptsBuilder {
        self.keyspace.pod.client_options().db_name(Some(DATABASE)).stmt_cache_size(0)
    }

    /// A client's connection to MySQL itself.
    pub async fn single(&self) -> Conn {
        let options = self.mysql.direct_options(ServerId(0)).unwrap();
        Conn::new(options.db_name(Some(DATABASE)).stmt_cache_size(0)).await.unwrap()
    }

    /// A client's connection to Podway.
    pub async fn proxied(&self) -> Conn {
        Conn::new(self.options()).await.unwrap()
    }

    /// A session on each side.
    pub async fn both(&self) -> Both {
        let (ours, theirs) = tokio::join!(self.proxied(), self.single());
        Both { ours, theirs, differences: Vec::new(), compares_types: true }
    }

    /// The same, where nothing can be answered but by merging.
    pub async fn both_merging(&self) -> Both {
        let options = self.options().tcp_port(self.merging.address.port());
        Both { ours: Conn::new(options).await.unwrap(), ..self.both().await }
    }

    /// A connection to another proxy before the same servers.
    pub async fn proxied_by(&self, configure: fn(&mut ProxyConfig)) -> (Conn, RunningProxy) {
        let pod = self.keyspace.pod;
        let proxy = pod.another_proxy(pod.watch(), configure).await.unwrap();
        (Conn::new(self.options().tcp_port(proxy.address.port())).await.unwrap(), proxy)
    }
}

impl Both {
    /// Runs a statement on both sides, as text and prepared, and notes how the answers differ. Rows are compared in order where the
    /// statement has an ORDER BY of its own.
    pub async fn same(&mut self, sql: &str) {
        self.same_text(sql).await;
        self.same_prepared(sql, &[]).await;
    }

    /// The same as text alone.
    pub async fn same_text(&mut self, sql: &str) {
        let ours = query(&mut self.ours, sql.as_bytes()).await;
        let theirs = query(&mut self.theirs, sql.as_bytes()).await;
        self.note(sql, &ours, &theirs);
    }

    /// The same, but for the columns' definitions: of what Podway answers by itself.
    pub async fn same_rows(&mut self, sql: &str) {
        let ours = query(&mut self.ours, sql.as_bytes()).await;
        let theirs = query(&mut self.theirs, sql.as_bytes()).await;
        if let Some(how) = without_columns(ours).difference(&without_columns(theirs), is_ordered(sql)) {
            self.differences.push(format!("{sql}\n    {how}"));
        }
    }

    /// Runs a prepared statement on both sides.
    pub async fn same_prepared(&mut self, sql: &str, params: &[Value]) {
        self.same_executed(sql, &[params]).await;
    }

    /// Prepares a statement once on both sides and runs it with each of these values.
    pub async fn same_executed(&mut self, sql: &str, executions: &[&[Value]]) {
        let ours = prepare(&mut self.ours, sql).await;
        let theirs = prepare(&mut self.theirs, sql).await.unwrap();
        let ours = match ours {
            Ok(ours) => ours,
            Err(answer) => {
                return self.differences.push(format!("[prepare] {sql}\n    {}", answer.shown()));
            }
        };
        for params in executions {
            let our_answer = execute(&mut self.ours, &ours, params).await;
            let their_answer = execute(&mut self.theirs, &theirs, params).await;
            self.note(&format!("[prepared] {sql} {params:?}"), &our_answer, &their_answer);
        }
        let _ = self.ours.close(ours).await;
        let _ = self.theirs.close(theirs).await;
    }

    /// Notes how two answers differ; MySQL's must be rows.
    pub fn note(&mut self, sql: &str, ours: &Answer, theirs: &Answer) {
        if !matches!(theirs, Answer::Parts(_)) {
            return self.differences.push(format!("{sql}\n    MySQL refuses it: {}", theirs.shown()));
        }
        let how = match self.compares_types {
            true => ours.difference(theirs, is_ordered(sql)),
            false => without_types(ours).difference(&without_types(theirs), is_ordered(sql)),
        };
        if let Some(how) = how {
            self.differences.push(format!("{sql}\n    {how}"));
        }
    }

    /// Fails with all that differed.
    pub fn end(self) {
        let count = self.differences.len();
        assert!(count == 0, "{count} differences:\n{}", self.differences.join("\n"));
    }
}

fn without_columns(answer: Answer) -> Answer {
    let Answer::Parts(mut parts) = answer else { return answer };
    parts.iter_mut().for_each(|part| part.columns.clear());
    Answer::Parts(parts)
}

fn without_types(answer: &Answer) -> Answer {
    let Answer::Parts(mut parts) = answer.clone() else { return answer.clone() };
    let columns = parts.iter_mut().flat_map(|part| &mut part.columns);
    columns.for_each(|column| column.truncate(column.find(" MYSQL_TYPE").unwrap_or(column.len())));
    Answer::Parts(parts)
}

/// Whether an ORDER BY stands outside parentheses.
fn is_ordered(sql: &str) -> bool {
    sql.match_indices("ORDER BY").any(|(at, _)| {
        let before = &sql[..at];
        before.matches('(').count() == before.matches(')').count()
    })
}

/// MySQL's number and text of an error.
pub fn refusal(error: Error) -> (u16, String) {
    match error {
        Error::Server(error) => (error.code, error.message),
        other => panic!("no server's error: {other}"),
    }
}

/// How many statements with this mark the keyspace's servers run, beside the question itself.
pub async fn running(pod: &Pod, mark: &str) -> usize {
    let mut count = 0;
    for server in pod.server_ids() {
        let mut admin = pod.admin(server).await.unwrap();
        let sql = format!(
            "SELECT COUNT(*) FROM performance_schema.processlist WHERE info LIKE '%{mark}%' AND id <> CONNECTION_ID()"
        );
        count += admin.query_first::<usize, _>(sql).await.unwrap().unwrap();
        admin.disconnect().await.unwrap();
    }
    count
}

/// Waits until at least one statement with this mark runs.
pub async fn until_running(pod: &Pod, mark: &str) {
    eventually_async(SOON, "the statement runs", async || (running(pod, mark).await > 0).then_some(())).await;
}

/// Waits until no statement with this mark runs.
pub async fn until_over(pod: &Pod, mark: &str) {
    eventually_async(SOON, "no statement runs", async || (running(pod, mark).await == 0).then_some(())).await;
}
