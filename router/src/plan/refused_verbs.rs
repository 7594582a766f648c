//! Statements that are not served over several shards, whatever their tables.

use super::plan::Plan;
use super::tokens::Tokens;
use crate::{SetTarget, Statement, Verb};

/// What is not served over several shards, whatever its tables.
pub(super) fn refused_verb(plan: &Plan) -> Option<&'static str> {
    if let Statement::Set(assignments) = plan.statement() {
        return assignments.iter().find_map(|assignment| match assignment.target {
            SetTarget::Global(_) | SetTarget::Persist(_) | SetTarget::PersistOnly(_) => {
                Some("SET GLOBAL over several servers")
            }
            SetTarget::Role | SetTarget::DefaultRole => Some("SET ROLE over several servers"),
            SetTarget::Password => Some("SET PASSWORD over several servers"),
            SetTarget::ResourceGroup => Some("SET RESOURCE GROUP over several servers"),
            _ => None,
        });
    }
    Some(match plan.verb() {
        Verb::Call => "CALL over several shards",
        Verb::Prepare | Verb::Execute | Verb::Deallocate => "PREPARE as a statement over several shards",
        Verb::Xa => "XA over several shards",
        Verb::CreateRoutine | Verb::AlterRoutine | Verb::DropRoutine => "stored programs over several shards",
        Verb::CreateDatabase | Verb::AlterDatabase | Verb::DropDatabase => {
            "CREATE, ALTER and DROP DATABASE over several shards"
        }
        Verb::Account => "accounts and privileges over several servers",
        Verb::OtherDefinition | Verb::Plugin | Verb::Clone => "this definition over several servers",
        Verb::Flush | Verb::Reset | Verb::Shutdown | Verb::Restart | Verb::IndexCache => {
            "the administration of a server over several servers"
        }
        Verb::LockInstance | Verb::UnlockInstance => "LOCK INSTANCE over several servers",
        Verb::Replication => "replication statements over several servers",
        Verb::ImportTable => "IMPORT TABLE over several shards",
        Verb::ExplainForConnection => "EXPLAIN FOR CONNECTION over several servers",
        Verb::GetDiagnostics => "GET DIAGNOSTICS over several shards",
        _ => return None,
    })
}

/// Whether it is about a statement that was prepared in SQL.
pub(super) fn is_prepared(statement: &Statement) -> bool {
    matches!(statement, Statement::Prepare { .. } | Statement::Execute { .. } | Statement::Deallocate(_))
}

/// Whether a stored program prepares a text, which may name anything.
pub(super) fn prepares(t: &Tokens<'_>) -> bool {
    (0..t.len()).any(|at| t.is_name(at) && t.is(at, "PREPARE") && t.is(at + 2, "FROM"))
}
