//! `podway proxy`: Podway before MySQL servers. Its map comes from the topology, or from a cluster file that says what lies where, whose change
//! becomes a newer map. With a file it reads definitions and adopts accounts; it never creates, changes or moves tables or rows.
//!
//! Reading order: [`args`](ProxyArgs) → `limits` → `file` (the cluster file as typed) → `plan` (as decided) → `servers`, `keyspaces`,
//! `accounts` (what the servers say to it) → `draw` (all of it as a map) → `reread` and `certificates` (newer files) → `lease`, `operations`, `numbers` and
//! `from_topology` (without a file) → [`run`].

mod accounts;
mod args;
mod certificates;
mod draw;
mod error;
mod file;
mod from_topology;
mod keyspaces;
mod lease;
mod limits;
mod numbers;
mod operations;
mod plan;
mod reread;
mod run;
mod servers;

pub(crate) use accounts::Adoption;
pub use args::ProxyArgs;
pub use error::{PlanError, ServeError};
pub(crate) use from_topology::wait_for_a_map;
pub(crate) use lease::Lease;
pub use numbers::TopologyNumbers;
pub use operations::TopologyOperations;
pub(crate) use plan::{FilePlan, FileServer, KeyspacePlan, ServerPlan, ShardPlan, UsersPlan, server_address};
pub use run::run;
pub(crate) use servers::ReachedServer;
