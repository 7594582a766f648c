//! What the proxy is told at start, with every bound by its name. Reading it from files or flags is the command line's work.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use podway_model::ClusterSecret;

use crate::clock::StampClock;

/// All that a proxy is told.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Where clients connect; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// How TLS is offered.
    pub tls: TlsMode,
    /// From what the proxy's own passwords on the servers are derived.
    pub secret: ClusterSecret,
    /// The clock of transactions' ids and stamps.
    pub clock: Arc<StampClock>,
    /// How far this machine's clock may be ahead of most of the cluster's; beyond that nothing is stamped, and commits over several servers are refused.
    pub max_clock_ahead: Duration,
    /// Bounds on clients.
    pub client: ClientLimits,
    /// Bounds on connections to the servers.
    pub backend: BackendLimits,
    /// Bytes that the plan cache may hold.
    pub plan_cache_bytes: usize,
    /// How long statements and transactions may go on after a request to stop.
    pub shutdown_deadline: Duration,
    /// What a test leaves out.
    pub safeguards: Safeguards,
}

/// What keeps transactions over several servers whole and in order: seams for tests. In operation everything here is left at its default: no file, flag or setting reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Safeguards {
    /// Whether a resolver that finds no decision puts a tombstone in its place. Only a test that shows what is torn without it says no.
    pub has_tombstones: bool,
    /// Whether the primary refuses decisions that come too late. Only a test that shows what readers see without it says no.
    pub has_deadline: bool,
    /// Whether a server's stamps are raised before what has a later one is committed there. Only a test that shows which order stamps have without it says no.
    pub has_floors: bool,
    /// Whether readers of one moment compare the marks in their snapshots. Only a test that shows what they see without it says no.
    pub compares_marks: bool,
}

impl Default for Safeguards {
    fn default() -> Safeguards {
        Safeguards { has_tombstones: true, has_deadline: true, has_floors: true, compares_marks: true }
    }
}

/// How TLS is offered to clients.
#[derive(Clone, Debug)]
pub enum TlsMode {
    /// With a self-signed certificate made at start, as MySQL does.
    SelfSigned,
    /// With these files.
    Files(TlsFiles),
    /// Not at all.
    Off,
}

/// PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate chain, the server's own first.
    pub certificates: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Bounds on what clients may hold.
#[derive(Clone, Debug)]
pub struct ClientLimits {
    /// Sessions at once; the next is refused with error 1040.
    pub max_sessions: usize,
    /// Connections at once that have not logged in yet.
    pub max_unauthenticated: usize,
    /// How long a login may take (`connect_timeout`).
    pub login_deadline: Duration,
    /// How long a session may be idle (`wait_timeout`).
    pub idle_deadline: Duration,
    /// How long a client may leave a result unread (`net_write_timeout`).
    pub write_deadline: Duration,
    /// How long the rest of a command may take to arrive (`net_read_timeout`).
    pub read_deadline: Duration,
    /// How long each step of a COMMIT over several servers may take: preparing, deciding, finishing.
    pub commit_step: Duration,
    /// How long the snapshots of several servers may take to be of one moment.
    pub snapshot_deadline: Duration,
    /// How long one statement may run.
    pub statement_deadline: Duration,
    /// How long a statement waits while its shard changes its owner, where the map does not say (`freeze.hold`).
    pub move_deadline: Duration,
    /// How long what runs on a frozen shard may go on, where the map does not say (`freeze.drain`).
    pub drain_deadline: Duration,
    /// Statements that may wait for a move; more are told to try again at once.
    pub max_held: usize,
    /// Bytes of the largest command (`max_allowed_packet`).
    pub max_packet: usize,
    /// Prepared statements of one session.
    pub max_statements: usize,
    /// Bytes of parameters sent ahead of one execution.
    pub max_long_data: usize,
    /// Rows of several shards that one statement may need to be finished in MySQL.
    pub max_gathered_rows: usize,
    /// Bytes of such rows, as JSON; twice as many go to the server (`max_allowed_packet`).
    pub max_gathered_bytes: usize,
}

/// Bounds on connections to the servers.
#[derive(Clone, Debug)]
pub struct BackendLimits {
    /// Connections to one server, over all users.
    pub max_connections: usize,
    /// How long a statement waits for a connection before it is refused.
    pub queue_deadline: Duration,
    /// Statements that may wait for connections of one server.
    pub max_waiters: usize,
    /// How long connecting and logging in may take.
    pub connect_deadline: Duration,
    /// How long an unused connection is kept.
    pub idle_deadline: Duration,
    /// Prepared statements on one server, over all sessions (`max_prepared_stmt_count` less a reserve).
    pub max_statements: usize,
    /// Prepared statements on one connection.
    pub max_statements_per_connection: usize,
    /// Bytes of statements' metadata that are read before they are passed on.
    pub max_metadata: usize,
}

impl ProxyConfig {
    /// The defaults, listening here.
    pub fn new(listen: SocketAddr, secret: ClusterSecret) -> ProxyConfig {
        ProxyConfig {
            listen,
            tls: TlsMode::SelfSigned,
            secret,
            clock: Arc::default(),
            max_clock_ahead: StampClock::MOST_AHEAD,
            client: ClientLimits::default(),
            backend: BackendLimits::default(),
            plan_cache_bytes: 64 << 20,
            shutdown_deadline: Duration::from_secs(30),
            safeguards: Safeguards::default(),
        }
    }
}

impl Default for ClientLimits {
    fn default() -> ClientLimits {
        ClientLimits {
            max_sessions: 20_000,
            max_unauthenticated: 1_000,
            login_deadline: Duration::from_secs(10),
            idle_deadline: Duration::from_secs(28_800),
            write_deadline: Duration::from_secs(60),
            read_deadline: Duration::from_secs(30),
            commit_step: Duration::from_secs(4),
            snapshot_deadline: Duration::from_secs(20),
            statement_deadline: Duration::from_secs(3_600),
            move_deadline: Duration::from_secs(10),
            drain_deadline: Duration::from_secs(5),
            max_held: 10_000,
            max_packet: 64 << 20,
            max_statements: 16_382,
            max_long_data: 64 << 20,
            max_gathered_rows: 100_000,
            max_gathered_bytes: 16 << 20,
        }
    }
}

impl Default for BackendLimits {
    fn default() -> BackendLimits {
        BackendLimits {
            max_connections: 100,
            queue_deadline: Duration::from_secs(10),
            max_waiters: 20_000,
            connect_deadline: Duration::from_secs(5),
            idle_deadline: Duration::from_secs(60),
            max_statements: 12_000,
            max_statements_per_connection: 500,
            max_metadata: 16 << 20,
        }
    }
}
