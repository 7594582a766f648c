//! Clusters of three and five nodes in a simulated world: their real code, from the client's retries to the log on disk, on a network that loses and
//! delays, with clocks and disks of its own, by printed seeds. What holds whatever happens is in [`invariants`].
//!
//! Reading order: [`plan`] → [`network`] → [`disk`] → [`history`] → [`clients`] → [`watchers`] → [`trouble`] → [`run`] → [`linearizable`] →
//! [`invariants`] → [`fault`] → [`children`].

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod children;
mod clients;
mod disk;
mod fault;
mod history;
mod invariants;
mod linearizable;
mod network;
mod plan;
mod run;
mod trouble;
mod watchers;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use children::told;
use fault::Fault;
use plan::Plan;

/// Seeds of an ordinary run …
const SEEDS: u64 = 120;
/// … which ends early on a machine that is busy with other things.
const NO_NEW_AFTER: Duration = Duration::from_secs(75);
/// How long there is trouble in an ordinary run, in simulated time.
const TROUBLE: Duration = Duration::from_secs(12);
/// A broken topology has to be found out within so many seeds.
const SEEDS_FOR_A_FAULT: u64 = 12;
/// Disks that lie are in one of four: all nodes have to lose their power at the wrong moment.
const SEEDS_FOR_A_LIE: u64 = 48;

/// How long there is trouble: `PODWAY_SIMULATION_SECONDS`.
fn trouble() -> Duration {
    let given = std::env::var("PODWAY_SIMULATION_SECONDS").ok().and_then(|text| text.parse().ok());
    given.map_or(TROUBLE, Duration::from_secs)
}

/// The seeds to run: those of `PODWAY_SIMULATION_SEEDS` (`17` or `1-500`), or as many as an ordinary run has, from a random one on.
fn seeds() -> (std::ops::Range<u64>, bool) {
    let Ok(given) = std::env::var("PODWAY_SIMULATION_SEEDS") else {
        let first = rand::random_range(0..1_000_000);
        return (first..first + SEEDS, false);
    };
    let (first, last) = given.split_once('-').unwrap_or((&given, &given));
    let (first, last): (u64, u64) = (first.trim().parse().unwrap(), last.trim().parse().unwrap());
    (first..last + 1, true)
}

#[test]
fn whatever_happens_answers_are_linearizable_and_watches_have_no_gaps() {
    let (seeds, is_asked_for) = seeds();
    let begun = Instant::now();
    println!("seeds {seeds:?}; PODWAY_SIMULATION_SEEDS=N runs one of them again");
    let abreast = std::thread::available_parallelism().map_or(2, |count| count.get());
    let (mut running, mut failed, mut ran) = (VecDeque::new(), Vec::new(), 0);
    for seed in seeds {
        if !is_asked_for && begun.elapsed() > NO_NEW_AFTER {
            println!("the machine is busy: ended before seed {seed}");
            break;
        }
        if running.len() >= abreast {
            failed.extend(finished(running.pop_front().unwrap()));
        }
        running.push_back((seed, children::begin(seed, Fault::None, None)));
        ran += 1;
    }
    failed.extend(running.into_iter().filter_map(finished));
    println!("{ran} seeds ran within {:?}", begun.elapsed());
    assert!(failed.is_empty(), "{} of {ran} seeds failed:\n{}", failed.len(), failed.join("\n"));
}

fn finished((seed, child): (u64, std::process::Child)) -> Option<String> {
    let wrong = children::end(child);
    (!wrong.is_empty()).then(|| format!("seed {seed}: {wrong}"))
}

#[test]
fn one_seed_is_one_run() {
    if !children::is_repeatable() {
        return println!("skipped: chance cannot be decided here");
    }
    let directory = tempfile::tempdir().unwrap();
    for seed in 0..3 {
        let paths = ["a", "b"].map(|name| directory.path().join(format!("{seed}-{name}")));
        let both = paths.each_ref().map(|path| children::begin(seed, Fault::None, Some(path)));
        both.into_iter().for_each(|child| assert_eq!(children::end(child), ""));
        let [first, second] = paths.map(|path| std::fs::read_to_string(path).unwrap());
        let differs = first.lines().zip(second.lines()).find(|(first, second)| first != second);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}

fn is_found_out(fault: Fault, seeds: u64, by: &[&str]) {
    for seed in 0..seeds {
        let wrong = children::end(children::begin(seed, fault, None));
        if by.iter().any(|by| wrong.contains(&format!("\n{by}: "))) {
            return println!("{fault:?} was found out with seed {seed}");
        }
    }
    panic!("{fault:?} was not found out by {by:?} within {seeds} seeds");
}

#[test]
fn changes_that_are_acknowledged_before_they_are_synced_are_found_out() {
    is_found_out(Fault::DisksLie, SEEDS_FOR_A_LIE, &["registers", "once"]);
}

#[test]
fn a_watch_that_leaves_a_change_out_is_found_out() {
    is_found_out(Fault::WatchSkips, SEEDS_FOR_A_FAULT, &["watches"]);
}

#[test]
fn reads_that_are_not_linearizable_are_found_out() {
    is_found_out(Fault::ReadsAnywhere, SEEDS_FOR_A_FAULT, &["registers"]);
}

#[test]
fn a_client_that_tries_again_under_another_number_is_found_out() {
    is_found_out(Fault::RetriesAnew, SEEDS_FOR_A_FAULT, &["once"]);
}

#[test]
#[ignore = "the other tests run it, each seed in a process of its own"]
fn a_child_runs_one_seed() {
    let seed = std::env::var(told::SEED).unwrap().parse().unwrap();
    let fault = Fault::named(&std::env::var(told::FAULT).unwrap_or_default());
    let plan = Plan::of(seed, trouble(), fault);
    // A task that panics takes nobody with it; it must not go unnoticed.
    let panics = Arc::<Mutex<Vec<String>>>::default();
    let noted = panics.clone();
    std::panic::set_hook(Box::new(move |info| noted.lock().unwrap().push(info.to_string())));
    let outcome = run::run(&plan);
    drop(std::panic::take_hook());
    let mut violations = invariants::violations(&outcome);
    violations.extend(panics.lock().unwrap().iter().map(|panic| format!("panic: {panic}")));
    outcome.shared.history.look(|events| {
        if let Ok(path) = std::env::var(told::LOG) {
            std::fs::write(path, &events.log).unwrap();
        }
        if !violations.is_empty() {
            let lines: Vec<&str> = events.log.lines().collect();
            let end = &lines[lines.len().saturating_sub(60)..];
            panic!("{plan:?}\n{}\n{}", end.join("\n"), violations.join("\n"));
        }
    });
}
