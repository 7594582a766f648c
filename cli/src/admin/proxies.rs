//! `podway proxy list`: the proxies that registered, with their leases and the maps that they serve from. Reads only.

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
}

impl Row for ProxyRow {
    const HEAD: &'static [&'static str] =
        &["#proxy", "name", "address", "version", "lease", "heard", "#revision", "map"];

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
        }
    }

    /// All proxies.
    pub(super) fn all(view: &View) -> Vec<ProxyRow> {
        view.proxies.iter().map(|proxy| ProxyRow::of(proxy, view)).collect()
    }
}

/// Runs it.
pub(super) async fn run(line: ProxiesCommandLine) -> Result<(), AdminError> {
    let ProxiesCommandLine::List { common } = line;
    let context = Context::new(&common)?;
    let view = context.view().await?;
    Ok(print::list(&ProxyRow::all(&view), context.is_json)?)
}
