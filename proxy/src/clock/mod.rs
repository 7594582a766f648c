//! This machine's clock, and the stamps that are made of it. The time of day comes through a seam ([`WallClock`]); it is compared with the topology's and with each
//! server's ([`Comparison`], without I/O; whoever talks to them brings the samples), and while it is too far ahead of most of them no stamps are made of it.
//!
//! Reading order: `wall` → `compare` → [`StampClock`].

mod compare;
mod wall;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use podway_model::{HybridClock, HybridTime, TooFarAhead};

use compare::{Comparison, Sample, Step};
pub use compare::{Offset, Peer, Standing};
pub use wall::WallClock;

/// Two clocks are read at one moment if no more than this passes between …
const AT_ONCE: Duration = Duration::from_millis(1);
/// … which is tried so often.
const READINGS: usize = 8;

/// The clock of transactions' ids and stamps.
///
/// What others' stamps say is always taken over from servers, where it is committed, and up to [`HybridClock::MOST_AHEAD`] from anybody else. What this machine's own clock says
/// is taken over only while it is not known to be too far ahead: once taken over it could not be taken back before the process ends.
#[derive(Debug)]
pub struct StampClock {
    wall: WallClock,
    /// From when on the clock counts that only counts on.
    begun: Instant,
    hybrid: HybridClock,
    compared: Mutex<Comparison>,
    most_ahead_us: AtomicU64,
    /// How often the time of day was set, either way.
    steps: AtomicU64,
    steps_back: AtomicU64,
    refused: AtomicU64,
    was_too_far: AtomicBool,
    /// Those whose clocks are said to be apart from this one.
    told: Mutex<BTreeSet<Peer>>,
    is_deaf: bool,
}

/// A reading of this clock, before another one is asked for its own.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    wall: Duration,
    at: Instant,
    steps: u64,
}

/// Why no stamp was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoStamp {
    /// Most other clocks are behind.
    #[error("this proxy's clock is {} ms ahead of most of the cluster's, which is more than max_clock_ahead ({} ms)", .by.as_millis(), .bound.as_millis())]
    Ahead {
        /// By how much it is ahead.
        by: Duration,
        /// By how much it may be.
        bound: Duration,
    },
    /// No other clock is known.
    #[error("this proxy's clock could not be compared with any server's")]
    Unmeasured,
    /// What is committed on a server is not known.
    #[error("the stamps of a server of the transaction could not be read")]
    Unheard,
}

impl Default for StampClock {
    fn default() -> StampClock {
        StampClock::new(WallClock::default())
    }
}

impl StampClock {
    /// How far the time of day may be ahead of most others' if nobody says: half of what others believe.
    pub const MOST_AHEAD: Duration = Duration::from_millis(HybridClock::MOST_AHEAD.as_millis() as u64 / 2);

    /// A clock that has been compared with nobody yet.
    pub fn new(wall: WallClock) -> StampClock {
        StampClock {
            wall,
            begun: Instant::now(),
            hybrid: HybridClock::new(),
            compared: Mutex::default(),
            most_ahead_us: AtomicU64::new(StampClock::MOST_AHEAD.as_micros() as u64),
            steps: AtomicU64::new(0),
            steps_back: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            was_too_far: AtomicBool::new(false),
            told: Mutex::default(),
            is_deaf: false,
        }
    }

    /// One that does not take over what servers have: the control by which a test shows that stamps go wrong so. Never for a real proxy.
    #[doc(hidden)]
    pub fn deaf(wall: WallClock) -> StampClock {
        StampClock { is_deaf: true, ..StampClock::new(wall) }
    }

    /// Sets how far the time of day may be ahead of most others'.
    pub fn set_most_ahead(&self, bound: Duration) {
        self.most_ahead_us.store(u64::try_from(bound.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How far the time of day may be ahead of most others'.
    pub fn most_ahead(&self) -> Duration {
        Duration::from_micros(self.most_ahead_us.load(Ordering::Relaxed))
    }

    /// This machine's time since 1970.
    pub fn wall(&self) -> Duration {
        let (wall, counted) = self.read();
        if let Some(counted) = counted
            && let Some(step) = self.compared.lock().read(wall, counted)
        {
            self.steps.fetch_add(1, Ordering::Relaxed);
            match step {
                Step::Back(by) => {
                    self.steps_back.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(?by, "this machine's clock was set back; stamps go on from the last one");
                }
                Step::Forward(by) => {
                    tracing::warn!(?by, "this machine's clock was set forward, or the machine slept");
                }
            }
        }
        wall
    }

    /// The time of day, and the clock that only counts on at the same moment; none where this thread was kept waiting between the two each time.
    fn read(&self) -> (Duration, Option<Duration>) {
        let mut tries = 0;
        loop {
            let before = self.begun.elapsed();
            let wall = self.wall.now();
            let after = self.begun.elapsed();
            tries += 1;
            if after - before <= AT_ONCE {
                return (wall, Some(before));
            }
            if tries == READINGS {
                return (wall, None);
            }
        }
    }

    /// What others' clocks say of this machine's.
    pub fn standing(&self) -> Standing {
        self.wall();
        self.compared.lock().standing(self.begun.elapsed(), self.most_ahead())
    }

    /// This machine's time since 1970, less what it is too far ahead.
    pub fn believed(&self) -> Duration {
        let wall = self.wall();
        match self.standing() {
            Standing::TooFarAhead(by) => wall.saturating_sub(by),
            Standing::Good | Standing::Unmeasured => wall,
        }
    }

    /// A moment for names and heartbeats, whatever the clock is worth. What is not known to be right leaves no trace.
    pub fn moment(&self) -> HybridTime {
        match self.standing() {
            Standing::Unmeasured => HybridTime::at(self.wall()),
            Standing::Good | Standing::TooFarAhead(_) => self.hybrid.now(self.believed()),
        }
    }

    /// A stamp later than all that were made or taken over before.
    pub fn stamp(&self) -> Result<HybridTime, NoStamp> {
        let refused = match self.standing() {
            Standing::Good => return Ok(self.hybrid.now(self.wall())),
            Standing::TooFarAhead(by) => NoStamp::Ahead { by, bound: self.most_ahead() },
            Standing::Unmeasured => NoStamp::Unmeasured,
        };
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(refused)
    }

    /// A stamp later than one that is committed, and so cannot be doubted.
    pub fn after(&self, committed: HybridTime) -> HybridTime {
        self.hybrid.after(committed, self.believed())
    }

    /// Takes over a stamp that a server has: it is committed, and stamps from now on are later, however far it is ahead.
    pub fn merge(&self, committed: HybridTime) {
        self.hybrid.merge(self.heard(committed));
    }

    /// The highest stamp that a server has, as far as it counts.
    pub fn heard(&self, committed: HybridTime) -> HybridTime {
        if self.is_deaf { HybridTime::default() } else { committed }
    }

    /// Takes over a moment that somebody tells; refused if it is too far ahead.
    pub fn observe(&self, other: HybridTime) -> Result<(), TooFarAhead> {
        self.hybrid.observe(other, self.believed())
    }

    /// Has a moment come after this one: nothing to do where the clock is past it, however far that is ahead of the time of day.
    pub fn come_after(&self, other: HybridTime) -> Result<(), TooFarAhead> {
        match self.hybrid.now(Duration::ZERO) > other {
            true => Ok(()),
            false => self.observe(other),
        }
    }

    /// Reads this clock before another one is asked.
    pub fn ask(&self) -> Asked {
        let wall = self.wall();
        Asked { wall, at: Instant::now(), steps: self.steps.load(Ordering::Relaxed) }
    }

    /// Takes the answer, which has just come: when the other clock heard the question and when it answered (since 1970), and to what these are cut off.
    pub fn compare(&self, peer: Peer, asked: Asked, [heard, answered]: [Duration; 2], resolution: Duration) {
        let sample = Sample { sent: asked.wall, took: asked.at.elapsed(), heard, answered, resolution };
        self.wall();
        if self.steps.load(Ordering::Relaxed) != asked.steps {
            return;
        }
        let counted = self.begun.elapsed();
        self.compared.lock().take(peer, sample, counted);
        self.tell();
    }

    /// Says when something has become wrong, or right again.
    fn tell(&self) {
        let (standing, bound) = (self.standing(), self.most_ahead());
        let is_too_far = matches!(standing, Standing::TooFarAhead(_));
        match (self.was_too_far.swap(is_too_far, Ordering::Relaxed), standing) {
            (false, Standing::TooFarAhead(by)) => tracing::error!(
                ?by,
                ?bound,
                "this machine's clock is too far ahead: commits over several servers are refused until it is set"
            ),
            (true, Standing::Good) => {
                tracing::info!(
                    "this machine's clock is right again: commits over several servers are stamped"
                )
            }
            _ => {}
        }
        let mut told = self.told.lock();
        for (peer, offset) in self.offsets() {
            let is_off = offset.is_ahead_by(bound) || offset.is_behind_by(bound);
            let ahead_ms = offset.ahead_us / 1_000;
            match (is_off, told.contains(&peer)) {
                (true, false) => {
                    told.insert(peer);
                    tracing::warn!(ahead_ms, "this machine's clock and that of {peer} are apart");
                }
                (false, true) => {
                    told.remove(&peer);
                    tracing::info!(ahead_ms, "this machine's clock and that of {peer} agree again");
                }
                _ => {}
            }
        }
    }

    /// Forgets servers that are gone.
    pub fn retain(&self, is_kept: impl Fn(Peer) -> bool) {
        self.compared.lock().retain(is_kept);
    }

    /// Whether this one was compared of late.
    pub fn knows(&self, peer: Peer) -> bool {
        self.wall();
        self.compared.lock().offset(peer, self.begun.elapsed()).is_some()
    }

    /// How far this clock is from each other one that was heard of late.
    pub fn offsets(&self) -> Vec<(Peer, Offset)> {
        self.wall();
        self.compared.lock().offsets(self.begun.elapsed())
    }

    /// How often the time of day was set back since the process began.
    pub fn steps_back(&self) -> u64 {
        self.steps_back.load(Ordering::Relaxed)
    }

    /// How many stamps were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use podway_model::ServerId;

    use super::*;

    const NOON: Duration = Duration::from_secs(1_800_000_000);
    const MS: Duration = Duration::from_millis(1);

    /// The system's time, but for what is set here: milliseconds ahead.
    struct Skewed {
        ahead_ms: Arc<AtomicU64>,
        begun: Instant,
        clock: StampClock,
    }

    impl Skewed {
        fn by(ahead_ms: u64) -> Skewed {
            let (ahead_ms, begun) = (Arc::new(AtomicU64::new(ahead_ms)), Instant::now());
            let ahead = ahead_ms.clone();
            let wall =
                WallClock::of(move || NOON + begun.elapsed() + MS * ahead.load(Ordering::Relaxed) as u32);
            Skewed { ahead_ms, begun, clock: StampClock::new(wall) }
        }

        fn set(&self, ahead_ms: u64) {
            self.ahead_ms.store(ahead_ms, Ordering::Relaxed);
        }

        /// Servers whose clocks are right.
        fn compare(&self) {
            for number in 0..3 {
                let asked = self.clock.ask();
                let right = NOON + self.begun.elapsed();
                self.clock.compare(Peer::Server(ServerId(number)), asked, [right; 2], Duration::ZERO);
            }
        }

        fn right(&self) -> HybridTime {
            HybridTime::at(NOON + self.begun.elapsed())
        }
    }

    #[test]
    fn a_clock_that_is_too_far_ahead_makes_no_stamps_and_leaves_no_trace_in_later_ones() {
        let skewed = Skewed::by(3_600_000);
        assert_eq!(skewed.clock.stamp(), Err(NoStamp::Unmeasured));
        assert!(skewed.clock.moment().ahead_of(skewed.right()) > 3_000_000 * MS, "it is all that is known");
        skewed.compare();
        let refused = skewed.clock.stamp().unwrap_err().to_string();
        assert!(refused.contains("ms ahead") && refused.contains("(250 ms)"), "{refused}");
        assert!(
            skewed.clock.moment().ahead_of(skewed.right()) < 1_000 * MS,
            "names are made of what others say"
        );
        skewed.set(0);
        assert_eq!(
            skewed.clock.stamp(),
            Err(NoStamp::Unmeasured),
            "what was measured before it was set says nothing"
        );
        skewed.compare();
        let stamp = skewed.clock.stamp().unwrap();
        assert!(stamp.ahead_of(skewed.right()) < 1_000 * MS, "{stamp}");
        assert_eq!((skewed.clock.steps_back(), skewed.clock.refused()), (1, 3));
    }

    #[test]
    fn a_clock_that_was_set_back_goes_on_from_its_last_stamp() {
        let skewed = Skewed::by(200);
        skewed.compare();
        let before = skewed.clock.stamp().unwrap();
        skewed.set(0);
        skewed.compare();
        let after = skewed.clock.stamp().unwrap();
        assert!(after > before && skewed.clock.steps_back() == 1);
    }

    #[test]
    fn stamps_that_servers_have_are_taken_over_however_far_they_are_ahead() {
        let skewed = Skewed::by(0);
        skewed.compare();
        let far = HybridTime::at(NOON + 7_200_000 * MS);
        assert!(skewed.clock.observe(far).is_err(), "from others they are not");
        assert!(skewed.clock.stamp().unwrap() < far);
        skewed.clock.merge(far);
        assert!(skewed.clock.stamp().unwrap() > far);
        assert!(skewed.clock.come_after(far).is_ok(), "that is past");
    }

    #[test]
    fn a_clock_that_starts_anew_and_behind_goes_on_from_what_servers_have() {
        let first = Skewed::by(240);
        first.compare();
        let last = first.clock.stamp().unwrap();
        let again = Skewed::by(0);
        again.compare();
        again.clock.merge(last);
        assert!(again.clock.stamp().unwrap() > last);
    }

    #[test]
    fn what_was_asked_before_a_step_is_no_comparison() {
        let skewed = Skewed::by(0);
        let asked = skewed.clock.ask();
        skewed.set(5_000);
        skewed.clock.wall();
        skewed.clock.compare(Peer::Topology, asked, [NOON; 2], Duration::ZERO);
        assert!(!skewed.clock.knows(Peer::Topology));
    }
}
