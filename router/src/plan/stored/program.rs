//! Procedures and events: they are the home shard's, and so may be about home tables, and read reference tables. CALL goes there, where the session looks first what the
//! procedure does: it may have been made beside Podway, or for tables that lay otherwise.

use super::body::{self, Kind, Piece};
use super::check::{Checker, Ground};
use super::header::{self, Named};
use super::storing::Storing;
use crate::plan::bind;
use crate::plan::context::PlanContext;
use crate::plan::plan::Plan;
use crate::plan::sketch::parts::Run;
use crate::plan::target::Target;
use crate::plan::tokens::Tokens;
use crate::{Effects, RouterError, Statement};

const PROCEDURE: &str = "procedure";
const EVENT: &str = "event";

/// CREATE PROCEDURE and CREATE EVENT; `None`: the statement makes something else.
pub(super) fn create(
    ctx: &PlanContext<'_>,
    t: &Tokens<'_>,
    plan: &mut Plan,
) -> Result<Option<Target>, RouterError> {
    if let Some(header) = header::procedure(t) {
        let mut storing = Storing { ctx, t, plan, kind: PROCEDURE };
        storing.check_body(header.procedure, header.body, header.body, &header.params)?;
        return storing.at_home(&[header.procedure]).map(Some);
    }
    event(ctx, t, plan)
}

/// ALTER PROCEDURE and ALTER EVENT; `None`: the statement alters something else.
pub(super) fn alter(
    ctx: &PlanContext<'_>,
    t: &Tokens<'_>,
    plan: &mut Plan,
) -> Result<Option<Target>, RouterError> {
    match header::named(t, "ALTER", "PROCEDURE") {
        Some(named) => Storing { ctx, t, plan, kind: PROCEDURE }.at_home(&[named]).map(Some),
        None => event(ctx, t, plan),
    }
}

/// DROP PROCEDURE and DROP EVENT; `None`: the statement drops something else.
pub(super) fn drop(
    ctx: &PlanContext<'_>,
    t: &Tokens<'_>,
    plan: &mut Plan,
) -> Result<Option<Target>, RouterError> {
    let (named, kind) = match header::named(t, "DROP", "PROCEDURE") {
        Some(named) => (Some(named), PROCEDURE),
        None => (header::named(t, "DROP", "EVENT"), EVENT),
    };
    named.map(|named| Storing { ctx, t, plan, kind }.at_home(&[named])).transpose()
}

fn event(ctx: &PlanContext<'_>, t: &Tokens<'_>, plan: &mut Plan) -> Result<Option<Target>, RouterError> {
    let Some(header) = header::event(t) else { return Ok(None) };
    let mut storing = Storing { ctx, t, plan, kind: EVENT };
    let mut named = vec![header.event];
    if let Some(renamed) = header.renamed {
        if storing.keyspace_of(renamed)?.name != storing.keyspace_of(header.event)?.name {
            return Err(RouterError::unsupported("an event that changes its database over several shards"));
        }
        named.push(renamed);
    }
    if let Some(body) = header.body {
        storing.check_body(header.event, header.event.name + 1, body, &[])?;
    }
    storing.at_home(&named).map(Some)
}

/// CALL; `None` where it does not read so.
pub(super) fn call(
    ctx: &PlanContext<'_>,
    t: &Tokens<'_>,
    plan: &mut Plan,
) -> Result<Option<Target>, RouterError> {
    let Some((named, open)) = Named::read(t, 1) else { return Ok(None) };
    let has_list = t.is(open, "(");
    let end = if has_list { t.mate(open) + 1 } else { open };
    if end != t.len() {
        return Ok(None);
    }
    let checker = Checker { ctx, t, ground: &Ground::Home, rows: &[], kind: "CALL" };
    let (mut first, close) = (open + 1, end.saturating_sub(1));
    while has_list && first < close {
        let mut next = first;
        while next < close && !t.is(next, ",") {
            next = if t.is(next, "(") { t.mate(next) + 1 } else { next + 1 };
        }
        let run = Run { first, end: next };
        checker.piece(&Piece { kind: Kind::Expression, run, locals: Vec::new() })?;
        first = next + 1;
    }
    let name = t.name(named.name).ok_or_else(bind::unreadable)?;
    plan.recognised.statement = Statement::Call { procedure: name.into() };
    if !plan.effects().contains(Effects::READS_USER_VARIABLES) {
        // What such a procedure may do leaves nothing behind; what it gives to variables is known to its connection alone.
        plan.recognised.effects -= Effects::PINS;
    }
    let storing = &mut Storing { ctx, t, plan, kind: PROCEDURE };
    storing.home_of(&[named]).map(Some)
}

impl Storing<'_> {
    /// Refuses a body, which starts at `body`, that could do something else than in one MySQL; the statement is about this program, and what is said from `said` on is kept.
    fn check_body(
        &self,
        program: Named,
        said: usize,
        body: usize,
        params: &[podway_model::Name],
    ) -> Result<(), RouterError> {
        if self.plan.effects().contains(Effects::SET_VAR_HINT) {
            return Err(self.refused("the hint SET_VAR"));
        }
        let keyspace = self.keyspace_of(program)?;
        // Names in the body are those of the program's own database.
        let inner = PlanContext { keyspace: Some(&keyspace.name), temporary_tables: &[], ..*self.ctx };
        let checker =
            Checker { ctx: &inner, t: self.t, ground: &Ground::Home, rows: &[], kind: self.kind };
        checker.check_tokens(said)?;
        checker.check(&body::read(self.t, body, params)?)
    }

    /// The home shard of the first of these, whose text is stored.
    fn at_home(&mut self, named: &[Named]) -> Result<Target, RouterError> {
        self.forget_body();
        self.home_of(named)
    }

    fn home_of(&mut self, named: &[Named]) -> Result<Target, RouterError> {
        let Some(&first) = named.first() else { return Err(bind::unreadable()) };
        let keyspace = self.keyspace_of(first)?;
        self.splice_databases(named)?;
        self.plan.names.elsewhere = self.ctx.keyspace != Some(&keyspace.name);
        Ok(Target::Home { keyspace: Some(keyspace.name.clone()) })
    }
}
