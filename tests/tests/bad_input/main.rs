//! What hostile and careless clients send, and what becomes of it: each ends in an error or in a closed connection, with memory bounded
//! and other sessions untouched.
//!
//! Reading order: [`podway_tests::raw`] (a client that breaks the rules) → [`ground`] (proxies and keyspaces to do it on) → [`logins`] → [`packets`] →
//! [`statements`] → [`hostile_state`] (sessions that leave traps behind) → [`leavers`] (clients that go away in the middle).

mod ground;
mod hostile_state;
mod leavers;
mod logins;
mod packets;
mod statements;
