//! A client's session: what it was told, what it has set, which connections are its own for now, and what each of its commands does.
//!
//! Reading order: `shared` (what all sessions share) → `measured` (what monitoring reads of it) → `registry` (who is connected) → `state` → `captured` → `core` (its fields) → `reply` → `login` → `run` (a statement on
//! its shard) → `moving` (a shard that changes its owner) → `text` (COM_QUERY) → `define` (DDL on every shard) → `accounts` (users on every server) → `transaction` → `several` (transactions over several servers) → `deadlocks` → `snapshot` (reads of one moment on several servers) → `scatter` (a write on several shards) → `key_cells` and `move_rows` (rows that get other sharding keys) → `query_columns` and `transfer` (rows of queries) → `set` → `own_variables` (those that are Podway's) → `stamps` (what clients are told of commits) → `show` → `show_podway` → `grants` → `kill` → `prepared` → `commands` (the loop).
//! It decides nothing about places: the plan does; and copies no rows: `execute` does.

mod accounts;
mod bound_values;
mod captured;
mod commands;
mod core;
mod deadlock_log;
mod deadlocks;
mod defaults;
mod define;
mod explain;
mod gather;
mod grants;
mod key_cells;
mod kill;
mod literals;
mod login;
mod measured;
mod move_rows;
mod move_settings;
mod moving;
mod next_transaction;
mod numbers;
mod own_variables;
mod prepared;
mod query_columns;
mod refusal;
mod registry;
mod reply;
mod run;
mod scatter;
mod set;
mod several;
mod shared;
mod show;
mod show_podway;
mod snapshot;
mod sql_prepared;
mod stamps;
mod state;
mod table_status;
mod text;
mod transaction;
mod transfer;

pub use deadlocks::watch_deadlocks;
pub use login::{Arrival, LoginError, log_in};
pub use measured::{Measured, MeasuredKind};
pub use registry::SessionHandle;
pub use shared::Shared;
