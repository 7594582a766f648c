//! Statements about users as operations: where they run, whom they may not name, and how the map's accounts follow. What MySQL lets their clients do is not
//! known here.
//!
//! The map follows twice: when the first server has the statement, so that who was dropped, locked or given another password is refused from then on, and
//! when all have it, so that who was made is let in. Both reports say how the accounts stand, not what changed: made again, they change nothing.

use podway_model::{AccountName, Change, Map};
use podway_topology_api::{
    AccountCommand, AccountNow, Done, Operation, OperationKind, OperationState, Refusal, Target, Thing,
    UserPlace, UserStatement,
};

use super::accounts;
use super::keyspaces::find_keyspace;
use super::moves::wrong_state;
use super::outcome::{Effect, Now, Outcome};
use super::servers::Servers;
use super::statements::MAX_STATEMENT;

/// The most users and roles of one statement.
const MAX_NAMES: usize = 1_024;

/// The servers on which a statement runs, the first first.
pub(super) fn targets(
    statement: &UserStatement,
    map: &Map,
    servers: &Servers,
) -> Result<Vec<Target>, Refusal> {
    let refused = |reason: String| {
        Err(Refusal::BadName { what: Thing::Statement, name: "…".into(), reason: reason.into() })
    };
    if statement.pieces.is_empty() {
        return refused("it is empty".to_owned());
    }
    if statement.bytes() > MAX_STATEMENT {
        return refused(format!("it has more than {MAX_STATEMENT} bytes"));
    }
    if statement.names().len() > MAX_NAMES {
        return refused(format!("it names more than {MAX_NAMES} users and roles"));
    }
    statement.names().into_iter().try_for_each(|name| check_not_own(name, map, servers))?;
    let all = map.servers().map(|server| server.id);
    let UserPlace::Shards { keyspace, home_only } = &statement.place else {
        return Ok(all.map(Target::Server).collect());
    };
    let keyspace = find_keyspace(keyspace, map)?;
    let home = keyspace.shard(keyspace.home).map(|shard| shard.server);
    let has_it = |server: &podway_model::ServerId| match home_only {
        true => Some(*server) == home,
        false => keyspace.shards.iter().any(|shard| shard.server == *server),
    };
    Ok(all.filter(has_it).map(Target::Server).collect())
}

/// Podway's own account and its administrators are nobody's to change or to be.
fn check_not_own(name: &AccountName, map: &Map, servers: &Servers) -> Result<(), Refusal> {
    if name.is_reserved() {
        let (what, name) = (Thing::Account, name.to_string().into());
        return Err(Refusal::BadName { what, name, reason: accounts::RESERVED.into() });
    }
    let is_admin = |server: &&std::sync::Arc<podway_model::Server>| {
        servers.admin(server.id).is_some_and(|admin| admin.user == name.user)
    };
    match map.servers().find(is_admin) {
        None => Ok(()),
        Some(server) => {
            Err(Refusal::OwnAccount { account: name.to_string().into(), server: servers.name(server.id) })
        }
    }
}

/// The first server has it; what the map makes of that is [`changes`]'s.
pub(super) fn changed(operation: &Operation) -> Outcome {
    let is_about_users = matches!(operation.kind, OperationKind::Users { .. });
    if operation.state != OperationState::Running || !is_about_users {
        return Err(wrong_state(operation, "no account follows it"));
    }
    Ok(Effect::quiet(Done::Changed))
}

/// How accounts stand on the first server.
pub(super) struct Followed<'a> {
    pub(super) accounts: &'a [AccountNow],
    /// All servers have the statement.
    pub(super) is_last: bool,
}

/// What the map's accounts are to become. Connections from before serve nobody whom the statement is about.
pub(super) fn changes(
    statement: &UserStatement,
    followed: &Followed<'_>,
    map: &Map,
    now: &Now<'_>,
) -> Result<Vec<Change>, Refusal> {
    let Followed { accounts, is_last } = *followed;
    let is_known = |name: &AccountName| map.accounts.iter().any(|known| known.name == *name);
    let mut changes = Vec::new();
    for account in accounts {
        let command = match account {
            AccountNow::Known(account) if is_last || is_known(&account.name) => {
                AccountCommand::Adopt(account.clone())
            }
            AccountNow::Unknown(name) if is_known(name) => AccountCommand::Drop(name.clone()),
            _ => continue,
        };
        changes.extend(accounts::execute(&command, map)?.changes);
    }
    let subjects = statement.subjects();
    let new = |name: &AccountName| {
        accounts.iter().any(|account| matches!(account, AccountNow::Known(known) if known.name == *name))
    };
    // Rights of a role, and of whoever is not known by this name, may be anybody's.
    if subjects.iter().all(|name| is_known(name) || new(name)) {
        changes.extend(
            subjects
                .into_iter()
                .map(|name| Change::Rights { account: Some(name.clone()), since: now.revision }),
        );
    } else {
        changes.push(Change::Rights { account: None, since: now.revision });
    }
    Ok(changes)
}
