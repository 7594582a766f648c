//! The Raft service as its users meet it: nodes in one process over real loopback sockets and real files. Waits are for events, and bounded.
//!
//! Reading order: [`cluster`], [`watcher`], [`links`] and [`rising`], what the scenarios are told with → the scenarios.

#![allow(clippy::unwrap_used, reason = "a panic here is the failure's report")]

mod alone;
mod cluster;
mod failover;
mod leases;
mod links;
mod members;
mod partitions;
mod proof;
mod retries;
mod rising;
mod slow;
mod watcher;
mod watches;
