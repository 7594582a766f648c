//! A proxy's number is given once, and whoever registers after another was answered gets a higher one.

use super::Verdict;
use crate::history::Answered;
use crate::run::Outcome;

pub fn check(outcome: &Outcome) -> Verdict {
    let mut given: Vec<(u32, usize, usize)> = outcome.shared.history.look(|events| {
        let numbers = events.operations.iter().filter_map(|operation| match operation.answer {
            Some((until, Answered::Registered(number))) => Some((number, operation.from, until)),
            _ => None,
        });
        numbers.collect()
    });
    given.sort_unstable();
    for (place, (number, _, until)) in given.iter().enumerate() {
        for (lower, from, _) in &given[..place] {
            if lower == number {
                return Err(format!("incarnation {number} was given twice"));
            }
            if until < from {
                return Err(format!("incarnation {lower} was asked for after {number} had been given"));
            }
        }
    }
    Ok(())
}
