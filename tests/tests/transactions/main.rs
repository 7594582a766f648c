//! Transactions over several servers, on real ones.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod atomic;
mod bank;
mod deadlocks;
mod edges;
mod ends;
mod ground;
mod interrupted;
mod left_behind;
mod meta;
mod modes;
mod reads;
mod savepoints;
mod sessions;
mod several;
mod stamps;
