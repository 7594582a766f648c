//! Accounts that may log in, as the map carries them. What they may do is MySQL's own business, on each server.

use std::sync::Arc;

use podway_model::{Account, AccountName, AuthPlugin, Change, Map};
use podway_topology_api::{AccountCommand, AccountView, Done, Refusal, Thing};

use super::names::{clipped, unknown};
use super::outcome::{Effect, Outcome};

/// How many accounts there can be.
pub(super) const MAX_ACCOUNTS: usize = 100_000;
/// MySQL's bound for a user's name, in characters.
const MAX_USER: usize = 32;
/// MySQL's bound for a host's name, in characters.
const MAX_HOST: usize = 255;
/// The lengths of what `caching_sha2_password` and `mysql_native_password` store, in bytes.
const STRING_LENGTHS: [(AuthPlugin, usize); 2] =
    [(AuthPlugin::CachingSha2Password, 70), (AuthPlugin::MysqlNativePassword, 41)];

/// Why a name that is Podway's own is taken for nobody.
pub(super) const RESERVED: &str = "this user is Podway's own on every server";

/// Does a command of accounts.
pub(super) fn execute(command: &AccountCommand, map: &Map) -> Outcome {
    match command {
        AccountCommand::Create(account) => match find(&account.name, map) {
            Some(known) if **known == *account => Ok(Effect::unchanged()),
            Some(_) => Err(Refusal::Exists { what: Thing::Account, name: account.name.to_string().into() }),
            None => put(account, "created", map),
        },
        AccountCommand::Alter(account) => match find(&account.name, map) {
            Some(known) if **known == *account => Ok(Effect::unchanged()),
            Some(_) => put(account, "altered", map),
            None => Err(missing(&account.name, map)),
        },
        AccountCommand::Adopt(account) => match find(&account.name, map) {
            Some(known) if **known == *account => Ok(Effect::unchanged()),
            _ => put(account, "adopted", map),
        },
        AccountCommand::Drop(name) => {
            let known = find(name, map).ok_or_else(|| missing(name, map))?;
            let what = format!("account {} dropped", known.name);
            Ok(Effect::new(Done::Changed, vec![Change::AccountRemoved(name.clone())], what))
        }
    }
}

pub(super) fn view(map: &Map) -> Vec<AccountView> {
    let view = |account: &Arc<Account>| AccountView {
        name: account.name.clone(),
        plugin: account.plugin,
        requires_tls: account.requires_tls,
        locked: account.locked,
    };
    map.accounts.iter().map(view).collect()
}

fn find<'a>(name: &AccountName, map: &'a Map) -> Option<&'a Arc<Account>> {
    map.accounts.iter().find(|account| account.name == *name)
}

fn missing(name: &AccountName, map: &Map) -> Refusal {
    let known: Vec<String> = map.accounts.iter().map(|account| account.name.to_string()).collect();
    unknown(Thing::Account, &name.to_string(), known.iter().map(String::as_str))
}

fn put(account: &Account, done: &str, map: &Map) -> Outcome {
    check(account)?;
    if map.accounts.len() >= MAX_ACCOUNTS && find(&account.name, map).is_none() {
        return Err(Refusal::Full { what: Thing::Account, limit: MAX_ACCOUNTS as u64 });
    }
    let what = format!("account {} {done}", account.name);
    Ok(Effect::new(Done::Changed, vec![Change::Account(Arc::new(account.clone()))], what))
}

fn check(account: &Account) -> Result<(), Refusal> {
    let name = &account.name;
    let refused = |reason: &str| {
        let name = clipped(&name.to_string());
        Err(Refusal::BadName { what: Thing::Account, name, reason: reason.into() })
    };
    if name.is_reserved() {
        return refused(RESERVED);
    }
    if name.user.chars().count() > MAX_USER {
        return refused("MySQL takes 32 characters for a user");
    }
    if name.host.as_str().chars().count() > MAX_HOST {
        return refused("MySQL takes 255 characters for a host");
    }
    if name.user.chars().chain(name.host.as_str().chars()).any(char::is_control) {
        return refused("it has control characters");
    }
    let length = account.authentication_string.len();
    if length != 0 && !STRING_LENGTHS.contains(&(account.plugin, length)) {
        return refused("what proves it is not what its plugin stores");
    }
    Ok(())
}
