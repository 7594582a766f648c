//! All nodes have the same state in the end.

use super::Verdict;
use crate::run::Outcome;

pub fn check(outcome: &Outcome) -> Verdict {
    if outcome.stuck.is_some() {
        return Ok(());
    }
    let ends = outcome.shared.ends();
    match ends.iter().position(|end| *end != ends[0]) {
        Some(place) => Err(format!("n{} has another state than n1", place + 1)),
        None => Ok(()),
    }
}
