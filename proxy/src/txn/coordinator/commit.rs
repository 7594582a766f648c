//! The end of a transaction over several servers, decided without I/O: events in, actions out.
//!
//! What atomicity rests on: the decision is a row of the primary's own transaction, written once, after every branch said that it is prepared. A branch
//! is committed only when that row is known to be committed; it is rolled back only if the row was never sent and the primary is rolled back, or if the
//! primary holds a tombstone in its place. Nothing is inferred from an error or from silence once the decision was sent.

use podway_model::{Gtrid, HybridTime, ServerId, parts_text};

use super::branches::Branches;
use super::messages::{Action, Event, Outcome, Participants, Ruling, Why};

/// A transaction that is ending.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Commit {
    gtrid: Gtrid,
    primary: ServerId,
    /// Those that are prepared.
    writers: Vec<ServerId>,
    branches: Branches,
    state: State,
}

/// What is being waited for: each has its own deadline, at which the driver says [`Event::Late`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// One server's commit.
    Single,
    /// The preparations and stamps. Late: it is rolled back.
    Prepare,
    /// The commit point. Late: the primary is asked.
    Decide,
    /// The primary's ruling. Late: nobody here knows.
    Ask,
    /// The commit of the branches. Late: the resolver does it.
    Finish,
    /// The rollback of the primary. Late: its connection is closed.
    RollBackPrimary,
    /// The rollback of the branches. Late: the resolver does it.
    RollBack,
    /// The release of what only read. Late: its connections are closed.
    Release,
    /// It was answered.
    Answered,
}

/// Each says what a crash of the coordinator there means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    /// COMMIT was sent to the primary, the only server that may have been written to. Crash: that server did it or did not; the rest only read.
    CommittingPlain,
    /// ONE PHASE was sent to the only branch that may have been written to. Crash: as CommittingPlain.
    CommittingOnePhase(ServerId),
    /// Each writer was sent XA PREPARE and no decision was sent. Crash: the primary rolls back when its connection closes; the resolver puts a tombstone
    /// there for each prepared branch and rolls it back.
    Preparing { stamp: HybridTime, elsewhere: Option<HybridTime> },
    /// All are prepared, and a stamp after this one is awaited. Crash: as Preparing.
    Stamping { after: HybridTime },
    /// The decision was sent to the primary. Crash: it is committed or not; the resolver's tombstone waits for the row's lock and finds out.
    Deciding(Stamp),
    /// The primary answered the decision with an error, and ROLLBACK was sent: the row may be committed, or still lock out the tombstone. Crash: as
    /// Deciding.
    Withdrawing(Stamp),
    /// The primary is asked; its part is over, one way or the other. Crash: as Deciding.
    Asking(Stamp, Why),
    /// The decision is committed. Crash: the resolver commits the branches.
    Finishing(Stamp),
    /// The decision was never sent and the primary is being rolled back. Crash: as Preparing.
    RollingBackPrimary(Why),
    /// The primary is rolled back, or holds a tombstone. Crash: the resolver rolls back what is prepared.
    RollingBack(Why),
    /// All that wrote is over, as far as this one can do it, and what only read is being let go. Crash: nothing; whatever the outcome is, it stands.
    Releasing { outcome: Outcome, primary: bool },
    /// The client has its answer. Crash: nothing.
    Answered,
}

/// A commit stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Stamp {
    at: HybridTime,
    /// It is later than the marks say: the servers need a floor first.
    floor: bool,
}

type Actions = Vec<Action>;

impl Commit {
    /// Commits. `stamp`: a hybrid time of now. Only for a transaction that is known to be open at the primary still: after a deadlock (1213) it is not, and
    /// a decision would be committed alone. Then, [`Commit::roll_back`].
    pub fn new(participants: &Participants, stamp: HybridTime) -> (Commit, Vec<Action>) {
        let wrote = participants.branches.iter().filter(|branch| branch.wrote);
        let writers: Vec<ServerId> = wrote.map(|branch| branch.server).collect();
        let mut commit = Commit::of(participants, writers.clone());
        let mut actions = Actions::new();
        commit.state = match (participants.primary.wrote, writers.as_slice()) {
            (_, []) => {
                actions.push(Action::CommitPlain);
                State::CommittingPlain
            }
            (false, [only]) => {
                actions.push(Action::CommitOnePhase { server: *only });
                State::CommittingOnePhase(*only)
            }
            _ => {
                commit.branches.prepare(&writers, stamp, &mut actions);
                actions.push(Action::HighestElsewhere);
                State::Preparing { stamp, elsewhere: None }
            }
        };
        (commit, actions)
    }

    /// Rolls back, as the client asked.
    pub fn roll_back(participants: &Participants) -> (Commit, Vec<Action>) {
        let mut commit = Commit::of(participants, Vec::new());
        let mut actions = Actions::new();
        commit.state = commit.release(Outcome::RolledBack { why: Why::Client }, true, &mut actions);
        (commit, actions)
    }

    fn of(participants: &Participants, writers: Vec<ServerId>) -> Commit {
        let (gtrid, primary) = (participants.gtrid, participants.primary.server);
        Commit {
            gtrid,
            primary,
            writers,
            branches: Branches::new(&participants.branches),
            state: State::Answered,
        }
    }

    /// The transaction's id.
    pub fn gtrid(&self) -> Gtrid {
        self.gtrid
    }

    /// The server that holds the decision.
    pub fn primary(&self) -> ServerId {
        self.primary
    }

    /// The servers that marks and the decision name: the primary and those that are prepared.
    pub fn parts(&self) -> String {
        parts_text(self.primary, self.writers.iter().copied())
    }

    /// The servers that are not asked to prepare: the primary, and those that were only read.
    pub fn unprepared(&self) -> impl Iterator<Item = ServerId> {
        std::iter::once(self.primary).chain(self.branches.active())
    }

    /// What is being waited for.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::CommittingPlain | State::CommittingOnePhase(_) => Phase::Single,
            State::Preparing { .. } | State::Stamping { .. } => Phase::Prepare,
            State::Deciding(_) | State::Withdrawing(_) => Phase::Decide,
            State::Asking(..) => Phase::Ask,
            State::Finishing(_) => Phase::Finish,
            State::RollingBackPrimary(_) => Phase::RollBackPrimary,
            State::RollingBack(_) => Phase::RollBack,
            State::Releasing { .. } => Phase::Release,
            State::Answered => Phase::Answered,
        }
    }

    /// What is to be done after an event. Events that nothing waits for change nothing.
    pub fn on(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Actions::new();
        self.state = match std::mem::replace(&mut self.state, State::Answered) {
            State::CommittingPlain => self.on_committing_plain(event, &mut actions),
            State::CommittingOnePhase(server) => self.on_committing_one_phase(server, event, &mut actions),
            State::Preparing { stamp, elsewhere } => self.on_preparing(stamp, elsewhere, event, &mut actions),
            State::Stamping { after } => self.on_stamping(after, event, &mut actions),
            State::Deciding(stamp) => self.on_deciding(stamp, event, &mut actions),
            State::Withdrawing(stamp) => self.on_withdrawing(stamp, event, &mut actions),
            State::Asking(stamp, why) => self.on_asking(stamp, why, event, &mut actions),
            State::Finishing(stamp) => self.on_finishing(stamp, event, &mut actions),
            State::RollingBackPrimary(why) => self.on_rolling_back_primary(why, event, &mut actions),
            State::RollingBack(why) => self.on_rolling_back(why, event, &mut actions),
            State::Releasing { outcome, primary } => self.on_releasing(outcome, primary, event, &mut actions),
            State::Answered => State::Answered,
        };
        actions
    }

    fn on_committing_plain(&mut self, event: Event, actions: &mut Actions) -> State {
        let primary = self.primary;
        match event {
            Event::Done(server) if server == primary => {
                self.release(committed(None, Vec::new()), false, actions)
            }
            Event::Refused(server) if server == primary => {
                let why = Why::Refused(server);
                self.release(Outcome::RolledBack { why }, true, actions)
            }
            Event::Lost(server) if server == primary => self.release(Outcome::Unknown, false, actions),
            Event::Late => {
                actions.push(Action::Drop { server: primary });
                self.release(Outcome::Unknown, false, actions)
            }
            _ => State::CommittingPlain,
        }
    }

    fn on_committing_one_phase(&mut self, server: ServerId, event: Event, actions: &mut Actions) -> State {
        let outcome = match event {
            Event::Done(there) if there == server => {
                self.branches.finish(server);
                committed(None, Vec::new())
            }
            // Still ACTIVE, perhaps: it is released with the others.
            Event::Refused(there) if there == server => Outcome::RolledBack { why: Why::Refused(server) },
            Event::Lost(there) if there == server => {
                self.branches.finish(server);
                Outcome::Unknown
            }
            Event::Late => {
                self.branches.finish(server);
                actions.push(Action::Drop { server });
                Outcome::Unknown
            }
            _ => return State::CommittingOnePhase(server),
        };
        self.release(outcome, true, actions)
    }

    fn on_preparing(
        &mut self,
        stamp: HybridTime,
        mut elsewhere: Option<HybridTime>,
        event: Event,
        actions: &mut Actions,
    ) -> State {
        match event {
            Event::Prepared { server, highest } => {
                self.branches.prepared(server, highest);
            }
            Event::Highest(highest) => elsewhere = Some(highest),
            Event::HighestFailed => return self.abort(Why::Stamp, actions),
            Event::Refused(server) if self.branches.refused(server) => {
                return self.abort(Why::Refused(server), actions);
            }
            Event::Lost(server) if server == self.primary => {
                return self.roll_back_branches(Why::Lost(server), actions);
            }
            Event::Lost(server) if self.branches.lost(server) => {
                return self.abort(Why::Lost(server), actions);
            }
            Event::Late => {
                self.branches.drop_preparing(actions);
                return self.abort(Why::Late, actions);
            }
            _ => {}
        }
        let (Some(there), Some(highest)) = (elsewhere, self.branches.highest()) else {
            return State::Preparing { stamp, elsewhere };
        };
        let after = there.max(highest);
        if after < stamp {
            return decide(Stamp { at: stamp, floor: false }, actions);
        }
        actions.push(Action::NewStamp { after });
        State::Stamping { after }
    }

    fn on_stamping(&mut self, after: HybridTime, event: Event, actions: &mut Actions) -> State {
        match event {
            Event::Stamp(at) if at > after => decide(Stamp { at, floor: true }, actions),
            Event::Stamp(_) => self.abort(Why::Stamp, actions),
            Event::Lost(server) if server == self.primary => {
                self.roll_back_branches(Why::Lost(server), actions)
            }
            Event::Late => self.abort(Why::Late, actions),
            _ => State::Stamping { after },
        }
    }

    fn on_deciding(&mut self, stamp: Stamp, event: Event, actions: &mut Actions) -> State {
        let primary = self.primary;
        match event {
            Event::Done(server) if server == primary => self.finish(stamp, actions),
            Event::Refused(server) if server == primary => {
                actions.push(Action::RollBackPrimary);
                State::Withdrawing(stamp)
            }
            Event::Lost(server) if server == primary => ask(stamp, Why::Lost(server), actions),
            Event::Late => {
                actions.push(Action::Drop { server: primary });
                ask(stamp, Why::Late, actions)
            }
            _ => State::Deciding(stamp),
        }
    }

    fn on_withdrawing(&mut self, stamp: Stamp, event: Event, actions: &mut Actions) -> State {
        let primary = self.primary;
        match event {
            Event::Done(server) | Event::Lost(server) if server == primary => {}
            Event::Refused(server) if server != primary => return State::Withdrawing(stamp),
            Event::Refused(_) | Event::Late => actions.push(Action::Drop { server: primary }),
            _ => return State::Withdrawing(stamp),
        }
        ask(stamp, Why::Refused(primary), actions)
    }

    fn on_asking(&mut self, stamp: Stamp, why: Why, event: Event, actions: &mut Actions) -> State {
        match event {
            Event::Ruled(Ruling::Committed(_)) => self.finish(stamp, actions),
            Event::Ruled(Ruling::Aborted) => self.roll_back_branches(why, actions),
            Event::RulingFailed => ask(stamp, why, actions),
            Event::Late => {
                self.branches.leave(actions);
                self.release(Outcome::Unknown, false, actions)
            }
            _ => State::Asking(stamp, why),
        }
    }

    fn on_finishing(&mut self, stamp: Stamp, event: Event, actions: &mut Actions) -> State {
        self.on_branch(event, actions);
        self.finished(stamp, actions)
    }

    fn on_rolling_back_primary(&mut self, why: Why, event: Event, actions: &mut Actions) -> State {
        let primary = self.primary;
        match event {
            Event::Done(server) | Event::Lost(server) if server == primary => {}
            Event::Refused(server) if server == primary => actions.push(Action::Drop { server }),
            Event::Late => {
                actions.push(Action::Drop { server: primary });
                self.branches.drop_preparing(actions);
            }
            event => {
                self.on_preparation(&event);
                return State::RollingBackPrimary(why);
            }
        }
        self.roll_back_branches(why, actions)
    }

    fn on_rolling_back(&mut self, why: Why, event: Event, actions: &mut Actions) -> State {
        if self.on_preparation(&event) {
            return self.roll_back_branches(why, actions);
        }
        self.on_branch(event, actions);
        self.rolled_back(why, actions)
    }

    fn on_releasing(
        &mut self,
        outcome: Outcome,
        mut primary: bool,
        event: Event,
        actions: &mut Actions,
    ) -> State {
        match event {
            Event::Done(server) | Event::Lost(server) if server == self.primary => primary = false,
            Event::Refused(server) if server == self.primary && primary => {
                actions.push(Action::Drop { server });
                primary = false;
            }
            Event::Late => {
                if primary {
                    actions.push(Action::Drop { server: self.primary });
                }
                primary = false;
                self.branches.leave(actions);
            }
            event => self.on_branch(event, actions),
        }
        self.released(outcome, primary, actions)
    }

    /// The end of a preparation that is of use no more. Whether it was one.
    fn on_preparation(&mut self, event: &Event) -> bool {
        match *event {
            Event::Prepared { server, highest } => self.branches.prepared(server, highest),
            Event::Refused(server) => self.branches.refused(server),
            Event::Lost(server) => self.branches.lost(server),
            _ => false,
        }
    }

    fn on_branch(&mut self, event: Event, actions: &mut Actions) {
        match event {
            Event::Done(server) => self.branches.done(server, actions),
            Event::Refused(server) => self.branches.failed(server, true, actions),
            Event::Lost(server) => self.branches.failed(server, false, actions),
            Event::Late => self.branches.leave(actions),
            _ => {}
        }
    }

    /// No decision was sent, nor will be: the primary first.
    fn abort(&mut self, why: Why, actions: &mut Actions) -> State {
        actions.push(Action::RollBackPrimary);
        State::RollingBackPrimary(why)
    }

    /// No C exists, nor ever will.
    fn roll_back_branches(&mut self, why: Why, actions: &mut Actions) -> State {
        self.branches.roll_back(actions);
        self.rolled_back(why, actions)
    }

    fn rolled_back(&mut self, why: Why, actions: &mut Actions) -> State {
        if !self.branches.are_settled() {
            return State::RollingBack(why);
        }
        self.release(Outcome::RolledBack { why }, false, actions)
    }

    /// The decision is C.
    fn finish(&mut self, stamp: Stamp, actions: &mut Actions) -> State {
        self.branches.commit(stamp.floor.then_some(stamp.at), actions);
        self.finished(stamp, actions)
    }

    fn finished(&mut self, stamp: Stamp, actions: &mut Actions) -> State {
        if !self.branches.are_settled() {
            return State::Finishing(stamp);
        }
        self.release(committed(Some(stamp.at), self.branches.left()), false, actions)
    }

    /// Lets go of what only read, last of all: its locks may guard what was written elsewhere. `primary`: with it.
    fn release(&mut self, outcome: Outcome, primary: bool, actions: &mut Actions) -> State {
        if primary {
            actions.push(Action::RollBackPrimary);
        }
        self.branches.release(actions);
        self.released(outcome, primary, actions)
    }

    fn released(&mut self, outcome: Outcome, primary: bool, actions: &mut Actions) -> State {
        if primary || !self.branches.are_settled() {
            return State::Releasing { outcome, primary };
        }
        actions.push(Action::Answer(outcome));
        State::Answered
    }
}

fn committed(stamp: Option<HybridTime>, in_doubt_elsewhere: Vec<ServerId>) -> Outcome {
    Outcome::Committed { stamp, in_doubt_elsewhere }
}

fn decide(stamp: Stamp, actions: &mut Actions) -> State {
    actions.push(Action::Decide { stamp: stamp.at });
    State::Deciding(stamp)
}

fn ask(stamp: Stamp, why: Why, actions: &mut Actions) -> State {
    actions.push(Action::Ask);
    State::Asking(stamp, why)
}
