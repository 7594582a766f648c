//! `podway demo`: real MySQL servers on this machine, a small shop sharded over them, and a proxy before them, until Ctrl-C. The map
//! is kept by a topology node in the same process, so every administrative command works on a demo too. Nothing outlives it but a folder the user named.
//!
//! Reading order: [`args`](DemoArgs) (what was typed, what was decided) → `layout` (what a kept folder remembers) → `shop` (tables and
//! rows) → `cluster` (servers, schemas, accounts) → `map` (the topology) → `load` (rows, through the proxy) → `guide` (what is printed) →
//! `status` (the live line) → `bank` (transfers, and what is killed meanwhile) → [`run`].

mod args;
mod bank;
mod cluster;
mod error;
mod guide;
mod layout;
mod load;
mod map;
mod run;
mod shop;
mod status;

pub use args::DemoArgs;
pub use error::DemoError;
pub use guide::{STATEMENTS, StatementToTry};
pub use layout::LayoutError;
pub use run::run;
