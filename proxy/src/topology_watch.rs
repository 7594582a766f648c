//! The newest map, for every statement to take one picture of. It follows the topology's watch; it never makes a map.

use std::sync::Arc;

use arc_swap::ArcSwap;
use podway_model::Map;
use podway_topology_api::MapWatch;

/// The newest map.
#[derive(Debug)]
pub struct CurrentMap(ArcSwap<Map>);

impl CurrentMap {
    /// Starts with the map that the watch holds.
    pub fn new(watch: &MapWatch) -> CurrentMap {
        CurrentMap(ArcSwap::new(watch.current()))
    }

    /// One picture of the cluster: a statement keeps it from its first step to its last.
    pub fn load(&self) -> Arc<Map> {
        self.0.load_full()
    }

    /// Takes over each newer map and tells `reconcile` of it, until the topology is gone for good. Safe to cancel.
    pub async fn follow(&self, mut watch: MapWatch, reconcile: impl Fn(&Map)) {
        while let Some(map) = watch.changed().await {
            if map.revision > self.load().revision {
                tracing::info!(revision = map.revision.0, "took over a newer map");
                self.0.store(map.clone());
                reconcile(&map);
            }
        }
        tracing::warn!("the topology is gone: serving from the last map");
    }
}
