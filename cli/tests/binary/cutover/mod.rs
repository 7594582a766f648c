//! Shards change their owner while everything that can go wrong does, with real processes: three topology nodes, two proxies, three MySQL servers. One proxy's way to the
//! topology can be cut, so that it does not hear of a move; any process can be stopped, continued, killed. Whatever happens, what was acknowledged is on the owning shard once,
//! and no read finds less than had been acknowledged when it was sent. No scatter misses a row or finds one twice, and what two shards were
//! told in one transaction is on both or on neither.
//!
//! Reading order: [`history`] (what clients saw, and the check) → [`node`] (a topology node that can be held) → [`relay`] → [`rig`] (all of it) → [`load`] → [`stale`] (a proxy
//! that does not hear of the move; what is found where a part of the protocol is missing) → [`faults`] (servers and leaders in each step) → [`seeds`] (by chance).

mod faults;
mod history;
mod load;
mod node;
mod relay;
mod rig;
mod seeds;
mod stale;
