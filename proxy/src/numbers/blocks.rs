//! The numbers that this proxy holds of one table, and which of them a statement gets. No I/O, no clock.
//!
//! Numbers of one statement follow each other, as MySQL's do. A number that the statement brings itself is free to use if it is in a block of this proxy's, or where
//! nobody else can have a block; else it has to be claimed. Numbers that are given after it are above it, where that is possible.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use podway_router::Want;

use super::{Claimed, Reserved};

/// How many blocks the topology keeps for a proxy: asking for a further one gives the oldest up.
const HELD: usize = 2;
/// The numbers of a first block …
const FIRST_BLOCK: u64 = 100;
/// … which is doubled while it lasts only briefly, up to this.
const LARGEST_BLOCK: u64 = 1 << 16;
/// The most numbers that one statement can get: the largest block that the topology gives.
const LARGEST_STATEMENT: u64 = 1 << 20;
/// A block has at most this part of what the column can hold.
const SHARE_OF_COLUMN: u64 = 1 << 10;

/// A table's numbers in this proxy's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    /// What the blocks are good under.
    generation: u64,
    /// Below this number nobody else has a block.
    floor: u64,
    /// The blocks that the topology keeps for this proxy, as they were given, oldest first.
    held: VecDeque<Block>,
    /// What is left of them to be given, oldest first.
    left: VecDeque<Block>,
    /// How many numbers the next block has.
    size: u64,
    largest: u64,
}

/// Numbers from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    first: u64,
    last: u64,
}

/// What comes next for a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// These are its numbers: for each row, the one that was given.
    Taken(Vec<Option<u64>>),
    /// A block of at least so many has to be asked for.
    Reserve(u64),
    /// The numbers that it brings have to be claimed.
    Claim(RangeInclusive<u64>),
    /// It wants more numbers than one statement can get.
    TooMany,
}

impl Blocks {
    /// None yet, of a column that holds numbers up to `largest`.
    pub(super) fn new(largest: u64) -> Blocks {
        let (held, left) = (VecDeque::new(), VecDeque::new());
        Blocks { generation: 0, floor: 0, held, left, size: limited(FIRST_BLOCK, largest), largest }
    }

    /// The generation that the newest map names: what was given under an older one is gone.
    pub(super) fn enter(&mut self, generation: u64) {
        if self.generation < generation {
            self.forget();
            self.generation = generation;
        }
    }

    /// Under which generation they are good.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Nothing of what is held is good any more.
    pub(super) fn forget(&mut self) {
        self.held.clear();
        self.left.clear();
        self.floor = 0;
    }

    /// What a statement gets; `claimed`: all that it has claimed already.
    pub(super) fn step(&mut self, wants: &[Want], claimed: &[RangeInclusive<u64>]) -> Step {
        if let Some(range) = self.unclaimed(wants, claimed) {
            return Step::Claim(range);
        }
        let count = wants.iter().filter(|want| **want == Want::Next).count() as u64;
        if count > LARGEST_STATEMENT {
            return Step::TooMany;
        }
        for passed in 0..=self.left.len() {
            let mut left: VecDeque<Block> = self.left.iter().skip(passed).copied().collect();
            if let Some(numbers) = given(&mut left, wants) {
                self.left = left;
                return Step::Taken(numbers);
            }
        }
        Step::Reserve(count)
    }

    /// The range of the numbers that the statement brings and that somebody else may have or get.
    fn unclaimed(&self, wants: &[Want], claimed: &[RangeInclusive<u64>]) -> Option<RangeInclusive<u64>> {
        let is_free = |number: u64| {
            number < self.floor
                || claimed.iter().any(|claimed| claimed.contains(&number))
                || self.held.iter().any(|block| (block.first..=block.last).contains(&number))
        };
        let explicit = wants.iter().filter_map(|want| match want {
            Want::Explicit(number) if !is_free(*number) => Some(*number),
            _ => None,
        });
        explicit.fold(None, |range: Option<RangeInclusive<u64>>, number| match range {
            None => Some(number..=number),
            Some(range) => Some(*range.start().min(&number)..=*range.end().max(&number)),
        })
    }

    /// Whether the next block should be asked for already.
    pub(super) fn runs_out(&self) -> bool {
        let left: u64 = self.left.iter().map(|block| block.last - block.first + 1).sum();
        self.left.len() < HELD && left < self.size / 2
    }

    /// A further block will be asked for, of how many numbers: the topology gives up the oldest then, and so does this proxy before it does.
    pub(super) fn make_room(&mut self) -> u64 {
        while self.held.len() >= HELD
            && let Some(oldest) = self.held.pop_front()
        {
            self.left.retain(|left| !(oldest.first..=oldest.last).contains(&left.last));
        }
        self.size
    }

    /// A block was given. `was_brief`: the one before did not last long.
    pub(super) fn add(&mut self, given: Reserved, was_brief: bool) {
        self.hear(given.generation, given.floor);
        if given.generation == self.generation {
            let block = Block { first: given.first, last: given.last };
            self.held.push_back(block);
            self.left.push_back(block);
        }
        let size = if was_brief { self.size.saturating_mul(2) } else { FIRST_BLOCK };
        self.size = limited(size, self.largest);
    }

    /// A claim was answered.
    pub(super) fn claimed(&mut self, answer: Claimed) {
        self.hear(answer.generation, answer.floor);
    }

    fn hear(&mut self, generation: u64, floor: u64) {
        self.enter(generation);
        if generation == self.generation {
            self.floor = self.floor.max(floor);
        }
    }
}

/// What the rows get of these blocks, which are left as they are after it; `None`: they do not have enough numbers that follow each other.
fn given(left: &mut VecDeque<Block>, wants: &[Want]) -> Option<Vec<Option<u64>>> {
    let mut numbers = Vec::with_capacity(wants.len());
    let mut last = None;
    for want in wants {
        numbers.push(match want {
            Want::Nothing => None,
            Want::Explicit(number) => {
                if pass(left, *number) {
                    // Numbers go on behind it, as MySQL's do.
                    last = None;
                }
                None
            }
            Want::Next => {
                let block = left.front_mut()?;
                let number = block.first;
                if last.is_some_and(|last: u64| last + 1 != number) {
                    return None;
                }
                match block.first == block.last {
                    true => drop(left.pop_front()),
                    false => block.first += 1,
                }
                last = Some(number);
                Some(number)
            }
        });
    }
    Some(numbers)
}

/// Leaves out all numbers up to this one; whether there were any.
fn pass(left: &mut VecDeque<Block>, number: u64) -> bool {
    let mut has_passed = false;
    while let Some(block) = left.front_mut()
        && block.first <= number
    {
        has_passed = true;
        if number < block.last {
            block.first = number + 1;
            break;
        }
        left.pop_front();
    }
    has_passed
}

fn limited(size: u64, largest: u64) -> u64 {
    size.min(LARGEST_BLOCK).min(largest / SHARE_OF_COLUMN).max(1)
}

#[cfg(test)]
mod tests;
