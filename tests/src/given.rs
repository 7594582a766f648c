//! A given cluster, as the pod of tests that need no other: keyspaces, tables and accounts are made by commands of its topology, whose map is followed, and
//! servers are reached at the addresses that this machine has for them. Nothing is started or stopped, and what a run leaves is replaced by the next.
//!
//! `PODWAY_TEST_PROXY`, `PODWAY_TEST_SERVERS` and `PODWAY_TEST_TOPOLOGY` name addresses, `PODWAY_TEST_SECRETS` the folder with what
//! `compose/make-secrets` made; the defaults are those of `tests/compose/ports.yml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use podway::provision::AdminLogin;
use podway::topology_access::TopologyArgs;
use podway_model::{Account, ClusterSecret, Map, NameRule, Revision, ServerId, Table};
use podway_topology_api::{
    AccountCommand, Command, Credentials, Following, KeyspaceCommand, Lease, MapWatch, NewShard, Proposer,
    ProxyView, TableCommand, TopologyClient, TopologyStore, follow, map_channel,
};

use crate::eventually::eventually_async;

const PROXY: &str = "127.0.0.1:6033";
const SERVERS: &str =
    "mysql-a=127.0.0.1:33061,mysql-b=127.0.0.1:33062,mysql-c=127.0.0.1:33063,mysql-d=127.0.0.1:33064";
const TOPOLOGY: &str = "127.0.0.1:7471,127.0.0.1:7472,127.0.0.1:7473";
/// The name that all nodes' certificates carry, whatever their address.
const TOPOLOGY_NAME: &str = "topology";
/// A question to the topology that takes longer is not waited for.
const WITHIN: Duration = Duration::from_secs(8);
/// How long a change may take to be everywhere.
const SEEN_WITHIN: Duration = Duration::from_secs(20);

/// The way into a given cluster.
pub(crate) struct Given {
    /// A proxy.
    pub(crate) proxy: SocketAddr,
    pub(crate) secret: ClusterSecret,
    pub(crate) watch: MapWatch,
    store: TopologyClient,
    proposer: Proposer<TopologyClient>,
    credentials: Credentials,
    /// Where each server answers here, by the host that the topology knows it under.
    servers: BTreeMap<String, SocketAddr>,
    /// Feeds the watch.
    _following: Following,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("proxy", &self.proxy).finish_non_exhaustive()
    }
}

fn variable(name: &str, default: &str) -> String {
    std::env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

impl Given {
    /// Reaches the cluster and waits for its map.
    pub(crate) async fn reach() -> anyhow::Result<Given> {
        let secrets = PathBuf::from(variable("PODWAY_TEST_SECRETS", default_secrets().as_str()));
        let args = TopologyArgs {
            topology: variable("PODWAY_TEST_TOPOLOGY", TOPOLOGY).split(',').map(str::to_owned).collect(),
            topology_token_file: Some(secrets.join("topology.token")),
            topology_ca: Some(secrets.join("topology-ca.pem")),
            topology_name: Some(TOPOLOGY_NAME.to_owned()),
            ..TopologyArgs::default()
        };
        let store = args.client_within(WITHIN)?;
        let credentials =
            store.credentials().await.context("the given cluster's topology does not answer")?;
        let (publisher, watch) = map_channel(Map::empty(NameRule::default()));
        let given = Given {
            proxy: variable("PODWAY_TEST_PROXY", PROXY).parse().context("PODWAY_TEST_PROXY")?,
            secret: credentials.secret.clone(),
            watch,
            proposer: Proposer::new(store.clone(), "tests"),
            servers: servers(&variable("PODWAY_TEST_SERVERS", SERVERS))?,
            credentials,
            _following: follow(store.clone(), publisher),
            store,
        };
        let newest = given.store.read(true).await?.revision;
        given.wait_for(newest).await;
        Ok(given)
    }

    /// Where a server answers.
    pub(crate) fn address(&self, id: ServerId) -> anyhow::Result<SocketAddr> {
        let map = self.watch.current();
        let server = map.server(id).with_context(|| format!("no {id}"))?;
        let found = self.servers.get(&*server.host).copied();
        found.with_context(|| format!("PODWAY_TEST_SERVERS says nothing of {}", server.host))
    }

    /// How to log in to a server as its administrator.
    pub(crate) fn admin(&self, id: ServerId) -> anyhow::Result<AdminLogin> {
        let address = self.address(id)?;
        let admin =
            self.credentials.admin(id).with_context(|| format!("the topology has no login for {id}"))?;
        Ok(AdminLogin {
            host: address.ip().to_string(),
            port: address.port(),
            user: admin.user.to_string(),
            password: admin.password.reveal().to_owned(),
        })
    }

    /// Makes a keyspace of shards on these servers, in the place of one that an earlier run left.
    pub(crate) async fn create_keyspace(
        &self,
        name: &str,
        shards: &[(ServerId, &str)],
    ) -> anyhow::Result<()> {
        let view = self.store.read(true).await?;
        if view.keyspaces.iter().any(|keyspace| keyspace.name.as_str() == name) {
            let command = KeyspaceCommand::Drop { name: name.into(), with_tables: true };
            self.propose(Command::Keyspace(command)).await?;
        }
        let named = |(id, schema): &(ServerId, &str)| {
            let server = view.servers.iter().find(|server| server.id == *id);
            let server = server.with_context(|| format!("no {id}"))?;
            anyhow::Ok(NewShard {
                server: server.name.clone(),
                schema: Some((*schema).into()),
                ranges: Vec::new(),
            })
        };
        let shards = shards.iter().map(named).collect::<anyhow::Result<_>>()?;
        self.propose(Command::Keyspace(KeyspaceCommand::Create { name: name.into(), shards, home: 0 })).await
    }

    /// Declares a table.
    pub(crate) async fn declare(&self, keyspace: &str, table: Table) -> anyhow::Result<()> {
        let command = TableCommand::Declare { keyspace: keyspace.into(), table, next: None };
        self.propose(Command::Table(command)).await
    }

    /// Lets an account in.
    pub(crate) async fn adopt(&self, account: Account) -> anyhow::Result<()> {
        self.propose(Command::Account(AccountCommand::Adopt(account))).await
    }

    /// Makes a change, and waits until it is seen here and by all proxies that have a lease.
    async fn propose(&self, command: Command) -> anyhow::Result<()> {
        self.proposer.propose(command).await?;
        let newest = self.store.read(true).await?.revision;
        self.wait_for(newest).await;
        Ok(())
    }

    async fn wait_for(&self, revision: Revision) {
        eventually_async(SEEN_WITHIN, "the map reaches this process and the proxies", || async {
            let view = self.store.read(false).await.ok()?;
            let is_living = |proxy: &&ProxyView| matches!(proxy.lease, Lease::Until(_));
            let all = view.proxies.iter().filter(is_living).all(|proxy| proxy.applied >= revision);
            (all && self.watch.current().revision >= revision).then_some(())
        })
        .await;
    }
}

/// `target/compose-secrets` of this repository.
fn default_secrets() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../target/compose-secrets").to_owned()
}

fn servers(text: &str) -> anyhow::Result<BTreeMap<String, SocketAddr>> {
    let one = |entry: &str| {
        let (host, address) = entry.split_once('=').context("PODWAY_TEST_SERVERS: it is HOST=ADDRESS,…")?;
        Ok((host.trim().to_owned(), address.trim().parse().context("PODWAY_TEST_SERVERS")?))
    };
    text.split(',').map(one).collect()
}
