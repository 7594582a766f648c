//! `podway proxy`: Podway before MySQL servers that are there already, without a topology: a cluster file says what lies where, and a
//! changed file becomes a newer map. It reads definitions and adopts accounts; it never creates, changes or moves tables or rows.
//!
//! Reading order: [`args`](ProxyArgs) → `limits` → `file` (the cluster file as typed) → `plan` (as decided) → `servers`, `keyspaces`,
//! `accounts` (what the servers say to it) → `draw` (all of it as a map) → `reread` (newer files) → [`run`].

mod accounts;
mod args;
mod draw;
mod error;
mod file;
mod keyspaces;
mod limits;
mod plan;
mod reread;
mod run;
mod servers;

pub use args::ProxyArgs;
pub use error::{PlanError, ServeError};
pub use run::run;
