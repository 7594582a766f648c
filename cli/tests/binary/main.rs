//! The `podway` binary from outside, as people run it: started, used by a stock client, told to stop.
//!
//! Reading order: [`podway`] (a running binary) → [`demo`] → [`bank`] → [`before`] (what a proxy finds) → [`proxy`] → [`tls`] → [`cluster`] (servers and
//! a topology) → [`administration`] → [`declarative`] → [`nodes`] → [`load`] → [`losses`] → [`namespaces`] → [`moves`] → [`cutover`] → [`promote`] →
//! [`verify`] → [`observed`] (health and metrics) → [`advise`].

mod administration;
mod advise;
mod bank;
mod before;
mod cluster;
mod cutover;
mod declarative;
mod demo;
mod load;
mod losses;
mod moves;
mod namespaces;
mod nodes;
mod observed;
mod podway;
mod promote;
mod proxy;
mod tls;
mod transactions;
mod verify;
