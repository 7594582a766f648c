//! The topology: what it remembers and how that changes, and where shards are placed. Nothing here is on the data path.

mod placement;
pub mod state;

pub use placement::{PlacementError, propose};
