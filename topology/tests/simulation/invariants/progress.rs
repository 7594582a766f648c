//! When all trouble is over the cluster is well again within a bounded time: lost nodes are back in their place, changes are made, every node,
//! watcher and follower has all of them. No question is ever answered with what makes no sense.

use super::Verdict;
use crate::history::Answered;
use crate::run::Outcome;

pub fn check(outcome: &Outcome) -> Verdict {
    if let Some(stuck) = &outcome.stuck {
        return Err(stuck.clone());
    }
    outcome.shared.history.look(|events| {
        for operation in &events.operations {
            if let Some((_, Answered::Wrong(text))) = &operation.answer {
                return Err(format!("{:?} was answered with {text}", operation.asked));
            }
        }
        Ok(())
    })
}
