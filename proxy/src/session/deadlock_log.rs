//! What a proxy remembers of deadlocks over several servers, for people: the last ones, and which servers do not show theirs. Finding them is not done here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use parking_lot::Mutex;
use podway_model::{Gtrid, ServerId};

use crate::txn::Unseen;

/// Deadlocks that are remembered.
const REMEMBERED: usize = 20;

/// What is known of deadlocks over several servers.
#[derive(Default)]
pub struct Deadlocks {
    last: Mutex<VecDeque<FoundDeadlock>>,
    unseen: Mutex<BTreeMap<ServerId, String>>,
}

/// A deadlock that was found.
#[derive(Clone, Debug)]
pub struct FoundDeadlock {
    /// When.
    pub at: Instant,
    /// Everybody in it, the victim first; each waits for the next, the last for the victim.
    pub members: Vec<FoundMember>,
}

/// One of those that waited.
#[derive(Clone, Debug)]
pub struct FoundMember {
    /// Its transaction, if it is over several servers.
    pub gtrid: Option<Gtrid>,
    /// On which server it waited.
    pub server: ServerId,
    /// Its session, if that is of this proxy.
    pub session: Option<u32>,
    /// What it ran.
    pub statement: Vec<u8>,
}

impl Deadlocks {
    /// The last ones, the newest first.
    pub fn last(&self) -> Vec<FoundDeadlock> {
        self.last.lock().iter().cloned().collect()
    }

    /// Why a server does not show who waits for whom; none if it does.
    pub fn unseen(&self, server: ServerId) -> Option<String> {
        self.unseen.lock().get(&server).cloned()
    }

    /// How many servers do not.
    pub fn unseen_count(&self) -> usize {
        self.unseen.lock().len()
    }

    /// Forgets the other servers.
    pub fn keep_only(&self, is_kept: impl Fn(ServerId) -> bool) {
        self.unseen.lock().retain(|server, _| is_kept(*server));
    }

    /// Remembers one, unless it is known by its victim.
    pub fn note(&self, found: FoundDeadlock) {
        let victim = |found: &FoundDeadlock| found.members.first().and_then(|member| member.gtrid);
        let mut last = self.last.lock();
        if last.iter().any(|known| victim(known) == victim(&found)) {
            return;
        }
        last.push_front(found);
        last.truncate(REMEMBERED);
    }

    /// Whether a server has shown who waits for whom.
    pub fn note_seen(&self, server: ServerId, seen: Result<(), &Unseen>) {
        let mut unseen = self.unseen.lock();
        match seen {
            Ok(()) => drop(unseen.remove(&server)),
            Err(why) => {
                let why = why.to_string();
                if unseen.get(&server) != Some(&why) {
                    tracing::warn!(server = server.0, %why, "deadlocks over several servers are not seen on a server: lock timeouts end them");
                }
                unseen.insert(server, why);
            }
        }
    }
}
