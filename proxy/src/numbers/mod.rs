//! AUTO_INCREMENT numbers of the cluster's: taken from blocks that the topology gave to this proxy, asked for before one runs out. Who gives them is set from
//! outside; which rows want them is the router's to say.
//!
//! A number is used only while the proxy surely has its lease, and only under the generation that the newest map names: an explicit number that somebody inserts in
//! the middle of a block calls the block back. Reading order: [`blocks`], the rule without I/O; [`counters`], the tables' blocks and the waiting.

mod blocks;
mod counters;

use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;

use podway_model::Name;
use podway_topology_api::Incarnation;

pub use counters::{Counters, Taken, Wanted};

/// An answer that comes later.
pub type LaterNumbers<'a, T> = Pin<Box<dyn Future<Output = Result<T, NumberError>> + Send + 'a>>;

/// Where numbers come from.
pub trait NumberSource: Send + Sync {
    /// Gives this proxy a block of `count` numbers, or fewer at the end of the column's range.
    fn reserve<'a>(&'a self, of: &'a NumberedTable, count: u64) -> LaterNumbers<'a, Reserved>;

    /// Makes explicit numbers, from the lowest to the highest, this statement's own: nobody is given them from now on.
    fn claim<'a>(&'a self, of: &'a NumberedTable, values: RangeInclusive<u64>) -> LaterNumbers<'a, Claimed>;
}

/// A table, and in whose name its numbers are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedTable {
    /// Its keyspace.
    pub keyspace: Name,
    /// Its name.
    pub table: Name,
    /// This proxy, as the topology knows it.
    pub incarnation: Incarnation,
}

/// A block of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// The lowest.
    pub first: u64,
    /// The highest.
    pub last: u64,
    /// Good under this generation alone.
    pub generation: u64,
    /// Nobody else has, or gets under this generation, a number below this one.
    pub floor: u64,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The table's generation now.
    pub generation: u64,
    /// Nobody else has, or gets under this generation, a number below this one.
    pub floor: u64,
    /// Proxies that may not have heard yet that blocks were called back: the claim is to be made again until there are none.
    pub unaware: usize,
}

/// Why there is no number. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// The column's range is used up.
    #[error("the numbers of its column are used up")]
    UsedUp,
    /// The topology does not give any.
    #[error("{0}")]
    Refused(String),
    /// The topology does not answer, or not in time.
    #[error("{0}")]
    Away(String),
}
