//! Work that takes many steps on servers, as the topology remembers it: which step is under way, how far each target is, under which leader. The
//! record is what makes it resumable by the next leader, visible, and never forgotten half-done. Whoever does the work is elsewhere.

use std::fmt;

use podway_model::{FreezeId, Revision, ServerId, ShardId, Table};
use serde::{Deserialize, Serialize};

use crate::ddl::{Ddl, Follow, TableDeclaration, TableEffect};
use crate::incarnation::{LogTime, Term};
use crate::statement::ClientStatement;
use crate::users::{AccountNow, UserStatement};

/// An operation's number; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperationId(pub u64);

/// Of operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationCommand {
    /// Begins one. It is nobody's until a leader takes it.
    Begin(NewOperation),
    /// A leader takes it, or goes on with it: reports of older leaders are refused from now on.
    Take {
        /// Which.
        id: OperationId,
        /// The leader's term.
        term: Term,
    },
    /// Tells how far it is.
    Report {
        /// Which.
        id: OperationId,
        /// The term of the leader that took it.
        term: Term,
        /// What happened.
        report: Report,
    },
    /// Gives it up, before its point of no return.
    Cancel {
        /// Which.
        id: OperationId,
    },
    /// Has the targets that refused a statement tried again: somebody has changed what was in the way.
    Retry {
        /// Which.
        id: OperationId,
    },
    /// Ends a statement's operation half-done. What is under way on a target is ended first.
    GiveUp {
        /// Which.
        id: OperationId,
    },
}

/// An operation that is to begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewOperation {
    /// A DDL statement, on every shard of a keyspace.
    Ddl {
        /// The keyspace.
        keyspace: Box<str>,
        /// What it does to which tables.
        effects: Vec<TableEffect>,
        /// The statement as it may be shown: with what a password may stand in left out.
        shown: Box<str>,
        /// The statement.
        statement: ClientStatement,
        /// How the rows of the table that it creates are to lie: the table comes into being everywhere but at home, is declared, and then at home.
        #[serde(default)]
        declaration: Option<TableDeclaration>,
    },
    /// A statement about users, roles and privileges, on every server.
    Users {
        /// The statement as it may be shown: with passwords left out.
        shown: Box<str>,
        /// The statement.
        statement: UserStatement,
    },
    /// A shard moves to another server.
    MoveShard {
        /// The shard.
        shard: ShardId,
        /// The server's name.
        to: Box<str>,
        /// The physical schema there; `None`: the name it has now.
        #[serde(default)]
        schema: Option<Box<str>>,
    },
}

/// What an operation is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// A DDL statement on shards.
    Ddl(Ddl),
    /// A statement about users on all servers.
    Users {
        /// The statement as it may be shown.
        shown: Box<str>,
        /// The revision of the map that follows it, once it does.
        #[serde(default)]
        followed: Option<Revision>,
    },
    /// A shard moves.
    MoveShard(ShardMove),
}

/// A shard on its way to another server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardMove {
    /// The keyspace's name.
    pub keyspace: Box<str>,
    /// The shard.
    pub shard: ShardId,
    /// Where it was.
    pub from: ServerId,
    /// Its physical schema there.
    pub from_schema: Box<str>,
    /// Where it goes.
    pub to: ServerId,
    /// Its physical schema there.
    pub to_schema: Box<str>,
    /// What is being done.
    pub step: MoveStep,
    /// The freeze, from [`MoveStep::Freeze`] to the flip.
    #[serde(default)]
    pub freeze: Option<FreezeId>,
    /// Since when the shard is frozen, or was last.
    #[serde(default)]
    pub frozen_at: Option<LogTime>,
}

/// What is being done to move a shard, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveStep {
    /// The target's schema is made ready. Nothing is held yet.
    Prepare,
    /// The shard is frozen: each live proxy drains.
    Freeze,
    /// Proxies whose lease ended have their threads killed on every server.
    ShutOut,
    /// Prepared branches on the source, or whose primary is the source, are resolved.
    ResolveBranches,
    /// The source's schema is made READ ONLY.
    Fence,
    /// The rest is copied, compared, and the floor mark set.
    CatchUp,
    /// The map changes its owner, and the source's schema is recorded as retired. Reporting it done is what does it: from then on there is no way back.
    Flip,
    /// Privileges on the source are revoked and its threads killed.
    Revoke,
    /// What is left to do before the source's schema may be dropped after its retention. Reporting it done ends the operation.
    Retire,
}

/// What a leader reports of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// A statement is about to be sent to a target, on which what it is about looks so. Nothing was sent yet in this try.
    TargetBegan {
        /// Which.
        target: Target,
        /// By which it is seen later whether the statement took effect.
        before: Box<str>,
    },
    /// A target has it.
    TargetDone {
        /// Which.
        target: Target,
        /// What the target said besides.
        #[serde(default)]
        warnings: Vec<ServerMessage>,
    },
    /// A try on a target was in vain, and the next comes by itself. Whether a statement that was begun took effect is not known.
    TargetFailed {
        /// Which.
        target: Target,
        /// Why, without secrets.
        reason: Box<str>,
    },
    /// A target refused the statement, which has had no effect there. As long as no target has it, that ends the operation.
    TargetRefused {
        /// Which.
        target: Target,
        /// What it said.
        error: ServerMessage,
    },
    /// Nothing was begun yet: from now on statements that name the tables wait.
    Held,
    /// A table that is being created is there but at home, with these columns, and is to be declared so.
    Declared(Table),
    /// It cannot be declared so: what was created is to be dropped again.
    NotDeclared(ServerMessage),
    /// Every target has it, and the map follows.
    Followed(Vec<Follow>),
    /// Every live proxy has taken over the map that follows: the operation ends.
    TakenOver,
    /// The first server has a statement about users: so do its accounts stand there. Who was dropped, locked or given another password is refused from then on.
    AccountsChanged(Vec<AccountNow>),
    /// Every server has a statement about users: so do its accounts stand on the first.
    AccountsFollowed(Vec<AccountNow>),
    /// A move's step is done; the next begins.
    StepDone(MoveStep),
    /// A move's step did not succeed and will be tried again.
    StepFailed {
        /// Which.
        step: MoveStep,
        /// Why, without secrets.
        reason: Box<str>,
    },
    /// What was done for an operation that is given up or cancelled is undone, or ended.
    Undone,
    /// It cannot be completed and nothing of it is to be undone: it ends, with what is half-done on record.
    GivenUp {
        /// Why, without secrets.
        reason: Box<str>,
    },
}

/// What a server said, as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMessage {
    /// MySQL's number.
    pub code: u16,
    /// SQLSTATE; for a warning its level: `Note`, `Warning`, `Error`.
    pub state: Box<str>,
    /// The text, with the server's own names in it.
    pub text: Box<str>,
}

/// Where an operation does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// On a shard.
    Shard(ShardId),
    /// On a server.
    Server(ServerId),
}

/// How far a target is, and what a crash of the leader in each state means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetState {
    /// Nothing was done. It is begun.
    Waiting,
    /// The statement may have been sent, and may be at work. Whatever session of the operation is left there is ended, then it is looked whether what the
    /// statement is about is as it was before: if so it is sent, if not it is done.
    Begun {
        /// What it is about, before.
        before: Box<str>,
    },
    /// It is done. It is never sent there again.
    Done {
        /// What it is about, before: what was not there was made by this statement.
        #[serde(default)]
        before: Box<str>,
    },
    /// It was tried in vain before anything was sent, and is tried again.
    Failed {
        /// Why.
        reason: Box<str>,
        /// How often.
        attempts: u32,
    },
    /// The target refused it, and nothing was done there. Somebody has to say how to go on.
    Refused {
        /// What the target said.
        error: ServerMessage,
        /// How often.
        attempts: u32,
    },
}

/// How an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// It goes on.
    Running,
    /// It was cancelled, and what it did is being undone.
    Undoing,
    /// It is done.
    Finished,
    /// It was cancelled, and nothing is left of it.
    Cancelled,
    /// It was refused, and nothing of it was done, or is left.
    Refused,
    /// It ended half-done.
    GivenUp,
}

/// An operation as the topology remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its number.
    pub id: OperationId,
    /// What it is about.
    pub kind: OperationKind,
    /// Who began it.
    pub who: Box<str>,
    /// When it began.
    pub since: LogTime,
    /// When something was last heard of it.
    pub changed: LogTime,
    /// The term of the leader that took it last; 0: none has.
    pub term: Term,
    /// How it stands.
    pub state: OperationState,
    /// Its targets and how far each is; none for a move.
    #[serde(default)]
    pub targets: Vec<(Target, TargetState)>,
    /// What went wrong last.
    #[serde(default)]
    pub trouble: Option<Box<str>>,
    /// Why it was refused, if it was.
    #[serde(default)]
    pub refusal: Option<ServerMessage>,
    /// What the first target said besides.
    #[serde(default)]
    pub warnings: Vec<ServerMessage>,
}

impl Operation {
    /// Whether it goes on no further until somebody says how: a target refused it, and all others are done.
    pub fn needs_somebody(&self) -> bool {
        let is_refused = |state: &TargetState| matches!(state, TargetState::Refused { .. });
        let rests = |state: &TargetState| matches!(state, TargetState::Done { .. }) || is_refused(state);
        self.state == OperationState::Running
            && self.targets.iter().any(|(_, state)| is_refused(state))
            && self.targets.iter().all(|(_, state)| rests(state))
    }

    /// Whether whoever waits for it can be answered.
    pub fn is_settled(&self) -> bool {
        !self.state.is_open() || self.needs_somebody()
    }

    /// How many of its targets have it, and how many there are.
    pub fn progress(&self) -> (usize, usize) {
        let done = self.targets.iter().filter(|(_, state)| matches!(state, TargetState::Done { .. }));
        (done.count(), self.targets.len())
    }
}

impl fmt::Display for ServerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.state, self.text)
    }
}

impl OperationState {
    /// Whether there is something left to do.
    pub fn is_open(self) -> bool {
        matches!(self, OperationState::Running | OperationState::Undoing)
    }
}

impl MoveStep {
    /// The steps, in their order.
    pub const ALL: [MoveStep; 9] = [
        MoveStep::Prepare,
        MoveStep::Freeze,
        MoveStep::ShutOut,
        MoveStep::ResolveBranches,
        MoveStep::Fence,
        MoveStep::CatchUp,
        MoveStep::Flip,
        MoveStep::Revoke,
        MoveStep::Retire,
    ];

    /// The step after this one.
    pub fn next(self) -> Option<MoveStep> {
        MoveStep::ALL.into_iter().find(|step| *step > self)
    }

    /// Whether the move can still be cancelled during this step.
    pub fn is_before_flip(self) -> bool {
        self <= MoveStep::Flip
    }
}

impl fmt::Display for MoveStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MoveStep::Prepare => "prepare",
            MoveStep::Freeze => "freeze",
            MoveStep::ShutOut => "shut out",
            MoveStep::ResolveBranches => "resolve branches",
            MoveStep::Fence => "fence",
            MoveStep::CatchUp => "catch up",
            MoveStep::Flip => "flip",
            MoveStep::Revoke => "revoke",
            MoveStep::Retire => "retire",
        })
    }
}

impl fmt::Display for OperationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OperationState::Running => "running",
            OperationState::Undoing => "being undone",
            OperationState::Finished => "finished",
            OperationState::Cancelled => "cancelled",
            OperationState::Refused => "refused",
            OperationState::GivenUp => "given up",
        })
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {}", self.0)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Shard(shard) => shard.fmt(f),
            Target::Server(server) => server.fmt(f),
        }
    }
}
