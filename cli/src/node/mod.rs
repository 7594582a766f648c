//! `podway topology`: one node of the topology as a process, until SIGINT or SIGTERM. What a node does is the topology crate's.
//!
//! Reading order: [`args`](NodeArgs) → [`run`].

mod args;
mod error;
mod run;

pub use args::NodeArgs;
pub use error::NodeError;
pub use run::run;
