//! The end of a transaction over several servers, and what is left of one: decided without I/O and without clocks.
//!
//! In reading order: `messages` (what a driver does and tells), `branches`, `commit` (the coordinator), `resolve` (what is left of one).

mod branches;
mod commit;
mod messages;
mod resolve;
#[cfg(test)]
mod tests;

pub use commit::Commit;
#[cfg(test)]
use commit::Phase;
pub use messages::{Action, Event, Outcome, Participant, Participants, Ruling, Via, Why};
pub use resolve::{Resolve, ResolveAction, ResolveEvent};
