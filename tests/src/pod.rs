//! A pod: servers, accounts, the map over them and a proxy that follows it. One per test binary is enough for most tests
//! ([`Pod::shared`]); each test then has keyspaces of its own. Servers are gone when the process is.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use mysql_async::{Conn, OptsBuilder};
use podway::local_mysql::{LocalServer, MysqlSource, ServerOptions};
use podway::provision::{
    create_user, ensure_account, ensure_transactions, read_account, read_facts, schema_grant,
};
use podway_model::{ClusterSecret, Map, NameRule, Revision, Server, ServerId};
use podway_proxy::ProxyConfig;
use podway_topology_api::{MapPublisher, MapWatch, map_channel};
use tokio::sync::{Mutex, OnceCell};

use crate::given::Given;
use crate::proxy_seam::{RunningProxy, start_proxy};
use crate::servers::{harness, mysql_source};
use crate::target::{Target, target};
use crate::told::{self, ThreeNodes};
use crate::users::{APP, Grant, Password, User};

/// What a pod is to be.
#[derive(Clone, Debug)]
pub struct PodOptions {
    /// How many servers it starts with.
    pub servers: usize,
    /// Further options of mysqld's.
    pub server_args: Vec<String>,
    /// The MySQL that its servers run, if not the one of [`mysql_source`].
    pub source: Option<MysqlSource>,
    /// Whether there is a proxy before them.
    pub has_proxy: bool,
    /// What the proxy is told besides the defaults.
    pub configure: fn(&mut ProxyConfig),
}

/// Running servers, the map over them and a proxy.
#[derive(Debug)]
pub struct Pod {
    servers: Mutex<Vec<Arc<LocalServer>>>,
    source: Option<MysqlSource>,
    server_args: Vec<String>,
    users: Mutex<Vec<User>>,
    secret: ClusterSecret,
    publisher: MapPublisher,
    watch: MapWatch,
    /// Held while a new map is made of the last one.
    change: Mutex<()>,
    /// Who brings the map to the proxy, if it is not handed over in this process.
    told: Option<ThreeNodes>,
    proxy: Option<RunningProxy>,
    /// Where servers and proxies are not this process's: the way to them.
    given: Option<Given>,
}

impl Default for PodOptions {
    fn default() -> PodOptions {
        PodOptions { servers: 4, server_args: Vec::new(), source: None, has_proxy: true, configure: |_| {} }
    }
}

impl Pod {
    /// The pod of this test binary: four servers and a proxy. Started by the first test that asks, or the given cluster.
    pub async fn shared() -> &'static Pod {
        static SHARED: OnceCell<Pod> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                let pod = match target() {
                    Target::Own => Pod::start(PodOptions::default()).await,
                    Target::Given => {
                        harness().spawn(Pod::given()).await.unwrap_or_else(|error| Err(error.into()))
                    }
                };
                pod.unwrap_or_else(|error| panic!("no pod: {error:#}"))
            })
            .await
    }

    /// Starts a pod. Its proxy runs on the harness's runtime, so the pod may outlive the test that started it.
    pub async fn start(options: PodOptions) -> anyhow::Result<Pod> {
        harness().spawn(Pod::start_here(options)).await?
    }

    /// The given cluster. The follower of its map runs on the caller's runtime: the harness's own.
    async fn given() -> anyhow::Result<Pod> {
        let given = Given::reach().await?;
        let (publisher, _) = map_channel(Map::empty(NameRule::default()));
        let pod = Pod {
            servers: Mutex::default(),
            source: None,
            server_args: Vec::new(),
            users: Mutex::default(),
            secret: given.secret.clone(),
            publisher,
            watch: given.watch.clone(),
            change: Mutex::default(),
            told: None,
            proxy: None,
            given: Some(given),
        };
        pod.add_user(User::new(APP.0, Password::Sha2(APP.1.to_owned()))).await?;
        Ok(pod)
    }

    async fn start_here(options: PodOptions) -> anyhow::Result<Pod> {
        let secret = ClusterSecret::new(&rand_bytes());
        let (publisher, watch) = map_channel(Map::empty(NameRule::default()));
        let mut pod = Pod {
            servers: Mutex::default(),
            source: options.source,
            server_args: options.server_args,
            users: Mutex::default(),
            secret,
            publisher,
            watch,
            change: Mutex::default(),
            told: if told::is_asked_for() { Some(ThreeNodes::start().await?) } else { None },
            proxy: None,
            given: None,
        };
        pod.add_servers(options.servers).await?;
        pod.add_user(User::new(APP.0, Password::Sha2(APP.1.to_owned()))).await?;
        if options.has_proxy {
            pod.proxy = Some(start_proxy(pod.secret.clone(), pod.watch(), options.configure).await?);
        }
        Ok(pod)
    }

    /// Starts further servers, at once, with all the pod's users, and puts them into the map; returns their numbers.
    pub async fn add_servers(&self, count: usize) -> anyhow::Result<Vec<ServerId>> {
        let options = ServerOptions { extra_args: self.server_args.clone(), ..ServerOptions::default() };
        let source = match &self.source {
            Some(source) => source.clone(),
            None => tokio::task::spawn_blocking(mysql_source).await?.clone(),
        };
        let started = LocalServer::start_all_async(&source, vec![options; count]).await?;
        let mut added = Vec::new();
        for server in started {
            let mut servers = self.servers.lock().await;
            let id = ServerId(u32::try_from(servers.len())?);
            let login = server.admin();
            servers.push(Arc::new(server));
            drop(servers);
            let mut conn = login.connect().await?;
            let facts = read_facts(&mut conn).await?;
            ensure_transactions(&mut conn, &self.secret, &facts.uuid).await?;
            self.change_map(|map| {
                map.names = facts.names();
                map.put_server(facts.server(id, &login));
            })
            .await?;
            for user in self.users.lock().await.iter() {
                self.bring(user, id).await?;
            }
            added.push(id);
        }
        Ok(added)
    }

    /// A server of the pod.
    pub async fn server(&self, id: ServerId) -> Arc<LocalServer> {
        Arc::clone(&self.servers.lock().await[id.0 as usize])
    }

    /// The servers' numbers, lowest first.
    pub fn server_ids(&self) -> Vec<ServerId> {
        self.map().servers().map(|server| server.id).collect()
    }

    /// The given cluster, if that is what the pod is.
    pub(crate) fn as_given(&self) -> Option<&Given> {
        self.given.as_ref()
    }

    /// The map as it is now.
    pub fn map(&self) -> Arc<Map> {
        self.watch.current()
    }

    /// A watch on the pod's map.
    pub fn watch(&self) -> MapWatch {
        self.told.as_ref().map_or_else(|| self.watch.clone(), ThreeNodes::watch)
    }

    /// The secret that the proxy's passwords are derived from.
    pub fn secret(&self) -> &ClusterSecret {
        &self.secret
    }

    /// Publishes a changed map, as the topology would.
    pub async fn change_map(&self, change: impl FnOnce(&mut Map)) -> anyhow::Result<()> {
        anyhow::ensure!(self.given.is_none(), "the map of a given cluster is its topology's");
        let _alone = self.change.lock().await;
        let before = self.publisher.current();
        let mut map = (*before).clone();
        change(&mut map);
        map.revision = Revision(map.revision.0 + 1);
        map.schema_version += 1;
        if let Some(told) = &self.told {
            let servers = self.servers.lock().await;
            let passwords: Vec<String> =
                servers.iter().map(|server| server.root_password().to_owned()).collect();
            drop(servers);
            told.tell(&before, &map, &passwords).await?;
        }
        Ok(self.publisher.publish(map)?)
    }

    /// Makes a user on every server, and puts its account into the map.
    pub async fn add_user(&self, user: User) -> anyhow::Result<()> {
        let account = match (user.unsalted_account(), &user.password) {
            (Some(account), _) => account,
            (None, Password::Sha2(password)) => {
                let mut conn = self.admin(self.server_ids()[0]).await?;
                create_user(&mut conn, &user.account_name(), password).await?;
                read_account(&mut conn, &user.account_name()).await?
            }
            (None, _) => anyhow::bail!("{} has a password of no kind", user.name),
        };
        if let Some(given) = &self.given {
            given.adopt(account).await?;
        } else {
            self.change_map(|map| {
                map.accounts.retain(|known| known.name != account.name);
                map.accounts.push(Arc::new(account));
            })
            .await?;
        }
        for id in self.server_ids() {
            self.bring(&user, id).await?;
        }
        self.users.lock().await.push(user);
        Ok(())
    }

    /// Grants anew what users may do: keyspaces that came later have schemas that earlier grants could not name.
    pub(crate) async fn bring_all_users(&self, id: ServerId) -> anyhow::Result<()> {
        for user in self.users.lock().await.iter() {
            if user.grants.iter().any(|grant| grant.keyspace.is_some()) {
                self.bring(user, id).await?;
            }
        }
        Ok(())
    }

    async fn bring(&self, user: &User, id: ServerId) -> anyhow::Result<()> {
        let map = self.map();
        let name = user.account_name();
        let account = map.accounts.iter().find(|account| account.name == name).context("no such account")?;
        let server = map.server(id).with_context(|| format!("no {id}"))?;
        let password = self.secret.backend_password(&name, &server.uuid);
        let grants: Vec<String> = user.grants.iter().flat_map(|grant| grant_texts(grant, &map, id)).collect();
        ensure_account(&mut self.admin(id).await?, account, &grants, &password).await?;
        Ok(())
    }

    /// A connection to a server, beside the proxy, as its administrator.
    pub async fn admin(&self, id: ServerId) -> anyhow::Result<Conn> {
        match &self.given {
            Some(given) => Ok(given.admin(id)?.connect().await?),
            None => Ok(self.server(id).await.admin().connect().await?),
        }
    }

    /// Where the proxy accepts clients. Panics in a pod without one.
    pub fn address(&self) -> SocketAddr {
        let own = self.proxy.as_ref().map(|proxy| proxy.address);
        let given = self.given.as_ref().map(|given| given.proxy);
        own.or(given).unwrap_or_else(|| panic!("this pod has no proxy"))
    }

    /// The proxy. Panics in a pod without one.
    pub fn proxy(&self) -> &RunningProxy {
        self.proxy.as_ref().unwrap_or_else(|| panic!("this pod has no proxy of its own"))
    }

    /// Another proxy before the same servers, which follows a map of its own.
    pub async fn another_proxy(
        &self,
        watch: MapWatch,
        configure: impl FnOnce(&mut ProxyConfig) + Send + 'static,
    ) -> anyhow::Result<RunningProxy> {
        let secret = self.secret.clone();
        harness().spawn(async move { start_proxy(secret, watch, configure).await }).await?
    }

    /// Another proxy before the same servers, of a cluster with its own secret and map.
    pub async fn proxy_of(&self, secret: ClusterSecret, watch: MapWatch) -> anyhow::Result<RunningProxy> {
        harness().spawn(async move { start_proxy(secret, watch, |_| {}).await }).await?
    }

    /// Options of a client of the proxy's, as [`APP`]; override what a test wants otherwise.
    pub fn client_options(&self) -> OptsBuilder {
        OptsBuilder::default()
            .ip_or_hostname(self.address().ip().to_string())
            .tcp_port(self.address().port())
            .user(Some(APP.0))
            .pass(Some(APP.1))
            .prefer_socket(false)
    }

    /// Where a server answers to this process.
    pub fn server_address(&self, id: ServerId) -> anyhow::Result<(String, u16)> {
        if let Some(given) = &self.given {
            let address = given.address(id)?;
            return Ok((address.ip().to_string(), address.port()));
        }
        let map = self.map();
        let server: &Server = map.server(id).with_context(|| format!("no {id}"))?;
        Ok((server.host.to_string(), server.port))
    }

    /// Options of a client of a server's, beside the proxy, as [`APP`].
    pub fn direct_options(&self, id: ServerId) -> anyhow::Result<OptsBuilder> {
        let (host, port) = self.server_address(id)?;
        Ok(OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(port)
            .user(Some(APP.0))
            .pass(Some(APP.1))
            .prefer_socket(false))
    }

    /// A connection through the proxy, as [`APP`], without a current database.
    pub async fn connect(&self) -> anyhow::Result<Conn> {
        Ok(Conn::new(self.client_options()).await?)
    }
}

/// The grant on one server: one text for each of the keyspace's schemas there.
fn grant_texts(grant: &Grant, map: &Map, id: ServerId) -> Vec<String> {
    let Some(keyspace) = &grant.keyspace else {
        return vec![format!("{} ON *.*", grant.privileges)];
    };
    let shards =
        map.keyspace_spelled(keyspace).map(|keyspace| keyspace.shards.as_slice()).unwrap_or_default();
    let schemas: BTreeSet<&str> =
        shards.iter().filter(|shard| shard.server == id).map(|shard| shard.schema.as_str()).collect();
    schemas.into_iter().map(|schema| schema_grant(&grant.privileges, schema)).collect()
}

/// A secret of this pod's own.
fn rand_bytes() -> [u8; 32] {
    rand::random()
}
