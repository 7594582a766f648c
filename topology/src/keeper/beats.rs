//! Proxies' heartbeats: the leader gathers them and puts all of one tick into one log entry, which renews leases and ends others. A proxy is
//! answered when that entry is applied, so what it is told of its lease is so.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use podway_model::Map;
use podway_topology_api::{
    BEAT_GAP_MS, Beat, BeatAnswer, ClientId, Command, Done, Proposal, ProxyCommand, StoreError,
};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Keeper;
use super::leader::away;
use crate::state::State;

/// Heartbeats that wait for the next tick; more proxies than this cannot be served.
const MOST_PENDING: usize = 16_384;

/// Without a heartbeat, an entry is made so often as long as there are leases that could end: well within the gap that counts as an outage.
const AT_LEAST_EVERY: Duration = Duration::from_millis(BEAT_GAP_MS / 2);

/// Heartbeats that wait for the next tick.
#[derive(Default)]
pub struct Pending {
    waiting: Mutex<Vec<Waiting>>,
    /// They are not to wait for the tick.
    hurry: Notify,
}

/// A heartbeat that waits, with this node's time of day when it came in.
struct Waiting {
    beat: Beat,
    came: Duration,
    answer: oneshot::Sender<BeatAnswer>,
}

impl Keeper {
    /// Takes a heartbeat as the leader and answers it when its lease is renewed.
    pub(super) async fn beat_here(&self, beat: Beat) -> Result<BeatAnswer, StoreError> {
        if !self.is_leader() {
            return Err(away("this node does not lead"));
        }
        let (sender, answer) = oneshot::channel();
        {
            let mut pending = self.pending.waiting.lock();
            if pending.len() >= MOST_PENDING {
                return Err(away("too many heartbeats at once"));
            }
            pending.push(Waiting { beat, came: self.wall_clock(), answer: sender });
        }
        // Clients wait for what is said while a shard is frozen.
        if self.machine.look(|state| has_freezes(state.map())) {
            self.hurry_beats();
        }
        answer.await.map_err(|_| away("the heartbeat did not come into the log"))
    }

    /// Puts the heartbeats that wait into the log at once: somebody waits for what they say.
    pub fn hurry_beats(&self) {
        self.pending.hurry.notify_one();
    }

    /// Puts the heartbeats into the log, tick by tick, until the node stops.
    pub async fn keep_leases(self: Arc<Keeper>) {
        let mut ticks = interval(self.tuning.lease_tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopping = self.stopping();
        let mut last = Instant::now();
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => {}
                () = self.pending.hurry.notified() => {}
                _ = stopping.wait_for(|stops| *stops) => return,
            }
            let beats = std::mem::take(&mut *self.pending.waiting.lock());
            if !self.is_leader() {
                // Dropped: whoever waits hears so and asks the new leader.
                continue;
            }
            let is_due = last.elapsed() >= AT_LEAST_EVERY && self.machine.look(State::has_leases);
            if !beats.is_empty() || is_due {
                last = Instant::now();
                self.take_beats(beats).await;
            }
        }
    }

    async fn take_beats(&self, waiting: Vec<Waiting>) {
        let beats = waiting.iter().map(|one| one.beat.clone()).collect();
        let command = Command::Proxy(ProxyCommand::Beats(beats));
        let proposal = Proposal { client: ClientId(0), sequence: 0, who: "the topology".into(), command };
        let refused = match self.propose_here(proposal).await {
            Ok(Ok(Done::Beats { refused, expired })) => {
                for incarnation in &expired {
                    tracing::warn!(%incarnation, "a proxy's lease ended");
                }
                refused
            }
            Ok(other) => {
                tracing::error!(?other, "heartbeats were answered with something else");
                return;
            }
            Err(error) => {
                tracing::debug!(%error, "heartbeats did not come into the log");
                return;
            }
        };
        let (at, revision) = self.machine.look(|state| (state.time(), state.map().revision));
        let wall = self.wall_clock();
        for Waiting { beat, came, answer } in waiting {
            if let Err(error) = self.hybrid.observe(beat.clock, wall) {
                tracing::debug!(incarnation = %beat.incarnation, %error, "a proxy's clock is not taken over");
            }
            let has_lease = !refused.contains(&beat.incarnation);
            // A caller that has left does not want its answer.
            let clock = self.hybrid.now(wall);
            let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            let wall_us = [micros(came), micros(wall)];
            let _left = answer.send(BeatAnswer { has_lease, at, revision, clock, wall_us });
        }
    }
}

fn has_freezes(map: &Map) -> bool {
    map.keyspaces().any(|keyspace| keyspace.freezes().next().is_some())
}
