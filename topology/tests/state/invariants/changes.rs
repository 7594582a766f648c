//! Whoever applies what watchers are told has the state's own map, and the map printed whole is that map too (the contract: a watch "without gaps").

use std::sync::Arc;

use podway_model::{Map, NameRule, Revision};
use proptest::prelude::*;

use super::play;
use crate::random::{lists, start};

proptest! {
    #![proptest_config(super::lists_tried(48))]
    #[test]
    fn a_watcher_has_the_states_map(steps in lists(), resumes in 0_usize..100) {
        let mut seen: Arc<Map> = start().state.map().clone();
        let mut events = 0;
        play(&steps, |script, applied| {
            if applied.changes.is_empty() {
                return;
            }
            // What is sent is what is read.
            let sent = serde_json::to_string(&applied.changes).unwrap();
            let changes: Vec<podway_model::Change> = serde_json::from_str(&sent).unwrap();
            assert_eq!(changes, applied.changes);
            let revision = Revision(script.index);
            seen = Arc::new(seen.changed(revision, &changes).expect("no change was missed"));
            assert_eq!(*seen, **script.state.map());
            assert!(seen.changed(revision, &changes).is_err(), "the same revision twice");
            events += 1;
            if events % 100 == resumes {
                let whole = script.map().as_changes();
                let anew = Map::empty(NameRule::CaseInsensitive).changed(revision, &whole).unwrap();
                assert_eq!(anew, *seen, "from nothing");
            }
        });
        let whole = seen.as_changes();
        assert_eq!(Map::empty(NameRule::CaseSensitive).changed(seen.revision, &whole).unwrap(), *seen);
        let older = start().state.map().clone();
        if older.revision < seen.revision {
            assert_eq!(older.changed(seen.revision, &whole).unwrap(), *seen, "over an older map");
        }
    }
}
