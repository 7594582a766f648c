//! From a literal or parameter to a keyspace id. Never looks at a statement, never asks a server.
//!
//! The one rule: rows that MySQL takes for equal have one id. What cannot be said with certainty is `Uncertain`, and the caller
//! then asks every shard, or refuses.
//!
//! Reading order:
//! * [`value`]: a value in its own type; [`literal`]: read from a statement's bytes
//! * [`declaration`]: which columns may be sharding keys
//! * [`canonical`]: one form for all equal keys, made of [`decimal`]s, [`temporal`] values and, for text, a [`collation`]'s weights
//! * [`function`]: from that form to an id
//! * [`number`]: which number a value is; [`predicate`]: the id of the rows that *equal* a value; [`insert`]: the id of a value *as it
//!   will be stored*; [`stored`]: that value as SQL

mod canonical;
mod collation;
mod decimal;
mod declaration;
mod function;
mod insert;
mod literal;
mod number;
mod predicate;
mod stored;
mod temporal;
mod value;

pub use declaration::{DeclarationError, check_declaration};
pub use insert::{CounterValue, InsertId, counter_value, keyspace_id_for_insert};
pub use literal::{ValueContext, default_value, literal_value};
pub use predicate::{Pinned, PredicateId, carries_pin, keyspace_id_for_predicate};
pub use stored::stored_literals;
pub use value::{CalendarTime, ClockTime, KeyValue, TextCharset};

#[cfg(test)]
mod tests;
