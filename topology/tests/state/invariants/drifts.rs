//! A mark is of something that there is: a keyspace's table or a server of the map, so that none outlives what it is of (`Map::drifts`); and a table keeps a mark that stops pinning
//! until a look says otherwise, or it is forgotten.

use podway_model::DriftSubject;
use podway_topology_api::{Command, DriftCommand, KeyspaceCommand, TableCommand};
use proptest::prelude::*;

use super::play;
use crate::random::lists;

proptest! {
    #![proptest_config(super::lists_tried(48))]
    #[test]
    fn no_mark_outlives_what_it_is_of(steps in lists()) {
        play(&steps, |script, _| {
            for (subject, _) in script.map().drifts() {
                match subject {
                    DriftSubject::Server(id) => assert!(script.map().server(*id).is_some(), "{subject}"),
                    DriftSubject::Table { keyspace, .. } => {
                        assert!(script.map().keyspace(keyspace).is_some(), "{subject}");
                    }
                }
            }
        });
    }

    #[test]
    fn nothing_but_a_look_or_the_tables_end_makes_a_key_certain_again(steps in lists()) {
        let mut commands = steps.iter().flat_map(|step| {
            std::iter::repeat_n(&step.command, 1 + usize::from(step.is_repeated))
        });
        let mut stopped = 0;
        play(&steps, |script, _| {
            let now = script.map().drifts().filter(|(_, drift)| drift.stops_pinning).count();
            let may_end = matches!(
                commands.next(),
                Some(
                    Command::Drift(DriftCommand::Report(_))
                        | Command::Table(TableCommand::Forget { .. })
                        | Command::Keyspace(KeyspaceCommand::Drop { .. })
                        | Command::Server(_)
                        | Command::Operation(_)
                )
            );
            assert!(may_end || now >= stopped, "{now} of {stopped}");
            stopped = now;
        });
    }
}
