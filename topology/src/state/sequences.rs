//! AUTO_INCREMENT numbers of sharded tables: blocks for proxies, so that no number is given out twice. A number that somebody inserts explicitly is
//! claimed first: above the mark, the mark advances; inside another proxy's block, all blocks of the table become void, and whoever claims it waits until
//! every proxy has applied the map that says so. What a proxy took from its block before that was taken before the explicit number was inserted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;

use podway_model::{Change, Keyspace, Map, Name, Revision, Table};
use podway_topology_api::{Done, Incarnation, Refusal, SequenceStep, SequenceView};
use serde::{Deserialize, Serialize};

use super::outcome::{Effect, Outcome};
use super::proxies::Proxies;

/// The largest block.
pub(super) const MAX_BLOCK: u64 = 1 << 20;
/// How many blocks of a proxy are remembered: it holds two, one that it works through and the next, and gives up all that it holds where an answer was lost. So the
/// oldest of more is used up, also if some were given that it never heard of.
pub(super) const BLOCKS_PER_PROXY: usize = 4;

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
    /// The revision of the map that brought this generation.
    #[serde(default)]
    since: Revision,
    /// Who held blocks that are void now, and had not heard of it when that was looked at last.
    #[serde(default)]
    unaware: BTreeSet<Incarnation>,
    /// The blocks that they held.
    #[serde(default)]
    called_back: Vec<Block>,
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

/// What a step depends on besides the table's numbers.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    /// The command's index: the revision of the map that follows from it.
    pub(super) revision: Revision,
    /// The proxies.
    pub(super) proxies: &'a Proxies,
}

impl Sequences {
    /// Does one step for a table.
    pub(super) fn execute(
        &mut self,
        keyspace: &Keyspace,
        table: &Table,
        step: SequenceStep,
        around: Around<'_>,
    ) -> Outcome {
        let next = Generation { number: self.last_generation + 1, since: around.revision };
        let tables = self.known.get_mut(keyspace.name.key());
        let known = tables.and_then(|tables| tables.get_mut(table.name.key()));
        let (Some(largest), Some(sequence)) = (largest_number(table), known) else {
            return Err(refused(
                &table.name,
                "the table is on the home shard alone, or has no AUTO_INCREMENT column of an integer type",
            ));
        };
        let done = match step {
            SequenceStep::Reserve { incarnation, count } => {
                around.proxies.check_lease(incarnation)?;
                sequence.reserve((incarnation, around.proxies), count, largest, &table.name)?
            }
            SequenceStep::Advance { to } => sequence.advance(to),
            SequenceStep::Claim { incarnation, value, through } => {
                around.proxies.check_lease(incarnation)?;
                let through = through.unwrap_or(value).max(value);
                sequence.claim((incarnation, around.proxies), value..=through, next)
            }
            SequenceStep::Restart { next: from } => sequence.restart(from, next, &table.name)?,
        };
        let mut effect = Effect::quiet(done);
        if sequence.generation == next.number {
            self.last_generation = next.number;
            effect.changes.push(generation_change(keyspace, table, next.number));
        }
        if let SequenceStep::Restart { next } = step {
            effect.what = Some(format!("AUTO_INCREMENT of {}.{} is {next}", keyspace.name, table.name));
        }
        Ok(effect)
    }

    /// A table was declared or altered: its numbers begin, or are forgotten if it has none any more. What watchers are told.
    pub(super) fn follow(
        &mut self,
        keyspace: &Keyspace,
        table: &Table,
        revision: Revision,
    ) -> Option<Change> {
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
        let (blocks, unaware, called_back) = (VecDeque::new(), BTreeSet::new(), Vec::new());
        let new = Sequence { next: 1, generation, since: revision, unaware, called_back, blocks };
        tables.insert(table.name.key().into(), new);
        Some(generation_change(keyspace, table, generation))
    }

    /// No number below this one is given out from now on.
    pub(super) fn raise(&mut self, keyspace: &Name, table: &Name, next: u64) {
        let known = self.known.get_mut(keyspace.key()).and_then(|tables| tables.get_mut(table.key()));
        if let Some(sequence) = known {
            sequence.next = sequence.next.max(next);
        }
    }

    /// The same for a table that is in use: nobody goes on with a block below it. What watchers are told.
    pub(super) fn raise_in_use(
        &mut self,
        keyspace: &Keyspace,
        table: &Name,
        next: u64,
        revision: Revision,
    ) -> Option<Change> {
        let sequence = self.known.get_mut(keyspace.name.key())?.get_mut(table.key())?;
        if next <= sequence.next {
            return None;
        }
        sequence.next = next;
        self.last_generation += 1;
        let generation = self.last_generation;
        sequence.void(Generation { number: generation, since: revision });
        Some(Change::SequenceGeneration { keyspace: keyspace.name.clone(), table: table.clone(), generation })
    }

    /// Who may insert numbers of blocks that were called back, and so keeps others from them.
    pub(super) fn unaware(&self) -> BTreeSet<Incarnation> {
        let all = self.known.values().flat_map(BTreeMap::values);
        all.flat_map(|sequence| sequence.unaware.iter().copied()).collect()
    }

    /// A table has another name; its numbers go on under a new generation, so that nobody holds blocks under the old name.
    pub(super) fn rename(&mut self, keyspace: &Name, table: &Name, to: &Name, revision: Revision) {
        if let Some(tables) = self.known.get_mut(keyspace.key())
            && let Some(mut sequence) = tables.remove(table.key())
        {
            self.last_generation += 1;
            sequence.void(Generation { number: self.last_generation, since: revision });
            tables.insert(to.key().into(), sequence);
        }
    }

    /// Leaves out numbers of every table, `count` or half of what is left, which may have been given to proxies that nobody here knows of; all blocks
    /// become void. What watchers are told.
    pub(super) fn skip(&mut self, map: &Map, count: u64, revision: Revision) -> Vec<Change> {
        let mut changes = Vec::new();
        for keyspace in map.keyspaces() {
            let Some(known) = self.known.get_mut(keyspace.name.key()) else { continue };
            for table in keyspace.tables.values() {
                let known = known.get_mut(table.name.key());
                let (Some(sequence), Some(largest)) = (known, largest_number(table)) else { continue };
                let left = largest.saturating_sub(sequence.next) / 2;
                sequence.next += count.min(left);
                self.last_generation += 1;
                sequence.void(Generation { number: self.last_generation, since: revision });
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
            sequence.unaware.remove(&holder);
            sequence.called_back.retain(|block| block.holder != holder);
        }
    }
}

/// A generation that begins.
#[derive(Clone, Copy)]
struct Generation {
    number: u64,
    since: Revision,
}

/// Who asks, among all proxies.
type Asking<'a> = (Incarnation, &'a Proxies);

impl Sequence {
    fn reserve(
        &mut self,
        (holder, proxies): Asking<'_>,
        count: u64,
        largest: u64,
        table: &Name,
    ) -> Result<Done, Refusal> {
        if count == 0 || count > MAX_BLOCK {
            return Err(refused(table, &format!("a block has 1 to {MAX_BLOCK} numbers, not {count}")));
        }
        // The largest number of BIGINT UNSIGNED has no successor: as in MySQL, it cannot be had itself.
        if self.next > largest || self.next == u64::MAX {
            return Err(Refusal::UsedUp { table: table.clone(), largest });
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
        let floor = self.floor((holder, proxies));
        Ok(Done::Block { first, last, generation: self.generation, floor })
    }

    fn advance(&mut self, to: u64) -> Done {
        self.next = self.next.max(to.saturating_add(1));
        self.stands(Vec::new(), 0)
    }

    fn claim(
        &mut self,
        (holder, proxies): Asking<'_>,
        values: RangeInclusive<u64>,
        next: Generation,
    ) -> Done {
        let (first, last) = (*values.start(), *values.end());
        let is_above = first >= self.next;
        let is_anothers =
            |block: &Block| block.holder != holder && block.first <= last && first <= block.last;
        if self.blocks.iter().any(is_anothers) {
            self.void(next);
        }
        self.next = self.next.max(last.saturating_add(1));
        // What nobody was given needs no wait.
        let voided = if is_above { Vec::new() } else { self.unaware((holder, proxies)) };
        let voided = voided.into_iter().filter(|other| self.may_insert(*other, first..=last)).collect();
        let floor = self.floor((holder, proxies));
        self.stands(voided, floor)
    }

    fn restart(&mut self, from: u64, next: Generation, table: &Name) -> Result<Done, Refusal> {
        if from == 0 {
            return Err(refused(table, "the numbers begin at 1"));
        }
        self.next = from;
        let mut holders = self.void(next);
        holders.sort_unstable();
        holders.dedup();
        Ok(self.stands(holders, 0))
    }

    /// All blocks are void. Who held them.
    fn void(&mut self, next: Generation) -> Vec<Incarnation> {
        (self.generation, self.since) = (next.number, next.since);
        let holders: Vec<Incarnation> = self.blocks.iter().map(|block| block.holder).collect();
        self.called_back.extend(self.blocks.drain(..));
        self.unaware.extend(&holders);
        holders
    }

    /// The other proxies that may insert numbers of void blocks yet.
    fn unaware(&mut self, (holder, proxies): Asking<'_>) -> Vec<Incarnation> {
        let unaware = proxies.unaware(self.since);
        self.unaware.retain(|other| unaware.contains(other));
        self.called_back.retain(|block| unaware.contains(&block.holder));
        self.unaware.iter().copied().filter(|other| *other != holder).collect()
    }

    /// Whether one of these numbers was in a block of a proxy that has not heard that it is void.
    fn may_insert(&self, holder: Incarnation, values: RangeInclusive<u64>) -> bool {
        let mut known = self.called_back.iter().filter(|block| block.holder == holder).peekable();
        // Of whom no block is known, any may have been.
        known.peek().is_none()
            || known.any(|block| block.first <= *values.end() && *values.start() <= block.last)
    }

    /// Below this number nobody else has one, as far as is known.
    fn floor(&mut self, (holder, proxies): Asking<'_>) -> u64 {
        if !self.unaware((holder, proxies)).is_empty() {
            return 0;
        }
        let others = self.blocks.iter().filter(|block| block.holder != holder);
        others.map(|block| block.first).min().unwrap_or(self.next)
    }

    fn stands(&self, voided: Vec<Incarnation>, floor: u64) -> Done {
        Done::Sequence { next: self.next, generation: self.generation, voided, floor }
    }
}

fn generation_change(keyspace: &Keyspace, table: &Table, generation: u64) -> Change {
    Change::SequenceGeneration { keyspace: keyspace.name.clone(), table: table.name.clone(), generation }
}

/// The largest number of a sharded or reference table's AUTO_INCREMENT column.
fn largest_number(table: &Table) -> Option<u64> {
    table.counter().map(|counter| counter.largest)
}

fn refused(table: &Name, reason: &str) -> Refusal {
    Refusal::Sequence { table: table.clone(), reason: reason.into() }
}
