//! What a proxy tells of itself: that it serves, also from an old map while the topology is away, and that it does not while it stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use podway_proxy::ProxyObserver;
use podway_topology_api::{TopologyContact, TopologyHealth};
use tokio::sync::watch;

use super::Pages;
use super::health::Health;
use super::page::{Labelled, Page};

/// A proxy's pages.
pub(crate) struct ProxyPages {
    /// The proxy's numbers.
    pub proxy: ProxyObserver,
    /// How its topology is, if it has one.
    pub topology: Option<watch::Receiver<TopologyHealth>>,
    /// Whether it takes no more clients.
    pub is_stopping: Arc<AtomicBool>,
}

impl ProxyPages {
    fn notes(&self) -> Vec<String> {
        let contact = self.topology.as_ref().map(|health| health.borrow().contact.clone());
        contact.as_ref().and_then(away).into_iter().collect()
    }
}

/// What is said of a topology that does not answer.
fn away(contact: &TopologyContact) -> Option<String> {
    match contact {
        TopologyContact::Connected { .. } => None,
        TopologyContact::Away { since, reason } => Some(format!(
            "the topology is away for {} s ({reason}); serving from the last map",
            since.elapsed().as_secs()
        )),
    }
}

impl Pages for ProxyPages {
    fn health(&self) -> Health {
        let is_serving = !self.is_stopping.load(Ordering::Acquire);
        Health::new(is_serving, self.notes(), self.proxy.revision().0)
    }

    fn metrics(&self) -> Result<String, std::fmt::Error> {
        let backends = self.proxy.backends();
        let by_server = |count: fn(&(String, usize, usize)) -> usize| -> Vec<(String, i64)> {
            let reads = |backend| i64::try_from(count(backend)).unwrap_or(i64::MAX);
            backends.iter().map(|backend| (backend.0.clone(), reads(backend))).collect()
        };
        let labelled = vec![
            Labelled {
                name: "backend_connections",
                help: "Open connections to a server",
                label: "server",
                values: by_server(|(_, open, _)| *open),
            },
            Labelled {
                name: "backend_idle_connections",
                help: "Connections to a server that nobody uses now",
                label: "server",
                values: by_server(|(_, _, idle)| *idle),
            },
            Labelled {
                name: "clock_ahead_microseconds",
                help: "How far this machine's clock is ahead of another; negative: behind",
                label: "clock",
                values: self.proxy.clocks(),
            },
        ];
        Page { numbers: self.proxy.measured(), labelled, latency: Some(self.proxy.latency()) }.text()
    }
}
