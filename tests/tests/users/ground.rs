//! What these tests stand on: two servers, a keyspace over them, a topology of one node that knows it, and two proxies that follow the topology.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder};
use podway::provision::{Declaration, create_user, ensure_account, read_account};
use podway::serve::TopologyOperations;
use podway_model::{AccountName, HostPattern, Map, NameRule, ServerId};
use podway_tests::{
    Pod, PodOptions, RunningProxy, TestKeyspace, eventually_async, harness, keep_lease, prepare_servers,
    tell_keyspace, tell_servers,
};
use podway_topology::{NodeConfig, StatementProbe, TopologyNode};
use podway_topology_api::{
    AccountCommand, ClientConfig, Command, Following, Operation, OperationCommand, OperationId,
    OperationKind, Proposer, TableCommand, TopologyClient, TopologyStore, View, follow, map_channel,
};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::task::JoinHandle;

/// What the tests wait for at most.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// Customers in the shop: 1 to this.
pub const CUSTOMERS: u64 = 12;
/// Who may do everything and pass it on, and his password.
const BOSS: (&str, &str) = ("boss", "boss's password");
/// How many servers there are.
const SERVERS: usize = 2;

/// All of it.
pub struct Ground {
    pub keyspace: TestKeyspace<'static>,
    pub client: TopologyClient,
    pub proxies: Vec<Arc<RunningProxy>>,
    pub proposer: Proposer<TopologyClient>,
    node: Option<TopologyNode>,
    directory: TempDir,
    followings: Vec<Following>,
    beats: Vec<JoinHandle<()>>,
    _alone: MutexGuard<'static, ()>,
}

/// The servers of all tests, which come one after the other: users are a server's, not a keyspace's.
static POD: OnceCell<Pod> = OnceCell::const_new();
static ALONE: Mutex<()> = Mutex::const_new(());

/// Drops the users and roles that an earlier test has left.
async fn forget_users(pod: &Pod) {
    for server in 0..SERVERS as u32 {
        let mut conn = pod.admin(ServerId(server)).await.unwrap();
        let sql = "SELECT CONCAT(QUOTE(user), '@', QUOTE(host)) FROM mysql.user \
                   WHERE user NOT LIKE 'mysql.%' AND user NOT IN ('root', 'app', '_podway')";
        let left: Vec<String> = conn.query(sql).await.unwrap();
        for user in left {
            conn.query_drop(format!("DROP USER {user}")).await.unwrap();
        }
    }
}

/// MySQL's number; 0 where there is no error. Panics for errors that are not the server's.
pub fn errno<T>(result: Result<T, Error>) -> u16 {
    match result {
        Ok(_) => 0,
        Err(Error::Server(error)) => error.code,
        Err(error) => panic!("{error}"),
    }
}

/// What an error says; empty where there is none.
pub fn message<T>(result: &Result<T, Error>) -> String {
    result.as_ref().err().map(ToString::to_string).unwrap_or_default()
}

impl Ground {
    /// A shop with so many shards on two servers; the home shard's schema has another name than the keyspace.
    pub async fn shop(name: &str, shards: usize) -> Ground {
        Ground::probed(name, shards, StatementProbe::default()).await
    }

    /// The same, with a probe that sees what the topology does.
    pub async fn probed(name: &str, shards: usize, probe: StatementProbe) -> Ground {
        let alone = ALONE.lock().await;
        let pod = POD
            .get_or_init(|| async {
                let options = PodOptions { servers: SERVERS, has_proxy: false, ..PodOptions::default() };
                Pod::start(options).await.unwrap()
            })
            .await;
        forget_users(pod).await;
        let physical: Vec<String> = (0..shards)
            .map(|n| if n == 1 { name.to_owned() } else { format!("{name}__{}", n + 1) })
            .collect();
        let physical: Vec<&str> = physical.iter().map(String::as_str).collect();
        let keyspace = pod.keyspace_named(name, &physical).await.unwrap();
        let sharded = |column: &str| Declaration::sharded_by(&[column]);
        let customers = "CREATE TABLE customers (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL DEFAULT 0)";
        keyspace.create_table(customers, "customers", sharded("id")).await.unwrap();
        let ledger = "CREATE TABLE ledger (customer BIGINT NOT NULL, entry BIGINT NOT NULL, PRIMARY KEY (customer, entry))";
        keyspace.create_table(ledger, "ledger", sharded("customer")).await.unwrap();

        let directory = tempfile::tempdir().unwrap();
        let mut config = NodeConfig::embedded(Some(directory.path().to_owned()));
        config.tuning.statements.probe = probe;
        let node = TopologyNode::start(config).await.unwrap();
        node.wait_until_ready(DEADLINE).await.unwrap();
        let listen = node.client_address().to_owned();
        let client = TopologyClient::new(ClientConfig::plain(vec![listen])).unwrap();
        let proposer = Proposer::new(client.clone(), "a test");
        let mut ground = Ground {
            keyspace,
            client,
            proxies: Vec::new(),
            proposer,
            node: Some(node),
            directory,
            followings: Vec::new(),
            beats: Vec::new(),
            _alone: alone,
        };
        tell_servers(pod, &ground.proposer).await.unwrap();
        let secret = ground.client.credentials().await.unwrap().secret;
        prepare_servers(pod, &secret).await.unwrap();
        tell_keyspace(&ground.keyspace, &ground.proposer).await.unwrap();
        ground.bring_boss().await;
        ground.start_proxies().await;
        let mut boss = ground.boss().await;
        for id in 1..=CUSTOMERS {
            boss.query_drop(format!("INSERT INTO customers (id) VALUES ({id})")).await.unwrap();
        }
        ground
    }

    async fn bring_boss(&self) {
        let name = AccountName { user: BOSS.0.into(), host: HostPattern::new("%") };
        let secret = self.client.credentials().await.unwrap().secret;
        let grants = ["ALL PRIVILEGES ON *.*".to_owned()];
        let mut account = None;
        for (id, server) in self.client.read(true).await.unwrap().servers.iter().enumerate() {
            let mut conn = self.server(id as u32).await;
            let account = match &account {
                Some(account) => account,
                None => {
                    create_user(&mut conn, &name, BOSS.1).await.unwrap();
                    account.insert(read_account(&mut conn, &name).await.unwrap())
                }
            };
            let password = secret.backend_password(&name, &server.uuid);
            ensure_account(&mut conn, account, &grants, &password).await.unwrap();
            conn.query_drop("GRANT ALL PRIVILEGES ON *.* TO boss WITH GRANT OPTION").await.unwrap();
        }
        let command = AccountCommand::Adopt(account.unwrap());
        self.proposer.propose(Command::Account(command)).await.unwrap();
    }

    async fn start_proxies(&mut self) {
        let secret = self.client.credentials().await.unwrap().secret;
        let told = self.client.read(true).await.unwrap().revision;
        for _ in 0..2 {
            let (publisher, watch) = map_channel(Map::empty(NameRule::default()));
            self.followings.push(follow(self.client.clone(), publisher));
            eventually_async(DEADLINE, "the map arrives", async || {
                (watch.current().revision >= told).then_some(())
            })
            .await;
            let proxy = Arc::new(self.keyspace.pod.proxy_of(secret.clone(), watch).await.unwrap());
            proxy.proxy.set_operations(Arc::new(TopologyOperations(self.client.clone())));
            self.beats.push(harness().spawn(keep_lease(self.client.clone(), Arc::clone(&proxy))));
            self.proxies.push(proxy);
        }
        eventually_async(DEADLINE, "the proxies have leases", async || {
            (self.view().await.proxies.len() == self.proxies.len()).then_some(())
        })
        .await;
    }

    /// The servers' numbers in the pod.
    pub fn servers(&self) -> Vec<u32> {
        (0..SERVERS as u32).collect()
    }

    /// A connection to a server, beside the proxies, as its administrator.
    pub async fn server(&self, server: u32) -> Conn {
        self.keyspace.pod.admin(ServerId(server)).await.unwrap()
    }

    /// A connection through the first proxy as the one who may do everything, in the keyspace.
    pub async fn boss(&self) -> Conn {
        let options = self.through(0, BOSS.0, BOSS.1).db_name(Some(&self.keyspace.name));
        Conn::new(options).await.unwrap()
    }

    /// A connection through a proxy, without a current database.
    pub async fn connect_as(&self, user: &str, password: &str, proxy: usize) -> Result<Conn, Error> {
        Conn::new(self.through(proxy, user, password)).await
    }

    fn through(&self, proxy: usize, user: &str, password: &str) -> OptsBuilder {
        let address = self.proxies[proxy].address;
        options(&address.ip().to_string(), address.port(), user, password)
    }

    /// Both proxies, and both servers beside them.
    pub fn ways_in(&self, user: &str, password: &str) -> Vec<OptsBuilder> {
        let proxies = (0..self.proxies.len()).map(|proxy| self.through(proxy, user, password));
        let map = self.keyspace.pod.map();
        let servers: Vec<OptsBuilder> =
            map.servers().map(|server| options(&server.host, server.port, user, password)).collect();
        proxies.chain(servers).collect()
    }

    /// Creates a sharded table on every shard, beside the proxies, and declares it.
    pub async fn create_sharded(&self, sql: &str, table: &str, by: &str) {
        let sharded = Declaration::sharded_by(&[by]);
        self.keyspace.create_table(sql, table, sharded).await.unwrap();
        let known = self.keyspace.get();
        let table = known.tables.values().find(|known| known.name.as_str() == table).unwrap();
        let name: Box<str> = self.keyspace.name.as_str().into();
        let command = TableCommand::Declare { keyspace: name, table: (**table).clone(), next: None };
        self.proposer.propose(Command::Table(command)).await.unwrap();
        let told = self.view().await.revision;
        for proxy in &self.proxies {
            eventually_async(DEADLINE, "the proxies know the table", async || {
                (proxy.proxy.applied() >= told).then_some(())
            })
            .await;
        }
    }

    pub async fn view(&self) -> View {
        self.client.read(true).await.unwrap()
    }

    /// The operation of the last statement about users.
    pub async fn last(&self) -> Operation {
        let operations = self.view().await.operations;
        let of_users = |one: &&Operation| matches!(one.kind, OperationKind::Users { .. });
        operations.iter().rev().find(of_users).unwrap().clone()
    }

    /// Waits until an operation has come so far.
    pub async fn wait_for(
        &self,
        id: OperationId,
        what: &str,
        holds: impl Fn(&Operation) -> bool,
    ) -> Operation {
        eventually_async(DEADLINE, what, async || {
            let view = self.view().await;
            view.operations.into_iter().find(|one| one.id == id).filter(|one| holds(one))
        })
        .await
    }

    /// Has an operation tried again where it was refused.
    pub async fn retry(&self, id: OperationId) {
        self.proposer.propose(Command::Operation(OperationCommand::Retry { id })).await.unwrap();
    }

    /// Stops the topology's only node, and starts it again from its disk without a probe.
    pub async fn restart(&mut self) {
        let listen = self.node.as_ref().unwrap().client_address().parse().unwrap();
        self.node.take().unwrap().stop().await;
        let mut config = NodeConfig::embedded(Some(self.directory.path().to_owned()));
        config.clients.listen = listen;
        let node = TopologyNode::start(config).await.unwrap();
        node.wait_until_ready(DEADLINE).await.unwrap();
        self.node = Some(node);
    }

    /// Stops what goes on.
    pub async fn close(mut self) {
        self.beats.iter().for_each(JoinHandle::abort);
        self.node.take().unwrap().stop().await;
    }
}

fn options(host: &str, port: u16, user: &str, password: &str) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname(host.to_owned())
        .tcp_port(port)
        .user(Some(user.to_owned()))
        .pass(Some(password.to_owned()))
        .prefer_socket(false)
}
