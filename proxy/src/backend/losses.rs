//! Connections that a server ended beside us, and the pause that they are worth. Decides only.
//!
//! A proxy that is out of touch with the topology may be shut out: the topology kills its connections until there is none. It cannot know that, and goes on; if it
//! came back at once for each that is killed, there would never be none. So where a server ends several within a short time, new ones are not opened at once.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Losses further apart have nothing to do with each other.
const TOGETHER: Duration = Duration::from_secs(1);
/// So many together are no accident.
const SEVERAL: u32 = 3;
/// The pause: anywhere between these, so that not all come back in one moment.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(400));

/// What one server ended of late.
#[derive(Debug, Default)]
pub(super) struct Losses(Mutex<Option<Run>>);

/// Losses that came together.
#[derive(Clone, Copy, Debug)]
struct Run {
    last: Instant,
    count: u32,
}

impl Losses {
    /// A connection was ended by the server.
    pub(super) fn note(&self, now: Instant) {
        let mut run = self.0.lock();
        let count = match *run {
            Some(Run { last, count }) if now.saturating_duration_since(last) < TOGETHER => {
                count.saturating_add(1)
            }
            _ => 1,
        };
        *run = Some(Run { last: now, count });
    }

    /// How long to wait before a connection is opened; `chance` is anywhere from 0 to 1.
    pub(super) fn pause(&self, now: Instant, chance: f64) -> Duration {
        match *self.0.lock() {
            Some(Run { last, count })
                if count >= SEVERAL && now.saturating_duration_since(last) < TOGETHER =>
            {
                PAUSE.0 + (PAUSE.1 - PAUSE.0).mul_f64(chance)
            }
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_losses_together_are_worth_a_pause_for_a_while() {
        let (losses, start) = (Losses::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(losses.pause(at(0), 0.5), Duration::ZERO, "nothing was lost");
        losses.note(at(0));
        losses.note(at(900));
        assert_eq!(losses.pause(at(900), 0.5), Duration::ZERO, "two may be an accident");
        losses.note(at(1_800));
        assert_eq!(losses.pause(at(1_800), 0.0), PAUSE.0);
        assert_eq!(losses.pause(at(2_700), 1.0), PAUSE.1);
        assert_eq!(losses.pause(at(2_800), 1.0), Duration::ZERO, "that is over");
        losses.note(at(2_900));
        assert_eq!(losses.pause(at(2_900), 1.0), Duration::ZERO, "it begins anew");
    }
}
