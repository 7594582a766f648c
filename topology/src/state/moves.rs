//! What the steps of a shard's move do to the map: it is frozen, and at the flip it changes its owner, its epoch and its freeze in one command. Each step
//! begins only when the one before is reported done, and what proxies have to acknowledge is checked here. Nothing is done on a server here.
//!
//! | while at | a crash of the leader leaves | to go on |
//! |---|---|---|
//! | prepare | a schema on the target, perhaps half-made | make it anew |
//! | freeze, shut out, resolve branches | the shard frozen for new statements | go on, or cancel: that lets them through |
//! | fence, catch up | the source READ ONLY, perhaps | go on, or cancel and undo: make it writable, then report that |
//! | flip | the source READ ONLY | report it again: the report is what flips |
//! | revoke, retire | the target as owner | go on; there is no way back |

use podway_model::{Change, Epoch, Map, Shard, ShardId};
use podway_topology_api::{
    Done, MoveStep, Operation, OperationKind, OperationState, Refusal, ShardMove, Thing,
};

use super::keyspaces::{Found, Shards, find_shard};
use super::names::{check_schema, sentence};
use super::outcome::{Effect, Now, Outcome};
use super::proxies::Proxies;
use super::servers::Servers;

/// What commands of operations look at and change beside them.
pub(super) struct Around<'a> {
    pub(super) map: &'a Map,
    pub(super) servers: &'a Servers,
    pub(super) proxies: &'a Proxies,
    pub(super) shards: &'a mut Shards,
    pub(super) now: &'a Now<'a>,
}

/// A shard sets out for another server; nothing is held yet.
pub(super) fn begin(
    shard: ShardId,
    to: &str,
    schema: Option<&str>,
    around: &mut Around<'_>,
) -> Result<ShardMove, Refusal> {
    let found = find_shard(shard, around.map)?;
    let to = around.servers.find(to)?;
    if found.shard.server == to {
        return Err(Refusal::AlreadyThere { shard, server: to });
    }
    if let Some(freeze) = found.keyspace.freeze(found.index) {
        return Err(Refusal::Frozen { shard, freeze });
    }
    let schema = schema.unwrap_or(found.shard.schema.as_str());
    check_schema(Thing::Schema, schema)?;
    let schema = around.map.names.name(schema);
    around.shards.check_place(to, &schema, around.map, around.servers)?;
    around.shards.check_retired()?;
    around.shards.reserve(shard, to, schema.clone());
    Ok(ShardMove {
        keyspace: found.keyspace.name.as_str().into(),
        shard,
        from: found.shard.server,
        from_schema: found.shard.schema.as_str().into(),
        to,
        to_schema: schema.as_str().into(),
        step: MoveStep::Prepare,
        freeze: None,
        frozen_at: None,
    })
}

/// A step is done, so the next begins.
pub(super) fn step_done(operation: &mut Operation, step: MoveStep, around: &mut Around<'_>) -> Outcome {
    let id = operation.id;
    let one = at_step(operation, step)?;
    let shard = one.shard;
    let mut changes = Vec::new();
    match step {
        MoveStep::Prepare => {
            let (freeze, change) = around.shards.freeze(&find_shard(shard, around.map)?)?;
            one.freeze = Some(freeze);
            one.frozen_at = Some(around.now.at);
            changes.push(change);
        }
        MoveStep::Freeze => one.freeze.map_or(Ok(()), |freeze| around.proxies.check_drained(freeze))?,
        MoveStep::ShutOut => around.proxies.check_shut_out()?,
        MoveStep::Flip => {
            // Somebody may have come since the freeze was acknowledged, with a map from before it.
            one.freeze.map_or(Ok(()), |freeze| around.proxies.check_cut_over(freeze))?;
            changes.push(flip(one, around)?);
        }
        MoveStep::ResolveBranches | MoveStep::Fence | MoveStep::CatchUp => {}
        MoveStep::Revoke | MoveStep::Retire => {}
    }
    operation.trouble = None;
    let OperationKind::MoveShard(one) = &mut operation.kind else {
        return Err(wrong_state(operation, "it is no move"));
    };
    let what = match step.next() {
        Some(next) => {
            one.step = next;
            format!("{id}: {step} of {shard} is done, next is {next}")
        }
        None => {
            operation.state = OperationState::Finished;
            format!("{id} finished: {shard} has moved")
        }
    };
    Ok(Effect::new(Done::Changed, changes, what))
}

/// A step did not succeed; it is tried again.
pub(super) fn step_failed(operation: &mut Operation, step: MoveStep, reason: &str) -> Outcome {
    if operation.state == OperationState::Running {
        at_step(operation, step)?;
    }
    operation.trouble = Some(format!("{step}: {}", sentence(reason)).into());
    Ok(Effect::quiet(Done::Changed))
}

/// A move is given up before its flip. Statements go on at once where the source cannot have been fenced yet.
pub(super) fn cancel(operation: &mut Operation, around: &mut Around<'_>) -> Result<Vec<Change>, Refusal> {
    let OperationKind::MoveShard(one) = &operation.kind else { return Ok(Vec::new()) };
    if !one.step.is_before_flip() {
        return Err(wrong_state(operation, "the shard has its new owner; there is no way back"));
    }
    match one.step < MoveStep::Fence {
        true => unfreeze(operation, around),
        false => Ok(Vec::new()),
    }
}

/// Lets statements through to the shard where it was.
pub(super) fn unfreeze(operation: &mut Operation, around: &mut Around<'_>) -> Result<Vec<Change>, Refusal> {
    let OperationKind::MoveShard(one) = &mut operation.kind else { return Ok(Vec::new()) };
    if one.freeze.is_none() {
        return Ok(Vec::new());
    }
    let found = find_shard(one.shard, around.map)?;
    one.freeze = None;
    Ok(vec![found.change(found.shard.clone(), None)])
}

/// The place on the target is free again.
pub(super) fn release(operation: &Operation, shards: &mut Shards) {
    if let OperationKind::MoveShard(one) = &operation.kind {
        shards.release(one.shard);
    }
}

/// Why an operation does not take something as it stands.
pub(super) fn wrong_state(operation: &Operation, reason: &str) -> Refusal {
    Refusal::OperationState { operation: operation.id, state: operation.state, reason: reason.into() }
}

/// The move, if it goes on and is at this step.
fn at_step(operation: &mut Operation, step: MoveStep) -> Result<&mut ShardMove, Refusal> {
    let id = operation.id;
    if operation.state != OperationState::Running {
        return Err(wrong_state(operation, "it was cancelled"));
    }
    let no_move = wrong_state(operation, "it is no move");
    let OperationKind::MoveShard(one) = &mut operation.kind else { return Err(no_move) };
    match one.step == step {
        true => Ok(one),
        false => Err(Refusal::WrongStep { operation: id, at: one.step, reported: step }),
    }
}

/// The shard has its new owner, under a higher epoch, and is no longer frozen; where it was is retired. All in one.
fn flip(one: &mut ShardMove, around: &mut Around<'_>) -> Result<Change, Refusal> {
    let found: Found<'_> = find_shard(one.shard, around.map)?;
    let before = found.shard;
    let after = Shard {
        id: before.id,
        server: one.to,
        schema: around.map.names.name(&one.to_schema),
        epoch: Epoch(before.epoch.0 + 1),
    };
    around.shards.retire(before.server, before.schema.clone(), before.id, around.now);
    around.shards.release(one.shard);
    one.freeze = None;
    Ok(found.change(after, None))
}
