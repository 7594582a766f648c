//! What a CREATE or DROP of a stored program says before its body. Reads names; binds nothing.

use podway_model::Name;

use crate::plan::tokens::{Class, Tokens};

/// Tokens behind which a definer's name has ended.
const LONGEST_DEFINER: usize = 5;

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

/// `CREATE PROCEDURE` up to its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProcedureHeader {
    pub procedure: Named,
    pub params: Vec<Name>,
    /// Where the body starts.
    pub body: usize,
}

/// `CREATE EVENT` or `ALTER EVENT` up to its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventHeader {
    pub event: Named,
    /// The name that ALTER EVENT gives it.
    pub renamed: Option<Named>,
    /// Where the body starts; ALTER EVENT may have none.
    pub body: Option<usize>,
}

/// `DROP TRIGGER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DropHeader {
    pub trigger: Named,
    pub if_exists: bool,
}

impl Named {
    /// A name that starts at `at`, and the place behind it.
    pub(super) fn read(t: &Tokens<'_>, at: usize) -> Option<(Named, usize)> {
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

/// The header of a CREATE PROCEDURE in SQL; `None` where it is something else, or does not read so.
pub(super) fn procedure(t: &Tokens<'_>) -> Option<ProcedureHeader> {
    let at = kind(t, "PROCEDURE")? + 1;
    let at = if t.are(at, &["IF", "NOT", "EXISTS"]) { at + 3 } else { at };
    let (procedure, open) = Named::read(t, at)?;
    if !t.is(open, "(") {
        return None;
    }
    let params = params(t, open)?;
    let mut at = t.mate(open) + 1;
    while let Some(next) = characteristic(t, at) {
        at = next;
    }
    (at < t.len()).then_some(ProcedureHeader { procedure, params, body: at })
}

/// The names of the parameters in the parentheses that begin at `open`.
fn params(t: &Tokens<'_>, open: usize) -> Option<Vec<Name>> {
    let (close, mut at, mut names) = (t.mate(open), open + 1, Vec::new());
    while at < close {
        // A parameter may be called as its direction: then its type follows, which is no name's end.
        let has_direction = matches!(t.text(at), "IN" | "OUT" | "INOUT") && t.is_name(at + 1);
        let name = if has_direction { at + 1 } else { at };
        names.push(Name::caseless(&t.name(name).filter(|_| t.is_name(name))?));
        at = name + 1;
        while at < close && !t.is(at, ",") {
            at = if t.is(at, "(") { t.mate(at) + 1 } else { at + 1 };
        }
        at += 1;
    }
    Some(names)
}

/// The place behind the characteristic of a procedure that stands at `at`.
fn characteristic(t: &Tokens<'_>, at: usize) -> Option<usize> {
    const WORDS: [&[&str]; 9] = [
        &["LANGUAGE", "SQL"],
        &["NOT", "DETERMINISTIC"],
        &["DETERMINISTIC"],
        &["CONTAINS", "SQL"],
        &["NO", "SQL"],
        &["READS", "SQL", "DATA"],
        &["MODIFIES", "SQL", "DATA"],
        &["SQL", "SECURITY", "DEFINER"],
        &["SQL", "SECURITY", "INVOKER"],
    ];
    if t.is(at, "COMMENT") {
        return matches!(t.class(at + 1), Class::Literal(..)).then_some(at + 2);
    }
    WORDS.iter().find(|words| t.are(at, words)).map(|words| at + words.len())
}

/// The header of a CREATE EVENT or ALTER EVENT; `None` where it is something else, or does not read so.
pub(super) fn event(t: &Tokens<'_>) -> Option<EventHeader> {
    let is_made = t.is(0, "CREATE");
    let at = match is_made {
        true => kind(t, "EVENT")? + 1,
        false => altered(t, "EVENT")? + 1,
    };
    let at = if is_made && t.are(at, &["IF", "NOT", "EXISTS"]) { at + 3 } else { at };
    let (event, first) = Named::read(t, at)?;
    let (mut at, mut renamed) = (first, None);
    while at < t.len() && !t.is(at, "DO") {
        if t.are(at, &["RENAME", "TO"]) {
            let (name, end) = Named::read(t, at + 2)?;
            renamed = Some(name);
            at = end;
            continue;
        }
        // A schedule needs no tables.
        if t.is(at, "SELECT") {
            return None;
        }
        at += 1;
    }
    let body = (at + 1 < t.len()).then_some(at + 1);
    (body.is_some() || !is_made).then_some(EventHeader { event, renamed, body })
}

/// The place of the word that says what is altered, behind a definer.
fn altered(t: &Tokens<'_>, word: &str) -> Option<usize> {
    if !t.is(0, "ALTER") {
        return None;
    }
    if !t.are(1, &["DEFINER", "="]) {
        return t.is(1, word).then_some(1);
    }
    (4..4 + LONGEST_DEFINER).find(|&at| t.is(at, word))
}

/// What `ALTER PROCEDURE` or `DROP PROCEDURE`, `DROP EVENT` names; `None` where it is something else, or does not read so.
pub(super) fn named(t: &Tokens<'_>, verb: &str, kind: &str) -> Option<Named> {
    if !t.are(0, &[verb, kind]) {
        return None;
    }
    let is_dropped = verb == "DROP";
    let at = if is_dropped && t.are(2, &["IF", "EXISTS"]) { 4 } else { 2 };
    let (named, mut end) = Named::read(t, at)?;
    while let Some(next) = characteristic(t, end).filter(|_| !is_dropped) {
        end = next;
    }
    (end == t.len()).then_some(named)
}
