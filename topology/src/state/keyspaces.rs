//! Keyspaces, their shards and slots: made, spread, dropped, frozen. Rows are never moved here: a keyspace whose rows would be looked for elsewhere
//! afterwards is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use podway_model::{
    Change, Epoch, FreezeId, Keyspace, KeyspaceRecord, Map, Name, SLOTS, ServerId, Shard, ShardId,
    ShardIndex, Slot, SlotRun, TableKind,
};
use podway_topology_api::{
    Done, KeyspaceCommand, LogTime, NewShard, Refusal, RetiredSchema, ShardCommand, Thing,
};
use serde::{Deserialize, Serialize};

use super::names::{check_identifier, check_schema, clipped, unknown};
use super::outcome::{Effect, Now, Outcome};
use super::retired::Retired;
use super::servers::Servers;

/// How many keyspaces there can be.
pub(super) const MAX_KEYSPACES: usize = 1_024;
/// How many shards a keyspace can have.
pub(super) const MAX_SHARDS: usize = 4_096;

/// What the map does not say of shards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Shards {
    /// The highest number that a shard ever had.
    last_shard: u32,
    /// The highest number that a freeze ever had.
    last_freeze: u64,
    retired: Retired,
    /// Where shards on their way are going to lie.
    reserved: BTreeMap<ShardId, (ServerId, Name)>,
}

/// Who may still need a freeze or a retired schema.
pub(super) trait Holders {
    /// Refuses if a freeze is needed.
    fn check_freeze(&self, freeze: FreezeId) -> Result<(), Refusal>;
    /// Refuses if a retired schema is needed.
    fn check_schema(&self, server: ServerId, schema: &str) -> Result<(), Refusal>;
}

/// Where a shard is found.
#[derive(Clone, Debug)]
pub(super) struct Found<'a> {
    pub(super) keyspace: &'a Arc<Keyspace>,
    pub(super) index: ShardIndex,
    pub(super) shard: &'a Shard,
}

impl Shards {
    /// Does a command of keyspaces.
    pub(super) fn execute(&mut self, command: &KeyspaceCommand, map: &Map, servers: &Servers) -> Outcome {
        match command {
            KeyspaceCommand::Create { name, shards, home } => self.create(name, shards, *home, map, servers),
            KeyspaceCommand::Spread { name, shards } => self.spread(name, shards, map, servers),
            KeyspaceCommand::Drop { name, with_tables } => drop_keyspace(name, *with_tables, map),
            KeyspaceCommand::MakeDefault { name } => make_default(name, map),
        }
    }

    /// Does a command of freezes and retired schemas. `operations` are asked whether one still needs what is to go.
    pub(super) fn execute_shard(
        &mut self,
        command: &ShardCommand,
        map: &Map,
        servers: &Servers,
        operations: &impl Holders,
    ) -> Outcome {
        match command {
            ShardCommand::Freeze { shard } => {
                let (freeze, change) = self.freeze(&find_shard(*shard, map)?)?;
                let what = format!("{shard} frozen by freeze {}", freeze.0);
                Ok(Effect::new(Done::Frozen(freeze), vec![change], what))
            }
            ShardCommand::Unfreeze { freeze } => {
                let Some(found) = find_freeze(*freeze, map) else {
                    return match freeze.0 <= self.last_freeze && freeze.0 > 0 {
                        true => Ok(Effect::unchanged()),
                        false => Err(unknown(Thing::Freeze, &freeze.0.to_string(), [])),
                    };
                };
                operations.check_freeze(*freeze)?;
                let what = format!("{} no longer frozen by freeze {}", found.shard.id, freeze.0);
                Ok(Effect::new(Done::Changed, vec![found.change(found.shard.clone(), None)], what))
            }
            ShardCommand::ForgetRetired { server, schema } => {
                let is_free = |server, schema: &str| operations.check_schema(server, schema);
                self.retired.forget(server, schema, map, servers, is_free)
            }
            ShardCommand::DropRetired { server, schema } => self.retired.unwant(server, schema, map, servers),
            ShardCommand::ReportRetired { server, schema, since, report } => {
                self.retired.report(*server, &map.names.name(schema), *since, report, servers)
            }
        }
    }

    /// Freezes a shard that is not frozen: the freeze's number, and what watchers are told.
    pub(super) fn freeze(&mut self, found: &Found<'_>) -> Result<(FreezeId, Change), Refusal> {
        if let Some(freeze) = found.keyspace.freeze(found.index) {
            return Err(Refusal::Frozen { shard: found.shard.id, freeze });
        }
        self.last_freeze += 1;
        let freeze = FreezeId(self.last_freeze);
        Ok((freeze, found.change(found.shard.clone(), Some(freeze))))
    }

    /// Refuses a schema that is another shard's, or was.
    pub(super) fn check_place(
        &self,
        server: ServerId,
        schema: &Name,
        map: &Map,
        servers: &Servers,
    ) -> Result<(), Refusal> {
        let taken = |of: String| {
            let schema = schema.as_str().into();
            Err(Refusal::SchemaTaken { server: servers.name(server), schema, of: of.into() })
        };
        let mut shards = map.keyspaces().flat_map(|keyspace| keyspace.shards.iter());
        if let Some(shard) = shards.find(|shard| shard.server == server && shard.schema == *schema) {
            return taken(shard.id.to_string());
        }
        let mut reserved = self.reserved.iter();
        if let Some((shard, _)) = reserved.find(|(_, (at, reserved))| *at == server && reserved == schema) {
            return taken(format!("where {shard} is moving to"));
        }
        match self.retired.left_by(server, schema) {
            Some(shard) => taken(format!("what {shard} left behind")),
            None => Ok(()),
        }
    }

    /// Whether one more retired schema can be remembered.
    pub(super) fn check_retired(&self) -> Result<(), Refusal> {
        self.retired.check_room()
    }

    /// Keeps a place for a shard on its way.
    pub(super) fn reserve(&mut self, shard: ShardId, server: ServerId, schema: Name) {
        self.reserved.insert(shard, (server, schema));
    }

    /// A shard has arrived, or does not move any more.
    pub(super) fn release(&mut self, shard: ShardId) {
        self.reserved.remove(&shard);
    }

    /// Remembers a schema that a shard left.
    pub(super) fn retire(&mut self, server: ServerId, schema: Name, shard: ShardId, now: &Now<'_>) {
        self.retired.add(server, schema, shard, now);
    }

    /// Forgets what was retired on a server that left.
    pub(super) fn forget_server(&mut self, server: ServerId) {
        self.retired.forget_server(server);
    }

    pub(super) fn retired(&self) -> &[RetiredSchema] {
        self.retired.all()
    }

    /// The retired schemas that are to be dropped now.
    pub(super) fn due_retired(
        &self,
        now: LogTime,
        keep_ms: u64,
        map: &Map,
        operations: &impl Holders,
    ) -> Vec<RetiredSchema> {
        let is_needed = |server: ServerId, schema: &Name| {
            all_shards(map).any(|found| found.shard.server == server && found.shard.schema == *schema)
                || self.reserved.values().any(|(at, reserved)| *at == server && reserved == schema)
                || operations.check_schema(server, schema.as_str()).is_err()
        };
        self.retired.due(now, keep_ms, is_needed)
    }

    fn create(
        &mut self,
        name: &str,
        shards: &[NewShard],
        home: u16,
        map: &Map,
        servers: &Servers,
    ) -> Outcome {
        check_schema(Thing::Keyspace, name)?;
        let refused = |reason: String| Refusal::Layout { keyspace: name.into(), reason: reason.into() };
        if let Some(known) = map.keyspace_spelled(name) {
            return match is_as_asked(known, shards, home, map, servers) {
                true => Ok(Effect::quiet(Done::Shards(known.shards.iter().map(|shard| shard.id).collect()))),
                false => Err(Refusal::Exists { what: Thing::Keyspace, name: known.name.as_str().into() }),
            };
        }
        if map.keyspaces().count() >= MAX_KEYSPACES {
            return Err(Refusal::Full { what: Thing::Keyspace, limit: MAX_KEYSPACES as u64 });
        }
        let slots = slots_of(shards).map_err(refused)?;
        if usize::from(home) >= shards.len() {
            return Err(refused("its home shard is not one of its shards".to_owned()));
        }
        let placed = self.place(name, shards, map, servers)?;
        let ids: Vec<ShardId> = placed.iter().map(|shard| shard.id).collect();
        let keyspace = map.names.name(name);
        let record = KeyspaceRecord {
            name: keyspace.clone(),
            shards: placed,
            home: ShardIndex(home),
            slots,
            frozen: Vec::new(),
        };
        // The model has the last word on what a keyspace is.
        Keyspace::from_record(&record).map_err(|error| refused(error.to_string()))?;
        self.last_shard += shards.len() as u32;
        let mut changes = vec![Change::Keyspace(record)];
        if map.default_keyspace().is_none() {
            changes.push(Change::DefaultKeyspace(Some(keyspace)));
        }
        let what = format!("keyspace {name} created with {} on {}", counted(shards.len()), on(shards));
        Ok(Effect::new(Done::Shards(ids), changes, what))
    }

    fn spread(&mut self, name: &str, shards: &[NewShard], map: &Map, servers: &Servers) -> Outcome {
        let keyspace = find_keyspace(name, map)?;
        let refused = |reason: &str| {
            Err(Refusal::Layout { keyspace: keyspace.name.as_str().into(), reason: reason.into() })
        };
        if shards.is_empty() {
            return refused("no shard is to be added");
        }
        if shards.iter().any(|shard| !shard.ranges.is_empty()) {
            return refused("shards that are added have no ranges of their own; the slots are cut evenly");
        }
        if keyspace.shards.len() + shards.len() > MAX_SHARDS {
            return Err(Refusal::Full { what: Thing::Shard, limit: MAX_SHARDS as u64 });
        }
        for kind in ["sharded", "reference"] {
            let count =
                keyspace.tables.values().filter(|table| spread_kind(&table.kind) == Some(kind)).count();
            if count > 0 {
                return Err(Refusal::HasTables {
                    keyspace: keyspace.name.as_str().into(),
                    count: count as u64,
                    kind: kind.into(),
                    advice: "their rows would be looked for on other shards: resharding moves them".into(),
                });
            }
        }
        if let Some((_, freeze)) = keyspace.record().frozen.first() {
            let found = find_freeze(*freeze, map).map(|found| found.shard.id);
            return Err(Refusal::Frozen { shard: found.unwrap_or(ShardId(0)), freeze: *freeze });
        }
        let placed = self.place(keyspace.name.as_str(), shards, map, servers)?;
        let ids: Vec<ShardId> = placed.iter().map(|shard| shard.id).collect();
        self.last_shard += shards.len() as u32;
        let all: Vec<Shard> = keyspace.shards.iter().cloned().chain(placed).collect();
        let record = KeyspaceRecord { slots: evenly(all.len()), shards: all, ..keyspace.record() };
        let what = format!(
            "keyspace {} spread over {} more on {}",
            keyspace.name,
            counted(shards.len()),
            on(shards)
        );
        Ok(Effect::new(Done::Shards(ids), vec![Change::Keyspace(record)], what))
    }

    /// The shards with the numbers that they are to have; nothing is counted yet.
    fn place(
        &self,
        keyspace: &str,
        shards: &[NewShard],
        map: &Map,
        servers: &Servers,
    ) -> Result<Vec<Shard>, Refusal> {
        let mut placed: Vec<Shard> = Vec::with_capacity(shards.len());
        for (number, wanted) in (self.last_shard + 1..).zip(shards) {
            let server = servers.find(&wanted.server)?;
            let schema = wanted.schema.as_deref().unwrap_or(keyspace);
            check_schema(Thing::Schema, schema)?;
            let schema = map.names.name(schema);
            self.check_place(server, &schema, map, servers)?;
            if let Some(other) = placed.iter().find(|other| other.server == server && other.schema == schema)
            {
                return Err(Refusal::SchemaTaken {
                    server: wanted.server.clone(),
                    schema: schema.as_str().into(),
                    of: format!("that of {} of the same keyspace", other.id).into(),
                });
            }
            placed.push(Shard { id: ShardId(number), server, schema, epoch: Epoch(1) });
        }
        Ok(placed)
    }
}

impl Found<'_> {
    /// The shard becomes this.
    pub(super) fn change(&self, shard: Shard, freeze: Option<FreezeId>) -> Change {
        Change::Shard { keyspace: self.keyspace.name.clone(), index: self.index, shard, freeze }
    }
}

/// The keyspace with this name.
pub(super) fn find_keyspace<'a>(name: &str, map: &'a Map) -> Result<&'a Arc<Keyspace>, Refusal> {
    map.keyspace_spelled(name).ok_or_else(|| {
        let mut known: Vec<&str> = map.keyspaces().map(|keyspace| keyspace.name.as_str()).collect();
        known.sort_unstable();
        unknown(Thing::Keyspace, name, known)
    })
}

/// The shard with this number.
pub(super) fn find_shard(id: ShardId, map: &Map) -> Result<Found<'_>, Refusal> {
    let is_it = |found: &Found<'_>| found.shard.id == id;
    all_shards(map).find(is_it).ok_or_else(|| unknown(Thing::Shard, &id.0.to_string(), []))
}

/// The shard that this freeze holds.
pub(super) fn find_freeze(freeze: FreezeId, map: &Map) -> Option<Found<'_>> {
    all_shards(map).find(|found| found.keyspace.freeze(found.index) == Some(freeze))
}

/// All shards of all keyspaces.
pub(super) fn all_shards(map: &Map) -> impl Iterator<Item = Found<'_>> {
    map.keyspaces().flat_map(|keyspace| {
        let shards = keyspace.shards.iter().enumerate();
        shards.map(move |(index, shard)| Found { keyspace, index: ShardIndex(index as u16), shard })
    })
}

/// Whether a keyspace is what its creation asks for again.
fn is_as_asked(known: &Keyspace, shards: &[NewShard], home: u16, map: &Map, servers: &Servers) -> bool {
    let is_same = |(shard, wanted): (&Shard, &NewShard)| {
        let schema = wanted.schema.as_deref().unwrap_or(known.name.as_str());
        servers.find(&wanted.server) == Ok(shard.server) && shard.schema == map.names.name(schema)
    };
    known.shards.len() == shards.len()
        && known.home == ShardIndex(home)
        && known.shards.iter().zip(shards).all(is_same)
        && slots_of(shards).is_ok_and(|slots| slots == known.record().slots)
}

/// What a table is called whose rows lie by the slots, or on every shard.
fn spread_kind(kind: &TableKind) -> Option<&'static str> {
    match kind {
        TableKind::Sharded(_) => Some("sharded"),
        TableKind::Reference => Some("reference"),
        TableKind::Home | TableKind::View => None,
    }
}

/// Who owns which slots, lowest first, or why that cannot be.
fn slots_of(shards: &[NewShard]) -> Result<Vec<SlotRun>, String> {
    if shards.is_empty() || shards.len() > MAX_SHARDS {
        return Err(format!("a keyspace has 1 to {MAX_SHARDS} shards"));
    }
    if shards.iter().all(|shard| shard.ranges.is_empty()) {
        return Ok(evenly(shards.len()));
    }
    let owned = |(index, shard): (usize, &NewShard)| {
        let shard_index = ShardIndex(index as u16);
        shard.ranges.iter().map(|range| SlotRun { range: *range, shard: shard_index }).collect::<Vec<_>>()
    };
    let mut runs: Vec<SlotRun> = shards.iter().enumerate().flat_map(owned).collect();
    runs.sort_by_key(|run| run.range.first);
    let mut next = 0;
    let mut joined: Vec<SlotRun> = Vec::new();
    for run in runs {
        let (first, last) = (run.range.first.index(), run.range.last.index());
        if last < first || last >= SLOTS {
            return Err(format!("range {first} to {last} is none"));
        }
        if first > next {
            return Err(format!("slots {next} to {} have no owner", first - 1));
        }
        if first < next {
            return Err(format!("slot {first} has two owners"));
        }
        next = last + 1;
        match joined.last_mut() {
            Some(before) if before.shard == run.shard => before.range.last = run.range.last,
            _ => joined.push(run),
        }
    }
    match next {
        SLOTS => Ok(joined),
        _ => Err(format!("slots {next} to {} have no owner", SLOTS - 1)),
    }
}

/// The slots in as many even runs.
fn evenly(count: usize) -> Vec<SlotRun> {
    let mut runs: Vec<SlotRun> = Vec::with_capacity(count);
    for slot in (0..SLOTS).filter_map(Slot::new) {
        let shard = ShardIndex((slot.index() * count / SLOTS) as u16);
        match runs.last_mut() {
            Some(run) if run.shard == shard => run.range.last = slot,
            _ => runs.push(SlotRun { range: podway_model::KeyRange { first: slot, last: slot }, shard }),
        }
    }
    runs
}

fn drop_keyspace(name: &str, with_tables: bool, map: &Map) -> Outcome {
    check_identifier(Thing::Keyspace, name)?;
    let keyspace = find_keyspace(name, map)?;
    if !with_tables && !keyspace.tables.is_empty() {
        return Err(Refusal::HasTables {
            keyspace: keyspace.name.as_str().into(),
            count: keyspace.tables.len() as u64,
            kind: "declared".into(),
            advice: "forget them, or drop it with its tables".into(),
        });
    }
    let frozen = keyspace.record().frozen.first().copied();
    if let Some((index, freeze)) = frozen {
        let shard = keyspace.shard(index).map_or(ShardId(0), |shard| shard.id);
        return Err(Refusal::Frozen { shard, freeze });
    }
    let mut changes = vec![Change::KeyspaceRemoved(keyspace.name.clone())];
    if map.default_keyspace().is_some_and(|default| default.name == keyspace.name) {
        let others = map.keyspaces().filter(|other| other.name != keyspace.name);
        let oldest = others.min_by_key(|other| other.shards.iter().map(|shard| shard.id).min());
        changes.push(Change::DefaultKeyspace(oldest.map(|other| other.name.clone())));
    }
    let what = format!("keyspace {} dropped; its schemas stay on the servers", keyspace.name);
    Ok(Effect::new(Done::Changed, changes, what))
}

fn make_default(name: &str, map: &Map) -> Outcome {
    let keyspace = find_keyspace(name, map)?;
    if map.default_keyspace().is_some_and(|default| default.name == keyspace.name) {
        return Ok(Effect::unchanged());
    }
    let what = format!("keyspace {} is the default", keyspace.name);
    Ok(Effect::new(Done::Changed, vec![Change::DefaultKeyspace(Some(keyspace.name.clone()))], what))
}

fn counted(shards: usize) -> String {
    if shards == 1 { "1 shard".to_owned() } else { format!("{shards} shards") }
}

fn on(shards: &[NewShard]) -> String {
    let mut servers: Vec<&str> = shards.iter().map(|shard| &*shard.server).collect();
    servers.sort_unstable();
    servers.dedup();
    clipped(&servers.join(", ")).into()
}
