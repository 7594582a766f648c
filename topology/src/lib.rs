//! The topology: where shards are placed. Nothing here is on the data path, and nothing here stores the map.

mod placement;

pub use placement::{PlacementError, propose};
