//! The branches of a transaction that is ending: where each stands, and what a failure there leads to.

use podway_model::{HybridTime, ServerId};

use super::messages::{Action, Participant, Via};

/// The branches in the order in which they joined.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Branches(Vec<Branch>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Branch {
    server: ServerId,
    standing: Standing,
}

/// Where a branch stands. A crash of the coordinator closes its session, now or later.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Standing {
    /// ACTIVE, never asked to prepare. A crash rolls it back.
    Active,
    /// XA PREPARE was sent. A crash leaves it rolled back or prepared; then the resolver asks the primary.
    Preparing,
    /// It said that it is prepared. It stays so after a crash until the resolver asks the primary.
    Prepared(HybridTime),
    /// XA PREPARE or what went with it was refused: in any state, on a session that lives. As Preparing.
    Refused,
    /// The session was lost with XA PREPARE sent: prepared, or rolled back, or to be prepared yet. As Preparing.
    Lost,
    /// The floor is being written; the decision is C. A crash leaves it prepared, and the resolver does the same.
    Flooring(HybridTime),
    /// XA COMMIT was sent; the decision is C. As Flooring.
    Committing(Via),
    /// XA ROLLBACK was sent; no C exists, nor ever will. A crash leaves it rolled back or prepared; the resolver finds or makes the tombstone.
    RollingBack(Via),
    /// XA END and XA ROLLBACK were sent to a branch that was never prepared. A crash rolls it back.
    Releasing,
    /// Nothing more to do here.
    Finished,
    /// Perhaps still prepared: the resolver's.
    Left,
}

impl Branches {
    pub fn new(participants: &[Participant]) -> Branches {
        let active = |branch: &Participant| Branch { server: branch.server, standing: Standing::Active };
        Branches(participants.iter().map(active).collect())
    }

    /// Begins to prepare those of these servers.
    pub fn prepare(&mut self, servers: &[ServerId], stamp: HybridTime, actions: &mut Vec<Action>) {
        for branch in self.0.iter_mut().filter(|branch| servers.contains(&branch.server)) {
            branch.standing = Standing::Preparing;
            actions.push(Action::Prepare { server: branch.server, stamp });
        }
    }

    /// The branch said that it is prepared. Whether it was waited for.
    pub fn prepared(&mut self, server: ServerId, highest: HybridTime) -> bool {
        self.preparation_ended(server, Standing::Prepared(highest))
    }

    /// Its preparation was refused. Whether it was waited for.
    pub fn refused(&mut self, server: ServerId) -> bool {
        self.preparation_ended(server, Standing::Refused)
    }

    /// It was lost during preparation. Whether it was waited for.
    pub fn lost(&mut self, server: ServerId) -> bool {
        self.preparation_ended(server, Standing::Lost)
    }

    fn preparation_ended(&mut self, server: ServerId, standing: Standing) -> bool {
        match self.find(server) {
            Some(branch) if branch.standing == Standing::Preparing => {
                branch.standing = standing;
                true
            }
            _ => false,
        }
    }

    /// The highest stamp of those that were to prepare; none while one of them has not said that it is prepared.
    pub fn highest(&self) -> Option<HybridTime> {
        let mut highest = HybridTime::default();
        for branch in &self.0 {
            match branch.standing {
                Standing::Prepared(there) => highest = highest.max(there),
                Standing::Active => {}
                _ => return None,
            }
        }
        Some(highest)
    }

    /// Those that were never asked to prepare.
    pub fn active(&self) -> impl Iterator<Item = ServerId> {
        self.0.iter().filter(|branch| branch.standing == Standing::Active).map(|branch| branch.server)
    }

    /// Gives up waiting for preparations: they may succeed all the same.
    pub fn drop_preparing(&mut self, actions: &mut Vec<Action>) {
        for branch in self.0.iter_mut().filter(|branch| branch.standing == Standing::Preparing) {
            branch.standing = Standing::Lost;
            actions.push(Action::Drop { server: branch.server });
        }
    }

    /// Commits those that are prepared, after a floor if there is to be one.
    pub fn commit(&mut self, floor: Option<HybridTime>, actions: &mut Vec<Action>) {
        for branch in &mut self.0 {
            if !matches!(branch.standing, Standing::Prepared(_)) {
                continue;
            }
            match floor {
                Some(stamp) => {
                    branch.standing = Standing::Flooring(stamp);
                    actions.push(Action::Floor { server: branch.server, stamp });
                }
                None => branch.commit(Via::Session, actions),
            }
        }
    }

    /// Rolls back those that may be prepared, as soon as nothing is outstanding there.
    pub fn roll_back(&mut self, actions: &mut Vec<Action>) {
        for branch in &mut self.0 {
            match branch.standing {
                Standing::Prepared(_) | Standing::Refused => branch.roll_back(Via::Session, actions),
                Standing::Lost => branch.roll_back(Via::Side, actions),
                _ => {}
            }
        }
    }

    /// What was outstanding at the server was done.
    pub fn done(&mut self, server: ServerId, actions: &mut Vec<Action>) {
        let Some(branch) = self.find(server) else { return };
        match branch.standing {
            Standing::Flooring(_) => branch.commit(Via::Session, actions),
            Standing::Committing(_) | Standing::RollingBack(_) | Standing::Releasing => {
                branch.standing = Standing::Finished;
            }
            _ => {}
        }
    }

    /// What was outstanding at the server failed, with the connection or with an error (`lives`): there is one more way. A commit is tried until it is late: who was told OK is to
    /// find what was written.
    pub fn failed(&mut self, server: ServerId, lives: bool, actions: &mut Vec<Action>) {
        let Some(branch) = self.find(server) else { return };
        let session = matches!(
            branch.standing,
            Standing::Committing(Via::Session) | Standing::RollingBack(Via::Session) | Standing::Releasing
        );
        if session && lives {
            actions.push(Action::Drop { server });
        }
        match branch.standing {
            Standing::Committing(_) => branch.commit(Via::Side, actions),
            Standing::Flooring(stamp) => actions.push(Action::Floor { server, stamp }),
            Standing::RollingBack(Via::Session) => branch.roll_back(Via::Side, actions),
            Standing::RollingBack(Via::Side) => branch.standing = Standing::Left,
            Standing::Releasing => branch.standing = Standing::Finished,
            _ => {}
        }
    }

    /// Leaves to the resolver what is not finished, and gives up waiting for it.
    pub fn leave(&mut self, actions: &mut Vec<Action>) {
        for branch in &mut self.0 {
            let (session, next) = match branch.standing {
                Standing::Active | Standing::Finished | Standing::Left => continue,
                Standing::Releasing => (true, Standing::Finished),
                Standing::Preparing | Standing::Refused => (true, Standing::Left),
                Standing::Committing(via) | Standing::RollingBack(via) => {
                    (via == Via::Session, Standing::Left)
                }
                // Its session is lost, or free since it is prepared.
                Standing::Lost | Standing::Prepared(_) | Standing::Flooring(_) => (false, Standing::Left),
            };
            branch.standing = next;
            if session {
                actions.push(Action::Drop { server: branch.server });
            }
        }
    }

    /// Releases those that were never asked to prepare.
    pub fn release(&mut self, actions: &mut Vec<Action>) {
        for branch in self.0.iter_mut().filter(|branch| branch.standing == Standing::Active) {
            branch.standing = Standing::Releasing;
            actions.push(Action::Release { server: branch.server });
        }
    }

    /// This one is gone, or finished: nothing more is to be done there.
    pub fn finish(&mut self, server: ServerId) {
        if let Some(branch) = self.find(server) {
            branch.standing = Standing::Finished;
        }
    }

    /// Whether nothing is outstanding.
    pub fn are_settled(&self) -> bool {
        let settled = |branch: &Branch| {
            matches!(branch.standing, Standing::Active | Standing::Finished | Standing::Left)
        };
        self.0.iter().all(settled)
    }

    /// Those that are the resolver's.
    pub fn left(&self) -> Vec<ServerId> {
        let left = self.0.iter().filter(|branch| branch.standing == Standing::Left);
        left.map(|branch| branch.server).collect()
    }

    fn find(&mut self, server: ServerId) -> Option<&mut Branch> {
        self.0.iter_mut().find(|branch| branch.server == server)
    }
}

impl Branch {
    fn commit(&mut self, via: Via, actions: &mut Vec<Action>) {
        self.standing = Standing::Committing(via);
        actions.push(Action::CommitBranch { server: self.server, via });
    }

    fn roll_back(&mut self, via: Via, actions: &mut Vec<Action>) {
        self.standing = Standing::RollingBack(via);
        actions.push(Action::RollBackBranch { server: self.server, via });
    }
}
