//! CREATE, ALTER, DROP and RENAME of users and roles, and passwords. Read next: [`super::grants`].

use podway_model::AccountName;

use super::names;
use super::said::{AccountPiece, AccountVerb, Reading};
use crate::RouterError;

/// The plugins by which Podway can verify a client.
const PLUGINS: [&str; 2] = ["caching_sha2_password", "mysql_native_password"];

/// What a user's part of the statement says of how it proves who it is.
#[derive(Default)]
struct Proof {
    /// It has a password from now on.
    is_set: bool,
    /// Where it is said in clear text.
    clause: Option<(usize, usize)>,
}

/// CREATE USER, ALTER USER.
pub(super) fn user(r: &mut Reading<'_>) -> Result<(), RouterError> {
    let creates = r.words.is(0, "CREATE");
    let mut at = names::behind_if(r, 2);
    let mut proofs = Vec::new();
    loop {
        let (name, end) = names::account(r, at)?;
        let is_own = name == *r.ctx.myself;
        let place = r.account(name);
        let (proof, behind) = proof(r, end)?;
        proofs.push((place, is_own, proof));
        at = behind;
        if !r.words.is(at, ",") {
            break;
        }
        at += 1;
    }
    let is_tail_empty = r.words.is_end(at);
    let locks = tail(r, at)?;
    if creates && !locks && proofs.iter().any(|(_, _, proof)| !proof.is_set) {
        return Err(RouterError::unsupported(
            "a user without a password: Podway's own cannot stand beside an empty one. Give it one, or lock it",
        ));
    }
    let only_own = match &proofs[..] {
        [(place, true, Proof { clause: Some(_), .. })] if !creates && is_tail_empty => Some(*place),
        _ => None,
    };
    let sql_len = r.words.sql().len();
    if let Some(account) = only_own {
        r.replace(0..sql_len, AccountPiece::Password { account, text: 0..sql_len, is_whole: true });
    } else {
        for (account, _, proof) in proofs {
            if let Some((first, end)) = proof.clause {
                let text = r.words.range(first, end);
                r.replace(text.clone(), AccountPiece::Password { account, text, is_whole: false });
            }
        }
    }
    r.verb = Some(if creates { AccountVerb::Create } else { AccountVerb::Alter });
    Ok(())
}

/// What follows a user's name: how it proves who it is.
fn proof(r: &mut Reading<'_>, at: usize) -> Result<(Proof, usize), RouterError> {
    if r.words.is(at, "IDENTIFIED") {
        return identified(r, at);
    }
    let factor = ["ADD", "MODIFY", "DROP", "INITIATE", "FINISH", "UNREGISTER"];
    if factor.contains(&r.words.text(at)) || r.words.is(at, "INITIAL") || r.words.is(at + 1, "FACTOR") {
        return Err(RouterError::unsupported("authentication by several factors"));
    }
    Ok((Proof::default(), at))
}

fn identified(r: &mut Reading<'_>, at: usize) -> Result<(Proof, usize), RouterError> {
    let mut next = at + 1;
    let mut is_clear = true;
    if r.words.is(next, "WITH") {
        let plugin = r.words.value(next + 1).unwrap_or_default().to_ascii_lowercase();
        if !PLUGINS.contains(&&*plugin) {
            return Err(RouterError::unsupported(format_args!(
                "the authentication plugin '{plugin}'; {} and {} are known",
                PLUGINS[0], PLUGINS[1]
            )));
        }
        next += 2;
        is_clear = !r.words.is(next, "AS");
    }
    if r.words.is(next, "BY") && r.words.is(next + 1, "RANDOM") {
        return Err(RouterError::unsupported("RANDOM PASSWORD over several servers"));
    }
    let is_value = if is_clear { r.words.is_string(next + 1) } else { r.words.is_secret(next + 1) };
    if !matches!(r.words.text(next), "BY" | "AS") || !is_value {
        return Err(no_password());
    }
    if r.words.is_string(next + 1) && r.words.value(next + 1).is_some_and(|text| text.is_empty()) {
        return Err(no_password());
    }
    r.secret(next + 1);
    next += 2;
    if r.words.is(next, "REPLACE") && r.words.is_string(next + 1) {
        r.secret(next + 1);
        next += 2;
    }
    if r.words.are(next, &["AND", "IDENTIFIED"]) || r.words.is(next, "INITIAL") {
        return Err(RouterError::unsupported("authentication by several factors"));
    }
    // A string that is given as it is stands on every server alike.
    Ok((Proof { is_set: true, clause: is_clear.then_some((at, next)) }, next))
}

fn no_password() -> RouterError {
    RouterError::unsupported(
        "a user without a password: Podway's own cannot stand beside an empty one. Give it one, or lock it",
    )
}

/// What follows the users; whether it locks them.
fn tail(r: &mut Reading<'_>, start: usize) -> Result<bool, RouterError> {
    let mut at = start;
    let mut locks = false;
    while !r.words.is_end(at) {
        at = match r.words.text(at) {
            "DEFAULT" if r.words.is(at + 1, "ROLE") => default_roles(r, at + 2)?,
            "REQUIRE" => require(r, at)?,
            "WITH" => at + 1,
            "MAX_QUERIES_PER_HOUR"
            | "MAX_UPDATES_PER_HOUR"
            | "MAX_CONNECTIONS_PER_HOUR"
            | "MAX_USER_CONNECTIONS"
            | "FAILED_LOGIN_ATTEMPTS"
            | "PASSWORD_LOCK_TIME"
            | "COMMENT"
            | "ATTRIBUTE" => at + 2,
            "ACCOUNT" => {
                locks |= r.words.is(at + 1, "LOCK");
                at + 2
            }
            "PASSWORD" => password_option(r, at + 1)?,
            _ => return Err(r.words.unread()),
        };
    }
    Ok(locks)
}

/// EXPIRE …, HISTORY …, REUSE INTERVAL …, REQUIRE CURRENT …
fn password_option(r: &Reading<'_>, at: usize) -> Result<usize, RouterError> {
    let words = r.words;
    match words.text(at) {
        "EXPIRE" if matches!(words.text(at + 1), "DEFAULT" | "NEVER") => Ok(at + 2),
        "EXPIRE" if words.is(at + 1, "INTERVAL") => Ok(at + 4),
        "EXPIRE" => Err(RouterError::unsupported(
            "PASSWORD EXPIRE: an account whose password has expired cannot be used through Podway. ACCOUNT LOCK keeps it out",
        )),
        "HISTORY" => Ok(at + 2),
        "REUSE" if words.is(at + 2, "DEFAULT") => Ok(at + 3),
        "REUSE" => Ok(at + 4),
        "REQUIRE" if matches!(words.text(at + 2), "DEFAULT" | "OPTIONAL") => Ok(at + 3),
        "REQUIRE" => Ok(at + 2),
        _ => Err(words.unread()),
    }
}

/// NONE or SSL; a client's certificate ends at the proxy.
fn require(r: &mut Reading<'_>, at: usize) -> Result<usize, RouterError> {
    let required = match r.words.text(at + 1) {
        "NONE" => false,
        "SSL" => true,
        _ => {
            return Err(RouterError::unsupported(
                "REQUIRE X509, SUBJECT, ISSUER or CIPHER: a client's certificate ends at the proxy",
            ));
        }
    };
    r.requires_tls = Some(required);
    if required {
        let range = r.words.range(at, at + 2);
        r.replace(range, AccountPiece::Put("REQUIRE NONE"));
    }
    Ok(at + 2)
}

/// NONE, ALL, or roles; the place behind them. Roles are not accounts that the statement changes, but nobody may name Podway's own.
fn default_roles(r: &mut Reading<'_>, at: usize) -> Result<usize, RouterError> {
    if matches!(r.words.text(at), "NONE" | "ALL") {
        return Ok(at + 1);
    }
    let (roles, end) = names::list(r, at)?;
    r.roles.extend(roles);
    Ok(end)
}

/// CREATE ROLE, DROP ROLE.
pub(super) fn role(r: &mut Reading<'_>) -> Result<(), RouterError> {
    let verb = if r.words.is(0, "CREATE") { AccountVerb::Create } else { AccountVerb::Drop };
    let at = names::behind_if(r, 2);
    let (names, end) = names::list(r, at)?;
    r.accounts(names);
    r.verb = Some(verb);
    at_end(r, end)
}

/// DROP USER.
pub(super) fn drop(r: &mut Reading<'_>) -> Result<(), RouterError> {
    let at = names::behind_if(r, 2);
    let (names, end) = names::list(r, at)?;
    r.accounts(names);
    r.verb = Some(AccountVerb::Drop);
    at_end(r, end)
}

/// RENAME USER.
pub(super) fn rename(r: &mut Reading<'_>) -> Result<(), RouterError> {
    let mut pairs: Vec<(AccountName, AccountName)> = Vec::new();
    let mut at = 2;
    loop {
        let (from, end) = names::account(r, at)?;
        if !r.words.is(end, "TO") {
            return Err(r.words.unread());
        }
        let (to, end) = names::account(r, end + 1)?;
        // MySQL renames one after the other; what is a chain or a swap is not worth its rules here.
        if pairs.iter().any(|(old, new)| [old, new].contains(&&from) || [old, new].contains(&&to)) {
            return Err(RouterError::unsupported("RENAME USER with a name that stands in it twice"));
        }
        r.account(from.clone());
        pairs.push((from, to));
        at = end;
        if !r.words.is(at, ",") {
            break;
        }
        at += 1;
    }
    r.verb = Some(AccountVerb::Rename(pairs));
    at_end(r, at)
}

/// SET PASSWORD [FOR user] = 'x' [REPLACE 'y'].
pub(super) fn set_password(r: &mut Reading<'_>) -> Result<(), RouterError> {
    let (name, mut at) = if r.words.is(2, "FOR") { names::account(r, 3)? } else { (r.ctx.myself.clone(), 2) };
    let account = r.account(name);
    if r.words.are(at, &["TO", "RANDOM"]) {
        return Err(RouterError::unsupported("RANDOM PASSWORD over several servers"));
    }
    if !matches!(r.words.text(at), "=" | ":=") || !r.words.is_string(at + 1) {
        return Err(r.words.unread());
    }
    if r.words.value(at + 1).is_some_and(|text| text.is_empty()) {
        return Err(no_password());
    }
    r.secret(at + 1);
    at += 2;
    if r.words.is(at, "REPLACE") && r.words.is_string(at + 1) {
        r.secret(at + 1);
        at += 2;
    }
    let all = 0..r.words.sql().len();
    r.replace(all.clone(), AccountPiece::Password { account, text: all, is_whole: true });
    r.verb = Some(AccountVerb::Alter);
    at_end(r, at)
}

/// SET DEFAULT ROLE … TO user, …
pub(super) fn set_default_role(r: &mut Reading<'_>) -> Result<(), RouterError> {
    let end = default_roles(r, 3)?;
    if !r.words.is(end, "TO") {
        return Err(r.words.unread());
    }
    let (names, end) = names::list(r, end + 1)?;
    r.accounts(names);
    r.verb = Some(AccountVerb::Alter);
    at_end(r, end)
}

/// FLUSH PRIVILEGES.
pub(super) fn flush(r: &mut Reading<'_>) -> Result<(), RouterError> {
    r.verb = Some(AccountVerb::Flush);
    at_end(r, 2)
}

pub(super) fn at_end(r: &Reading<'_>, at: usize) -> Result<(), RouterError> {
    if r.words.is_end(at) { Ok(()) } else { Err(r.words.unread()) }
}
