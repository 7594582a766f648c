//! A statement about users, roles and privileges on its way to every server: as whom it runs, whom it is about, and where its text differs from server to
//! server. It may hold passwords, so nothing here prints a byte of its text.

use podway_model::{Account, AccountName, HostPattern};
use serde::{Deserialize, Serialize};

use crate::statement::{ClientStatement, SqlBytes};

/// A statement about users, roles and privileges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserStatement {
    /// As whom it runs, so that MySQL says whether he may; `None`: as Podway's administrator of each server.
    #[serde(default)]
    pub account: Option<AccountName>,
    /// The statement that brings a new connection to the client's settings; empty: none.
    #[serde(default)]
    pub setup: SqlBytes,
    /// What it does.
    pub verb: UserVerb,
    /// The users and roles that it makes, changes or drops; of RENAME the old names.
    pub accounts: Vec<AccountName>,
    /// The roles that it grants, revokes or makes defaults.
    #[serde(default)]
    pub roles: Vec<AccountName>,
    /// How often it is run.
    #[serde(default)]
    pub place: UserPlace,
    /// REQUIRE SSL (true) or REQUIRE NONE (false), which binds clients of the proxies.
    #[serde(default)]
    pub requires_tls: Option<bool>,
    /// Its text.
    pub pieces: Vec<UserPiece>,
}

/// What a statement about users does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserVerb {
    /// Makes users or roles.
    Create,
    /// Changes users.
    Alter,
    /// Drops users or roles.
    Drop,
    /// Gives users other names: the old and the new ones.
    Rename(Vec<(AccountName, AccountName)>),
    /// Grants and revokes.
    Privileges,
    /// Reads the tables of privileges anew.
    Flush,
}

/// How often a statement about users is run on a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserPlace {
    /// Once.
    #[default]
    Server,
    /// Once for each schema that is a shard's of the keyspace there.
    Shards {
        /// The keyspace.
        keyspace: Box<str>,
        /// For the home shard's only.
        home_only: bool,
    },
}

/// A part of the text of a statement about users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserPiece {
    /// Bytes of the client's, in its character set.
    Text(SqlBytes),
    /// The physical schema, as a quoted name.
    Schema {
        /// Its wildcards are escaped: it stands where GRANT reads a pattern.
        is_pattern: bool,
    },
    /// A password in clear text. The first server makes its string of it, which all others take as it is.
    Password {
        /// Whose: a place among the accounts.
        account: u16,
        /// What the first server is told.
        text: SqlBytes,
        /// Whether that is the whole statement.
        is_whole: bool,
    },
    /// `IF EXISTS `, where it may have been run before.
    IfExists,
}

/// What became of an account: how it stands on the first server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountNow {
    /// It may log in.
    Known(Account),
    /// It is gone, or cannot log in.
    Unknown(AccountName),
}

impl UserStatement {
    /// All that are named in it, each once: those that it is about, their new names, and roles.
    pub fn names(&self) -> Vec<&AccountName> {
        let renamed = match &self.verb {
            UserVerb::Rename(pairs) => pairs.as_slice(),
            _ => &[],
        };
        let mut names: Vec<&AccountName> = Vec::new();
        for name in self.accounts.iter().chain(renamed.iter().map(|(_, to)| to)).chain(&self.roles) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Those whose rights or passwords differ afterwards, by the names that they have then or had before.
    pub fn subjects(&self) -> Vec<&AccountName> {
        let all = self.names();
        all.into_iter().filter(|name| !self.roles.contains(name) || self.accounts.contains(name)).collect()
    }

    /// As whom, and under what settings, a session for it is opened.
    pub fn client(&self) -> ClientStatement {
        let nobody = || AccountName { user: "".into(), host: HostPattern::new("") };
        let account = self.account.clone().unwrap_or_else(nobody);
        ClientStatement { account, setup: self.setup.clone(), database: None, pieces: Vec::new() }
    }

    /// How many bytes the text has.
    pub fn bytes(&self) -> usize {
        let bytes = |piece: &UserPiece| match piece {
            UserPiece::Text(text) | UserPiece::Password { text, .. } => text.0.len(),
            UserPiece::Schema { .. } | UserPiece::IfExists => 0,
        };
        self.setup.0.len() + self.pieces.iter().map(bytes).sum::<usize>()
    }
}
