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
    /// How far its hybrid clock was ahead of the topology's when it was heard; negative: behind. Its way there is part of it.
    pub(super) clock_ahead_ms: Option<i64>,
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
            self.clock_ahead_ms.map_or_else(|| "–".to_owned(), |ahead| format!("{ahead:+} ms")),
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
        }
    }

    /// All proxies.
    pub(super) fn all(view: &View) -> Vec<ProxyRow> {
        view.proxies.iter().map(|proxy| ProxyRow::of(proxy, view)).collect()
    }
}

/// `None`: it has not told its clock yet.
fn clock_ahead_ms(proxy: &ProxyView) -> Option<i64> {
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
