//! The accounts that tests log in as, said in a word each. How they come to servers is `podway::provision`'s.

use podway_model::{Account, AccountName, AuthPlugin, HostPattern};
use sha1::{Digest, Sha1};

/// The user that every pod has: may do everything in every schema.
pub const APP: (&str, &str) = ("app", "app's password");

/// A user to be.
#[derive(Clone, Debug)]
pub struct User {
    /// Its name.
    pub name: String,
    /// From where it may come.
    pub host: String,
    /// Its password.
    pub password: Password,
    /// What it may do.
    pub grants: Vec<Grant>,
}

/// A password and how it is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// By `caching_sha2_password`.
    Sha2(String),
    /// By `mysql_native_password`.
    Native(String),
    /// There is none.
    Empty,
}

/// What a user may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// For example `SELECT, INSERT`.
    pub privileges: String,
    /// In this keyspace, that is, in the physical schemas of its shards; everywhere, if none is named.
    pub keyspace: Option<String>,
}

impl User {
    /// A user from anywhere who may do everything.
    pub fn new(name: &str, password: Password) -> User {
        let all = Grant { privileges: "ALL PRIVILEGES".to_owned(), keyspace: None };
        User { name: name.to_owned(), host: "%".to_owned(), password, grants: vec![all] }
    }

    /// The account's name.
    pub fn account_name(&self) -> AccountName {
        AccountName { user: self.name.as_str().into(), host: HostPattern::new(&self.host) }
    }

    /// The account, where it can be told without a server: MySQL salts the other kind.
    pub fn unsalted_account(&self) -> Option<Account> {
        let (plugin, authentication_string) = match &self.password {
            Password::Sha2(_) => return None,
            Password::Native(password) => (AuthPlugin::MysqlNativePassword, native_string(password)),
            Password::Empty => (AuthPlugin::CachingSha2Password, String::new()),
        };
        let authentication_string = authentication_string.into_bytes().into();
        Some(Account {
            name: self.account_name(),
            plugin,
            authentication_string,
            requires_tls: false,
            locked: false,
        })
    }
}

/// `mysql_native_password`'s string: `*` and SHA1(SHA1(password)) in hexadecimal.
fn native_string(password: &str) -> String {
    let twice = Sha1::digest(Sha1::digest(password.as_bytes()));
    twice.iter().fold("*".to_owned(), |text, byte| text + &format!("{byte:02X}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_strings_are_mysqls() {
        // What MySQL 5.7 answered to SELECT PASSWORD('password').
        assert_eq!(native_string("password"), "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
    }
}
