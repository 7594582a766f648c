//! How accounts stand on a server.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use podway_model::{Account, AccountName, AuthPlugin, HostPattern};
use podway_topology_api::{AccountNow, UserStatement, UserVerb};
use xxhash_rust::xxh3::xxh3_128;

use super::text::{Proof, sets_password};
use crate::mover::{Control, MoveError};
use crate::provision::{RequiredTransport, account_literal, plugin_of, unhex};

/// ER_CANNOT_USER and ER_NONEXISTING_GRANT: there is no such account.
const NO_ACCOUNT: [u16; 2] = [1396, 1141];

/// An account as `mysql.user` has it.
pub(super) struct Stored {
    pub(super) plugin: String,
    pub(super) string: Box<[u8]>,
    pub(super) transport: RequiredTransport,
    pub(super) is_locked: bool,
    pub(super) is_expired: bool,
    /// The string of its second password, if it has one.
    pub(super) second: Option<Box<[u8]>>,
    /// `PASSWORD HISTORY` and `PASSWORD REUSE INTERVAL`, where the account has its own.
    pub(super) reuse: (Option<u32>, Option<u32>),
}

impl Stored {
    /// What it proves itself by, if Podway knows the plugin and it has a password.
    pub(super) fn proof(&self) -> Option<Proof> {
        let plugin: AuthPlugin = plugin_of(&self.plugin)?;
        (!self.string.is_empty()).then(|| Proof { plugin, string: self.string.clone() })
    }
}

/// An account, if it is there.
pub(super) async fn stored(conn: &mut Conn, name: &AccountName) -> Result<Option<Stored>, Error> {
    let sql = "SELECT plugin, HEX(authentication_string), ssl_type, account_locked = 'Y', password_expired = 'Y', \
               HEX(JSON_UNQUOTE(JSON_EXTRACT(User_attributes, '$.additional_password'))), \
               Password_reuse_history, Password_reuse_time FROM mysql.user WHERE user = ? AND host = ?";
    type Row = (String, Option<String>, String, bool, bool, Option<String>, Option<u32>, Option<u32>);
    let row: Option<Row> = conn.exec_first(sql, (&*name.user, name.host.as_str())).await?;
    Ok(row.map(|(plugin, digits, ssl_type, is_locked, is_expired, second, history, interval)| Stored {
        plugin,
        string: unhex(&digits.unwrap_or_default()),
        transport: RequiredTransport::of(&ssl_type),
        is_locked,
        is_expired,
        second: second.map(|digits| unhex(&digits)),
        reuse: (history, interval),
    }))
}

/// What each of the statement's accounts proves itself by on the first server.
pub(super) async fn proofs(first: &mut Conn, statement: &UserStatement) -> Result<Vec<Option<Proof>>, Error> {
    let mut proofs = Vec::new();
    for name in &statement.accounts {
        proofs.push(stored(first, name).await?.and_then(|stored| stored.proof()));
    }
    Ok(proofs)
}

/// How everybody whom a statement names stands, in one number: what it does to one of them changes it.
pub(super) async fn stand(control: &mut Control, statement: &UserStatement) -> Result<String, MoveError> {
    control.set("SET SESSION print_identified_with_as_hex = 1").await?;
    let mut all = Vec::new();
    for name in statement.names() {
        all.extend_from_slice(name.to_string().as_bytes());
        for what in ["CREATE USER", "GRANTS FOR"] {
            // Who may call Podway's procedures is no statement's doing.
            let lines = shown(control, what, name).await?;
            for line in lines.iter().filter(|line| !line.contains(" ON PROCEDURE `_podway`.`")) {
                all.push(0);
                all.extend_from_slice(line.as_bytes());
            }
        }
        all.push(1);
    }
    Ok(format!("{:032x}", xxh3_128(&all)))
}

async fn shown(control: &mut Control, what: &str, name: &AccountName) -> Result<Vec<String>, MoveError> {
    match control.rows::<String>(&format!("SHOW {what} {}", account_literal(name))).await {
        Err(error) if error.code().is_some_and(|code| NO_ACCOUNT.contains(&code)) => {
            Ok(vec!["absent".to_owned()])
        }
        lines => lines,
    }
}

/// What the topology is to know of the accounts: how they stand on the first server. `known` are those that it knows.
pub(super) async fn now(
    first: &mut Conn,
    statement: &UserStatement,
    known: &[Account],
) -> Result<Vec<AccountNow>, Error> {
    let mut all = Vec::new();
    for name in statement.subjects() {
        let before = match &statement.verb {
            UserVerb::Rename(pairs) => pairs.iter().find(|(_, to)| to == name).map_or(name, |(from, _)| from),
            _ => name,
        };
        let known = known.iter().find(|known| known.name == *before || known.name == *name);
        // Whom nobody brought here may log in to servers, and not here.
        if known.is_none() && !matches!(statement.verb, UserVerb::Create) {
            continue;
        }
        let stored = stored(first, name).await?;
        let account = stored.and_then(|stored| account(name, &stored, known, statement));
        all.push(account.map_or_else(|| AccountNow::Unknown(name.clone()), AccountNow::Known));
    }
    Ok(all)
}

/// An account as clients are to log in to it. Of one that is known, what proves it changes only where the statement says so: on servers its string may be
/// Podway's own, where it has no password.
fn account(
    name: &AccountName,
    stored: &Stored,
    known: Option<&Account>,
    statement: &UserStatement,
) -> Option<Account> {
    if stored.transport == RequiredTransport::ClientCertificate {
        return None;
    }
    let proof = stored.proof();
    let (plugin, string) = match known.filter(|_| !sets_password(statement, name)) {
        Some(known) if known.authentication_string.is_empty() => (known.plugin, Box::default()),
        _ => proof.map(|proof| (proof.plugin, proof.string))?,
    };
    let requires_tls = statement
        .requires_tls
        .or(known.map(|known| known.requires_tls))
        .unwrap_or(stored.transport == RequiredTransport::Tls);
    Some(Account {
        name: AccountName { user: name.user.clone(), host: HostPattern::new(name.host.as_str()) },
        plugin,
        authentication_string: string,
        requires_tls,
        locked: stored.is_locked,
    })
}

#[cfg(test)]
mod tests {
    use podway_topology_api::{SqlBytes, UserPiece, UserPlace};

    use super::*;

    fn name() -> AccountName {
        AccountName { user: "a".into(), host: HostPattern::new("%") }
    }

    fn statement(requires_tls: Option<bool>, pieces: Vec<UserPiece>) -> UserStatement {
        UserStatement {
            account: None,
            setup: SqlBytes::default(),
            verb: UserVerb::Alter,
            accounts: vec![name()],
            roles: Vec::new(),
            place: UserPlace::Server,
            requires_tls,
            pieces,
        }
    }

    fn on_server(string: &[u8]) -> Stored {
        Stored {
            plugin: "caching_sha2_password".to_owned(),
            string: string.into(),
            transport: RequiredTransport::Any,
            is_locked: true,
            is_expired: false,
            second: None,
            reuse: (None, None),
        }
    }

    fn known(string: &[u8]) -> Account {
        Account {
            name: name(),
            plugin: AuthPlugin::CachingSha2Password,
            authentication_string: string.into(),
            requires_tls: true,
            locked: false,
        }
    }

    #[test]
    fn an_account_without_a_password_keeps_none_though_servers_know_podways() {
        let locks = statement(None, Vec::new());
        let now = account(&name(), &on_server(b"podway's"), Some(&known(b"")), &locks).unwrap();
        assert!(now.authentication_string.is_empty() && now.locked && now.requires_tls);
        let password = UserPiece::Password { account: 0, text: SqlBytes::default(), is_whole: true };
        let sets = statement(None, vec![password]);
        let now = account(&name(), &on_server(b"new"), Some(&known(b"")), &sets).unwrap();
        assert_eq!(&*now.authentication_string, b"new");
    }

    #[test]
    fn who_is_new_must_have_a_password_and_no_certificate() {
        let nothing = statement(Some(false), Vec::new());
        assert_eq!(account(&name(), &on_server(b""), None, &nothing), None);
        assert!(!account(&name(), &on_server(b"x"), None, &nothing).unwrap().requires_tls);
        let certified = Stored { transport: RequiredTransport::ClientCertificate, ..on_server(b"x") };
        assert_eq!(account(&name(), &certified, None, &nothing), None);
    }
}
