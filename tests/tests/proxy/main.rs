//! A client's work through the proxy on real shards: statements on one shard, sessions over pooled connections, transactions, prepared
//! statements, and what is refused.

#![allow(clippy::unwrap_used, reason = "a panic is the failure's report")]

mod beside_others;
mod bounds;
mod map_changes;
mod moves;
mod moves_beside;
mod moves_locks;
mod moves_readers;
mod names;
mod registrations;
mod required_tls;
mod routing;
mod sessions;
mod shop;
mod show_podway;
mod transactions;
