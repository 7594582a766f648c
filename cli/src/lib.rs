//! What the `podway` binary is made of, for the binary itself and for the tests. Nothing of it is on the data path.
//!
//! Reading order: [`local_mysql`] (servers on this machine) → [`provision`] (shards, accounts and table definitions on servers) →
//! [`demo`] (`podway demo`) → [`serve`] (`podway proxy`).

pub mod demo;
pub mod local_mysql;
pub mod provision;
mod schema_grant;
pub mod serve;
mod stop_signal;
