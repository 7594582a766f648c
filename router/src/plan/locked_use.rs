//! What a statement under LOCK TABLES does with tables, wherever they lie. Never decides whether it may: [`super::locked`] does.

use super::bind::{Binding, Bound};
use super::build::{Planning, recognised};
use super::context::PlanContext;
use super::decide::is_changed;
use super::locked::{LockedTable, LockedUse};
use super::sketch::parts::Role;
use super::tokens::Tokens;
use crate::{Normalised, Verb};

/// What a statement does with tables of keyspaces; `None` where it cannot be read.
pub fn locked_use(ctx: &PlanContext<'_>, sql: &[u8], n: &Normalised) -> Option<LockedUse> {
    let mut plan = recognised(ctx, sql, n);
    let mut tokens = Tokens::read(n);
    tokens.pair(sql).ok()?;
    let verb = plan.verb();
    let found = Planning { ctx, t: &tokens, plan: &mut plan }.sketch().ok()?;
    let binding = Binding::new(ctx, &tokens, &found.sketch).ok()?;
    let table = |(id, bound): (usize, &Bound)| {
        let is_written = match found.sketch.sources[id].role {
            Role::Read => false,
            Role::Insert | Role::Whole => true,
            Role::Change => is_changed(&binding, id),
        };
        Some(LockedTable {
            keyspace: bound.keyspace.as_ref()?.name.clone(),
            table: bound.table.clone(),
            alias: bound.alias.clone().unwrap_or_else(|| bound.table.clone()),
            is_written,
        })
    };
    let switches_keys = verb == Verb::AlterTable && switches_keys(&tokens);
    Some(LockedUse { tables: binding.sources.iter().enumerate().filter_map(table).collect(), switches_keys })
}

/// `ALTER TABLE [schema.]name DISABLE KEYS`, or ENABLE KEYS.
fn switches_keys(t: &Tokens<'_>) -> bool {
    let at = if t.is(3, ".") { 5 } else { 3 };
    t.are(0, &["ALTER", "TABLE"])
        && t.len() == at + 2
        && (t.are(at, &["DISABLE", "KEYS"]) || t.are(at, &["ENABLE", "KEYS"]))
}
