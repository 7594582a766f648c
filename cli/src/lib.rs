//! What the `podway` binary is made of, for the binary itself and for the tests. Nothing of it is on the data path.
//!
//! Reading order: [`local_mysql`] (servers on this machine) → [`provision`] (shards, accounts and table definitions on servers) →
//! [`topology_access`] (the way to the topology) → `observe` (health and metrics over HTTP) →
//! [`serve`] (`podway proxy`) → [`demo`] (`podway demo`) → [`node`] (`podway topology`) → [`admin`] (every administrative command).

pub mod admin;
pub mod demo;
mod file_watch;
pub mod local_mysql;
pub mod node;
mod observe;
pub mod provision;
pub mod serve;
mod stop_signal;
pub mod topology_access;
