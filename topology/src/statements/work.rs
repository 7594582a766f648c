//! What a leader has at hand for one operation, and where it says how far it is.

use std::sync::Arc;

use podway_topology_api::{ClientStatement, Operation, Report, Target, TargetState, Term};

use super::error::TryError;
use super::place::{Place, find};
use crate::keeper::Keeper;
use crate::statement_seam::{StatementMoment, Statements};

/// Where a try says how far it is. An error: the topology does not take it, so that nothing more may be done.
pub trait Reporter {
    /// Reports.
    fn report(&self, report: Report) -> impl Future<Output = Result<(), TryError>> + Send;
}

/// A leader's work on the targets of one operation.
#[derive(Clone)]
pub struct Attempt {
    pub(super) keeper: Arc<Keeper>,
    pub(super) operation: Arc<Operation>,
    pub(super) statement: Arc<ClientStatement>,
    pub(super) term: Term,
    pub(super) seams: Statements,
}

impl Attempt {
    pub(super) fn place(&self, target: Target) -> Result<Place, TryError> {
        find(&self.keeper, &self.operation, &self.statement, target)
    }

    /// What the statement is about on this target before it was sent, if it may have been.
    pub(super) fn begun(&self, target: Target) -> Option<String> {
        let (_, state) = self.operation.targets.iter().find(|(known, _)| *known == target)?;
        match state {
            TargetState::Begun { before } => Some(before.to_string()),
            _ => None,
        }
    }

    pub(super) async fn see(&self, target: Target, moment: StatementMoment) {
        self.seams.probe.see(self.operation.id, target, moment).await;
    }
}
