//! `podway shard move` and `podway shard cancel`: begins a shard's move, follows it until it has ended, gives it up. The topology's leader does the
//! work, with or without this command.

use std::time::{Duration, Instant};

use podway_model::ShardId;
use podway_topology_api::{
    Command, Done, NewOperation, Operation, OperationCommand, OperationId, OperationKind, OperationState,
    ShardMove, View,
};
use serde::Serialize;
use tokio::time::sleep;

use super::context::{Common, Context};
use super::error::AdminError;
use super::find;
use super::print;

/// How often the topology is asked how far a move is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Moves a shard with all its rows to another server
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  podway shard move 3 --to b
  podway shard move 3 --to b --schema shop__2 --detach

New statements for the shard wait while its rows are copied; others run. The topology's leader does the work: ending this command with
Ctrl-C does not end the move, `podway shard cancel` does, until the shard has its new owner.")]
pub struct MoveArgs {
    /// The shard's number
    shard: u32,
    /// The server that it moves to
    #[arg(long, value_name = "SERVER")]
    to: String,
    /// The physical schema's name there; without this, the one it has
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// Begin it and do not wait
    #[arg(long)]
    detach: bool,
    /// The topology, and how to answer
    #[command(flatten)]
    common: Common,
}

/// Gives a shard's move up, before the shard has its new owner
#[derive(Debug, clap::Args)]
pub struct CancelArgs {
    /// The shard's number
    shard: u32,
    /// The topology, and how to answer
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize)]
struct Moved {
    operation: u64,
    shard: u32,
    state: String,
    seconds: f64,
}

/// Begins a move and follows it.
pub(super) async fn run(args: MoveArgs) -> Result<(), AdminError> {
    let context = Context::new(&args.common)?;
    let view = context.view().await?;
    let (_, shard) = find::shard(&view, args.shard)?;
    let schema = args.schema.as_deref().map(Into::into);
    let begin = NewOperation::MoveShard { shard: shard.id, to: args.to.as_str().into(), schema };
    let began = Instant::now();
    let id = match context.propose(Command::Operation(OperationCommand::Begin(begin))).await? {
        Done::Began(id) => id,
        other => return Err(AdminError::refused(format!("the topology answered with {other:?}"))),
    };
    if args.detach {
        return Ok(print::done(
            &format!("{id} has begun: shard {} moves to {}", args.shard, args.to),
            context.is_json,
        )?);
    }
    let ended = follow(&context, id).await?;
    let moved = Moved {
        operation: id.0,
        shard: args.shard,
        state: ended.state.to_string(),
        seconds: began.elapsed().as_secs_f64(),
    };
    match ended.state {
        OperationState::Finished if context.is_json => Ok(print::json(&moved)?),
        OperationState::Finished => {
            let line = format!("shard {} has moved to {} in {:.1} s", args.shard, args.to, moved.seconds);
            Ok(print::done(&line, false)?)
        }
        state => {
            let why = ended.trouble.map(|why| format!(": {why}")).unwrap_or_default();
            Err(AdminError::refused(format!("{id} was {state}{why}; shard {} is where it was", args.shard)))
        }
    }
}

/// Gives a move up.
pub(super) async fn cancel(args: CancelArgs) -> Result<(), AdminError> {
    let context = Context::new(&args.common)?;
    let view = context.view().await?;
    let (_, shard) = find::shard(&view, args.shard)?;
    let Some(operation) = view.operations.iter().find(|operation| moves(operation, shard.id)) else {
        return Err(AdminError::refused(format!("shard {} is not moving", args.shard)));
    };
    let id = operation.id;
    context.propose(Command::Operation(OperationCommand::Cancel { id })).await?;
    let ended = follow(&context, id).await?;
    Ok(print::done(
        &format!("{id} is {}; shard {} is where it was", ended.state, args.shard),
        context.is_json,
    )?)
}

/// Waits until an operation has ended, and notes its steps meanwhile.
async fn follow(context: &Context, id: OperationId) -> Result<Operation, AdminError> {
    let mut noted = String::new();
    loop {
        let view = context.view().await?;
        let found = view.operations.iter().find(|operation| operation.id == id);
        let operation =
            found.ok_or_else(|| AdminError::refused(format!("the topology has forgotten {id}")))?;
        if !operation.state.is_open() {
            return Ok(operation.clone());
        }
        let now = described(operation, &view);
        if now != noted {
            print::note(&now);
            noted = now;
        }
        sleep(LOOK_EVERY).await;
    }
}

fn moves(operation: &Operation, shard: ShardId) -> bool {
    let of = |one: &ShardMove| one.shard == shard;
    operation.state.is_open() && matches!(&operation.kind, OperationKind::MoveShard(one) if of(one))
}

/// An operation in a line: what it is about, how far it is, what stands in its way.
pub(super) fn described(operation: &Operation, view: &View) -> String {
    let trouble = operation.trouble.as_ref().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
    let (done, all) = operation.progress();
    let far = if all == 0 { String::new() } else { format!(", done on {done} of {all} targets") };
    let state = state(operation);
    format!("{}: {}{far}, {state}{trouble}", operation.id, subject(operation, view))
}

/// What an operation is about.
pub(super) fn subject(operation: &Operation, view: &View) -> String {
    match &operation.kind {
        OperationKind::MoveShard(one) => {
            let (from, to) = (find::server_name(view, one.from), find::server_name(view, one.to));
            format!("{} of {} moves from {from} to {to}, {}", one.shard, one.keyspace, one.step)
        }
        OperationKind::Ddl(ddl) => format!("on {}: {}", ddl.keyspace, ddl.shown),
        OperationKind::Users { shown, .. } => shown.to_string(),
    }
}

/// How an operation stands, in words.
pub(super) fn state(operation: &Operation) -> String {
    if operation.needs_somebody() { "NEEDS SOMEBODY".to_owned() } else { operation.state.to_string() }
}
