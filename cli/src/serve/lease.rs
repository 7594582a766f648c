//! A proxy's place in the topology: registered as an incarnation, kept by heartbeats, taken anew as another incarnation when it was lost. It
//! never touches the map or a session.

use std::sync::Arc;
use std::time::Duration;

use podway_model::{FreezeId, Revision, parse_span};
use podway_proxy::{Asked, Peer, Proxy, StampClock, Standing};
use podway_topology_api::{
    Beat, BeatAnswer, ClockReport, Command, MapWatch, ProposeError, Proposer, ProxyCommand, ProxyInfo,
    Registration, StoreError, TopologyStore,
};
use tokio::time::{Instant, sleep, timeout};

/// The setting that says how long a lease is.
const LEASE_SETTING: &str = "proxy.lease";
/// Heartbeats in the time of one lease: two may get lost.
const BEATS_PER_LEASE: u32 = 4;
/// A lease is surely kept for this part of it after a heartbeat that was answered, whichever clock is faster.
const SURE_PART: u32 = 2;
/// A change of what the proxy can say is noticed within this …
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// … and within this while a shard is frozen: then clients wait for what it says.
const LOOK_WHILE_FROZEN: Duration = Duration::from_millis(5);
/// The pause before a failed registration is tried again.
const REGISTER_AGAIN: Duration = Duration::from_secs(1);
/// To what the leader's clock is cut off.
const LEADERS_CLOCK: Duration = Duration::from_millis(1);
/// How long leaving may take: the lease ends by itself otherwise.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// A registered proxy.
pub(crate) struct Lease<S> {
    store: S,
    info: ProxyInfo,
    registration: Registration,
    /// Says how long leases are now, should that have been changed.
    watch: MapWatch,
    said: Said,
    is_heard: bool,
    /// What stamps are made of: kept together with the topology's by each heartbeat.
    clock: Arc<StampClock>,
}

impl<S: TopologyStore> Lease<S> {
    /// Registers; tries again for as long as the topology is away.
    pub(crate) async fn take(
        store: S,
        info: ProxyInfo,
        watch: MapWatch,
        clock: Arc<StampClock>,
    ) -> Result<Lease<S>, ProposeError> {
        let registration = register(&store, &info).await?;
        Ok(Lease { store, info, registration, watch, said: Said::default(), is_heard: true, clock })
    }

    /// What the topology said.
    pub(crate) fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Reports for ever: in time, whenever a newer map was applied, and soon after what a freeze waits for has ended. Without a proxy, which is then
    /// stopping, what it said last is said again: it only becomes truer. Safe to cancel and to call again.
    pub(crate) async fn keep(&mut self, proxy: Option<&Proxy>) {
        let mut watch = self.watch.clone();
        let mut reported: Option<(Instant, Said)> = None;
        loop {
            if let Some(proxy) = proxy {
                // It may have become another one since.
                proxy.set_incarnation(self.registration.incarnation);
                self.said = Said::of(proxy);
            }
            let is_due =
                reported.as_ref().is_none_or(|(at, said)| *said != self.said || at.elapsed() >= self.pause());
            if is_due {
                let sent = std::time::Instant::now();
                let asked = self.clock.ask();
                let answer = self.store.beat(self.beat()).await;
                self.compare(asked, &answer);
                let is_held = answer.as_ref().is_ok_and(|answer| answer.has_lease);
                if let (true, Some(proxy)) = (is_held, proxy) {
                    // It ends a whole lease after this was heard, at the earliest.
                    let sure = self.lease() / SURE_PART;
                    proxy.hold_lease(self.registration.incarnation, sent + sure);
                }
                self.take_answer(answer).await;
                reported = Some((Instant::now(), self.said.clone()));
            }
            let is_frozen = watch.current().keyspaces().any(|keyspace| keyspace.freezes().next().is_some());
            let pause = if is_frozen { LOOK_WHILE_FROZEN } else { LOOK_EVERY };
            tokio::select! {
                () = sleep(pause) => {}
                Some(_newer) = watch.changed() => {}
            }
        }
    }

    fn beat(&self) -> Beat {
        let Said { applied, settled, drained } = self.said.clone();
        let (clock, clocks) = (self.clock.moment(), report(&self.clock));
        Beat { incarnation: self.registration.incarnation, applied, settled, clock, clocks, drained }
    }

    /// Compares this machine's clock with the leader's, which came with the answer.
    fn compare(&self, asked: Asked, answer: &Result<BeatAnswer, StoreError>) {
        if let Ok(answer) = answer
            && answer.wall_us != [0; 2]
        {
            let leaders = answer.wall_us.map(Duration::from_micros);
            self.clock.compare(Peer::Topology, asked, leaders, LEADERS_CLOCK);
        }
    }

    fn pause(&self) -> Duration {
        self.lease() / BEATS_PER_LEASE
    }

    /// How long a lease is.
    fn lease(&self) -> Duration {
        let map = self.watch.current();
        let registered = Duration::from_millis(self.registration.lease_ms);
        let set = map.setting(LEASE_SETTING).and_then(parse_span).unwrap_or(registered);
        set.min(registered)
    }

    /// Tells the topology that nothing of this proxy runs any more.
    pub(crate) async fn leave(self) {
        let proposer = Proposer::new(self.store, &self.info.name);
        let incarnation = self.registration.incarnation;
        let leaving = proposer.propose(Command::Proxy(ProxyCommand::Deregister { incarnation }));
        match timeout(LEAVE_WITHIN, leaving).await {
            Ok(Ok(_)) => tracing::info!("{incarnation} left the topology"),
            Ok(Err(error)) => tracing::warn!("{incarnation} could not leave the topology: {error}"),
            Err(_) => {
                tracing::warn!("{incarnation} could not leave the topology in time; its lease will end")
            }
        }
    }

    async fn take_answer(&mut self, answer: Result<BeatAnswer, StoreError>) {
        let was_heard = std::mem::replace(&mut self.is_heard, answer.is_ok());
        if let Ok(answer) = &answer
            && let Err(error) = self.clock.observe(answer.clock)
        {
            tracing::error!(
                "the topology's clock is not taken over: {error}; set this machine's clock or the leader's"
            );
        }
        match answer {
            Ok(answer) if answer.has_lease => {
                if !was_heard {
                    tracing::info!("the topology hears this proxy again");
                }
            }
            Ok(_) => {
                let lost = self.registration.incarnation;
                match register(&self.store, &self.info).await {
                    Ok(registration) => {
                        tracing::warn!(
                            "{lost} was shut out; this proxy goes on as {}",
                            registration.incarnation
                        );
                        self.registration = registration;
                    }
                    Err(error) => {
                        tracing::error!("{lost} was shut out, and the topology takes it in no more: {error}")
                    }
                }
            }
            Err(error) if was_heard => tracing::warn!("the topology does not hear this proxy: {error}"),
            Err(error) => tracing::debug!("the topology does not hear this proxy: {error}"),
        }
    }
}

/// Registers, however long the topology is away; a refusal, or a caller who is not let in, is final.
async fn register<S: TopologyStore>(store: &S, info: &ProxyInfo) -> Result<Registration, ProposeError> {
    let mut told = None;
    loop {
        match store.register(info.clone()).await {
            Err(ProposeError::Store(error @ StoreError::Away { .. })) => {
                let since: Instant = *told.get_or_insert_with(Instant::now);
                tracing::warn!(waited = ?since.elapsed(), "waiting for the topology: {error}");
                sleep(REGISTER_AGAIN).await;
            }
            answered => return answered,
        }
    }
}

/// What the topology is told of this machine's clock.
fn report(clock: &StampClock) -> ClockReport {
    let offsets = clock.offsets();
    let topology = offsets.iter().find(|(peer, _)| *peer == Peer::Topology);
    let servers = offsets.iter().filter_map(|(peer, offset)| match peer {
        Peer::Server(server) => Some((*server, offset.ahead_us)),
        Peer::Topology => None,
    });
    ClockReport {
        topology: topology.map(|(_, offset)| (offset.ahead_us, offset.within_us)),
        furthest: servers.max_by_key(|(_, ahead_us)| ahead_us.unsigned_abs()),
        steps_back: clock.steps_back(),
        is_too_far_ahead: matches!(clock.standing(), Standing::TooFarAhead(_)),
    }
}

/// What a proxy says of itself with a heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said {
    applied: Revision,
    settled: Revision,
    drained: Vec<FreezeId>,
}

impl Said {
    fn of(proxy: &Proxy) -> Said {
        Said { applied: proxy.applied(), settled: proxy.settled(), drained: proxy.drained() }
    }
}
