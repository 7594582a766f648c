//! A frozen shard stays with its owner until its freeze ends, and no operation that ended holds a freeze: whoever waits for a freeze does not wait for
//! ever (`ShardMove::freeze`: "from the freeze to the flip").

use podway_topology_api::{MoveStep, OperationKind, OperationState};
use proptest::prelude::*;

use super::play;
use crate::random::lists;

proptest! {
    #![proptest_config(super::lists_tried(48))]
    #[test]
    fn a_moves_freeze_lasts_from_its_freeze_to_its_flip(steps in lists()) {
        play(&steps, |script, _| {
            let view = script.view();
            let shards: Vec<_> = view.keyspaces.iter().flat_map(|keyspace| &keyspace.shards).collect();
            for operation in &view.operations {
                let OperationKind::MoveShard(one) = &operation.kind else { continue };
                if !operation.state.is_open() {
                    assert!(one.freeze.is_none(), "{} ended and holds a freeze", operation.id);
                    continue;
                }
                let shard = shards.iter().find(|shard| shard.id == one.shard).expect("a shard on its way is there");
                let is_flipped = one.step > MoveStep::Flip;
                assert_eq!(shard.server, if is_flipped { one.to } else { one.from });
                if operation.state == OperationState::Running {
                    assert_eq!(one.freeze.is_some(), one.step > MoveStep::Prepare && !is_flipped);
                }
                if let Some(freeze) = one.freeze {
                    assert_eq!(shard.freeze, Some(freeze));
                }
            }
        });
    }
}
