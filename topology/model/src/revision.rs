//! Which picture of the cluster something belongs to.

use serde::{Deserialize, Serialize};

/// Counts the changes of the map: the topology's applied index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision(pub u64);
