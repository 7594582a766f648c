//! Stored programs over several shards: a trigger is made on every shard that has its table, once its body is known to do the same there as in one MySQL. What the
//! analysis does not understand is refused by name: a body runs where nobody looks any more.
//!
//! Reading order: [`header`], what is made → [`body`], its statements → [`check`], what each may do → [`trigger`], the target.

mod body;
mod check;
mod header;
mod trigger;

pub(super) use trigger::planned;
