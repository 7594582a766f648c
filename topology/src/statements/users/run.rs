//! One statement about users on one server: run, and Podway's own password seen to.

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use podway_model::{Account, AccountName};
use podway_topology_api::{AccountNow, Report, ServerMessage, Target, UserPlace, UserStatement, UserVerb};

use super::super::error::TryError;
use super::super::place::Place;
use super::super::session::{ClientSession, Mark, end_others};
use super::super::work::{Attempt, Reporter};
use super::accounts::{now, proofs, stand};
use super::passwords;
use super::text::{Filling, Proof, is_own_password, text};
use crate::mover::Control;
use crate::provision::lacking_calls;
use crate::statement_seam::StatementMoment;

/// Warnings of a statement that are told to its client.
const MAX_WARNINGS: usize = 64;
/// No statement of an account waits longer than this many seconds: a backup's lock holds such statements up.
const NO_LONG_WAIT: &str = "SET SESSION lock_wait_timeout = 5";

/// What a try needs to know of the topology.
struct Known {
    statement: UserStatement,
    accounts: Vec<Arc<Account>>,
    /// The schemas on the target's server of the shards that the statement is for.
    schemas: Vec<Box<str>>,
}

/// How the statement's accounts stand.
pub async fn stand_now(attempt: &Attempt, control: &mut Control) -> Result<String, TryError> {
    Ok(stand(control, &statement(attempt)?).await?)
}

/// Runs the statement on a target, unless it shows that it took effect there; then sees to Podway's own passwords.
pub async fn run(attempt: &Attempt, target: Target, reporter: &impl Reporter) -> Result<(), TryError> {
    let known = known(attempt, target)?;
    let statement = &known.statement;
    let place = attempt.place(target)?;
    let mut control = place.control(&attempt.keeper, &attempt.operation, attempt.term).await?;
    let mark = Mark::new(&control, attempt.operation.id, target);
    end_others(&mut control, &mark).await?;
    let begun = attempt.begun(target);
    let is_whole = !matches!(statement.verb, UserVerb::Privileges | UserVerb::Flush);
    let has_run = match &begun {
        Some(before) => is_whole && stand(&mut control, statement).await? != *before,
        None => {
            let before = stand(&mut control, statement).await?.into();
            reporter.report(Report::TargetBegan { target, before }).await?;
            false
        }
    };
    attempt.see(target, StatementMoment::Begun).await;
    let try_of =
        TryOf { attempt, target, place: &place, known: &known, mark: &mark, is_again: begun.is_some() };
    let warnings = if has_run { Vec::new() } else { try_of.run_each(&mut control).await? };
    see_to_passwords(attempt, &mut control, &place, &known).await?;
    see_to_calls(&mut control, statement).await?;
    attempt.see(target, StatementMoment::Done).await;
    // Who gets another name has both on some servers for a while, and is known by the old one until all have it.
    let is_renamed = matches!(statement.verb, UserVerb::Rename(_));
    if is_first(attempt, target) && !is_renamed {
        // Who was dropped, locked or given another password is refused from here on, whatever other servers do.
        let accounts = now(control.stream(), statement, &copied(&known.accounts)).await;
        let accounts = control.on_server(accounts)?;
        reporter.report(Report::AccountsChanged(accounts)).await?;
    }
    reporter.report(Report::TargetDone { target, warnings }).await?;
    attempt.see(target, StatementMoment::Reported).await;
    Ok(())
}

/// How the accounts stand on the first server, now that all have the statement.
pub async fn follows(attempt: &Attempt) -> Result<Vec<AccountNow>, TryError> {
    let statement = statement(attempt)?;
    let Some((first, _)) = attempt.operation.targets.first() else { return Ok(Vec::new()) };
    let place = attempt.place(*first)?;
    let mut conn = look_at(&place).await?;
    let accounts = attempt.keeper.machine.look(|state| state.map().accounts.clone());
    now(&mut conn, &statement, &copied(&accounts)).await.map_err(|error| away(&place, error))
}

/// One try on one target.
struct TryOf<'a> {
    attempt: &'a Attempt,
    target: Target,
    place: &'a Place,
    known: &'a Known,
    mark: &'a Mark,
    is_again: bool,
}

impl TryOf<'_> {
    /// Runs it once, or for each schema.
    async fn run_each(&self, control: &mut Control) -> Result<Vec<ServerMessage>, TryError> {
        let Known { statement, schemas, .. } = self.known;
        let proofs = self.proofs().await?;
        let schemas: Vec<Option<&str>> = match statement.place {
            UserPlace::Server => vec![None],
            UserPlace::Shards { .. } => schemas.iter().map(|schema| Some(&**schema)).collect(),
        };
        // His own password may be set by anybody, its string by few: on later servers that is Podway's to do.
        let is_ours = statement.account.is_none() || proofs.is_some() && is_own_password(statement);
        let mut session = None;
        if !is_ours {
            let mut opened = ClientSession::open(self.place, &self.attempt.statement, self.mark).await?;
            opened.run(NO_LONG_WAIT.into()).await?;
            session = Some(opened);
        }
        let mut warnings: Vec<ServerMessage> = Vec::new();
        for (n, schema) in schemas.iter().enumerate() {
            let filling = Filling { schema: *schema, proofs: proofs.as_deref(), is_again: self.is_again };
            let sql = text(statement, &filling).map_err(|error| TryError::Later(error.to_string()))?;
            // After the session is open: whoever came meanwhile has raised the term, or finds this session and ends it.
            control.check_term().await?;
            self.attempt.see(self.target, StatementMoment::Checked).await;
            let said = match &mut session {
                Some(session) => session.run(sql).await,
                None => as_administrator(control, sql).await,
            };
            let said = said.map_err(|error| match error {
                // A schema before has it already: it is for somebody to see.
                TryError::Refused(refused) if n > 0 => {
                    TryError::Later(format!("of {} schemas {n} have it: {refused}", schemas.len()))
                }
                error => error,
            })?;
            warnings.extend(said);
        }
        warnings.dedup();
        warnings.truncate(MAX_WARNINGS);
        Ok(warnings)
    }

    /// The strings of the accounts' passwords, where an earlier server has made them.
    async fn proofs(&self) -> Result<Option<Vec<Option<Proof>>>, TryError> {
        let Some((first, _)) = self.attempt.operation.targets.first() else { return Ok(None) };
        if *first == self.target {
            return Ok(None);
        }
        let place = self.attempt.place(*first)?;
        let mut conn = look_at(&place).await?;
        let read = proofs(&mut conn, &self.known.statement).await;
        read.map(Some).map_err(|error| away(&place, error))
    }
}

async fn as_administrator(control: &mut Control, sql: Vec<u8>) -> Result<Vec<ServerMessage>, TryError> {
    let server: Box<str> = control.server().into();
    let done = control.stream().query_drop(sql).await;
    done.map(|()| Vec::new()).map_err(|error| TryError::of_client(&server, error))
}

async fn see_to_passwords(
    attempt: &Attempt,
    control: &mut Control,
    place: &Place,
    known: &Known,
) -> Result<(), TryError> {
    let is_known = |name: &AccountName| known.accounts.iter().any(|known| known.name == *name);
    let statement = &known.statement;
    let names: Vec<(&AccountName, bool)> = match &statement.verb {
        UserVerb::Create => statement.accounts.iter().map(|name| (name, true)).collect(),
        UserVerb::Alter => {
            statement.accounts.iter().filter(|name| is_known(name)).map(|name| (name, false)).collect()
        }
        UserVerb::Rename(pairs) => {
            let known = pairs.iter().filter(|(from, to)| is_known(from) || is_known(to));
            known.map(|(_, to)| (to, true)).collect()
        }
        UserVerb::Drop | UserVerb::Privileges | UserVerb::Flush => Vec::new(),
    };
    for (name, is_new) in names {
        let backend = attempt
            .keeper
            .machine
            .look(|state| state.secret().map(|secret| secret.backend_password(name, &place.login.uuid)));
        let backend = backend.ok_or_else(|| TryError::Later("the cluster has no secret yet".to_owned()))?;
        passwords::put(control, name, &backend, is_new).await?;
    }
    Ok(())
}

/// Whoever is new, or lost privileges, may call Podway's procedures.
async fn see_to_calls(control: &mut Control, statement: &UserStatement) -> Result<(), TryError> {
    for name in statement.names() {
        let lacking = lacking_calls(control.stream(), Some(name)).await;
        for sql in lacking.map_err(|error| TryError::Later(error.to_string()))? {
            control.change(sql).await?;
        }
    }
    Ok(())
}

fn statement(attempt: &Attempt) -> Result<UserStatement, TryError> {
    let found = attempt.keeper.machine.look(|state| state.user_statement(attempt.operation.id).cloned());
    found.ok_or_else(|| TryError::Later("the statement is not known any more".to_owned()))
}

fn known(attempt: &Attempt, target: Target) -> Result<Known, TryError> {
    let statement = statement(attempt)?;
    let (accounts, schemas) = attempt.keeper.machine.look(|state| {
        let map = state.map();
        let mut schemas: Vec<Box<str>> = Vec::new();
        if let UserPlace::Shards { keyspace, home_only } = &statement.place
            && let Some(keyspace) = map.keyspace_spelled(keyspace)
        {
            let home = keyspace.shard(keyspace.home).map(|home| home.id);
            let here = keyspace.shards.iter().filter(|shard| {
                Target::Server(shard.server) == target && (!home_only || Some(shard.id) == home)
            });
            schemas.extend(here.map(|shard| Box::from(shard.schema.as_str())));
        }
        (map.accounts.clone(), schemas)
    });
    Ok(Known { statement, accounts, schemas })
}

fn copied(accounts: &[Arc<Account>]) -> Vec<Account> {
    accounts.iter().map(|account| (**account).clone()).collect()
}

fn is_first(attempt: &Attempt, target: Target) -> bool {
    attempt.operation.targets.first().is_some_and(|(first, _)| *first == target)
}

/// A session that only looks: beside the control session that another try may have there.
async fn look_at(place: &Place) -> Result<Conn, TryError> {
    let login = &place.login;
    let options = OptsBuilder::default()
        .ip_or_hostname(login.host.to_string())
        .tcp_port(login.port)
        .user(Some(login.user.to_string()))
        .pass(Some(login.password.reveal().to_owned()))
        .prefer_socket(false);
    Conn::new(options).await.map_err(|error| away(place, error))
}

fn away(place: &Place, error: mysql_async::Error) -> TryError {
    TryError::Later(format!("server {}: {error}", place.login.name))
}
