//! A command that comes again is answered as the first time and changes nothing (the contract: "a retry of it is answered the same"); a refused command
//! changes nothing either.

use podway_topology_api::ClientId;
use proptest::prelude::*;

use crate::random::{lists, start};

/// The state without what remembers answers and time.
fn essence(script: &crate::script::Script) -> serde_json::Value {
    let mut stored = serde_json::to_value(&script.state).unwrap();
    for part in ["retries", "time"] {
        stored.as_object_mut().unwrap().remove(part);
    }
    stored
}

proptest! {
    #![proptest_config(super::lists_tried(24))]
    #[test]
    fn a_retry_is_answered_the_same_and_changes_nothing(steps in lists()) {
        let mut script = start();
        for (number, step) in steps.iter().enumerate() {
            script.at += step.pause_ms;
            let before = essence(&script);
            let propose = |script: &mut crate::script::Script| {
                script.propose(ClientId(77), number as u64 + 1, step.command.clone())
            };
            let first = propose(&mut script);
            let after = essence(&script);
            if first.answer.is_err() {
                assert_eq!(before, after, "a refused command changed something");
            }
            if step.command.is_idempotent() {
                continue;
            }
            let again = propose(&mut script);
            assert_eq!(again.answer, first.answer);
            assert_eq!(again.changes, []);
            assert_eq!(essence(&script), after);
        }
    }
}
