//! One node's part in the topology: what it can be asked, by whomever. It answers from its own state where that will do, and asks the leader where
//! it will not. How questions arrive is [`serve`](crate::serve)'s business.
//!
//! Reading order: [`leader`] → [`answers`] → [`beats`] → [`members`] → [`watching`] → [`leading`] → [`local`].

mod answers;
mod beats;
mod leader;
mod leading;
mod local;
mod members;
mod touch;
mod watching;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use podway_model::HybridClock;
use tokio::sync::{Semaphore, watch};

use crate::config::Tuning;
use crate::raft::machine::Machine;
use crate::raft::peers::{Myself, Peers};
use crate::raft::types::Raft;
use crate::surroundings::Clock;
use beats::Pending;
use touch::Touch;

pub use leader::Asked;
pub use leading::lead_each_term;
pub use local::LocalStore;
pub use members::identify;
pub use watching::{Told, Watching};

/// One node.
pub struct Keeper {
    /// The consensus.
    pub raft: Raft,
    /// The state.
    pub machine: Arc<Machine>,
    /// The way to the others.
    pub peers: Arc<Peers>,
    /// Who it is.
    pub myself: Arc<Myself>,
    /// Where clients reach it: `host:port`.
    pub client_address: String,
    tuning: Tuning,
    clock: Clock,
    touch: Touch,
    pending: Pending,
    under_way: Semaphore,
    last_stamp: AtomicU64,
    /// Kept together with the proxies' clocks by their heartbeats.
    hybrid: HybridClock,
    stopping: watch::Sender<bool>,
}

/// What a keeper is made of.
pub struct Parts {
    /// The consensus.
    pub raft: Raft,
    /// The state.
    pub machine: Arc<Machine>,
    /// The way to the others.
    pub peers: Arc<Peers>,
    /// Who it is.
    pub myself: Arc<Myself>,
    /// Where clients reach it: `host:port`.
    pub client_address: String,
    /// Paces and bounds.
    pub tuning: Tuning,
    /// Of which it stamps entries as the leader.
    pub clock: Clock,
}

impl Keeper {
    /// Puts a node together; nothing runs yet.
    pub fn new(parts: Parts) -> Keeper {
        let Parts { raft, machine, peers, myself, client_address, tuning, clock } = parts;
        Keeper {
            raft,
            machine,
            peers,
            myself,
            client_address,
            tuning,
            clock,
            touch: Touch::default(),
            pending: Pending::default(),
            under_way: Semaphore::new(answers::MOST_UNDER_WAY),
            last_stamp: AtomicU64::new(0),
            hybrid: HybridClock::new(),
            stopping: watch::Sender::new(false),
        }
    }

    /// Has watches and tasks end.
    pub fn begin_stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Turns true when the node stops.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }
}
