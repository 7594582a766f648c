//! What monitoring reads of a proxy: every number with its name and what it means, in one place. SHOW PODWAY METRICS and the metrics page show the same.

use super::shared::Shared;
use crate::clock::Standing;

/// One number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Its name, without a prefix.
    pub name: &'static str,
    /// What it means, for people.
    pub help: &'static str,
    /// How it moves.
    pub kind: MeasuredKind,
    /// What it reads now.
    pub value: u64,
}

/// How a number moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasuredKind {
    /// It only rises, from 0 at the start of the process.
    Counter,
    /// It rises and falls.
    Gauge,
}

impl Measured {
    /// One that only rises.
    pub fn counter(name: &'static str, value: u64, help: &'static str) -> Measured {
        Measured { name, help, kind: MeasuredKind::Counter, value }
    }

    /// One that rises and falls.
    pub fn gauge(name: &'static str, value: u64, help: &'static str) -> Measured {
        Measured { name, help, kind: MeasuredKind::Gauge, value }
    }
}

impl Shared {
    /// All numbers but those that have a label.
    pub fn measured(&self) -> Vec<Measured> {
        let now = self.metrics.snapshot();
        let plans = self.plans.stats();
        let (counter, gauge) = (Measured::counter, Measured::gauge);
        let mut all = vec![
            counter("statements", now.statements, "Statements that clients sent"),
            counter("errors", now.errors, "Statements that ended in an error"),
            gauge("sessions", now.sessions, "Sessions that are open"),
            counter("denied_logins", now.denied, "Logins that failed"),
            counter("backend_connects", now.connects, "Connections to servers that were opened"),
            counter(
                "backend_surprises",
                now.surprises,
                "Connections to servers that were closed because something about them surprised",
            ),
            counter(
                "cancelled",
                now.cancelled,
                "Statements that were cancelled because their client had left",
            ),
            counter("held_for_moves", now.held, "Statements that waited while their shard changed its owner"),
            counter(
                "rerouted",
                now.rerouted,
                "Statements that a shard refused as no longer its own and that were tried again",
            ),
            counter(
                "deadlocks",
                now.deadlocks,
                "Transactions over several servers that gave way in a deadlock which no server sees",
            ),
            counter(
                "deadlock_looks",
                now.deadlock_looks,
                "Looks at all servers, while statements of transactions over several servers waited for long",
            ),
            gauge(
                "deadlock_blind_servers",
                self.deadlocks.unseen_count() as u64,
                "Servers that do not show who waits for whom: only lock timeouts end deadlocks over them and others",
            ),
            counter("snapshots", now.snapshots, "Snapshots of several servers that were opened"),
            counter(
                "snapshot_rounds",
                now.snapshot_rounds,
                "How often snapshots of several servers were opened until they were of one moment",
            ),
            counter("plan_cache_hits", plans.hits, "Statements that found their plan"),
            counter("plan_cache_misses", plans.misses, "Statements that had to be planned"),
            counter("plan_cache_evictions", plans.evictions, "Plans that were given up for lack of room"),
            gauge("plan_cache_bytes", plans.bytes as u64, "Bytes that plans hold"),
            gauge("map_revision", self.map.revision().0, "Revision of the map that new statements take"),
            gauge(
                "map_is_live",
                u64::from(self.map.is_live()),
                "1 while changes of the map would be heard of, 0 while it may be old",
            ),
        ];
        all.extend(self.measured_clock());
        all
    }

    fn measured_clock(&self) -> [Measured; 3] {
        let (counter, gauge, clock) = (Measured::counter, Measured::gauge, &self.transactions.clock);
        [
            counter("clock_steps_back", clock.steps_back(), "How often this machine's clock was set back"),
            gauge(
                "clock_is_too_far_ahead",
                u64::from(matches!(clock.standing(), Standing::TooFarAhead(_))),
                "1 while this machine's clock is so far ahead of most others that commits over several servers are refused",
            ),
            counter(
                "clock_refused_stamps",
                clock.refused(),
                "Commits over several servers that were refused because of this machine's clock",
            ),
        ]
    }
}
