//! Keeps a map fed from a topology's watch: from the revision that it has, on another node when one fails, whole again when it is too far behind.
//! While no node answers, the last map stays.

use std::time::Duration;

use futures::StreamExt;
use podway_model::{MapError, Revision};
use rand::Rng;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::{MapPublisher, StoreError, TopologyStore, WatchEvent, WatchMessage, WatchStream};

/// A node that says nothing for so long is taken for lost; a healthy one speaks every second.
pub const SILENCE: Duration = Duration::from_secs(5);
/// A map is taken for the newest so long after a node spoke: two of its signs may be late. A proxy's lease is longer, so whoever has lost it does not believe that any more.
const LIVE_FOR: Duration = Duration::from_millis(2_500);
/// The pause before the second attempt, doubled each time …
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// … up to this; each is a random part of it, so that the proxies of a lost node come back one by one.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How the connection to the topology is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopologyContact {
    /// Changes arrive.
    Connected {
        /// Since when.
        since: Instant,
    },
    /// The map is the last one heard of; what changed since is not known.
    Away {
        /// Since when.
        since: Instant,
        /// Why, as the last attempt said.
        reason: String,
    },
}

/// What a follower knows of its topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyHealth {
    /// The connection.
    pub contact: TopologyContact,
    /// The newest revision that a node spoke of; the map's own is at most this.
    pub told: Revision,
    /// The topology's clock when it last spoke: milliseconds since 1970.
    pub log_time_ms: u64,
    /// How often the map had to be fetched whole.
    pub snapshots: u64,
}

/// A map being fed. It stops when this is dropped.
#[derive(Debug)]
pub struct Following {
    health: watch::Receiver<TopologyHealth>,
    task: JoinHandle<()>,
}

impl Following {
    /// How it goes; changes can be awaited.
    pub fn health(&self) -> watch::Receiver<TopologyHealth> {
        self.health.clone()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Feeds `publisher` from `store` until the result is dropped.
pub fn follow<S: TopologyStore>(store: S, publisher: MapPublisher) -> Following {
    let contact = TopologyContact::Away { since: Instant::now(), reason: "not connected yet".to_owned() };
    let start = TopologyHealth { contact, told: publisher.current().revision, log_time_ms: 0, snapshots: 0 };
    let (sender, health) = watch::channel(start);
    publisher.set_live(false);
    let follower = Follower { publisher, health: sender, pause: FIRST_PAUSE, is_whole: true, is_live: false };
    Following { health, task: tokio::spawn(follower.run(store)) }
}

struct Follower {
    publisher: MapPublisher,
    health: watch::Sender<TopologyHealth>,
    pause: Duration,
    /// Whether the map is good to go on from; else it has to be fetched whole.
    is_whole: bool,
    /// Whether this stream has said that the map is the newest.
    is_live: bool,
}

/// Why a stream is no longer read.
enum Ended {
    /// The node, or the way to it.
    Lost(String),
    /// The changes do not fit the map.
    Misfit(String),
}

impl Follower {
    async fn run<S: TopologyStore>(mut self, store: S) {
        loop {
            let from = if self.is_whole { self.publisher.current().revision } else { Revision(0) };
            let ended = match store.watch(from).await {
                Ok(stream) => self.read(stream).await,
                Err(error) => Ended::Lost(error.to_string()),
            };
            let reason = match ended {
                Ended::Lost(reason) => reason,
                Ended::Misfit(reason) => {
                    tracing::warn!(%reason, "the topology's changes do not fit the map: it is fetched whole");
                    self.is_whole = false;
                    reason
                }
            };
            self.lost(reason);
            let pause = self.pause.mul_f64(rand::rng().random_range(0.5..=1.0));
            sleep(pause).await;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn read(&mut self, mut stream: WatchStream) -> Ended {
        let mut heard = None;
        loop {
            let message = match timeout(SILENCE, stream.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(StoreError::TooSlow))) => return Ended::Lost("too slow".to_owned()),
                Ok(Some(Err(error))) => return Ended::Lost(error.to_string()),
                Ok(None) => return Ended::Lost("the node ended the watch".to_owned()),
                Err(_) => return Ended::Lost(format!("the node said nothing for {SILENCE:?}")),
            };
            let now = Instant::now();
            if is_late(heard.replace(now), now) {
                return Ended::Lost("the node's words came late".to_owned());
            }
            if let Err(misfit) = self.take(message) {
                return Ended::Misfit(misfit);
            }
        }
    }

    fn take(&mut self, message: WatchMessage) -> Result<(), String> {
        self.heard();
        // What was missed comes first: until a node says that there is nothing newer, the map is not taken for the newest.
        let mut is_newest = self.is_live;
        match message {
            WatchMessage::Snapshot(event) => {
                self.publish(event)?;
                self.is_whole = true;
                self.health.send_modify(|health| health.snapshots += 1);
            }
            WatchMessage::Event(event) => self.publish(event)?,
            WatchMessage::Progress { revision, log_time_ms } => {
                is_newest = revision <= self.publisher.current().revision;
                self.health.send_modify(|health| {
                    health.told = health.told.max(revision);
                    health.log_time_ms = health.log_time_ms.max(log_time_ms);
                });
            }
        }
        self.is_live = is_newest;
        if is_newest {
            self.publisher.set_live_for(LIVE_FOR);
        }
        Ok(())
    }

    fn publish(&self, event: WatchEvent) -> Result<(), String> {
        let WatchEvent { revision, changes } = event;
        self.health.send_modify(|health| health.told = health.told.max(revision));
        match self.publisher.current().changed(revision, &changes) {
            // Nobody else publishes, so what is newer than the current map is newer than the published one.
            Ok(map) => self.publisher.publish(map).map_err(|error| error.to_string()),
            // A node that is behind sent the whole map: ours is newer, and stays.
            Err(MapError::Stale { .. }) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn heard(&mut self) {
        self.pause = FIRST_PAUSE;
        let is_new = |health: &TopologyHealth| matches!(health.contact, TopologyContact::Away { .. });
        self.health.send_if_modified(|health| {
            let is_new = is_new(health);
            if is_new {
                health.contact = TopologyContact::Connected { since: Instant::now() };
            }
            is_new
        });
    }

    fn lost(&mut self, reason: String) {
        self.is_live = false;
        self.publisher.set_live(false);
        self.health.send_modify(|health| {
            let since = match health.contact {
                TopologyContact::Away { since, .. } => since,
                TopologyContact::Connected { .. } => {
                    tracing::warn!(%reason, "lost the topology; serving from the last map");
                    Instant::now()
                }
            };
            health.contact = TopologyContact::Away { since, reason };
        });
    }
}

/// Whether what comes now may have been on its way for long, as when a network or this process stood still: it may say that nothing is newer, and what is newer comes right behind it. A new
/// stream begins with what was missed. How long the first message takes says nothing.
fn is_late(heard: Option<Instant>, now: Instant) -> bool {
    heard.is_some_and(|heard| now.saturating_duration_since(heard) > LIVE_FOR)
}

#[cfg(test)]
mod tests {
    use podway_model::{Map, NameRule};

    use super::*;
    use crate::watch::map_channel;

    fn event(revision: u64) -> WatchMessage {
        WatchMessage::Event(WatchEvent { revision: Revision(revision), changes: Vec::new() })
    }

    fn progress(revision: u64) -> WatchMessage {
        WatchMessage::Progress { revision: Revision(revision), log_time_ms: 0 }
    }

    #[test]
    fn what_was_long_on_its_way_says_nothing_of_what_is_newest() {
        let now = Instant::now();
        assert!(!is_late(None, now));
        assert!(!is_late(Some(now), now + Duration::from_secs(1)), "a healthy node speaks every second");
        assert!(is_late(Some(now), now + LIVE_FOR + Duration::from_millis(1)));
    }

    #[test]
    fn a_map_is_taken_for_the_newest_when_a_node_says_that_nothing_is_newer() {
        let (publisher, watch) = map_channel(Map::empty(NameRule::CaseSensitive));
        let (health, _health) = watch::channel(TopologyHealth {
            contact: TopologyContact::Away { since: Instant::now(), reason: String::new() },
            told: Revision(0),
            log_time_ms: 0,
            snapshots: 0,
        });
        publisher.set_live(false);
        let mut follower = Follower { publisher, health, pause: FIRST_PAUSE, is_whole: true, is_live: false };
        for message in [event(1), event(2), progress(3)] {
            follower.take(message).unwrap();
            assert!(!watch.is_live(), "more may follow");
        }
        for message in [event(3), progress(3), event(4)] {
            follower.take(message).unwrap();
        }
        assert!(watch.is_live());
        follower.lost("a test".to_owned());
        follower.take(event(5)).unwrap();
        assert!(!watch.is_live(), "what was missed may follow still");
        follower.take(progress(5)).unwrap();
        assert!(watch.is_live());
        assert_eq!(watch.current().revision, Revision(5));
    }
}
