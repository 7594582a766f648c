//! What the coordinator asks of its driver, and what it is told.

use podway_model::{Gtrid, HybridTime, ServerId};

/// A server that takes part in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Participant {
    /// Which one.
    pub server: ServerId,
    /// Whether it may have been written to; if in doubt, yes.
    pub wrote: bool,
}

/// A transaction that is to end. No server is in it twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Participants {
    /// Its id.
    pub gtrid: Gtrid,
    /// The first server: a plain transaction is open there.
    pub primary: Participant,
    /// The others: a branch is ACTIVE on each.
    pub branches: Vec<Participant>,
}

impl Participants {
    /// Whether its commit has a stamp: several servers were written to.
    pub fn needs_stamp(&self) -> bool {
        let branches = self.branches.iter().filter(|branch| branch.wrote).count();
        branches + usize::from(self.primary.wrote) > 1
    }
}

/// On which connection a branch is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// The one that the branch's statements ran on.
    Session,
    /// Another one to that server, of our own account. That none can be had counts as [`Event::Lost`].
    Side,
}

/// What a driver is to do. At most one action is outstanding per server, not counting those of side connections
/// ([`Action::HighestElsewhere`], [`Action::Ask`]); all actions of one list can run at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Primary: `COMMIT AND NO CHAIN NO RELEASE`. Answered by Done, Refused or Lost, like all that name no other event.
    CommitPlain,
    /// Primary: `ROLLBACK AND NO CHAIN NO RELEASE`.
    RollBackPrimary,
    /// Branch: `XA END`, `XA COMMIT … ONE PHASE`, on its session.
    CommitOnePhase {
        /// The only server that was written to.
        server: ServerId,
    },
    /// Branch that was never sent XA PREPARE: `XA END` (whose error counts for nothing), `XA ROLLBACK`, on its session.
    Release {
        /// The branch's server.
        server: ServerId,
    },
    /// Side connections to the primary and to the branches that only read: `SELECT MAX(ts) FROM _podway.mark`, the highest of all. What was read there is to have the earlier stamp as
    /// well. Answered by Highest or HighestFailed.
    HighestElsewhere,
    /// Branch: mark, `XA END`, `XA PREPARE`, highest, on its session. Answered by Prepared, Refused or Lost.
    Prepare {
        /// The branch's server.
        server: ServerId,
        /// The mark's stamp.
        stamp: HybridTime,
    },
    /// A hybrid time later than this one, which a server has committed already and is to be believed. Answered by Stamp.
    NewStamp {
        /// The highest stamp of all participants.
        after: HybridTime,
    },
    /// Primary: the procedure that writes the decision and commits. The commit point.
    Decide {
        /// The commit stamp.
        stamp: HybridTime,
    },
    /// Side connection to the primary: write the tombstone or read the decision. Answered by Ruled or RulingFailed. Asked again after a failure
    /// without a limit: the driver paces it.
    Ask,
    /// Side connection to a branch's server: a mark with this stamp under [`Gtrid::floor`], committed. That it exists already is Done.
    Floor {
        /// The branch's server.
        server: ServerId,
        /// The commit stamp.
        stamp: HybridTime,
    },
    /// Branch: `XA COMMIT`. That the server does not know the xid (1397) is Done: it was prepared, so another has committed it.
    CommitBranch {
        /// The branch's server.
        server: ServerId,
        /// On which connection.
        via: Via,
    },
    /// Branch that may be prepared: `XA ROLLBACK`; on its session `XA END` before it, whose error counts for nothing. 1397 is Done.
    RollBackBranch {
        /// The branch's server.
        server: ServerId,
        /// On which connection.
        via: Via,
    },
    /// Close the session's connection to this server; nothing more is sent on it and no event of it is told any more.
    Drop {
        /// The server.
        server: ServerId,
    },
    /// The end, exactly once: what the client is told. What is outstanding on side connections counts no more.
    Answer(Outcome),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// What was outstanding at this server was done.
    Done(ServerId),
    /// The server answered it with an error; its connection lives. For Prepare: any of its packets was refused, all were answered.
    Refused(ServerId),
    /// The connection that it ran on is gone and closed, or the server said that it was killed or is shutting down (1053, 1317, 1927, 3169, 4031) and
    /// the driver closed it. What was outstanding may have happened, or may still happen.
    Lost(ServerId),
    /// The branch is prepared.
    Prepared {
        /// Its server.
        server: ServerId,
        /// The highest stamp there.
        highest: HybridTime,
    },
    /// The highest stamp at the primary.
    Highest(HybridTime),
    /// It could not be read.
    HighestFailed,
    /// The stamp that was asked for; if it is not later than `after`, nothing commits.
    Stamp(HybridTime),
    /// What the primary holds of the transaction, for good.
    Ruled(Ruling),
    /// It could not be found out: a lock wait, or no connection.
    RulingFailed,
    /// The deadline of the current [`Phase`](super::Phase) has passed. Each one leads to the next phase.
    Late,
}

/// What the decision row at the primary says: it is unique, and its committed value never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ruling {
    /// Committed, with this stamp.
    Committed(HybridTime),
    /// A tombstone: never to be committed.
    Aborted,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Committed.
    Committed {
        /// The commit stamp, if more than one server was written to.
        stamp: Option<HybridTime>,
        /// Where the commit is not known to have arrived: the resolver finishes it.
        in_doubt_elsewhere: Vec<ServerId>,
    },
    /// Nothing of it is committed anywhere, nor ever will be. Branches may still be prepared: the resolver rolls them back.
    RolledBack {
        /// What it failed on.
        why: Why,
    },
    /// Nobody here knows. After two phases the resolver will finish it, one way everywhere. After one phase, no decision exists that anybody could ask
    /// for: what the one server did stands.
    Unknown,
}

/// Why a transaction was rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The client said ROLLBACK.
    Client,
    /// This server's error, which the driver has.
    Refused(ServerId),
    /// The connection to this server was lost.
    Lost(ServerId),
    /// The highest stamp at the primary could not be read, or no stamp after the highest was to be had.
    Stamp,
    /// It took too long.
    Late,
}
