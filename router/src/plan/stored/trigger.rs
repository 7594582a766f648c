//! CREATE TRIGGER and DROP TRIGGER: where each goes. The trigger of a home table is the home shard's; that of any other table is made on every shard, as an operation.

use std::sync::Arc;

use podway_model::TableKind;

use super::body;
use super::check::{Checker, Ground};
use super::header::{self, Timing};
use super::storing::Storing;
use crate::plan::bind;
use crate::plan::context::PlanContext;
use crate::plan::definition::{Definition, TableChange};
use crate::plan::plan::Plan;
use crate::plan::target::Target;
use crate::plan::tokens::Tokens;
use crate::{Effects, RouterError, Statement};

/// What is made, in errors.
const KIND: &str = "trigger";

/// CREATE TRIGGER; `None`: the statement makes something else.
pub(super) fn create(ctx: &PlanContext<'_>, t: &Tokens<'_>, plan: &mut Plan) -> Result<Option<Target>, RouterError> {
    let mut storing = Storing { ctx, t, plan, kind: KIND };
    let Some(header) = header::trigger(t) else { return Ok(None) };
    let keyspace = storing.keyspace_of(header.table)?;
    if header.trigger.database.is_some() && storing.keyspace_of(header.trigger)?.name != keyspace.name {
        return Err(RouterError::new(1435, b"HY000", "Trigger in wrong schema"));
    }
    let spelled = t.name(header.table.name).ok_or_else(bind::unreadable)?;
    let name = ctx.map.names.name(&spelled);
    if let Some(by) = keyspace.held(&name) {
        return Err(RouterError::held(&keyspace.name, &spelled, by));
    }
    if ctx.temporary_tables.contains(&name) {
        return Err(storing.refused("a temporary table as its own"));
    }
    let table = keyspace.tables.get(&name);
    let ground = match table.map(|table| (&table.kind, table)) {
        None | Some((TableKind::Home | TableKind::View, _)) => Ground::Home,
        Some((TableKind::Reference, table)) => Ground::Copies(Some(Arc::clone(table))),
        Some((TableKind::Sharded(_), table)) => Ground::Sharded(Arc::clone(table)),
    };
    if storing.plan.effects().contains(Effects::SET_VAR_HINT) {
        return Err(storing.refused("the hint SET_VAR"));
    }
    // Names in the body are those of the trigger's own database.
    let inner = PlanContext { keyspace: Some(&keyspace.name), temporary_tables: &[], ..*ctx };
    let rows: &[&str] = if header.timing == Timing::Before { &["OLD"] } else { &["NEW", "OLD"] };
    let checker = Checker { ctx: &inner, t, ground: &ground, rows, kind: KIND };
    checker.check_tokens(header.body)?;
    checker.check(&body::read(t, header.body, &[])?)?;
    storing.forget_body();
    storing.splice_databases(&[header.trigger, header.table])?;
    storing.plan.names.elsewhere = ctx.keyspace != Some(&keyspace.name);
    let keyspace = keyspace.name.clone();
    if let Ground::Home = ground {
        return Ok(Some(Target::Home { keyspace: Some(keyspace) }));
    }
    storing.plan.definition = Some(Box::new(Definition {
        changes: vec![TableChange::Retriggered(name)],
        comment: None,
        otherwise: None,
        creates: false,
        foreign_keys: Vec::new(),
    }));
    Ok(Some(Target::Everywhere { keyspace }))
}

/// DROP TRIGGER; `None`: the statement drops something else. Which table's it is, the home shard's server knows.
pub(super) fn drop(ctx: &PlanContext<'_>, t: &Tokens<'_>, plan: &mut Plan) -> Result<Option<Target>, RouterError> {
    let mut storing = Storing { ctx, t, plan, kind: KIND };
    let Some(header) = header::drop_trigger(storing.t) else { return Ok(None) };
    let keyspace = storing.keyspace_of(header.trigger)?;
    let name = storing.t.name(header.trigger.name).ok_or_else(bind::unreadable)?;
    storing.plan.recognised.statement =
        Statement::DropTrigger { name: name.into(), if_exists: header.if_exists };
    storing.splice_databases(&[header.trigger])?;
    storing.plan.names.elsewhere = storing.ctx.keyspace != Some(&keyspace.name);
    Ok(Some(Target::Home { keyspace: Some(keyspace.name.clone()) }))
}
