//! What a node is told about statements that go to several targets: the rules for sharding keys, which the router has and the topology must not know, and a seam
//! for tests.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use podway_model::{NameRule, Table};
use podway_topology_api::{OperationId, TableDeclaration, Target};

use crate::provision::TableDefinition;

/// How a node carries out statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statements {
    /// The rules by which a table becomes one that the map has.
    pub rules: KeyRules,
    /// Sees, and can hold, each try. In operation it is left at its default.
    pub probe: StatementProbe,
}

type Rule = dyn Fn(NameRule, &TableDefinition, &TableDeclaration) -> Result<Table, String> + Send + Sync;

/// The rules for sharding keys: a table as servers have it and how its rows are to lie in, the map's table or the reason against it out.
#[derive(Clone, Default)]
pub struct KeyRules(Option<Arc<Rule>>);

impl KeyRules {
    /// These rules.
    pub fn new(
        rule: impl Fn(NameRule, &TableDefinition, &TableDeclaration) -> Result<Table, String>
        + Send
        + Sync
        + 'static,
    ) -> KeyRules {
        KeyRules(Some(Arc::new(rule)))
    }

    pub(crate) fn apply(
        &self,
        names: NameRule,
        definition: &TableDefinition,
        declaration: &TableDeclaration,
    ) -> Result<Table, String> {
        match &self.0 {
            Some(rule) => rule(names, definition, declaration),
            None => Err("the topology's leader has no rules for sharding keys".to_owned()),
        }
    }
}

/// When a try of a statement on a target is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementMoment {
    /// The target is on record as begun; nothing was sent.
    Begun,
    /// The term was read again; the statement is sent next.
    Checked,
    /// The target has it, which is not reported.
    Done,
    /// It is reported.
    Reported,
}

type Seen = Pin<Box<dyn Future<Output = ()> + Send>>;
type See = dyn Fn(OperationId, Target, StatementMoment) -> Seen + Send + Sync;

/// Sees, and can hold, each try of each statement of a node: what it waits for, the try waits for.
#[derive(Clone, Default)]
pub struct StatementProbe(Option<Arc<See>>);

impl StatementProbe {
    /// A probe that is called at each moment of each try.
    pub fn new(
        see: impl Fn(OperationId, Target, StatementMoment) -> Seen + Send + Sync + 'static,
    ) -> StatementProbe {
        StatementProbe(Some(Arc::new(see)))
    }

    pub(crate) async fn see(&self, id: OperationId, target: Target, moment: StatementMoment) {
        if let Some(see) = &self.0 {
            see(id, target, moment).await;
        }
    }
}

fn is_same<T: ?Sized>(one: &Option<Arc<T>>, other: &Option<Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

impl PartialEq for KeyRules {
    fn eq(&self, other: &KeyRules) -> bool {
        is_same(&self.0, &other.0)
    }
}

impl Eq for KeyRules {}

impl PartialEq for StatementProbe {
    fn eq(&self, other: &StatementProbe) -> bool {
        is_same(&self.0, &other.0)
    }
}

impl Eq for StatementProbe {}

impl fmt::Debug for KeyRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "KeyRules(…)" } else { "KeyRules(none)" })
    }
}

impl fmt::Debug for StatementProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "StatementProbe(…)" } else { "StatementProbe(none)" })
    }
}
