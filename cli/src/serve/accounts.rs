//! Accounts that the servers have, adopted: each gets Podway's password as its second one on every server, and its own stays the first, so
//! that direct clients go on as before. An account that this cannot be done to without harm is left alone, and the notes say why.
//! Read next: `draw`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mysql_async::prelude::Queryable;
use podway_model::{Account, AccountName, ClusterSecret, Shard};

use super::error::ServeError;
use super::plan::{ServerPlan, UsersPlan};
use super::servers::ReachedServer;
use crate::provision::{
    AdminLogin, OwnPassword, ProvisionError, RequiredTransport, ensure_account, read_accounts, schema_grant,
};

/// Errors by which a server says no to a login: wrong password (1045, 1698), not from this host (1130), only with TLS (3159), by another
/// plugin (1251, 1524).
const REFUSED: [u16; 6] = [1045, 1698, 1130, 3159, 1251, 1524];
/// Errors by which a server says that the password is right, but the account is locked (3118) or the password too old (1862).
const KNOWN: [u16; 2] = [3118, 1862];

/// What adopting needs to know.
pub(crate) struct Adoption<'a> {
    pub(crate) users: &'a UsersPlan,
    pub(crate) secret: &'a ClusterSecret,
    /// The servers' logins, in the order of the servers.
    pub(crate) plans: &'a [ServerPlan],
    /// All shards of all keyspaces.
    pub(crate) shards: Vec<Shard>,
}

/// The accounts of one server.
struct Listed {
    /// Those that Podway can verify.
    accounts: Vec<Account>,
    /// All of them.
    taken: HashMap<(String, String), Taken>,
}

/// What else matters of an account that a server has.
struct Taken {
    has_second_password: bool,
    transport: RequiredTransport,
}

/// What an account is on one server.
enum Standing {
    /// Podway can log in as it.
    Ready,
    /// It is there, and Podway cannot log in as it yet.
    Adoptable(Account),
    /// It is not there.
    Missing,
    /// It cannot be adopted without harm.
    Blocked(&'static str),
}

impl Adoption<'_> {
    /// Adopts the accounts that are wanted, and returns them as the map is to have them.
    pub(crate) async fn adopt(
        &self,
        servers: &mut [ReachedServer],
        notes: &mut Vec<String>,
    ) -> Result<Vec<Arc<Account>>, ServeError> {
        let mut listed = Vec::new();
        for server in servers.iter_mut() {
            listed.push(list(server).await.map_err(ServeError::at(&server.name))?);
        }
        let all = || listed.iter().flat_map(|listed| &listed.accounts);
        for user in self.users.missing_from(all()) {
            notes.push(format!(
                "user {user}: not adopted: no server has it with a password that Podway can verify"
            ));
        }
        let mut adopted: Vec<Arc<Account>> = Vec::new();
        for account in all() {
            if adopted.iter().any(|known| known.name == account.name) {
                continue;
            }
            match self.users.wants(account) {
                Ok(false) => {}
                Err(reason) => notes.push(format!("user {}: not adopted: {reason}", account.name)),
                Ok(true) => {
                    if self.adopt_one(account, &listed, servers, notes).await? {
                        adopted.push(Arc::new(account.clone()));
                    }
                }
            }
        }
        Ok(adopted)
    }

    /// Adopts one account on all servers, or on none. Returns whether it can be served.
    async fn adopt_one(
        &self,
        account: &Account,
        listed: &[Listed],
        servers: &mut [ReachedServer],
        notes: &mut Vec<String>,
    ) -> Result<bool, ServeError> {
        let name = &account.name;
        let mut standings = Vec::new();
        for (index, server) in servers.iter().enumerate() {
            let standing = self.standing(name, index, &listed[index], &server.facts.uuid).await?;
            if let Standing::Blocked(reason) = standing {
                notes.push(format!("user {name}: not adopted: on server {} {reason}", server.name));
                return Ok(false);
            }
            standings.push(standing);
        }
        let (mut done, mut barred) = (Vec::new(), Vec::new());
        for (index, (server, standing)) in servers.iter_mut().zip(standings).enumerate() {
            let (account, what) = match standing {
                Standing::Adoptable(own) => (own, "adopted"),
                Standing::Missing if self.users.grant.is_some() => (account.clone(), "made"),
                Standing::Missing => (account.clone(), "made without privileges (users.grant gives some)"),
                Standing::Ready | Standing::Blocked(_) => {
                    done.push(format!("ready on {}", server.name));
                    continue;
                }
            };
            let password = self.secret.backend_password(name, &server.facts.uuid);
            let grants = self.grants(server);
            let own = ensure_account(&mut server.conn, &account, &grants, &password).await;
            if own.map_err(ServeError::at(&server.name))? == OwnPassword::Dropped {
                notes.push(format!(
                    "user {name}: server {} lacks its plugin: no direct login there",
                    server.name
                ));
            }
            done.push(format!("{what} on {}", server.name));
            if !self.gets_in(name, index, &password).await? {
                barred.push(server.name.as_str());
            }
        }
        notes.push(format!("user {name}: {}", done.join(", ")));
        if !barred.is_empty() {
            notes.push(format!(
                "user {name}: not served: nobody gets in as it from here on {}; does its host fit this machine, does it need TLS?",
                barred.join(", ")
            ));
        }
        Ok(barred.is_empty())
    }

    /// What the account is on a server. Podway's password is tried only where there is a second one: a failed login may count.
    async fn standing(
        &self,
        name: &AccountName,
        index: usize,
        listed: &Listed,
        uuid: &str,
    ) -> Result<Standing, ServeError> {
        let key = (name.user.to_string(), name.host.as_str().to_owned());
        let Some(taken) = listed.taken.get(&key) else { return Ok(Standing::Missing) };
        match taken.transport {
            RequiredTransport::Any => {}
            RequiredTransport::Tls => {
                return Ok(Standing::Blocked(
                    "it requires TLS (REQUIRE SSL), and Podway's own connections to servers are not encrypted",
                ));
            }
            RequiredTransport::ClientCertificate => {
                return Ok(Standing::Blocked(
                    "it requires a client certificate (REQUIRE X509, SUBJECT, ISSUER or CIPHER), which ends at Podway",
                ));
            }
        }
        let Some(own) = listed.accounts.iter().find(|own| own.name == *name) else {
            return Ok(Standing::Blocked("it proves itself by a plugin that Podway does not know"));
        };
        if own.authentication_string.is_empty() {
            return Ok(Standing::Blocked("it has no password"));
        }
        if !taken.has_second_password {
            return Ok(Standing::Adoptable(own.clone()));
        }
        if self.gets_in(name, index, &self.secret.backend_password(name, uuid)).await? {
            return Ok(Standing::Ready);
        }
        Ok(Standing::Blocked(
            "it has a second password that is not this cluster's, or may not come from here; ALTER USER … DISCARD OLD PASSWORD drops one",
        ))
    }

    /// Whether Podway can log in to a server as this very account. That a server has no room just now is an error, not an answer.
    async fn gets_in(&self, name: &AccountName, index: usize, password: &str) -> Result<bool, ServeError> {
        let ServerPlan { name: server, login } = &self.plans[index];
        let login =
            AdminLogin { user: name.user.to_string(), password: password.to_owned(), ..login.clone() };
        let mut conn = match login.connect().await {
            Ok(conn) => conn,
            Err(error) => return answer(&error).ok_or_else(|| ServeError::at(server)(error)),
        };
        let current: Option<String> = conn.query_first("SELECT CURRENT_USER()").await.unwrap_or_default();
        // Whether the connection ends well no longer matters.
        let _ = conn.disconnect().await;
        Ok(current == Some(format!("{}@{}", name.user, name.host.as_str())))
    }

    /// What the users are to be allowed on a server: on each schema of a shard there.
    fn grants(&self, server: &ReachedServer) -> Vec<String> {
        let Some(privileges) = &self.users.grant else { return Vec::new() };
        let here = self.shards.iter().filter(|shard| shard.server == server.server.id);
        let schemas: BTreeSet<&str> = here.map(|shard| shard.schema.as_str()).collect();
        schemas.into_iter().map(|schema| schema_grant(privileges, schema)).collect()
    }
}

/// What a failed login says of the account, if anything: whether the password is right.
fn answer(error: &ProvisionError) -> Option<bool> {
    use mysql_async::{DriverError, Error};
    let ProvisionError::Login { error, .. } = error else { return None };
    match error {
        Error::Server(error) if REFUSED.contains(&error.code) => Some(false),
        Error::Server(error) if KNOWN.contains(&error.code) => Some(true),
        // For an account that may not come from here a server plays one with a plugin of its choice (seen on 9.7).
        Error::Driver(DriverError::UnknownAuthPlugin { .. }) => Some(false),
        Error::Driver(DriverError::MysqlOldPasswordDisabled | DriverError::CleartextPluginDisabled) => {
            Some(false)
        }
        _ => None,
    }
}

async fn list(server: &mut ReachedServer) -> Result<Listed, ProvisionError> {
    let sql = "SELECT user, host, JSON_EXTRACT(user_attributes, '$.additional_password') IS NOT NULL, ssl_type \
               FROM mysql.user";
    let doing = |error| ProvisionError::Statement { doing: "reading mysql.user".to_owned(), error };
    let rows: Vec<(String, String, bool, String)> = server.conn.query(sql).await.map_err(doing)?;
    let taken = rows.into_iter().map(|(user, host, has_second_password, ssl_type)| {
        let transport = RequiredTransport::of(&ssl_type);
        ((user, host), Taken { has_second_password, transport })
    });
    let taken = taken.collect();
    Ok(Listed { accounts: read_accounts(&mut server.conn).await?, taken })
}
