//! Users and roles as they are spelled in statements. Read next: [`super::users`].

use podway_model::{AccountName, HostPattern};

use super::said::Reading;
use crate::RouterError;

/// Reads `user[@host]`, CURRENT_USER or USER() at `at`; the account, and the place behind it.
pub(super) fn account(r: &Reading<'_>, at: usize) -> Result<(AccountName, usize), RouterError> {
    let words = r.words;
    let is_call = words.are(at + 1, &["(", ")"]);
    if words.is(at, "CURRENT_USER") && !words.is_host(at + 1) || words.is(at, "USER") && is_call {
        return Ok((r.ctx.myself.clone(), if is_call { at + 3 } else { at + 1 }));
    }
    if !words.is_name(at) && !words.is_string(at) {
        return Err(words.unread());
    }
    let user = words.value(at).ok_or_else(unreadable)?;
    let (host, end) = if words.is_host(at + 1) {
        (words.value(at + 1).ok_or_else(unreadable)?, at + 2)
    } else {
        ("%".into(), at + 1)
    };
    let name = AccountName { user: (*user).into(), host: HostPattern::new(&host) };
    if name.is_reserved() {
        let message = format!("Access denied; the user '{user}' is Podway's own");
        return Err(RouterError::new(1227, b"42000", message));
    }
    Ok((name, end))
}

/// Reads `account, account …` from `at` on; the accounts, and the place behind them.
pub(super) fn list(r: &Reading<'_>, at: usize) -> Result<(Vec<AccountName>, usize), RouterError> {
    let (mut names, mut at) = (Vec::new(), at);
    loop {
        let (name, end) = account(r, at)?;
        names.push(name);
        if !r.words.is(end, ",") {
            return Ok((names, end));
        }
        at = end + 1;
    }
}

/// Reads IF EXISTS and IF NOT EXISTS.
pub(super) fn behind_if(r: &Reading<'_>, at: usize) -> usize {
    if r.words.are(at, &["IF", "EXISTS"]) {
        at + 2
    } else if r.words.are(at, &["IF", "NOT", "EXISTS"]) {
        at + 3
    } else {
        at
    }
}

fn unreadable() -> RouterError {
    RouterError::unsupported("a user's name outside ASCII in this character set")
}
