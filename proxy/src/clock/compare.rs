//! How far this machine's clock is from others', from questions and answers, without I/O: what is passed in are readings of both clocks, and of one that only
//! counts on. A single answer says little: its way may have been long, and long in one direction alone. So each gives bounds, and their medians count.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use podway_model::ServerId;

/// How many comparisons with one clock are kept.
const KEPT: usize = 9;
/// How long one counts: a clock that is not heard for longer says nothing.
const COUNTS_FOR: Duration = Duration::from_secs(60);
/// A change between the time of day and the clock that only counts on, by which the time of day was set, or the machine slept. Slewing changes both alike.
const STEP: Duration = Duration::from_millis(10);

/// With whose clock this one is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// The topology's leader.
    Topology,
    /// A MySQL server.
    Server(ServerId),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Topology => f.write_str("the topology"),
            Peer::Server(server) => server.fmt(f),
        }
    }
}

/// A question and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// This machine's time since 1970 when it was asked.
    pub sent: Duration,
    /// How long until the answer was there.
    pub took: Duration,
    /// The other clock's time since 1970 when it heard the question …
    pub heard: Duration,
    /// … and when it answered.
    pub answered: Duration,
    /// To what the other clock's readings are cut off.
    pub resolution: Duration,
}

/// How far this machine's clock is ahead of another; behind: negative. All in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// The middle of the bounds.
    pub ahead_us: i64,
    /// How far from it the truth may be.
    pub within_us: i64,
    /// From how many comparisons.
    pub samples: usize,
    /// The lower bound.
    least_us: i64,
    /// The upper bound.
    most_us: i64,
}

/// What others' clocks say of this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody's clock is known.
    Unmeasured,
    /// It is not too far ahead of most others.
    Good,
    /// It is too far ahead of most others, by about this.
    TooFarAhead(Duration),
}

/// A change of the time of day that no clock makes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It was set back by this.
    Back(Duration),
    /// It was set forward by this, or the machine slept so long.
    Forward(Duration),
}

/// What is known of this machine's clock beside others'.
#[derive(Debug, Default)]
pub struct Comparison {
    peers: BTreeMap<Peer, VecDeque<(Sample, Duration)>>,
    /// The time of day less the clock that only counts on, in microseconds, when they were read last.
    between_us: Option<i64>,
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

impl Sample {
    /// When the other clock heard the question, this one was at `sent` or later.
    fn least_us(&self) -> i64 {
        micros(self.sent) - micros(self.heard) - micros(self.resolution)
    }

    /// When the other clock answered, this one was not yet where it was when the answer came.
    fn most_us(&self) -> i64 {
        micros(self.sent) + micros(self.took) - micros(self.answered)
    }
}

impl Offset {
    fn of<'s>(samples: impl Iterator<Item = &'s Sample> + Clone) -> Option<Offset> {
        let least_us = median(samples.clone().map(Sample::least_us))?;
        let most_us = median(samples.clone().map(Sample::most_us))?;
        let ahead_us = least_us.midpoint(most_us);
        let within_us = (most_us - least_us + 1) / 2;
        Some(Offset { ahead_us, within_us, samples: samples.count(), least_us, most_us })
    }

    /// Whether it is certainly further ahead than this.
    pub fn is_ahead_by(&self, bound: Duration) -> bool {
        self.least_us > micros(bound)
    }

    /// Whether it is certainly further behind than this.
    pub fn is_behind_by(&self, bound: Duration) -> bool {
        self.most_us < -micros(bound)
    }
}

/// The middle one; of two the lower.
fn median(values: impl Iterator<Item = i64>) -> Option<i64> {
    let mut values: Vec<i64> = values.collect();
    values.sort_unstable();
    let middle = values.len().checked_sub(1)? / 2;
    values.get(middle).copied()
}

impl Comparison {
    /// Takes a reading of the time of day (since 1970) and of the clock that only counts on. After a step nothing counts that was measured before it.
    pub fn read(&mut self, wall: Duration, counted: Duration) -> Option<Step> {
        let between = micros(wall) - micros(counted);
        let before = self.between_us.replace(between)?;
        let change = between - before;
        if change.unsigned_abs() <= STEP.as_micros() as u64 {
            return None;
        }
        self.peers.clear();
        let by = Duration::from_micros(change.unsigned_abs());
        Some(if change < 0 { Step::Back(by) } else { Step::Forward(by) })
    }

    /// Takes a comparison that ended when the clock that only counts on was at `counted`.
    pub fn take(&mut self, peer: Peer, sample: Sample, counted: Duration) {
        let samples = self.peers.entry(peer).or_default();
        samples.push_back((sample, counted));
        while samples.len() > KEPT {
            samples.pop_front();
        }
    }

    /// Forgets those that are not to be kept.
    pub fn retain(&mut self, is_kept: impl Fn(Peer) -> bool) {
        self.peers.retain(|peer, _| is_kept(*peer));
    }

    /// How far this clock is from one other; none if that was not heard of late.
    pub fn offset(&self, peer: Peer, counted: Duration) -> Option<Offset> {
        let samples = self.peers.get(&peer)?.iter();
        Offset::of(
            samples.filter(|(_, at)| counted.saturating_sub(*at) <= COUNTS_FOR).map(|(sample, _)| sample),
        )
    }

    /// All that were heard of late.
    pub fn offsets(&self, counted: Duration) -> Vec<(Peer, Offset)> {
        let known = self.peers.keys().filter_map(|peer| Some((*peer, self.offset(*peer, counted)?)));
        known.collect()
    }

    /// Whether this clock is right enough to make stamps of. One clock of many that is wrong itself is outvoted: it takes more than half.
    pub fn standing(&self, counted: Duration, most_ahead: Duration) -> Standing {
        let offsets = self.offsets(counted);
        let least = median(offsets.iter().map(|(_, offset)| offset.least_us));
        let ahead = median(offsets.iter().map(|(_, offset)| offset.ahead_us));
        match (least, ahead) {
            (Some(least), Some(ahead)) if least > micros(most_ahead) => {
                Standing::TooFarAhead(Duration::from_micros(ahead.unsigned_abs()))
            }
            (Some(_), _) => Standing::Good,
            _ => Standing::Unmeasured,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Duration = Duration::from_secs(1_800_000_000);
    const MS: Duration = Duration::from_millis(1);
    const BOUND: Duration = Duration::from_millis(250);

    fn server(number: u32) -> Peer {
        Peer::Server(ServerId(number))
    }

    /// This clock is ahead by so many milliseconds; the ways there and back take so many.
    fn sample(ahead: i64, there: u32, back: u32) -> Sample {
        let theirs = NOON + MS * there;
        let sent = Duration::from_micros((micros(NOON) + ahead * 1_000) as u64);
        Sample {
            sent,
            took: MS * (there + back),
            heard: theirs,
            answered: theirs,
            resolution: Duration::ZERO,
        }
    }

    fn offset(samples: &[Sample]) -> Offset {
        Offset::of(samples.iter()).unwrap()
    }

    #[test]
    fn the_truth_is_within_the_bounds_however_long_the_ways_are() {
        for ahead in [-3_600_000, -400, -1, 0, 1, 250, 3_600_000] {
            for (there, back) in [(0, 0), (1, 1), (0, 80), (80, 0), (3, 200)] {
                let offset = offset(&[sample(ahead, there, back)]);
                let told = (offset.ahead_us - ahead * 1_000).abs();
                assert!(told <= offset.within_us, "{ahead} by {there} and {back}: {offset:?}");
                assert_eq!(offset.within_us, i64::from(there + back) * 500);
            }
        }
    }

    #[test]
    fn what_the_other_did_meanwhile_is_no_part_of_the_way() {
        let batched = Sample { answered: NOON + 301 * MS, took: 302 * MS, ..sample(0, 1, 1) };
        let offset = offset(&[batched]);
        assert_eq!((offset.ahead_us, offset.within_us), (0, 1_000));
    }

    #[test]
    fn a_clock_that_is_read_in_whole_milliseconds_is_off_by_no_more() {
        let cut = Sample { resolution: MS, ..sample(5, 0, 0) };
        let offset = offset(&[cut]);
        assert!(offset.ahead_us <= 5_000 && offset.ahead_us + offset.within_us >= 5_000, "{offset:?}");
    }

    #[test]
    fn one_slow_answer_of_many_changes_nothing() {
        let mut samples = vec![sample(40, 1, 1); 6];
        samples.extend([sample(40, 900, 0), sample(40, 0, 900)]);
        let offset = offset(&samples);
        assert_eq!((offset.ahead_us, offset.within_us, offset.samples), (40_000, 1_000, 8));
    }

    #[test]
    fn only_what_is_certain_counts_as_ahead_or_behind() {
        let cases = [
            (sample(251, 0, 0), true, false),
            (sample(250, 0, 0), false, false),
            (sample(260, 5, 0), true, false),
            (sample(260, 20, 0), false, false),
            (sample(-251, 0, 0), false, true),
            (sample(-260, 0, 20), false, false),
        ];
        for (sample, ahead, behind) in cases {
            let offset = offset(&[sample]);
            assert_eq!(
                (offset.is_ahead_by(BOUND), offset.is_behind_by(BOUND)),
                (ahead, behind),
                "{sample:?}"
            );
        }
    }

    #[test]
    fn it_takes_most_of_the_others_to_be_too_far_ahead() {
        let at = Duration::from_secs(5);
        let cases: [(&[i64], Standing); 8] = [
            (&[], Standing::Unmeasured),
            (&[0], Standing::Good),
            (&[400], Standing::TooFarAhead(400 * MS)),
            (&[0, 400], Standing::Good),
            (&[400, 410], Standing::TooFarAhead(400 * MS)),
            (&[0, 400, 3_600_000], Standing::TooFarAhead(400 * MS)),
            (&[0, 1, 3_600_000], Standing::Good),
            (&[-3_600_000, -400], Standing::Good),
        ];
        for (aheads, expected) in cases {
            let mut compared = Comparison::default();
            for (number, ahead) in (0..).zip(aheads) {
                compared.take(server(number), sample(*ahead, 0, 0), at);
            }
            assert_eq!(compared.standing(at, BOUND), expected, "{aheads:?}");
        }
    }

    #[test]
    fn who_is_not_heard_any_more_does_not_count() {
        let mut compared = Comparison::default();
        compared.take(server(1), sample(400, 0, 0), Duration::ZERO);
        let later = COUNTS_FOR + MS;
        compared.take(Peer::Topology, sample(0, 0, 0), later);
        assert_eq!(compared.standing(COUNTS_FOR, BOUND), Standing::Good, "of two, one");
        assert_eq!(compared.offset(server(1), later), None);
        assert_eq!(compared.offsets(later).len(), 1);
        compared.retain(|peer| peer != Peer::Topology);
        assert_eq!(compared.standing(later, BOUND), Standing::Unmeasured);
    }

    #[test]
    fn newer_comparisons_take_the_place_of_older_ones() {
        let mut compared = Comparison::default();
        for nth in 0..20_u32 {
            compared.take(Peer::Topology, sample(if nth < 15 { 900 } else { 0 }, 0, 0), MS * nth);
        }
        let offset = compared.offset(Peer::Topology, 20 * MS).unwrap();
        assert_eq!((offset.samples, offset.ahead_us), (KEPT, 0), "five of nine are new");
    }

    #[test]
    fn a_step_is_noticed_and_nothing_counts_that_was_measured_before_it() {
        let mut compared = Comparison::default();
        assert_eq!(compared.read(NOON, Duration::ZERO), None);
        assert_eq!(compared.read(NOON + 1_000 * MS, 1_000 * MS), None);
        compared.take(Peer::Topology, sample(0, 0, 0), 1_000 * MS);
        // Slewed, or read a moment apart: no step.
        assert_eq!(compared.read(NOON + 2_004 * MS, 2_000 * MS), None);
        assert_eq!(compared.read(NOON + 2_996 * MS, 3_000 * MS), None);
        assert_eq!(compared.standing(3_000 * MS, BOUND), Standing::Good);
        let back = compared.read(NOON + 3_000 * MS, 4_000 * MS);
        assert_eq!(back, Some(Step::Back(996 * MS)));
        assert_eq!(compared.standing(4_000 * MS, BOUND), Standing::Unmeasured);
        let forward = compared.read(NOON + 3_605_000 * MS, 5_000 * MS);
        assert_eq!(forward, Some(Step::Forward(3_601_000 * MS)));
        assert_eq!(compared.read(NOON + 3_606_000 * MS, 6_000 * MS), None, "it goes on from there");
    }
}
