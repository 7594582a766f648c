//! A plan: what is known of every statement of one template. A value; [`super::route`] and [`super::rewrite`] put it to use.

use std::mem::size_of;

use podway_model::Name;

use super::definition::Definition;
use super::gather::Gather;
use super::locked::TableLocks;
use super::made::Making;
use super::numbered::Counted;
use super::scatter::Scatter;
use super::target::{KeyPin, KeySource, Splice, Target};
use crate::{ClientCharset, Effects, Recognised, RouterError, SqlMode, Statement, TableDirective, Verb};

/// Where the statements of a template go, and what the proxy changes in them.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What they are to the session.
    pub recognised: Recognised,
    /// Where they go.
    pub target: Target,
    /// What is put in the place of their bytes, in order.
    pub splices: Vec<Splice>,
    /// What they do to tables that every shard has, or may have.
    pub definition: Option<Box<Definition>>,
    /// How its rows are gathered where its values do not lead to one shard.
    pub gather: Option<Box<Gather>>,
    /// How it writes on several shards where its values do not lead to one.
    pub scatter: Option<Box<Scatter>>,
    /// What SHOW CREATE TABLE says of how its table's rows lie.
    pub shows: Option<Box<TableDirective>>,
    /// What it has to do with AUTO_INCREMENT numbers that the cluster gives.
    pub counted: Option<Box<Counted>>,
    /// Which tables LOCK TABLES locks.
    pub locks: Option<Box<TableLocks>>,
    /// How CREATE TABLE … SELECT makes a table from rows of several shards.
    pub making: Option<Box<Making>>,
    /// Why it cannot, where one shard's values are served.
    pub(super) unscattered: Option<Box<RouterError>>,
    pub(super) names: Names,
    pub(super) values: Values,
}

/// The databases that a statement has to do with, besides its target's keyspace.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// Other keyspaces, of one shard each: they must lie on the target's server.
    pub neighbours: Vec<Name>,
    /// Databases that the map does not know: reachable where one server holds everything.
    pub foreign: Vec<Name>,
    /// Names before a dot that may be databases or tables: none may be a physical schema's.
    pub suspects: Vec<Name>,
    /// A keyspace whose name also stands for something else in a statement that is not understood: it cannot be replaced.
    pub ambiguous: Option<Name>,
    /// Whether the session's current database is another than the target's.
    pub elsewhere: bool,
}

/// What literals mean in this plan.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    pub sql_mode: SqlMode,
    pub charset: ClientCharset,
    pub collation: Box<str>,
}

impl Plan {
    /// What the session must do about it.
    pub fn statement(&self) -> &Statement {
        &self.recognised.statement
    }

    /// What it does beyond giving rows.
    pub fn effects(&self) -> Effects {
        self.recognised.effects
    }

    /// Whether it certainly changes no rows. In a keyspace of one shard nothing is known of views and stored functions.
    pub fn only_reads(&self) -> bool {
        let is_known =
            matches!(self.target, Target::Any { .. } | Target::Keys { .. } | Target::Gathered { .. });
        let is_sum = matches!(self.statement(), Statement::Maintain(maintenance) if maintenance.sums);
        (is_known || is_sum) && !self.effects().intersects(Effects::WRITES | Effects::MANY_RESULTS)
    }

    /// What kind of statement it is.
    pub fn verb(&self) -> Verb {
        self.recognised.verb
    }

    /// The keyspace of the target.
    pub fn keyspace(&self) -> Option<&Name> {
        match &self.target {
            Target::Nowhere | Target::Refused(_) => None,
            Target::Any { keyspace } | Target::Home { keyspace } => keyspace.as_ref(),
            Target::Keys { keyspace, .. }
            | Target::Whole { keyspace }
            | Target::Everywhere { keyspace }
            | Target::Gathered { keyspace }
            | Target::Scattered { keyspace } => Some(keyspace),
        }
    }

    /// All keyspaces that it names or goes to.
    pub fn keyspaces(&self) -> impl Iterator<Item = &Name> {
        self.keyspace().into_iter().chain(&self.names.neighbours)
    }

    /// Whether where it goes depends on parameters.
    pub fn pins_params(&self) -> bool {
        if self.counted.as_ref().is_some_and(|counted| counted.has_params()) {
            return true;
        }
        let is_param = |source: &KeySource| matches!(source, KeySource::Param(_));
        match &self.target {
            Target::Keys { pins, .. } => pins.iter().flat_map(|pin| &pin.columns).any(is_param),
            Target::Scattered { .. } => self.scatter.as_ref().is_some_and(|scatter| {
                let counters = scatter.counters.iter().flat_map(|counters| &counters.values);
                let new = scatter.moves.iter().flat_map(|moves| &moves.given);
                scatter.keys.iter().chain(new).flat_map(|pin| &pin.columns).chain(counters).any(is_param)
            }),
            Target::Gathered { .. } => self.gather.as_ref().is_some_and(|gather| gather.has_schema_params()),
            _ => false,
        }
    }

    /// About how many bytes it holds.
    pub fn memory(&self) -> usize {
        let pins = match &self.target {
            Target::Keys { pins, .. } => pins.iter().map(KeyPin::memory).sum(),
            Target::Refused(error) => error.message.len(),
            _ => 0,
        };
        let recognised = &self.recognised;
        let lists = recognised.functions.capacity() + recognised.system_variables.capacity();
        let names = recognised.user_variables.capacity() + recognised.assigned_variables.capacity();
        size_of::<Plan>()
            + pins
            + self.gather.as_ref().map_or(0, |gather| gather.memory())
            + self.scatter.as_ref().map_or(0, |scatter| scatter.memory())
            + self.locks.as_ref().map_or(0, |locks| locks.memory())
            + self.counted.as_ref().map_or(0, |counted| counted.memory())
            + self.unscattered.as_ref().map_or(0, |error| size_of::<RouterError>() + error.message.len())
            + self.splices.capacity() * size_of::<Splice>()
            + (lists + names) * SMALL_ITEM
            + self.values.collation.len()
    }
}

/// What a variable's or a call's entry holds, its text included.
const SMALL_ITEM: usize = 96;
