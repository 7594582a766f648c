//! What all statements about stored programs have in common: whose keyspace they are about, and what is left of their text's effects.

use std::sync::Arc;

use podway_model::Keyspace;

use super::check::refused;
use super::header::Named;
use crate::plan::bind::{self, Binding, Database};
use crate::plan::context::PlanContext;
use crate::plan::plan::Plan;
use crate::plan::sketch::parts::Sketch;
use crate::plan::splices;
use crate::plan::tokens::Tokens;
use crate::{Effects, RouterError};

/// A statement about a stored program.
pub(super) struct Storing<'s> {
    pub ctx: &'s PlanContext<'s>,
    pub t: &'s Tokens<'s>,
    pub plan: &'s mut Plan,
    /// What is stored, in errors.
    pub kind: &'static str,
}

impl Storing<'_> {
    /// What is said of a construct that it must not have.
    pub(super) fn refused(&self, what: impl std::fmt::Display) -> RouterError {
        refused(self.kind, what)
    }

    /// The keyspace that a name is in.
    pub(super) fn keyspace_of(&self, named: Named) -> Result<Arc<Keyspace>, RouterError> {
        let spelled = match named.database {
            Some(at) => self.t.name(at).ok_or_else(bind::unreadable)?.into_owned(),
            None => self.ctx.keyspace.ok_or_else(RouterError::no_database)?.as_str().to_owned(),
        };
        match bind::database(self.ctx, &spelled)? {
            Database::Keyspace(keyspace) => Ok(keyspace),
            Database::System => Err(self.refused("a system database as its own")),
            Database::Foreign(name) => Err(RouterError::unknown_database(name)),
        }
    }

    /// What the text of a stored program does when it runs is not what its definition does.
    pub(super) fn forget_body(&mut self) {
        let recognised = &mut self.plan.recognised;
        recognised.effects &=
            Effects::WRITES | Effects::IMPLICIT_COMMIT | Effects::STORES_TEXT | Effects::NAMES_PODWAY;
        recognised.user_variables.clear();
        recognised.assigned_variables.clear();
    }

    /// The databases that its header names are the shards' own.
    pub(super) fn splice_databases(&mut self, named: &[Named]) -> Result<(), RouterError> {
        let sketch = Sketch {
            qualifiers: named.iter().filter_map(|named| named.database).collect(),
            ..Sketch::default()
        };
        let binding = Binding::new(self.ctx, self.t, &sketch)?;
        splices::understood(self.plan, &binding, None);
        Ok(())
    }
}
