//! Accounts on servers: the user's own password stays the first, Podway's derived one becomes the second, so that both get in.
//! Whether a client's proof is right is not decided here.
//!
//! MySQL keeps two passwords of an account where the newer statement says RETAIN CURRENT PASSWORD. Podway's is set first and the user's
//! own string put before it: a later SET PASSWORD by the user then replaces the user's own and leaves Podway's in place.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{Account, AccountName, AuthPlugin, HostPattern};

use super::calls::grant_calls;
use super::error::ProvisionError;
use super::literal::{account_literal, text_literal};

/// What became of the user's own password on a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnPassword {
    /// It gets in there as before.
    Kept,
    /// Only Podway's gets in there: the user's own is empty, which MySQL does not keep beside another, or the server lacks its plugin.
    Dropped,
}

/// What an account's REQUIRE clause asks of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredTransport {
    /// Nothing: REQUIRE NONE.
    Any,
    /// TLS: REQUIRE SSL.
    Tls,
    /// TLS and what a certificate of the client's says: REQUIRE X509, SUBJECT, ISSUER or CIPHER. Podway cannot check these.
    ClientCertificate,
}

impl RequiredTransport {
    /// Of `mysql.user.ssl_type`.
    pub fn of(ssl_type: &str) -> RequiredTransport {
        match ssl_type {
            "" => RequiredTransport::Any,
            "ANY" => RequiredTransport::Tls,
            _ => RequiredTransport::ClientCertificate,
        }
    }
}

/// Makes a user with a password, if there is no such account; for servers of one's own.
pub async fn create_user(conn: &mut Conn, name: &AccountName, password: &str) -> Result<(), ProvisionError> {
    let sql = format!(
        "CREATE USER IF NOT EXISTS {} IDENTIFIED BY {}",
        account_literal(name),
        text_literal(password)
    );
    conn.query_drop(sql).await.map_err(ProvisionError::doing(format!("creating user {name}")))
}

/// Gives an account another password of its own; Podway's, which is the second one, stays.
pub async fn change_password(
    conn: &mut Conn,
    name: &AccountName,
    password: &str,
) -> Result<(), ProvisionError> {
    let sql = format!("ALTER USER {} IDENTIFIED BY {}", account_literal(name), text_literal(password));
    conn.query_drop(sql).await.map_err(ProvisionError::doing(format!("changing the password of {name}")))
}

/// Drops an account, if it is there.
pub async fn drop_user(conn: &mut Conn, name: &AccountName) -> Result<(), ProvisionError> {
    let sql = format!("DROP USER IF EXISTS {}", account_literal(name));
    conn.query_drop(sql).await.map_err(ProvisionError::doing(format!("dropping user {name}")))
}

/// Brings an account to a server: makes it if it is not there, gives it the client's own string and Podway's password, and grants
/// (each a text such as "ALL PRIVILEGES ON `shop`.*"). Run again it changes nothing that a client could see.
///
/// REQUIRE SSL is not set here: it binds clients, and the proxy sees to it; Podway's own login may come another way.
pub async fn ensure_account(
    conn: &mut Conn,
    account: &Account,
    grants: &[String],
    backend_password: &str,
) -> Result<OwnPassword, ProvisionError> {
    let name = account_literal(&account.name);
    let doing = || ProvisionError::doing(format!("preparing user {}", account.name));
    let plugin = plugin_name(account.plugin);
    let has_plugin = is_plugin_active(conn, plugin).await?;
    let used_plugin = if has_plugin { plugin } else { plugin_name(AuthPlugin::CachingSha2Password) };
    let backend = text_literal(backend_password);

    let existing = find(conn, &account.name).await?;
    let sql = match &existing {
        None => format!("CREATE USER {name} IDENTIFIED WITH {used_plugin} BY {backend}"),
        Some(existing) if existing.plugin == used_plugin && !existing.authentication_string.is_empty() => {
            format!("ALTER USER {name} IDENTIFIED BY {backend} RETAIN CURRENT PASSWORD")
        }
        Some(_) => format!("ALTER USER {name} IDENTIFIED WITH {used_plugin} BY {backend}"),
    };
    conn.query_drop(sql).await.map_err(doing())?;

    let own = if has_plugin && !account.authentication_string.is_empty() {
        let digits = hex(&account.authentication_string);
        let sql = format!("ALTER USER {name} IDENTIFIED WITH {plugin} AS 0x{digits} RETAIN CURRENT PASSWORD");
        conn.query_drop(sql).await.map_err(doing())?;
        OwnPassword::Kept
    } else {
        OwnPassword::Dropped
    };
    let lock = if account.locked { "LOCK" } else { "UNLOCK" };
    conn.query_drop(format!("ALTER USER {name} ACCOUNT {lock}")).await.map_err(doing())?;
    for grant in grants {
        conn.query_drop(format!("GRANT {grant} TO {name}")).await.map_err(doing())?;
    }
    grant_calls(conn, &account.name).await?;
    Ok(own)
}

/// The server's accounts that Podway can verify, by password and without a client certificate, MySQL's own internal ones and Podway's left out.
pub async fn read_accounts(conn: &mut Conn) -> Result<Vec<Account>, ProvisionError> {
    Ok(read(conn, None).await?.into_iter().filter_map(Stored::into_account).collect())
}

/// One account.
pub async fn read_account(conn: &mut Conn, name: &AccountName) -> Result<Account, ProvisionError> {
    let stored = find(conn, name).await?;
    stored.and_then(Stored::into_account).ok_or_else(|| ProvisionError::NoAccount(name.clone()))
}

/// An account as `mysql.user` has it.
struct Stored {
    name: AccountName,
    plugin: String,
    authentication_string: Box<[u8]>,
    transport: RequiredTransport,
    locked: bool,
}

impl Stored {
    fn into_account(self) -> Option<Account> {
        if self.transport == RequiredTransport::ClientCertificate {
            return None;
        }
        let plugin = plugin_of(&self.plugin)?;
        Some(Account {
            name: self.name,
            plugin,
            authentication_string: self.authentication_string,
            requires_tls: self.transport == RequiredTransport::Tls,
            locked: self.locked,
        })
    }
}

async fn find(conn: &mut Conn, name: &AccountName) -> Result<Option<Stored>, ProvisionError> {
    Ok(read(conn, Some(name)).await?.pop())
}

/// Reads this account, or all but MySQL's own and Podway's.
async fn read(conn: &mut Conn, name: Option<&AccountName>) -> Result<Vec<Stored>, ProvisionError> {
    // The string is bytes, which no connection character set may touch: hence HEX.
    let sql = "SELECT user, host, plugin, HEX(authentication_string), ssl_type, account_locked = 'Y' FROM mysql.user \
               WHERE user NOT IN ('mysql.infoschema', 'mysql.session', 'mysql.sys', '_podway') AND (? OR (user = ? AND host = ?)) \
               ORDER BY user, host";
    let (user, host) = name.map_or(("", ""), |name| (&*name.user, name.host.as_str()));
    let stored = |row: (String, String, String, Option<String>, String, bool)| {
        let (user, host, plugin, digits, ssl_type, locked) = row;
        Stored {
            name: AccountName { user: user.into(), host: HostPattern::new(&host) },
            plugin,
            authentication_string: unhex(&digits.unwrap_or_default()),
            transport: RequiredTransport::of(&ssl_type),
            locked,
        }
    };
    let parameters = (name.is_none(), user, host);
    conn.exec_map(sql, parameters, stored).await.map_err(ProvisionError::doing("reading mysql.user"))
}

async fn is_plugin_active(conn: &mut Conn, plugin: &str) -> Result<bool, ProvisionError> {
    let sql =
        "SELECT COUNT(*) FROM information_schema.plugins WHERE plugin_name = ? AND plugin_status = 'ACTIVE'";
    let count: Option<u64> = conn
        .exec_first(sql, (plugin,))
        .await
        .map_err(ProvisionError::doing("reading the server's plugins"))?;
    Ok(count.unwrap_or_default() > 0)
}

/// A plugin as MySQL names it.
pub fn plugin_name(plugin: AuthPlugin) -> &'static str {
    match plugin {
        AuthPlugin::CachingSha2Password => "caching_sha2_password",
        AuthPlugin::MysqlNativePassword => "mysql_native_password",
    }
}

/// The plugin of this name, if Podway can verify by it.
pub fn plugin_of(name: &str) -> Option<AuthPlugin> {
    let known = [AuthPlugin::CachingSha2Password, AuthPlugin::MysqlNativePassword];
    known.into_iter().find(|plugin| plugin_name(*plugin) == name)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// The bytes that HEX printed.
pub fn unhex(digits: &str) -> Box<[u8]> {
    let digit = |c: u8| (c as char).to_digit(16).unwrap_or_default() as u8;
    digits.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_go_and_come_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(&*unhex(&hex(&bytes)), &bytes[..]);
        assert!(unhex("").is_empty());
    }
}
