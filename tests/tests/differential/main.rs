//! Podway over four shards beside plain MySQL: the same statements, and whatever Podway answers must be what MySQL answers. Refusing
//! is allowed, but not to refuse most.
//!
//! * `PODWAY_DIFFERENTIAL_SEED=7` runs that seed alone and prints its statements.
//! * `PODWAY_DIFFERENTIAL_SECONDS=3600` runs random seeds for that long.
//!
//! Reading order: `tables` → `world` (both sides) → `run` (one statement on both) → `generator` → `attacks`.

mod attacks;
mod generator;
mod run;
mod tables;
mod world;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::generator::Generator;
use crate::run::{Outcome, Sessions};
use crate::world::World;

/// How many seeds run, and how many statements each has.
const SEEDS: u64 = 30;
const STATEMENTS: u32 = 40;
/// How much of all statements Podway has to answer, in percent.
const MIN_ANSWERED: usize = 30;

#[derive(Default)]
struct Tally {
    statements: usize,
    same: usize,
    same_error: usize,
    refused: BTreeMap<String, usize>,
    chance: usize,
    differences: Vec<String>,
}

impl Tally {
    fn note(&mut self, what: &str, outcome: Outcome) {
        self.statements += 1;
        match outcome {
            Outcome::Same => self.same += 1,
            Outcome::SameError => self.same_error += 1,
            Outcome::Refused(code, text) => {
                let text: String = text.chars().take(70).collect();
                *self.refused.entry(format!("{code} {text}")).or_default() += 1;
            }
            Outcome::Chance => self.chance += 1,
            Outcome::Differs(how) => {
                eprintln!("DIFFERENCE {what}\n    {how}");
                self.differences.push(format!("{what}\n    {how}"));
            }
        }
    }

    fn report(&self) {
        let refused: usize = self.refused.values().sum();
        eprintln!(
            "{} statements: {} answered alike, {} with the same error, {refused} refused, {} by chance, {} differ",
            self.statements,
            self.same,
            self.same_error,
            self.chance,
            self.differences.len()
        );
        if std::env::var_os("PODWAY_DIFFERENTIAL_REFUSALS").is_some() {
            self.refused.iter().for_each(|(what, count)| eprintln!("{count:6} {what}"));
        }
    }
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs one seed's statements in one session.
async fn seed(world: &World, seed: u64, tally: &mut Tally, aloud: bool) {
    let mut generator = Generator::new(seed);
    let mut sessions = Sessions::new(world).await;
    let mut script: Vec<String> = Vec::new();
    let first = generator.session();
    let outcome = sessions.text(first.as_bytes(), false).await;
    tally.note(&format!("seed {seed}: {first}"), outcome);
    for at in 0..STATEMENTS {
        let made = generator.statement(at / 10);
        let shown =
            format!("{}{} {:?}", if made.prepared { "[prepared] " } else { "" }, made.sql, made.params);
        let outcome = match made.prepared {
            true => sessions.prepared(&made.sql, &made.params, made.ordered).await,
            false => sessions.text(made.sql.as_bytes(), made.ordered).await,
        };
        if aloud {
            eprintln!("{shown}\n    {outcome:?}");
        }
        let stops = matches!(outcome, Outcome::Differs(_) | Outcome::Chance);
        if outcome == Outcome::Same && !shown.starts_with("SELECT") {
            script.push(shown.clone());
        }
        tally.note(&format!("seed {seed} ({first}): {shown}"), outcome);
        if stops {
            break;
        }
    }
    sessions.end().await;
    let stopped = script.is_empty();
    let tables = world.settle().await;
    if !tables.is_empty() && !stopped {
        let what = format!("seed {seed} ({first}): the tables after\n  {}", script.join("\n  "));
        tally.note(&what, Outcome::Differs(tables.join("\n    ")));
    }
}

#[tokio::test]
async fn whatever_is_answered_is_what_mysql_answers() {
    let world = World::start().await;
    let misplaced = world.all_misplaced().await;
    assert!(misplaced.is_empty(), "{}", misplaced.join("\n"));
    let mut attacked = Tally::default();
    attacks::run(&world, &mut attacked).await;
    eprint!("attacks: ");
    attacked.report();
    let mut tally = Tally::default();
    let started = Instant::now();
    match (number_from("PODWAY_DIFFERENTIAL_SEED"), number_from("PODWAY_DIFFERENTIAL_SECONDS")) {
        (Some(number), _) => seed(&world, number, &mut tally, true).await,
        (None, Some(seconds)) => {
            while started.elapsed() < Duration::from_secs(seconds) {
                seed(&world, rand::random_range(0..1 << 40), &mut tally, false).await;
            }
        }
        (None, None) => {
            for number in 0..SEEDS {
                seed(&world, number, &mut tally, false).await;
            }
        }
    }
    eprint!("seeds: ");
    tally.report();
    let all: Vec<String> = attacked.differences.into_iter().chain(tally.differences).collect();
    assert!(all.is_empty(), "{} differences:\n{}", all.len(), all.join("\n"));
    assert!(
        tally.statements < 100 || tally.same * 100 >= tally.statements * MIN_ANSWERED,
        "too much was refused"
    );
}
