//! Writes on several shards beside plain MySQL: four shards on two servers do what one database does, all of it or nothing, in a transaction or without.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod failures;
mod feeds;
mod key_corners;
mod keys;
mod limits;
mod load_files;
mod loads;
mod locks;
mod maintenance;
mod makes;
mod queries;
mod query_values;
mod statements;
mod world;
