//! The `podway` binary from outside, as people run it: started, used by a stock client, told to stop.
//!
//! Reading order: [`podway`] (a running binary) → [`demo`] → [`proxy`].

mod demo;
mod podway;
mod proxy;
