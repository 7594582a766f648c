//! Whether this node is in touch with a majority: if not, its state may be old, and it must not pass for a source of news.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

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
        if self.leads_a_majority() {
            self.note_leader();
        }
        self.touch.0.lock().elapsed() < TOUCH_WITHIN
    }

    fn leads_a_majority(&self) -> bool {
        let metrics = self.raft.metrics();
        let known = metrics.borrow();
        if known.current_leader != Some(self.myself.node) {
            return false;
        }
        let mut voters = known.membership_config.voter_ids();
        let is_alone = voters.next() == Some(self.myself.node) && voters.next().is_none();
        let within = known.millis_since_quorum_ack.is_some_and(|ms| Duration::from_millis(ms) < TOUCH_WITHIN);
        is_alone || within
    }

    /// Whether this node leads, as far as it knows.
    pub fn is_leader(&self) -> bool {
        self.raft.server_metrics().borrow().current_leader == Some(self.myself.node)
    }
}
