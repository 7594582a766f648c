//! A number of a server, shard, freeze, operation or incarnation is never used again (the model's and the contract's own words on each of these types).

use std::collections::BTreeSet;

use podway_topology_api::Done;
use proptest::prelude::*;

use super::play;
use crate::random::lists;

proptest! {
    #![proptest_config(super::lists_tried(48))]
    #[test]
    fn numbers_are_never_used_again(steps in lists()) {
        let mut given: BTreeSet<(&str, u64)> = BTreeSet::new();
        let mut answered = BTreeSet::new();
        play(&steps, |script, applied| {
            // What was there already is answered with its own number: only what watchers or readers are told as new counts.
            let is_new = script.view().log.last().is_some_and(|line| line.revision.0 == script.index);
            let Ok(done) = &applied.answer else { return };
            if !is_new || !answered.insert(script.index) {
                return;
            }
            let numbers: Vec<(&str, u64)> = match done {
                Done::Shards(shards) => shards.iter().map(|shard| ("shard", u64::from(shard.0))).collect(),
                Done::Server(server) => vec![("server", u64::from(server.0))],
                Done::Registered { incarnation, .. } => vec![("proxy", u64::from(incarnation.0))],
                Done::Frozen(freeze) => vec![("freeze", freeze.0)],
                Done::Began(operation) => vec![("operation", operation.0)],
                _ => vec![],
            };
            for number in numbers {
                assert!(given.insert(number), "{number:?} was given twice");
                let last = given.iter().filter(|(what, _)| *what == number.0).map(|(_, number)| *number).max();
                assert_eq!(last, Some(number.1), "numbers rise");
            }
        });
    }
}
