//! The proxy's way to work that the topology's leader does on several shards or servers: begun, waited for, listed. Who answers is set from outside; a session
//! never sees the topology.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use podway_topology_api::{NewOperation, Operation, OperationId, TableDeclaration};

/// An answer that comes later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, OperationError>> + Send + 'a>>;

/// Where operations are begun.
pub trait Operations: Send + Sync {
    /// Begins one, in the name of `who`. Answered when it cannot be lost.
    fn begin<'a>(&'a self, new: NewOperation, who: &'a str) -> Later<'a, OperationId>;

    /// Waits until an operation has ended or needs somebody, or `within` has passed; the operation as it is then.
    fn end<'a>(&'a self, id: OperationId, within: Duration) -> Later<'a, Operation>;

    /// Those that go on, and the last that ended.
    fn list<'a>(&'a self) -> Later<'a, Vec<Operation>>;

    /// Says how the rows of an empty table are to lie, after a look at it on every shard. Answers what was done.
    fn declare<'a>(&'a self, declared: Declared<'a>, who: &'a str) -> Later<'a, String>;
}

/// A table that is to be declared.
#[derive(Clone, Copy, Debug)]
pub struct Declared<'a> {
    /// Its keyspace.
    pub keyspace: &'a str,
    /// Its name.
    pub table: &'a str,
    /// How its rows are to lie.
    pub declaration: &'a TableDeclaration,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OperationError {
    /// The topology does not begin it, and nothing was done.
    #[error("{0}")]
    Refused(String),
    /// Nobody may do that through Podway, and nothing was done.
    #[error("{0}")]
    Denied(String),
    /// Another operation on the same tables goes on.
    #[error("{0} is not done yet")]
    Busy(OperationId),
    /// The topology did not answer: it may or may not have begun.
    #[error("{0}")]
    Away(String),
}
