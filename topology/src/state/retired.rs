//! Schemas that shards left behind: remembered until they are dropped after their retention, or before it when somebody says so. Which may be dropped is decided here;
//! nothing is dropped here.

use podway_model::{Map, Name, ServerId, ShardId};
use podway_topology_api::{Done, LogTime, Refusal, RetiredReport, RetiredSchema, Thing};
use serde::{Deserialize, Serialize};

use super::names::{sentence, unknown};
use super::outcome::{Effect, Now, Outcome};
use super::servers::Servers;

/// How many are remembered; until one is forgotten, no further shard moves.
pub(super) const MAX_RETIRED: usize = 10_000;

/// Them, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Retired(Vec<RetiredSchema>);

impl Retired {
    pub(super) fn all(&self) -> &[RetiredSchema] {
        &self.0
    }

    /// Which shard left this schema.
    pub(super) fn left_by(&self, server: ServerId, schema: &Name) -> Option<ShardId> {
        let place = self.place(server, schema)?;
        Some(self.0[place].shard)
    }

    /// Whether one more can be remembered.
    pub(super) fn check_room(&self) -> Result<(), Refusal> {
        match self.0.len() < MAX_RETIRED {
            true => Ok(()),
            false => Err(Refusal::Full { what: Thing::RetiredSchema, limit: MAX_RETIRED as u64 }),
        }
    }

    /// Remembers one.
    pub(super) fn add(&mut self, server: ServerId, schema: Name, shard: ShardId, now: &Now<'_>) {
        let (since, is_unwanted, trouble) = (now.at, false, None);
        self.0.push(RetiredSchema { server, schema, shard, since, is_unwanted, trouble });
    }

    /// Forgets those of a server that left.
    pub(super) fn forget_server(&mut self, server: ServerId) {
        self.0.retain(|retired| retired.server != server);
    }

    /// Somebody dropped it himself, or wants to keep it.
    pub(super) fn forget(
        &mut self,
        server: &str,
        schema: &str,
        map: &Map,
        servers: &Servers,
        is_free: impl Fn(ServerId, &str) -> Result<(), Refusal>,
    ) -> Outcome {
        let place = self.find(server, schema, map, servers)?;
        let RetiredSchema { server, schema, .. } = &self.0[place];
        is_free(*server, schema.as_str())?;
        let what = format!("retired schema {schema} on server {} forgotten", servers.name(*server));
        self.0.remove(place);
        Ok(Effect::new(Done::Changed, Vec::new(), what))
    }

    /// Somebody does not want it any longer.
    pub(super) fn unwant(&mut self, server: &str, schema: &str, map: &Map, servers: &Servers) -> Outcome {
        let place = self.find(server, schema, map, servers)?;
        let RetiredSchema { server, schema, is_unwanted, .. } = &mut self.0[place];
        if std::mem::replace(is_unwanted, true) {
            return Ok(Effect::unchanged());
        }
        let what = format!("retired schema {schema} on server {} is to be dropped", servers.name(*server));
        Ok(Effect::new(Done::Changed, Vec::new(), what))
    }

    /// What a leader tells of one that it was to drop. What is not known any more has been told before.
    pub(super) fn report(
        &mut self,
        server: ServerId,
        schema: &Name,
        since: LogTime,
        report: &RetiredReport,
        servers: &Servers,
    ) -> Outcome {
        let place = self.place(server, schema).filter(|place| self.0[*place].since == since);
        let Some(place) = place else { return Ok(Effect::unchanged()) };
        match report {
            RetiredReport::Dropped => {
                self.0.remove(place);
                let what = format!("retired schema {schema} on server {} dropped", servers.name(server));
                Ok(Effect::new(Done::Changed, Vec::new(), what))
            }
            RetiredReport::Stays { reason } => {
                self.0[place].trouble = Some(sentence(reason));
                Ok(Effect::quiet(Done::Changed))
            }
        }
    }

    /// Those whose time has come and that nobody needs: no shard lies there or is on its way there, and no operation has still to do something there.
    pub(super) fn due(
        &self,
        now: LogTime,
        keep_ms: u64,
        is_needed: impl Fn(ServerId, &Name) -> bool,
    ) -> Vec<RetiredSchema> {
        let is_due = |retired: &&RetiredSchema| {
            (retired.is_unwanted || retired.since.0.saturating_add(keep_ms) <= now.0)
                && !is_needed(retired.server, &retired.schema)
        };
        self.0.iter().filter(is_due).cloned().collect()
    }

    fn place(&self, server: ServerId, schema: &Name) -> Option<usize> {
        self.0.iter().position(|retired| retired.server == server && retired.schema == *schema)
    }

    fn find(&self, server: &str, schema: &str, map: &Map, servers: &Servers) -> Result<usize, Refusal> {
        let id = servers.find(server)?;
        let schema = map.names.name(schema);
        self.place(id, &schema).ok_or_else(|| {
            let known = self.0.iter().filter(|retired| retired.server == id);
            unknown(Thing::RetiredSchema, schema.as_str(), known.map(|retired| retired.schema.as_str()))
        })
    }
}
