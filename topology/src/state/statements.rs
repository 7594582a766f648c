//! What becomes of an operation that runs one statement on several targets: DDL on every shard, statements about users on every server. A target is begun,
//! then done or refused; the first refusal ends the operation as long as nothing has been done, a later one leaves it half-done for somebody to say how to go
//! on. What a crash of the leader means in each state of a target stands at [`TargetState`].

use podway_model::{Keyspace, Map, Revision, ShardIndex};
use podway_topology_api::{
    ClientStatement, Ddl, Done, Operation, OperationKind, OperationState, Refusal, ServerMessage,
    TableCommand, TableDeclaration, TableEffect, Target, TargetState, Thing,
};

use super::moves::wrong_state;
use super::names::{check_identifier, sentence};
use super::outcome::{Effect, Outcome};
use super::tables;

/// The longest statement, in bytes.
pub(super) const MAX_STATEMENT: usize = 1 << 19;
/// The most tables of one statement.
pub(super) const MAX_STATEMENT_TABLES: usize = 1_024;
/// Warnings of a statement that are remembered.
const MAX_WARNINGS: usize = 64;

/// Refuses a statement that is none, or too large to be remembered.
pub(super) fn check_statement(statement: &ClientStatement) -> Result<(), Refusal> {
    let refused = |reason: String| {
        Err(Refusal::BadName { what: Thing::Statement, name: "…".into(), reason: reason.into() })
    };
    if statement.is_blank() {
        return refused("it is empty".to_owned());
    }
    if statement.bytes() + statement.setup.0.len() > MAX_STATEMENT {
        return refused(format!("it has more than {MAX_STATEMENT} bytes"));
    }
    Ok(())
}

/// A DDL statement and its targets. A table that is to be declared comes into being at home last; a trigger first, for its name must be no other trigger's there.
pub(super) fn new_ddl(
    keyspace: &Keyspace,
    effects: &[TableEffect],
    shown: &str,
    declaration: Option<&TableDeclaration>,
) -> Result<(Ddl, Vec<Target>), Refusal> {
    if effects.len() > MAX_STATEMENT_TABLES {
        let reason = format!("it names more than {MAX_STATEMENT_TABLES} tables").into();
        return Err(Refusal::BadName { what: Thing::Statement, name: "…".into(), reason });
    }
    effects
        .iter()
        .flat_map(TableEffect::names)
        .try_for_each(|table| check_identifier(Thing::Table, table))?;
    let ddl = Ddl {
        keyspace: keyspace.name.as_str().into(),
        effects: effects.to_vec(),
        shown: sentence(shown),
        declaration: declaration.cloned(),
        held: None,
        declared: None,
        followed: None,
    };
    let is_home = |index: &usize| ShardIndex(*index as u16) == keyspace.home;
    let mut places: Vec<usize> = (0..keyspace.shards.len()).collect();
    if ddl.retriggered().is_some() {
        places.sort_by_key(|index| !is_home(index));
    } else if declaration.is_some() {
        places.sort_by_key(is_home);
    }
    let targets = places.into_iter().map(|place| Target::Shard(keyspace.shards[place].id));
    Ok((ddl, targets.collect()))
}

/// Whether two statements are about one table.
pub(super) fn share_a_table(one: &[TableEffect], other: &[TableEffect], map: &Map) -> bool {
    let names = |effects: &[TableEffect]| -> Vec<String> {
        effects.iter().flat_map(TableEffect::names).map(|name| map.names.fold(name).into_owned()).collect()
    };
    let (one, other) = (names(one), names(other));
    one.is_empty() || other.is_empty() || one.iter().any(|name| other.contains(name))
}

pub(super) fn target_began(operation: &mut Operation, target: Target, before: &str) -> Outcome {
    if operation.state != OperationState::Running {
        return Err(wrong_state(operation, "nothing is begun any more"));
    }
    let state = find_target(operation, target)?;
    match state {
        TargetState::Done { .. } => {
            return Err(wrong_state(operation, "the target has it: it is never run there again"));
        }
        TargetState::Begun { before: known } if &**known == before => return Ok(Effect::unchanged()),
        TargetState::Begun { .. } => {
            return Err(wrong_state(
                operation,
                "the target was begun already: whether it is done shows by what was there before",
            ));
        }
        state => *state = TargetState::Begun { before: before.into() },
    }
    Ok(Effect::quiet(Done::Changed))
}

pub(super) fn target_done(operation: &mut Operation, target: Target, warnings: &[ServerMessage]) -> Outcome {
    let state = find_target(operation, target)?;
    let before = match state {
        TargetState::Done { .. } => return Ok(Effect::unchanged()),
        TargetState::Begun { before } => std::mem::take(before),
        _ => return Err(wrong_state(operation, "the target was not begun")),
    };
    *state = TargetState::Done { before };
    if operation.progress().0 == 1 {
        operation.warnings = warnings.iter().take(MAX_WARNINGS).cloned().collect();
    }
    let has_trouble = |(_, state): &(Target, TargetState)| {
        matches!(state, TargetState::Failed { .. } | TargetState::Refused { .. })
    };
    if !operation.targets.iter().any(has_trouble) {
        operation.trouble = None;
    }
    Ok(Effect::quiet(Done::Changed))
}

pub(super) fn target_failed(operation: &mut Operation, target: Target, reason: &str) -> Outcome {
    let reason = sentence(reason);
    match find_target(operation, target)? {
        TargetState::Done { .. } => return Ok(Effect::unchanged()),
        // It may have taken effect: what was there before must not be forgotten.
        TargetState::Begun { .. } => {}
        TargetState::Failed { reason: last, attempts } => {
            last.clone_from(&reason);
            *attempts = attempts.saturating_add(1);
        }
        state => *state = TargetState::Failed { reason: reason.clone(), attempts: 1 },
    }
    operation.trouble = Some(format!("on {target}: {reason}").into());
    Ok(Effect::quiet(Done::Changed))
}

pub(super) fn target_refused(operation: &mut Operation, target: Target, error: &ServerMessage) -> Outcome {
    let id = operation.id;
    let error = ServerMessage { text: sentence(&error.text), ..error.clone() };
    match find_target(operation, target)? {
        TargetState::Done { .. } => return Ok(Effect::unchanged()),
        TargetState::Refused { error: last, attempts } => {
            last.clone_from(&error);
            *attempts = attempts.saturating_add(1);
        }
        state => *state = TargetState::Refused { error: error.clone(), attempts: 1 },
    }
    operation.trouble = Some(format!("on {target}: {error}").into());
    let may_have_effects = |(_, state): &(Target, TargetState)| {
        matches!(state, TargetState::Done { .. } | TargetState::Begun { .. })
    };
    if operation.state != OperationState::Running || operation.targets.iter().any(may_have_effects) {
        return Ok(Effect::quiet(Done::Changed));
    }
    operation.state = OperationState::Refused;
    let what = format!("{id} was refused on {target}, and nothing was done: {error}");
    operation.refusal = Some(error);
    Ok(Effect::new(Done::Changed, Vec::new(), what))
}

/// Targets that refused are to be tried again.
pub(super) fn retry(operation: &mut Operation) -> Outcome {
    if operation.state != OperationState::Running {
        return Err(wrong_state(operation, "it is being ended"));
    }
    let mut again = 0;
    for (_, state) in &mut operation.targets {
        if matches!(state, TargetState::Refused { .. }) {
            *state = TargetState::Waiting;
            again += 1;
        }
    }
    if again == 0 {
        return Err(wrong_state(operation, "no target refused it: it goes on by itself"));
    }
    Ok(Effect::new(Done::Changed, Vec::new(), format!("{} is tried again on {again} targets", operation.id)))
}

/// It goes no further. What may be at work on a target is ended first, by the leader.
pub(super) fn give_up(operation: &mut Operation) -> Outcome {
    if operation.state == OperationState::Undoing {
        return Ok(Effect::unchanged());
    }
    if operation.targets.iter().any(|(_, state)| matches!(state, TargetState::Begun { .. })) {
        operation.state = OperationState::Undoing;
        let what = format!("{} is given up; what is under way is ended", operation.id);
        return Ok(Effect::new(Done::Changed, Vec::new(), what));
    }
    Ok(end_given_up(operation))
}

/// What was under way is ended, or what was made is dropped again.
pub(super) fn undone(operation: &mut Operation) -> Outcome {
    if operation.state != OperationState::Undoing {
        return Err(wrong_state(operation, "nobody gave it up"));
    }
    if operation.targets.iter().any(|(_, state)| matches!(state, TargetState::Begun { .. })) {
        return Err(wrong_state(operation, "it may be at work on a target"));
    }
    if operation.refusal.is_none() {
        return Ok(end_given_up(operation));
    }
    operation.state = OperationState::Refused;
    let what = format!("{} was refused, and what it had made is dropped", operation.id);
    Ok(Effect::new(Done::Changed, Vec::new(), what))
}

fn end_given_up(operation: &mut Operation) -> Effect {
    let (done, all) = operation.progress();
    let (state, what) = match done {
        0 => (OperationState::Cancelled, format!("{} cancelled; nothing was done", operation.id)),
        _ => (OperationState::GivenUp, format!("{} given up, done on {done} of {all} targets", operation.id)),
    };
    operation.state = state;
    Effect::new(Done::Changed, Vec::new(), what)
}

/// Statements that name its tables wait from this revision on.
pub(super) fn held(operation: &mut Operation, revision: Revision) -> Outcome {
    let is_untouched = operation.targets.iter().all(|(_, state)| *state == TargetState::Waiting);
    let wrong = wrong_state(operation, "it was begun already, or holds no names");
    match &mut operation.kind {
        OperationKind::Ddl(Ddl { held: Some(_), .. }) => Ok(Effect::unchanged()),
        OperationKind::Ddl(ddl)
            if ddl.holds_names() && is_untouched && operation.state == OperationState::Running =>
        {
            ddl.held = Some(revision);
            Ok(Effect::quiet(Done::Changed))
        }
        _ => Err(wrong),
    }
}

/// Every target has it, and the map follows with this revision.
pub(super) fn followed(operation: &mut Operation, revision: Revision) -> Outcome {
    let (done, all) = operation.progress();
    if operation.state != OperationState::Running || done < all {
        return Err(wrong_state(operation, "it is not done on every target"));
    }
    match &mut operation.kind {
        OperationKind::Ddl(Ddl { followed: Some(_), .. }) => Ok(Effect::unchanged()),
        OperationKind::Ddl(ddl) => {
            ddl.followed = Some(revision);
            Ok(Effect::quiet(Done::Changed))
        }
        OperationKind::Users { followed: Some(_), .. } => Ok(Effect::unchanged()),
        OperationKind::Users { followed, .. } => {
            *followed = Some(revision);
            Ok(Effect::quiet(Done::Changed))
        }
        OperationKind::MoveShard(_) => Ok(finish(operation)),
    }
}

/// Every proxy has the map that follows.
pub(super) fn taken_over(operation: &mut Operation) -> Outcome {
    let has_followed = match &operation.kind {
        OperationKind::Ddl(ddl) => ddl.followed.is_some(),
        OperationKind::Users { followed, .. } => followed.is_some(),
        OperationKind::MoveShard(_) => false,
    };
    if operation.state != OperationState::Running || !has_followed {
        return Err(wrong_state(operation, "the map has not followed yet"));
    }
    Ok(finish(operation))
}

/// Nothing is left to do.
pub(super) fn finish(operation: &mut Operation) -> Effect {
    operation.state = OperationState::Finished;
    operation.trouble = None;
    Effect::new(Done::Changed, Vec::new(), format!("{} finished", operation.id))
}

/// The map could not follow a part of what every target has.
pub(super) fn not_followed(operation: &mut Operation, reason: &str) -> Effect {
    operation.state = OperationState::GivenUp;
    operation.trouble = Some(sentence(&format!("done everywhere, but the map cannot follow: {reason}")));
    let what = format!("{} ended: the map cannot follow it: {reason}", operation.id);
    Effect::new(Done::Changed, Vec::new(), what)
}

/// A table that is being created is known to the map from now on.
pub(super) fn declared(
    operation: &mut Operation,
    table: &podway_model::Table,
    map: &Map,
    revision: Revision,
) -> Outcome {
    if operation.state != OperationState::Running {
        return Err(wrong_state(operation, "it is being ended"));
    }
    let wrong = wrong_state(operation, "it declares no table");
    let OperationKind::Ddl(ddl) = &mut operation.kind else { return Err(wrong) };
    if ddl.declaration.is_none() {
        return Err(wrong);
    }
    let command = TableCommand::Declare { keyspace: ddl.keyspace.clone(), table: table.clone(), next: None };
    let effect = tables::execute(&command, map)?;
    ddl.declared = Some(if effect.changes.is_empty() { map.revision } else { revision });
    Ok(Effect::quiet(Done::Changed))
}

/// The table cannot be declared: what was created is to be dropped.
pub(super) fn not_declared(operation: &mut Operation, error: &ServerMessage) -> Outcome {
    let is_declaring = matches!(&operation.kind, OperationKind::Ddl(ddl) if ddl.declaration.is_some() && ddl.declared.is_none());
    if operation.state != OperationState::Running || !is_declaring {
        return Err(wrong_state(operation, "it declares no table"));
    }
    let error = ServerMessage { text: sentence(&error.text), ..error.clone() };
    operation.state = OperationState::Undoing;
    operation.trouble = Some(error.text.clone());
    operation.refusal = Some(error);
    let what = format!("{} is refused; what it made is being dropped", operation.id);
    Ok(Effect::new(Done::Changed, Vec::new(), what))
}

fn find_target(operation: &mut Operation, target: Target) -> Result<&mut TargetState, Refusal> {
    let refusal = Refusal::NoTarget { operation: operation.id, target };
    let found = operation.targets.iter_mut().find(|(known, _)| *known == target);
    found.map(|(_, state)| state).ok_or(refusal)
}
