//! The rows that a change on other shards is run with: MySQL prepares the statement, which gives its errors; then the tables that are not with the changed rows are read on the
//! transaction's own connections, with locks. What is done with them: `session/fed.rs`.

use std::sync::Arc;

use podway_model::Keyspace;
use podway_router::Gather;

use super::super::core::{Planned, Session};
use super::parts::PartRows;
use super::{Bound, needs_home};
use crate::backend::Settings;
use crate::error::ProxyError;

impl Session {
    /// The rows of the tables that are elsewhere, read under these settings; they are locked from now on. `is_at_home`: the home shard alone has the tables that are changed.
    pub(in crate::session) async fn read_fed(
        &mut self,
        planned: &Planned<'_>,
        (keyspace, gather, is_at_home): (&Keyspace, &Gather, bool),
        bound: Option<&Bound<'_>>,
        reading: Arc<Settings>,
    ) -> Result<Vec<PartRows>, ProxyError> {
        let is_at_home = is_at_home || needs_home(gather);
        let at = if is_at_home { keyspace.home } else { self.own_turn(keyspace) };
        let mut spots = self.spots(planned, &[at]).await?;
        let Some(spot) = spots.pop() else { return Ok(Vec::new()) };
        let settings = self.settings_outside();
        let mut connection = self.reader(&spot, &settings).await?;
        let asked = async {
            self.prepare_original(planned, &spot, &mut connection).await?;
            self.carriages(gather, &spot, &mut connection).await
        };
        let carriages = asked.await;
        self.put_away(connection, false);
        let carriages = carriages.map_err(|error| {
            let error = self.in_logical_names(error, &spot);
            self.refused_early(error, &spot)
        })?;
        let kept = std::mem::replace(&mut self.state.settings, reading);
        let rows = self.read_parts(planned, (keyspace, gather), carriages, bound).await;
        self.state.settings = kept;
        rows
    }
}
