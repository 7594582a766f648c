//! What these tests stand on: a keyspace of four shards on two servers, a topology of one node, proxies that follow it, and the same tables in one MySQL.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Value};
use podway::provision::{create_user, ensure_account, key_rules, read_account};
use podway::serve::{TopologyNumbers, TopologyOperations};
use podway_model::{AccountName, ClusterSecret, HostPattern, Map, NameRule, ServerId};
use podway_proxy::Proxy;
use podway_tests::answer::{Answer, execute, prepare, query};
use podway_tests::{
    Pod, PodOptions, TestKeyspace, eventually_async, harness, keep_lease, patient_config, prepare_servers,
    tell_keyspace, tell_servers,
};
use podway_topology::{NodeConfig, StatementProbe, Statements, TopologyNode};
use podway_topology_api::{
    AccountCommand, ClientConfig, Command, Following, Proposer, SequenceView, TopologyClient, TopologyStore,
    follow, map_channel,
};
use tempfile::TempDir;
use tokio::sync::{Mutex, OnceCell};
use tokio::task::JoinHandle;

const DEADLINE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "an app's password";

/// Sharded by the counter itself, by another column, and a table of copies.
const TABLES: [&str; 4] = [
    "CREATE TABLE tickets (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, code INT UNIQUE, subject VARCHAR(40)) \
     COMMENT 'podway: shard by (id) unique per shard'",
    "CREATE TABLE visits (id INT NOT NULL AUTO_INCREMENT, page VARCHAR(40), customer INT NOT NULL DEFAULT 7, hits INT NOT NULL DEFAULT 1, \
     PRIMARY KEY (id), UNIQUE KEY (customer, page)) COMMENT 'podway: shard by (customer)'",
    "CREATE TABLE units (id SMALLINT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) UNIQUE) COMMENT 'podway: reference'",
    "CREATE TABLE tiny (id TINYINT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT) COMMENT 'podway: shard by (id)'",
];

/// Servers and the topology that knows them. Servers are one cluster's alone.
struct Cluster {
    pod: &'static Pod,
    client: TopologyClient,
    secret: ClusterSecret,
    node: Mutex<Option<TopologyNode>>,
    directory: TempDir,
    listen: SocketAddr,
}

/// A keyspace of one test's own, and its proxies.
pub struct Ground {
    pub keyspace: TestKeyspace<'static>,
    cluster: Arc<Cluster>,
    user: String,
    proxies: Vec<Option<Follower>>,
}

/// A proxy that follows the topology.
struct Follower {
    proxy: Arc<Proxy>,
    _following: Following,
    beats: JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.beats.abort();
    }
}

/// Its proxies go on: others would wait for those that are suddenly gone.
impl Drop for Ground {
    fn drop(&mut self) {
        self.proxies.drain(..).for_each(std::mem::forget);
    }
}

/// The MySQL to compare with.
pub async fn plain() -> &'static Pod {
    static PLAIN: OnceCell<Pod> = OnceCell::const_new();
    let start = async || {
        Pod::start(PodOptions { servers: 1, has_proxy: false, ..PodOptions::default() }).await.unwrap()
    };
    PLAIN.get_or_init(start).await
}

impl Cluster {
    async fn shared() -> Arc<Cluster> {
        static SHARED: OnceCell<Arc<Cluster>> = OnceCell::const_new();
        SHARED.get_or_init(async || Cluster::start(2).await).await.clone()
    }

    async fn start(servers: usize) -> Arc<Cluster> {
        let pod =
            Pod::start(PodOptions { servers, has_proxy: false, ..PodOptions::default() }).await.unwrap();
        let pod: &'static Pod = Box::leak(Box::new(pod));
        harness().spawn(Cluster::over(pod)).await.unwrap()
    }

    async fn over(pod: &'static Pod) -> Arc<Cluster> {
        let directory = tempfile::tempdir().unwrap();
        let node = TopologyNode::start(config(&directory)).await.unwrap();
        node.wait_until_ready(DEADLINE).await.unwrap();
        let listen: SocketAddr = node.client_address().parse().unwrap();
        let client = TopologyClient::new(ClientConfig::plain(vec![listen.to_string()])).unwrap();
        let secret = client.credentials().await.unwrap().secret;
        tell_servers(pod, &Proposer::new(client.clone(), "a test")).await.unwrap();
        prepare_servers(pod, &secret).await.unwrap();
        Arc::new(Cluster { pod, client, secret, node: Mutex::new(Some(node)), directory, listen })
    }
}

fn config(directory: &TempDir) -> NodeConfig {
    let mut config = NodeConfig::embedded(Some(directory.path().to_owned()));
    config.tuning.statements = Statements { rules: key_rules(), probe: StatementProbe::default() };
    config
}

impl Ground {
    /// With so many proxies, and the tables.
    pub async fn new(name: &str, proxies: usize) -> Ground {
        Ground::on(Cluster::shared().await, name, proxies).await
    }

    /// The same with a topology and a server of its own, so that they can be lost.
    pub async fn apart(name: &str, proxies: usize) -> Ground {
        Ground::on(Cluster::start(1).await, name, proxies).await
    }

    async fn on(cluster: Arc<Cluster>, name: &str, proxies: usize) -> Ground {
        let (second, third, fourth) = (format!("{name}_a"), format!("{name}_b"), format!("{name}__2"));
        let pod = cluster.pod;
        let keyspace = pod.keyspace_named(name, &[name, &second, &third, &fourth]).await.unwrap();
        let user = format!("{name}_app");
        let mut ground = Ground { keyspace, cluster, user, proxies: Vec::new() };
        let proposer = Proposer::new(ground.cluster.client.clone(), "a test");
        ground.add_user(&ground.user, "ALL PRIVILEGES ON *.*").await;
        tell_keyspace(&ground.keyspace, &proposer).await.unwrap();
        for _ in 0..proxies {
            ground.add_proxy().await;
        }
        let mut conn = ground.connect(0).await;
        for table in TABLES {
            conn.query_drop(table).await.unwrap();
        }
        ground
    }

    /// A user with this privilege, on every server and in the topology.
    pub async fn add_user(&self, name: &str, grant: &str) {
        let proposer = Proposer::new(self.cluster.client.clone(), "a test");
        let account = AccountName { user: name.into(), host: HostPattern::new("%") };
        let map = self.keyspace.pod.map();
        let mut first = self.keyspace.pod.admin(ServerId(0)).await.unwrap();
        create_user(&mut first, &account, PASSWORD).await.unwrap();
        let known = read_account(&mut first, &account).await.unwrap();
        for server in map.servers() {
            let password = self.cluster.secret.backend_password(&account, &server.uuid);
            let mut conn = self.keyspace.pod.admin(server.id).await.unwrap();
            ensure_account(&mut conn, &known, &[grant.to_owned()], &password).await.unwrap();
        }
        proposer.propose(Command::Account(AccountCommand::Adopt(known))).await.unwrap();
    }

    /// Starts another proxy, which has the map when this returns, and its lease soon.
    pub async fn add_proxy(&mut self) -> usize {
        let (publisher, watch) = map_channel(Map::empty(NameRule::default()));
        let client = self.cluster.client.clone();
        let following = harness().spawn(async move { follow(client, publisher) }).await.unwrap();
        let before = self.cluster.client.read(true).await.unwrap();
        eventually_async(DEADLINE, "the map arrives", async || {
            (watch.current().revision >= before.revision).then_some(())
        })
        .await;
        let config = patient_config(self.cluster.secret.clone());
        let proxy = harness().spawn(async move { Proxy::start(config, watch).await }).await.unwrap().unwrap();
        proxy.set_operations(Arc::new(TopologyOperations(self.cluster.client.clone())));
        proxy.set_numbers(Arc::new(TopologyNumbers(self.cluster.client.clone())));
        let proxy = Arc::new(proxy);
        let beats = harness().spawn(keep_lease(self.cluster.client.clone(), proxy.clone()));
        self.proxies.push(Some(Follower { proxy, _following: following, beats }));
        self.proxies.len() - 1
    }

    /// Ends a proxy as a crash would: it does not say that it is gone.
    pub fn crash_proxy(&mut self, proxy: usize) {
        self.proxies[proxy] = None;
    }

    /// Stops the topology's only node.
    pub async fn stop_node(&self) {
        self.cluster.node.lock().await.take().unwrap().stop().await;
    }

    /// Starts it again from its disk.
    pub async fn start_node(&self) {
        let mut config = config(&self.cluster.directory);
        config.clients.listen = self.cluster.listen;
        let node = harness().spawn(async move { TopologyNode::start(config).await.unwrap() }).await.unwrap();
        node.wait_until_ready(DEADLINE).await.unwrap();
        *self.cluster.node.lock().await = Some(node);
    }

    /// A connection through one of the proxies.
    pub async fn connect(&self, proxy: usize) -> Conn {
        self.try_connect_as(proxy, &self.user).await.unwrap()
    }

    pub async fn try_connect_as(&self, proxy: usize, user: &str) -> mysql_async::Result<Conn> {
        let address = self.proxies[proxy].as_ref().unwrap().proxy.local_addr();
        let options = OptsBuilder::default()
            .ip_or_hostname(address.ip().to_string())
            .tcp_port(address.port())
            .user(Some(user))
            .pass(Some(PASSWORD))
            .db_name(Some(&self.keyspace.name))
            .prefer_socket(false);
        Conn::new(options).await
    }

    /// Where a table's numbers stand in the topology.
    pub async fn sequence(&self, table: &str) -> SequenceView {
        let view = self.cluster.client.read(true).await.unwrap();
        let keyspace = view.keyspaces.iter().find(|known| known.name.as_str() == self.keyspace.name).unwrap();
        let known = keyspace.tables.iter().find(|known| known.table.name.as_str() == table).unwrap();
        known.sequence.clone().unwrap()
    }

    /// All numbers of a table; panics if one is there twice.
    pub async fn numbers(&self, table: &str) -> BTreeSet<i64> {
        let mut conn = self.connect(self.proxies.iter().position(Option::is_some).unwrap()).await;
        let all: Vec<i64> = conn.query(format!("SELECT id FROM {table}")).await.unwrap();
        let distinct: BTreeSet<i64> = all.iter().copied().collect();
        assert_eq!(all.len(), distinct.len(), "a number is there twice: {all:?}");
        distinct
    }
}

/// A session through a proxy and one with a MySQL that has the same tables.
pub struct Pair {
    pub ours: Conn,
    pub theirs: Conn,
}

impl Pair {
    pub async fn new(ground: &Ground) -> Pair {
        let ours = ground.connect(0).await;
        let mysql = plain().await;
        let name = ground.keyspace.name.as_str();
        mysql.admin(ServerId(0)).await.unwrap().query_drop(format!("CREATE DATABASE {name}")).await.unwrap();
        let options = mysql.direct_options(ServerId(0)).unwrap();
        let mut theirs = Conn::new(options.db_name(Some(name))).await.unwrap();
        for table in TABLES {
            theirs.query_drop(table).await.unwrap();
        }
        Pair { ours, theirs }
    }

    /// Both answer the same: rows, affected rows, insert ids, the number of an error.
    pub async fn same(&mut self, sql: &str) {
        self.same_answer(sql).await;
        self.same_id(sql).await;
    }

    /// The same, whatever LAST_INSERT_ID() gives afterwards.
    pub async fn same_answer(&mut self, sql: &str) {
        let (ours, theirs) =
            (query(&mut self.ours, sql.as_bytes()).await, query(&mut self.theirs, sql.as_bytes()).await);
        compare(sql, &ours, &theirs);
    }

    /// The same, prepared.
    pub async fn same_prepared(&mut self, sql: &str, params: &[Value]) {
        let ours = match prepare(&mut self.ours, sql).await {
            Ok(statement) => execute(&mut self.ours, &statement, params).await,
            Err(refused) => refused,
        };
        let theirs = match prepare(&mut self.theirs, sql).await {
            Ok(statement) => execute(&mut self.theirs, &statement, params).await,
            Err(refused) => refused,
        };
        compare(sql, &ours, &theirs);
        self.same_id(sql).await;
    }

    async fn same_id(&mut self, sql: &str) {
        let id = b"SELECT LAST_INSERT_ID()";
        let (ours, theirs) = (query(&mut self.ours, id).await, query(&mut self.theirs, id).await);
        compare(&format!("LAST_INSERT_ID() after {sql}"), &ours, &theirs);
    }

    pub async fn same_rows(&mut self, table: &str) {
        self.same(&format!("SELECT * FROM {table} ORDER BY id")).await;
    }
}

fn compare(sql: &str, ours: &Answer, theirs: &Answer) {
    if let Some(difference) = ours.difference(theirs, true) {
        panic!("{sql}\n  {difference}");
    }
}
