//! What every command has at hand: the topology, in whose name it speaks, and the servers as their administrator. Commands decide; nothing is
//! printed here.

use std::time::Duration;

use mysql_async::Conn;
use podway_model::{AccountName, ServerId};
use podway_topology_api::{
    Command, Credentials, Done, Proposer, ServerView, StoreError, TopologyClient, TopologyStore, View,
};

use super::error::AdminError;
use super::print;
use crate::provision::AdminLogin;
use crate::topology_access::TopologyArgs;

/// An answer that takes longer is not waited for: longer than an election takes.
const DEADLINE: Duration = Duration::from_secs(8);

/// What every administrative command takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
    /// Where the topology is
    #[command(flatten)]
    pub topology: TopologyArgs,
}

/// The topology, for one command.
pub(super) struct Context {
    /// It.
    pub(super) store: TopologyClient,
    /// Whether answers are JSON.
    pub(super) is_json: bool,
    proposer: Proposer<TopologyClient>,
    addresses: String,
}

impl Context {
    pub(super) fn new(common: &Common) -> Result<Context, AdminError> {
        let store = common.topology.client_within(DEADLINE)?;
        let proposer = Proposer::new(store.clone(), &person());
        Ok(Context { store, is_json: common.json, proposer, addresses: common.topology.addresses() })
    }

    /// Everything that may be seen, with every change that was answered before.
    pub(super) async fn view(&self) -> Result<View, AdminError> {
        self.store.read(true).await.map_err(|error| self.failed(error))
    }

    /// Makes a change.
    pub(super) async fn propose(&self, command: Command) -> Result<Done, AdminError> {
        match self.proposer.propose(command).await {
            Err(podway_topology_api::ProposeError::Store(error)) => Err(self.failed(error)),
            answered => Ok(answered?),
        }
    }

    /// The servers, to be logged in to.
    pub(super) async fn servers(&self, view: &View) -> Result<Servers, AdminError> {
        let credentials = self.store.credentials().await.map_err(|error| self.failed(error))?;
        let accounts = view.accounts.iter().map(|account| account.name.clone()).collect();
        Ok(Servers { known: view.servers.clone(), accounts, credentials })
    }

    /// An answer that did not come, with what to do.
    pub(super) fn failed(&self, error: StoreError) -> AdminError {
        match error {
            StoreError::Away { .. } => AdminError::Away { error, addresses: self.addresses.clone() },
            other => AdminError::Store(other),
        }
    }
}

/// The servers with what lets Podway in.
pub(super) struct Servers {
    known: Vec<ServerView>,
    accounts: Vec<AccountName>,
    /// The cluster's secret and the administrators.
    pub(super) credentials: Credentials,
}

impl Servers {
    /// All servers.
    pub(super) fn all(&self) -> &[ServerView] {
        &self.known
    }

    /// Whether an account may log in through Podway.
    pub(super) fn may_log_in(&self, name: &AccountName) -> bool {
        self.accounts.contains(name)
    }

    /// How to log in to a server.
    pub(super) fn login(&self, server: &ServerView) -> Result<AdminLogin, AdminError> {
        let admin = self.credentials.admin(server.id);
        let admin = admin.ok_or_else(|| {
            AdminError::refused(format!("the topology has no login for server {}", server.name))
        })?;
        Ok(AdminLogin {
            host: server.host.to_string(),
            port: server.port,
            user: admin.user.to_string(),
            password: admin.password.reveal().to_owned(),
        })
    }

    /// Logs in to a server by its number, and says its name.
    pub(super) async fn connect(&self, id: ServerId) -> Result<(Conn, &str), AdminError> {
        let server = self.known.iter().find(|server| server.id == id);
        let server = server.ok_or_else(|| AdminError::refused(format!("{id} is not in the topology")))?;
        let conn = self.login(server)?.connect().await.map_err(AdminError::at(&server.name))?;
        Ok((conn, &server.name))
    }

    /// The same; a server that does not answer is left out, which is told.
    pub(super) async fn connect_or_leave_out(&self, id: ServerId) -> Option<(Conn, &str)> {
        let connected = self.connect(id).await;
        connected.inspect_err(|error| print::note(&format!("left out: {error}"))).ok()
    }
}

/// Who types, as the log of changes will say: `ann@host`.
fn person() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let user = user.ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "somebody".to_owned());
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
    match host.filter(|host| !host.is_empty()) {
        Some(host) => format!("{user}@{host}"),
        None => user,
    }
}
