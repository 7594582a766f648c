//! Shards that move, carried out by the topology's leader on real servers: everything arrives, nothing is lost, whatever stops the leader, and what cannot be moved
//! is said. Each test has a topology and a keyspace of its own; the servers are shared, but where a test stops a whole server's moves.
//!
//! And tables that differ from the map: seen by the same leader, told, and gone when they are put right.

mod arrival;
mod blocked;
mod cancelled;
mod crashes;
mod drifting_keys;
mod drifting_tables;
mod fenced;
mod ground;
mod restarts;
mod retired;
mod shut_out;
