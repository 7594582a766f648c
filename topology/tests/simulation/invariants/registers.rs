//! Settings are linearizable registers: changes and linearizable reads, through whichever node, are as if done one at a time, each between its
//! question and its answer.

use super::Verdict;
use crate::clients::REGISTERS;
use crate::history::{Answered, Asked, Operation};
use crate::linearizable::{Action, Step, is_linearizable};
use crate::run::Outcome;

pub fn check(outcome: &Outcome) -> Verdict {
    outcome.shared.history.look(|events| {
        for (register, name) in REGISTERS.iter().enumerate() {
            let steps: Vec<Step> =
                events.operations.iter().filter_map(|operation| step(register, operation)).collect();
            if !is_linearizable(0, &steps) {
                return Err(format!("no order explains the {} operations on {name}", steps.len()));
            }
        }
        Ok(())
    })
}

fn step(register: usize, operation: &Operation) -> Option<Step> {
    let until = operation.answer.as_ref().map(|(until, _)| *until);
    let action = match (&operation.asked, &operation.answer) {
        (Asked::Set { register: set, value }, _) if *set == register => Action::Write(*value),
        (Asked::Get { register: read }, Some((_, Answered::Got(value)))) if *read == register => {
            Action::Read(*value)
        }
        _ => return None,
    };
    Some(Step { action, from: operation.from, until })
}
