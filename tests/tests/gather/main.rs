//! SELECTs over several shards beside plain MySQL: four shards on two servers answer as one database does, in both protocols; and what
//! bounds, faults, rights and sessions make of them.
//!
//! Reading order: `tables` → `world` (both sides) → `order` (merged) → `finish` (computed by MySQL), `folds`, `corners` → `bounds` → `faults` → `rights` → `explain` → `table_status` → `catalog` (information_schema) → `into` (user variables), `full_text` (searches) →
//! `sessions` → `turns` (clients that take their time).

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod bounds;
mod catalog;
mod corners;
mod explain;
mod faults;
mod finish;
mod folds;
mod full_text;
mod hints;
mod into;
mod order;
mod rights;
mod sessions;
mod table_status;
mod tables;
mod turns;
mod world;
