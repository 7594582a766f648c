//! The last changes of the map, as a ring that any number of watchers read at their own pace. There is no queue per watcher: one that is too
//! slow finds its place overwritten and is told so, and what the ring may hold is bounded.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::watch;
use tonic::codegen::Bytes;

/// Events kept; a watcher further behind gets a snapshot.
pub const EVENTS_KEPT: usize = 8_192;

/// Bytes of events kept, for when single changes are large.
pub const BYTES_KEPT: usize = 16 << 20;

/// Events handed to a watcher at a time.
pub const EVENTS_AT_ONCE: usize = 64;

/// One change of the map, encoded once for all watchers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEvent {
    /// The revision that it makes.
    pub revision: u64,
    /// A `Vec<Change>` as JSON.
    pub changes: Bytes,
}

/// Where the feed stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The newest revision.
    pub revision: u64,
    /// Rises when the map was replaced as a whole: events between are not known here.
    pub generation: u64,
}

/// What there is for a watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The events after its revision, in order, without gaps; not all of them if they are many.
    Events(Vec<FeedEvent>),
    /// It has all there is.
    Nothing,
    /// What comes after its revision is no longer kept.
    TooOld,
}

/// The ring and its bell.
#[derive(Debug)]
pub struct Feed {
    ring: Mutex<Ring>,
    mark: watch::Sender<Mark>,
    limit: usize,
}

#[derive(Debug, Default)]
struct Ring {
    /// Whoever has this revision or a newer one can be served.
    floor: u64,
    events: VecDeque<FeedEvent>,
    bytes: usize,
}

impl Feed {
    /// An empty feed that keeps up to `limit` events.
    pub fn new(limit: usize) -> Feed {
        Feed { ring: Mutex::default(), mark: watch::Sender::new(Mark::default()), limit }
    }

    /// Adds an event, whose revision is above all before it, and wakes the watchers.
    pub fn push(&self, event: FeedEvent) {
        let revision = event.revision;
        let mut ring = self.ring.lock();
        ring.bytes += event.changes.len();
        ring.events.push_back(event);
        while ring.events.len() > self.limit || ring.bytes > BYTES_KEPT {
            let Some(oldest) = ring.events.pop_front() else { break };
            ring.bytes -= oldest.changes.len();
            ring.floor = oldest.revision;
        }
        drop(ring);
        self.mark.send_modify(|mark| mark.revision = revision);
    }

    /// Starts anew at a revision whose map came as a whole: what led to it is not known.
    pub fn restart(&self, revision: u64) {
        *self.ring.lock() = Ring { floor: revision, ..Ring::default() };
        self.mark.send_modify(|mark| *mark = Mark { revision, generation: mark.generation + 1 });
    }

    /// What comes after `revision`.
    pub fn after(&self, revision: u64) -> Next {
        let ring = self.ring.lock();
        if revision < ring.floor {
            return Next::TooOld;
        }
        let start = ring.events.partition_point(|event| event.revision <= revision);
        let events: Vec<_> = ring.events.range(start..).take(EVENTS_AT_ONCE).cloned().collect();
        if events.is_empty() { Next::Nothing } else { Next::Events(events) }
    }

    /// Where the feed stands.
    pub fn mark(&self) -> Mark {
        *self.mark.borrow()
    }

    /// Hears each time the feed moves.
    pub fn subscribe(&self) -> watch::Receiver<Mark> {
        self.mark.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(revision: u64) -> FeedEvent {
        FeedEvent { revision, changes: Bytes::from_static(b"[]") }
    }

    fn revisions(next: Next) -> Vec<u64> {
        match next {
            Next::Events(events) => events.iter().map(|event| event.revision).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_watcher_gets_what_it_lacks_or_hears_that_it_is_gone() {
        let feed = Feed::new(3);
        assert_eq!(feed.after(0), Next::Nothing);
        for revision in [2, 5, 6, 9, 12] {
            feed.push(event(revision));
        }
        assert_eq!(feed.after(4), Next::TooOld, "5 is overwritten");
        assert_eq!(revisions(feed.after(5)), [6, 9, 12]);
        assert_eq!(revisions(feed.after(7)), [9, 12]);
        assert_eq!(feed.after(12), Next::Nothing);
        assert_eq!(feed.after(100), Next::Nothing, "ahead of this node: it waits");
    }

    #[test]
    fn after_a_snapshot_only_what_follows_is_known() {
        let feed = Feed::new(3);
        feed.push(event(2));
        feed.restart(40);
        assert_eq!(feed.mark(), Mark { revision: 40, generation: 1 });
        assert_eq!(feed.after(2), Next::TooOld);
        assert_eq!(feed.after(40), Next::Nothing);
        feed.push(event(41));
        assert_eq!(revisions(feed.after(40)), [41]);
    }

    #[test]
    fn large_events_are_bounded_by_their_bytes() {
        let feed = Feed::new(EVENTS_KEPT);
        let large = Bytes::from(vec![b' '; BYTES_KEPT / 2]);
        for revision in 1..=3 {
            feed.push(FeedEvent { revision, changes: large.clone() });
        }
        assert_eq!(feed.after(0), Next::TooOld);
        assert_eq!(revisions(feed.after(1)), [2, 3]);
    }
}
