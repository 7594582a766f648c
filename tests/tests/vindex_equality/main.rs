//! Vindexes against a real MySQL: rows that the server takes for equal have one keyspace id, and an INSERT's id is that of what the
//! server stored. Never tests where a statement goes.
//!
//! Reading order:
//! * [`server`]: the server that is asked
//! * [`collations`]: texts; [`tables`]: where the router's weight tables come from
//! * [`stored`]: INSERTs; [`compared`]: predicates; [`cases`]: the columns and values of both

mod cases;
mod collations;
mod compared;
mod server;
mod stored;
mod tables;
