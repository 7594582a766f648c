//! What a proxy tells of its machine's clock with each heartbeat. Measured elsewhere.

use podway_model::ServerId;
use serde::{Deserialize, Serialize};

/// What a proxy knows of its machine's clock, in microseconds: ahead is positive, behind negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClockReport {
    /// Its offset from the topology leader's, and how far from that the truth may be.
    pub topology: Option<(i64, i64)>,
    /// The server from whose clock it is furthest, and by how much.
    pub furthest: Option<(ServerId, i64)>,
    /// How often it was set back since the proxy started.
    pub steps_back: u64,
    /// It is so far ahead of most others that the proxy makes no stamps of it.
    pub is_too_far_ahead: bool,
}
