//! The connections to one server: a bound over all users, idle ones by whose they are, and a queue with a deadline.
//!
//! A connection comes back only when its owner knows that no answer is outstanding and that nothing of its session is left on it; every
//! other end of it closes it. While all are in use, those who wait are served first come, first served.

use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use podway_model::{AccountName, ClusterSecret, Server, ServerId};
use podway_wire::CapabilityFlags;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::connection::BackendConnection;
use super::login;
use crate::config::BackendLimits;
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::metrics::Metrics;

/// How many idle connections are looked at for one that needs no change of state.
const FIT_SCAN: usize = 8;
/// Connections at once that only end what runs on others.
const KILLERS: usize = 8;
/// The first and the longest pause between attempts to connect.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(1_000));

/// Whose a connection is and what it was negotiated for.
#[derive(Clone, Debug)]
pub struct PoolKey(Arc<PoolKeyData>);

#[derive(Debug, PartialEq, Eq)]
struct PoolKeyData {
    account: AccountName,
    capabilities: CapabilityFlags,
    hash: u64,
}

impl PoolKey {
    /// The key of connections for this account with these capabilities.
    pub fn new(account: AccountName, capabilities: CapabilityFlags) -> PoolKey {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        (&account, capabilities.bits()).hash(&mut hasher);
        PoolKey(Arc::new(PoolKeyData { account, capabilities, hash: hasher.finish() }))
    }

    /// As whom these connections are logged in.
    pub fn account(&self) -> &AccountName {
        &self.0.account
    }

    /// What they were negotiated for.
    pub fn capabilities(&self) -> CapabilityFlags {
        self.0.capabilities
    }
}

impl PartialEq for PoolKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for PoolKey {}

impl Hash for PoolKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

/// The connections to one server.
pub struct ServerPool {
    /// The server.
    pub server: Arc<Server>,
    /// Its `host:port`.
    pub address: String,
    limits: BackendLimits,
    secret: ClusterSecret,
    metrics: Arc<Metrics>,
    state: Mutex<PoolState>,
    killers: Semaphore,
    failures: AtomicU32,
    /// Prepared statements on all connections to this server.
    pub(super) statements: AtomicUsize,
}

#[derive(Default)]
struct PoolState {
    open: usize,
    idle: HashMap<PoolKey, Vec<Box<BackendConnection>>>,
    waiters: VecDeque<Waiter>,
    retired: bool,
}

struct Waiter {
    key: PoolKey,
    grant: oneshot::Sender<Grant>,
}

/// What someone who waited gets.
enum Grant {
    Connection(Box<BackendConnection>),
    Place(Place),
}

/// The right to have one connection open; gives itself back.
pub struct Place(Arc<ServerPool>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.place_free();
    }
}

impl Place {
    /// The pool that it is a place in.
    pub fn pool(&self) -> &Arc<ServerPool> {
        &self.0
    }
}

/// What a statement would like to find on its connection already.
#[derive(Clone, Copy)]
pub struct Fit<'a> {
    /// Fingerprint of the session's settings.
    pub settings: u64,
    /// The default schema.
    pub schema: &'a str,
}

enum Attempt {
    Taken(Box<BackendConnection>),
    Open(Place),
    Wait(oneshot::Receiver<Grant>),
    Full,
}

impl ServerPool {
    /// A pool without connections.
    pub fn new(
        server: Arc<Server>,
        limits: BackendLimits,
        secret: ClusterSecret,
        metrics: Arc<Metrics>,
    ) -> Arc<ServerPool> {
        Arc::new(ServerPool {
            address: server.address(),
            server,
            limits,
            secret,
            metrics,
            state: Mutex::default(),
            killers: Semaphore::new(KILLERS),
            failures: AtomicU32::new(0),
            statements: AtomicUsize::new(0),
        })
    }

    /// The server's number.
    pub fn id(&self) -> ServerId {
        self.server.id
    }

    /// The bounds on this pool.
    pub fn limits(&self) -> &BackendLimits {
        &self.limits
    }

    /// The proxy's counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The password under which the proxy logs in here as this account.
    pub(super) fn password(&self, key: &PoolKey) -> String {
        self.secret.backend_password(key.account(), &self.server.uuid)
    }

    /// A connection in a known-clean state; waits for one until the queue's deadline.
    pub async fn checkout(
        self: &Arc<Self>,
        key: &PoolKey,
        fit: Fit<'_>,
    ) -> Result<Box<BackendConnection>, ProxyError> {
        let give_up = Instant::now() + self.limits.queue_deadline;
        loop {
            let waiting = match self.attempt(key, fit) {
                Attempt::Taken(connection) => return Ok(connection),
                Attempt::Open(place) => return self.connect(place, key).await,
                Attempt::Full => return Err(self.queue_full()),
                Attempt::Wait(waiting) => waiting,
            };
            // A grant that comes together with the deadline is dropped here, which gives its connection to the next.
            let granted = timeout(give_up.saturating_duration_since(Instant::now()), waiting).await;
            match granted.map_err(|_| self.too_many())?.map_err(|_| self.retired())? {
                Grant::Connection(connection) if connection.is_quiet() => return Ok(connection),
                Grant::Connection(dead) => drop(dead),
                Grant::Place(place) => return self.connect(place, key).await,
            }
        }
    }

    /// Takes a clean connection back. The caller vouches that no answer is outstanding and no session's state but the recorded is on it.
    pub fn checkin(self: &Arc<Self>, mut connection: Box<BackendConnection>) {
        connection.rested();
        let mut state = self.state.lock();
        if state.retired {
            drop(state);
            return drop(connection);
        }
        match state.next_waiter() {
            Some(waiter) if waiter.key == *connection.key() => {
                let refused = waiter.grant.send(Grant::Connection(connection));
                drop(state);
                drop(refused);
            }
            Some(waiter) => {
                // The waiter needs another account's connection: this one makes room for it.
                state.waiters.push_front(waiter);
                drop(state);
                drop(connection);
            }
            None => state.idle.entry(connection.key().clone()).or_default().push(connection),
        }
    }

    fn attempt(self: &Arc<Self>, key: &PoolKey, fit: Fit<'_>) -> Attempt {
        let mut dead = Vec::new();
        let mut state = self.state.lock();
        if let Some(idle) = state.idle.get_mut(key) {
            while let Some(connection) = take_fitting(idle, fit) {
                if connection.is_quiet() {
                    drop(state);
                    return Attempt::Taken(connection);
                }
                dead.push(connection);
            }
        }
        let evicted = (state.open >= self.limits.max_connections).then(|| state.evict()).flatten();
        let attempt = if state.open < self.limits.max_connections {
            state.open += 1;
            Attempt::Open(Place(self.clone()))
        } else if state.waiters.len() >= self.limits.max_waiters {
            Attempt::Full
        } else {
            let (grant, waiting) = oneshot::channel();
            state.waiters.push_back(Waiter { key: key.clone(), grant });
            Attempt::Wait(waiting)
        };
        drop(state);
        // Dropping gives places back, which needs the lock; whoever waits is then served.
        drop((evicted, dead));
        attempt
    }

    fn place_free(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.open -= 1;
        if state.retired {
            return;
        }
        if let Some(waiter) = state.next_waiter() {
            state.open += 1;
            let refused = waiter.grant.send(Grant::Place(Place(self.clone())));
            drop(state);
            drop(refused);
        }
    }

    async fn connect(
        self: &Arc<Self>,
        place: Place,
        key: &PoolKey,
    ) -> Result<Box<BackendConnection>, ProxyError> {
        let give_up = Instant::now() + self.limits.connect_deadline;
        let mut place = place;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            let attempt = timeout(left, login::log_in(place, key)).await;
            let (returned, error) = match attempt {
                Ok(Ok(connection)) => {
                    self.failures.store(0, Relaxed);
                    self.metrics.connects.fetch_add(1, Relaxed);
                    return Ok(connection);
                }
                Ok(Err((returned, error))) => (returned, error),
                Err(_) => return Err(self.unusable("it did not answer within backend.connect_deadline")),
            };
            let pause = self.pause();
            if !matches!(error, ProxyError::BackendUnusable { .. }) || Instant::now() + pause >= give_up {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            place = returned;
        }
    }

    /// How long to wait before the next attempt: doubling with each failure in a row, anywhere in its upper half.
    fn pause(&self) -> Duration {
        let failures = self.failures.fetch_add(1, Relaxed).min(16);
        let longest = BACKOFF.0.saturating_mul(1 << failures).min(BACKOFF.1);
        longest.mul_f64(rand::random_range(0.5..1.0))
    }

    /// Closes connections that were idle too long.
    pub fn trim(&self) {
        let mut old = Vec::new();
        let mut state = self.state.lock();
        for idle in state.idle.values_mut() {
            old.extend(idle.extract_if(.., |connection| {
                connection.idle_for() > self.limits.idle_deadline || !connection.is_quiet()
            }));
        }
        state.idle.retain(|_, idle| !idle.is_empty());
        drop(state);
    }

    /// Closes what is idle and takes nothing back any more: the server has left the map, or moved.
    pub fn retire(&self) {
        let mut state = self.state.lock();
        state.retired = true;
        let idle = std::mem::take(&mut state.idle);
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        drop((idle, waiters));
    }

    /// Connections open and idle now.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.open, state.idle.values().map(Vec::len).sum())
    }

    /// Closes one idle connection that holds prepared statements, so that another may prepare its own.
    pub(super) fn evict_statements(&self) -> bool {
        let mut state = self.state.lock();
        let found = state.idle.values_mut().find_map(|idle| {
            let position = idle.iter().position(|connection| connection.statement_count() > 0)?;
            Some(idle.remove(position))
        });
        drop(state);
        found.is_some()
    }

    /// Ends what runs on a thread of this server, as the account that it runs for: KILL QUERY, or KILL where the connection is to go too.
    pub async fn kill(
        self: &Arc<Self>,
        key: &PoolKey,
        thread: u32,
        query_only: bool,
    ) -> Result<(), ProxyError> {
        let work = async {
            let _permit = self.killers.acquire().await.map_err(|_| self.retired())?;
            login::kill(self, key, thread, query_only).await
        };
        timeout(self.limits.connect_deadline, work)
            .await
            .map_err(|_| self.unusable("KILL was not answered within backend.connect_deadline"))?
    }

    fn unusable(&self, reason: &str) -> ProxyError {
        ProxyError::BackendUnusable { server: self.address.clone(), reason: reason.to_owned() }
    }

    fn retired(&self) -> ProxyError {
        self.unusable("it has left the cluster or changed its address")
    }

    fn too_many(&self) -> ProxyError {
        let message = format!(
            "Too many connections: all {} to MySQL server {} were in use for {:?} (backend.max_connections, backend.queue_deadline)",
            self.limits.max_connections, self.address, self.limits.queue_deadline
        );
        ClientError::new(ErrorCode::TOO_MANY_CONNECTIONS, message).into()
    }

    fn queue_full(&self) -> ProxyError {
        let message = format!(
            "Too many connections: {} statements wait for MySQL server {} already (backend.max_waiters)",
            self.limits.max_waiters, self.address
        );
        ClientError::new(ErrorCode::TOO_MANY_CONNECTIONS, message).into()
    }
}

impl PoolState {
    /// The longest waiting one that still waits.
    fn next_waiter(&mut self) -> Option<Waiter> {
        while let Some(waiter) = self.waiters.pop_front() {
            if !waiter.grant.is_closed() {
                return Some(waiter);
            }
        }
        None
    }

    /// The connection that was idle longest, whoever's it is. Dropping it gives its place to the one who has waited longest.
    fn evict(&mut self) -> Option<Box<BackendConnection>> {
        let key = self
            .idle
            .iter()
            .filter_map(|(key, idle)| Some((idle.first()?.idle_for(), key)))
            .max_by_key(|(age, _)| *age);
        let key = key.map(|(_, key)| key.clone())?;
        let idle = self.idle.get_mut(&key)?;
        let oldest = idle.remove(0);
        if idle.is_empty() {
            self.idle.remove(&key);
        }
        Some(oldest)
    }
}

/// The one used last among those that need no change of state, else the one used last.
fn take_fitting(idle: &mut Vec<Box<BackendConnection>>, fit: Fit<'_>) -> Option<Box<BackendConnection>> {
    let newest = idle.len().checked_sub(1)?;
    let fitting = (idle.len().saturating_sub(FIT_SCAN)..idle.len())
        .rev()
        .find(|&n| idle[n].fits(fit.settings, fit.schema));
    Some(idle.remove(fitting.unwrap_or(newest)))
}
