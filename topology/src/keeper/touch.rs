//! Whether this node is in touch with a majority: if not, its state may be old, and it must not pass for a source of news.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::Keeper;

/// Out of touch for longer, a node ends its watches: their readers find a better one.
pub const TOUCH_WITHIN: Duration = Duration::from_secs(3);

/// When the node last had to do with a leader.
#[derive(Debug)]
pub struct Touch(Mutex<Instant>);

impl Default for Touch {
    fn default() -> Touch {
        Touch(Mutex::new(Instant::now()))
    }
}

impl Keeper {
    /// Notes that a leader's entries were taken.
    pub fn note_leader(&self) {
        *self.touch.0.lock() = Instant::now();
    }

    /// Whether a leader was heard, or a majority heard this leader, within [`TOUCH_WITHIN`].
    pub fn is_in_touch(&self) -> bool {
        if self.is_leader() && self.has_majority_within(TOUCH_WITHIN) {
            self.note_leader();
        }
        self.touch.0.lock().elapsed() < TOUCH_WITHIN
    }

    /// Whether a majority, with this node as its leader, answered within a time.
    fn has_majority_within(&self, within: Duration) -> bool {
        let metrics = self.raft.metrics();
        let known = metrics.borrow();
        let mut voters = known.membership_config.voter_ids();
        let is_alone = voters.next() == Some(self.myself.node) && voters.next().is_none();
        is_alone || known.millis_since_quorum_ack.is_some_and(|ms| Duration::from_millis(ms) < within)
    }

    /// Has this node, while it leads and no majority answers it, fall silent for a time in which the others can elect another. openraft's leaders
    /// lead until they hear of a later one: one that is heard but does not hear would stop all changes for good.
    pub async fn give_way_when_deaf(self: Arc<Keeper>) {
        let lease = self.tuning.election_max;
        let mut stopping = self.stopping();
        let mut answered = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = sleep(lease / 4) => {}
                _ = stopping.wait_for(|stops| *stops) => return,
            }
            if !self.is_leader() || self.has_majority_within(lease) {
                answered = Instant::now();
            }
            if answered.elapsed() < 2 * lease {
                continue;
            }
            tracing::warn!("no majority answers this leader: it lets the others elect another");
            self.peers.set_quiet(true);
            // The others' lease has to end, and an election to begin and to succeed.
            sleep(3 * lease).await;
            self.peers.set_quiet(false);
            answered = Instant::now();
        }
    }

    /// Whether this node leads, as far as it knows.
    pub fn is_leader(&self) -> bool {
        self.raft.server_metrics().borrow().current_leader == Some(self.myself.node)
    }
}
