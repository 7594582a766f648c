//! What a statement about accounts says, as data; and the place where it is gathered while it is read. Read next: [`super::names`].

use std::ops::Range;

use podway_model::{AccountName, Map, Name};

use super::hidden;
use super::words::Words;
use crate::RouterError;

/// What a statement about accounts depends on besides its text.
#[derive(Clone, Copy)]
pub struct AccountContext<'a> {
    /// The map.
    pub map: &'a Map,
    /// The session's current database.
    pub keyspace: Option<&'a Name>,
    /// The account whose session it is.
    pub myself: &'a AccountName,
}

/// A statement about accounts that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountStatement {
    /// What it does.
    pub verb: AccountVerb,
    /// The users and roles that it makes, changes or drops, each once; of RENAME the old names.
    pub accounts: Vec<AccountName>,
    /// The roles that it grants, revokes or makes defaults.
    pub roles: Vec<AccountName>,
    /// How often it is run.
    pub place: GrantPlace,
    /// REQUIRE SSL (true), REQUIRE NONE (false): it binds clients of the proxy. Servers are told REQUIRE NONE, for Podway's own logins.
    pub requires_tls: Option<bool>,
    /// The text, in pieces.
    pub pieces: Vec<AccountPiece>,
    /// The text without its secrets.
    pub shown: String,
}

/// What a statement about accounts does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountVerb {
    /// Makes users or roles.
    Create,
    /// Changes users, or roles' defaults.
    Alter,
    /// Drops users or roles.
    Drop,
    /// Gives users other names: the old ones and the new ones.
    Rename(Vec<(AccountName, AccountName)>),
    /// Grants and revokes privileges and roles.
    Privileges,
    /// Reads the tables of privileges anew.
    Flush,
}

/// How often a statement is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantPlace {
    /// Once on each server.
    Servers,
    /// Once for each schema of the keyspace's shards.
    Shards {
        /// The keyspace.
        keyspace: Name,
        /// Only for the home shard's: what it is on is there alone.
        home_only: bool,
    },
}

/// A piece of the statement's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountPiece {
    /// These of the client's bytes.
    Text(Range<usize>),
    /// These words.
    Put(&'static str),
    /// The physical schema. As a pattern, its wildcards are escaped.
    Schema {
        /// Whether GRANT reads it as a pattern: before `.*`.
        is_pattern: bool,
    },
    /// A password in clear text: the client's bytes where MySQL makes its string of it; elsewhere that string is put.
    Password {
        /// Whose: a place among the accounts.
        account: usize,
        /// The bytes.
        text: Range<usize>,
        /// Whether the bytes are a whole statement, which is then `ALTER USER … IDENTIFIED WITH … AS …` elsewhere.
        is_whole: bool,
    },
    /// `IF EXISTS `, where the statement may have been run before.
    IfExists,
}

/// Gathers what a statement says.
pub(super) struct Reading<'a> {
    pub(super) words: &'a Words<'a>,
    pub(super) ctx: &'a AccountContext<'a>,
    pub(super) verb: Option<AccountVerb>,
    accounts: Vec<AccountName>,
    pub(super) roles: Vec<AccountName>,
    pub(super) place: GrantPlace,
    pub(super) requires_tls: Option<bool>,
    /// What stands in the place of bytes of the client's, in order.
    replaced: Vec<(Range<usize>, AccountPiece)>,
    secrets: Vec<Range<usize>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(words: &'a Words<'a>, ctx: &'a AccountContext<'a>) -> Reading<'a> {
        Reading {
            words,
            ctx,
            verb: None,
            accounts: Vec::new(),
            roles: Vec::new(),
            place: GrantPlace::Servers,
            requires_tls: None,
            replaced: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// Notes an account; its place among them.
    pub(super) fn account(&mut self, name: AccountName) -> usize {
        let known = self.accounts.iter().position(|known| *known == name);
        known.unwrap_or_else(|| {
            self.accounts.push(name);
            self.accounts.len() - 1
        })
    }

    /// Notes several.
    pub(super) fn accounts(&mut self, names: Vec<AccountName>) {
        for name in names {
            self.account(name);
        }
    }

    /// Puts something in the place of bytes.
    pub(super) fn replace(&mut self, range: Range<usize>, piece: AccountPiece) {
        self.replaced.push((range, piece));
    }

    /// Notes a token that must not be shown.
    pub(super) fn secret(&mut self, at: usize) {
        self.secrets.push(self.words.range(at, at + 1));
    }

    pub(super) fn finish(mut self) -> Result<AccountStatement, RouterError> {
        let verb = self.verb.take().ok_or_else(|| self.words.unread())?;
        let sql = self.words.sql();
        let mut pieces = Vec::new();
        let mut from = 0;
        self.replaced.sort_by_key(|(range, _)| (range.start, range.end));
        for (range, piece) in self.replaced {
            if range.start > from {
                pieces.push(AccountPiece::Text(from..range.start));
            }
            from = from.max(range.end);
            pieces.push(piece);
        }
        if from < sql.len() {
            pieces.push(AccountPiece::Text(from..sql.len()));
        }
        Ok(AccountStatement {
            verb,
            accounts: self.accounts,
            roles: self.roles,
            place: self.place,
            requires_tls: self.requires_tls,
            pieces,
            shown: hidden::shown(sql, &self.secrets),
        })
    }
}
