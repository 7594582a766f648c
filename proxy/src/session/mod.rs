//! A client's session: what it was told, what it has set, which connections are its own for now, and what each of its commands does.
//!
//! Reading order: `shared` (what all sessions share) → `measured` (what monitoring reads of it) → `registry` (who is connected) → `state` → `captured` → `core` (its fields) → `reply` → `login` → `run` (a statement on
//! its shard) → `moving` (a shard that changes its owner) → `text` (COM_QUERY) → `define` (DDL on every shard) → `triggers` (DROP TRIGGER) and `call` → `accounts` (users on every server) → `transaction` → `several` (transactions over several servers) → `deadlocks` → `snapshot` (reads of one moment on several servers) → `scatter` (a write on several shards) → `row_key` and `limited` (so many rows and no more) → `fed` (changes with rows of other shards) → `key_cells` and `move_rows` (rows that get other sharding keys) → `query_columns` and `transfer` (rows of queries) → `load_file`, `load_records` and `load` (records of a client's file) → `locked` and `locks` (LOCK TABLES on several servers) → `make` (CREATE TABLE … SELECT) → `set` → `own_variables` (those that are Podway's) → `stamps` (what clients are told of commits) → `show` → `show_podway` → `grants` → `kill` → `prepared` → `commands` (the loop).
//! It decides nothing about places: the plan does; and copies no rows: `execute` does.

mod accounts;
mod bound_values;
mod call;
mod captured;
mod clocks;
mod commands;
mod core;
mod deadlock_log;
mod deadlocks;
mod defaults;
mod define;
mod explain;
mod fed;
mod gather;
mod grants;
mod key_cells;
mod kill;
mod limited;
mod literals;
mod load;
mod load_file;
mod load_records;
mod locked;
mod locks;
mod login;
mod make;
mod measured;
mod move_rows;
mod move_settings;
mod moving;
mod next_transaction;
mod numbers;
mod own_variables;
mod prepared;
mod query_columns;
mod query_warnings;
mod refusal;
mod registry;
mod replanned;
mod reply;
mod row_key;
mod run;
mod scatter;
mod set;
mod several;
mod shared;
mod show;
mod show_podway;
mod snapshot;
mod sql_prepared;
mod stamped;
mod stamps;
mod state;
mod table_status;
mod text;
mod transaction;
mod transfer;
mod triggers;

pub use deadlocks::watch_deadlocks;
pub use login::{Arrival, LoginError, log_in};
pub use measured::{Measured, MeasuredKind};
pub use registry::SessionHandle;
pub use shared::Shared;
