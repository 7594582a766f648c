//! The proxy as a whole: it listens, lets clients in within bounds, keeps deadlines, and stops in order.

mod listener;
mod observer;
mod tls;
mod watchdog;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use podway_model::{FreezeId, Revision};
use podway_topology_api::{Incarnation, MapWatch};
use podway_wire::RsaKey;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::StampClock;
use crate::config::ProxyConfig;
use crate::metrics::{LatencySnapshot, Metrics, MetricsSnapshot};
use crate::numbers::NumberSource;
use crate::operations::Operations;
use crate::session::{Shared, watch_deadlocks};
use crate::topology_watch::CurrentMap;
use crate::txn::live;
pub use observer::ProxyObserver;
use tls::Tls;

/// A running proxy. Dropping it ends it at once; [`Proxy::stop`] ends it in order.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    tls: Arc<Tls>,
    tasks: Vec<JoinHandle<()>>,
    listening: JoinHandle<()>,
}

/// Why a proxy did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The certificate or key cannot be used.
    #[error("TLS: {0}")]
    Tls(String),
    /// No RSA key could be made.
    #[error("cannot make an RSA key: {0}")]
    Rsa(String),
}

impl Proxy {
    /// Starts a proxy that follows this map, inside a tokio runtime.
    pub async fn start(config: ProxyConfig, watch: MapWatch) -> Result<Proxy, StartError> {
        let tls = Arc::new(Tls::new(config.tls.clone())?);
        config.clock.set_most_ahead(config.max_clock_ahead);
        let listen = config.listen;
        let failed = |error| StartError::Listen { address: listen, error };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let rsa = RsaKey::generate().map_err(|error| StartError::Rsa(error.to_string()))?;
        let metrics = Arc::new(Metrics::default());
        let shared = Arc::new(Shared::new(config, CurrentMap::new(&watch), metrics, Arc::new(rsa)));
        let follow = {
            let shared = shared.clone();
            async move { shared.map.follow(watch, |map| shared.reconcile(map)).await }
        };
        let trim = {
            let shared = shared.clone();
            async move { shared.pools.trim_for_ever().await }
        };
        let resolve = {
            let current = shared.clone();
            shared.transactions.clone().resolve_for_ever(Arc::new(move || live(&current.map)))
        };
        let tasks = vec![
            tokio::spawn(follow),
            tokio::spawn(trim),
            tokio::spawn(resolve),
            tokio::spawn(watchdog::watch(shared.clone())),
            tokio::spawn(watch_deadlocks(shared.clone())),
        ];
        let listening = tokio::spawn(listener::accept_for_ever(listener, tls.clone(), shared.clone()));
        tracing::info!(%address, "listening");
        Ok(Proxy { address, shared, tls, tasks, listening })
    }

    /// Where clients connect.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Reads the files of the certificate and its key again, for clients that arrive from now on. If they cannot be used, those from before stay.
    /// Without files it does nothing.
    pub fn reload_tls(&self) -> Result<(), StartError> {
        self.tls.reload()
    }

    /// The counters now.
    pub fn metrics(&self) -> MetricsSnapshot {
        let plans = self.shared.plans.stats();
        MetricsSnapshot { plan_hits: plans.hits, plan_misses: plans.misses, ..self.shared.metrics.snapshot() }
    }

    /// What monitoring reads, beside whoever owns the proxy.
    pub fn observer(&self) -> ProxyObserver {
        ProxyObserver::new(self.shared.clone())
    }

    /// The latencies until now.
    pub fn latency(&self) -> LatencySnapshot {
        self.shared.metrics.latency()
    }

    /// The topology's number for this proxy's registration: connections to the servers carry it as the attribute `podway_incarnation`, by
    /// which they are found and ended should the proxy lose its lease.
    pub fn set_incarnation(&self, incarnation: Incarnation) {
        self.shared.pools.set_incarnation(incarnation.0);
        self.shared.transactions.set_incarnation(incarnation.0);
    }

    /// The clock of transactions' ids and stamps: to be kept together with the topology's.
    pub fn clock(&self) -> Arc<StampClock> {
        self.shared.transactions.clock.clone()
    }

    /// Where sessions begin work on several shards, such as DDL. Without this such statements are refused; it is said once.
    pub fn set_operations(&self, operations: Arc<dyn Operations>) {
        if self.shared.operations.set(operations).is_err() {
            tracing::warn!("the proxy knows already where operations are begun");
        }
    }

    /// Where AUTO_INCREMENT numbers of sharded and reference tables come from. Without this, statements that need some are refused; it is said once.
    pub fn set_numbers(&self, source: Arc<dyn NumberSource>) {
        self.shared.numbers.set_source(source);
    }

    /// The proxy is this incarnation, and surely keeps its lease until then: numbers that the topology gave it are used no longer.
    pub fn hold_lease(&self, incarnation: Incarnation, until: Instant) {
        self.shared.numbers.hold_lease(incarnation, until);
    }

    /// The revision of the map that new statements take.
    pub fn applied(&self) -> Revision {
        self.shared.map.revision()
    }

    /// No statement and no transaction that began under an older map than this is running.
    pub fn settled(&self) -> Revision {
        self.shared.settled()
    }

    /// The freezes for which nothing is running that may touch the shard under a map from before: all that still last.
    pub fn drained(&self) -> Vec<FreezeId> {
        self.shared.drained()
    }

    /// Each server's address with its connections: open, and idle of these.
    pub fn backends(&self) -> Vec<(String, usize, usize)> {
        self.shared.pools.counts()
    }

    /// Takes no more clients, lets statements and transactions end within the deadline, then ends what is left.
    /// Returns how many sessions had to be ended in the middle of something.
    pub async fn stop(mut self) -> usize {
        self.listening.abort();
        let _ = (&mut self.listening).await;
        let give_up = Instant::now() + self.shared.config.shutdown_deadline;
        let cut_off = watchdog::end_sessions(&self.shared, give_up).await;
        self.shared.pools.retire();
        self.shared.transactions.side.retire();
        cut_off
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.tasks.iter().for_each(JoinHandle::abort);
        self.shared.registry.all().iter().for_each(|handle| handle.end());
        self.shared.pools.retire();
        self.shared.transactions.side.retire();
    }
}
