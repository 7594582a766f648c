//! No AUTO_INCREMENT number is in two blocks that are good at the same time, nor in one that was given out after somebody claimed it (`SequenceStep`: "a block
//! of numbers" for one proxy). A restart is asked for by whoever emptied the table.

use podway_topology_api::{Command, Done, SequenceStep};
use proptest::prelude::*;

use crate::random::start;
use crate::script::sequence;

fn steps() -> impl Strategy<Value = Vec<SequenceStep>> {
    let incarnation = || (1_u32..4).prop_map(podway_topology_api::Incarnation);
    let step = prop_oneof![
        4 => (incarnation(), 1_u64..20).prop_map(|(incarnation, count)| SequenceStep::Reserve { incarnation, count }),
        1 => (0_u64..200).prop_map(|to| SequenceStep::Advance { to }),
        2 => (incarnation(), 1_u64..200).prop_map(|(incarnation, value)| SequenceStep::Claim { incarnation, value, through: None }),
    ];
    proptest::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(super::lists_tried(64))]
    #[test]
    fn no_number_is_given_out_twice(steps in steps()) {
        let mut script = start();
        for _ in 0..3 {
            script.register("q");
        }
        let mut given: Vec<(u64, u64)> = Vec::new();
        let mut claimed: Vec<u64> = Vec::new();
        for step in steps {
            let command: Command = sequence(step);
            match (step, script.apply(command).answer) {
                (_, Ok(Done::Block { first, last, .. })) => {
                    assert!(given.iter().all(|(a, b)| last < *a || first > *b), "{first}-{last} was given before");
                    assert!(claimed.iter().all(|value| !(first..=last).contains(value)), "{first}-{last} was claimed");
                    given.push((first, last));
                }
                (SequenceStep::Claim { value, .. }, Ok(Done::Sequence { next, .. })) => {
                    assert!(next > value);
                    claimed.push(value);
                }
                (SequenceStep::Advance { to }, Ok(Done::Sequence { next, .. })) => assert!(next > to),
                (step, answer) => panic!("{step:?}: {answer:?}"),
            }
        }
    }
}
