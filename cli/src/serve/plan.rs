//! The cluster file as decided: passwords read, names resolved, nothing left to doubt before the servers are asked. Read next: `servers`.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use podway_model::{Account, ClusterSecret, HostPattern, ShardIndex, Vindex};

use super::error::PlanError;
use super::file::{AdoptEntry, ClusterFile, KeyspaceEntry, ServerEntry, TableEntry, UsersEntry};
use super::limits::Limits;
use crate::provision::{AdminLogin, Declaration};

/// The port of a server whose address names none.
const MYSQL_PORT: u16 = 3306;
/// Bytes of a cluster's secret.
const SECRET_BYTES: usize = 32;

/// What a cluster file asks for.
pub(super) struct ClusterPlan {
    pub(super) secret: ClusterSecret,
    pub(super) servers: Vec<ServerPlan>,
    /// The default one first; none: every schema of the only server is one.
    pub(super) keyspaces: Vec<KeyspacePlan>,
    pub(super) users: UsersPlan,
    pub(super) limits: Limits,
}

/// A server.
pub(super) struct ServerPlan {
    /// Its name in the file.
    pub(super) name: String,
    pub(super) login: AdminLogin,
}

/// A keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyspacePlan {
    pub(super) name: String,
    pub(super) shards: Vec<ShardPlan>,
    pub(super) home: ShardIndex,
    pub(super) tables: Vec<(String, Declaration)>,
}

/// A shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ShardPlan {
    /// Its server's place in [`ClusterPlan::servers`].
    pub(super) server: usize,
    pub(super) schema: String,
}

/// Whom to adopt, and what they are to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UsersPlan {
    /// These; all that have a password, if none is named.
    named: Option<Vec<(String, Option<HostPattern>)>>,
    /// Privileges on the shards' schemas.
    pub(super) grant: Option<String>,
}

impl ClusterPlan {
    /// Reads the file and what it points to. The secret is made if its file is not there; `notes` say so.
    pub(super) fn read(path: &Path, notes: &mut Vec<String>) -> Result<ClusterPlan, PlanError> {
        let text =
            fs::read_to_string(path).map_err(|error| PlanError::File { path: path.to_owned(), error })?;
        let file = ClusterFile::parse(path, &text)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let servers = file
            .servers
            .into_iter()
            .map(|(name, entry)| Ok(ServerPlan { login: login(&name, entry, folder)?, name }))
            .collect::<Result<Vec<ServerPlan>, PlanError>>()?;
        if servers.is_empty() {
            return Err(PlanError::part("servers", "there is none; name one as [servers.NAME]"));
        }
        if file.keyspaces.is_empty() && servers.len() > 1 {
            return Err(PlanError::part(
                "keyspaces",
                "with several servers, say what lies where: [keyspaces.NAME]",
            ));
        }
        let mut keyspaces = file
            .keyspaces
            .into_iter()
            .map(|(name, entry)| keyspace(name, entry, &servers))
            .collect::<Result<Vec<KeyspacePlan>, PlanError>>()?;
        no_schema_twice(&keyspaces)?;
        if let Some(default) = &file.default_keyspace {
            let found = keyspaces.iter().position(|keyspace| keyspace.name == *default);
            let found = found.ok_or_else(|| {
                PlanError::part("default_keyspace", format!("there is no keyspace {default}"))
            })?;
            keyspaces[..=found].rotate_right(1);
        }
        let users = users(file.users)?;
        let secret = secret(&folder.join(file.secret_file), notes)?;
        Ok(ClusterPlan { secret, servers, keyspaces, users, limits: file.limits })
    }
}

impl UsersPlan {
    /// Whether an account is to be adopted, and if not, why that may surprise somebody.
    pub(super) fn wants(&self, account: &Account) -> Result<bool, &'static str> {
        let is_meant = match &self.named {
            Some(names) => names.iter().any(|(user, host)| {
                *user == *account.name.user && host.as_ref().is_none_or(|host| *host == account.name.host)
            }),
            None => !account.locked,
        };
        // MySQL keeps no second password beside an empty one: direct clients would be locked out.
        if is_meant && account.authentication_string.is_empty() {
            Err("it has no password; give it one")
        } else {
            Ok(is_meant)
        }
    }

    /// The names that no account has.
    pub(super) fn missing_from<'a>(&self, found: impl Iterator<Item = &'a Account> + Clone) -> Vec<&str> {
        let is_missing = |user: &str| !found.clone().any(|account| *account.name.user == *user);
        let names = self.named.iter().flatten().map(|(user, _)| user.as_str());
        names.filter(|user| is_missing(user)).collect()
    }
}

fn login(name: &str, entry: ServerEntry, folder: &Path) -> Result<AdminLogin, PlanError> {
    let part = format!("servers.{name}");
    let (host, port) = address(&entry.address)
        .ok_or_else(|| PlanError::part(&part, format!("{:?} is no address; host:port is", entry.address)))?;
    let password = match (entry.admin_password, entry.admin_password_file, entry.admin_password_env) {
        (Some(password), None, None) => password,
        (None, Some(file), None) => {
            let path = folder.join(file);
            let text = fs::read_to_string(&path).map_err(|error| PlanError::File { path, error })?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        (None, None, Some(variable)) => std::env::var(&variable)
            .map_err(|_| PlanError::part(&part, format!("the environment has no {variable}")))?,
        _ => {
            let reason = "say one of admin_password, admin_password_file and admin_password_env";
            return Err(PlanError::part(part, reason));
        }
    };
    Ok(AdminLogin { host, port, user: entry.admin_user, password })
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn address(text: &str) -> Option<(String, u16)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(text) => text.split_once(']')?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None if rest.is_empty() => MYSQL_PORT,
        None => return None,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn keyspace(name: String, entry: KeyspaceEntry, servers: &[ServerPlan]) -> Result<KeyspacePlan, PlanError> {
    let part = format!("keyspaces.{name}");
    if ["mysql", "information_schema", "performance_schema", "sys", "_podway"]
        .contains(&name.to_lowercase().as_str())
    {
        return Err(PlanError::part(part, "this is a database of the server's own"));
    }
    let homes: Vec<usize> = (0..entry.shards.len()).filter(|&index| entry.shards[index].home).collect();
    let home = match homes[..] {
        [] => 0,
        [home] => home,
        _ => return Err(PlanError::part(part, "two shards are home; let one be")),
    };
    if entry.shards.is_empty() || entry.shards.len() > usize::from(u16::MAX) {
        return Err(PlanError::part(part, format!("it has {} shards", entry.shards.len())));
    }
    let shard = |shard: super::file::ShardEntry| {
        let found = servers.iter().position(|server| server.name == shard.server);
        let server =
            found.ok_or_else(|| PlanError::part(&part, format!("there is no server {}", shard.server)))?;
        Ok(ShardPlan { server, schema: shard.schema.unwrap_or_else(|| name.clone()) })
    };
    let shards = entry.shards.into_iter().map(shard).collect::<Result<Vec<ShardPlan>, PlanError>>()?;
    let tables = entry
        .tables
        .into_iter()
        .map(|(table, entry)| {
            let declared = declaration(entry)
                .map_err(|reason| PlanError::part(format!("{part}.tables.{table}"), reason))?;
            Ok((table, declared))
        })
        .collect::<Result<Vec<_>, PlanError>>()?;
    Ok(KeyspacePlan { name, shards, home: ShardIndex(home as u16), tables })
}

fn declaration(entry: TableEntry) -> Result<Declaration, &'static str> {
    match (entry.shard_by.is_empty(), entry.reference) {
        (false, false) => {
            Ok(Declaration::Sharded { columns: entry.shard_by, vindex: entry.vindex.unwrap_or(Vindex::Xxh3) })
        }
        (true, true) if entry.vindex.is_none() => Ok(Declaration::Reference),
        _ => Err(
            "say shard_by = [\"column\"] (with a vindex, if you like), or reference = true; a table at home needs no entry",
        ),
    }
}

fn no_schema_twice(keyspaces: &[KeyspacePlan]) -> Result<(), PlanError> {
    let mut seen = HashSet::new();
    for keyspace in keyspaces {
        if let Some(shard) = keyspace.shards.iter().find(|shard| !seen.insert(*shard)) {
            let reason = format!("schema {} of one server is named for two shards", shard.schema);
            return Err(PlanError::part(format!("keyspaces.{}", keyspace.name), reason));
        }
    }
    Ok(())
}

fn users(entry: UsersEntry) -> Result<UsersPlan, PlanError> {
    let named = match entry.adopt {
        AdoptEntry::Word(word) if word == "all" => None,
        AdoptEntry::Word(word) => {
            return Err(PlanError::part(
                "users.adopt",
                format!("{word:?} is neither \"all\" nor a list of names"),
            ));
        }
        AdoptEntry::Names(names) => Some(names),
    };
    let split = |name: String| match name.rsplit_once('@') {
        Some((user, host)) => (user.to_owned(), Some(HostPattern::new(host))),
        None => (name, None),
    };
    Ok(UsersPlan { named: named.map(|names| names.into_iter().map(split).collect()), grant: entry.grant })
}

/// Reads the cluster's secret, or makes one.
fn secret(path: &PathBuf, notes: &mut Vec<String>) -> Result<ClusterSecret, PlanError> {
    let failed = |error| PlanError::File { path: path.clone(), error };
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text: String =
                rand::random::<[u8; SECRET_BYTES]>().iter().map(|byte| format!("{byte:02x}")).collect();
            let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            made.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
                .map_err(failed)?;
            notes.push(format!(
                "made the cluster's secret, {}: keep it, and give it to every proxy of this cluster",
                path.display()
            ));
            text.into_bytes()
        }
        Err(error) => return Err(failed(error)),
    };
    let secret = text.trim_ascii();
    if secret.len() < SECRET_BYTES {
        return Err(PlanError::ShortSecret { path: path.clone(), bytes: secret.len() });
    }
    if fs::metadata(path).map_err(failed)?.permissions().mode() & 0o004 != 0 {
        notes.push(format!("everybody on this machine may read {}: chmod 600 is advised", path.display()));
    }
    Ok(ClusterSecret::new(secret))
}

#[cfg(test)]
mod tests;
