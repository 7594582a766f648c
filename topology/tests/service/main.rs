//! The Raft service as its users meet it: nodes in one process over real loopback sockets and real files. Waits are for events, and bounded.
//!
//! Reading order: [`cluster`] and [`watcher`], what the scenarios are told with → the scenarios.

#![allow(clippy::unwrap_used, reason = "a panic here is the failure's report")]

mod alone;
mod cluster;
mod failover;
mod leases;
mod members;
mod proof;
mod retries;
mod slow;
mod watcher;
mod watches;
