//! What a CREATE or DROP of a stored program says before its body. Reads names; binds nothing.

use crate::plan::tokens::Tokens;

/// A name with its database: their tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub database: Option<usize>,
    pub name: usize,
}

/// When a trigger acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    Before,
    After,
}

/// `CREATE TRIGGER` up to its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TriggerHeader {
    pub trigger: Named,
    pub table: Named,
    pub timing: Timing,
    /// Where the body starts.
    pub body: usize,
}

/// `DROP TRIGGER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DropHeader {
    pub trigger: Named,
    pub if_exists: bool,
}

impl Named {
    /// A name that starts at `at`, and the place behind it.
    fn read(t: &Tokens<'_>, at: usize) -> Option<(Named, usize)> {
        if !t.is_name(at) {
            return None;
        }
        if t.is(at + 1, ".") {
            return t.is_name(at + 2).then_some((Named { database: Some(at), name: at + 2 }, at + 3));
        }
        Some((Named { database: None, name: at }, at + 1))
    }
}

/// The place of the word that says what is made, behind a definer; `None` where another kind is made.
fn kind(t: &Tokens<'_>, word: &str) -> Option<usize> {
    if !t.is(0, "CREATE") {
        return None;
    }
    if !t.are(1, &["DEFINER", "="]) {
        return t.is(1, word).then_some(1);
    }
    // The definer may be called as what is made: his name is the token behind the sign.
    const LONGEST_DEFINER: usize = 5;
    (4..4 + LONGEST_DEFINER).find(|&at| t.is(at, word))
}

/// The header of a CREATE TRIGGER; `None` where it is something else, or does not read so.
pub(super) fn trigger(t: &Tokens<'_>) -> Option<TriggerHeader> {
    let at = kind(t, "TRIGGER")? + 1;
    let at = if t.are(at, &["IF", "NOT", "EXISTS"]) { at + 3 } else { at };
    let (trigger, at) = Named::read(t, at)?;
    let timing = match t.text(at) {
        "BEFORE" => Timing::Before,
        "AFTER" => Timing::After,
        _ => return None,
    };
    if !matches!(t.text(at + 1), "INSERT" | "UPDATE" | "DELETE") || !t.is(at + 2, "ON") {
        return None;
    }
    let (table, at) = Named::read(t, at + 3)?;
    if !t.are(at, &["FOR", "EACH", "ROW"]) {
        return None;
    }
    let follows = matches!(t.text(at + 3), "FOLLOWS" | "PRECEDES") && t.is_name(at + 4);
    let body = if follows { at + 5 } else { at + 3 };
    (body < t.len()).then_some(TriggerHeader { trigger, table, timing, body })
}

/// The header of a DROP TRIGGER, which is all of it.
pub(super) fn drop_trigger(t: &Tokens<'_>) -> Option<DropHeader> {
    if !t.are(0, &["DROP", "TRIGGER"]) {
        return None;
    }
    let if_exists = t.are(2, &["IF", "EXISTS"]);
    let (trigger, end) = Named::read(t, if if_exists { 4 } else { 2 })?;
    (end == t.len()).then_some(DropHeader { trigger, if_exists })
}
