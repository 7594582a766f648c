//! `podway server`: MySQL servers added after a comparison with those that are there, shown, and removed. Nothing is changed on them, but by a promotion, which stands elsewhere.

use std::path::PathBuf;

use podway_topology_api::{Command, Done, ServerCommand, ServerView, View};
use serde::Serialize;

use super::bring::bring_users;
use super::context::{Common, Context};
use super::error::AdminError;
use super::find;
use super::print::{self, Row, counted};
use super::promote::{self, PromoteArgs};
use super::secret_input::SecretInput;
use super::server_facts::{address, admin_account, any_traits, facts, join_address};
use crate::provision::{AdminLogin, TransactionsReady, ensure_transactions, missing_rights, read_traits};
use crate::serve::server_address;

const EXAMPLES: &str = "\
Examples:
  podway server add a 10.0.0.1:3306 --admin-user podway_admin --admin-password-file a.password
  PASSWORD=… podway server add b 10.0.0.2 --admin-user podway_admin --admin-password-env PASSWORD
  podway server list
  podway server remove b
  podway server promote a --at 10.0.0.11:3306 --stop-replica

The administrative account makes users, copies shards and ends what is in the way: docs/operations.md lists the privileges
that it needs, and what it lacks is named. The topology keeps its password as a secret. The users and roles of the other
servers are brought to the new one.";

/// Adds, shows and removes MySQL servers
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum ServerCommandLine {
    /// Adds a MySQL server, after comparing it with the others
    #[command(after_help = EXAMPLES)]
    Add {
        /// Its name for people
        name: String,
        /// Where it answers: host or host:port
        address: String,
        /// As whom to administer it
        #[command(flatten)]
        admin: AdminArgs,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Removes a server that holds no shard; nothing is changed on it
    Remove {
        /// The server
        name: String,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Points a server's record at its promoted replica, after fencing the old primary
    Promote(PromoteArgs),
    /// Shows one server
    Show {
        /// The server
        name: String,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Lists the servers
    List {
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
}

/// As whom to administer a server.
#[derive(Debug, clap::Args)]
pub struct AdminArgs {
    /// As whom Podway logs in to administer it
    #[arg(long, value_name = "USER")]
    admin_user: String,
    /// The file with the password
    #[arg(long, value_name = "FILE", group = "admin_password")]
    admin_password_file: Option<PathBuf>,
    /// The environment variable with the password
    #[arg(long, value_name = "NAME", group = "admin_password")]
    admin_password_env: Option<String>,
    /// Read the password from standard input
    #[arg(long, group = "admin_password")]
    admin_password_stdin: bool,
}

/// A server in a list.
#[derive(Serialize)]
struct ServerRow {
    id: u32,
    name: String,
    address: String,
    version: String,
    admin: String,
    uuid: String,
    shards: usize,
}

impl Row for ServerRow {
    const HEAD: &'static [&'static str] = &["server", "address", "version", "admin", "#shards", "uuid"];

    fn cells(&self) -> Vec<String> {
        let ServerRow { name, address, version, admin, uuid, shards, .. } = self;
        vec![name.clone(), address.clone(), version.clone(), admin.clone(), shards.to_string(), uuid.clone()]
    }
}

impl ServerRow {
    fn of(server: &ServerView, view: &View) -> ServerRow {
        let shards = view.keyspaces.iter().flat_map(|keyspace| &keyspace.shards);
        ServerRow {
            id: server.id.0,
            name: server.name.to_string(),
            address: address(server),
            version: server.version.to_string(),
            admin: server.admin.to_string(),
            uuid: server.uuid.to_string(),
            shards: shards.filter(|shard| shard.server == server.id).count(),
        }
    }

    fn properties(&self) -> [(&'static str, String); 7] {
        [
            ("server", self.name.clone()),
            ("number", self.id.to_string()),
            ("address", self.address.clone()),
            ("version", self.version.clone()),
            ("admin", self.admin.clone()),
            ("uuid", self.uuid.clone()),
            ("shards", self.shards.to_string()),
        ]
    }
}

/// Runs it.
pub(super) async fn run(line: ServerCommandLine) -> Result<(), AdminError> {
    match line {
        ServerCommandLine::Add { name, address, admin, common } => {
            let login = login(&address, &admin)?;
            let context = Context::new(&common)?;
            let added = add(&context, &name, &login).await?;
            Ok(print::done(&added, context.is_json)?)
        }
        ServerCommandLine::Remove { name, common } => {
            let context = Context::new(&common)?;
            let command = ServerCommand::Remove { name: name.as_str().into() };
            context.propose(Command::Server(command)).await?;
            Ok(print::done(&format!("server {name} removed; nothing was changed on it"), context.is_json)?)
        }
        ServerCommandLine::Promote(args) => promote::run(args).await,
        ServerCommandLine::Show { name, common } => {
            let context = Context::new(&common)?;
            let view = context.view().await?;
            let row = ServerRow::of(find::server(&view, &name)?, &view);
            Ok(print::one(&row, &row.properties(), context.is_json)?)
        }
        ServerCommandLine::List { common } => {
            let context = Context::new(&common)?;
            let view = context.view().await?;
            let rows: Vec<ServerRow> =
                view.servers.iter().map(|server| ServerRow::of(server, &view)).collect();
            Ok(print::list(&rows, context.is_json)?)
        }
    }
}

fn login(address: &str, admin: &AdminArgs) -> Result<AdminLogin, AdminError> {
    let (host, port) = server_address(address)
        .ok_or_else(|| AdminError::Usage(format!("{address:?} is no address; host:port is")))?;
    let password = SecretInput {
        flag: "--admin-password",
        file: admin.admin_password_file.as_deref(),
        variable: admin.admin_password_env.as_deref(),
        is_stdin: admin.admin_password_stdin,
    };
    Ok(AdminLogin { host, port, user: admin.admin_user.clone(), password: password.read()? })
}

/// Asks a server what it is, compares it with the others, and adds it. Returns what was done.
pub(super) async fn add(context: &Context, name: &str, login: &AdminLogin) -> Result<String, AdminError> {
    let mut conn = login.connect().await.map_err(AdminError::at(name))?;
    let traits = read_traits(&mut conn).await.map_err(AdminError::at(name))?;
    let refused = |reason: String| AdminError::refused(format!("server {name} is not added: {reason}"));
    if let Some(reason) = traits.unfit() {
        return Err(refused(reason));
    }
    let lacking = missing_rights(&mut conn).await.map_err(AdminError::at(name))?;
    if !lacking.is_empty() {
        let user = &login.user;
        return Err(refused(format!(
            "its administrative account {user} lacks {}; GRANT … ON *.* TO {user} WITH GRANT OPTION",
            lacking.join(", ")
        )));
    }
    let view = context.view().await?;
    let servers = context.servers(&view).await?;
    // The same server once more is the state's to answer.
    let others: Vec<&ServerView> =
        view.servers.iter().filter(|other| *other.uuid != *traits.facts.uuid).collect();
    let other = match others.is_empty() {
        true => None,
        false => Some(any_traits(&servers, &others).await.ok_or_else(|| {
            refused("no other server answers, so it cannot be compared with them".to_owned())
        })?),
    };
    if let Some((other_name, other)) = &other {
        let differences = traits.differences(other);
        if !differences.is_empty() {
            let listed: Vec<String> =
                differences.iter().map(|difference| format!("  {difference}")).collect();
            return Err(refused(format!(
                "it is not set as server {other_name} is, and a statement would mean something else depending on where its rows are:\n{}\nmake them the same (SET PERSIST, or its option file) and add it again",
                listed.join("\n")
            )));
        }
    }
    for note in traits.notes(other.as_ref().map(|(_, traits)| traits)) {
        print::note(&format!("server {name}: {note}"));
    }
    let secret = &servers.credentials.secret;
    let ready = ensure_transactions(&mut conn, secret, &traits.facts.uuid).await;
    if let TransactionsReady::Unfit(why) = ready.map_err(AdminError::at(name))? {
        print::note(&format!("server {name}: it takes no part in transactions over several servers: {why}"));
    }
    bring_users(&servers, &others, &mut conn, (name, login)).await?;
    let facts = facts(&traits, login);
    let command = ServerCommand::Add { name: name.into(), facts, admin: admin_account(login) };
    let address = join_address(&login.host, login.port);
    let compared = other.map(|(other, _)| format!(", set as {other} is")).unwrap_or_default();
    let done = context.propose(Command::Server(command)).await?;
    // Who was made meanwhile; statements about users that begin from now on reach the new server too.
    bring_users(&servers, &others, &mut conn, (name, login)).await?;
    match done {
        Done::Server(id) => {
            Ok(format!("server {name} at {address} is {id}: MySQL {}{compared}", traits.facts.version))
        }
        _ => Ok(format!("server {name} at {address} added")),
    }
}

/// "3 servers", for a line about all.
pub(super) fn count(view: &View) -> String {
    counted(view.servers.len(), "server")
}
