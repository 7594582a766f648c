//! A watcher that writes down what it is told, and comes back where it left off when its node fails it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use podway_model::{Change, Revision};
use podway_topology_api::{TopologyStore, WatchMessage};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::cluster::eventually;

/// A running watcher.
pub struct Watcher {
    heard: Arc<Mutex<Heard>>,
    task: JoinHandle<()>,
}

/// What it was told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// Each change, in the order of its arrival.
    pub events: Vec<(Revision, Vec<Change>)>,
    /// Whole maps, by revision.
    pub snapshots: Vec<Revision>,
    /// How often a stream ended.
    pub ends: usize,
}

impl Watcher {
    /// Watches from `from` on.
    pub fn new<S: TopologyStore>(store: S, from: Revision) -> Watcher {
        let heard = Arc::<Mutex<Heard>>::default();
        let task = tokio::spawn(watch(store, from, heard.clone()));
        Watcher { heard, task }
    }

    pub fn heard(&self) -> Heard {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until a change up to `revision` has been heard, and tells all.
    pub async fn until(&self, revision: Revision) -> Heard {
        eventually("the watcher hears of the last change", || async {
            let heard = self.heard();
            let last = heard.events.last().map(|(revision, _)| *revision);
            last.max(heard.snapshots.last().copied()).is_some_and(|last| last >= revision).then_some(heard)
        })
        .await
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch<S: TopologyStore>(store: S, mut from: Revision, heard: Arc<Mutex<Heard>>) {
    loop {
        if let Ok(mut stream) = store.watch(from).await {
            while let Some(Ok(message)) = stream.next().await {
                match message {
                    WatchMessage::Snapshot(event) => {
                        from = event.revision;
                        heard.lock().unwrap().snapshots.push(event.revision);
                    }
                    WatchMessage::Event(event) => {
                        from = event.revision;
                        heard.lock().unwrap().events.push((event.revision, event.changes));
                    }
                    WatchMessage::Progress { .. } => {}
                }
            }
        }
        heard.lock().unwrap().ends += 1;
        sleep(Duration::from_millis(5)).await;
    }
}
