//! The end of a branch that was found prepared and that nobody finishes: one that a coordinator left, decided without I/O.
//!
//! Any number of these, on any proxies, may work on one branch, and the coordinator as well: the row at the primary says the same to all. That there is
//! no row never means anything: a tombstone is put there, so that there will be none. Nor does an answer of XA COMMIT or XA ROLLBACK mean that the branch
//! is finished, only that XA RECOVER no longer lists it.

use std::time::Duration;

use podway_model::{HybridTime, Xid};

use super::messages::Ruling;

/// One prepared branch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resolve {
    xid: Xid,
    state: State,
}

/// What a driver is to do: one at a time, each on a side connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResolveAction {
    /// Primary: write the tombstone or read the decision; of one that is older than decisions are kept, read it only. Answered by Ruled, TooOld or Failed.
    Ask,
    /// Branch's server: a mark with this stamp under [`Gtrid::floor`](super::Gtrid::floor), committed. That it exists already is Done.
    Floor(HybridTime),
    /// Branch's server: `XA COMMIT`.
    Commit,
    /// Branch's server: `XA ROLLBACK`.
    RollBack,
    /// The branch is finished, exactly once; if it was this one that asked, so it was ruled.
    Resolved(Option<Ruling>),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResolveEvent {
    /// XA RECOVER lists it.
    Listed {
        /// A monotonic clock's time.
        now: Duration,
    },
    /// Nobody can be at it any more: its proxy has no connection to its servers. To be patient with it would be in vain.
    Left,
    /// XA RECOVER was answered and does not list it.
    Unlisted,
    /// The primary holds no decision, and it is so old that there may have been one which was deleted.
    TooOld,
    /// What the primary holds.
    Ruled(Ruling),
    /// What was outstanding was done, or there is no such xid (1397).
    Done,
    /// What was outstanding failed, or its outcome is not known; whatever it was, it can be done again.
    Failed,
}

/// Each can be lost in a crash: another finds the branch listed and begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    /// Its coordinator is given time.
    Seen { since: Duration },
    /// The primary is asked.
    Asking,
    /// It is to be committed, and the floor is being written.
    Flooring(HybridTime),
    /// XA COMMIT or XA ROLLBACK was sent.
    Ending(Ruling),
    /// What is to be done next is done when it is listed again.
    Waiting(Option<Ruling>),
    /// Nobody can say what becomes of it, unless the primary comes to hold a decision.
    TooOld,
    /// It is finished.
    Resolved,
}

impl Resolve {
    /// How long a branch is its coordinator's after it was first seen prepared.
    pub const PATIENCE: Duration = Duration::from_secs(5);

    /// A branch that was first seen prepared at `now`, by a monotonic clock.
    pub fn new(xid: Xid, now: Duration) -> Resolve {
        Resolve { xid, state: State::Seen { since: now } }
    }

    /// The branch.
    pub fn xid(&self) -> Xid {
        self.xid
    }

    /// Whether its coordinator is still given time.
    pub fn is_patient(&self) -> bool {
        matches!(self.state, State::Seen { .. })
    }

    /// Whether nobody can say what becomes of it.
    pub fn is_too_old(&self) -> bool {
        self.state == State::TooOld
    }

    /// What is to be done after an event.
    pub fn on(&mut self, event: ResolveEvent) -> Option<ResolveAction> {
        let (state, action) = self.state.on(event);
        self.state = state;
        action
    }
}

impl State {
    fn on(self, event: ResolveEvent) -> (State, Option<ResolveAction>) {
        match (self, event) {
            (State::Resolved, _) => (self, None),
            (_, ResolveEvent::Unlisted) => (State::Resolved, Some(ResolveAction::Resolved(self.ruling()))),
            (State::Seen { since }, ResolveEvent::Listed { now })
                if now.saturating_sub(since) < Resolve::PATIENCE =>
            {
                (self, None)
            }
            (State::Seen { .. } | State::Waiting(None) | State::TooOld, ResolveEvent::Listed { .. })
            | (State::Seen { .. }, ResolveEvent::Left) => (State::Asking, Some(ResolveAction::Ask)),
            (State::Asking, ResolveEvent::TooOld) => (State::TooOld, None),
            (State::Waiting(Some(ruling)), ResolveEvent::Listed { .. })
            | (State::Asking, ResolveEvent::Ruled(ruling)) => begin(ruling),
            (State::Flooring(stamp), ResolveEvent::Done) => {
                (State::Ending(Ruling::Committed(stamp)), Some(ResolveAction::Commit))
            }
            (State::Asking, ResolveEvent::Failed) => (State::Waiting(None), None),
            (State::Flooring(_) | State::Ending(_), ResolveEvent::Failed | ResolveEvent::Done) => {
                (State::Waiting(self.ruling()), None)
            }
            _ => (self, None),
        }
    }

    fn ruling(self) -> Option<Ruling> {
        match self {
            State::Flooring(stamp) => Some(Ruling::Committed(stamp)),
            State::Ending(ruling) => Some(ruling),
            State::Waiting(ruling) => ruling,
            State::Seen { .. } | State::Asking | State::TooOld | State::Resolved => None,
        }
    }
}

fn begin(ruling: Ruling) -> (State, Option<ResolveAction>) {
    match ruling {
        Ruling::Committed(stamp) => (State::Flooring(stamp), Some(ResolveAction::Floor(stamp))),
        Ruling::Aborted => (State::Ending(ruling), Some(ResolveAction::RollBack)),
    }
}

#[cfg(test)]
mod tests {
    use podway_model::{Gtrid, ServerId};

    use super::*;

    const STAMP: HybridTime = HybridTime(9);
    const C: Ruling = Ruling::Committed(STAMP);

    fn at(seconds: u64) -> ResolveEvent {
        ResolveEvent::Listed { now: Duration::from_secs(100 + seconds) }
    }

    /// Feeds the events; the actions that they led to.
    fn check(events: &[ResolveEvent]) -> Vec<Option<ResolveAction>> {
        let gtrid = Gtrid { begun: HybridTime(1), node: 1, incarnation: 1, sequence: 1 };
        let mut resolve = Resolve::new(Xid::new(gtrid, ServerId(1), ServerId(2)), Duration::from_secs(100));
        assert_eq!(resolve.xid().branch.primary, ServerId(1));
        events.iter().map(|event| resolve.on(*event)).collect()
    }

    #[test]
    fn its_coordinator_is_given_time() {
        assert_eq!(check(&[at(0), at(2), at(4), at(5)]), [None, None, None, Some(ResolveAction::Ask)]);
    }

    #[test]
    fn nobody_waits_for_a_coordinator_that_is_gone() {
        let aborted = ResolveEvent::Ruled(Ruling::Aborted);
        assert_eq!(
            check(&[at(0), ResolveEvent::Left, ResolveEvent::Left, aborted, ResolveEvent::Left]),
            [None, Some(ResolveAction::Ask), None, Some(ResolveAction::RollBack), None]
        );
    }

    #[test]
    fn one_that_is_too_old_to_be_told_is_left_alone_until_there_is_a_decision() {
        let old = ResolveEvent::TooOld;
        assert_eq!(
            check(&[at(5), old, at(6), old, ResolveEvent::Left, at(7), ResolveEvent::Ruled(C)]),
            [
                Some(ResolveAction::Ask),
                None,
                Some(ResolveAction::Ask),
                None,
                None,
                Some(ResolveAction::Ask),
                Some(ResolveAction::Floor(STAMP))
            ]
        );
    }

    #[test]
    fn a_branch_that_its_coordinator_finished_is_left_alone() {
        let ends = Some(ResolveAction::Resolved(None));
        assert_eq!(
            check(&[at(2), ResolveEvent::Unlisted, ResolveEvent::Unlisted, at(9)]),
            [None, ends, None, None]
        );
    }

    #[test]
    fn a_committed_one_gets_its_floor_before_its_effects_show() {
        assert_eq!(
            check(&[
                at(5),
                ResolveEvent::Ruled(C),
                ResolveEvent::Done,
                ResolveEvent::Done,
                ResolveEvent::Unlisted
            ]),
            [
                Some(ResolveAction::Ask),
                Some(ResolveAction::Floor(STAMP)),
                Some(ResolveAction::Commit),
                None,
                Some(ResolveAction::Resolved(Some(C)))
            ]
        );
    }

    #[test]
    fn one_with_a_tombstone_is_rolled_back() {
        assert_eq!(
            check(&[at(5), ResolveEvent::Ruled(Ruling::Aborted), ResolveEvent::Done, ResolveEvent::Unlisted]),
            [
                Some(ResolveAction::Ask),
                Some(ResolveAction::RollBack),
                None,
                Some(ResolveAction::Resolved(Some(Ruling::Aborted)))
            ]
        );
    }

    #[test]
    fn what_failed_is_done_again_when_it_is_listed_again() {
        let failed = ResolveEvent::Failed;
        assert_eq!(
            check(&[
                at(5),
                failed,
                at(7),
                ResolveEvent::Ruled(C),
                failed,
                at(9),
                ResolveEvent::Done,
                failed,
                at(11)
            ]),
            [
                Some(ResolveAction::Ask),
                None,
                Some(ResolveAction::Ask),
                Some(ResolveAction::Floor(STAMP)),
                None,
                Some(ResolveAction::Floor(STAMP)),
                Some(ResolveAction::Commit),
                None,
                Some(ResolveAction::Floor(STAMP))
            ]
        );
        let aborted = ResolveEvent::Ruled(Ruling::Aborted);
        assert_eq!(
            check(&[at(5), aborted, failed, at(7)])[1..],
            [Some(ResolveAction::RollBack), None, Some(ResolveAction::RollBack)]
        );
    }

    #[test]
    fn an_answer_is_no_proof_that_it_is_finished() {
        let aborted = ResolveEvent::Ruled(Ruling::Aborted);
        assert_eq!(
            check(&[at(5), aborted, ResolveEvent::Done, at(7), ResolveEvent::Done, ResolveEvent::Unlisted])
                [2..],
            [None, Some(ResolveAction::RollBack), None, Some(ResolveAction::Resolved(Some(Ruling::Aborted)))]
        );
    }

    #[test]
    fn nothing_is_sent_twice_while_it_is_outstanding() {
        assert_eq!(check(&[at(5), at(7)])[1..], [None]);
        assert_eq!(check(&[at(5), ResolveEvent::Ruled(C), at(7), ResolveEvent::Ruled(C)])[2..], [None, None]);
        assert_eq!(check(&[at(5), ResolveEvent::Ruled(Ruling::Aborted), at(7)])[2..], [None]);
        assert_eq!(
            check(&[ResolveEvent::Done, ResolveEvent::Failed, ResolveEvent::Ruled(C)]),
            [None, None, None]
        );
    }
}
