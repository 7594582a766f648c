//! The `podway` binary from outside, as people run it: started, used by a stock client, told to stop.
//!
//! Reading order: [`podway`] (a running binary) → [`demo`] → [`proxy`] → [`cluster`] (servers and a topology) → [`administration`] →
//! [`declarative`] → [`nodes`].

mod administration;
mod cluster;
mod declarative;
mod demo;
mod nodes;
mod podway;
mod proxy;
