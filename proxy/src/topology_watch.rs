//! The newest map, for every statement to take one picture of. It follows the topology's watch; it never makes a map.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use podway_model::{Map, Revision};
use podway_topology_api::MapWatch;
use tokio::sync::watch;

/// The newest map.
#[derive(Debug)]
pub struct CurrentMap {
    map: ArcSwap<Map>,
    /// The newest map's revision, in one order with what sessions say they run under.
    revision: AtomicU64,
    changed: watch::Sender<()>,
    watch: MapWatch,
}

impl CurrentMap {
    /// Starts with the map that the watch holds.
    pub fn new(watch: &MapWatch) -> CurrentMap {
        let map = watch.current();
        CurrentMap {
            revision: AtomicU64::new(map.revision.0),
            map: ArcSwap::new(map),
            changed: watch::Sender::new(()),
            watch: watch.clone(),
        }
    }

    /// One picture of the cluster: a statement keeps it from its first step to its last.
    pub fn load(&self) -> Arc<Map> {
        self.map.load_full()
    }

    /// The newest map's revision. Once it reads so, whoever says after that what it runs under, and then reads this, knows of that map.
    pub fn revision(&self) -> Revision {
        Revision(self.revision.load(Ordering::SeqCst))
    }

    /// Whether a change of the map would have been heard of.
    pub fn is_live(&self) -> bool {
        self.watch.is_live()
    }

    /// Waits for a map of which `holds` is true. Safe to cancel.
    pub async fn wait_until(&self, holds: impl Fn(&Map) -> bool) -> Arc<Map> {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let map = self.load();
            if holds(&map) {
                return map;
            }
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes over each newer map and tells `reconcile` of it, until the topology is gone for good. Safe to cancel.
    pub async fn follow(&self, mut watch: MapWatch, reconcile: impl Fn(&Map)) {
        while let Some(map) = watch.changed().await {
            if map.revision > self.load().revision {
                tracing::info!(revision = map.revision.0, "took over a newer map");
                self.map.store(map.clone());
                self.revision.store(map.revision.0, Ordering::SeqCst);
                self.changed.send_replace(());
                reconcile(&map);
            }
        }
        tracing::warn!("the topology is gone: serving from the last map");
    }
}
