//! What comes next for a move, from its record and a few facts: no server, no clock and no topology is asked here. What a crash of the leader leaves in each
//! step stands in [`state::moves`](crate::state); the next leader takes the operation and does the step it was at again, from its beginning.

use podway_topology_api::{
    Incarnation, LogTime, MoveStep, Operation, OperationKind, OperationState, ShardMove, Term,
};

/// What is known besides the record.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// This leader's term.
    pub term: Term,
    /// This leader's clock.
    pub now: LogTime,
    /// How long a shard may be frozen.
    pub freeze_limit_ms: u64,
    /// Whether a shard of another move is frozen: there is never a second one.
    pub is_road_taken: bool,
    /// Who has not acknowledged this move's freeze.
    pub undrained: Vec<Incarnation>,
    /// Whose lease ended, and who is not shut out.
    pub ended: Vec<Incarnation>,
    /// Those of them who have not acknowledged this move's freeze.
    pub late: Vec<Incarnation>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is nothing to do, or it is another leader's.
    Nothing,
    /// Say that this leader goes on with it.
    Take,
    /// Wait until the shard of another move is frozen no more.
    WaitForOther,
    /// Wait until these have acknowledged the freeze.
    WaitForDrained(Vec<Incarnation>),
    /// The shard was frozen for too long: cancel.
    GiveUp,
    /// Do this on the servers, and report it.
    Do(Work),
}

/// What is done on servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Look whether the move is possible, and make the target's schema.
    Prepare,
    /// Nothing: everybody has acknowledged the freeze.
    Drained,
    /// Kill the threads of these, on every server.
    ShutOut(Vec<Incarnation>),
    /// Look that no prepared branch is left on the source.
    ResolveBranches,
    /// Make the source's schema READ ONLY.
    Fence,
    /// Copy and compare.
    CatchUp,
    /// Kill the threads of these, look once more that the source is READ ONLY, and withhold the users' privileges on it.
    Flip(Vec<Incarnation>),
    /// Take privileges on the source's schema away that came back since, and kill who is in it.
    Revoke,
    /// Nothing: the flip has recorded the source's schema as retired.
    Retire,
    /// Drop the target's schema.
    Undo {
        /// And make the source's writable and usable: it may be READ ONLY, and privileges on it withheld.
        is_fenced: bool,
    },
}

/// What comes next for an operation.
pub fn next(operation: &Operation, facts: &Facts) -> Next {
    let OperationKind::MoveShard(one) = &operation.kind else { return Next::Nothing };
    if !operation.state.is_open() || operation.term > facts.term {
        return Next::Nothing;
    }
    if operation.term < facts.term {
        return Next::Take;
    }
    if operation.state == OperationState::Undoing {
        return Next::Do(Work::Undo { is_fenced: one.step >= MoveStep::Fence });
    }
    if is_overdue(one, facts) {
        return Next::GiveUp;
    }
    match one.step {
        MoveStep::Prepare if facts.is_road_taken => Next::WaitForOther,
        MoveStep::Prepare => Next::Do(Work::Prepare),
        MoveStep::Freeze | MoveStep::Flip if !facts.undrained.is_empty() => {
            Next::WaitForDrained(facts.undrained.clone())
        }
        MoveStep::Freeze => Next::Do(Work::Drained),
        MoveStep::ShutOut => Next::Do(Work::ShutOut(facts.ended.clone())),
        MoveStep::ResolveBranches => Next::Do(Work::ResolveBranches),
        MoveStep::Fence => Next::Do(Work::Fence),
        MoveStep::CatchUp => Next::Do(Work::CatchUp),
        MoveStep::Flip => Next::Do(Work::Flip(facts.late.clone())),
        MoveStep::Revoke => Next::Do(Work::Revoke),
        MoveStep::Retire => Next::Do(Work::Retire),
    }
}

/// How long the shard may stay frozen yet, in milliseconds; `None`: it is not frozen, or everything is copied and only the flip is left.
pub fn left_ms(one: &ShardMove, facts: &Facts) -> Option<u64> {
    let since = one.frozen_at.filter(|_| one.freeze.is_some() && one.step < MoveStep::Flip)?;
    Some((since.0 + facts.freeze_limit_ms).saturating_sub(facts.now.0))
}

fn is_overdue(one: &ShardMove, facts: &Facts) -> bool {
    left_ms(one, facts) == Some(0)
}

#[cfg(test)]
mod tests {
    use podway_model::{FreezeId, ServerId, ShardId};
    use podway_topology_api::OperationId;

    use super::*;

    const ALICE: Incarnation = Incarnation(7);

    fn at(step: MoveStep) -> Operation {
        let is_frozen = step > MoveStep::Prepare && step.is_before_flip();
        let one = ShardMove {
            keyspace: "shop".into(),
            shard: ShardId(1),
            from: ServerId(0),
            from_schema: "shop".into(),
            to: ServerId(2),
            to_schema: "shop".into(),
            step,
            freeze: is_frozen.then_some(FreezeId(1)),
            frozen_at: (step > MoveStep::Prepare).then_some(LogTime(1_000)),
        };
        Operation {
            id: OperationId(1),
            kind: OperationKind::MoveShard(one),
            who: "a test".into(),
            since: LogTime(0),
            changed: LogTime(0),
            term: Term(3),
            state: OperationState::Running,
            targets: Vec::new(),
            trouble: None,
            refusal: None,
            warnings: Vec::new(),
        }
    }

    fn facts() -> Facts {
        Facts { term: Term(3), now: LogTime(1_500), freeze_limit_ms: 60_000, ..Facts::default() }
    }

    #[test]
    fn each_step_is_done_in_its_turn_and_again_after_a_crash() {
        let works = [
            Work::Prepare,
            Work::Drained,
            Work::ShutOut(vec![ALICE]),
            Work::ResolveBranches,
            Work::Fence,
            Work::CatchUp,
            Work::Flip(vec![ALICE]),
            Work::Revoke,
            Work::Retire,
        ];
        for (step, work) in MoveStep::ALL.into_iter().zip(works) {
            let facts = Facts { ended: vec![ALICE], late: vec![ALICE], ..facts() };
            assert_eq!(next(&at(step), &facts), Next::Do(work.clone()), "{step}");
            // The leader of the next term finds the record as it was.
            let later = Facts { term: Term(4), ..facts.clone() };
            assert_eq!(next(&at(step), &later), Next::Take, "{step}");
            let taken = Operation { term: Term(4), ..at(step) };
            assert_eq!(next(&taken, &later), Next::Do(work), "{step}");
            // And the one before it finds that it is not its own any more.
            assert_eq!(next(&taken, &facts), Next::Nothing, "{step}");
        }
    }

    #[test]
    fn a_cancelled_move_is_undone_as_far_as_it_can_have_come() {
        for step in MoveStep::ALL.into_iter().filter(|step| step.is_before_flip()) {
            let cancelled = Operation { state: OperationState::Undoing, ..at(step) };
            let is_fenced = step >= MoveStep::Fence;
            assert_eq!(next(&cancelled, &facts()), Next::Do(Work::Undo { is_fenced }), "{step}");
            // Being late is no reason to cancel it twice.
            let late = Facts { now: LogTime(1_000_000), ..facts() };
            assert_eq!(next(&cancelled, &late), Next::Do(Work::Undo { is_fenced }), "{step}");
        }
    }

    #[test]
    fn a_move_that_ended_is_left_alone() {
        for state in [OperationState::Finished, OperationState::Cancelled, OperationState::GivenUp] {
            assert_eq!(next(&Operation { state, ..at(MoveStep::Fence) }, &facts()), Next::Nothing);
        }
    }

    #[test]
    fn a_freeze_waits_for_those_who_have_to_drain_and_no_longer_than_its_limit() {
        let waiting = Facts { undrained: vec![ALICE], ..facts() };
        assert_eq!(next(&at(MoveStep::Freeze), &waiting), Next::WaitForDrained(vec![ALICE]));
        for step in MoveStep::ALL {
            let still = next(&at(step), &Facts { now: LogTime(60_999), ..facts() });
            assert_ne!(still, Next::GiveUp, "{step}");
            let late = next(&at(step), &Facts { now: LogTime(61_000), ..facts() });
            let is_cancelled = (MoveStep::Freeze..=MoveStep::CatchUp).contains(&step);
            assert_eq!(late == Next::GiveUp, is_cancelled, "{step}");
        }
    }

    #[test]
    fn who_comes_while_a_shard_is_frozen_is_waited_for_before_its_flip() {
        let came = Facts { undrained: vec![ALICE], ..facts() };
        assert_eq!(next(&at(MoveStep::Flip), &came), Next::WaitForDrained(vec![ALICE]));
        for step in [MoveStep::ShutOut, MoveStep::Fence, MoveStep::CatchUp] {
            assert!(matches!(next(&at(step), &came), Next::Do(_)), "{step}");
        }
    }

    #[test]
    fn one_shard_is_frozen_at_a_time() {
        let taken = Facts { is_road_taken: true, ..facts() };
        assert_eq!(next(&at(MoveStep::Prepare), &taken), Next::WaitForOther);
        assert_eq!(next(&at(MoveStep::Fence), &taken), Next::Do(Work::Fence));
    }
}
