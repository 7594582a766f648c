//! What comes next for a statement on several targets, from its record and a few facts: no server, no clock and no topology is asked here. What a crash of the
//! leader means in each state of a target stands at [`TargetState`]; the next leader takes the operation and finds here what is left.
//!
//! The first target is begun alone: what it refuses has been done nowhere. The others follow together. A table that is to be declared is made everywhere but
//! at home first; it is declared when they have it, and made at home when no proxy runs anything under a map that does not know it.

use podway_model::Revision;
use podway_topology_api::{
    Ddl, Incarnation, Operation, OperationKind, OperationState, Target, TargetState, Term,
};

/// What is known besides the record.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// This leader's term.
    pub term: Term,
    /// Who may run something under a map by which statements that name the tables do not wait.
    pub unheld: Vec<Incarnation>,
    /// Whether those have been waited for long enough.
    pub is_hold_overdue: bool,
    /// Who may run something under a map that does not have the declared table.
    pub unsettled: Vec<Incarnation>,
    /// Who has not taken over the map that follows the statement.
    pub behind: Vec<Incarnation>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is nothing to do, or it is another leader's.
    Nothing,
    /// Say that this leader goes on with it.
    Take,
    /// Somebody has to say how to go on.
    Rest,
    /// Run the statement on these.
    Run(Vec<Target>),
    /// Have statements that name the tables wait.
    Hold,
    /// Nothing was begun, and some run on under an older map: refuse it.
    GiveWay(Target),
    /// Read the table that came into being, and declare it.
    Declare,
    /// Wait until these have a newer map.
    WaitFor(Vec<Incarnation>),
    /// Say how the map follows.
    Follow,
    /// Say that every proxy has taken it over.
    TakenOver,
    /// End what is under way on these, and look what became of it.
    Stop(Vec<Target>),
    /// Drop what was made on these.
    Drop(Vec<Target>),
    /// Say that everything is undone.
    Undone,
}

/// What comes next for an operation.
pub fn next(operation: &Operation, facts: &Facts) -> Next {
    let is_mine = !matches!(operation.kind, OperationKind::MoveShard(_)) && operation.state.is_open();
    if !is_mine || operation.term > facts.term {
        return Next::Nothing;
    }
    if operation.term < facts.term {
        return Next::Take;
    }
    if operation.state == OperationState::Undoing {
        return undo(operation);
    }
    let ddl = match &operation.kind {
        OperationKind::Ddl(ddl) => Some(ddl),
        _ => None,
    };
    let (done, all) = operation.progress();
    if let Some(ddl) = ddl.filter(|ddl| ddl.holds_names() && done < all)
        && let Some(next) = hold(operation, ddl, facts)
    {
        return next;
    }
    if ddl.is_some_and(|ddl| ddl.declaration.is_some() && ddl.declared.is_none())
        && done + usize::from(all > 1) == all
    {
        return declare(operation);
    }
    if done == all {
        return follow(operation, facts);
    }
    let declaring = ddl.is_some_and(|ddl| ddl.declaration.is_some());
    let (first, others) = operation.targets.split_at(1);
    let candidates = match done {
        0 => first,
        _ if declaring && done + 1 == all => {
            if !facts.unsettled.is_empty() {
                return Next::WaitFor(facts.unsettled.clone());
            }
            others
        }
        // Home is the last one.
        _ if declaring => &others[..others.len() - 1],
        _ => others,
    };
    match which(candidates, is_left) {
        left if left.is_empty() => Next::Rest,
        left => Next::Run(left),
    }
}

/// What has to be before a target is begun, where names stand for other tables than before: no statement names one of them.
fn hold(operation: &Operation, ddl: &Ddl, facts: &Facts) -> Option<Next> {
    let is_untouched = operation.targets.iter().all(|(_, state)| *state == TargetState::Waiting);
    match ddl.held {
        // With one shard there is no time between.
        None if operation.targets.len() < 2 || !is_untouched => None,
        None => Some(Next::Hold),
        Some(_) if facts.unheld.is_empty() => None,
        Some(_) if is_untouched && facts.is_hold_overdue => {
            operation.targets.first().map(|(target, _)| Next::GiveWay(*target))
        }
        Some(_) => Some(Next::WaitFor(facts.unheld.clone())),
    }
}

/// Every target but home has the table; with one shard, home has it.
fn declare(operation: &Operation) -> Next {
    let is_home_untouched = || {
        let home = operation.targets.last().map(|(_, state)| state);
        !matches!(home, Some(TargetState::Done { .. })) || operation.targets.len() == 1
    };
    if is_home_untouched() { Next::Declare } else { Next::Rest }
}

fn follow(operation: &Operation, facts: &Facts) -> Next {
    match followed(operation) {
        Some(_) if facts.behind.is_empty() => Next::TakenOver,
        Some(_) => Next::WaitFor(facts.behind.clone()),
        None => Next::Follow,
    }
}

/// The revision of the map that follows the statement, once it does.
pub fn followed(operation: &Operation) -> Option<Revision> {
    match &operation.kind {
        OperationKind::Ddl(ddl) => ddl.followed,
        OperationKind::Users { followed, .. } => *followed,
        OperationKind::MoveShard(_) => None,
    }
}

fn undo(operation: &Operation) -> Next {
    let begun = which(&operation.targets, |state| matches!(state, TargetState::Begun { .. }));
    if !begun.is_empty() {
        return Next::Stop(begun);
    }
    let made = which(&operation.targets, |state| matches!(state, TargetState::Done { .. }));
    match operation.refusal.is_some() && !made.is_empty() {
        true => Next::Drop(made),
        false => Next::Undone,
    }
}

/// Whether a target is tried by itself.
fn is_left(state: &TargetState) -> bool {
    match state {
        TargetState::Waiting | TargetState::Begun { .. } | TargetState::Failed { .. } => true,
        TargetState::Done { .. } | TargetState::Refused { .. } => false,
    }
}

fn which(targets: &[(Target, TargetState)], wanted: impl Fn(&TargetState) -> bool) -> Vec<Target> {
    targets.iter().filter(|(_, state)| wanted(state)).map(|(target, _)| *target).collect()
}

#[cfg(test)]
mod tests;
