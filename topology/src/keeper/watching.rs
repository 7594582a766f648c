//! One watcher of the map: what it is told next. It reads the shared feed at its own pace; nothing is kept for it but its place.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use podway_topology_api::StoreError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::codegen::Bytes;

use super::Keeper;
use super::leader::away;
use crate::feed::{FeedEvent, Mark, Next};
use crate::raft::machine::WatchSnapshot;

/// A watcher that has everything is told so this often.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// What a watcher is told, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A piece of the whole map.
    Snapshot {
        /// Of which revision.
        revision: u64,
        /// A `Vec<Change>`.
        changes: Bytes,
        /// Whether it is the last piece.
        last: bool,
    },
    /// A change.
    Event(FeedEvent),
    /// There is nothing newer here.
    Progress {
        /// Than this.
        revision: u64,
        /// At this time.
        log_time_ms: u64,
    },
}

/// A watcher's place.
pub struct Watching {
    keeper: Arc<Keeper>,
    /// What it has been told of.
    has: u64,
    phase: Phase,
    events: VecDeque<FeedEvent>,
    bell: watch::Receiver<Mark>,
    stopping: watch::Receiver<bool>,
    progress_at: Instant,
}

enum Phase {
    /// Nothing was said yet: a snapshot may be.
    Beginning,
    /// The pieces of a snapshot from this one on are still to be said.
    Whole(Arc<WatchSnapshot>, usize),
    /// Changes follow.
    Following,
}

impl Watching {
    /// From a revision on; 0 begins with the whole map.
    pub fn new(keeper: Arc<Keeper>, from: u64) -> Watching {
        let bell = keeper.machine.feed().subscribe();
        let stopping = keeper.stopping();
        Watching {
            keeper,
            has: from,
            phase: Phase::Beginning,
            events: VecDeque::new(),
            bell,
            stopping,
            progress_at: Instant::now(),
        }
    }

    /// What it is told next; waits for it. An error is the last thing said. Safe to cancel.
    pub async fn next(&mut self) -> Result<Told, StoreError> {
        loop {
            if let Phase::Whole(snapshot, place) = &self.phase {
                let (snapshot, place) = (snapshot.clone(), *place);
                return Ok(self.piece(&snapshot, place));
            }
            if let Some(event) = self.events.pop_front() {
                self.has = event.revision;
                return Ok(Told::Event(event));
            }
            self.bell.mark_unchanged();
            let next = if self.is_empty_handed() {
                Next::TooOld
            } else {
                self.keeper.machine.feed().after(self.has)
            };
            match next {
                Next::Events(events) => {
                    self.phase = Phase::Following;
                    self.events = events.into();
                }
                Next::TooOld => self.begin_anew().await?,
                Next::Nothing => {
                    self.phase = Phase::Following;
                    if let Some(told) = self.wait().await? {
                        return Ok(told);
                    }
                }
            }
        }
    }

    /// Whoever has nothing gets the whole map, also if the feed still had every change since the beginning.
    fn is_empty_handed(&self) -> bool {
        matches!(self.phase, Phase::Beginning) && self.has == 0
    }

    async fn begin_anew(&mut self) -> Result<(), StoreError> {
        // Once it follows, being overtaken means that it is too slow, or that this node had to be brought up to date as a whole.
        if !matches!(self.phase, Phase::Beginning) {
            return Err(StoreError::TooSlow);
        }
        self.phase = Phase::Whole(self.keeper.machine.watch_snapshot().await, 0);
        Ok(())
    }

    fn piece(&mut self, snapshot: &Arc<WatchSnapshot>, place: usize) -> Told {
        let last = place + 1 >= snapshot.pieces.len();
        self.phase = if last {
            self.has = snapshot.revision;
            Phase::Following
        } else {
            Phase::Whole(snapshot.clone(), place + 1)
        };
        let changes = snapshot.pieces.get(place).cloned().unwrap_or_else(|| Bytes::from_static(b"[]"));
        Told::Snapshot { revision: snapshot.revision, changes, last }
    }

    /// Waits until there may be something: `None` then, or that there is nothing.
    async fn wait(&mut self) -> Result<Option<Told>, StoreError> {
        tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stops| *stops) => Err(away("the node stops")),
            _ = self.bell.changed() => Ok(None),
            () = sleep_until(self.progress_at) => {
                if !self.keeper.is_in_touch() {
                    return Err(away("the node does not hear the leader"));
                }
                self.progress_at = Instant::now() + PROGRESS_EVERY;
                let revision = self.keeper.machine.feed().mark().revision;
                Ok(Some(Told::Progress { revision, log_time_ms: self.keeper.log_time().0 }))
            }
        }
    }
}
