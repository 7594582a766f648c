//! Counters that every statement touches, and what they read at a moment. Counting never blocks and never allocates.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Buckets per doubling of the latency: the error of a quantile is below 1/8.
const STEPS: usize = 8;
/// Doublings covered: 1 µs to over an hour.
const DOUBLINGS: usize = 32;

/// The proxy's counters.
#[derive(Debug)]
pub struct Metrics {
    /// Statements that clients sent.
    pub statements: AtomicU64,
    /// Statements that ended in an error.
    pub errors: AtomicU64,
    /// Sessions that are open.
    pub sessions: AtomicU64,
    /// Logins that failed.
    pub denied: AtomicU64,
    /// Backend connections that were opened.
    pub connects: AtomicU64,
    /// Backend connections that were closed because something about them surprised us.
    pub surprises: AtomicU64,
    /// Statements that were cancelled because their client had left.
    pub cancelled: AtomicU64,
    /// Statements that waited for their shard while it changed its owner.
    pub held: AtomicU64,
    /// Statements that a shard refused as no longer its own, and that were tried again.
    pub rerouted: AtomicU64,
    /// Transactions over several servers that gave way in a deadlock.
    pub deadlocks: AtomicU64,
    /// Looks at all servers for deadlocks.
    pub deadlock_looks: AtomicU64,
    /// Snapshots of several servers that were opened.
    pub snapshots: AtomicU64,
    /// How often their servers' snapshots were opened and compared.
    pub snapshot_rounds: AtomicU64,
    latency: Box<[AtomicU64]>,
    /// All latencies together, in nanoseconds: over 500 years of them fit.
    took_nanos: AtomicU64,
}

/// What the counters read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsSnapshot {
    /// Statements that clients sent.
    pub statements: u64,
    /// Statements that ended in an error.
    pub errors: u64,
    /// Sessions that are open.
    pub sessions: u64,
    /// Logins that failed.
    pub denied: u64,
    /// Backend connections that were opened.
    pub connects: u64,
    /// Backend connections that were closed because something about them surprised us.
    pub surprises: u64,
    /// Statements that were cancelled because their client had left.
    pub cancelled: u64,
    /// Statements that waited for their shard while it changed its owner.
    pub held: u64,
    /// Statements that a shard refused as no longer its own, and that were tried again.
    pub rerouted: u64,
    /// Transactions over several servers that gave way in a deadlock.
    pub deadlocks: u64,
    /// Looks at all servers for deadlocks.
    pub deadlock_looks: u64,
    /// Snapshots of several servers that were opened.
    pub snapshots: u64,
    /// How often their servers' snapshots were opened and compared.
    pub snapshot_rounds: u64,
    /// Statements that found their plan.
    pub plan_hits: u64,
    /// Statements that had to be planned.
    pub plan_misses: u64,
}

/// How long statements took, as counts per bucket; the difference of two is the time between them.
#[derive(Clone, Debug)]
pub struct LatencySnapshot {
    counts: Vec<u64>,
    took: Duration,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let zero = AtomicU64::default;
        Metrics {
            statements: zero(),
            errors: zero(),
            sessions: zero(),
            denied: zero(),
            connects: zero(),
            surprises: zero(),
            cancelled: zero(),
            held: zero(),
            rerouted: zero(),
            deadlocks: zero(),
            deadlock_looks: zero(),
            snapshots: zero(),
            snapshot_rounds: zero(),
            latency: (0..STEPS * DOUBLINGS).map(|_| zero()).collect(),
            took_nanos: zero(),
        }
    }
}

impl Metrics {
    /// Counts a statement that took this long.
    pub fn statement(&self, took: Duration, failed: bool) {
        self.statements.fetch_add(1, Relaxed);
        if failed {
            self.errors.fetch_add(1, Relaxed);
        }
        self.latency[bucket(took)].fetch_add(1, Relaxed);
        self.took_nanos.fetch_add(took.as_nanos() as u64, Relaxed);
    }

    /// The counters now, without the plan cache's.
    pub fn snapshot(&self) -> MetricsSnapshot {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        MetricsSnapshot {
            statements: read(&self.statements),
            errors: read(&self.errors),
            sessions: read(&self.sessions),
            denied: read(&self.denied),
            connects: read(&self.connects),
            surprises: read(&self.surprises),
            cancelled: read(&self.cancelled),
            held: read(&self.held),
            rerouted: read(&self.rerouted),
            deadlocks: read(&self.deadlocks),
            deadlock_looks: read(&self.deadlock_looks),
            snapshots: read(&self.snapshots),
            snapshot_rounds: read(&self.snapshot_rounds),
            plan_hits: 0,
            plan_misses: 0,
        }
    }

    /// The latencies until now.
    pub fn latency(&self) -> LatencySnapshot {
        LatencySnapshot {
            counts: self.latency.iter().map(|count| count.load(Relaxed)).collect(),
            took: Duration::from_nanos(self.took_nanos.load(Relaxed)),
        }
    }
}

impl LatencySnapshot {
    /// What came after `earlier`.
    pub fn since(&self, earlier: &LatencySnapshot) -> LatencySnapshot {
        let counts = self.counts.iter().zip(&earlier.counts);
        LatencySnapshot {
            counts: counts.map(|(now, then)| now.saturating_sub(*then)).collect(),
            took: self.took.saturating_sub(earlier.took),
        }
    }

    /// How many statements these are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long they took together.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// How many ended within each doubling of a microsecond, by its upper bound. The last bound also holds what took longer.
    pub fn doublings(&self) -> impl Iterator<Item = (Duration, u64)> {
        let sum = |(n, counts): (usize, &[u64])| (upper_bound((n + 1) * STEPS - 1), counts.iter().sum());
        self.counts.chunks(STEPS).enumerate().map(sum)
    }

    /// The time within which this share of the statements ended; zero where there were none.
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let reached = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank.max(1)
        });
        reached.map_or(Duration::ZERO, upper_bound)
    }
}

fn bucket(took: Duration) -> usize {
    let micros = (took.as_nanos() / 125) as u64 + STEPS as u64;
    let doubling = micros.ilog2() as usize - STEPS.ilog2() as usize;
    let step = (micros >> doubling) as usize - STEPS;
    (doubling * STEPS + step).min(STEPS * DOUBLINGS - 1)
}

fn upper_bound(bucket: usize) -> Duration {
    let (doubling, step) = (bucket / STEPS, bucket % STEPS);
    let eighths = (((STEPS + step + 1) as u64) << doubling) - STEPS as u64;
    Duration::from_nanos(eighths * 125)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_an_eighth() {
        let metrics = Metrics::default();
        let before = metrics.latency();
        for micros in 1..=1000 {
            metrics.statement(Duration::from_micros(micros), micros % 10 == 0);
        }
        let latency = metrics.latency().since(&before);
        assert_eq!(latency.count(), 1000);
        for (share, micros) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let ratio = latency.quantile(share).as_secs_f64() * 1e6 / micros;
            assert!((1.0..1.13).contains(&ratio), "{share}: {ratio}");
        }
        assert_eq!(metrics.snapshot().errors, 100);
        assert_eq!(latency.took(), Duration::from_micros(500_500));
        let within = |bound: Duration| -> u64 {
            latency.doublings().filter(|(upper, _)| *upper <= bound).map(|(_, count)| count).sum()
        };
        assert_eq!(within(Duration::from_secs(1)), 1000);
        assert_eq!(within(Duration::from_micros(511)), 510, "what takes 511 µs is in the next one");
    }

    #[test]
    fn every_duration_has_a_bucket_that_covers_it() {
        for nanos in [0, 1, 124, 125, 999, 1_000, 1_001, 123_456_789, 3_600_000_000_000] {
            let took = Duration::from_nanos(nanos);
            let reached = upper_bound(bucket(took));
            assert!(reached > took || bucket(took) == STEPS * DOUBLINGS - 1, "{took:?} {reached:?}");
        }
    }
}
