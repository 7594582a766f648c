//! AUTO_INCREMENT numbers of sharded tables: blocks for proxies, so that no number is given out twice. A number that somebody inserts explicitly is
//! claimed first: above the mark, the mark advances; inside another proxy's block, all blocks of the table become void.

use std::collections::{BTreeMap, VecDeque};

use podway_model::{Change, ColumnType, Keyspace, Map, Name, Table, TableKind};
use podway_topology_api::{Done, Incarnation, Refusal, SequenceStep, SequenceView};
use serde::{Deserialize, Serialize};

use super::outcome::{Effect, Outcome};

/// The largest block.
pub(super) const MAX_BLOCK: u64 = 1 << 20;
/// How many blocks a proxy holds: one that it works through, and the next. Asking for a third says that the oldest is used up.
pub(super) const BLOCKS_PER_PROXY: usize = 2;

/// The sequences of all tables that have one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Sequences {
    /// The highest generation of any table, ever: one is never used again, not even for another table of the same name.
    last_generation: u64,
    /// By keyspace and table, both in their compared form.
    known: BTreeMap<Box<str>, BTreeMap<Box<str>, Sequence>>,
}

/// One table's numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sequence {
    /// The next number that is given out.
    next: u64,
    /// Blocks of other generations are void.
    generation: u64,
    /// What is given out and may not be used up, oldest first.
    #[serde(default)]
    blocks: VecDeque<Block>,
}

/// Numbers that a proxy holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Block {
    first: u64,
    last: u64,
    holder: Incarnation,
}

impl Sequences {
    /// Does one step for a table. `has_lease` says whether a proxy may hold blocks.
    pub(super) fn execute(
        &mut self,
        keyspace: &Keyspace,
        table: &Table,
        step: SequenceStep,
        has_lease: impl Fn(Incarnation) -> Result<(), Refusal>,
    ) -> Outcome {
        let next_generation = self.last_generation + 1;
        let tables = self.known.get_mut(keyspace.name.key());
        let known = tables.and_then(|tables| tables.get_mut(table.name.key()));
        let (Some(largest), Some(sequence)) = (largest_number(table), known) else {
            return Err(refused(
                &table.name,
                "the table is not sharded, or has no AUTO_INCREMENT column of an integer type",
            ));
        };
        let done = match step {
            SequenceStep::Reserve { incarnation, count } => {
                has_lease(incarnation)?;
                sequence.reserve(incarnation, count, largest, &table.name)?
            }
            SequenceStep::Advance { to } => sequence.advance(to),
            SequenceStep::Claim { incarnation, value } => {
                has_lease(incarnation)?;
                sequence.claim(incarnation, value, next_generation)
            }
            SequenceStep::Restart { next } => sequence.restart(next, next_generation, &table.name)?,
        };
        let mut effect = Effect::quiet(done);
        if sequence.generation == next_generation {
            self.last_generation = next_generation;
            effect.changes.push(generation_change(keyspace, table, next_generation));
        }
        if let SequenceStep::Restart { next } = step {
            effect.what = Some(format!("AUTO_INCREMENT of {}.{} is {next}", keyspace.name, table.name));
        }
        Ok(effect)
    }

    /// A table was declared or altered: its numbers begin, or are forgotten if it has none any more. What watchers are told.
    pub(super) fn follow(&mut self, keyspace: &Keyspace, table: &Table) -> Option<Change> {
        if largest_number(table).is_none() {
            self.forget(&keyspace.name, &table.name);
            return None;
        }
        let tables = self.known.entry(keyspace.name.key().into()).or_default();
        if tables.contains_key(table.name.key()) {
            return None;
        }
        self.last_generation += 1;
        let generation = self.last_generation;
        tables.insert(table.name.key().into(), Sequence { next: 1, generation, blocks: VecDeque::new() });
        Some(generation_change(keyspace, table, generation))
    }

    /// A table has another name; its numbers go on under a new generation, so that nobody holds blocks under the old name.
    pub(super) fn rename(&mut self, keyspace: &Name, table: &Name, to: &Name) {
        if let Some(tables) = self.known.get_mut(keyspace.key())
            && let Some(mut sequence) = tables.remove(table.key())
        {
            self.last_generation += 1;
            sequence.void(self.last_generation);
            tables.insert(to.key().into(), sequence);
        }
    }

    /// Leaves out numbers of every table, `count` or half of what is left, which may have been given to proxies that nobody here knows of; all blocks
    /// become void. What watchers are told.
    pub(super) fn skip(&mut self, map: &Map, count: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        for keyspace in map.keyspaces() {
            let Some(known) = self.known.get_mut(keyspace.name.key()) else { continue };
            for table in keyspace.tables.values() {
                let known = known.get_mut(table.name.key());
                let (Some(sequence), Some(largest)) = (known, largest_number(table)) else { continue };
                let left = largest.saturating_sub(sequence.next) / 2;
                sequence.next += count.min(left);
                self.last_generation += 1;
                sequence.void(self.last_generation);
                changes.push(generation_change(keyspace, table, self.last_generation));
            }
        }
        changes
    }

    /// What watchers are told of a table's generation.
    pub(super) fn generation(&self, keyspace: &Keyspace, table: &Table) -> Option<Change> {
        let sequence = self.known.get(keyspace.name.key())?.get(table.name.key())?;
        Some(generation_change(keyspace, table, sequence.generation))
    }

    pub(super) fn view(&self, keyspace: &Name, table: &Name) -> Option<SequenceView> {
        let sequence = self.known.get(keyspace.key())?.get(table.key())?;
        Some(SequenceView {
            next: sequence.next,
            generation: sequence.generation,
            blocks: sequence.blocks.len() as u64,
        })
    }

    /// Forgets a table's numbers.
    pub(super) fn forget(&mut self, keyspace: &Name, table: &Name) {
        if let Some(tables) = self.known.get_mut(keyspace.key()) {
            tables.remove(table.key());
            if tables.is_empty() {
                self.known.remove(keyspace.key());
            }
        }
    }

    /// Forgets the numbers of a keyspace's tables.
    pub(super) fn forget_keyspace(&mut self, keyspace: &Name) {
        self.known.remove(keyspace.key());
    }

    /// A proxy holds nothing any more.
    pub(super) fn release(&mut self, holder: Incarnation) {
        for sequence in self.known.values_mut().flat_map(BTreeMap::values_mut) {
            sequence.blocks.retain(|block| block.holder != holder);
        }
    }
}

impl Sequence {
    fn reserve(
        &mut self,
        holder: Incarnation,
        count: u64,
        largest: u64,
        table: &Name,
    ) -> Result<Done, Refusal> {
        if count == 0 || count > MAX_BLOCK {
            return Err(refused(table, &format!("a block has 1 to {MAX_BLOCK} numbers, not {count}")));
        }
        // The largest number of BIGINT UNSIGNED has no successor: as in MySQL, it cannot be had itself.
        if self.next > largest || self.next == u64::MAX {
            return Err(refused(
                table,
                &format!("its column holds numbers up to {largest}, and they are used up"),
            ));
        }
        let first = self.next;
        let last = first.saturating_add(count - 1).min(largest).min(u64::MAX - 1);
        self.next = last + 1;
        if self.blocks.iter().filter(|block| block.holder == holder).count() >= BLOCKS_PER_PROXY
            && let Some(oldest) = self.blocks.iter().position(|block| block.holder == holder)
        {
            self.blocks.remove(oldest);
        }
        self.blocks.push_back(Block { first, last, holder });
        Ok(Done::Block { first, last, generation: self.generation })
    }

    fn advance(&mut self, to: u64) -> Done {
        self.next = self.next.max(to.saturating_add(1));
        self.stands(Vec::new())
    }

    fn claim(&mut self, holder: Incarnation, value: u64, next_generation: u64) -> Done {
        let is_anothers =
            |block: &Block| block.holder != holder && (block.first..=block.last).contains(&value);
        let voided = match self.blocks.iter().any(is_anothers) {
            true => self.void(next_generation),
            false => Vec::new(),
        };
        self.next = self.next.max(value.saturating_add(1));
        self.stands(voided)
    }

    fn restart(&mut self, next: u64, next_generation: u64, table: &Name) -> Result<Done, Refusal> {
        if next == 0 {
            return Err(refused(table, "the numbers begin at 1"));
        }
        self.next = next;
        let voided = self.void(next_generation);
        Ok(self.stands(voided))
    }

    fn void(&mut self, next_generation: u64) -> Vec<Incarnation> {
        self.generation = next_generation;
        let mut holders: Vec<Incarnation> = self.blocks.drain(..).map(|block| block.holder).collect();
        holders.sort_unstable();
        holders.dedup();
        holders
    }

    fn stands(&self, voided: Vec<Incarnation>) -> Done {
        Done::Sequence { next: self.next, generation: self.generation, voided }
    }
}

fn generation_change(keyspace: &Keyspace, table: &Table, generation: u64) -> Change {
    Change::SequenceGeneration { keyspace: keyspace.name.clone(), table: table.name.clone(), generation }
}

/// The largest number of a sharded table's AUTO_INCREMENT column.
fn largest_number(table: &Table) -> Option<u64> {
    if !matches!(table.kind, TableKind::Sharded(_)) {
        return None;
    }
    let column = table.columns.iter().find(|column| column.auto_increment)?;
    match column.column_type {
        ColumnType::Integer { bytes: bytes @ 1..=8, unsigned } => {
            let bits = u32::from(bytes) * 8 - u32::from(!unsigned);
            Some(u64::MAX >> (u64::BITS - bits))
        }
        _ => None,
    }
}

fn refused(table: &Name, reason: &str) -> Refusal {
    Refusal::Sequence { table: table.clone(), reason: reason.into() }
}
