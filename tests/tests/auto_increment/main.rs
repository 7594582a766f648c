//! AUTO_INCREMENT over the cluster: numbers of a sharded table's own, whichever proxy gives them, compared with one MySQL wherever a client can see a difference.

mod alone;
mod compared;
mod ground;
mod loads;
mod together;
