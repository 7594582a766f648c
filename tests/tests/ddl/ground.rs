//! What these tests stand on: a keyspace's schemas on real servers, a topology of one node that knows them, a user of its own, and proxies that follow the topology.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Error, OptsBuilder};
use podway::provision::{create_user, ensure_account, key_rules, read_account};
use podway::serve::TopologyOperations;
use podway_model::{AccountName, ClusterSecret, HostPattern, Map, NameRule, Revision, ServerId, ShardIndex};
use podway_proxy::Proxy;
use podway_tests::{
    Pod, TestKeyspace, eventually_async, harness, keep_lease, patient_config, prepare_servers, tell_keyspace,
    tell_servers,
};
use podway_topology::{NodeConfig, StatementMoment, StatementProbe, Statements, TopologyNode};
use podway_topology_api::{
    AccountCommand, ClientConfig, Command, Done, Following, Operation, OperationCommand, OperationId,
    Proposer, TopologyClient, TopologyStore, View, follow, map_channel,
};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// What the tests wait for at most.
pub const DEADLINE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "an app's password";

/// All of it.
pub struct Ground {
    pub keyspace: TestKeyspace<'static>,
    pub client: TopologyClient,
    pub user: String,
    secret: ClusterSecret,
    node: Option<TopologyNode>,
    directory: TempDir,
    listen: SocketAddr,
    proposer: Proposer<TopologyClient>,
    proxies: Vec<Follower>,
}

/// A proxy that follows the topology.
struct Follower {
    proxy: Arc<Proxy>,
    _following: Following,
    beats: JoinHandle<()>,
}

impl Ground {
    /// A keyspace without tables, one shard on each server in turn, the last with another physical name, and so many proxies.
    pub async fn new(pod: &'static Pod, name: &str, shards: usize, proxies: usize) -> Ground {
        Ground::probed(pod, name, shards, proxies, StatementProbe::default()).await
    }

    pub async fn probed(
        pod: &'static Pod,
        name: &str,
        shards: usize,
        proxies: usize,
        probe: StatementProbe,
    ) -> Ground {
        let keyspace = pod.keyspace(name, shards).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut config = NodeConfig::embedded(Some(directory.path().to_owned()));
        config.tuning.statements = Statements { rules: key_rules(), probe };
        let node = TopologyNode::start(config).await.unwrap();
        node.wait_until_ready(DEADLINE).await.unwrap();
        let listen: SocketAddr = node.client_address().parse().unwrap();
        let client = TopologyClient::new(ClientConfig::plain(vec![listen.to_string()])).unwrap();
        let proposer = Proposer::new(client.clone(), "a test");
        let secret = client.credentials().await.unwrap().secret;
        let user = format!("{name}_app");
        let mut ground = Ground {
            keyspace,
            client,
            user: user.clone(),
            secret,
            node: Some(node),
            directory,
            listen,
            proposer,
            proxies: Vec::new(),
        };
        tell_servers(pod, &ground.proposer).await.unwrap();
        prepare_servers(pod, &ground.secret).await.unwrap();
        ground.add_user(&user, "ALL PRIVILEGES ON *.*").await;
        tell_keyspace(&ground.keyspace, &ground.proposer).await.unwrap();
        for _ in 0..proxies {
            ground.add_proxy().await;
        }
        ground
    }

    /// A user with this privilege, on every server and in the topology.
    pub async fn add_user(&self, name: &str, grant: &str) {
        let account = AccountName { user: name.into(), host: HostPattern::new("%") };
        let map = self.keyspace.pod.map();
        let mut first = self.server(0).await;
        create_user(&mut first, &account, PASSWORD).await.unwrap();
        let known = read_account(&mut first, &account).await.unwrap();
        for server in map.servers() {
            let password = self.secret.backend_password(&account, &server.uuid);
            let mut conn = self.server(server.id.0).await;
            ensure_account(&mut conn, &known, &[grant.to_owned()], &password).await.unwrap();
        }
        self.propose(Command::Account(AccountCommand::Adopt(known))).await;
    }

    /// Starts another proxy; it has its lease when this returns.
    pub async fn add_proxy(&mut self) {
        let (publisher, watch) = map_channel(Map::empty(NameRule::default()));
        let following = follow(self.client.clone(), publisher);
        let told = self.client.read(true).await.unwrap().revision;
        eventually_async(DEADLINE, "the map arrives", async || {
            (watch.current().revision >= told).then_some(())
        })
        .await;
        let config = patient_config(self.secret.clone());
        let proxy = harness().spawn(async move { Proxy::start(config, watch).await }).await.unwrap().unwrap();
        proxy.set_operations(Arc::new(TopologyOperations(self.client.clone())));
        let proxy = Arc::new(proxy);
        let before = self.view().await.proxies.len();
        let beats = harness().spawn(keep_lease(self.client.clone(), proxy.clone()));
        self.proxies.push(Follower { proxy, _following: following, beats });
        eventually_async(DEADLINE, "the proxy has a lease", async || {
            (self.view().await.proxies.len() > before).then_some(())
        })
        .await;
    }

    pub async fn propose(&self, command: Command) -> Done {
        self.proposer.propose(command).await.unwrap()
    }

    pub async fn view(&self) -> View {
        self.client.read(true).await.unwrap()
    }

    /// The operation that began last.
    pub async fn last(&self) -> Operation {
        self.view().await.operations.pop().unwrap()
    }

    /// Has an operation tried again, and waits until it has ended or needs somebody.
    pub async fn retry(&self, id: OperationId) -> Operation {
        self.propose(Command::Operation(OperationCommand::Retry { id })).await;
        self.settled(id).await
    }

    pub async fn settled(&self, id: OperationId) -> Operation {
        eventually_async(DEADLINE, "the operation is settled", async || {
            let known = self.client.operation(id, Duration::from_secs(1)).await.unwrap().unwrap();
            known.is_settled().then_some(known)
        })
        .await
    }

    /// Stops the topology's only node, and starts it again from its disk.
    pub async fn restart(&mut self, probe: StatementProbe) {
        self.node.take().unwrap().stop().await;
        let mut config = NodeConfig::embedded(Some(self.directory.path().to_owned()));
        config.clients.listen = self.listen;
        config.tuning.statements = Statements { rules: key_rules(), probe };
        let node = TopologyNode::start(config).await.unwrap();
        node.wait_until_ready(DEADLINE).await.unwrap();
        self.node = Some(node);
    }

    /// Waits until every proxy has a map of this revision.
    pub async fn proxies_have(&self, revision: Revision) {
        eventually_async(DEADLINE, "the proxies have the map", async || {
            self.proxies.iter().all(|follower| follower.proxy.applied() >= revision).then_some(())
        })
        .await;
    }

    /// A connection through one of the proxies.
    pub async fn connect(&self, proxy: usize) -> Conn {
        self.connect_as(proxy, &self.user).await
    }

    pub async fn connect_as(&self, proxy: usize, user: &str) -> Conn {
        let address = self.proxies[proxy].proxy.local_addr();
        let options = OptsBuilder::default()
            .ip_or_hostname(address.ip().to_string())
            .tcp_port(address.port())
            .user(Some(user))
            .pass(Some(PASSWORD))
            .db_name(Some(&self.keyspace.name))
            .prefer_socket(false);
        Conn::new(options).await.unwrap()
    }

    /// A connection of a user to a database of one of the pod's servers, beside the proxies.
    pub async fn direct_as(&self, server: u32, user: &str, database: &str) -> Conn {
        let login = self.keyspace.pod.server(ServerId(server)).await.admin();
        let options = OptsBuilder::default()
            .ip_or_hostname(login.host)
            .tcp_port(login.port)
            .user(Some(user))
            .pass(Some(PASSWORD))
            .db_name(Some(database))
            .prefer_socket(false);
        Conn::new(options).await.unwrap()
    }

    /// How a client program gets to one of the proxies.
    pub fn way(&self, proxy: usize) -> Way {
        let address = self.proxies[proxy].proxy.local_addr();
        let (user, password) = (self.user.clone(), PASSWORD.to_owned());
        Way { host: address.ip().to_string(), port: address.port(), user, password }
    }

    /// How a client program gets to one of the pod's servers, as its administrator.
    pub async fn server_way(&self, server: u32) -> Way {
        let login = self.keyspace.pod.server(ServerId(server)).await.admin();
        Way { host: login.host, port: login.port, user: login.user, password: login.password }
    }

    /// A connection to one of the pod's servers, as its administrator.
    pub async fn server(&self, server: u32) -> Conn {
        self.keyspace.pod.admin(ServerId(server)).await.unwrap()
    }

    /// A connection to a server with the attribute by which the leader's sessions in clients' names are known: of this cluster, with this term, operation and target.
    pub async fn marked(&self, server: u32, mark: &str) -> Conn {
        let login = self.keyspace.pod.server(ServerId(server)).await.admin();
        let options = OptsBuilder::default()
            .ip_or_hostname(login.host)
            .tcp_port(login.port)
            .user(Some(login.user))
            .pass(Some(login.password))
            .connect_attribute("podway_statement", format!("{}:{mark}", self.cluster()))
            .prefer_socket(false);
        Conn::new(options).await.unwrap()
    }

    /// The topology's cluster, as servers know it.
    pub fn cluster(&self) -> String {
        self.node.as_ref().and_then(TopologyNode::cluster).unwrap().to_string()
    }

    /// What one shard has, beside the proxies. `{}` in the statement is the shard's schema.
    pub async fn on_shard<T: FromRow + Send + 'static>(&self, shard: usize, sql: &str) -> Vec<T> {
        let place = ShardIndex(u16::try_from(shard).unwrap());
        let mut conn = self.server(self.keyspace.get().shards[shard].server.0).await;
        let schema = format!("`{}`", self.keyspace.physical(place));
        conn.query(sql.replace("{}", &schema)).await.unwrap()
    }

    /// The columns of a table on every shard that has it.
    pub async fn columns(&self, table: &str) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        for (n, shard) in self.keyspace.get().shards.iter().enumerate() {
            let sql = format!(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = '{}' AND table_name = '{table}' ORDER BY ordinal_position",
                shard.schema
            );
            all.push(self.on_shard(n, &sql).await);
        }
        all
    }

    /// The columns that the topology's map has of a table; `None`: it does not know the table.
    pub async fn known(&self, table: &str) -> Option<Vec<String>> {
        let view = self.view().await;
        let known = view.keyspaces[0].tables.iter().find(|known| known.table.name.as_str() == table)?;
        Some(known.table.columns.iter().map(|column| column.name.to_string()).collect())
    }

    pub async fn close(mut self) {
        self.proxies.iter().for_each(|follower| follower.beats.abort());
        self.node.take().unwrap().stop().await;
    }
}

/// How a client program gets in.
pub struct Way {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
}

/// MySQL's number of an error.
pub fn code(error: &Error) -> u16 {
    match error {
        Error::Server(said) => said.code,
        other => panic!("{other}"),
    }
}

/// The number and text of a refusal.
pub async fn refusal(conn: &mut Conn, sql: &str) -> (u16, String) {
    match conn.query_drop(sql).await.unwrap_err() {
        Error::Server(said) => (said.code, said.message),
        other => panic!("{other}"),
    }
}

/// A leader that stops for ever when a try on a target comes to a moment for the `nth` time, and says so.
pub fn stop_at(moment: StatementMoment, nth: usize) -> (StatementProbe, mpsc::UnboundedReceiver<()>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let seen = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let probe = StatementProbe::new(move |_, _, when| {
        let (sender, seen) = (sender.clone(), seen.clone());
        Box::pin(async move {
            if when == moment && seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == nth {
                let _ = sender.send(());
                std::future::pending::<()>().await;
            }
        })
    });
    (probe, receiver)
}

/// A leader that waits when a try on a target comes to a moment for the `nth` time, until what is received here is sent to or dropped.
pub fn wait_at(
    moment: StatementMoment,
    nth: usize,
) -> (StatementProbe, mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let seen = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let probe = StatementProbe::new(move |_, _, when| {
        let (sender, seen) = (sender.clone(), seen.clone());
        Box::pin(async move {
            if when == moment && seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == nth {
                let (go_on, gone) = oneshot::channel();
                let _ = sender.send(go_on);
                let _ = gone.await;
            }
        })
    });
    (probe, receiver)
}
