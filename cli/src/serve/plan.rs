//! The cluster file as decided: passwords read, names resolved, nothing left to doubt before the servers are asked. Read next: `servers`.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use podway_model::{Account, ClusterSecret, HostPattern, KeyRange, ShardIndex, Vindex};

use super::error::PlanError;
use super::file::{AdoptEntry, ClusterFile, KeyspaceEntry, ServerEntry, TableEntry, UsersEntry};
use super::limits::Limits;
use crate::provision::{AdminLogin, Declaration};

/// The port of a server whose address names none.
const MYSQL_PORT: u16 = 3306;
/// Bytes of a cluster's secret.
const SECRET_BYTES: usize = 32;

/// What a server's entry has to say of a password.
const PASSWORD: &str = "say one of admin_password, admin_password_file and admin_password_env";

/// What a cluster file asks of a proxy without a topology.
pub(super) struct ClusterPlan {
    pub(super) secret: ClusterSecret,
    pub(super) servers: Vec<ServerPlan>,
    /// The default one first; none: every schema of the only server is one.
    pub(super) keyspaces: Vec<KeyspacePlan>,
    pub(super) users: UsersPlan,
    pub(super) limits: Limits,
}

/// A server.
#[derive(Debug)]
pub(crate) struct ServerPlan {
    /// Its name for people.
    pub(crate) name: String,
    pub(crate) login: AdminLogin,
}

/// A keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyspacePlan {
    pub(crate) name: String,
    pub(crate) shards: Vec<ShardPlan>,
    pub(crate) home: ShardIndex,
    pub(crate) tables: Vec<(String, Declaration)>,
}

/// A shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardPlan {
    /// Its server's place among the file's.
    pub(crate) server: usize,
    pub(crate) schema: String,
    /// Its key ranges; empty: as an even cut gives.
    pub(crate) ranges: Vec<KeyRange>,
}

/// Whom to adopt, and what they are to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsersPlan {
    /// These; all that have a password, if none is named.
    named: Option<Vec<(String, Option<HostPattern>)>>,
    /// Privileges on the shards' schemas.
    pub(crate) grant: Option<String>,
}

/// What a cluster file asks for, whoever is to do it: with a topology, the topology has the secret and the passwords.
pub(crate) struct FilePlan {
    pub(crate) servers: Vec<FileServer>,
    /// The default one first.
    pub(crate) keyspaces: Vec<KeyspacePlan>,
    /// The one that the file names as the default.
    pub(crate) default_keyspace: Option<String>,
    /// `None`: the file does not speak of users.
    pub(crate) users: Option<UsersPlan>,
    pub(crate) limits: Limits,
    pub(crate) settings: Vec<(String, String)>,
    secret_file: Option<PathBuf>,
}

/// A server as the file has it.
#[derive(Clone, Debug)]
pub(crate) struct FileServer {
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
}

impl FilePlan {
    /// Reads the file and the passwords that it points to.
    pub(crate) fn read(path: &Path) -> Result<FilePlan, PlanError> {
        let text =
            fs::read_to_string(path).map_err(|error| PlanError::File { path: path.to_owned(), error })?;
        let file = ClusterFile::parse(path, &text)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let servers = file
            .servers
            .into_iter()
            .map(|(name, entry)| server(name, entry, folder))
            .collect::<Result<Vec<FileServer>, PlanError>>()?;
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
        Ok(FilePlan {
            servers,
            keyspaces,
            default_keyspace: file.default_keyspace,
            users: file.users.map(users_of).transpose()?,
            limits: file.limits,
            settings: file.settings.into_iter().collect(),
            secret_file: file.secret_file.map(|file| folder.join(file)),
        })
    }
}

impl ClusterPlan {
    /// Reads the file and what it points to, for a proxy without a topology. The secret is made if its file is not there; `notes` say so.
    pub(super) fn read(path: &Path, notes: &mut Vec<String>) -> Result<ClusterPlan, PlanError> {
        let plan = FilePlan::read(path)?;
        let secret_file = plan.secret_file.ok_or_else(|| {
            PlanError::part("secret_file", "say where the cluster's secret is, or is to be made")
        })?;
        if plan.servers.is_empty() {
            return Err(PlanError::part("servers", "there is none; name one as [servers.NAME]"));
        }
        let servers = plan.servers.into_iter().map(FileServer::with_password);
        let servers = servers.collect::<Result<Vec<ServerPlan>, PlanError>>()?;
        if plan.keyspaces.is_empty() && servers.len() > 1 {
            return Err(PlanError::part(
                "keyspaces",
                "with several servers, say what lies where: [keyspaces.NAME]",
            ));
        }
        if !plan.settings.is_empty() {
            let reason = "a topology keeps them (`podway apply`); a proxy with a cluster file has [limits]";
            return Err(PlanError::part("settings", reason));
        }
        let users = match plan.users {
            Some(users) => users,
            None => users_of(UsersEntry::default())?,
        };
        let secret = secret(&secret_file, notes)?;
        Ok(ClusterPlan { secret, servers, keyspaces: plan.keyspaces, users, limits: plan.limits })
    }
}

impl FileServer {
    /// How to log in, if the file has a password.
    pub(crate) fn login(&self) -> Option<AdminLogin> {
        let FileServer { host, port, user, password, .. } = self.clone();
        password.map(|password| AdminLogin { host, port, user, password })
    }

    fn with_password(self) -> Result<ServerPlan, PlanError> {
        let login =
            self.login().ok_or_else(|| PlanError::part(format!("servers.{}", self.name), PASSWORD))?;
        Ok(ServerPlan { name: self.name, login })
    }
}

impl UsersPlan {
    /// These, each `user` or `user@host`; all, if none is named.
    pub(crate) fn of(names: Vec<String>, grant: Option<String>) -> UsersPlan {
        let named = (!names.is_empty()).then(|| names.into_iter().map(split_name).collect());
        UsersPlan { named, grant }
    }

    /// Whether an account is to be adopted, and if not, why that may surprise somebody.
    pub(crate) fn wants(&self, account: &Account) -> Result<bool, &'static str> {
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

fn server(name: String, entry: ServerEntry, folder: &Path) -> Result<FileServer, PlanError> {
    let part = format!("servers.{name}");
    let (host, port) = server_address(&entry.address)
        .ok_or_else(|| PlanError::part(&part, format!("{:?} is no address; host:port is", entry.address)))?;
    let password = match (entry.admin_password, entry.admin_password_file, entry.admin_password_env) {
        (None, None, None) => None,
        (Some(password), None, None) => Some(password),
        (None, Some(file), None) => {
            let path = folder.join(file);
            let text = fs::read_to_string(&path).map_err(|error| PlanError::File { path, error })?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        (None, None, Some(variable)) => {
            let unset = |_| PlanError::part(&part, format!("the environment has no {variable}"));
            Some(std::env::var(&variable).map_err(unset)?)
        }
        _ => return Err(PlanError::part(part, PASSWORD)),
    };
    Ok(FileServer { name, host, port, user: entry.admin_user, password })
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(crate) fn server_address(text: &str) -> Option<(String, u16)> {
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

fn keyspace(name: String, entry: KeyspaceEntry, servers: &[FileServer]) -> Result<KeyspacePlan, PlanError> {
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
        let ranges = shard.ranges.iter().map(|range| range.parse()).collect::<Result<Vec<KeyRange>, _>>();
        let ranges = ranges.map_err(|error| PlanError::part(&part, error.to_string()))?;
        Ok(ShardPlan { server, schema: shard.schema.unwrap_or_else(|| name.clone()), ranges })
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
    match (entry.shard_by.is_empty(), entry.reference, entry.home) {
        (false, false, false) => Ok(Declaration::Sharded {
            columns: entry.shard_by,
            vindex: entry.vindex.unwrap_or(Vindex::Xxh3),
            unique_per_shard: entry.unique_per_shard,
        }),
        _ if entry.unique_per_shard => Err("unique_per_shard is said of a table with shard_by"),
        (true, true, false) if entry.vindex.is_none() => Ok(Declaration::Reference),
        (true, false, true) if entry.vindex.is_none() => Ok(Declaration::Home),
        _ => Err(
            "say shard_by = [\"column\"] (with a vindex, if you like), or reference = true; a table at home needs no entry, or home = true",
        ),
    }
}

fn no_schema_twice(keyspaces: &[KeyspacePlan]) -> Result<(), PlanError> {
    let mut seen = HashSet::new();
    for keyspace in keyspaces {
        if let Some(shard) = keyspace.shards.iter().find(|shard| !seen.insert((shard.server, &shard.schema)))
        {
            let reason = format!("schema {} of one server is named for two shards", shard.schema);
            return Err(PlanError::part(format!("keyspaces.{}", keyspace.name), reason));
        }
    }
    Ok(())
}

fn users_of(entry: UsersEntry) -> Result<UsersPlan, PlanError> {
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
    Ok(UsersPlan {
        named: named.map(|names| names.into_iter().map(split_name).collect()),
        grant: entry.grant,
    })
}

/// `user` or `user@host`.
fn split_name(name: String) -> (String, Option<HostPattern>) {
    match name.rsplit_once('@') {
        Some((user, host)) => (user.to_owned(), Some(HostPattern::new(host))),
        None => (name, None),
    }
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
