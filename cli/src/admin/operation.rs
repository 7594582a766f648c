//! `podway operation`: statements that go to several shards or servers, and moves: how far they are, and how to go on with those that need somebody. The topology's
//! leader does the work, with or without this command.

use podway_topology_api::{
    Command, Operation, OperationCommand, OperationId, OperationKind, OperationState, Target, TargetState,
    TopologyStore, View,
};
use serde::Serialize;

use super::clock;
use super::context::{Common, Context};
use super::error::AdminError;
use super::find;
use super::moving;
use super::print::{self, Row};

const EXAMPLES: &str = "\
Examples:
  podway operation list
  podway operation show 12
  podway operation retry 12      after what was in the way is gone
  podway operation give-up 12    ends it as it is

A statement that one shard refused after others had done it stays half done until it is tried again or given up.";

/// Shows operations on several shards or servers, and goes on with those that need somebody
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum OperationCommandLine {
    /// Lists those that go on; with --all, also the last that ended
    List {
        /// Also the last that ended
        #[arg(long)]
        all: bool,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Shows how far one is on each of its targets
    Show {
        /// Its number
        operation: u64,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Tries the targets again that refused it
    Retry {
        /// Its number
        operation: u64,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
    /// Ends a statement's operation as it is, half done where it is
    GiveUp {
        /// Its number
        operation: u64,
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Serialize)]
struct OperationRow {
    operation: u64,
    state: String,
    done: String,
    needs_somebody: bool,
    who: String,
    since: String,
    what: String,
    trouble: Option<String>,
}

impl Row for OperationRow {
    const HEAD: &'static [&'static str] = &["#operation", "state", "done", "who", "since", "what"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.operation.to_string(),
            self.state.clone(),
            self.done.clone(),
            self.who.clone(),
            self.since.clone(),
            self.what.clone(),
        ]
    }
}

impl OperationRow {
    fn of(operation: &Operation, view: &View) -> OperationRow {
        let (done, all) = operation.progress();
        let done = match &operation.kind {
            OperationKind::MoveShard(one) => one.step.to_string(),
            _ => format!("{done} of {all}"),
        };
        OperationRow {
            operation: operation.id.0,
            state: moving::state(operation),
            done,
            needs_somebody: operation.needs_somebody(),
            who: operation.who.to_string(),
            since: clock::shown(operation.since),
            what: moving::subject(operation, view),
            trouble: operation.trouble.as_deref().map(str::to_owned),
        }
    }
}

#[derive(Serialize)]
struct TargetRow {
    target: String,
    server: String,
    state: &'static str,
    said: String,
}

impl Row for TargetRow {
    const HEAD: &'static [&'static str] = &["target", "server", "state", "said"];

    fn cells(&self) -> Vec<String> {
        vec![self.target.clone(), self.server.clone(), self.state.to_owned(), self.said.clone()]
    }
}

impl TargetRow {
    fn of((target, state): &(Target, TargetState), view: &View) -> TargetRow {
        let server = match target {
            Target::Server(server) => find::server_name(view, *server),
            Target::Shard(id) => {
                let mut shards = view.keyspaces.iter().flat_map(|keyspace| &keyspace.shards);
                shards
                    .find(|shard| shard.id == *id)
                    .map_or_else(String::new, |shard| find::server_name(view, shard.server))
            }
        };
        let (state, said) = match state {
            TargetState::Waiting => ("waiting", String::new()),
            TargetState::Begun { .. } => ("at work", String::new()),
            TargetState::Done { .. } => ("done", String::new()),
            TargetState::Failed { reason, attempts } => {
                ("failed", format!("{reason} (tried {attempts} times)"))
            }
            TargetState::Refused { error, .. } => ("refused", error.to_string()),
        };
        TargetRow { target: target.to_string(), server, state, said }
    }
}

/// Runs it.
pub(super) async fn run(line: OperationCommandLine) -> Result<(), AdminError> {
    match line {
        OperationCommandLine::List { all, common } => {
            let context = Context::new(&common)?;
            let view = context.view().await?;
            let wanted = view.operations.iter().filter(|operation| all || operation.state.is_open());
            let rows: Vec<OperationRow> =
                wanted.map(|operation| OperationRow::of(operation, &view)).collect();
            Ok(print::list(&rows, context.is_json)?)
        }
        OperationCommandLine::Show { operation, common } => {
            let context = Context::new(&common)?;
            let view = context.view().await?;
            show(find_operation(&view, operation)?, &view, context.is_json)
        }
        OperationCommandLine::Retry { operation, common } => {
            let context = Context::new(&common)?;
            let id = OperationId(operation);
            context.propose(Command::Operation(OperationCommand::Retry { id })).await?;
            let ended = settled(&context, id).await?;
            match ended.state {
                OperationState::Finished => Ok(print::done(&format!("{id} is finished"), context.is_json)?),
                _ => Err(AdminError::refused(format!("{id}: {}{}", moving::state(&ended), why(&ended)))),
            }
        }
        OperationCommandLine::GiveUp { operation, common } => {
            let context = Context::new(&common)?;
            let id = OperationId(operation);
            context.propose(Command::Operation(OperationCommand::GiveUp { id })).await?;
            let ended = settled(&context, id).await?;
            let (done, all) = ended.progress();
            let line = format!("{id} is {}: done on {done} of {all} targets", ended.state);
            Ok(print::done(&line, context.is_json)?)
        }
    }
}

fn show(operation: &Operation, view: &View, is_json: bool) -> Result<(), AdminError> {
    let row = OperationRow::of(operation, view);
    let targets: Vec<TargetRow> =
        operation.targets.iter().map(|target| TargetRow::of(target, view)).collect();
    if is_json {
        return Ok(print::json(&serde_json::json!({ "operation": row, "targets": targets }))?);
    }
    let trouble = row.trouble.map(|trouble| format!("\n{trouble}")).unwrap_or_default();
    let head = format!(
        "operation {}, {}: {}\nbegun by {} at {}{trouble}",
        row.operation, row.state, row.what, row.who, row.since
    );
    let table = if targets.is_empty() { String::new() } else { format!("\n\n{}", print::table(&targets)) };
    Ok(print::out(&format!("{head}{table}"))?)
}

fn find_operation(view: &View, number: u64) -> Result<&Operation, AdminError> {
    let found = view.operations.iter().find(|operation| operation.id.0 == number);
    found.ok_or_else(|| AdminError::refused(format!("the topology remembers no operation {number}")))
}

pub(super) fn why(operation: &Operation) -> String {
    operation.trouble.as_ref().map(|trouble| format!(": {trouble}")).unwrap_or_default()
}

/// Waits until an operation has ended or needs somebody.
pub(super) async fn settled(context: &Context, id: OperationId) -> Result<Operation, AdminError> {
    loop {
        let known = context.store.operation(id, podway_topology_api::LONGEST_WAIT).await;
        let known = known.map_err(|error| context.failed(error))?;
        let known = known.ok_or_else(|| AdminError::refused(format!("the topology has forgotten {id}")))?;
        if known.is_settled() {
            return Ok(known);
        }
        print::note(&format!("{id} goes on{}", why(&known)));
    }
}
