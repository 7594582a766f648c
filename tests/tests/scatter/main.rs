//! Writes on several shards beside plain MySQL: four shards on two servers do what one database does, all of it or nothing, in a transaction or without.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod failures;
mod key_corners;
mod keys;
mod queries;
mod statements;
mod world;
