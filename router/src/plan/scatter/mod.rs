//! Writes on several shards, each in its own text and all in one transaction. Data, and what stands in the way; never reads a value.
//!
//! There are seven kinds, each certain to do together what one MySQL would:
//! * **changes**: UPDATE and DELETE whose rows meet no rows of other shards ([`changes`]); every shard runs the statement itself;
//! * **fed changes**: those whose rows do meet rows of other shards, which are read first ([`feeds`]);
//! * **rows**: INSERT and REPLACE of listed rows ([`inserts`]); every shard gets the statement with its own rows;
//! * **moves**: changes that give rows other sharding keys ([`moves`]);
//! * **transfers**: the rows of a query, each where it belongs ([`transfers`]); where they stay on their shards, every shard runs the statement ([`pushed`]);
//! * **loads**: the records of a file, each where it belongs ([`loads`]);
//! * **copies**: what changes a reference table ([`copies`]); every shard runs the statement and does the same.
//!
//! Which words they may have is in [`words`]. Read next: [`super::scattered`], which says what each shard gets.

mod changes;
mod copies;
mod feeds;
mod given_texts;
mod inserts;
mod limits;
mod loads;
mod moves;
mod pushed;
mod transfers;
mod words;

use std::sync::Arc;

use podway_model::{Name, ShardIndex, Table};

use super::gather::Gather;
use super::target::{KeyPin, KeySource};
use crate::TemplateSpan;

pub(super) use changes::changes;
pub(super) use copies::{assigned_value, copies};
pub use given_texts::Texts;
pub(super) use inserts::inserts;
pub(super) use limits::Narrowed;
pub use limits::{Chosen, Limited};
pub use loads::{FieldPlace, Load};
pub(super) use loads::{LoadCharset, load};
pub use moves::Moves;
pub(super) use moves::{NewValue, moved, moves, uncertain};
pub(super) use pushed::pushed;
pub(super) use transfers::transfer;
pub use transfers::{Receiver, Transfer};
pub(super) use words::unknown as unknown_word;

/// A write on several shards: each gets its own text, all in one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// Whose shards they are.
    pub keyspace: Name,
    /// Whether NOW() and its kin occur, or columns may be set by them: all shards must get one `timestamp`.
    pub reads_clock: bool,
    /// Whether every shard changes its copy of a reference table: the rows affected are those of one.
    pub is_copies: bool,
    /// Whether the home shard alone writes.
    pub is_at_home: bool,
    /// The rows of other shards that an UPDATE or DELETE is run with.
    pub fed: Option<Box<Gather>>,
    /// How many rows an UPDATE or DELETE writes at most.
    pub limited: Option<Box<Limited>>,
    /// How rows get other sharding keys.
    pub moves: Option<Box<Moves>>,
    /// Where a query's rows are inserted.
    pub transfer: Option<Box<Transfer>>,
    /// Where the records of a client's file go.
    pub load: Option<Box<Load>>,
    /// Keys that lead to the shards of an UPDATE or DELETE; all shards where there are none.
    pub(super) keys: Vec<KeyPin>,
    /// The rows of an INSERT into a sharded table, in their order.
    pub(super) rows: Vec<Row>,
    /// What the AUTO_INCREMENT column of a reference table gets: each copy must get the same.
    pub(super) counters: Option<Counters>,
}

impl Scatter {
    /// Whether each of its pieces is a statement that a server can run as it is, on its own: where there is one, so is the whole.
    pub fn is_plain(&self) -> bool {
        let needs_others = self.fed.is_some() || self.moves.is_some();
        !needs_others && self.transfer.is_none() && self.load.is_none() && !self.is_copies
    }
}

/// A listed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// `(…)` or `ROW(…)`.
    pub(super) span: TemplateSpan,
    /// The numbers of its parameters: from the first to before the second.
    pub(super) params: (u32, u32),
}

/// The numbers that the rows give for the AUTO_INCREMENT column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Counters {
    pub(super) table: Arc<Table>,
    pub(super) values: Vec<KeySource>,
}

/// What one shard gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The shard.
    pub shard: ShardIndex,
    /// The numbers of the parameters in its text, in their order; `None`: all, in their order.
    pub params: Option<Vec<u32>>,
    /// Whether it has an INSERT's last row, whose AUTO_INCREMENT number is the statement's insert id; all have, of other statements.
    pub has_last_row: bool,
    /// The places of its rows among those listed; `None`: the statement as it is.
    pub(super) rows: Option<Vec<u32>>,
    /// What else narrows the statement there.
    pub(super) narrowed: Option<Narrowed>,
}

impl Piece {
    /// Some of a query's rows.
    pub fn of_query(shard: ShardIndex, has_last_row: bool) -> Piece {
        Piece { shard, params: None, has_last_row, rows: None, narrowed: None }
    }

    /// Whether its text is for some rows alone.
    pub fn is_narrowed(&self) -> bool {
        self.narrowed.is_some()
    }

    /// The places of its rows among an INSERT's, if it has a part of them.
    pub fn rows(&self) -> Option<&[u32]> {
        self.rows.as_deref()
    }

    /// How many of an INSERT's rows it has, if it has a part of them.
    pub fn row_count(&self) -> Option<usize> {
        self.rows.as_ref().map(Vec::len)
    }
}

impl Scatter {
    fn new(keyspace: Name) -> Scatter {
        let (reads_clock, is_copies) = (false, false);
        Scatter {
            keyspace,
            reads_clock,
            is_copies,
            is_at_home: false,
            fed: None,
            limited: None,
            moves: None,
            transfer: None,
            load: None,
            keys: Vec::new(),
            rows: Vec::new(),
            counters: None,
        }
    }

    /// About how many bytes it holds.
    pub(super) fn memory(&self) -> usize {
        let keys: usize = self.keys.iter().map(KeyPin::memory).sum();
        let counters = self.counters.as_ref().map_or(0, |counters| counters.values.capacity());
        size_of::<Scatter>()
            + keys
            + self.transfer.as_ref().map_or(0, |transfer| transfer.memory())
            + self.fed.as_ref().map_or(0, |gather| gather.memory())
            + self.limited.as_ref().map_or(0, |limited| limited.memory())
            + self.load.as_ref().map_or(0, |load| load.memory())
            + self.moves.as_ref().map_or(0, |moves| moves.memory())
            + self.rows.capacity() * size_of::<Row>()
            + counters * size_of::<KeySource>()
    }
}
