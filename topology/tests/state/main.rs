//! The state machine, told by lists of commands: what it answers, what watchers are told, and what no list of commands can break. Nothing here
//! needs a server, a socket or a clock.
//!
//! Reading order: [`script`] → the areas → [`random`] → [`invariants`].

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod accounts;
mod delta;
mod drifts;
mod invariants;
mod keyspaces;
mod log;
mod moves;
mod operations;
mod proxies;
mod random;
mod retired;
mod retries;
mod script;
mod sequences;
mod servers;
mod settings;
mod tables;
mod users;
