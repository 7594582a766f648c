//! The pools of all servers, made when they are first needed and retired when the map no longer has their server where it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use podway_model::{ClusterSecret, Map, Server, ServerId};
use rustc_hash::FxBuildHasher;

use super::endpoint::Endpoint;
use super::pool::ServerPool;
use crate::config::BackendLimits;
use crate::metrics::Metrics;

/// How often idle connections are looked through.
const TRIM_INTERVAL: Duration = Duration::from_secs(5);

/// The pools of all servers.
pub struct Pools {
    by_server: DashMap<ServerId, Vec<Arc<ServerPool>>, FxBuildHasher>,
    limits: BackendLimits,
    secret: ClusterSecret,
    metrics: Arc<Metrics>,
    incarnation: Arc<AtomicU32>,
}

impl Pools {
    /// No pools yet.
    pub fn new(limits: BackendLimits, secret: ClusterSecret, metrics: Arc<Metrics>) -> Pools {
        Pools { by_server: DashMap::default(), limits, secret, metrics, incarnation: Arc::default() }
    }

    /// From now on connections say that they are this registration's; those of another are closed as they come back.
    pub fn set_incarnation(&self, incarnation: u32) {
        if self.incarnation.swap(incarnation, Ordering::AcqRel) != incarnation {
            self.by_server.iter().for_each(|pools| pools.iter().for_each(|pool| pool.close_idle()));
        }
    }

    /// The pool of this server, where this map has it: a statement that began under an older map may need the older place once more.
    pub fn get(&self, server: &Arc<Server>) -> Arc<ServerPool> {
        let known = |pools: &Vec<Arc<ServerPool>>| {
            pools.iter().find(|pool| same_place(&pool.endpoint().server, server)).cloned()
        };
        if let Some(pool) = self.by_server.get(&server.id).and_then(|pools| known(&pools)) {
            return pool;
        }
        let mut pools = self.by_server.entry(server.id).or_default();
        known(&pools).unwrap_or_else(|| {
            let made = ServerPool::new(Endpoint::new(
                server.clone(),
                self.limits.clone(),
                self.secret.clone(),
                self.metrics.clone(),
                self.incarnation.clone(),
            ));
            pools.push(made.clone());
            made
        })
    }

    /// Retires the pools of servers that the map has no longer, or has elsewhere.
    pub fn reconcile(&self, map: &Map) {
        self.by_server.retain(|id, pools| {
            pools.retain(|pool| {
                let stays = map.server(*id).is_some_and(|server| same_place(&pool.endpoint().server, server));
                if !stays {
                    tracing::info!(
                        server = pool.endpoint().address,
                        "the map no longer has this server here: its pool is retired"
                    );
                    pool.retire();
                }
                stays
            });
            !pools.is_empty()
        });
    }

    /// Closes idle connections whose time has come, for ever. Safe to cancel.
    pub async fn trim_for_ever(&self) {
        let mut ticks = tokio::time::interval(TRIM_INTERVAL);
        loop {
            ticks.tick().await;
            self.by_server.iter().for_each(|pools| pools.iter().for_each(|pool| pool.trim()));
        }
    }

    /// Closes what is idle everywhere and takes nothing back any more.
    pub fn retire(&self) {
        self.by_server.iter().for_each(|pools| pools.iter().for_each(|pool| pool.retire()));
    }

    /// Each address of a server, once, with the connections open and idle there.
    pub fn counts(&self) -> Vec<(String, usize, usize)> {
        let mut by_address: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for pools in self.by_server.iter() {
            for pool in pools.iter() {
                let (open, idle) = pool.counts();
                let sum = by_address.entry(pool.endpoint().address.clone()).or_default();
                *sum = (sum.0 + open, sum.1 + idle);
            }
        }
        by_address.into_iter().map(|(address, (open, idle))| (address, open, idle)).collect()
    }
}

fn same_place(a: &Arc<Server>, b: &Arc<Server>) -> bool {
    Arc::ptr_eq(a, b) || (a.host == b.host && a.port == b.port && a.uuid == b.uuid)
}
