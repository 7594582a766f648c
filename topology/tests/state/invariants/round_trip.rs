//! A state that was stored and read back goes on as if nothing had happened: answers, changes and what is stored next are the same on every node
//! (`State::apply`: "the same commands give the same state").

use podway_topology::state::State;
use podway_topology_api::{ClientId, LogTime, Proposal};
use proptest::prelude::*;

use crate::random::{lists, start};

proptest! {
    #![proptest_config(super::lists_tried(64))]
    #[test]
    fn a_stored_state_goes_on_the_same(steps in lists(), at in 0_usize..100) {
        let script = start();
        let mut kept = script.state.clone();
        let mut stored: Option<State> = None;
        let (mut time, mut index) = (script.at, script.index);
        for (number, step) in steps.iter().enumerate() {
            if number == at % steps.len() {
                let bytes = serde_json::to_vec(&kept).unwrap();
                let read: State = serde_json::from_slice(&bytes).unwrap();
                assert!(read == kept);
                stored = Some(read);
            }
            time += step.pause_ms;
            index += 1;
            let proposal = Proposal {
                client: ClientId(number as u128 % 3),
                sequence: number as u64,
                who: "ann".into(),
                command: serde_json::from_str(&serde_json::to_string(&step.command).unwrap()).unwrap(),
            };
            assert_eq!(proposal.command, step.command);
            let applied = kept.apply(LogTime(time), index, &proposal);
            if let Some(stored) = &mut stored {
                assert_eq!(stored.apply(LogTime(time), index, &proposal), applied);
                assert!(*stored == kept);
            }
        }
        assert_eq!(serde_json::to_vec(&stored).unwrap(), serde_json::to_vec(&kept).unwrap());
    }
}
