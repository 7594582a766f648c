//! The watch seam: one publisher, any number of watchers, revisions that only rise.

use std::sync::Arc;

use podway_model::{Map, Revision};
use tokio::sync::watch;

/// Makes a connected pair that starts with `map`.
pub fn map_channel(map: Map) -> (MapPublisher, MapWatch) {
    let (sender, receiver) = watch::channel(Arc::new(map));
    (MapPublisher(sender), MapWatch(receiver))
}

/// The side that owns the map.
#[derive(Debug)]
pub struct MapPublisher(watch::Sender<Arc<Map>>);

/// The side that follows it.
#[derive(Clone, Debug)]
pub struct MapWatch(watch::Receiver<Arc<Map>>);

/// Why a map was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Revisions only rise.
    #[error("revision {offered:?} is not above the published {current:?}")]
    Stale {
        /// The revision of the refused map.
        offered: Revision,
        /// The revision that watchers have.
        current: Revision,
    },
}

impl MapPublisher {
    /// The map that watchers have now.
    pub fn current(&self) -> Arc<Map> {
        self.0.borrow().clone()
    }

    /// Hands `map` to every watcher; refused unless its revision is higher than the one they have.
    pub fn publish(&self, map: Map) -> Result<(), PublishError> {
        let offered = map.revision;
        let mut refused = None;
        self.0.send_if_modified(|current| {
            if offered <= current.revision {
                refused = Some(PublishError::Stale { offered, current: current.revision });
                return false;
            }
            *current = Arc::new(map);
            true
        });
        refused.map_or(Ok(()), Err)
    }
}

impl MapWatch {
    /// The newest map.
    pub fn current(&self) -> Arc<Map> {
        self.0.borrow().clone()
    }

    /// Waits for a newer map than the one last seen here and returns it; `None` when the publisher is gone. Safe to cancel.
    pub async fn changed(&mut self) -> Option<Arc<Map>> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podway_model::NameRule;

    fn map(revision: u64) -> Map {
        let mut map = Map::empty(NameRule::CaseSensitive);
        map.revision = Revision(revision);
        map
    }

    #[tokio::test]
    async fn watchers_see_rising_revisions_only() {
        let (publisher, mut watch) = map_channel(map(3));
        assert_eq!(watch.current().revision, Revision(3));
        publisher.publish(map(5)).unwrap();
        assert_eq!(watch.changed().await.unwrap().revision, Revision(5));
        for stale in [4, 5] {
            let refused = PublishError::Stale { offered: Revision(stale), current: Revision(5) };
            assert_eq!(publisher.publish(map(stale)), Err(refused));
        }
        drop(publisher);
        assert!(watch.changed().await.is_none());
        assert_eq!(watch.current().revision, Revision(5), "the last map outlives its publisher");
    }
}
