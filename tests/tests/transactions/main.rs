//! Transactions over several servers, on real ones.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod atomic;
mod bank;
mod client_xa;
mod clocks;
mod conflict_order;
mod conformance;
mod controls;
mod deadlocks;
mod edges;
mod ends;
mod ground;
mod interrupted;
mod left_behind;
mod locking;
mod meta;
mod modes;
mod read_modes;
mod reads;
mod savepoints;
mod sessions;
mod several;
mod stamped;
mod stamps;
mod timeouts;
