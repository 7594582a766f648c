//! The demo's topology: one node in this process, told what the layout says, as far as it does not know it yet. What somebody declared or set
//! since then stays. Read next: `load`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use podway_model::{Account, Shard};
use podway_topology::{LocalStore, NodeConfig, StartError, TopologyNode};
use podway_topology_api::{
    AccountCommand, AdminAccount, Command, KeyspaceCommand, NewShard, ProposeError, Proposer, Refusal,
    Secret, ServerCommand, ServerFacts, TableCommand,
};

use super::error::DemoError;
use super::shop::KEYSPACE;
use crate::provision::{AdminLogin, key_rules};
use crate::topology_access::DEFAULT_TOPOLOGY;

/// A node alone has a leader within moments.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Starts the node where `podway status` looks for it, or on a port of the system's choice where that is taken.
pub(super) async fn start_node(folder: Option<PathBuf>) -> Result<TopologyNode, DemoError> {
    let elsewhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let usual = DEFAULT_TOPOLOGY.parse().unwrap_or(elsewhere);
    let config = |listen| {
        let mut config = NodeConfig::embedded(folder.clone());
        config.clients.listen = listen;
        config.tuning.statements.rules = key_rules();
        config
    };
    let node = match TopologyNode::start(config(usual)).await {
        Err(StartError::Port(_)) => TopologyNode::start(config(elsewhere)).await?,
        started => started?,
    };
    match node.wait_until_ready(READY_WITHIN).await {
        Ok(()) => Ok(node),
        Err(error) => {
            node.stop().await;
            Err(error.into())
        }
    }
}

/// Tells the topology what there is, one thing after another. Telling it again changes nothing.
pub(super) struct Teller {
    proposer: Proposer<LocalStore>,
}

impl Teller {
    pub(super) fn new(store: LocalStore) -> Teller {
        Teller { proposer: Proposer::new(store, "podway demo") }
    }

    /// A server: new, or at another port than at the last start.
    pub(super) async fn server(
        &self,
        name: &str,
        facts: ServerFacts,
        login: &AdminLogin,
    ) -> Result<(), DemoError> {
        let name: Box<str> = name.into();
        let admin = AdminAccount { user: login.user.as_str().into(), password: Secret::new(&login.password) };
        let update = ServerCommand::Update { name: name.clone(), facts: facts.clone() };
        match self.propose(Command::Server(update)).await {
            Ok(()) => self.propose(Command::Server(ServerCommand::SetAdmin { name, admin })).await,
            Err(DemoError::Propose(ProposeError::Refused(Refusal::Unknown { .. }))) => {
                self.propose(Command::Server(ServerCommand::Add { name, facts, admin })).await
            }
            Err(error) => Err(error),
        }
    }

    /// The shop's keyspace, unless there is one; `name` says what a shard's server is called.
    pub(super) async fn keyspace(
        &self,
        shards: &[Shard],
        name: impl Fn(&Shard) -> String,
    ) -> Result<(), DemoError> {
        let new = |shard: &Shard| NewShard {
            server: name(shard).into(),
            schema: Some(shard.schema.as_str().into()),
            ranges: Vec::new(),
        };
        let shards = shards.iter().map(new).collect();
        let create = KeyspaceCommand::Create { name: KEYSPACE.into(), shards, home: 0 };
        self.propose_new(Command::Keyspace(create)).await
    }

    /// A table of the shop's, unless somebody declared it otherwise.
    pub(super) async fn table(&self, table: podway_model::Table) -> Result<(), DemoError> {
        self.propose_new(Command::Table(TableCommand::Declare {
            keyspace: KEYSPACE.into(),
            table,
            next: None,
        }))
        .await
    }

    /// The user, with the string that the servers have now.
    pub(super) async fn account(&self, account: Account) -> Result<(), DemoError> {
        self.propose(Command::Account(AccountCommand::Adopt(account))).await
    }

    /// Leaves alone what is there already.
    async fn propose_new(&self, command: Command) -> Result<(), DemoError> {
        match self.proposer.propose(command).await {
            Ok(_) | Err(ProposeError::Refused(Refusal::Exists { .. })) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn propose(&self, command: Command) -> Result<(), DemoError> {
        self.proposer.propose(command).await?;
        Ok(())
    }
}
