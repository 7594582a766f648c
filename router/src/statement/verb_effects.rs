//! What each verb does, whatever its operands. Never looks at tokens.
//!
//! The implicit commits were tried one by one on MySQL 9.7. Read next: [`super::observe`].

use super::effects::Effects;
use super::kind::Verb;

/// The effects of a verb.
pub(super) fn of(verb: Verb, explained: Option<Verb>) -> Effects {
    let definition = Effects::WRITES | Effects::IMPLICIT_COMMIT;
    match verb {
        Verb::Insert | Verb::Replace | Verb::Update | Verb::Delete | Verb::Load => Effects::WRITES,
        Verb::Call => Effects::WRITES | Effects::PINS | Effects::MANY_RESULTS,
        Verb::Begin => Effects::IMPLICIT_COMMIT,
        Verb::LockTables => Effects::IMPLICIT_COMMIT | Effects::PINS,
        Verb::Handler | Verb::LockInstance | Verb::Xa | Verb::Prepare | Verb::Execute => Effects::PINS,
        Verb::CreateTemporaryTable => Effects::WRITES | Effects::CREATES_TEMPORARY_TABLE | Effects::PINS,
        Verb::DropTemporaryTable => Effects::WRITES | Effects::DROPS_TEMPORARY_TABLE,
        Verb::CreateRoutine | Verb::AlterRoutine | Verb::CreateView | Verb::AlterView => {
            definition | Effects::STORES_TEXT
        }
        Verb::CreateTable
        | Verb::AlterTable
        | Verb::DropTable
        | Verb::RenameTable
        | Verb::Truncate
        | Verb::CreateIndex
        | Verb::DropIndex
        | Verb::DropView
        | Verb::CreateDatabase
        | Verb::AlterDatabase
        | Verb::DropDatabase
        | Verb::DropRoutine
        | Verb::Account
        | Verb::OtherDefinition
        | Verb::IndexCache
        | Verb::ImportTable
        | Verb::Plugin
        | Verb::Clone => definition,
        Verb::TableMaintenance => definition | Effects::READS_SYSTEM_SCHEMA,
        // Some of these commit and some do not; none has a place in a transaction.
        Verb::Flush | Verb::Reset | Verb::Replication | Verb::Shutdown | Verb::Restart => definition,
        Verb::Kill => Effects::WRITES,
        Verb::ChecksumTable | Verb::Show | Verb::Describe | Verb::ExplainForConnection | Verb::Help => {
            Effects::READS_SYSTEM_SCHEMA
        }
        Verb::Explain => Effects::READS_SYSTEM_SCHEMA,
        Verb::ExplainAnalyze => {
            Effects::READS_SYSTEM_SCHEMA
                | explained.map_or(Effects::empty(), |verb| of(verb, None)) & Effects::WRITES
        }
        Verb::GetDiagnostics => Effects::READS_DIAGNOSTICS,
        Verb::Unknown => Effects::WRITES,
        Verb::Empty
        | Verb::Select
        | Verb::Values
        | Verb::Table
        | Verb::Do
        | Verb::Use
        | Verb::Set
        | Verb::Commit
        | Verb::Rollback
        | Verb::Savepoint
        | Verb::ReleaseSavepoint
        | Verb::UnlockTables
        | Verb::UnlockInstance
        | Verb::Deallocate
        | Verb::Signal => Effects::empty(),
    }
}
