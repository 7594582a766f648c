//! Every slot of a keyspace has exactly one owner, a shard of it, on a server that is there (`Keyspace`: "which shard holds each slot"); no two shards
//! share a schema of one server.

use std::collections::BTreeSet;

use podway_model::{KeyspaceId, SLOT_BITS, SLOTS};
use proptest::prelude::*;

use super::play;
use crate::random::lists;

proptest! {
    #![proptest_config(super::lists_tried(48))]
    #[test]
    fn every_slot_has_one_owner(steps in lists()) {
        play(&steps, |script, applied| {
            if applied.changes.is_empty() {
                return;
            }
            let map = script.map();
            let mut places = BTreeSet::new();
            for keyspace in map.keyspaces() {
                for slot in 0..SLOTS {
                    let index = keyspace.shard_of(KeyspaceId((slot as u64) << (u64::BITS - SLOT_BITS)));
                    let (_, shard) = map.place(keyspace, index).expect("the owner is on a server");
                    assert!(keyspace.shards.contains(shard));
                }
                assert!(keyspace.shard(keyspace.home).is_some());
                for shard in &keyspace.shards {
                    assert!(places.insert((shard.server, shard.schema.clone())), "two shards in one schema");
                }
            }
            for view in &script.view().keyspaces {
                let ranges = view.shards.iter().flat_map(|shard| &shard.ranges);
                let owned: usize = ranges.map(|range| range.last.index() - range.first.index() + 1).sum();
                assert_eq!(owned, SLOTS);
            }
        });
    }
}
