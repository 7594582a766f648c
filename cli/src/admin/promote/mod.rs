//! `podway server promote`: points a server's record at its promoted replica. The old primary is fenced first, the new one has to have everything that the old one acknowledged, and only
//! then do the proxies hear of it. It can be run again at any point, and goes on.
//!
//! Podway's passwords on a server are derived from its uuid, and the replica has those of the old one: each account is given its new one before the record is changed. So a password is
//! good on one server alone, and what the topology says of a server is all that a proxy needs to log in there.
//!
//! Reading order: [`old`] → [`new`] → here, the order of things.

mod new;
mod old;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use podway_model::{AccountName, Revision};
use podway_topology_api::{Command, Lease, ServerCommand, ServerView, View};
use tokio::time::sleep;

use self::new::{New, Replication};
use self::old::{Old, Reached, reach};
use super::context::{Common, Context, Servers};
use super::error::AdminError;
use super::find;
use super::print::{self, counted};
use super::secret_input::SecretInput;
use super::server_facts::{self, admin_account, any_traits, facts, join_address};
use crate::provision::{AdminLogin, ProvisionError};
use crate::serve::server_address;

/// How long proxies have to take over the new map before they are named.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Points a server's record at its promoted replica, after fencing the old primary
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  podway server promote a --at 10.0.0.11:3306 --stop-replica
  podway server promote a --at 10.0.0.11:3306 --stop-replica --force-unreachable a

The old primary is made super_read_only, its clients are killed, and everything that it executed is waited for on the new one. Where the old
primary cannot be reached nothing of this can be done: whether it still takes writes, and whether the new one has all of them, is then for you
to know, and --force-unreachable with the server's name says that you do. If the command is cut short, run it again.")]
pub struct PromoteArgs {
    /// The server
    name: String,
    /// Where its promoted replica answers: host or host:port
    #[arg(long, value_name = "HOST[:PORT]")]
    at: String,
    /// As whom to administer it; without this, as the server was until now
    #[arg(long, value_name = "USER", requires = "admin_password")]
    admin_user: Option<String>,
    /// The file with the password
    #[arg(long, value_name = "FILE", group = "admin_password")]
    admin_password_file: Option<PathBuf>,
    /// The environment variable with the password
    #[arg(long, value_name = "NAME", group = "admin_password")]
    admin_password_env: Option<String>,
    /// Read the password from standard input
    #[arg(long, group = "admin_password")]
    admin_password_stdin: bool,
    /// End its replication when it has caught up; without this it must have ended already
    #[arg(long)]
    stop_replica: bool,
    /// How long the replica may take to catch up, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    catch_up: u64,
    /// Go on although the old primary cannot be reached; the value is the server's name. It may still take writes, which are lost
    #[arg(long, value_name = "NAME")]
    force_unreachable: Option<String>,
    /// Go on although the new one lacks transactions that the old one acknowledged; the value is the server's name. They are lost
    #[arg(long, value_name = "NAME")]
    lose_transactions: Option<String>,
    /// The topology, and how to answer
    #[command(flatten)]
    common: Common,
}

/// Runs it.
pub(super) async fn run(args: PromoteArgs) -> Result<(), AdminError> {
    let context = Context::new(&args.common)?;
    let view = context.view().await?;
    let record = find::server(&view, &args.name)?.clone();
    let servers = context.servers(&view).await?;
    let old_login = servers.login(&record)?;
    let login = new_login(&args, &old_login)?;
    let mut promotion = Promotion { args, context, view, servers, record, login };
    let line = promotion.run(&old_login).await?;
    Ok(print::done(&line, promotion.context.is_json)?)
}

fn new_login(args: &PromoteArgs, old: &AdminLogin) -> Result<AdminLogin, AdminError> {
    let (host, port) = server_address(&args.at)
        .ok_or_else(|| AdminError::Usage(format!("{:?} is no address; host:port is", args.at)))?;
    let Some(user) = &args.admin_user else { return Ok(AdminLogin { host, port, ..old.clone() }) };
    let password = SecretInput {
        flag: "--admin-password",
        file: args.admin_password_file.as_deref(),
        variable: args.admin_password_env.as_deref(),
        is_stdin: args.admin_password_stdin,
    };
    Ok(AdminLogin { host, port, user: user.clone(), password: password.read()? })
}

/// What a promotion is of.
struct Promotion {
    args: PromoteArgs,
    context: Context,
    view: View,
    servers: Servers,
    record: ServerView,
    login: AdminLogin,
}

impl Promotion {
    async fn run(&mut self, old_login: &AdminLogin) -> Result<String, AdminError> {
        let address = join_address(&self.login.host, self.login.port);
        let mut new = New::reach(&self.login).await.map_err(AdminError::at(&address))?;
        let is_promoted = new.traits.facts.uuid == *self.record.uuid;
        if is_promoted && address != server_facts::address(&self.record) {
            return Err(self.refused(format!(
                "at {address} answers the server that it is already; a promotion is for another one"
            )));
        }
        if !is_promoted {
            self.check(&mut new, &address).await?;
            self.take_over(&mut new, old_login, &address).await?;
        }
        self.bring_accounts(&mut new, &address).await?;
        self.record_it(&new).await?;
        let behind = self.wait_for_proxies().await?;
        if !behind.is_empty() {
            print::note(&format!("not heard to have the new map yet: {}", behind.join(", ")));
        }
        let shards = self.shards().count();
        Ok(format!(
            "server {} is {} at {address} now; {} served from there",
            self.record.name,
            new.traits.facts.uuid,
            counted(shards, "shard")
        ))
    }

    /// Looks whether the new one can be the primary at all. Nothing is touched yet.
    async fn check(&self, new: &mut New, address: &str) -> Result<(), AdminError> {
        if let Some(reason) = new.traits.unfit() {
            return Err(self.refused(reason));
        }
        let others: Vec<&ServerView> =
            self.view.servers.iter().filter(|other| other.id != self.record.id).collect();
        if let Some(other) = others.iter().find(|other| *other.uuid == *new.traits.facts.uuid) {
            return Err(self.refused(format!("at {address} answers server {}", other.name)));
        }
        if let Some((name, traits)) = any_traits(&self.servers, &others).await {
            let differences = new.traits.differences(&traits);
            if !differences.is_empty() {
                let listed: Vec<String> = differences.iter().map(|one| format!("  {one}")).collect();
                return Err(self.refused(format!(
                    "{address} is not set as server {name} is:\n{}\nmake them the same first",
                    listed.join("\n")
                )));
            }
        }
        let schemas: Vec<String> = self.shards().map(|shard| shard.schema.to_string()).collect();
        let missing = new.missing_schemas(&schemas).await.map_err(AdminError::at(address))?;
        if !missing.is_empty() {
            return Err(
                self.refused(format!("{address} has no schema {}: is it the replica?", missing.join(", ")))
            );
        }
        let missing = new.missing_accounts(&self.accounts()).await.map_err(AdminError::at(address))?;
        if !missing.is_empty() {
            let listed: Vec<String> = missing.iter().map(ToString::to_string).collect();
            return Err(self.refused(format!(
                "{address} lacks accounts, who could not log in there: {}; replicate the schema mysql, or make them there",
                listed.join(", ")
            )));
        }
        Ok(())
    }

    /// Fences the old primary, has the new one catch up, and makes it writable.
    async fn take_over(
        &self,
        new: &mut New,
        old_login: &AdminLogin,
        address: &str,
    ) -> Result<(), AdminError> {
        let replication = new.replication().await.map_err(AdminError::at(address))?;
        if let Some(replication) = &replication {
            self.check_replication(replication, address)?;
        }
        match reach(old_login, &self.record.uuid).await {
            Reached::Here(mut old) => {
                let taken = self.fence_and_catch_up(&mut old, new, replication.as_ref(), address).await;
                if taken.is_err() && !old.was_fenced() {
                    // It is the primary still, and nothing was changed on the new one.
                    match old.unfence().await {
                        Ok(()) => print::note("the old primary takes writes again, as before"),
                        Err(error) => print::note(&format!("the old primary is still read-only: {error}")),
                    }
                }
                taken?;
                // Readers with an old map end too; what they read there would be old.
                old.shut().await.map_err(AdminError::at(&self.record.name))?;
            }
            Reached::Away(why) => {
                self.without_old(&why)?;
                self.apply_received(new, replication.as_ref(), address).await?;
            }
        }
        if replication.is_some() && self.args.stop_replica {
            new.stop_replication().await.map_err(AdminError::at(address))?;
        }
        new.open().await.map_err(AdminError::at(address))
    }

    fn check_replication(&self, replication: &Replication, address: &str) -> Result<(), AdminError> {
        if replication.applies && !self.args.stop_replica {
            return Err(self.refused(format!(
                "{address} still applies what it receives from {}: --stop-replica ends that when it has caught up",
                replication.source
            )));
        }
        if !replication.source.is_empty() && replication.source != *self.record.uuid {
            print::note(&format!(
                "{address} replicates from {}, which is not the primary that the topology knows ({})",
                replication.source, self.record.uuid
            ));
        }
        Ok(())
    }

    async fn fence_and_catch_up(
        &self,
        old: &mut Old,
        new: &mut New,
        replication: Option<&Replication>,
        address: &str,
    ) -> Result<(), AdminError> {
        let at_old = AdminError::at(&self.record.name);
        self.check_branches(old).await?;
        let executed = old.fence().await.map_err(&at_old)?;
        // One may have been prepared since; its session is dead now.
        self.check_branches(old).await?;
        let within = match replication {
            Some(replication) if replication.applies => Duration::from_secs(self.args.catch_up),
            _ => Duration::ZERO,
        };
        let lacks = new.catch_up(&executed, within).await.map_err(AdminError::at(address))?;
        if !lacks.is_empty() {
            if self.args.lose_transactions.as_deref() != Some(&*self.record.name) {
                return Err(self.refused(format!(
                    "{address} lacks transactions that the old primary acknowledged: {lacks}; let it catch up (--catch-up), or lose them with --lose-transactions {}",
                    self.record.name
                )));
            }
            print::note(&format!(
                "LOST: these transactions of the old primary are not on {address}: {lacks}"
            ));
        }
        let besides = new.has_besides(&executed).await.map_err(AdminError::at(address))?;
        if !besides.is_empty() {
            print::note(&format!("{address} has transactions that the old primary had not: {besides}"));
        }
        Ok(())
    }

    async fn check_branches(&self, old: &mut Old) -> Result<(), AdminError> {
        let branches = old.branches().await.map_err(AdminError::at(&self.record.name))?;
        match branches.is_empty() {
            true => Ok(()),
            false => Err(self.refused(format!(
                "the old primary has prepared XA branches, which no fence holds: XA COMMIT or XA ROLLBACK {} there first",
                branches.join(", ")
            ))),
        }
    }

    /// Whether to go on although nobody can fence the old primary.
    fn without_old(&self, why: &str) -> Result<(), AdminError> {
        if self.args.force_unreachable.as_deref() != Some(&*self.record.name) {
            return Err(self.refused(format!(
                "its old primary at {} cannot be fenced: {why}. If it still runs, it goes on taking writes, which would be lost. Make sure that it is off and stays off, then say --force-unreachable {}",
                server_facts::address(&self.record),
                self.record.name
            )));
        }
        print::note(&format!(
            "WARNING: the old primary at {} is not fenced ({why}). What it acknowledged and did not replicate is lost, and if it runs, it still takes writes",
            server_facts::address(&self.record)
        ));
        Ok(())
    }

    /// Without the old primary, what the replica received is all that there is.
    async fn apply_received(
        &self,
        new: &mut New,
        replication: Option<&Replication>,
        address: &str,
    ) -> Result<(), AdminError> {
        let Some(replication) = replication else { return Ok(()) };
        let within = match replication.applies {
            true => Duration::from_secs(self.args.catch_up),
            false => Duration::ZERO,
        };
        let lacks = new.catch_up(&replication.received, within).await.map_err(AdminError::at(address))?;
        match lacks.is_empty() || self.args.lose_transactions.as_deref() == Some(&*self.record.name) {
            true => Ok(()),
            false => Err(self.refused(format!(
                "{address} has received and not applied: {lacks}; let it apply them first"
            ))),
        }
    }

    /// Podway's passwords and key for the server that it is now, beside the users' own.
    async fn bring_accounts(&self, new: &mut New, address: &str) -> Result<(), AdminError> {
        let uuid = new.traits.facts.uuid.clone();
        let ready = new.prepare_transactions(&self.servers.credentials.secret).await;
        ready.map_err(|error| self.half_done(address, &error))?;
        for name in self.accounts() {
            let password = self.servers.credentials.secret.backend_password(&name, &uuid);
            let brought = new.bring(&name, &password).await;
            brought.map_err(|error| self.half_done(address, &error))?;
        }
        Ok(())
    }

    fn half_done(&self, address: &str, error: &ProvisionError) -> AdminError {
        AdminError::refused(format!(
            "{address} is writable, and the record still names the old primary, which is fenced: {error}; put that right and run the same command again"
        ))
    }

    async fn record_it(&self, new: &New) -> Result<(), AdminError> {
        let promote = ServerCommand::Promote {
            name: self.record.name.clone(),
            from_uuid: self.record.uuid.clone(),
            facts: facts(&new.traits, &self.login),
        };
        self.context.propose(Command::Server(promote)).await?;
        if self.args.admin_user.is_some() {
            let admin = admin_account(&self.login);
            let set = ServerCommand::SetAdmin { name: self.record.name.clone(), admin };
            self.context.propose(Command::Server(set)).await?;
        }
        Ok(())
    }

    /// Waits until every proxy that is heard has the map with the new primary; names those that do not.
    async fn wait_for_proxies(&self) -> Result<Vec<String>, AdminError> {
        let revision: Revision = self.context.view().await?.revision;
        let start = Instant::now();
        loop {
            let view = self.context.view().await?;
            let behind: Vec<String> = view
                .proxies
                .iter()
                .filter(|proxy| matches!(proxy.lease, Lease::Until(_)) && proxy.applied < revision)
                .map(|proxy| format!("{} ({})", proxy.incarnation, proxy.name))
                .collect();
            if behind.is_empty() || start.elapsed() >= TAKEN_OVER_WITHIN {
                return Ok(behind);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn accounts(&self) -> Vec<AccountName> {
        self.view.accounts.iter().map(|account| account.name.clone()).collect()
    }

    /// The shards that lie on it.
    fn shards(&self) -> impl Iterator<Item = &podway_topology_api::ShardView> {
        let all = self.view.keyspaces.iter().flat_map(|keyspace| &keyspace.shards);
        all.filter(|shard| shard.server == self.record.id)
    }

    fn refused(&self, why: String) -> AdminError {
        AdminError::refused(format!("server {} is not promoted: {why}", self.record.name))
    }
}
