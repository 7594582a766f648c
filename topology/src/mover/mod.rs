//! Who carries out the moves of shards: whichever node leads, step by step, on the servers. What is left to do stands in the operation's record, so the next
//! leader goes on where this one stopped; what a step does twice is done once. It never changes the map: it reports, and the state decides.
//!
//! Reading order: [`plan`], what comes next, and [`leftovers`], what is dropped next → [`drive`], the loop that does it → [`work`], each step → [`sessions`] →
//! [`servers`], all that is said to MySQL.

mod drive;
mod error;
mod leftovers;
mod plan;
mod servers;
mod sessions;
mod work;

pub use drive::drive;
pub(crate) use error::MoveError;
pub(crate) use servers::{Control, Login, Owner};
