//! The topology: the one consistent home of the map, kept by one to seven nodes that agree by Raft, and where shards are placed. Nothing here is on
//! the data path.
//!
//! Reading order: [`placement`](propose) → [`surroundings`](Surroundings) → [`config`](NodeConfig) → [`state`], what commands do → `feed`, the last changes →
//! `raft` → `keeper`, what a node can be asked → [`provision`], what servers are told and asked → `mover`, who moves shards → `statements`, who carries out
//! statements on several targets → `preparer`, who makes servers ready → `tracker`, who compares the shards with the map → `serve`, its ports → `founding` → [`node`](TopologyNode) →
//! [`observer`](NodeObserver), what monitoring reads → [`recovery`](recover).

mod config;
mod feed;
mod founding;
mod keeper;
mod move_probe;
mod mover;
mod node;
mod observer;
mod placement;
mod preparer;
pub mod provision;
mod raft;
mod recovery;
mod serve;
pub mod state;
mod statement_seam;
mod statements;
mod surroundings;
mod tracker;

pub use config::{
    ClientListener, ClientListenerTls, ConfigError, InitialMember, MAX_NODES, NodeConfig, PeerListener,
    PeerTls, Start, Storage, Tuning,
};
pub use founding::FoundingError;
pub use keeper::LocalStore;
pub use move_probe::{Moment, MoveProbe, Moves};
pub use node::{StartError, TopologyNode};
pub use observer::{NodeObserver, NodeStanding};
pub use placement::{PlacementError, propose};
pub use raft::disk::DiskError;
pub use raft::storage::SimulatedStorage;
pub use recovery::{Found, Recovered, RecoveryError, inspect, recover};
pub use serve::PortError;
pub use statement_seam::{KeyRules, StatementMoment, StatementProbe, Statements};
pub use surroundings::{Clock, Surroundings};
