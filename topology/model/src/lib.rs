//! The words of Podway: what a keyspace, a slot, a shard, a table and the map are. No I/O, no clock is read, no workspace dependency.
//!
//! Reading order: [`name`](Name) → [`keyspace_id`](KeyspaceId) → [`collation`-free column types](ColumnType) → [`table`](Table) →
//! [`keyspace`](Keyspace) → [`server`](Server) → [`account`](Account) → [`drift`](Drift) → [`revision`](Revision) → [`map`](Map) → [`change`](Change), what
//! differs between two maps; and [`hybrid_clock`](HybridClock), time that rises with every message.

mod account;
mod branch;
mod change;
mod column;
mod drift;
mod hybrid_clock;
mod keyspace;
mod keyspace_id;
mod map;
mod name;
mod revision;
mod server;
mod span;
mod table;

pub use account::{
    Account, AccountName, AuthPlugin, ClusterSecret, HostPattern, transaction_account, transaction_token,
};
pub use branch::{BRANCH_FORMAT, Branch, Gtrid, Xid, parts_text};
pub use change::Change;
pub use column::{Column, ColumnDefault, ColumnType};
pub use drift::{Drift, DriftSubject};
pub use hybrid_clock::{HybridClock, HybridTime, TooFarAhead};
pub use keyspace::{
    Epoch, FreezeId, Keyspace, KeyspaceError, KeyspaceRecord, Shard, ShardId, ShardIndex, SlotRun,
};
pub use keyspace_id::{KeyRange, KeyspaceId, NotAKeyRange, SLOT_BITS, SLOTS, Slot};
pub use map::{Map, MapError};
pub use name::{Name, NameRule};
pub use revision::Revision;
pub use server::{MySqlVersion, Server, ServerId};
pub use span::parse_span;
pub use table::{Counter, Sharding, Table, TableKind, Vindex};
