//! Which of the schemas that shards left is dropped next, of those whose time has come: one that was tried in vain rests before it is tried again, and keeps no other waiting.

use std::collections::HashMap;
use std::time::Duration;

use podway_model::{Name, ServerId};
use podway_topology_api::RetiredSchema;
use tokio::time::Instant;

/// One that could not be dropped is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// What was tried in vain.
#[derive(Debug, Default)]
pub(super) struct Leftovers(HashMap<(ServerId, Name), Instant>);

impl Leftovers {
    /// The one to be dropped now.
    pub(super) fn next(&mut self, due: Vec<RetiredSchema>, now: Instant) -> Option<RetiredSchema> {
        self.0.retain(|_, until| *until > now);
        due.into_iter().find(|one| !self.0.contains_key(&(one.server, one.schema.clone())))
    }

    /// It was tried in vain.
    pub(super) fn rest(&mut self, one: &RetiredSchema, now: Instant) {
        self.0.insert((one.server, one.schema.clone()), now + TRY_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use podway_model::{NameRule, ShardId};
    use podway_topology_api::LogTime;

    use super::*;

    fn left(server: u32) -> RetiredSchema {
        let schema = NameRule::CaseSensitive.name("shop");
        let (server, shard, since) = (ServerId(server), ShardId(1), LogTime(0));
        RetiredSchema { server, schema, shard, since, is_unwanted: false, trouble: None }
    }

    #[test]
    fn one_that_cannot_be_dropped_keeps_no_other_waiting() {
        let mut leftovers = Leftovers::default();
        let now = Instant::now();
        let due = || vec![left(1), left(2)];
        assert_eq!(leftovers.next(due(), now), Some(left(1)));
        leftovers.rest(&left(1), now);
        assert_eq!(leftovers.next(due(), now), Some(left(2)));
        leftovers.rest(&left(2), now);
        assert_eq!(leftovers.next(due(), now), None);
        assert_eq!(leftovers.next(due(), now + TRY_AGAIN), Some(left(1)));
    }
}
