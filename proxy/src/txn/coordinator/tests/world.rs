//! A model of the servers, as MySQL behaves, and of the networks between them; the coordinator and the resolvers in it are the real ones.
//!
//! Server 0 is the primary. A connection can break on the coordinator's side alone: what was sent may still run, and the session ends some time later.
//! A request on a side connection that was given up may still run at any time.

use podway_model::{HybridTime, ServerId};

use super::super::{
    Action, Commit, Event, Outcome, Participant, Participants, Phase, Resolve, ResolveAction, Ruling, Via,
};
use super::gtrid;

/// The begin of the commit; the marks carry it.
pub const STAMP: HybridTime = HybridTime(100);

/// As many failures as there can be.
pub const ANY: u32 = u32::MAX;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Setup {
    pub primary_wrote: bool,
    /// Whether each branch wrote.
    pub branches: [Option<bool>; 2],
    /// The highest stamp on every server.
    pub highest: HybridTime,
    /// Resolvers per branch.
    pub resolvers: usize,
    /// The client says ROLLBACK.
    pub roll_back: bool,
    /// Sessions' answers arrive at once: they can be lost with their requests only.
    pub swift: bool,
    /// How many failures, at most, on the whole.
    pub failures: u32,
    pub flaw: Flaw,
}

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    None,
    /// Resolvers take the absence of a decision for an abort.
    NoTombstone,
    /// The coordinator rolls back the branches after an error of the decision without asking.
    RollsBackUnasked,
    /// The coordinator commits the branches after an error of the decision without asking.
    CommitsUnasked,
    /// The primary is not rolled back before it is asked.
    AsksWhileLocked,
    /// The branches are rolled back and the primary is not.
    LeavesPrimaryOpen,
    /// Floors are not written.
    NoFloor,
    /// A deadlock rolled the primary's transaction back and nobody noticed.
    PrimaryGone,
}

/// The plain transaction at the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plain {
    Open,
    Committed,
    RolledBack,
}

/// The decision's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Row {
    None,
    /// C, in the open transaction: its key is locked.
    Uncommitted,
    Committed,
    Tombstone,
}

/// A branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Xa {
    Active,
    Prepared,
    Committed,
    RolledBack,
}

/// The coordinator's one outstanding request on a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pipe {
    Idle,
    Sent(Action),
    /// The decision's row is written, and not yet committed.
    Half,
    Reply(Event),
}

/// A session's connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    /// The coordinator's end is open.
    pub near: bool,
    /// The server's end is.
    pub far: bool,
    pub pipe: Pipe,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Branch {
    pub server: ServerId,
    pub xa: Xa,
    pub floor: bool,
    pub session: Session,
    pub side: Pipe,
    /// Side requests that were given up and may still run: XA COMMIT, XA ROLLBACK.
    pub stray_commit: bool,
    pub stray_roll_back: bool,
    pub resolvers: Vec<Resolver>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resolver {
    pub resolve: Option<Resolve>,
    pub outstanding: Option<ResolveAction>,
}

/// What the client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    Nothing,
    Committed,
    RolledBack,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// Of the failures, those that may still happen.
    pub setup: Setup,
    /// None: crashed, or it has answered.
    pub commit: Option<Commit>,
    pub told: Told,
    pub plain: Plain,
    pub row: Row,
    pub session: Session,
    pub side: Pipe,
    pub stray_ask: bool,
    pub branches: Vec<Branch>,
    /// A rule of the driver's was broken.
    pub broken: Option<&'static str>,
}

impl Session {
    fn open() -> Session {
        Session { near: true, far: true, pipe: Pipe::Idle }
    }

    /// Closes the coordinator's end: what was sent may still run, and is not answered. An answer that has come already may still be told.
    pub fn close(&mut self) {
        self.near = false;
    }

    /// As close, and nothing is told any more.
    pub fn abandon(&mut self) {
        self.close();
        if matches!(self.pipe, Pipe::Reply(_)) {
            self.pipe = Pipe::Idle;
        }
    }

    fn send(&mut self, action: Action, server: ServerId) {
        self.pipe = if self.near { Pipe::Sent(action) } else { Pipe::Reply(Event::Lost(server)) };
    }
}

impl World {
    pub fn new(setup: Setup) -> World {
        let resolver = Resolver { resolve: None, outstanding: None };
        let branch = |number: u32| Branch {
            server: ServerId(number),
            xa: Xa::Active,
            floor: false,
            session: Session::open(),
            side: Pipe::Idle,
            stray_commit: false,
            stray_roll_back: false,
            resolvers: vec![resolver.clone(); setup.resolvers],
        };
        let wrote: Vec<bool> = setup.branches.iter().flatten().copied().collect();
        let participant = |(number, wrote): (u32, bool)| Participant { server: ServerId(number), wrote };
        let participants = Participants {
            gtrid: gtrid(),
            primary: participant((0, setup.primary_wrote)),
            branches: (1..).zip(wrote).map(participant).collect(),
        };
        let branches = participants.branches.iter().map(|at| branch(at.server.0)).collect();
        let (commit, actions) = if setup.roll_back {
            Commit::roll_back(&participants)
        } else {
            Commit::new(&participants, STAMP)
        };
        let mut world = World {
            setup,
            commit: Some(commit),
            told: Told::Nothing,
            plain: if setup.flaw == Flaw::PrimaryGone { Plain::RolledBack } else { Plain::Open },
            row: Row::None,
            session: Session::open(),
            side: Pipe::Idle,
            stray_ask: false,
            branches,
            broken: None,
        };
        world.run(actions);
        world
    }

    /// Whether this transaction is one that has a decision.
    pub fn is_two_phase(&self) -> bool {
        let writers =
            self.branches.iter().zip(self.setup.branches.iter().flatten()).filter(|(_, wrote)| **wrote);
        !self.setup.roll_back
            && writers.count() + usize::from(self.setup.primary_wrote) > 1
            && self.setup.branches.contains(&Some(true))
    }

    /// Tells the coordinator, and does what it says.
    pub fn tell(&mut self, event: Event) {
        if let Some(mut commit) = self.commit.take() {
            let actions = commit.on(event);
            self.commit = Some(commit);
            self.run(actions);
        }
    }

    fn run(&mut self, actions: Vec<Action>) {
        for action in actions {
            self.run_one(action);
        }
    }

    fn run_one(&mut self, action: Action) {
        let phase = self.commit.as_ref().map_or(Phase::Answered, Commit::phase);
        match action {
            Action::RollBackPrimary
                if (self.setup.flaw == Flaw::AsksWhileLocked && phase == Phase::Decide)
                    || (self.setup.flaw == Flaw::LeavesPrimaryOpen && phase == Phase::RollBackPrimary) =>
            {
                self.tell(Event::Done(ServerId(0)));
            }
            Action::CommitPlain | Action::RollBackPrimary | Action::Decide { .. } => {
                self.send_primary(action)
            }
            Action::Ask if self.setup.flaw == Flaw::RollsBackUnasked => {
                self.tell(Event::Ruled(Ruling::Aborted));
            }
            Action::Ask if self.setup.flaw == Flaw::CommitsUnasked => {
                self.tell(Event::Ruled(Ruling::Committed(STAMP)));
            }
            Action::HighestElsewhere | Action::NewStamp { .. } | Action::Ask => {
                self.side = Pipe::Sent(action)
            }
            Action::Floor { server, .. } if self.setup.flaw == Flaw::NoFloor => {
                self.tell(Event::Done(server))
            }
            Action::CommitOnePhase { server }
            | Action::Release { server }
            | Action::Prepare { server, .. } => {
                self.send_branch(server, Via::Session, action);
            }
            Action::Floor { server, .. } => self.send_branch(server, Via::Side, action),
            Action::CommitBranch { server, via } | Action::RollBackBranch { server, via } => {
                self.send_branch(server, via, action);
            }
            Action::Drop { server } => match self.branch(server) {
                Some(branch) => branch.session.close(),
                None => self.session.close(),
            },
            Action::Answer(outcome) => self.answer(outcome),
        }
    }

    fn send_primary(&mut self, action: Action) {
        if self.session.pipe != Pipe::Idle && self.session.near {
            self.broken = Some("two requests at a time at the primary");
        }
        self.session.send(action, ServerId(0));
    }

    fn send_branch(&mut self, server: ServerId, via: Via, action: Action) {
        let Some(branch) = self.branch(server) else { return };
        let busy = match via {
            Via::Session => branch.session.near && branch.session.pipe != Pipe::Idle,
            Via::Side => branch.side != Pipe::Idle,
        };
        match via {
            Via::Session => branch.session.send(action, server),
            Via::Side => branch.side = Pipe::Sent(action),
        }
        if busy {
            self.broken = Some("two requests at a time at a branch");
        }
    }

    fn answer(&mut self, outcome: Outcome) {
        let in_doubt = match &outcome {
            Outcome::Committed { in_doubt_elsewhere, .. } => in_doubt_elsewhere.clone(),
            Outcome::RolledBack { .. } | Outcome::Unknown => Vec::new(),
        };
        let committed = matches!(outcome, Outcome::Committed { .. }) && self.is_two_phase();
        self.told = match outcome {
            Outcome::Committed { .. } => Told::Committed,
            Outcome::RolledBack { .. } => Told::RolledBack,
            Outcome::Unknown => Told::Unknown,
        };
        // The question's lock is to be found for itself.
        let excused = self.setup.flaw == Flaw::AsksWhileLocked;
        let usable = |session: &Session| session.near && !excused;
        if usable(&self.session)
            && (self.session.pipe != Pipe::Idle || (self.session.far && self.plain == Plain::Open))
        {
            self.broken = Some("the primary's connection is handed back with something open");
        }
        for branch in &self.branches {
            let open = branch.session.pipe != Pipe::Idle || (branch.session.far && branch.xa == Xa::Active);
            if usable(&branch.session) && open {
                self.broken = Some("a branch's connection is handed back with something open");
            }
            if committed && branch.xa == Xa::Prepared && !in_doubt.contains(&branch.server) {
                self.broken = Some("a branch is still prepared and the answer does not say so");
            }
        }
        self.disappear();
    }

    /// The coordinator is no more: its ends are closed, its side requests may still run.
    pub fn disappear(&mut self) {
        self.commit = None;
        self.session.abandon();
        self.give_up_side();
        for number in 0..self.branches.len() {
            self.branches[number].session.abandon();
            self.branches[number].give_up_side();
        }
    }

    /// Gives up what is outstanding on the side connection to the primary.
    pub fn give_up_side(&mut self) {
        if self.side == Pipe::Sent(Action::Ask) {
            self.stray_ask = true;
        }
        self.side = Pipe::Idle;
    }

    fn branch(&mut self, server: ServerId) -> Option<&mut Branch> {
        self.branches.iter_mut().find(|branch| branch.server == server)
    }
}

impl Branch {
    /// Gives up what is outstanding on the side connection to it.
    pub fn give_up_side(&mut self) {
        match self.side {
            Pipe::Sent(Action::CommitBranch { .. }) => self.stray_commit = true,
            Pipe::Sent(Action::RollBackBranch { .. }) => self.stray_roll_back = true,
            _ => {}
        }
        self.side = Pipe::Idle;
    }

    /// XA COMMIT from any session.
    pub fn xa_commit(&mut self) {
        if self.xa == Xa::Prepared {
            self.xa = Xa::Committed;
        }
    }

    /// XA ROLLBACK from another session than its own, or when it is prepared.
    pub fn xa_roll_back(&mut self) {
        if self.xa == Xa::Prepared {
            self.xa = Xa::RolledBack;
        }
    }
}
