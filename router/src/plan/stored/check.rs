//! What the pieces of a body may do, by where its table lies: on the home shard, as copies on every shard, or by a sharding key. A trigger sees the rows of its own
//! shard alone, so it may use sharded tables only where each row that it meets is of the same key as its own.

use std::sync::Arc;

use podway_model::{Name, Table, TableKind};

use super::body::{Body, Kind, Piece};
use crate::plan::bind::{Binding, Place};
use crate::plan::conjuncts::{Operand, conjuncts, equalities};
use crate::plan::context::PlanContext;
use crate::plan::decide::{assigned_key, check, is_changed};
use crate::plan::scatter::unknown_word;
use crate::plan::sketch::parts::{Lock, Role, Run, Sketch, SourceId};
use crate::plan::sketch::walker::{Rules, Walker};
use crate::plan::tokens::{Class, Tokens};
use crate::{RouterError, SqlMode};

/// Where the trigger's table lies.
#[derive(Clone, Debug)]
pub(super) enum Ground {
    /// On the home shard: what else is there can be used.
    Home,
    /// On every shard, as copies that must stay alike.
    Copies(Option<Arc<Table>>),
    /// By its sharding key.
    Sharded(Arc<Table>),
}

/// Calls whose answer only the client's own session can give, or that a server gives otherwise than the cluster.
const OF_SESSIONS: [&str; 6] =
    ["CONNECTION_ID", "DATABASE", "LAST_INSERT_ID", "PODWAY_LAST_COMMIT", "PODWAY_OUTCOME", "SCHEMA"];
/// Words of SIGNAL, beside those of expressions.
const SIGNAL_WORDS: [&str; 2] = ["SQLSTATE", "CONDITION"];

/// What the rules are asked about.
pub(super) struct Checker<'c> {
    /// With the trigger's own keyspace as the current one.
    pub ctx: &'c PlanContext<'c>,
    pub t: &'c Tokens<'c>,
    pub ground: &'c Ground,
    /// The rows whose key is known to lead to this shard when the trigger acts: NEW is not yet as it will be stored, before.
    pub rows: &'c [&'c str],
    /// What is stored, in errors.
    pub kind: &'static str,
}

impl Checker<'_> {
    fn refused(&self, what: impl std::fmt::Display) -> RouterError {
        refused(self.kind, what)
    }

    /// Refuses a body that could do something else over several shards than in one MySQL.
    pub(super) fn check(&self, body: &Body) -> Result<(), RouterError> {
        for &column in &body.sets_new {
            self.check_set(column)?;
        }
        body.pieces.iter().try_for_each(|piece| self.piece(piece))
    }

    /// Refuses what is no trigger's business, wherever it stands in the body that begins at `at`.
    pub(super) fn check_tokens(&self, at: usize) -> Result<(), RouterError> {
        let t = self.t;
        for at in at..t.len() {
            match t.class(at) {
                Class::UserVariable => return Err(self.refused("a user variable")),
                Class::Symbol if t.is(at, "@@") => return Err(self.refused("a system variable")),
                Class::Param(_) => return Err(self.refused("a parameter")),
                Class::Word if OF_SESSIONS.contains(&t.text(at)) && t.is(at + 1, "(") => {
                    return Err(self.refused(format_args!("{}()", t.text(at))));
                }
                // Behind a comma as well, where nothing but its grammar tells an assignment from a comparison: servers are looked at without it.
                Class::Word if t.is(at, "NEW") && at > 0 && t.is(at - 1, ",") && t.is(at + 3, "=") => {
                    self.check_set(at + 2)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// `SET NEW.column`.
    fn check_set(&self, column: usize) -> Result<(), RouterError> {
        let table = match self.ground {
            Ground::Home | Ground::Copies(None) => return Ok(()),
            Ground::Copies(Some(table)) | Ground::Sharded(table) => table,
        };
        let name = self.t.name(column).ok_or_else(crate::plan::bind::unreadable)?;
        let name = Name::caseless(&name);
        if table.key_columns().any(|key| key.name == name) {
            return Err(self.refused(format_args!("SET NEW.{name}, which is the sharding key of {}", table.name)));
        }
        if table.counter().is_some_and(|counter| counter.column.name == name) {
            return Err(self.refused(format_args!(
                "SET NEW.{name}, whose AUTO_INCREMENT numbers the cluster gives"
            )));
        }
        Ok(())
    }

    fn sketch(&self, piece: &Piece) -> Result<Sketch, RouterError> {
        let rules = Rules {
            names: self.ctx.map.names,
            version: self.ctx.map.lowest_version(),
            ignore_space: self.ctx.sql_mode.contains(SqlMode::IGNORE_SPACE),
        };
        let mut w = Walker::new(self.t, rules);
        let Run { first, end } = piece.run;
        match piece.kind {
            Kind::Expression => {
                w.values(first, end)?;
            }
            Kind::Query => {
                w.query(first, end, None)?;
            }
            Kind::Insert => w.insert(first + 1, end)?,
            Kind::Update => w.update(first + 1, end)?,
            Kind::Delete => w.delete(first + 1, end)?,
        }
        Ok(w.finish())
    }

    pub(super) fn piece(&self, piece: &Piece) -> Result<(), RouterError> {
        let t = self.t;
        let sketch = self.sketch(piece)?;
        let binding = Binding::new(self.ctx, t, &sketch)?;
        check(&binding)?;
        binding.check_held()?;
        if sketch.needs_home {
            return Err(self.refused("a function of one server"));
        }
        if let Some(&at) = sketch.qualifiers.first() {
            let name = t.name(at).unwrap_or_default();
            return Err(self.refused(format_args!("a name with its database ({name})")));
        }
        let is_row = |alias: &String| alias.eq_ignore_ascii_case("NEW") || alias.eq_ignore_ascii_case("OLD");
        if binding.sources.iter().any(|bound| bound.alias.as_ref().is_some_and(is_row)) {
            return Err(self.refused("a table that is called NEW or OLD"));
        }
        for id in 0..binding.sources.len() {
            self.source(&binding, piece, id)?;
        }
        if let Ground::Copies(_) = self.ground
            && let Some(what) = unknown_word(t, piece.run, &SIGNAL_WORDS)
        {
            return Err(self.refused(format_args!(
                "{what}, which may not give the same for every copy of a reference table,"
            )));
        }
        Ok(())
    }

    /// A table that a piece uses.
    fn source(&self, binding: &Binding<'_>, piece: &Piece, id: SourceId) -> Result<(), RouterError> {
        let bound = &binding.sources[id];
        let is_written = match binding.sketch.sources[id].role {
            Role::Read => false,
            Role::Insert | Role::Whole => true,
            Role::Change => is_changed(binding, id),
        };
        let table = &bound.table;
        match (&bound.place, self.ground) {
            (Place::Derived, _) => Ok(()),
            (Place::Home(_), Ground::Home) => Ok(()),
            (Place::Reference(_), Ground::Home | Ground::Sharded(_)) if !is_written => {
                let block = binding.sketch.sources[id].block;
                match binding.sketch.blocks[block].lock {
                    Lock::None => Ok(()),
                    _ => Err(self.refused(format_args!("a locking read of the reference table {table}"))),
                }
            }
            (Place::Reference(_), Ground::Home | Ground::Sharded(_)) => {
                Err(self.refused(format_args!("a write to the reference table {table}")))
            }
            (Place::Sharded(other), Ground::Sharded(own)) => self.together(binding, piece, id, (own, other)),
            (Place::Home(_), _) => {
                Err(self.refused(format_args!("{table}, which is on the home shard alone (or not known),")))
            }
            (Place::Sharded(_), _) => {
                Err(self.refused(format_args!("the sharded table {table}, whose rows are on several shards,")))
            }
            (Place::Reference(_), Ground::Copies(_)) => {
                Err(self.refused(format_args!("another table ({table}) for rows of a reference table")))
            }
            (Place::View | Place::System(_) | Place::Foreign, _) => {
                Err(self.refused(format_args!("{table}, which is a view or a table of the system,")))
            }
        }
    }

    /// Each row of `other` that a statement meets has the sharding key of the trigger's own row.
    fn together(
        &self,
        binding: &Binding<'_>,
        piece: &Piece,
        id: SourceId,
        (own, other): (&Table, &Table),
    ) -> Result<(), RouterError> {
        let elsewhere = || {
            let (rows, later) = match self.rows {
                ["OLD"] => ("OLD", "; in an AFTER trigger NEW's counts, too"),
                _ => ("NEW or OLD", ""),
            };
            self.refused(format_args!(
                "rows of the sharded table {} that may be on other shards: its sharding key has to be equal, column for column, to that of {rows}{later}",
                other.name
            ))
        };
        if !have_one_key(own, other) {
            return Err(elsewhere());
        }
        let hides = |column: &podway_model::Column| piece.locals.contains(&column.name);
        if other.key_columns().any(hides) {
            return Err(self.refused(format_args!(
                "a local variable with the name of the sharding key of {}",
                other.name
            )));
        }
        if let Some(name) = assigned_key(binding, id)? {
            return Err(self.refused(format_args!("changing the sharding key column {name}")));
        }
        self.check_numbers(binding, id, other)?;
        let is_kept = match binding.sketch.sources[id].role {
            Role::Insert => self.inserts_together(binding, own, other),
            Role::Read | Role::Change => self.meets_together(binding, id, own, other),
            Role::Whole => false,
        };
        if is_kept { Ok(()) } else { Err(elsewhere()) }
    }

    /// The cluster's numbers are given to statements, not to what a trigger writes.
    fn check_numbers(&self, binding: &Binding<'_>, id: SourceId, other: &Table) -> Result<(), RouterError> {
        let Some(counter) = other.counter() else { return Ok(()) };
        let name = &counter.column.name;
        let is_set = |run: &Run| self.t.name(run.end - 1).is_none_or(|set| Name::caseless(&set) == *name);
        let sets = binding.sketch.assigned.iter().any(|(_, run)| is_set(run));
        if binding.sketch.sources[id].role == Role::Insert || sets {
            return Err(self.refused(format_args!(
                "a row of {}, whose AUTO_INCREMENT numbers ({name}) the cluster gives,",
                other.name
            )));
        }
        Ok(())
    }

    /// Whether the tokens are NEW's or OLD's column of this name.
    fn is_own(&self, run: Run, column: &Name) -> bool {
        let t = self.t;
        run.end == run.first + 3
            && self.rows.contains(&t.text(run.first))
            && t.is(run.first + 1, ".")
            && t.name(run.first + 2).is_some_and(|name| Name::caseless(&name) == *column)
    }

    fn inserts_together(&self, binding: &Binding<'_>, own: &Table, other: &Table) -> bool {
        let t = self.t;
        let Some(insert) = &binding.sketch.insert else { return false };
        let Some(rows) = &insert.rows else { return false };
        let names: Option<Vec<Name>> = match &insert.columns {
            Some(columns) => columns.iter().map(|&at| t.name(at).map(|name| Name::caseless(&name))).collect(),
            None if other.columns.iter().any(|column| column.invisible) => None,
            None => Some(other.columns.iter().map(|column| column.name.clone()).collect()),
        };
        let Some(names) = names else { return false };
        let is_given = |row: &Vec<Run>| {
            let pairs = own.key_columns().zip(other.key_columns());
            row.len() == names.len()
                && pairs.into_iter().all(|(own, theirs)| {
                    let place = names.iter().position(|name| *name == theirs.name);
                    place.is_some_and(|place| self.is_own(row[place], &own.name))
                })
        };
        // A NULL that is not stored becomes another key.
        let keeps_null =
            own.key_columns().zip(other.key_columns()).all(|(own, theirs)| !own.nullable || theirs.nullable);
        keeps_null && rows.iter().all(is_given)
    }

    fn meets_together(&self, binding: &Binding<'_>, id: SourceId, own: &Table, other: &Table) -> bool {
        let (t, source) = (self.t, &binding.sketch.sources[id]);
        if source.nullable {
            return false;
        }
        let pipes_concat = self.ctx.sql_mode.contains(SqlMode::PIPES_AS_CONCAT);
        let block = &binding.sketch.blocks[source.block];
        let mut equal = Vec::new();
        for filter in &block.filters {
            if filter.reach.as_ref().is_some_and(|reach| !reach.contains(&id)) {
                continue;
            }
            let scope = filter.scope.as_deref();
            for run in conjuncts(t, filter.run, pipes_concat) {
                for equality in equalities(t, run) {
                    if let (Operand::Column(left), Operand::Column(right)) = (&equality.left, &equality.right)
                    {
                        equal.push((binding.column(*left, source.block, scope), *right));
                        equal.push((binding.column(*right, source.block, scope), *left));
                    }
                }
            }
        }
        own.key_columns().zip(other.key_columns()).all(|(own, theirs)| {
            let position = other.columns.iter().position(|column| column.name == theirs.name);
            equal.iter().any(|(site, with)| {
                position.is_some_and(|position| *site == Some((id, position)))
                    && self.is_own(*with, &own.name)
            })
        })
    }
}

/// Whether equal keys of two tables lead to one shard, and are equal to MySQL as they are to the sharding.
fn have_one_key(own: &Table, other: &Table) -> bool {
    let (TableKind::Sharded(one), TableKind::Sharded(two)) = (&own.kind, &other.kind) else { return false };
    one.vindex == two.vindex
        && one.columns.len() == two.columns.len()
        && own
            .key_columns()
            .zip(other.key_columns())
            .all(|(one, two)| one.column_type == two.column_type && one.collation == two.collation)
}

/// What is said of a construct that a stored program of this kind must not have.
pub(super) fn refused(kind: &str, what: impl std::fmt::Display) -> RouterError {
    let text = what.to_string();
    let text = text.strip_suffix(',').unwrap_or(&text);
    let article = if kind.starts_with('e') { "an" } else { "a" };
    RouterError::unsupported(format_args!("{article} {kind} over several shards with {text}"))
}
