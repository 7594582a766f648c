//! A server as the proxy reaches it: where it is, as whom to log in, and the bounds on what is used of it. It opens no connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize};

use podway_model::{ClusterSecret, Server, ServerId, transaction_token};
use tokio::sync::Semaphore;

use super::key::PoolKey;
use super::losses::Losses;
use crate::config::BackendLimits;
use crate::error::ProxyError;
use crate::metrics::Metrics;

/// Connections at once that only end what runs on others.
const KILLERS: usize = 8;

/// A server as the proxy reaches it.
pub struct Endpoint {
    /// The server.
    pub server: Arc<Server>,
    /// Its `host:port`.
    pub address: String,
    /// The bounds on what is used of it.
    pub limits: BackendLimits,
    /// The proxy's counters.
    pub metrics: Arc<Metrics>,
    /// The proxy's registration, which its connections carry as an attribute; 0: none.
    pub incarnation: Arc<AtomicU32>,
    /// Prepared statements on all connections to it.
    pub(super) statements: AtomicUsize,
    pub(super) killers: Semaphore,
    /// What it ended of ours.
    pub(super) losses: Losses,
    secret: ClusterSecret,
}

/// A connection's thread on its server: what KILL ends.
pub struct ServerThread {
    /// Where it works.
    pub endpoint: Arc<Endpoint>,
    /// As whom, and for what kind of client.
    pub key: PoolKey,
    /// The server's number for it.
    pub number: u32,
}

impl Endpoint {
    /// This server, with these bounds.
    pub fn new(
        server: Arc<Server>,
        limits: BackendLimits,
        secret: ClusterSecret,
        metrics: Arc<Metrics>,
        incarnation: Arc<AtomicU32>,
    ) -> Endpoint {
        Endpoint {
            address: server.address(),
            server,
            limits,
            metrics,
            incarnation,
            statements: AtomicUsize::new(0),
            killers: Semaphore::new(KILLERS),
            losses: Losses::default(),
            secret,
        }
    }

    /// The server's number.
    pub fn id(&self) -> ServerId {
        self.server.id
    }

    /// The password under which the proxy logs in here as this account.
    pub(super) fn password(&self, key: &PoolKey) -> String {
        self.secret.backend_password(key.account(), &self.server.uuid)
    }

    /// What a procedure of `_podway` on this server takes as proof that it is called by a proxy.
    pub fn transaction_token(&self, parts: &[&str]) -> String {
        transaction_token(&self.secret.transaction_key(&self.server.uuid), parts)
    }

    /// An error before the server can have run anything.
    pub fn unusable(&self, reason: impl ToString) -> ProxyError {
        ProxyError::BackendUnusable { server: self.address.clone(), reason: reason.to_string() }
    }

    /// An error in the middle of a command.
    pub fn lost(&self, reason: impl ToString) -> ProxyError {
        ProxyError::BackendLost { server: self.address.clone(), reason: reason.to_string() }
    }
}
