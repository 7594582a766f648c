//! Which column each table of a database should be sharded by, judged by the statements that ran. Pure: tables, statements and numbers in,
//! advice out; the router itself plans every statement over the tables as they would lie. Never reads a server, never prints.
//!
//! Reading order:
//! * [`question`]: what is known of the database and its statements
//! * [`ground`]: a map with the tables as they would lie, and the statements planned on it
//! * [`way`]: what becomes of one statement: one shard, merged, finished, written on several shards
//! * [`candidates`]: where a table could lie
//! * [`search`]: the combination that costs least
//! * [`reasons`]: why, and what to beware of
//! * [`advice`]: all of it, in order

mod advice;
mod candidates;
mod ground;
mod question;
mod reasons;
mod search;
mod way;

pub use advice::{Advice, AdvisedStatement, AdvisedTable, Load, Shares, advise};
pub use question::{ForeignKey, Kept, Lies, Question, RanStatement, TableFacts, UniqueKey};
pub use way::{Served, Way};
