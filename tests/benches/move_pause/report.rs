//! When each step of a move was done, and what that comes to over many moves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use podway_topology::{Moment, MoveProbe};
use podway_topology_api::MoveStep;

/// The moments of one move.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<Vec<(MoveStep, Moment, Instant)>>>);

/// Many moves.
#[derive(Debug, Default)]
pub struct Report {
    /// How long each step took from the report of the one before it.
    steps: BTreeMap<MoveStep, Vec<Duration>>,
    /// From the freeze to the flip.
    pauses: Vec<Duration>,
    /// The longest that a client waited for one thing.
    longest: Vec<Duration>,
}

impl Seen {
    /// Sees them.
    pub fn probe(&self) -> MoveProbe {
        let seen = self.clone();
        MoveProbe::new(move |step, moment| {
            seen.with(|seen| seen.push((step, moment, Instant::now())));
            Box::pin(std::future::ready(()))
        })
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.with(Vec::clear);
    }

    /// All since it was cleared.
    pub fn take(&self) -> Vec<(MoveStep, Moment, Instant)> {
        self.with(std::mem::take)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<(MoveStep, Moment, Instant)>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Report {
    /// One more move.
    pub fn add(&mut self, seen: &[(MoveStep, Moment, Instant)], longest: Duration) {
        let reported = |wanted: MoveStep| {
            seen.iter()
                .find(|(step, moment, _)| (*step, *moment) == (wanted, Moment::Reported))
                .map(|seen| seen.2)
        };
        let mut before: Option<Instant> = None;
        for step in MoveStep::ALL {
            let at = reported(step);
            if let (Some(before), Some(at)) = (before, at) {
                self.steps.entry(step).or_default().push(at - before);
            }
            before = at;
        }
        if let (Some(frozen), Some(flipped)) = (reported(MoveStep::Prepare), reported(MoveStep::Flip)) {
            self.pauses.push(flipped - frozen);
        }
        self.longest.push(longest);
    }

    /// As docs/benchmarks.md shows it.
    pub fn print(mut self) {
        println!("\n| what | p50 ms | p99 ms | longest ms |\n| --- | --: | --: | --: |");
        line("freeze → release", &mut self.pauses);
        line("the longest thing that a client waited for", &mut self.longest);
        for (step, took) in &mut self.steps {
            line(&format!("of it, {step}"), took);
        }
    }
}

fn line(what: &str, took: &mut [Duration]) {
    took.sort_unstable();
    let ms = |duration: &Duration| format!("{:.1}", duration.as_secs_f64() * 1_000.0);
    let at = |hundredths: usize| {
        took.get((took.len() * hundredths / 100).min(took.len().saturating_sub(1)))
            .map_or_else(String::new, ms)
    };
    println!("| {what} | {} | {} | {} |", at(50), at(99), took.last().map_or_else(String::new, ms));
}
