//! Statements about users, roles and privileges, as far as Podway must understand them to bring them to every server: whom they name, where passwords
//! stand, which keyspace a privilege is on, and what nobody may say through Podway. Their grammar beyond that is MySQL's business. Never runs one,
//! never asks a server.
//!
//! Reading order: [`words`] (the statement's tokens) → [`said`] (the types) → [`names`] → [`users`], [`grants`] (one grammar each) → [`read_accounts`] →
//! [`hidden`] (a text without its secrets).

mod grants;
mod hidden;
mod names;
mod said;
mod users;
mod words;

pub use hidden::{SECRET, without_secrets};
pub use said::{AccountContext, AccountPiece, AccountStatement, AccountVerb, GrantPlace};

use crate::statement::{Recognised, SetTarget, Statement, Verb};
use crate::{Normalised, RouterError};
use said::Reading;
use words::Words;

/// Podway's own schema on each server.
const OWN_SCHEMA: &str = "_podway";

/// Whether a statement is about users, roles and privileges (SET ROLE is not: it is the session's alone).
pub fn is_about_accounts(recognised: &Recognised, n: &Normalised) -> bool {
    match (&recognised.statement, recognised.verb) {
        (Statement::Set(assignments), _) => {
            assignments.iter().any(|one| matches!(one.target, SetTarget::Password | SetTarget::DefaultRole))
        }
        (Statement::Query, Verb::Account) => true,
        (Statement::Query, Verb::Flush) => Words::of(&[], n).are(0, &["FLUSH", "PRIVILEGES"]),
        _ => false,
    }
}

/// Whether it is SHOW GRANTS.
pub fn is_show_grants(recognised: &Recognised, n: &Normalised) -> bool {
    recognised.verb == Verb::Show
        && recognised.statement == Statement::Query
        && Words::of(&[], n).are(0, &["SHOW", "GRANTS"])
}

/// Reads a statement about accounts. What it cannot read is refused by name (1235), what nobody may say too, with MySQL's number where it has one.
pub fn read_accounts(
    sql: &[u8],
    n: &Normalised,
    ctx: &AccountContext<'_>,
) -> Result<AccountStatement, RouterError> {
    let words = Words::of(sql, n);
    let mut reading = Reading::new(&words, ctx);
    if n.is_ambiguous() {
        return Err(RouterError::unsupported("a version comment that the servers may read differently"));
    }
    check_passwords_beside(&words)?;
    match words.text(0) {
        "CREATE" | "ALTER" if words.is(1, "USER") => users::user(&mut reading)?,
        "CREATE" | "DROP" if words.is(1, "ROLE") => users::role(&mut reading)?,
        "DROP" if words.is(1, "USER") => users::drop(&mut reading)?,
        "RENAME" => users::rename(&mut reading)?,
        "SET" if words.is(1, "PASSWORD") => users::set_password(&mut reading)?,
        "SET" => users::set_default_role(&mut reading)?,
        "GRANT" | "REVOKE" => grants::grant(&mut reading)?,
        "FLUSH" => users::flush(&mut reading)?,
        _ => return Err(words.unread()),
    }
    reading.finish()
}

/// Refuses what would take the second password of an account, which is Podway's, away.
pub fn check_accounts_alone(sql: &[u8], n: &Normalised) -> Result<(), RouterError> {
    check_passwords_beside(&Words::of(sql, n))
}

fn check_passwords_beside(words: &Words<'_>) -> Result<(), RouterError> {
    for at in 0..words.len() {
        if words.are(at, &["RETAIN", "CURRENT", "PASSWORD"]) {
            return Err(RouterError::unsupported(
                "RETAIN CURRENT PASSWORD: an account's second password is the one by which Podway logs in",
            ));
        }
        if words.are(at, &["DISCARD", "OLD", "PASSWORD"]) {
            return Err(RouterError::unsupported(
                "DISCARD OLD PASSWORD: an account's second password is the one by which Podway logs in",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
