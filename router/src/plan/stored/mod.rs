//! Stored programs over several shards: a trigger is made on every shard that has its table, a procedure or an event on the home shard, once its body is known to do the same
//! there as in one MySQL. What the analysis does not understand is refused by name: a body runs where nobody looks any more.
//!
//! Reading order: [`header`], what is made → [`body`], its statements → [`check`], what each may do → [`storing`] → [`trigger`] and [`program`], the targets.

mod body;
mod check;
mod header;
mod program;
mod storing;
mod trigger;

use super::context::PlanContext;
use super::plan::Plan;
use super::target::Target;
use super::tokens::Tokens;
use crate::{RouterError, Verb};

/// The target of a statement about a stored program; `None`: it is about something else.
pub(super) fn planned(
    ctx: &PlanContext<'_>,
    t: &Tokens<'_>,
    plan: &mut Plan,
) -> Result<Option<Target>, RouterError> {
    let (first, second): (Planner, Planner) = match plan.verb() {
        Verb::CreateRoutine => (trigger::create, program::create),
        Verb::DropRoutine => (trigger::drop, program::drop),
        Verb::AlterRoutine => (program::alter, nothing),
        Verb::Call => (program::call, nothing),
        _ => return Ok(None),
    };
    match first(ctx, t, plan)? {
        Some(target) => Ok(Some(target)),
        None => second(ctx, t, plan),
    }
}

type Planner = fn(&PlanContext<'_>, &Tokens<'_>, &mut Plan) -> Result<Option<Target>, RouterError>;

fn nothing(_: &PlanContext<'_>, _: &Tokens<'_>, _: &mut Plan) -> Result<Option<Target>, RouterError> {
    Ok(None)
}
