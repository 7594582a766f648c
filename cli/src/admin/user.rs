//! `podway user`: MySQL accounts, made and changed on every server and in the topology. What they may do is MySQL's own business; Podway's own
//! password of each is the second one beside the user's.

use std::path::PathBuf;

use podway_model::{AccountName, HostPattern, NameRule, Server, Shard};
use podway_topology_api::{
    AccountCommand, AccountView, Command, Done, KeyspaceView, NewOperation, Operation, OperationCommand,
    OperationState, TargetState, View,
};
use serde::Serialize;

use super::context::{Common, Context, Servers};
use super::error::AdminError;
use super::find;
use super::operation;
use super::print::{self, Row};
use super::secret_input::SecretInput;
use super::server::count;
use super::user_statements as statements;
use crate::provision::{ProvisionError, read_facts};
use crate::serve::{Adoption, ReachedServer, ServerPlan, UsersPlan};

const EXAMPLES: &str = "\
Examples:
  podway user create app --password-file app.password --grant 'SELECT, INSERT, UPDATE, DELETE' --on shop
  podway user adopt --all                        the accounts that the servers have, with their passwords
  podway user adopt app report@10.%
  podway user passwd app --password-stdin
  podway user drop app";

/// Makes, adopts, changes and drops users
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum UserCommandLine {
    /// Lists the users that may log in
    List {
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Makes a user on every server, and lets it in
    #[command(after_help = EXAMPLES)]
    Create {
        /// USER or USER@HOST; the host is % if none is given
        #[arg(value_parser = parse_name)]
        user: AccountName,
        /// The password
        #[command(flatten)]
        password: PasswordArgs,
        /// What it is to be allowed
        #[command(flatten)]
        grant: GrantArgs,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Lets in accounts that the servers have, with the passwords that they have
    Adopt {
        /// USER or USER@HOST
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        users: Vec<String>,
        /// All that have a password and are not locked
        #[arg(long)]
        all: bool,
        /// What it is to be allowed
        #[command(flatten)]
        grant: GrantArgs,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Lets a user in no more, and drops it on every server
    Drop {
        /// USER or USER@HOST
        #[arg(value_parser = parse_name)]
        user: AccountName,
        /// Leave it on the servers, where it still gets in directly
        #[arg(long)]
        keep_on_servers: bool,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Changes a user's password on every server
    Passwd {
        /// USER or USER@HOST
        #[arg(value_parser = parse_name)]
        user: AccountName,
        /// The password
        #[command(flatten)]
        password: PasswordArgs,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
}

/// Where the password is.
#[derive(Debug, clap::Args)]
pub struct PasswordArgs {
    /// The file with the password
    #[arg(long, value_name = "FILE", group = "password")]
    password_file: Option<PathBuf>,
    /// The environment variable with the password
    #[arg(long, value_name = "NAME", group = "password")]
    password_env: Option<String>,
    /// Read the password from standard input
    #[arg(long, group = "password")]
    password_stdin: bool,
}

/// What the user is to be allowed.
#[derive(Debug, clap::Args)]
pub struct GrantArgs {
    /// Privileges on the schemas of all shards, as GRANT takes them
    #[arg(long, value_name = "PRIVILEGES")]
    grant: Option<String>,
    /// Of this keyspace only
    #[arg(long, value_name = "KEYSPACE", requires = "grant")]
    on: Option<String>,
}

fn parse_name(text: &str) -> Result<AccountName, String> {
    let (user, host) = text.rsplit_once('@').unwrap_or((text, "%"));
    if user.is_empty() {
        return Err("a user is named as USER or USER@HOST".to_owned());
    }
    Ok(AccountName { user: user.into(), host: HostPattern::new(host) })
}

impl PasswordArgs {
    fn read(&self) -> Result<String, AdminError> {
        let input = SecretInput {
            flag: "--password",
            file: self.password_file.as_deref(),
            variable: self.password_env.as_deref(),
            is_stdin: self.password_stdin,
        };
        let password = input.read()?;
        if password.is_empty() {
            return Err(AdminError::Usage(
                "the password is empty, and MySQL keeps no second one beside an empty one".to_owned(),
            ));
        }
        Ok(password)
    }
}

/// A user in a list.
#[derive(Serialize)]
struct UserRow {
    user: String,
    plugin: &'static str,
    requires_tls: bool,
    is_locked: bool,
}

impl Row for UserRow {
    const HEAD: &'static [&'static str] = &["user", "plugin", "tls", "locked"];

    fn cells(&self) -> Vec<String> {
        let word = |is: bool, yes: &str| if is { yes } else { "-" }.to_owned();
        vec![
            self.user.clone(),
            self.plugin.to_owned(),
            word(self.requires_tls, "required"),
            word(self.is_locked, "locked"),
        ]
    }
}

impl From<&AccountView> for UserRow {
    fn from(account: &AccountView) -> UserRow {
        use podway_model::AuthPlugin;
        UserRow {
            user: account.name.to_string(),
            plugin: match account.plugin {
                AuthPlugin::CachingSha2Password => "caching_sha2_password",
                AuthPlugin::MysqlNativePassword => "mysql_native_password",
            },
            requires_tls: account.requires_tls,
            is_locked: account.locked,
        }
    }
}

/// Runs it.
pub(super) async fn run(line: UserCommandLine) -> Result<(), AdminError> {
    match line {
        UserCommandLine::List { common } => {
            let context = Context::new(&common)?;
            let view = context.view().await?;
            let rows: Vec<UserRow> = view.accounts.iter().map(UserRow::from).collect();
            Ok(print::list(&rows, context.is_json)?)
        }
        UserCommandLine::Create { user, password, grant, common } => {
            let password = password.read()?;
            create(&Context::new(&common)?, &user, &password, &grant).await
        }
        UserCommandLine::Adopt { users, all: _, grant, common } => {
            let context = Context::new(&common)?;
            let view = context.view().await?;
            let servers = context.servers(&view).await?;
            let shards = shards(&view, grant.on.as_deref())?;
            let adopted =
                adopt(&context, &view, &servers, &UsersPlan::of(users, grant.grant), shards).await?;
            let line = format!(
                "let in: {}",
                if adopted.is_empty() { "nobody".to_owned() } else { adopted.join(", ") }
            );
            print::done(&line, context.is_json)?;
            if adopted.is_empty() { Err(AdminError::refused("no account was adopted")) } else { Ok(()) }
        }
        UserCommandLine::Drop { user, keep_on_servers, common } => {
            drop_one(&Context::new(&common)?, &user, keep_on_servers).await
        }
        UserCommandLine::Passwd { user, password, common } => {
            let password = password.read()?;
            passwd(&Context::new(&common)?, &user, &password).await
        }
    }
}

/// ER_CANNOT_USER: of CREATE USER, that a server has the account.
const CANNOT_USER: u16 = 1396;

async fn create(
    context: &Context,
    user: &AccountName,
    password: &str,
    grant: &GrantArgs,
) -> Result<(), AdminError> {
    let view = context.view().await?;
    if view.accounts.iter().any(|known| known.name == *user) {
        return Err(AdminError::refused(format!(
            "there is a user {user} already; `podway user passwd` changes its password"
        )));
    }
    let keyspaces = keyspaces(&view, grant.on.as_deref())?;
    if view.servers.is_empty() {
        return Err(AdminError::refused("there is no server yet; add one with `podway server add`"));
    }
    let made = settled(context, statements::create(user, password)).await?;
    let advice = if was_refused_with(&made, CANNOT_USER) {
        "; `podway user adopt` lets in an account that servers have"
    } else {
        ""
    };
    finished(&made, advice)?;
    let granted = match &grant.grant {
        Some(privileges) => {
            for keyspace in keyspaces {
                carry_out(context, statements::grant(user, privileges, &keyspace)).await?;
            }
            format!(" with {privileges}")
        }
        None => " without privileges (--grant gives some)".to_owned(),
    };
    Ok(print::done(&format!("user {user} made on {}{granted}", count(&view)), context.is_json)?)
}

async fn passwd(context: &Context, user: &AccountName, password: &str) -> Result<(), AdminError> {
    let view = context.view().await?;
    known(&view, user)?;
    carry_out(context, statements::change_password(user, password)).await?;
    Ok(print::done(&format!("user {user} has another password on {}", count(&view)), context.is_json)?)
}

async fn drop_one(context: &Context, user: &AccountName, keep_on_servers: bool) -> Result<(), AdminError> {
    let view = context.view().await?;
    known(&view, user)?;
    if keep_on_servers {
        context.propose(Command::Account(AccountCommand::Drop(user.clone()))).await?;
        return Ok(print::done(&format!("user {user} gets in through Podway no more"), context.is_json)?);
    }
    carry_out(context, statements::drop(user)).await?;
    Ok(print::done(&format!("user {user} dropped on {}", count(&view)), context.is_json)?)
}

/// Has the topology bring a statement to every server, and waits until they have it.
async fn carry_out(context: &Context, new: NewOperation) -> Result<(), AdminError> {
    finished(&settled(context, new).await?, "")
}

/// Has the topology bring a statement to every server, and waits for its end, good or bad.
async fn settled(context: &Context, new: NewOperation) -> Result<Operation, AdminError> {
    let Done::Began(id) = context.propose(Command::Operation(OperationCommand::Begin(new))).await? else {
        return Err(AdminError::refused("the topology did not begin the statement"));
    };
    operation::settled(context, id).await
}

/// Whether any server refused a statement with MySQL's error of this number.
fn was_refused_with(ended: &Operation, code: u16) -> bool {
    let by_targets = ended.targets.iter().filter_map(|(_, state)| match state {
        TargetState::Refused { error, .. } => Some(error),
        _ => None,
    });
    by_targets.chain(&ended.refusal).any(|error| error.code == code)
}

/// Refuses what did not end well, with advice where there is some.
fn finished(ended: &Operation, advice: &str) -> Result<(), AdminError> {
    let Operation { id, state, .. } = ended;
    match state {
        OperationState::Finished => Ok(()),
        _ => Err(AdminError::refused(format!("{id}: {state}{}{advice}", operation::why(ended)))),
    }
}

/// The keyspaces that privileges are to be granted on: one, or all.
fn keyspaces(view: &View, keyspace: Option<&str>) -> Result<Vec<String>, AdminError> {
    let named = match keyspace {
        Some(name) => vec![find::keyspace(view, name)?],
        None => view.keyspaces.iter().collect(),
    };
    Ok(named.into_iter().map(|keyspace| keyspace.name.as_str().to_owned()).collect())
}

fn known<'a>(view: &'a View, user: &AccountName) -> Result<&'a AccountView, AdminError> {
    view.accounts.iter().find(|known| known.name == *user).ok_or_else(|| {
        let alike = view.accounts.iter().find(|known| known.name.user == user.user);
        let advice = alike.map(|known| format!("; did you mean {}?", known.name)).unwrap_or_default();
        AdminError::refused(format!("there is no user {user}{advice}"))
    })
}

/// Adopts accounts that the servers have, and lets them in. Returns their names; what was found and done is noted.
pub(super) async fn adopt(
    context: &Context,
    view: &View,
    servers: &Servers,
    users: &UsersPlan,
    shards: Vec<Shard>,
) -> Result<Vec<String>, AdminError> {
    let (plans, mut reached) = reach(servers).await?;
    let adoption = Adoption { users, secret: &servers.credentials.secret, plans: &plans, shards };
    let mut notes = Vec::new();
    let adopted = adoption.adopt(&mut reached, &mut notes).await;
    notes.iter().for_each(|text| print::note(text));
    let mut names = Vec::new();
    for account in adopted? {
        let name = account.name.to_string();
        let is_new = !view.accounts.iter().any(|known| known.name == account.name);
        context.propose(Command::Account(AccountCommand::Adopt((*account).clone()))).await?;
        if is_new {
            names.push(name);
        }
    }
    Ok(names)
}

/// Logs in to all servers.
async fn reach(servers: &Servers) -> Result<(Vec<ServerPlan>, Vec<ReachedServer>), AdminError> {
    let (mut plans, mut reached) = (Vec::new(), Vec::new());
    for server in servers.all() {
        let (mut conn, name) = servers.connect(server.id).await?;
        let facts = read_facts(&mut conn).await.map_err(AdminError::at(name))?;
        if *facts.uuid != *server.uuid {
            return Err(AdminError::OnServer {
                server: name.to_owned(),
                error: Box::new(ProvisionError::OtherServer {
                    known: server.uuid.to_string(),
                    found: facts.uuid,
                }),
            });
        }
        let login = servers.login(server)?;
        let as_mapped = Server {
            id: server.id,
            host: server.host.clone(),
            port: server.port,
            uuid: server.uuid.clone(),
            version: server.version.clone(),
        };
        reached.push(ReachedServer { name: name.to_owned(), facts, server: as_mapped, conn });
        plans.push(ServerPlan { name: name.to_owned(), login });
    }
    Ok((plans, reached))
}

/// The shards that privileges are to be granted on: of one keyspace, or of all.
pub(super) fn shards(view: &View, keyspace: Option<&str>) -> Result<Vec<Shard>, AdminError> {
    let keyspaces: Vec<&KeyspaceView> = match keyspace {
        Some(name) => vec![find::keyspace(view, name)?],
        None => view.keyspaces.iter().collect(),
    };
    let shards = keyspaces.into_iter().flat_map(|keyspace| &keyspace.shards);
    let shard = |shard: &podway_topology_api::ShardView| Shard {
        id: shard.id,
        server: shard.server,
        schema: NameRule::CaseSensitive.name(shard.schema.as_str()),
        epoch: shard.epoch,
    };
    Ok(shards.map(shard).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_host_or_comes_from_anywhere() {
        assert_eq!(parse_name("app").unwrap().to_string(), "'app'@'%'");
        assert_eq!(parse_name("a@b@10.%").unwrap().to_string(), "'a@b'@'10.%'");
        assert!(parse_name("@%").is_err());
    }
}
