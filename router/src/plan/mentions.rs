//! The keyspaces that a statement's tokens name, for statements that need not be understood: those of keyspaces with one shard.

use podway_model::Name;

use super::context::PlanContext;
use super::tokens::Tokens;
use crate::Verb;

/// What is named.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    /// Keyspaces, without repetition.
    pub keyspaces: Vec<Name>,
    /// The tokens that name them.
    pub tokens: Vec<(usize, Name)>,
    /// Other names before a dot, or behind a word that says they are databases.
    pub unknown: Vec<Name>,
    /// A keyspace whose name also stands where no database can.
    pub ambiguous: Option<Name>,
}

impl Mentions {
    /// Reads all names.
    pub(super) fn of(ctx: &PlanContext<'_>, t: &Tokens<'_>) -> Mentions {
        let mut mentions = Mentions::default();
        let mut elsewhere: Vec<Name> = Vec::new();
        for at in 0..t.len() {
            if !t.is_name(at) || t.after_dot(at) || at > 0 && t.is(at - 1, "@@") {
                continue;
            }
            let Some(name) = t.name(at) else { continue };
            let qualifies = t.is(at + 1, ".") || follows_database_word(t, at);
            match ctx.map.keyspace_spelled(&name) {
                Some(keyspace) if qualifies => {
                    mentions.tokens.push((at, keyspace.name.clone()));
                    if !mentions.keyspaces.contains(&keyspace.name) {
                        mentions.keyspaces.push(keyspace.name.clone());
                    }
                }
                Some(keyspace) => elsewhere.push(keyspace.name.clone()),
                None if qualifies => mentions.unknown.push(ctx.map.names.name(&name)),
                None => {}
            }
        }
        mentions.ambiguous = mentions.keyspaces.iter().find(|name| elsewhere.contains(name)).cloned();
        mentions
    }

    /// Other names that may be databases in a statement of this verb: in those that read and write rows, tables' names are found one by one.
    pub(super) fn suspects(&self, verb: Verb) -> Vec<Name> {
        use Verb::{Delete, Do, Insert, Replace, Select, Set, Update, Values};
        match verb {
            Select | Insert | Replace | Update | Delete | Values | Do | Set => Vec::new(),
            _ => self.unknown.clone(),
        }
    }

    /// Whether every keyspace that the statement can be about has one shard.
    pub(super) fn all_single(&self, ctx: &PlanContext<'_>) -> bool {
        let current = ctx.keyspace.and_then(|name| ctx.map.keyspace(name));
        let named = self.keyspaces.iter().filter_map(|name| ctx.map.keyspace(name));
        !self.is_empty(ctx) && current.into_iter().chain(named).all(|keyspace| keyspace.is_single())
    }

    /// Whether the statement names no keyspace and the session is in none.
    pub(super) fn is_empty(&self, ctx: &PlanContext<'_>) -> bool {
        self.keyspaces.is_empty() && ctx.keyspace.and_then(|name| ctx.map.keyspace(name)).is_none()
    }
}

/// Whether a database's name stands here: `DATABASE shop`, `SHOW TABLES FROM shop`, `SHOW COLUMNS FROM t FROM shop`.
fn follows_database_word(t: &Tokens<'_>, at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else { return false };
    match t.text(before) {
        "DATABASE" | "SCHEMA" => true,
        "EXISTS" => (0..before).any(|at| matches!(t.text(at), "DATABASE" | "SCHEMA")),
        "FROM" | "IN" if t.is(0, "SHOW") => !t.is(at + 1, ".") && names_database(t, before),
        _ => false,
    }
}

/// Whether the FROM at `from` in a SHOW is followed by a database, not by a table.
fn names_database(t: &Tokens<'_>, from: usize) -> bool {
    let of_table =
        (1..from).any(|at| matches!(t.text(at), "COLUMNS" | "FIELDS" | "INDEX" | "INDEXES" | "KEYS"));
    let second = (1..from).any(|at| matches!(t.text(at), "FROM" | "IN"));
    !of_table || second
}
