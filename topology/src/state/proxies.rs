//! Proxies: their incarnations, leases and what they acknowledged. A lease ends by the log's time, never by a node's clock, and an ended one never
//! comes back: the proxy registers again, as another incarnation.

use std::collections::{BTreeMap, BTreeSet};

use podway_model::{FreezeId, HybridTime, Map, Revision};
use podway_topology_api::{
    BEAT_GAP_MS, Beat, ClockReport, Done, Incarnation, Lease, LogTime, ProxyInfo, ProxyView, Refusal, Thing,
};
use serde::{Deserialize, Serialize};

use super::keyspaces::all_shards;
use super::names::{check_label, clipped, unknown};
use super::outcome::{Effect, Now, Outcome};

/// How many proxies can have a lease, or have had one and not be shut out yet.
pub(super) const MAX_PROXIES: usize = 4_096;
/// How many proxies that were shut out are remembered, for people.
pub(super) const SHUT_OUT_KEPT: usize = 100;

/// The proxies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Proxies {
    /// The highest incarnation that there ever was.
    last: u32,
    /// When heartbeats were taken last.
    heard: Option<LogTime>,
    known: BTreeMap<Incarnation, Proxy>,
}

/// One incarnation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Proxy {
    info: ProxyInfo,
    since: LogTime,
    heard: LogTime,
    lease: Lease,
    #[serde(default)]
    applied: Revision,
    #[serde(default)]
    settled: Revision,
    #[serde(default)]
    clock: HybridTime,
    #[serde(default)]
    clocks: ClockReport,
    #[serde(default)]
    drained: BTreeSet<FreezeId>,
}

impl Proxies {
    /// Whether a lease could end by itself.
    pub(super) fn has_leases(&self) -> bool {
        self.known.values().any(|proxy| matches!(proxy.lease, Lease::Until(_)))
    }

    /// Leaves out numbers, which may have been given to proxies that nobody here knows of.
    pub(super) fn skip(&mut self, count: u32) {
        self.last = self.last.saturating_add(count);
    }

    /// A proxy gets a number and a lease.
    pub(super) fn register(&mut self, info: &ProxyInfo, lease_ms: u64, now: &Now<'_>) -> Outcome {
        check_label(Thing::Proxy, &info.name)?;
        let waiting = self.known.values().filter(|proxy| proxy.lease != Lease::ShutOut).count();
        if waiting >= MAX_PROXIES {
            return Err(Refusal::Full { what: Thing::Proxy, limit: MAX_PROXIES as u64 });
        }
        let Some(number) = self.last.checked_add(1) else {
            return Err(Refusal::Full { what: Thing::Proxy, limit: u64::from(u32::MAX) });
        };
        self.last = number;
        let incarnation = Incarnation(number);
        let info = ProxyInfo {
            name: info.name.clone(),
            address: clipped(&info.address),
            version: clipped(&info.version),
        };
        let what = format!("proxy {} at {} registered as incarnation {number}", info.name, info.address);
        self.known.insert(
            incarnation,
            Proxy {
                info,
                since: now.at,
                heard: now.at,
                lease: Lease::Until(LogTime(now.at.0 + lease_ms)),
                applied: Revision(0),
                settled: Revision(0),
                clock: HybridTime::default(),
                clocks: ClockReport::default(),
                drained: BTreeSet::new(),
            },
        );
        Ok(Effect::new(Done::Registered { incarnation, lease_ms }, Vec::new(), what))
    }

    /// Takes heartbeats, then ends the leases whose time is over. Time in which nobody took heartbeats is given back first.
    pub(super) fn beats(&mut self, beats: &[Beat], lease_ms: u64, map: &Map, now: &Now<'_>) -> Effect {
        let gap = now.at.0.saturating_sub(self.heard.unwrap_or(now.at).0);
        let lost = if gap > BEAT_GAP_MS { gap } else { 0 };
        self.heard = Some(now.at);
        for proxy in self.known.values_mut() {
            if let Lease::Until(end) = &mut proxy.lease {
                end.0 += lost;
            }
        }
        let freezes: BTreeSet<FreezeId> =
            all_shards(map).filter_map(|found| found.keyspace.freeze(found.index)).collect();
        let mut refused = Vec::new();
        for beat in beats {
            match self.known.get_mut(&beat.incarnation) {
                Some(proxy) if proxy.is_live() => proxy.take(beat, &freezes, lease_ms, now),
                _ => refused.push(beat.incarnation),
            }
        }
        let mut expired = Vec::new();
        for (incarnation, proxy) in &mut self.known {
            proxy.drained.retain(|freeze| freezes.contains(freeze));
            if matches!(proxy.lease, Lease::Until(end) if end <= now.at) {
                proxy.lease = Lease::Ended;
                expired.push(*incarnation);
            }
        }
        let names: Vec<String> = expired.iter().map(|incarnation| self.name(*incarnation)).collect();
        let what = (!names.is_empty()).then(|| format!("the lease of {} ended", names.join(", ")));
        Effect { done: Done::Beats { refused, expired }, changes: Vec::new(), what }
    }

    /// A proxy left in order.
    pub(super) fn deregister(&mut self, incarnation: Incarnation) -> Outcome {
        let name = self.name(incarnation);
        match self.known.get(&incarnation).map(|proxy| proxy.lease) {
            // Its threads may be there still: only whoever killed them can say that they are not.
            Some(Lease::Ended) => Err(Refusal::NoLease { incarnation }),
            Some(_) => {
                self.known.remove(&incarnation);
                Ok(Effect::new(Done::Changed, Vec::new(), format!("{name} left")))
            }
            None => self.unknown(incarnation),
        }
    }

    /// A proxy whose lease ended has no thread on any server.
    pub(super) fn shut_out(&mut self, incarnation: Incarnation) -> Outcome {
        let name = self.name(incarnation);
        let Some(proxy) = self.known.get_mut(&incarnation) else { return self.unknown(incarnation) };
        match proxy.lease {
            Lease::Until(_) => return Err(Refusal::HasLease { incarnation }),
            Lease::ShutOut => return Ok(Effect::unchanged()),
            Lease::Ended => proxy.lease = Lease::ShutOut,
        }
        let mut shut_out = self.known.iter().filter(|(_, proxy)| proxy.lease == Lease::ShutOut);
        if shut_out.clone().count() > SHUT_OUT_KEPT
            && let Some(oldest) = shut_out.next().map(|(incarnation, _)| *incarnation)
        {
            self.known.remove(&oldest);
        }
        Ok(Effect::new(Done::Changed, Vec::new(), format!("{name} is shut out on every server")))
    }

    /// Refuses what a proxy without a lease asks for.
    pub(super) fn check_lease(&self, incarnation: Incarnation) -> Result<(), Refusal> {
        match self.known.get(&incarnation).is_some_and(Proxy::is_live) {
            true => Ok(()),
            false => Err(Refusal::NoLease { incarnation }),
        }
    }

    /// Refuses as long as a proxy with a lease may have something under way on what is frozen.
    pub(super) fn check_drained(&self, freeze: FreezeId) -> Result<(), Refusal> {
        self.check_none("to drain", |proxy| proxy.has_to_drain(freeze))
    }

    /// Who has a lease and has not acknowledged a freeze.
    pub(super) fn undrained(&self, freeze: FreezeId) -> Vec<Incarnation> {
        self.which(|proxy| proxy.has_to_drain(freeze))
    }

    /// Who has a lease.
    pub(super) fn live(&self) -> Vec<Incarnation> {
        self.which(Proxy::is_live)
    }

    /// Who has a lease and may run something under an older map than this.
    pub(super) fn unsettled(&self, revision: Revision) -> Vec<Incarnation> {
        self.which(|proxy| proxy.is_live() && proxy.settled < revision)
    }

    /// Who has a lease and takes an older map than this for new statements.
    pub(super) fn behind(&self, revision: Revision) -> Vec<Incarnation> {
        self.which(|proxy| proxy.is_live() && proxy.applied < revision)
    }

    /// Who may use an older map than this: everybody who is not shut out and has not applied it.
    pub(super) fn unaware(&self, revision: Revision) -> Vec<Incarnation> {
        self.which(|proxy| proxy.lease != Lease::ShutOut && proxy.applied < revision)
    }

    /// Whose lease ended, and who is not shut out.
    pub(super) fn ended(&self) -> Vec<Incarnation> {
        self.which(|proxy| proxy.lease == Lease::Ended)
    }

    /// Who has no lease any more, shut out or not.
    pub(super) fn gone(&self) -> Vec<Incarnation> {
        self.which(|proxy| !proxy.is_live())
    }

    /// Whose lease ended before it acknowledged a freeze, and who is not shut out: it may have a map from before the freeze.
    pub(super) fn late(&self, freeze: FreezeId) -> Vec<Incarnation> {
        self.which(|proxy| proxy.is_late(freeze))
    }

    /// Refuses as long as anybody may still use a map from before a freeze.
    pub(super) fn check_cut_over(&self, freeze: FreezeId) -> Result<(), Refusal> {
        self.check_drained(freeze)?;
        self.check_none("to be shut out", |proxy| proxy.is_late(freeze))
    }

    /// Refuses as long as a proxy whose lease ended may have threads on servers.
    pub(super) fn check_shut_out(&self) -> Result<(), Refusal> {
        self.check_none("to be shut out", |proxy| proxy.lease == Lease::Ended)
    }

    pub(super) fn view(&self) -> Vec<ProxyView> {
        let view = |(incarnation, proxy): (&Incarnation, &Proxy)| ProxyView {
            incarnation: *incarnation,
            name: proxy.info.name.clone(),
            address: proxy.info.address.clone(),
            version: proxy.info.version.clone(),
            since: proxy.since,
            heard: proxy.heard,
            lease: proxy.lease,
            applied: proxy.applied,
            settled: proxy.settled,
            clock: proxy.clock,
            clocks: proxy.clocks,
            drained: proxy.drained.iter().copied().collect(),
        };
        self.known.iter().map(view).collect()
    }

    fn check_none(&self, what: &str, is_one: impl Fn(&Proxy) -> bool) -> Result<(), Refusal> {
        let proxies = self.which(is_one);
        match proxies.is_empty() {
            true => Ok(()),
            false => Err(Refusal::NotYet { proxies, what: what.into() }),
        }
    }

    fn which(&self, is_one: impl Fn(&Proxy) -> bool) -> Vec<Incarnation> {
        let found = self.known.iter().filter(|(_, proxy)| is_one(proxy));
        found.map(|(incarnation, _)| *incarnation).collect()
    }

    /// An incarnation that is not known: it left, or never was.
    fn unknown(&self, incarnation: Incarnation) -> Outcome {
        match (1..=self.last).contains(&incarnation.0) {
            true => Ok(Effect::unchanged()),
            false => Err(unknown(Thing::Proxy, &incarnation.0.to_string(), [])),
        }
    }

    fn name(&self, incarnation: Incarnation) -> String {
        let name = self.known.get(&incarnation).map_or("", |proxy| &proxy.info.name);
        format!("proxy {name} (incarnation {})", incarnation.0)
    }
}

impl Proxy {
    fn is_live(&self) -> bool {
        matches!(self.lease, Lease::Until(_))
    }

    fn has_to_drain(&self, freeze: FreezeId) -> bool {
        self.is_live() && !self.drained.contains(&freeze)
    }

    fn is_late(&self, freeze: FreezeId) -> bool {
        self.lease == Lease::Ended && !self.drained.contains(&freeze)
    }

    /// What it has applied and its clock only rise: heartbeats may come in another order than they left in.
    fn take(&mut self, beat: &Beat, freezes: &BTreeSet<FreezeId>, lease_ms: u64, now: &Now<'_>) {
        self.heard = now.at;
        self.lease = Lease::Until(LogTime(now.at.0 + lease_ms));
        self.applied = self.applied.max(beat.applied);
        self.settled = self.settled.max(beat.settled);
        self.clock = self.clock.max(beat.clock);
        self.clocks = beat.clocks;
        self.drained.extend(beat.drained.iter().filter(|freeze| freezes.contains(freeze)));
    }
}
