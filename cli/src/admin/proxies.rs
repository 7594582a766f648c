//! `podway proxy list`: the proxies that registered, with their leases and the maps that they serve from. Reads only.

use podway_model::HybridTime;
use podway_topology_api::{Lease, ProxyView, View};
use serde::Serialize;

use super::clock::span;
use super::context::{Common, Context};
use super::error::AdminError;
use super::print::{self, Row};

/// Shows the proxies
#[derive(Debug, clap::Subcommand)]
pub enum ProxiesCommandLine {
    /// Lists the proxies that registered with the topology
    List {
        /// The topology, and how to answer
        #[command(flatten)]
        common: Common,
    },
}

/// A proxy in a list.
#[derive(Serialize)]
pub(super) struct ProxyRow {
    pub(super) incarnation: u32,
    pub(super) name: String,
    address: String,
    version: String,
    pub(super) lease: &'static str,
    lease_left_ms: Option<u64>,
    heard_ago_ms: u64,
    applied: u64,
    pub(super) is_behind: bool,
    /// How far its clock was ahead of the topology's when it was heard; negative: behind.
    pub(super) clock_ahead_ms: Option<i64>,
    /// How far from that the truth may be; none: it has not compared them yet, and its way there is part of the difference.
    clock_within_ms: Option<i64>,
    /// How often its clock was set back since it started.
    clock_steps_back: u64,
    /// The server from whose clock its own is furthest, and how far it is ahead of it.
    pub(super) clock_furthest: Option<FurthestClock>,
    /// It is so far ahead that it refuses to commit over several servers.
    pub(super) refuses_to_stamp: bool,
}

/// A server's clock beside a proxy's.
#[derive(Serialize)]
pub(super) struct FurthestClock {
    pub(super) server: String,
    pub(super) ahead_ms: i64,
}

impl Row for ProxyRow {
    const HEAD: &'static [&'static str] =
        &["#proxy", "name", "address", "version", "lease", "heard", "#revision", "map", "clock"];

    fn cells(&self) -> Vec<String> {
        let lease = match self.lease_left_ms {
            Some(left) => format!("{} left", span(left)),
            None => self.lease.to_owned(),
        };
        vec![
            self.incarnation.to_string(),
            self.name.clone(),
            self.address.clone(),
            self.version.clone(),
            lease,
            format!("{} ago", span(self.heard_ago_ms)),
            self.applied.to_string(),
            if self.is_behind { "BEHIND" } else { "newest" }.to_owned(),
            self.clock(),
        ]
    }
}

impl ProxyRow {
    fn of(proxy: &ProxyView, view: &View) -> ProxyRow {
        let (lease, lease_left_ms) = match proxy.lease {
            Lease::Until(until) if until >= view.time => ("held", Some(until.0 - view.time.0)),
            Lease::Until(_) | Lease::Ended => ("ended", None),
            Lease::ShutOut => ("shut out", None),
        };
        ProxyRow {
            incarnation: proxy.incarnation.0,
            name: proxy.name.to_string(),
            address: proxy.address.to_string(),
            version: proxy.version.to_string(),
            lease,
            lease_left_ms,
            heard_ago_ms: view.time.0.saturating_sub(proxy.heard.0),
            applied: proxy.applied.0,
            is_behind: proxy.applied < view.revision,
            clock_ahead_ms: clock_ahead_ms(proxy),
            clock_within_ms: proxy.clocks.topology.map(|(_, within)| rounded_up(within)),
            clock_steps_back: proxy.clocks.steps_back,
            clock_furthest: proxy.clocks.furthest.map(|(server, ahead)| FurthestClock {
                server: view
                    .servers
                    .iter()
                    .find(|known| known.id == server)
                    .map_or_else(|| server.0.to_string(), |known| known.name.to_string()),
                ahead_ms: ahead / 1_000,
            }),
            refuses_to_stamp: proxy.clocks.is_too_far_ahead,
        }
    }

    /// What is shown of its clock.
    fn clock(&self) -> String {
        let Some(ahead) = self.clock_ahead_ms else { return "–".to_owned() };
        let within = self.clock_within_ms.map_or_else(String::new, |within| format!(" ± {within}"));
        let set_back = match self.clock_steps_back {
            0 => String::new(),
            times => format!(", set back {times}×"),
        };
        let refuses = if self.refuses_to_stamp { ", REFUSES TO STAMP" } else { "" };
        format!("{ahead:+}{within} ms{set_back}{refuses}")
    }

    /// All proxies.
    pub(super) fn all(view: &View) -> Vec<ProxyRow> {
        view.proxies.iter().map(|proxy| ProxyRow::of(proxy, view)).collect()
    }
}

fn rounded_up(us: i64) -> i64 {
    (us + 999) / 1_000
}

/// As it has measured it; before that by when its heartbeat came. `None`: it has not told its clock yet.
fn clock_ahead_ms(proxy: &ProxyView) -> Option<i64> {
    if let Some((ahead, _)) = proxy.clocks.topology {
        return Some(ahead / 1_000);
    }
    let ms = |ms: u128| i64::try_from(ms).unwrap_or(i64::MAX);
    let told = proxy.clock != HybridTime::default();
    told.then(|| ms(proxy.clock.since_1970().as_millis()) - ms(proxy.heard.0.into()))
}

/// Runs it.
pub(super) async fn run(line: ProxiesCommandLine) -> Result<(), AdminError> {
    let ProxiesCommandLine::List { common } = line;
    let context = Context::new(&common)?;
    let view = context.view().await?;
    Ok(print::list(&ProxyRow::all(&view), context.is_json)?)
}

#[cfg(test)]
mod tests {
    use podway_model::Revision;
    use podway_topology_api::{ClockReport, Incarnation, LogTime};

    use super::super::status::clock_alarm;
    use super::*;

    fn row(clock: HybridTime, clocks: ClockReport) -> ProxyRow {
        let proxy = ProxyView {
            incarnation: Incarnation(3),
            name: "p".into(),
            address: "".into(),
            version: "".into(),
            since: LogTime(0),
            heard: LogTime(5_000),
            lease: Lease::Ended,
            applied: Revision(1),
            settled: Revision(1),
            clock,
            clocks,
            drained: Vec::new(),
        };
        ProxyRow::of(&proxy, &View::default())
    }

    #[test]
    fn a_proxys_clock_is_shown_as_it_was_measured_and_named_where_it_is_wrong() {
        let told = HybridTime::at(std::time::Duration::from_millis(5_700));
        let right = ClockReport { topology: Some((-1_400, 2_100)), ..ClockReport::default() };
        let server = Some((podway_model::ServerId(7), -300_000));
        let ahead = ClockReport { topology: Some((900_000, 100)), is_too_far_ahead: true, ..right };
        let cases = [
            (HybridTime::default(), ClockReport::default(), "–", None),
            (told, ClockReport::default(), "+700 ms", Some("its clock is 700 ms ahead of the topology's; ")),
            (told, right, "-1 ± 3 ms", None),
            (told, ClockReport { steps_back: 2, ..right }, "-1 ± 3 ms, set back 2×", None),
            (
                told,
                ClockReport { furthest: server, ..right },
                "-1 ± 3 ms",
                Some("its clock is 300 ms behind that of server 7; "),
            ),
            (
                told,
                ahead,
                "+900 ± 1 ms, REFUSES TO STAMP",
                Some(
                    "its clock is 900 ms ahead of the topology's, it refuses commits over several servers; ",
                ),
            ),
        ];
        for (clock, clocks, cell, alarm) in cases {
            let row = row(clock, clocks);
            assert_eq!(row.clock(), cell);
            let alarm = alarm.map(|alarm| format!("{alarm}set the clock that is wrong"));
            assert_eq!(clock_alarm(&row), alarm);
        }
    }
}
