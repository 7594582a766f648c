//! Hybrid logical time: 64 bits that follow the wall clock as closely as they can and rise with every event and every message, whatever the clocks do
//! (Kulkarni et al., "Logical Physical Clocks", OPODIS 2014). The algorithm is uhlc's; what the wall clock says is passed in, so nothing here reads one.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uhlc::{HLC, HLCBuilder, ID, NTP64, Timestamp, zero_clock};

/// A moment of hybrid time: seconds since 1970 in the upper 32 bits and parts of one below, of which the last four bits count what happens within
/// one tick (NTP's 64-bit format, RFC 5905 §6). Good until 2106.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HybridTime(pub u64);

/// A hybrid clock: each moment that it gives is later than all that it gave or was told before.
pub struct HybridClock {
    hlc: HLC,
}

/// Another clock's moment that is too far ahead to be believed; it was not taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a clock is {} ms ahead, which is more than the {} ms that are believed", .ahead.as_millis(), HybridClock::MOST_AHEAD.as_millis())]
pub struct TooFarAhead {
    /// How far it is ahead of the wall clock here.
    pub ahead: Duration,
}

impl HybridTime {
    /// The wall clock's time since 1970; later than 2106 counts as that.
    pub fn at(since_1970: Duration) -> HybridTime {
        let most = Duration::from_secs(u64::from(u32::MAX));
        HybridTime(NTP64::from(since_1970.min(most)).as_u64())
    }

    /// How long after 1970 it is.
    pub fn since_1970(self) -> Duration {
        NTP64(self.0).to_duration()
    }

    /// How far it is after another moment; zero if it is not.
    pub fn ahead_of(self, other: HybridTime) -> Duration {
        self.since_1970().saturating_sub(other.since_1970())
    }
}

impl HybridClock {
    /// What another clock may be ahead of the wall clock here and be taken over: a clock that runs wild must not take all others with it.
    pub const MOST_AHEAD: Duration = Duration::from_millis(500);

    /// A clock that was told nothing yet.
    pub fn new() -> HybridClock {
        let everything = Duration::from_secs(u64::from(u32::MAX));
        let hlc = HLCBuilder::new().with_clock(zero_clock).with_max_delta(everything).with_id(ID::rand());
        HybridClock { hlc: hlc.build() }
    }

    /// The next moment. `wall`: the wall clock's time since 1970; it may stand still or step back.
    pub fn now(&self, wall: Duration) -> HybridTime {
        self.take_over(HybridTime::at(wall));
        HybridTime(self.hlc.new_timestamp().get_time().as_u64())
    }

    /// Takes another clock's moment over: what this one gives from now on is later. Refused if that is too far ahead of the wall clock here.
    pub fn observe(&self, other: HybridTime, wall: Duration) -> Result<(), TooFarAhead> {
        let ahead = other.ahead_of(HybridTime::at(wall));
        if ahead > HybridClock::MOST_AHEAD {
            return Err(TooFarAhead { ahead });
        }
        self.take_over(other);
        Ok(())
    }

    /// A moment later than one that cannot be doubted, because something that has happened bears it, however far it is ahead of the wall clock here.
    pub fn after(&self, other: HybridTime, wall: Duration) -> HybridTime {
        self.take_over(other);
        self.now(wall)
    }

    /// Takes over a moment that cannot be doubted: what this one gives from now on is later.
    pub fn merge(&self, other: HybridTime) {
        self.take_over(other);
    }

    fn take_over(&self, time: HybridTime) {
        // uhlc itself believes everything up to 2106: how much is believed was decided above.
        let _believed = self.hlc.update_with_timestamp(&Timestamp::new(NTP64(time.0), *self.hlc.get_id()));
    }
}

impl fmt::Debug for HybridClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HybridClock({})", self.hlc.get_id())
    }
}

impl Default for HybridClock {
    fn default() -> HybridClock {
        HybridClock::new()
    }
}

impl fmt::Display for HybridTime {
    /// As 16 digits that sort as the moments do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Duration = Duration::from_secs(1_800_000_000);
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn moments_rise_whatever_the_wall_clock_does() {
        let clock = HybridClock::new();
        let walls = [NOON, NOON, NOON - 5 * MS, NOON + MS, NOON + MS, NOON - 3600 * 1000 * MS, NOON + 2 * MS];
        let moments: Vec<HybridTime> = walls.iter().map(|wall| clock.now(*wall)).collect();
        assert!(moments.is_sorted_by(|a, b| a < b), "{moments:?}");
        let last = moments[walls.len() - 1].since_1970();
        assert!(last >= NOON + 2 * MS && last < NOON + 3 * MS, "it follows the wall clock: {last:?}");
    }

    #[test]
    fn a_message_is_later_than_what_its_sender_knew() {
        let (slow, fast) = (HybridClock::new(), HybridClock::new());
        let sent = fast.now(NOON + 400 * MS);
        slow.observe(sent, NOON).unwrap();
        assert!(slow.now(NOON) > sent);
        assert!(slow.now(NOON + 300 * MS) > sent);
    }

    #[test]
    fn a_clock_that_runs_wild_is_not_believed() {
        let clock = HybridClock::new();
        let before = clock.now(NOON);
        let wild = HybridTime::at(NOON + 3_600_000 * MS);
        let refused = clock.observe(wild, NOON).unwrap_err();
        assert!(refused.ahead.as_secs() == 3_600 || refused.ahead.as_secs() == 3_599, "{refused}");
        let after = clock.now(NOON);
        assert!(after > before && after < wild);
        // At the bound it still is.
        clock.observe(HybridTime::at(NOON + 499 * MS), NOON).unwrap();
        assert!(clock.now(NOON).since_1970() >= NOON + 498 * MS);
    }

    #[test]
    fn a_clock_behind_is_no_news() {
        let clock = HybridClock::new();
        let before = clock.now(NOON);
        clock.observe(HybridTime::at(NOON - 3_600_000 * MS), NOON).unwrap();
        clock.observe(HybridTime::default(), NOON).unwrap();
        assert!(clock.now(NOON) > before);
    }

    #[test]
    fn printed_moments_sort_as_they_happened() {
        let (early, late) = (HybridTime(0x0fff_ffff_ffff_ffff), HybridTime(0x1000_0000_0000_0000));
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(early.to_string().len(), 16);
    }

    #[test]
    fn after_the_last_second_time_stands_still_but_rises() {
        let clock = HybridClock::new();
        let end = Duration::from_secs(u64::MAX);
        let first = clock.now(end);
        assert!(clock.now(end) > first);
    }
}
