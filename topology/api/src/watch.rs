//! The watch seam: one publisher, any number of watchers, revisions that only rise.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use podway_model::{Map, Revision};
use tokio::sync::watch;

/// Times are counted from here, in milliseconds.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Live for ever, and not live.
const FOR_EVER: u64 = u64::MAX;
const NOT: u64 = 0;

/// Makes a connected pair that starts with `map`.
pub fn map_channel(map: Map) -> (MapPublisher, MapWatch) {
    let (sender, receiver) = watch::channel(Arc::new(map));
    let live_until = Arc::new(AtomicU64::new(FOR_EVER));
    (MapPublisher { sender, live_until: live_until.clone() }, MapWatch { receiver, live_until })
}

/// The side that owns the map.
#[derive(Debug)]
pub struct MapPublisher {
    sender: watch::Sender<Arc<Map>>,
    /// Until when changes are heard of as they happen.
    live_until: Arc<AtomicU64>,
}

/// The side that follows it.
#[derive(Clone, Debug)]
pub struct MapWatch {
    receiver: watch::Receiver<Arc<Map>>,
    live_until: Arc<AtomicU64>,
}

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
        self.sender.borrow().clone()
    }

    /// Says whether changes are heard of as they happen: false while the map's source is out of reach. True at first.
    pub fn set_live(&self, live: bool) {
        self.live_until.store(if live { FOR_EVER } else { NOT }, Ordering::Release);
    }

    /// Says that changes are heard of as they happen, and that this holds no longer than so unless it is said again: a process that was stopped meanwhile
    /// must not believe it when it goes on.
    pub fn set_live_for(&self, span: Duration) {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.live_until.store(now_ms().saturating_add(span), Ordering::Release);
    }

    /// Hands `map` to every watcher; refused unless its revision is higher than the one they have.
    pub fn publish(&self, map: Map) -> Result<(), PublishError> {
        let offered = map.revision;
        let mut refused = None;
        self.sender.send_if_modified(|current| {
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
        self.receiver.borrow().clone()
    }

    /// Whether a change would have been heard of. If not, the newest map may be older than the cluster.
    pub fn is_live(&self) -> bool {
        now_ms() < self.live_until.load(Ordering::Acquire) && self.receiver.has_changed().is_ok()
    }

    /// Waits for a newer map than the one last seen here and returns it; `None` when the publisher is gone. Safe to cancel.
    pub async fn changed(&mut self) -> Option<Arc<Map>> {
        self.receiver.changed().await.ok()?;
        Some(self.receiver.borrow_and_update().clone())
    }
}

fn now_ms() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
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
        assert!(watch.is_live());
        publisher.set_live(false);
        assert!(!watch.is_live());
        publisher.set_live_for(Duration::from_secs(60));
        assert!(watch.is_live());
        publisher.set_live_for(Duration::ZERO);
        assert!(!watch.is_live(), "that was a while ago");
        publisher.set_live(true);
        assert!(watch.is_live());
        drop(publisher);
        assert!(!watch.is_live(), "nobody would tell of a change");
        assert!(watch.changed().await.is_none());
        assert_eq!(watch.current().revision, Revision(5), "the last map outlives its publisher");
    }
}
