//! Raft, by openraft: where the log lies, what an entry does, how nodes talk. Nothing here knows what a command means: that is
//! [`State::apply`](crate::state::State::apply).
//!
//! Reading order: [`types`] → [`storage`] → [`disk`] → [`log`] → [`machine`] → [`peers`] → [`network`].

#![allow(clippy::result_large_err, reason = "openraft's traits give their errors by value")]

pub mod disk;
pub mod log;
pub mod machine;
pub mod network;
pub mod peers;
pub mod storage;
pub mod types;

#[cfg(test)]
mod suite;
