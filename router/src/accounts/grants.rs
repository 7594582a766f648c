//! GRANT and REVOKE: on what, and what is not granted through Podway because it would reach around it.

use podway_model::{Name, TableKind};

use super::OWN_SCHEMA;
use super::names;
use super::said::{AccountPiece, AccountVerb, GrantPlace, Reading};
use super::users::at_end;
use crate::RouterError;

/// What may be granted on everything: it neither reads nor changes a row, nor does it touch what Podway, its administrators and replication rely on.
const ON_EVERYTHING: [&str; 16] = [
    "USAGE",
    "PROCESS",
    "SHOW DATABASES",
    "CREATE USER",
    "CREATE ROLE",
    "DROP ROLE",
    "REPLICATION CLIENT",
    "CREATE TEMPORARY TABLES",
    "LOCK TABLES",
    "FLUSH_OPTIMIZER_COSTS",
    "FLUSH_PRIVILEGES",
    "FLUSH_STATUS",
    "FLUSH_USER_RESOURCES",
    "RESOURCE_GROUP_USER",
    "SENSITIVE_VARIABLES_OBSERVER",
    "SHOW_ROUTINE",
];
/// Of these schemas of MySQL's own, rows may be read, and routines called; no more.
const SYSTEM: [&str; 4] = ["mysql", "sys", "information_schema", "performance_schema"];
const ON_SYSTEM: [&str; 5] = ["USAGE", "SELECT", "EXECUTE", "SHOW VIEW", "REFERENCES"];

/// What a privilege is on.
enum Level {
    Everything,
    Schema { at: Option<usize> },
    Object { schema: Option<usize>, at: usize },
}

/// GRANT, REVOKE.
pub(super) fn grant(r: &mut Reading<'_>) -> Result<(), RouterError> {
    let grants = r.words.is(0, "GRANT");
    let mut start = 1;
    if r.words.are(1, &["IF", "EXISTS"]) {
        start = 3;
    }
    let toward = if grants { "TO" } else { "FROM" };
    let to = outside(r, start, toward).ok_or_else(|| r.words.unread())?;
    let on = outside(r, start, "ON").filter(|on| *on < to);
    if r.words.is(start, "PROXY") {
        return Err(RouterError::unsupported("GRANT PROXY and REVOKE PROXY"));
    }
    match on {
        Some(on) => {
            let privileges = privileges(r, start, on);
            on_level(r, on + 1, to, &privileges, grants)?;
            if !grants && start == 1 {
                let here = r.words.range(1, 2).start;
                r.replace(here..here, AccountPiece::IfExists);
            }
        }
        None if !grants && r.words.is(start, "ALL") => {
            if start == 1 {
                let here = r.words.range(1, 2).start;
                r.replace(here..here, AccountPiece::IfExists);
            }
        }
        None => {
            let (roles, end) = names::list(r, start)?;
            if end != to {
                return Err(r.words.unread());
            }
            r.roles = roles;
        }
    }
    let (names, end) = names::list(r, to + 1)?;
    r.accounts(names);
    r.verb = Some(AccountVerb::Privileges);
    behind(r, end)
}

/// WITH GRANT OPTION, WITH ADMIN OPTION, IGNORE UNKNOWN USER.
fn behind(r: &Reading<'_>, at: usize) -> Result<(), RouterError> {
    let words = r.words;
    if words.is(at, "AS") {
        return Err(RouterError::unsupported("GRANT … AS another user"));
    }
    let with = words.are(at, &["WITH", "GRANT", "OPTION"])
        || words.are(at, &["WITH", "ADMIN", "OPTION"])
        || words.are(at, &["IGNORE", "UNKNOWN", "USER"]);
    at_end(r, if with { at + 3 } else { at })
}

/// The first such word outside parentheses, from `at` on. A quoted name is none.
fn outside(r: &Reading<'_>, at: usize, word: &str) -> Option<usize> {
    let mut depth = 0usize;
    (at..r.words.len()).find(|&at| {
        match r.words.text(at) {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && r.words.is(at, word)
    })
}

/// The privileges between `start` and `end`, without their columns.
fn privileges(r: &Reading<'_>, start: usize, end: usize) -> Vec<String> {
    let (mut all, mut one, mut depth) = (Vec::new(), Vec::new(), 0usize);
    for at in start..end {
        match r.words.text(at) {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            "," => all.push(std::mem::take(&mut one).join(" ")),
            "" => one.push(r.words.value(at).unwrap_or_default().to_ascii_uppercase()),
            word => one.push(word.to_owned()),
        }
    }
    all.push(one.join(" "));
    all
}

/// `ON [TABLE | FUNCTION | PROCEDURE] level`, which stands between `at` and `to`.
fn on_level(
    r: &mut Reading<'_>,
    at: usize,
    to: usize,
    privileges: &[String],
    grants: bool,
) -> Result<(), RouterError> {
    let is_kind = |at: usize| {
        matches!(r.words.text(at), "TABLE" | "FUNCTION" | "PROCEDURE" | "LIBRARY") && !r.words.is(at + 1, ".")
    };
    let (kind, first) = if is_kind(at) { (r.words.text(at).to_owned(), at + 1) } else { (String::new(), at) };
    let is_routine = !kind.is_empty() && kind != "TABLE";
    let level = level(r, first, to)?;
    if let Level::Everything = level {
        return if grants { check(privileges, &ON_EVERYTHING, "*.*") } else { Ok(()) };
    }
    let (schema, object) = match level {
        Level::Schema { at } => (at, None),
        Level::Object { schema, at } => (schema, Some(at)),
        Level::Everything => (None, None),
    };
    let spelled = match schema {
        Some(at) => r.words.value(at).ok_or_else(|| r.words.unread())?.into_owned(),
        None => r.ctx.keyspace.ok_or_else(RouterError::no_database)?.as_str().to_owned(),
    };
    let Some(keyspace) = keyspace(r, &spelled, object.is_none())? else {
        return if grants { check(privileges, &ON_SYSTEM, &format!("{spelled}.*")) } else { Ok(()) };
    };
    let home_only = match object {
        None => false,
        Some(_) if is_routine => true,
        Some(at) => !is_everywhere(r, &keyspace, at)?,
    };
    match schema {
        Some(at) => {
            let range = r.words.range(at, at + 1);
            r.replace(range, AccountPiece::Schema { is_pattern: object.is_none() });
        }
        None => {
            let here = r.words.range(first, first + 1).start;
            r.replace(here..here, AccountPiece::Schema { is_pattern: object.is_none() });
            r.replace(here..here, AccountPiece::Put("."));
        }
    }
    r.place = GrantPlace::Shards { keyspace, home_only };
    Ok(())
}

/// `*.*`, `*`, `schema.*`, `schema.object`, `object`.
fn level(r: &Reading<'_>, at: usize, to: usize) -> Result<Level, RouterError> {
    let words = r.words;
    let level = match to.saturating_sub(at) {
        1 if words.is(at, "*") => Level::Schema { at: None },
        1 if words.is_name(at) => Level::Object { schema: None, at },
        3 if words.are(at, &["*", ".", "*"]) => Level::Everything,
        3 if words.is_name(at) && words.are(at + 1, &[".", "*"]) => Level::Schema { at: Some(at) },
        3 if words.is_name(at) && words.is(at + 1, ".") && words.is_name(at + 2) => {
            Level::Object { schema: Some(at), at: at + 2 }
        }
        _ => return Err(words.unread()),
    };
    Ok(level)
}

/// The keyspace that a schema's name stands for; `None` for one of MySQL's own. As a pattern it may be written with escapes, and without: `my_shop` is
/// taken for the keyspace of that name, not for all that look like it.
fn keyspace(r: &Reading<'_>, spelled: &str, is_pattern: bool) -> Result<Option<Name>, RouterError> {
    let map = r.ctx.map;
    let literal = if is_pattern { unescaped(spelled) } else { spelled.to_owned() };
    if let Some(keyspace) = map.keyspace_spelled(&literal) {
        return Ok(Some(keyspace.name.clone()));
    }
    if SYSTEM.iter().any(|own| own.eq_ignore_ascii_case(&literal)) {
        return Ok(None);
    }
    if literal.eq_ignore_ascii_case(OWN_SCHEMA) {
        let message = format!("Access denied to database '{OWN_SCHEMA}'");
        return Err(RouterError::new(1044, b"42000", message));
    }
    // A lone `_` is read as itself, so that a name that is no keyspace's is called unknown.
    if is_pattern && has_wildcards(spelled) {
        return Err(RouterError::unsupported(
            "wildcards in a schema's name: name each keyspace that the privilege is on",
        ));
    }
    Err(RouterError::unknown_database(literal))
}

/// Whether the table is on every shard: else it is on the home shard alone.
fn is_everywhere(r: &Reading<'_>, keyspace: &Name, at: usize) -> Result<bool, RouterError> {
    let name = r.words.value(at).ok_or_else(|| r.words.unread())?;
    let map = r.ctx.map;
    let table = map.keyspace(keyspace).and_then(|keyspace| keyspace.tables.get(map.names.name(&name).key()));
    Ok(table.is_some_and(|table| !matches!(table.kind, TableKind::Home)))
}

fn unescaped(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next_if(|next| matches!(next, '_' | '%' | '\\')).or(Some(c))),
            c => out.push(c),
        }
    }
    out
}

fn has_wildcards(pattern: &str) -> bool {
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '%' => return true,
            _ => {}
        }
    }
    false
}

fn check(privileges: &[String], allowed: &[&str], level: &str) -> Result<(), RouterError> {
    match privileges.iter().find(|privilege| !allowed.contains(&privilege.as_str())) {
        None => Ok(()),
        Some(privilege) => Err(RouterError::unsupported(format_args!(
            "GRANT {privilege} ON {level}: it would reach around Podway. Grant it on each keyspace"
        ))),
    }
}
