//! How the state's map is stored: as its revision and the changes that make it. Never compared, never sent.

use std::sync::Arc;

use podway_model::{Change, Map, NameRule, Revision};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[derive(Serialize, Deserialize)]
struct Stored {
    revision: Revision,
    changes: Vec<Change>,
}

pub(super) fn serialize<S: Serializer>(map: &Arc<Map>, serializer: S) -> Result<S::Ok, S::Error> {
    Stored { revision: map.revision, changes: map.as_changes() }.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Map>, D::Error> {
    let Stored { revision, changes } = Stored::deserialize(deserializer)?;
    let empty = Map::empty(NameRule::default());
    if revision == empty.revision {
        return Ok(Arc::new(empty));
    }
    empty.changed(revision, &changes).map(Arc::new).map_err(de::Error::custom)
}
