//! A SELECT over several shards that is on its own and reads from one snapshot of all: `podway_read = 'atomic'`.

use std::sync::Arc;

use podway_model::{Keyspace, ServerId, ShardIndex};
use podway_router::{Gather, Merge};

use super::super::core::{Planned, Session};
use super::{Bound, keys_of};
use crate::error::ProxyError;
use crate::txn::{Begin, Transaction};

/// Where the shards of a merged statement are.
enum Places {
    /// There is one at most.
    One,
    /// Each has a server of its own.
    Apart(Vec<ShardIndex>),
    /// Some share a server.
    Together,
}

impl Session {
    /// Runs a SELECT over several shards, on its own, from one snapshot, where that is wanted; none: it is not, or one server gives a snapshot by itself.
    pub(super) async fn gather_atomically(
        &mut self,
        planned: &Planned<'_>,
        (keyspace, gather): (&Arc<Keyspace>, &Gather),
        bound: Option<&Bound<'_>>,
    ) -> Option<Result<(), ProxyError>> {
        // What servers say of themselves is in no snapshot.
        if !self.reads_atomically() || gather.is_catalog() {
            return None;
        }
        if let Some(merge) = gather.merge.as_ref().filter(|_| self.may_merge()) {
            match self.merge_places(planned, (keyspace, merge), bound) {
                Places::One => return None,
                Places::Apart(shards) => {
                    return Some(self.merge_atomically(planned, (keyspace, merge), shards, bound).await);
                }
                // Two connections to one server would be two snapshots of it.
                Places::Together => {}
            }
        }
        if let Err(error) = self.check_free() {
            return Some(Err(error));
        }
        match self.open_snapshot(&planned.map, Some(keyspace)).await {
            Ok(has_several) => self.place.in_own_snapshot = has_several,
            Err(error) => return Some(Err(error)),
        }
        let result = Box::pin(self.run_finished(planned, keyspace, gather, bound)).await;
        Some(self.leave_own_snapshot().await.and(result))
    }

    fn merge_places(
        &self,
        planned: &Planned<'_>,
        (keyspace, merge): (&Keyspace, &Merge),
        bound: Option<&Bound<'_>>,
    ) -> Places {
        let shards =
            planned.plan.shards(keyspace, &merge.keys, (planned.sql, planned.normal), keys_of(bound));
        let mut servers: Vec<ServerId> =
            shards.iter().filter_map(|shard| keyspace.shard(*shard)).map(|shard| shard.server).collect();
        servers.sort_unstable();
        servers.dedup();
        match (shards.len(), servers.len()) {
            (0 | 1, _) => Places::One,
            (shards, servers) if shards > servers => Places::Together,
            _ => Places::Apart(shards),
        }
    }

    async fn merge_atomically(
        &mut self,
        planned: &Planned<'_>,
        (keyspace, merge): (&Arc<Keyspace>, &Merge),
        shards: Vec<ShardIndex>,
        bound: Option<&Bound<'_>>,
    ) -> Result<(), ProxyError> {
        self.check_free()?;
        let spots = self.spots(planned, &shards).await?;
        let statements =
            Transaction::opening_snapshot(Begin { read_only: true, ..Begin::default() }, &[], None);
        let connections = self.opened(&planned.map, &spots, statements).await?;
        let readers = connections.into_iter().map(|one| (one.endpoint().id(), one)).collect();
        Box::pin(self.run_merged(planned, keyspace, merge, (bound, Some(readers)))).await
    }
}
