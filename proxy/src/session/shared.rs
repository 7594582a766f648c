//! What all sessions of a proxy share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use dashmap::DashMap;
use parking_lot::Mutex;
use podway_model::{AccountName, FreezeId, Map, Name, Revision, ServerId};
use podway_router::PlanCache;
use podway_wire::{RsaKey, Verifier};

use super::deadlock_log::Deadlocks;
use super::defaults::ServerDefaults;
use super::registry::Registry;
use crate::backend::Pools;
use crate::config::ProxyConfig;
use crate::metrics::Metrics;
use crate::numbers::Counters;
use crate::operations::Operations;
use crate::topology_watch::CurrentMap;
use crate::txn::Transactions;

/// What all sessions of a proxy share.
pub struct Shared {
    /// What the proxy was told at start.
    pub config: ProxyConfig,
    /// The newest map.
    pub map: CurrentMap,
    /// The connections to the servers.
    pub pools: Pools,
    /// What transactions over several servers need.
    pub transactions: Arc<Transactions>,
    /// The plans.
    pub plans: PlanCache,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Who is connected.
    pub registry: Registry,
    /// What a session starts with on each server.
    pub defaults: DashMap<ServerId, Arc<ServerDefaults>>,
    /// Fast verifiers of users that have proved their password once, with the authentication string that they were made for.
    pub verifiers: DashMap<AccountName, (Box<[u8]>, Verifier)>,
    /// For passwords that are sent without TLS.
    pub rsa: Arc<RsaKey>,
    /// Statements that wait for a shard that changes its owner.
    pub held: AtomicUsize,
    /// The freezes of the newest map with the revision under which each was first heard of, and when.
    pub freezes: Mutex<BTreeMap<FreezeId, (Revision, Instant)>>,
    /// Deadlocks over several servers.
    pub deadlocks: Deadlocks,
    /// Where work on several shards is begun; nowhere without a topology.
    pub operations: OnceLock<Arc<dyn Operations>>,
    /// Which accounts may change which tables with numbers of the cluster's, by their rights of then.
    pub permitted: DashMap<(AccountName, Name, Name, u64), Revision>,
    /// AUTO_INCREMENT numbers of the cluster's.
    pub numbers: Arc<Counters>,
    /// When the proxy started.
    pub started: Instant,
    next_id: AtomicU32,
}

impl Shared {
    /// Puts the parts together.
    pub fn new(config: ProxyConfig, map: CurrentMap, metrics: Arc<Metrics>, rsa: Arc<RsaKey>) -> Shared {
        let shared = Shared {
            pools: Pools::new(config.backend.clone(), config.secret.clone(), metrics.clone()),
            transactions: Arc::new(Transactions::new(
                config.backend.clone(),
                config.secret.clone(),
                metrics.clone(),
                config.clock.clone(),
                config.safeguards,
            )),
            plans: PlanCache::new(config.plan_cache_bytes),
            config,
            map,
            metrics,
            registry: Registry::default(),
            defaults: DashMap::new(),
            verifiers: DashMap::new(),
            rsa,
            held: AtomicUsize::new(0),
            freezes: Mutex::default(),
            deadlocks: Deadlocks::default(),
            operations: OnceLock::new(),
            permitted: DashMap::new(),
            numbers: Arc::default(),
            started: Instant::now(),
            next_id: AtomicU32::new(1),
        };
        shared.note_freezes(&shared.map.load());
        shared
    }

    /// Brings what is kept besides the map in line with a newer one.
    pub fn reconcile(&self, map: &Map) {
        self.pools.reconcile(map);
        self.transactions.reconcile(map);
        self.numbers.reconcile(map);
        self.note_freezes(map);
        self.defaults.retain(|id, _| map.server(*id).is_some());
        self.permitted.retain(|(account, keyspace, table, _), _| {
            map.accounts.iter().any(|known| known.name == *account)
                && map.keyspace(keyspace).is_some_and(|keyspace| keyspace.tables.contains_key(table))
        });
        self.verifiers.retain(|name, _| map.accounts.iter().any(|account| account.name == *name));
    }

    fn note_freezes(&self, map: &Map) {
        let mut known = self.freezes.lock();
        let all = map.keyspaces().flat_map(|keyspace| keyspace.freezes());
        let noted = all.map(|(_, freeze)| {
            (freeze, known.get(&freeze).copied().unwrap_or((map.revision, Instant::now())))
        });
        let noted = noted.collect();
        *known = noted;
    }

    /// A number for a session that no open session has.
    pub fn next_session_id(&self) -> u32 {
        loop {
            let id = self.next_id.fetch_add(1, Ordering::Relaxed);
            if id != 0 && self.registry.get(id).is_none() {
                return id;
            }
        }
    }

    /// The fast verifier for this account, if its password is still the one it was made for.
    pub fn verifier(&self, account: &AccountName, authentication_string: &[u8]) -> Option<Verifier> {
        let known = self.verifiers.get(account)?;
        (*known.0 == *authentication_string).then(|| known.1.clone())
    }
}
