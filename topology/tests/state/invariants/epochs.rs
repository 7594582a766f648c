//! A shard's epoch, the map's revision and schema version, and time only rise; a shard has another owner only under a higher epoch (`Epoch`: "only
//! rises").

use std::collections::BTreeMap;

use podway_model::{Epoch, ShardId};
use proptest::prelude::*;

use super::play;
use crate::random::lists;

proptest! {
    #![proptest_config(super::lists_tried(128))]
    #[test]
    fn epochs_revisions_and_time_only_rise(steps in lists()) {
        let mut owners: BTreeMap<ShardId, (Epoch, String)> = BTreeMap::new();
        let mut last = (podway_model::Revision(0), 0, podway_topology_api::LogTime(0));
        play(&steps, |script, applied| {
            let map = script.map();
            let now = (map.revision, map.schema_version, script.state.time());
            assert!(now.0 >= last.0 && now.1 >= last.1 && now.2 >= last.2);
            let tells = !applied.changes.is_empty();
            assert_eq!(now.0 > last.0 || last.0.0 == 0, tells || last.0.0 == 0, "the revision is that of the last change");
            assert!(!tells || map.revision.0 == script.index);
            last = now;
            for keyspace in map.keyspaces() {
                for shard in &keyspace.shards {
                    let uuid = &map.server(shard.server).unwrap().uuid;
                    let owner = format!("{uuid} {}", shard.schema);
                    if let Some((epoch, before)) = owners.insert(shard.id, (shard.epoch, owner.clone())) {
                        assert!(shard.epoch >= epoch, "{} fell", shard.id);
                        assert_eq!(owner != before, shard.epoch > epoch, "{}: {before}, then {owner}", shard.id);
                    }
                }
            }
        });
    }
}
