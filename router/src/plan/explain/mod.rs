//! How a statement is run, for whoever asks: the way, why it is not a cheaper one, which shard gets which text, and what MySQL computes at the end. Runs nothing and
//! decides nothing: it puts the plan to the use that a session puts it to, and notes what would be sent.
//!
//! Reading order: this file, [`ways`] (what each way sends), [`catalog`] (`information_schema`), [`said`] (keys and orders in words), [`print`] (the form that EXPLAIN FORMAT=PODWAY shows).

mod catalog;
mod print;
mod said;
mod ways;

use podway_model::{Keyspace, Map, Name, ShardIndex};

use super::gather::Merge;
use super::plan::Plan;
use super::rewrite::Facts;
use super::target::{Route, Target};
use crate::{Normalised, RouterError, TableDirective};

pub use print::{Measured, Measures};

/// Where a statement is explained, and to whom.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The picture of the cluster.
    pub map: &'a Map,
    /// The statement's text.
    pub sql: &'a [u8],
    /// Its shape and literals.
    pub n: &'a Normalised,
    /// What its session knows; schemas are those of each shard that is spoken of.
    pub facts: Facts<'a>,
    /// Whether its session is in a transaction: each server has one connection, and rows of several shards are put in no order.
    pub is_inside: bool,
    /// Whether `sql_select_limit` is set: it counts rows of the whole result.
    pub is_limited: bool,
}

/// Why nothing is merged nor folded for a session with such a limit.
const LIMITED: &str = "sql_select_limit is set";
/// Why nothing is merged in order in a transaction.
const INSIDE: &str = "in a transaction each server has one connection, on which one answer follows the other";

impl Scene<'_> {
    /// Why this session's rows are not merged, where they are not.
    fn unmerged(&self, merge: &Merge, locks: bool) -> Option<&'static str> {
        match self {
            Scene { is_limited: true, .. } => Some(LIMITED),
            // Few rows are locked: they are put in order when all shards have given theirs.
            Scene { is_inside: true, .. } if !merge.order.is_empty() && !locks => Some(INSIDE),
            _ => None,
        }
    }
}

/// How a statement is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// In one of several ways.
    pub way: Way,
    /// Whose shards [`Sent::shard`] counts.
    pub keyspace: Option<Name>,
    /// What else there is to say, a line each.
    pub notes: Vec<String>,
    /// What is sent, part by part.
    pub parts: Vec<ExplainedPart>,
    /// What MySQL computes over the parts.
    pub last: Option<Last>,
}

/// The ways, the cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The session answers it itself.
    Proxy,
    /// One shard runs it.
    OneShard,
    /// Several shards run it, and their rows are passed on.
    Merged,
    /// Several shards compute their own aggregates, MySQL puts them together.
    Folded,
    /// The tables' rows are read, MySQL computes the statement over them.
    Finished,
    /// Several shards write, in one transaction.
    Scattered,
    /// The topology has every shard do it.
    Operation,
    /// Its parameters' values decide between these.
    ByParameters,
}

/// A part of a statement: all of it, or the rows of one of its tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExplainedPart {
    /// What it is, where the statement has several.
    pub title: Option<String>,
    /// Who gets what.
    pub sent: Vec<Sent>,
}

/// What one shard gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The shard.
    pub shard: ShardIndex,
    /// The text.
    pub text: Vec<u8>,
}

/// What MySQL computes at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// On the home shard's server; else any shard's.
    pub at_home: bool,
    /// The text, the parts standing in their tables' places.
    pub text: Vec<u8>,
}

impl Plan {
    /// How this statement is run; an error where it is refused.
    pub fn explained(&self, scene: &Scene<'_>) -> Result<Explanation, RouterError> {
        if scene.n.param_count() > 0 && self.pins_params() {
            return Ok(self.by_parameters(scene));
        }
        match self.target {
            Target::Everywhere { .. } => self.operation(scene),
            _ => self.routed(scene),
        }
    }

    fn routed(&self, scene: &Scene<'_>) -> Result<Explanation, RouterError> {
        let shown = self.shown_numbers((scene.sql, scene.n));
        let route = self.route_numbered(scene.map, (scene.sql, scene.n), &[], &shown)?;
        let keyspace = self.keyspace().or(scene.facts.database).and_then(|name| scene.map.keyspace(name));
        let keyspace = keyspace.or_else(|| scene.map.default_keyspace());
        let Some(keyspace) = keyspace.filter(|_| route != Route::Nowhere) else {
            return Ok(Explanation::of(Way::Proxy, None));
        };
        match route {
            Route::Gather => self.gathered(scene, keyspace),
            Route::Scatter => self.scattered(scene, keyspace),
            Route::Shard(shard) => Ok(self.one_shard(scene, keyspace, shard)),
            Route::Any | Route::Nowhere => Ok(self.one_shard(scene, keyspace, keyspace.home)),
        }
    }

    /// A statement whose keys are parameters, which have no values yet.
    fn by_parameters(&self, scene: &Scene<'_>) -> Explanation {
        let mut notes = self.keys_said(scene);
        notes.push("one shard, if all keys lead to it".to_owned());
        let gather = self.gather.as_deref();
        let other = match (gather, &self.scatter) {
            (Some(gather), _)
                if gather
                    .merge
                    .as_ref()
                    .is_some_and(|merge| scene.unmerged(merge, gather.locks()).is_none()) =>
            {
                Some(Way::Merged)
            }
            (Some(_), _) => Some(Way::Finished),
            (None, Some(_)) => Some(Way::Scattered),
            (None, None) => None,
        };
        notes.push(match (other, &self.unscattered) {
            (Some(way), _) => format!("else: {way}"),
            (None, Some(reason)) => format!("else refused: {}", reason.message),
            (None, None) => "else refused".to_owned(),
        });
        Explanation { notes, ..Explanation::of(Way::ByParameters, self.keyspace()) }
    }

    fn operation(&self, scene: &Scene<'_>) -> Result<Explanation, RouterError> {
        let keyspace = self.keyspace().and_then(|name| scene.map.keyspace(name));
        let (Some(keyspace), Some(definition)) = (keyspace, &self.definition) else {
            return Err(RouterError::no_database());
        };
        let declares = self.declares(scene);
        match definition.otherwise.as_deref() {
            Some(otherwise) if !declares => {
                let plan = Plan { target: otherwise.clone(), definition: None, ..self.clone() };
                plan.routed(scene)
            }
            _ => Ok(self.everywhere_said(scene, keyspace, declares)),
        }
    }

    /// Whether the COMMENT declares the table that the statement makes.
    fn declares(&self, scene: &Scene<'_>) -> bool {
        let number = self.definition.as_ref().and_then(|definition| definition.comment);
        let Some(literal) = number.and_then(|number| scene.n.literals().get(number as usize)) else {
            return false;
        };
        let text = literal.text(scene.sql);
        let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
        let directive = TableDirective::of_comment(&String::from_utf8_lossy(inner));
        // What cannot be read is an error when it is run, wherever it would go.
        !matches!(directive, Ok(None | Some(TableDirective::Home)))
    }
}

impl Explanation {
    fn of(way: Way, keyspace: Option<&Name>) -> Explanation {
        Explanation { way, keyspace: keyspace.cloned(), notes: Vec::new(), parts: Vec::new(), last: None }
    }
}

/// Gives `work` the facts under which a text is written for this shard.
fn with_facts<T>(
    plan: &Plan,
    scene: &Scene<'_>,
    (keyspace, shard): (&Keyspace, ShardIndex),
    work: impl FnOnce(&Facts<'_>) -> T,
) -> T {
    let own = keyspace.shard(shard);
    let physical = |name: &Name| {
        let own = own?;
        if keyspace.name == *name || plan.keyspace() == Some(name) {
            return Some(own.schema.as_str());
        }
        let there = scene.map.keyspace(name)?.shards.iter().find(|shard| shard.server == own.server)?;
        Some(there.schema.as_str())
    };
    work(&Facts { physical: &physical, ..scene.facts })
}
