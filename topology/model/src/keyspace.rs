//! A keyspace: a logical database, its shards, and which shard holds each slot.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{KeyRange, KeyspaceId, Name, SLOTS, ServerId, Slot, Table};

/// A shard's number within the cluster; never used again for another shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId(pub u32);

/// A shard's place in [`Keyspace::shards`] of one map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardIndex(pub u16);

/// Counts the changes of a shard's owner; only rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// A freeze's number within the cluster: while it lasts, proxies hold new statements for the shard; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FreezeId(pub u64);

/// One physical schema on one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Its number in the cluster.
    pub id: ShardId,
    /// The server that holds it.
    pub server: ServerId,
    /// The physical schema's name on that server; clients see the keyspace's name alone.
    pub schema: Name,
    /// How often it changed its owner.
    pub epoch: Epoch,
}

/// A logical database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyspace {
    /// The name that clients use.
    pub name: Name,
    /// Its shards.
    pub shards: Vec<Shard>,
    /// Where tables that nobody declared live.
    pub home: ShardIndex,
    /// The tables that were declared, and the views.
    pub tables: HashMap<Name, Arc<Table>>,
    /// Shards for which new statements are held.
    frozen: BTreeMap<ShardIndex, FreezeId>,
    /// For each table whose reserved AUTO_INCREMENT numbers were ever called back: the generation that counts.
    sequence_generations: BTreeMap<Name, u64>,
    /// Names of tables for which statements wait, each with the operation that changes what it stands for.
    held: BTreeMap<Name, u64>,
    slots: Arc<[ShardIndex]>,
}

/// A keyspace without its tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyspaceRecord {
    /// The name that clients use.
    pub name: Name,
    /// Its shards.
    pub shards: Vec<Shard>,
    /// Where tables that nobody declared live.
    pub home: ShardIndex,
    /// Which shard owns which slots, lowest first; each slot once.
    pub slots: Vec<SlotRun>,
    /// The shards that are frozen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<(ShardIndex, FreezeId)>,
}

/// Neighbouring slots of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRun {
    /// Which.
    pub range: KeyRange,
    /// Whose.
    pub shard: ShardIndex,
}

/// Why a keyspace cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyspaceError {
    /// It has no shard.
    #[error("keyspace {0} has no shards")]
    NoShards(Name),
    /// A slot has no owner, or one that is not there.
    #[error("keyspace {keyspace}: slot {slot} belongs to no shard of it")]
    Unowned {
        /// The keyspace.
        keyspace: Name,
        /// The slot's number.
        slot: usize,
    },
    /// The home shard is not one of its shards.
    #[error("keyspace {0}: its home shard is not one of its shards")]
    NoHome(Name),
}

impl Keyspace {
    /// A keyspace whose slots belong to `slots[n]`.
    pub fn new(
        name: Name,
        shards: Vec<Shard>,
        home: ShardIndex,
        slots: Vec<ShardIndex>,
    ) -> Result<Keyspace, KeyspaceError> {
        if shards.is_empty() {
            return Err(KeyspaceError::NoShards(name));
        }
        if usize::from(home.0) >= shards.len() {
            return Err(KeyspaceError::NoHome(name));
        }
        let unowned =
            (0..SLOTS).find(|&slot| slots.get(slot).is_none_or(|owner| usize::from(owner.0) >= shards.len()));
        match unowned {
            Some(slot) => Err(KeyspaceError::Unowned { keyspace: name, slot }),
            None => Ok(Keyspace {
                name,
                shards,
                home,
                tables: HashMap::new(),
                frozen: BTreeMap::new(),
                sequence_generations: BTreeMap::new(),
                held: BTreeMap::new(),
                slots: slots[..SLOTS].into(),
            }),
        }
    }

    /// A keyspace whose slots are cut into as many even runs as it has shards, in their order; the first is home.
    pub fn evenly(name: Name, shards: Vec<Shard>) -> Result<Keyspace, KeyspaceError> {
        let count = shards.len().max(1);
        let slots = (0..SLOTS).map(|slot| ShardIndex((slot * count / SLOTS) as u16)).collect();
        Keyspace::new(name, shards, ShardIndex(0), slots)
    }

    /// A keyspace without tables, as a change carries it.
    pub fn from_record(record: &KeyspaceRecord) -> Result<Keyspace, KeyspaceError> {
        let mut slots = Vec::with_capacity(SLOTS);
        for run in &record.slots {
            if run.range.first.index() != slots.len() || run.range.last < run.range.first {
                return Err(KeyspaceError::Unowned { keyspace: record.name.clone(), slot: slots.len() });
            }
            slots.resize(run.range.last.index() + 1, run.shard);
        }
        let mut keyspace = Keyspace::new(record.name.clone(), record.shards.clone(), record.home, slots)?;
        keyspace.frozen = record.frozen.iter().copied().collect();
        Ok(keyspace)
    }

    /// The keyspace without its tables.
    pub fn record(&self) -> KeyspaceRecord {
        let mut runs: Vec<SlotRun> = Vec::new();
        for (slot, &shard) in (0..SLOTS).filter_map(Slot::new).zip(self.slots.iter()) {
            match runs.last_mut() {
                Some(run) if run.shard == shard => run.range.last = slot,
                _ => runs.push(SlotRun { range: KeyRange { first: slot, last: slot }, shard }),
            }
        }
        KeyspaceRecord {
            name: self.name.clone(),
            shards: self.shards.clone(),
            home: self.home,
            slots: runs,
            frozen: self.frozen.iter().map(|(index, freeze)| (*index, *freeze)).collect(),
        }
    }

    /// Takes over the tables of another picture of this keyspace.
    pub(crate) fn keep_tables_of(&mut self, other: &Keyspace) {
        self.tables.clone_from(&other.tables);
        self.sequence_generations.clone_from(&other.sequence_generations);
        self.held.clone_from(&other.held);
    }

    /// The freeze that holds new statements for this shard, if one does.
    pub fn freeze(&self, index: ShardIndex) -> Option<FreezeId> {
        self.frozen.get(&index).copied()
    }

    /// The place of this shard as the map has it: none where it is elsewhere by now, or gone.
    pub fn position(&self, shard: &Shard) -> Option<ShardIndex> {
        let place = self.shards.iter().position(|known| known == shard)?;
        Some(ShardIndex(place as u16))
    }

    /// All freezes.
    pub fn freezes(&self) -> impl Iterator<Item = (ShardIndex, FreezeId)> {
        self.frozen.iter().map(|(index, freeze)| (*index, *freeze))
    }

    /// Freezes a shard, or lets its statements through again.
    pub fn set_freeze(&mut self, index: ShardIndex, freeze: Option<FreezeId>) {
        match freeze {
            Some(freeze) => self.frozen.insert(index, freeze),
            None => self.frozen.remove(&index),
        };
    }

    /// Blocks of this table's AUTO_INCREMENT numbers count only if they were reserved under this generation.
    pub fn sequence_generation(&self, table: &Name) -> u64 {
        self.sequence_generations.get(table).copied().unwrap_or_default()
    }

    /// Voids the blocks that were reserved under older generations; `0` forgets the table's sequence.
    pub fn set_sequence_generation(&mut self, table: Name, generation: u64) {
        match generation {
            0 => self.sequence_generations.remove(&table),
            _ => self.sequence_generations.insert(table, generation),
        };
    }

    /// The generations of all tables that have one above 0.
    pub fn sequence_generations(&self) -> impl Iterator<Item = (&Name, u64)> {
        self.sequence_generations.iter().map(|(table, generation)| (table, *generation))
    }

    /// The operation that changes what this name of a table stands for: statements that name it wait.
    pub fn held(&self, table: &Name) -> Option<u64> {
        self.held.get(table).copied()
    }

    /// All names of tables for which statements wait.
    pub fn held_names(&self) -> impl Iterator<Item = (&Name, u64)> {
        self.held.iter().map(|(table, by)| (table, *by))
    }

    /// Has statements that name this table wait for an operation, or go on.
    pub fn set_held(&mut self, table: Name, by: Option<u64>) {
        match by {
            Some(operation) => self.held.insert(table, operation),
            None => self.held.remove(&table),
        };
    }

    /// The shard that holds this id.
    pub fn shard_of(&self, id: KeyspaceId) -> ShardIndex {
        self.slots[id.slot().index()]
    }

    /// The shard at this place, if the map that gave the index is this one.
    pub fn shard(&self, index: ShardIndex) -> Option<&Shard> {
        self.shards.get(usize::from(index.0))
    }

    /// Whether one shard holds everything.
    pub fn is_single(&self) -> bool {
        self.shards.len() == 1
    }

    /// The shard's runs of slots, lowest first.
    pub fn ranges(&self, index: ShardIndex) -> Vec<KeyRange> {
        let mut ranges: Vec<KeyRange> = Vec::new();
        for slot in (0..SLOTS).filter_map(Slot::new).filter(|slot| self.slots[slot.index()] == index) {
            match ranges.last_mut() {
                Some(range) if range.last.index() + 1 == slot.index() => range.last = slot,
                _ => ranges.push(KeyRange { first: slot, last: slot }),
            }
        }
        ranges
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NameRule;

    fn shards(count: u32) -> Vec<Shard> {
        let schema = NameRule::CaseSensitive.name("shop");
        (0..count)
            .map(|n| Shard { id: ShardId(n), server: ServerId(n), schema: schema.clone(), epoch: Epoch(1) })
            .collect()
    }

    #[test]
    fn even_shards_own_every_slot_once_in_one_run_each() {
        for count in [1, 2, 3, 4, 7] {
            let keyspace = Keyspace::evenly(NameRule::CaseSensitive.name("shop"), shards(count)).unwrap();
            let runs: Vec<_> = (0..count).flat_map(|n| keyspace.ranges(ShardIndex(n as u16))).collect();
            assert_eq!(runs.len(), count as usize);
            assert_eq!(runs.iter().map(|r| r.last.index() - r.first.index() + 1).sum::<usize>(), SLOTS);
        }
    }

    #[test]
    fn a_keyspace_without_an_owner_for_each_slot_is_refused() {
        let name = NameRule::CaseSensitive.name("shop");
        let keyspace = |owners| Keyspace::new(name.clone(), shards(2), ShardIndex(0), owners).unwrap_err();
        assert_eq!(
            keyspace(vec![ShardIndex(1); 5]),
            KeyspaceError::Unowned { keyspace: name.clone(), slot: 5 }
        );
        assert_eq!(
            keyspace(vec![ShardIndex(2); SLOTS]),
            KeyspaceError::Unowned { keyspace: name.clone(), slot: 0 }
        );
        assert_eq!(Keyspace::evenly(name.clone(), vec![]).unwrap_err(), KeyspaceError::NoShards(name));
    }
}
