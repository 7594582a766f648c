//! The steps done, one after another, each as the command of its own would. What was done stays done when a later one fails.

use podway_model::AccountName;
use podway_topology_api::{Command, KeyspaceCommand, ServerCommand, SettingCommand, TableCommand};

use super::Allowed;
use super::steps::Step;
use crate::admin::context::{Context, Servers};
use crate::admin::error::AdminError;
use crate::admin::keyspace::prepare_schemas;
use crate::admin::table::declare_one;
use crate::admin::{find, server, server_facts, user};
use crate::provision::Wanted;
use crate::provision::{AdminLogin, read_accounts, read_traits};
use crate::serve::{FilePlan, UsersPlan};

/// The accounts that the file means and the servers have, those servers included that are yet to be added. Those that may not be adopted without harm are left out where that is plain.
pub(super) async fn candidates(servers: &Servers, plan: &FilePlan) -> Result<Vec<AccountName>, AdminError> {
    let Some(users) = &plan.users else { return Ok(Vec::new()) };
    let mut names: Vec<AccountName> = Vec::new();
    let mut logins: Vec<(String, AdminLogin)> = Vec::new();
    for known in servers.all() {
        logins.push((known.name.to_string(), servers.login(known)?));
    }
    for server in &plan.servers {
        let is_known = servers.all().iter().any(|known| known.name.eq_ignore_ascii_case(&server.name));
        if let (false, Some(login)) = (is_known, server.login()) {
            logins.push((server.name.clone(), login));
        }
    }
    for (name, login) in &logins {
        let mut conn = login.connect().await.map_err(AdminError::at(name))?;
        for account in read_accounts(&mut conn).await.map_err(AdminError::at(name))? {
            if users.wants(&account) == Ok(true) && !names.contains(&account.name) {
                names.push(account.name);
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Does one step. Returns what was done.
pub(super) async fn carry_out(
    context: &Context,
    step: &Step,
    allowed: &Allowed,
) -> Result<String, AdminError> {
    match step {
        Step::AddServer { name, login } => server::add(context, name, login).await,
        Step::ChangeServer { name, login, .. } => {
            change_server(context, name, login).await?;
            Ok(step.to_string())
        }
        Step::CreateKeyspace { name, shards, home } => {
            let command =
                KeyspaceCommand::Create { name: name.as_str().into(), shards: shards.clone(), home: *home };
            prepare(context, name, shards, allowed).await?;
            told(context, step, Command::Keyspace(command)).await
        }
        Step::SpreadKeyspace { name, shards } => {
            let command = KeyspaceCommand::Spread { name: name.as_str().into(), shards: shards.clone() };
            prepare(context, name, shards, allowed).await?;
            told(context, step, Command::Keyspace(command)).await
        }
        Step::MakeDefault { name } => {
            let command = KeyspaceCommand::MakeDefault { name: name.as_str().into() };
            told(context, step, Command::Keyspace(command)).await
        }
        Step::DeclareTable { keyspace, table, declaration } => {
            let view = context.view().await?;
            let servers = context.servers(&view).await?;
            let wanted = Wanted::new(table, declaration, allowed.rows_in_place);
            declare_one(context, &servers, find::keyspace(&view, keyspace)?, wanted).await
        }
        Step::AdoptUsers { users, grant } => adopt(context, users, grant.clone()).await,
        Step::Set { name, value } => {
            let command = SettingCommand::Set { name: name.as_str().into(), value: value.as_str().into() };
            told(context, step, Command::Setting(command)).await
        }
        Step::Reset { name } => {
            let command = SettingCommand::Reset { name: name.as_str().into() };
            told(context, step, Command::Setting(command)).await
        }
        Step::ForgetTable { keyspace, table } => {
            let command =
                TableCommand::Forget { keyspace: keyspace.as_str().into(), table: table.as_str().into() };
            told(context, step, Command::Table(command)).await
        }
        Step::DropKeyspace { name } => {
            let command = KeyspaceCommand::Drop { name: name.as_str().into(), with_tables: true };
            told(context, step, Command::Keyspace(command)).await
        }
        Step::RemoveServer { name } => {
            let command = ServerCommand::Remove { name: name.as_str().into() };
            told(context, step, Command::Server(command)).await
        }
    }
}

async fn told(context: &Context, step: &Step, command: Command) -> Result<String, AdminError> {
    context.propose(command).await?;
    Ok(step.to_string())
}

async fn prepare(
    context: &Context,
    name: &str,
    shards: &[podway_topology_api::NewShard],
    allowed: &Allowed,
) -> Result<(), AdminError> {
    let view = context.view().await?;
    let servers = context.servers(&view).await?;
    prepare_schemas(&view, &servers, name, shards, allowed.create_schemas).await
}

/// The same server elsewhere, or under another administrator: it is asked who it is first.
async fn change_server(context: &Context, name: &str, login: &AdminLogin) -> Result<(), AdminError> {
    let mut conn = login.connect().await.map_err(AdminError::at(name))?;
    let traits = read_traits(&mut conn).await.map_err(AdminError::at(name))?;
    let update = ServerCommand::Update { name: name.into(), facts: server_facts::facts(&traits, login) };
    context.propose(Command::Server(update)).await?;
    let admin = ServerCommand::SetAdmin { name: name.into(), admin: server_facts::admin_account(login) };
    context.propose(Command::Server(admin)).await?;
    Ok(())
}

async fn adopt(
    context: &Context,
    users: &[AccountName],
    grant: Option<String>,
) -> Result<String, AdminError> {
    let view = context.view().await?;
    let servers = context.servers(&view).await?;
    let names = users.iter().map(|name| format!("{}@{}", name.user, name.host.as_str())).collect();
    let shards = user::shards(&view, None)?;
    let adopted = user::adopt(context, &view, &servers, &UsersPlan::of(names, grant), shards).await?;
    Ok(if adopted.is_empty() {
        "no user was adopted".to_owned()
    } else {
        format!("+ users {}", adopted.join(", "))
    })
}
