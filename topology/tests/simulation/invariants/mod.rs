//! What holds in every run, one invariant a file. Each looks at a finished run and says what is wrong with it.

mod agreement;
mod follower;
mod incarnations;
mod once;
mod progress;
mod registers;
mod watches;

use super::run::Outcome;

/// What an invariant says of a run: what is wrong, if anything.
type Verdict = Result<(), String>;

/// Looks at a run.
type Check = fn(&Outcome) -> Verdict;

/// All of them, by name.
const ALL: [(&str, Check); 7] = [
    ("registers", registers::check),
    ("incarnations", incarnations::check),
    ("once", once::check),
    ("watches", watches::check),
    ("follower", follower::check),
    ("agreement", agreement::check),
    ("progress", progress::check),
];

/// What is wrong with a run.
pub fn violations(outcome: &Outcome) -> Vec<String> {
    let failed = ALL.iter().filter_map(|(name, check)| Some(format!("{name}: {}", check(outcome).err()?)));
    failed.collect()
}
