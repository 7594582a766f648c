//! Administrative commands: what a person or a script asks of the topology and, as each server's administrator, of the servers. Every change is a
//! command of the topology, which has the last word; nothing here is on the path of a statement.
//!
//! Reading order: [`error`](AdminError) → [`context`](Common) → `print`, `clock`, `find`, `server_facts` → one file for each command: `status`, `keyspace`,
//! `server` (with `promote`), `shard` (with `moving` and `retired`), `table` (with `drift`), `user`, `operation`, `members` (with `recovering`), `proxies`,
//! `settings`, `transactions`, `verify`, `log`, `watch` → `cluster_file` (apply, diff, export) → `explain`, `advise`.

mod advise;
mod branches;
mod bring;
mod clock;
mod cluster_file;
mod context;
mod drift;
mod error;
mod explain;
mod find;
mod keyspace;
mod log;
mod members;
mod moving;
mod operation;
mod print;
mod promote;
mod proxies;
mod recovering;
mod resolving;
mod retired;
mod secret_input;
mod server;
mod server_facts;
mod settings;
mod shard;
mod sizes;
mod status;
mod table;
mod transactions;
mod user;
mod user_statements;
mod verify;
mod watch;

pub use advise::AdviseArgs;
pub use cluster_file::{ApplyArgs, DiffArgs, ExportArgs};
pub use context::Common;
pub use error::AdminError;
pub use explain::ExplainArgs;
pub use keyspace::{KeyspaceCommandLine, ShardArgs};
pub use log::LogArgs;
pub use members::MembersCommandLine;
pub use moving::{CancelArgs, MoveArgs};
pub use operation::OperationCommandLine;
pub use promote::PromoteArgs;
pub use proxies::ProxiesCommandLine;
pub use retired::{RetiredArgs, RetiredSchemaArgs};
pub use server::{AdminArgs, ServerCommandLine};
pub use settings::SettingsCommandLine;
pub use shard::ShardCommandLine;
pub use status::StatusArgs;
pub use table::TableCommandLine;
pub use transactions::TransactionCommandLine;
pub use user::{GrantArgs, PasswordArgs, UserCommandLine};
pub use verify::VerifyArgs;
pub use watch::WatchArgs;

/// An administrative command as it was typed.
#[derive(Debug)]
pub enum AdminCommand {
    /// `podway status`
    Status(StatusArgs),
    /// `podway keyspace`
    Keyspace(KeyspaceCommandLine),
    /// `podway server`
    Server(ServerCommandLine),
    /// `podway shard`
    Shard(ShardCommandLine),
    /// `podway table`
    Table(TableCommandLine),
    /// `podway user`
    User(UserCommandLine),
    /// `podway operation`
    Operation(OperationCommandLine),
    /// `podway topology members|add|remove|replace|recover`
    Members(MembersCommandLine),
    /// `podway proxy list`
    Proxies(ProxiesCommandLine),
    /// `podway settings`
    Settings(SettingsCommandLine),
    /// `podway txn`
    Transactions(TransactionCommandLine),
    /// `podway verify`
    Verify(VerifyArgs),
    /// `podway log`
    Log(LogArgs),
    /// `podway watch`
    Watch(WatchArgs),
    /// `podway apply`
    Apply(ApplyArgs),
    /// `podway diff`
    Diff(DiffArgs),
    /// `podway export`
    Export(ExportArgs),
    /// `podway explain`
    Explain(ExplainArgs),
    /// `podway advise`
    Advise(AdviseArgs),
}

/// Runs a command to its end.
pub async fn run(command: AdminCommand) -> Result<(), AdminError> {
    match command {
        AdminCommand::Status(args) => status::run(args).await,
        AdminCommand::Keyspace(line) => keyspace::run(line).await,
        AdminCommand::Server(line) => server::run(line).await,
        AdminCommand::Shard(line) => shard::run(line).await,
        AdminCommand::Table(line) => table::run(line).await,
        AdminCommand::User(line) => user::run(line).await,
        AdminCommand::Operation(line) => operation::run(line).await,
        AdminCommand::Members(line) => members::run(line).await,
        AdminCommand::Proxies(line) => proxies::run(line).await,
        AdminCommand::Settings(line) => settings::run(line).await,
        AdminCommand::Transactions(line) => transactions::run(line).await,
        AdminCommand::Verify(args) => verify::run(args).await,
        AdminCommand::Log(args) => log::run(args).await,
        AdminCommand::Watch(args) => watch::run(args).await,
        AdminCommand::Apply(args) => cluster_file::apply(args).await,
        AdminCommand::Diff(args) => cluster_file::diff(args).await,
        AdminCommand::Export(args) => cluster_file::export(args).await,
        AdminCommand::Explain(args) => explain::run(args).await,
        AdminCommand::Advise(args) => advise::run(args).await,
    }
}
