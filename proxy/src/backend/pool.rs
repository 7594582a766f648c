//! The connections to one server: a bound over all users, idle ones by whose they are, and a queue with a deadline.
//!
//! A connection comes back only when its owner knows that no answer is outstanding and that nothing of its session is left on it; every
//! other end of it closes it. While all are in use, those who wait are served first come, first served.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use podway_model::ServerId;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::connection::{BackendConnection, Owner, Place};
use super::endpoint::Endpoint;
use super::key::PoolKey;
use super::login;
use crate::error::{ClientError, ErrorCode, ProxyError};

/// How many idle connections are looked at for one that needs no change of state.
const FIT_SCAN: usize = 8;
/// The first and the longest pause between attempts to connect.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(1_000));

/// The connections to one server.
pub struct ServerPool {
    endpoint: Arc<Endpoint>,
    /// Itself, for what it hands out.
    this: Weak<ServerPool>,
    state: Mutex<PoolState>,
    failures: AtomicU32,
}

#[derive(Default)]
struct PoolState {
    open: usize,
    #[allow(
        clippy::vec_box,
        reason = "a connection moves between pool and session at every statement: a pointer, not its hundreds of bytes"
    )]
    idle: FxHashMap<PoolKey, Vec<Box<BackendConnection>>>,
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

/// What a statement would like to find on its connection already.
#[derive(Clone, Copy)]
pub struct Fit<'a> {
    /// Fingerprint of the session's settings.
    pub settings: u64,
    /// The default schema, where it matters.
    pub schema: Option<&'a Arc<str>>,
}

enum Attempt {
    Taken(Box<BackendConnection>),
    Open(Place),
    Wait(oneshot::Receiver<Grant>),
    Full,
}

impl ServerPool {
    /// A pool without connections.
    pub fn new(endpoint: Endpoint) -> Arc<ServerPool> {
        Arc::new_cyclic(|this| ServerPool {
            endpoint: Arc::new(endpoint),
            this: this.clone(),
            state: Mutex::default(),
            failures: AtomicU32::new(0),
        })
    }

    /// The server.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// The server's number.
    pub fn id(&self) -> ServerId {
        self.endpoint.id()
    }

    /// A connection in a known-clean state; waits for one until the queue's deadline.
    pub async fn checkout(&self, key: &PoolKey, fit: Fit<'_>) -> Result<Box<BackendConnection>, ProxyError> {
        let mut deadline = None;
        loop {
            let waiting = match self.attempt(key, fit) {
                Attempt::Taken(connection) => return Ok(connection),
                Attempt::Open(place) => return self.connect(place, key).await,
                Attempt::Full => return Err(self.queue_full()),
                Attempt::Wait(waiting) => waiting,
            };
            // A grant that comes together with the deadline is dropped here, which gives its connection to the next.
            let now = Instant::now();
            let give_up = *deadline.get_or_insert(now + self.endpoint.limits.queue_deadline);
            let granted = timeout(give_up.saturating_duration_since(now), waiting).await;
            match granted.map_err(|_| self.too_many())?.map_err(|_| self.retired())? {
                Grant::Connection(connection) if connection.is_quiet() => return Ok(connection),
                Grant::Connection(dead) => drop(dead),
                Grant::Place(place) => return self.connect(place, key).await,
            }
        }
    }

    fn attempt(&self, key: &PoolKey, fit: Fit<'_>) -> Attempt {
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
        let evicted = (state.open >= self.endpoint.limits.max_connections).then(|| state.evict()).flatten();
        let attempt = if state.open < self.endpoint.limits.max_connections {
            state.open += 1;
            Attempt::Open(self.place())
        } else if state.waiters.len() >= self.endpoint.limits.max_waiters {
            Attempt::Full
        } else {
            let (grant, waiting) = oneshot::channel();
            state.waiters.push_back(Waiter { key: key.clone(), grant });
            Attempt::Wait(waiting)
        };
        drop(state);
        dead.iter().for_each(|_| self.endpoint.losses.note(Instant::now()));
        // Dropping gives places back, which needs the lock; whoever waits is then served.
        drop((evicted, dead));
        attempt
    }

    /// The right to have one connection open, counted already.
    fn place(&self) -> Place {
        Place::new(self.this.clone())
    }

    async fn connect(&self, place: Place, key: &PoolKey) -> Result<Box<BackendConnection>, ProxyError> {
        let begun = Instant::now();
        let give_up = begun + self.endpoint.limits.connect_deadline;
        let mut place = place;
        let pause = self.endpoint.losses.pause(begun, rand::random_range(0.0..1.0));
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            let attempt = timeout(left, self.log_in(place, key)).await;
            let (returned, error) = match attempt {
                Ok(Ok(connection)) => {
                    self.failures.store(0, Relaxed);
                    self.endpoint.metrics.connects.fetch_add(1, Relaxed);
                    return Ok(connection);
                }
                Ok(Err((returned, error))) => (returned, error),
                Err(_) => {
                    return Err(self.endpoint.unusable("it did not answer within backend.connect_deadline"));
                }
            };
            let pause = self.pause();
            if !matches!(error, ProxyError::BackendUnusable { .. }) || Instant::now() + pause >= give_up {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            place = returned;
        }
    }

    /// Opens a connection and logs in; gives the place back with the error, so that another attempt can be made.
    async fn log_in(
        &self,
        place: Place,
        key: &PoolKey,
    ) -> Result<Box<BackendConnection>, (Place, ProxyError)> {
        match login::handshake(&self.endpoint, key).await {
            Ok(login) => {
                Ok(Box::new(BackendConnection::new(login, self.endpoint.clone(), place, key.clone())))
            }
            Err(error) => Err((place, error)),
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
                connection.idle_for() > self.endpoint.limits.idle_deadline || !connection.is_quiet()
            }));
        }
        state.idle.retain(|_, idle| !idle.is_empty());
        drop(state);
    }

    /// Closes what is idle now.
    pub fn close_idle(&self) {
        let idle = std::mem::take(&mut self.state.lock().idle);
        drop(idle);
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

    fn retired(&self) -> ProxyError {
        self.endpoint.unusable("it has left the cluster or changed its address")
    }

    fn too_many(&self) -> ProxyError {
        let message = format!(
            "Too many connections: all {} to MySQL server {} were in use for {:?} (backend.max_connections, backend.queue_deadline)",
            self.endpoint.limits.max_connections, self.endpoint.address, self.endpoint.limits.queue_deadline
        );
        ClientError::new(ErrorCode::TOO_MANY_CONNECTIONS, message).into()
    }

    fn queue_full(&self) -> ProxyError {
        let message = format!(
            "Too many connections: {} statements wait for MySQL server {} already (backend.max_waiters)",
            self.endpoint.limits.max_waiters, self.endpoint.address
        );
        ClientError::new(ErrorCode::TOO_MANY_CONNECTIONS, message).into()
    }
}

impl Owner for ServerPool {
    fn take_back(&self, connection: Box<BackendConnection>) {
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
            None => match state.idle.get_mut(connection.key()) {
                Some(idle) => idle.push(connection),
                None => drop(state.idle.insert(connection.key().clone(), vec![connection])),
            },
        }
    }

    fn place_free(&self) {
        let mut state = self.state.lock();
        state.open -= 1;
        if state.retired {
            return;
        }
        if let Some(waiter) = state.next_waiter() {
            state.open += 1;
            let refused = waiter.grant.send(Grant::Place(self.place()));
            drop(state);
            drop(refused);
        }
    }

    fn evict_statements(&self) -> bool {
        let mut state = self.state.lock();
        let found = state.idle.values_mut().find_map(|idle| {
            let position = idle.iter().position(|connection| connection.statement_count() > 0)?;
            Some(idle.remove(position))
        });
        drop(state);
        found.is_some()
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
#[allow(clippy::vec_box, reason = "see `PoolState::idle`")]
fn take_fitting(idle: &mut Vec<Box<BackendConnection>>, fit: Fit<'_>) -> Option<Box<BackendConnection>> {
    let newest = idle.len().checked_sub(1)?;
    let fitting = (idle.len().saturating_sub(FIT_SCAN)..idle.len())
        .rev()
        .find(|&n| idle[n].fits(fit.settings, fit.schema));
    Some(idle.remove(fitting.unwrap_or(newest)))
}
