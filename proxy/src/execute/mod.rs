//! Running one command on one backend connection and passing its answer to the client. It is given the connection, the request and how
//! names are to be put; it returns what the answer said. It never sees a session, and decides neither where nor whether.

mod forward;
mod rewriting;

pub use forward::{Forward, PASSED_ON, Request};
pub use rewriting::{NameChange, Rewriting};
