//! DDL, maintenance and the other statements that use tables as a whole: which tables they name. Never says whether they may.

use super::sketch::parts::BlockId;
use super::sketch::walker::Walker;
use super::tokens::Tokens;
use crate::{RouterError, Verb};

/// What a statement about whole tables needs of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Its tables decide.
    Tables,
    /// Only the tables' structure, which every shard has.
    Structure,
}

/// Walks a statement of one of these verbs; `None` for a verb that is none of them.
pub(super) fn sketch(w: &mut Walker<'_>, t: &Tokens<'_>, verb: Verb) -> Result<Option<Needs>, RouterError> {
    let end = t.len();
    match verb {
        Verb::CreateTable | Verb::CreateTemporaryTable => create_table(w, t)?,
        Verb::AlterTable => alter_table(w, t)?,
        Verb::DropTable | Verb::DropTemporaryTable | Verb::DropView => {
            let at = behind(t, &["TABLE", "TABLES", "VIEW"])?;
            list(w, t, skip_if(t, at))?;
        }
        Verb::RenameTable => rename(w, t)?,
        Verb::Truncate => {
            let at = if t.is(1, "TABLE") { 2 } else { 1 };
            list(w, t, at)?;
        }
        Verb::CreateIndex | Verb::DropIndex => {
            let at = behind(t, &["ON"])?;
            let block = w.values(end, end)?;
            w.whole_table(at, block)?;
        }
        Verb::CreateView | Verb::AlterView => view(w, t)?,
        Verb::TableMaintenance | Verb::ChecksumTable => {
            let at = behind(t, &["TABLE", "TABLES"])?;
            list(w, t, at)?;
        }
        Verb::LockTables => lock_tables(w, t)?,
        Verb::Handler => {
            let block = w.values(end, end)?;
            w.whole_table(1, block)?;
        }
        Verb::Load => {
            let into = (0..end).find(|&at| t.are(at, &["INTO", "TABLE"])).ok_or_else(|| lost(t))?;
            // Before SET there are no expressions, though a character set's name may stand before a parenthesis.
            let is_set = |at: &usize| t.is(*at, "SET") && !t.is(*at - 1, "CHARACTER");
            let block = w.values((into + 3..end).find(is_set).unwrap_or(end), end)?;
            w.whole_table(into + 2, block)?;
        }
        Verb::Describe => {
            let block = w.values(end, end)?;
            w.whole_table(1, block)?;
            return Ok(Some(Needs::Structure));
        }
        _ => return Ok(None),
    }
    Ok(Some(Needs::Tables))
}

fn lost(t: &Tokens<'_>) -> RouterError {
    RouterError::unsupported(format_args!("this form of {} over several shards", t.text(0)))
}

/// The place behind the first of these words.
fn behind(t: &Tokens<'_>, words: &[&str]) -> Result<usize, RouterError> {
    (0..t.len()).find(|&at| words.contains(&t.text(at))).map(|at| at + 1).ok_or_else(|| lost(t))
}

/// Behind IF EXISTS and IF NOT EXISTS.
fn skip_if(t: &Tokens<'_>, at: usize) -> usize {
    if t.are(at, &["IF", "EXISTS"]) {
        at + 2
    } else if t.are(at, &["IF", "NOT", "EXISTS"]) {
        at + 3
    } else {
        at
    }
}

/// `a, b, c`. Gives the place behind it.
fn list(w: &mut Walker<'_>, t: &Tokens<'_>, at: usize) -> Result<usize, RouterError> {
    let block = w.values(t.len(), t.len())?;
    let mut at = at;
    loop {
        at = w.whole_table(at, block)?;
        if !t.is(at, ",") {
            return Ok(at);
        }
        at += 1;
    }
}

fn rename(w: &mut Walker<'_>, t: &Tokens<'_>) -> Result<(), RouterError> {
    let block = w.values(t.len(), t.len())?;
    let mut at = behind(t, &["TABLE", "TABLES"])?;
    loop {
        at = w.whole_table(at, block)?;
        if !t.is(at, "TO") {
            return Err(lost(t));
        }
        at = w.whole_table(at + 1, block)?;
        if !t.is(at, ",") {
            return Ok(());
        }
        at += 1;
    }
}

fn lock_tables(w: &mut Walker<'_>, t: &Tokens<'_>) -> Result<(), RouterError> {
    let block = w.values(t.len(), t.len())?;
    let mut at = 2;
    loop {
        at = w.whole_table(at, block)?;
        while at < t.len() && !t.is(at, ",") {
            at += 1;
        }
        if at >= t.len() {
            return Ok(());
        }
        at += 1;
    }
}

fn create_table(w: &mut Walker<'_>, t: &Tokens<'_>) -> Result<(), RouterError> {
    let end = t.len();
    let block = w.values(end, end)?;
    let name = skip_if(t, behind(t, &["TABLE"])?);
    let mut at = w.whole_table(name, block)?;
    if t.is(at, "LIKE") || t.are(at, &["(", "LIKE"]) {
        let model = if t.is(at, "(") { at + 2 } else { at + 1 };
        // Only the model's structure is read, and the home shard has it.
        return w.model_table(model);
    }
    while at < end {
        let opens_query = t.is(at, "(") && is_query(w, t, at);
        if opens_query || w.starts_query(at) {
            w.query(at, end, None)?;
            return references(w, t, at, block);
        }
        if t.is(at, "UNION") {
            w.refuse("tables of the MERGE engine");
        }
        at = if t.is(at, "(") { t.mate(at) + 1 } else { at + 1 };
    }
    references(w, t, end, block)
}

fn is_query(w: &Walker<'_>, t: &Tokens<'_>, at: usize) -> bool {
    let mut inner = at;
    while t.is(inner, "(") {
        inner += 1;
    }
    w.starts_query(inner)
}

/// The tables behind REFERENCES in the definitions before `end`.
fn references(w: &mut Walker<'_>, t: &Tokens<'_>, end: usize, block: BlockId) -> Result<(), RouterError> {
    for at in 0..end {
        if t.is(at, "REFERENCES") && t.is_name(at + 1) {
            w.referenced_table(at + 1, block)?;
        }
    }
    Ok(())
}

fn alter_table(w: &mut Walker<'_>, t: &Tokens<'_>) -> Result<(), RouterError> {
    let end = t.len();
    let block = w.values(end, end)?;
    let start = w.whole_table(behind(t, &["TABLE"])?, block)?;
    references(w, t, end, block)?;
    let mut at = start;
    while at < end {
        let inner_rename = matches!(t.text(at + 1), "COLUMN" | "INDEX" | "KEY");
        if t.is(at, "RENAME") && !inner_rename {
            let name = if matches!(t.text(at + 1), "TO" | "AS" | "=") { at + 2 } else { at + 1 };
            w.whole_table(name, block)?;
        } else if t.are(at, &["WITH", "TABLE"]) {
            w.whole_table(at + 2, block)?;
        } else if t.is(at, "UNION") {
            w.refuse("tables of the MERGE engine");
        }
        at = if t.is(at, "(") { t.mate(at) + 1 } else { at + 1 };
    }
    Ok(())
}

fn view(w: &mut Walker<'_>, t: &Tokens<'_>) -> Result<(), RouterError> {
    let name = skip_if(t, behind(t, &["VIEW"])?);
    let block = w.values(t.len(), t.len())?;
    let mut at = w.whole_table(name, block)?;
    if t.is(at, "(") {
        at = t.mate(at) + 1;
    }
    if !t.is(at, "AS") {
        return Err(lost(t));
    }
    let mut end = t.len();
    if end > 3 && t.are(end - 2, &["CHECK", "OPTION"]) {
        end -= if matches!(t.text(end - 3), "CASCADED" | "LOCAL") { 4 } else { 3 };
    }
    w.query(at + 1, end, None)?;
    w.stored_query();
    Ok(())
}
