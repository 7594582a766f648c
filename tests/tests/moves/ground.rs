//! What these tests stand on: a keyspace on real servers, a topology of one node that knows it, and a proxy that follows the topology and tells it what it has applied.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway::provision::Declaration;
use podway_model::{Map, NameRule, ShardId, ShardIndex};
use podway_proxy::ProxyConfig;
use podway_tests::{
    Pod, RunningProxy, TestKeyspace, eventually_async, harness, keep_lease, tell_keyspace, tell_servers,
};
use podway_topology::{Moment, MoveProbe, Moves, NodeConfig, TopologyNode};
use podway_topology_api::{
    AccountCommand, ClientConfig, Command, Done, Following, MoveStep, NewOperation, Operation,
    OperationCommand, OperationId, OperationState, Proposer, SettingCommand, TopologyClient, TopologyStore,
    View, follow, map_channel,
};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// What the tests wait for at most.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// Customers in the shop: 1 to this.
pub const CUSTOMERS: u64 = 20;

/// All of it.
pub struct Ground {
    pub keyspace: TestKeyspace<'static>,
    pub client: TopologyClient,
    pub proxy: Arc<RunningProxy>,
    pub shards: Vec<ShardId>,
    node: Option<TopologyNode>,
    directory: TempDir,
    listen: SocketAddr,
    proposer: Proposer<TopologyClient>,
    _following: Following,
    beats: JoinHandle<()>,
}

impl Ground {
    /// A shop with so many shards, one on each server in turn.
    pub async fn shop(pod: &'static Pod, name: &str, shards: usize, moves: Moves) -> Ground {
        let keyspace = pod.keyspace(name, shards).await.unwrap();
        let sharded = |column: &str| Declaration::sharded_by(&[column]);
        let customers = "CREATE TABLE customers (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL DEFAULT 0)";
        keyspace.create_table(customers, "customers", sharded("id")).await.unwrap();
        let ledger = "CREATE TABLE ledger (customer BIGINT NOT NULL, entry BIGINT NOT NULL, PRIMARY KEY (customer, entry))";
        keyspace.create_table(ledger, "ledger", sharded("customer")).await.unwrap();
        let mut conn = keyspace.connect().await.unwrap();
        for id in 1..=CUSTOMERS {
            conn.query_drop(format!("INSERT INTO customers (id) VALUES ({id})")).await.unwrap();
        }
        Ground::over(keyspace, moves).await
    }

    /// A topology that knows what the pod's map knows of a keyspace.
    pub async fn over(keyspace: TestKeyspace<'static>, moves: Moves) -> Ground {
        let directory = tempfile::tempdir().unwrap();
        let mut config = NodeConfig::embedded(Some(directory.path().to_owned()));
        config.tuning.moves = moves;
        let node = TopologyNode::start(config).await.unwrap();
        node.wait_until_ready(DEADLINE).await.unwrap();
        let listen: SocketAddr = node.client_address().parse().unwrap();
        let client = TopologyClient::new(ClientConfig::plain(vec![listen.to_string()])).unwrap();
        let proposer = Proposer::new(client.clone(), "a test");
        let shards = tell(&keyspace, &proposer).await;

        let (publisher, watch) = map_channel(Map::empty(NameRule::default()));
        let following = follow(client.clone(), publisher);
        let told = client.read(true).await.unwrap().revision;
        eventually_async(DEADLINE, "the map arrives", async || {
            (watch.current().revision >= told).then_some(())
        })
        .await;
        let configure: fn(&mut ProxyConfig) = |_| {};
        let proxy = Arc::new(keyspace.pod.another_proxy(watch, configure).await.unwrap());
        let beats = harness().spawn(keep_lease(client.clone(), Arc::clone(&proxy)));
        let ground = Ground {
            keyspace,
            client,
            proxy,
            shards,
            node: Some(node),
            directory,
            listen,
            proposer,
            _following: following,
            beats,
        };
        eventually_async(DEADLINE, "the proxy has a lease", async || {
            (!ground.view().await.proxies.is_empty()).then_some(())
        })
        .await;
        ground
    }

    pub async fn propose(&self, command: Command) -> Done {
        self.proposer.propose(command).await.unwrap()
    }

    pub async fn set(&self, name: &str, value: &str) {
        self.propose(Command::Setting(SettingCommand::Set { name: name.into(), value: value.into() })).await;
    }

    /// Begins to move a shard to the pod's server of this number.
    pub async fn begin(&self, shard: ShardIndex, to: u32, schema: &str) -> OperationId {
        let shard = self.shards[usize::from(shard.0)];
        let new = NewOperation::MoveShard { shard, to: format!("s{to}").into(), schema: Some(schema.into()) };
        match self.propose(Command::Operation(OperationCommand::Begin(new))).await {
            Done::Began(id) => id,
            other => panic!("{other:?}"),
        }
    }

    pub async fn cancel(&self, id: OperationId) {
        self.propose(Command::Operation(OperationCommand::Cancel { id })).await;
    }

    pub async fn view(&self) -> View {
        self.client.read(true).await.unwrap()
    }

    pub async fn operation(&self, id: OperationId) -> Operation {
        let view = self.view().await;
        view.operations.into_iter().find(|operation| operation.id == id).unwrap()
    }

    /// Waits until an operation ends, and how.
    pub async fn end(&self, id: OperationId) -> Operation {
        let asked = std::time::Instant::now();
        eventually_async(DEADLINE * 2, "the move ends", async || {
            let operation = self.operation(id).await;
            assert!(
                asked.elapsed() < DEADLINE || !operation.state.is_open(),
                "it does not end: {operation:?}"
            );
            (!operation.state.is_open()).then_some(operation)
        })
        .await
    }

    /// Waits until it ends well.
    pub async fn finish(&self, id: OperationId) {
        let ended = self.end(id).await;
        assert_eq!(ended.state, OperationState::Finished, "{:?}", ended.trouble);
    }

    /// Waits until its record tells of this trouble.
    pub async fn trouble(&self, id: OperationId, what: &str) {
        let mut last = None;
        let seen = tokio::time::timeout(DEADLINE, async {
            loop {
                last = self.operation(id).await.trouble;
                if last.as_ref().is_some_and(|trouble| trouble.contains(what)) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        let seen = seen.await;
        assert!(seen.is_ok(), "no word of {what:?} but {last:?}");
    }

    /// Stops the topology's only node, and starts it again from its disk.
    pub async fn restart(&mut self, moves: Moves) {
        self.node.take().unwrap().stop().await;
        let mut config = NodeConfig::embedded(Some(self.directory.path().to_owned()));
        config.clients.listen = self.listen;
        config.tuning.moves = moves;
        let node = TopologyNode::start(config).await.unwrap();
        node.wait_until_ready(DEADLINE).await.unwrap();
        self.node = Some(node);
    }

    /// The topology's cluster, as servers know it.
    pub fn cluster(&self) -> String {
        self.node.as_ref().and_then(TopologyNode::cluster).unwrap().to_string()
    }

    /// A connection through the proxy that follows the topology.
    pub async fn connect(&self) -> Conn {
        let options = self.keyspace.pod.client_options().tcp_port(self.proxy.address.port());
        Conn::new(options.db_name(Some(&self.keyspace.name))).await.unwrap()
    }

    /// A connection to one of the pod's servers.
    pub async fn server(&self, server: u32) -> Conn {
        self.keyspace.pod.admin(podway_model::ServerId(server)).await.unwrap()
    }

    /// A customer of a shard, as the servers had them when the test began.
    pub async fn customer(&self, shard: ShardIndex) -> u64 {
        let sql = "SELECT id FROM customers ORDER BY id LIMIT 1";
        self.keyspace.direct(shard).await.unwrap().query_first(sql).await.unwrap().unwrap()
    }

    /// Stops what goes on.
    pub async fn close(mut self) {
        self.beats.abort();
        self.node.take().unwrap().stop().await;
    }
}

/// Tells the topology of the servers, the accounts, and the keyspace; returns its shards' numbers.
async fn tell(keyspace: &TestKeyspace<'_>, proposer: &Proposer<TopologyClient>) -> Vec<ShardId> {
    tell_servers(keyspace.pod, proposer).await.unwrap();
    for account in &keyspace.pod.map().accounts {
        let command = AccountCommand::Adopt((**account).clone());
        proposer.propose(Command::Account(command)).await.unwrap();
    }
    tell_keyspace(keyspace, proposer).await.unwrap()
}

/// A driver that stops for ever when it comes to a step's moment, and says so.
pub fn stop_at(step: MoveStep, moment: Moment) -> (Moves, mpsc::UnboundedReceiver<()>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let probe = MoveProbe::new(move |at, when| {
        let sender = sender.clone();
        Box::pin(async move {
            if (at, when) == (step, moment) {
                let _ = sender.send(());
                std::future::pending::<()>().await;
            }
        })
    });
    (Moves { probe, ..Moves::default() }, receiver)
}

/// A driver that waits when it comes to a step's moment, until what is received here is sent to or dropped.
pub fn wait_at(step: MoveStep, moment: Moment) -> (Moves, mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let probe = MoveProbe::new(move |at, when| {
        let sender = sender.clone();
        Box::pin(async move {
            if (at, when) == (step, moment) {
                let (go_on, gone) = oneshot::channel();
                let _ = sender.send(go_on);
                let _ = gone.await;
            }
        })
    });
    (Moves { probe, ..Moves::default() }, receiver)
}

/// Sessions that write through a proxy and remember what was acknowledged: a row in the ledger for each, with a number that is never used again.
pub struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<(u64, u64)>>>,
    acknowledged: Arc<std::sync::atomic::AtomicU64>,
}

impl Load {
    /// Starts writers and readers for all customers; an error ends them and fails the test.
    pub async fn start(ground: &Ground) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let mut tasks = Vec::new();
        for writer in 0..4 {
            let conn = ground.connect().await;
            tasks.push(tokio::spawn(write(conn, writer, stop.clone(), acknowledged.clone())));
        }
        Load { stop, tasks, acknowledged }
    }

    /// Waits until so many more statements were acknowledged.
    pub async fn pass(&self, statements: u64) {
        let target = self.acknowledged.load(Ordering::SeqCst) + statements;
        eventually_async(DEADLINE, "the load goes on", async || {
            assert!(!self.tasks.iter().any(JoinHandle::is_finished), "a statement failed");
            (self.acknowledged.load(Ordering::SeqCst) >= target).then_some(())
        })
        .await;
    }

    /// Stops, and gives back all that was acknowledged, as (customer, entry).
    pub async fn end(self) -> Vec<(u64, u64)> {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Vec::new();
        for task in self.tasks {
            all.extend(task.await.unwrap());
        }
        all.sort_unstable();
        all
    }
}

async fn write(
    mut conn: Conn,
    writer: u64,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<std::sync::atomic::AtomicU64>,
) -> Vec<(u64, u64)> {
    let mut written = Vec::new();
    for n in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let (customer, entry) = (1 + n % CUSTOMERS, writer * 1_000_000 + n);
        match writer % 3 {
            0 => {
                conn.query_drop(format!("INSERT INTO ledger VALUES ({customer}, {entry})")).await.unwrap();
            }
            1 => conn.exec_drop("INSERT INTO ledger VALUES (?, ?)", (customer, entry)).await.unwrap(),
            _ => {
                conn.query_drop("BEGIN").await.unwrap();
                let sql = format!("UPDATE customers SET balance = balance + 1 WHERE id = {customer}");
                conn.query_drop(sql).await.unwrap();
                conn.query_drop(format!("INSERT INTO ledger VALUES ({customer}, {entry})")).await.unwrap();
                conn.query_drop("COMMIT").await.unwrap();
            }
        }
        written.push((customer, entry));
        acknowledged.fetch_add(1, Ordering::SeqCst);
        if n % 5 == 0 {
            let sql = format!("SELECT COUNT(*) FROM ledger WHERE customer = {customer} AND entry = {entry}");
            let seen: Option<u64> = conn.query_first(sql).await.unwrap();
            assert_eq!(seen, Some(1), "what was acknowledged is seen");
        }
    }
    written
}

/// The ledger, wherever the topology says that its shards are.
pub async fn ledger(ground: &Ground) -> Vec<(u64, u64)> {
    let view = ground.view().await;
    let mut all = Vec::new();
    for shard in &view.keyspaces[0].shards {
        let mut conn = ground.server(shard_server(&view, shard.server)).await;
        let sql = format!("SELECT customer, entry FROM `{}`.ledger", shard.schema);
        let rows: Vec<(u64, u64)> = conn.query(sql).await.unwrap();
        all.extend(rows);
    }
    all.sort_unstable();
    all
}

/// The pod's number of a server that the topology knows by its own.
pub fn shard_server(view: &View, id: podway_model::ServerId) -> u32 {
    let server = view.servers.iter().find(|server| server.id == id).unwrap();
    server.name.trim_start_matches('s').parse().unwrap()
}
