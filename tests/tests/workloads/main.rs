//! Workloads that others know, beside plain MySQL: the questions of TPC-H and the transactions of TPC-C on the same tables in one MySQL and in keyspaces of one and of several shards. Every answer is compared,
//! and what is in the tables in the end.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod tpcc;
mod tpch;
mod world;
