//! Connections of Podway's own to each server, few and reserved: what is asked there never waits for clients' connections. They read marks, write
//! tombstones and floors, and finish branches that are on no session any more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use podway_model::{
    ClusterSecret, Gtrid, HybridTime, Map, Revision, Server, ServerId, Xid, parts_text, transaction_account,
};
use podway_wire::CapabilityFlags;
use tokio::time::timeout;

use super::coordinator::Ruling;
use crate::backend::{BackendConnection, Fit, PoolKey, Pools, ServerPool, Settings, string_literal};
use crate::clock::{Peer, StampClock};
use crate::config::BackendLimits;
use crate::error::ProxyError;
use crate::metrics::Metrics;

/// Side connections to one server.
const MAX_CONNECTIONS: usize = 8;
/// How long one errand may take, connecting included.
const ERRAND: Duration = Duration::from_secs(10);
/// How long decisions and marks are kept at least.
pub(super) const RETENTION: Duration = Duration::from_secs(24 * 3_600);
/// How many of them are deleted at once.
const FORGOTTEN_AT_ONCE: usize = 1_000;
/// ER_DUP_ENTRY.
const DUPLICATE: u16 = 1062;
/// ER_XAER_NOTA.
const UNKNOWN_XID: u16 = 1397;
/// A tombstone waits no longer for a decision that is being written, and is tried again.
const SETTINGS: &[u8] = b"SET SESSION autocommit = 1, innodb_lock_wait_timeout = 2, sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00'";

/// The highest stamp that is committed on a server.
const HIGHEST: &[u8] = b"SELECT COALESCE(MAX(ts), 0) FROM _podway.mark";
/// A server's clock: microseconds since 1970.
const CLOCK: &[u8] = b"SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', SYSDATE(6)) LIMIT 1";

/// The side connections of all servers.
pub struct Side {
    pools: Pools,
    key: PoolKey,
}

/// The side connections of one server.
#[derive(Clone)]
pub struct SideServer {
    pool: Arc<ServerPool>,
    key: PoolKey,
}

/// A stored procedure, as far as it matters to whoever may call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProcedure {
    /// Its body.
    pub body: String,
    /// `@@sql_mode` under which its body is read.
    pub sql_mode: String,
    /// Whether its body is in SQL.
    pub is_sql: bool,
    /// Its parameters.
    pub params: Vec<String>,
}

/// A prepared branch, as a server lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// One of ours.
    Ours(Xid),
    /// Another program's.
    Foreign,
}

impl Side {
    /// No connections yet. They log in as Podway's own account, for which these limits count but for the number of connections.
    pub fn new(limits: BackendLimits, secret: ClusterSecret, metrics: Arc<Metrics>) -> Side {
        let limits = BackendLimits { max_connections: MAX_CONNECTIONS, ..limits };
        let key = PoolKey::new(transaction_account(), CapabilityFlags::CLIENT_DEPRECATE_EOF, Revision(0));
        Side { pools: Pools::new(limits, secret, metrics), key }
    }

    /// Those of this server.
    pub fn of(&self, server: &Arc<Server>) -> SideServer {
        SideServer { pool: self.pools.get(server), key: self.key.clone() }
    }

    /// Forgets servers that the map has no longer, or has elsewhere.
    pub fn reconcile(&self, map: &Map) {
        self.pools.reconcile(map);
    }

    /// From now on connections say that they are this registration's.
    pub fn set_incarnation(&self, incarnation: u32) {
        self.pools.set_incarnation(incarnation);
    }

    /// Closes what rests; nothing is opened any more.
    pub fn retire(&self) {
        self.pools.retire();
    }
}

impl SideServer {
    /// The server's number.
    pub fn id(&self) -> ServerId {
        self.pool.id()
    }

    /// The server's `host:port`.
    pub fn address(&self) -> &str {
        &self.pool.endpoint().address
    }

    /// The highest stamp that is committed there.
    pub async fn highest(&self) -> Result<HybridTime, ProxyError> {
        let rows = self.rows(HIGHEST.to_vec()).await?;
        let highest = rows.first().and_then(|row| number(row, 0));
        highest.map(HybridTime).ok_or_else(|| self.odd("the highest stamp is no number"))
    }

    /// Compares a clock with this server's.
    pub async fn compare(&self, clock: &StampClock) -> Result<(), ProxyError> {
        let errand = async {
            let mut connection = self.ready().await?;
            let asked = clock.ask();
            let theirs = connection.rows(CLOCK).await?.text(0).and_then(|micros| micros.parse().ok());
            let theirs = theirs.ok_or_else(|| self.odd("the server's clock is no number"))?;
            let theirs = Duration::from_micros(theirs);
            clock.compare(Peer::Server(self.id()), asked, [theirs; 2], Duration::from_micros(1));
            connection.give_back(Instant::now());
            Ok(())
        };
        timeout(ERRAND, errand).await.map_err(|_| self.odd("an errand was not done in time"))?
    }

    /// What becomes of a transaction whose primary this is: where no decision is found, a tombstone is put in its place, after which there can be none. What
    /// parts it has is written there for people.
    pub async fn rule(&self, gtrid: Gtrid, parts: &str) -> Result<Ruling, ProxyError> {
        let tombstone = format!(
            "INSERT INTO _podway.decision (g, st, cts, parts) VALUES ('{gtrid}', 'A', NULL, '{parts}')"
        );
        match self.execute(tombstone.into_bytes()).await {
            Ok(()) => return Ok(Ruling::Aborted),
            Err(ProxyError::Server(refused)) if refused.code == DUPLICATE => {}
            Err(error) => return Err(error),
        }
        self.decided(gtrid).await?.ok_or_else(|| self.odd("a decision that was there is not there"))
    }

    /// What has been decided here of a transaction, if anything has: nothing is written, so a transaction that goes on is not disturbed. That nothing has says nothing of
    /// what will be.
    pub async fn decided(&self, gtrid: Gtrid) -> Result<Option<Ruling>, ProxyError> {
        let sql = format!("SELECT st, cts FROM _podway.decision WHERE g = '{gtrid}'");
        let rows = self.rows(sql.into_bytes()).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        match row.first().and_then(Option::as_deref) {
            Some(b"A") => Ok(Some(Ruling::Aborted)),
            Some(b"C") => number(row, 1)
                .map(|stamp| Some(Ruling::Committed(HybridTime(stamp))))
                .ok_or_else(|| self.odd("a decision without a stamp")),
            _ => Err(self.odd("a decision that is neither")),
        }
    }

    /// The registrations of which proxies have connections there that rest; none where the server does not show them. A proxy that lives has some: Podway's own. What a dead one's sessions
    /// were at may go on there, waiting for a lock.
    pub async fn connected(&self) -> Result<Option<BTreeSet<u32>>, ProxyError> {
        let sql = "SELECT a.ATTR_VALUE, MAX(t.PROCESSLIST_ID = CONNECTION_ID()) FROM performance_schema.session_connect_attrs a \
                   JOIN performance_schema.threads t ON t.PROCESSLIST_ID = a.PROCESSLIST_ID \
                   WHERE a.ATTR_NAME = 'podway_incarnation' AND (t.PROCESSLIST_COMMAND = 'Sleep' OR t.PROCESSLIST_ID = CONNECTION_ID()) \
                   GROUP BY a.ATTR_VALUE";
        let rows = self.rows(sql.as_bytes().to_vec()).await?;
        // Who does not see itself sees nobody.
        let shows = rows.iter().any(|row| number(row, 1) == Some(1));
        let registration = |row: &Vec<_>| number(row, 0).and_then(|number| u32::try_from(number).ok());
        Ok(shows.then(|| rows.iter().filter_map(registration).collect()))
    }

    /// Sees to it that later stamps here are above this one.
    pub async fn floor(&self, gtrid: Gtrid, stamp: HybridTime) -> Result<(), ProxyError> {
        let sql = format!(
            "INSERT INTO _podway.mark (g, ts, parts) VALUES ('{}', {}, '{}')",
            gtrid.floor(),
            stamp.0,
            parts_text(self.id(), [])
        );
        match self.execute(sql.into_bytes()).await {
            Err(ProxyError::Server(refused)) if refused.code == DUPLICATE => Ok(()),
            done => done,
        }
    }

    /// Commits or rolls back a prepared branch. That the server does not know it is not told from success: only what it lists is proof.
    pub async fn finish(&self, xid: Xid, commits: bool) -> Result<(), ProxyError> {
        let verb = if commits { "COMMIT" } else { "ROLLBACK" };
        match self.execute(format!("XA {verb} {}", xid.sql()).into_bytes()).await {
            Err(ProxyError::Server(refused)) if refused.code == UNKNOWN_XID => Ok(()),
            done => done,
        }
    }

    /// The branches that are prepared there.
    pub async fn prepared(&self) -> Result<Vec<Listed>, ProxyError> {
        let rows = self.rows(b"XA RECOVER CONVERT XID".to_vec()).await?;
        let listed = |row: &Vec<Option<Vec<u8>>>| {
            let data = row.get(3)?.as_deref().and_then(|data| std::str::from_utf8(data).ok())?;
            Xid::recovered(number(row, 0)?, size(row, 1)?, size(row, 2)?, data)
        };
        Ok(rows.iter().map(|row| listed(row).map_or(Listed::Foreign, Listed::Ours)).collect())
    }

    /// What ties rows of a table to more than themselves there: triggers, foreign keys from and to it. `None`: nothing does.
    pub async fn ties(&self, schema: &str, table: &str) -> Result<Option<&'static str>, ProxyError> {
        let text = |name: &str| String::from_utf8_lossy(&string_literal(name.as_bytes())).into_owned();
        let (schema, table) = (text(schema), text(table));
        let sql = format!(
            "SELECT (SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'TRIGGER'), \
             (SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = {schema} AND EVENT_OBJECT_TABLE = {table}), \
             (SELECT COUNT(*) FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = {schema} AND TABLE_NAME = {table} \
             OR UNIQUE_CONSTRAINT_SCHEMA = {schema} AND REFERENCED_TABLE_NAME = {table})"
        );
        let rows = self.rows(sql.into_bytes()).await?;
        let counts = rows.first().map(|row| [number(row, 0), number(row, 1), number(row, 2)]);
        Ok(match counts {
            Some([Some(0) | None, ..]) | None => {
                Some("whose triggers Podway may not see: prepare its server again")
            }
            Some([_, Some(0), Some(0)]) => None,
            Some([_, Some(0), _]) => Some("which has foreign keys"),
            Some(_) => Some("which has triggers"),
        })
    }

    /// The table of which this is a trigger there; `None`: there is no such trigger.
    pub async fn table_of_trigger(&self, schema: &str, trigger: &str) -> Result<Option<String>, ProxyError> {
        let text = |name: &str| String::from_utf8_lossy(&string_literal(name.as_bytes())).into_owned();
        let sql = format!(
            "SELECT (SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'TRIGGER'), \
             (SELECT MAX(EVENT_OBJECT_TABLE) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {} AND TRIGGER_NAME = {})",
            text(schema),
            text(trigger)
        );
        let rows = self.rows(sql.into_bytes()).await?;
        match rows.first().and_then(|row| number(row, 0)) {
            Some(0) | None => Err(self.odd("Podway may not see triggers there: prepare the server again")),
            Some(_) => Ok(rows.first().and_then(|row| {
                let name = row.get(1)?.as_deref()?;
                Some(String::from_utf8_lossy(name).into_owned())
            })),
        }
    }

    /// A procedure there; `None`: there is none of this name.
    pub async fn procedure(&self, schema: &str, name: &str) -> Result<Option<StoredProcedure>, ProxyError> {
        let text = |name: &str| String::from_utf8_lossy(&string_literal(name.as_bytes())).into_owned();
        let sql = format!(
            "SELECT r.ROUTINE_DEFINITION, r.SQL_MODE, r.EXTERNAL_LANGUAGE, p.PARAMETER_NAME FROM information_schema.ROUTINES r \
             LEFT JOIN information_schema.PARAMETERS p ON p.SPECIFIC_SCHEMA = r.ROUTINE_SCHEMA AND p.SPECIFIC_NAME = r.SPECIFIC_NAME \
             AND p.ROUTINE_TYPE = r.ROUTINE_TYPE WHERE r.ROUTINE_SCHEMA = {} AND r.ROUTINE_NAME = {} AND r.ROUTINE_TYPE = 'PROCEDURE' \
             ORDER BY p.ORDINAL_POSITION",
            text(schema),
            text(name)
        );
        let rows = self.rows(sql.into_bytes()).await?;
        let cell = |row: &[Option<Vec<u8>>], n: usize| {
            row.get(n)?.as_deref().map(|text| String::from_utf8_lossy(text).into_owned())
        };
        let Some(first) = rows.first() else { return Ok(None) };
        let body = cell(first, 0).ok_or_else(|| {
            self.odd("Podway may not see procedures there (SHOW_ROUTINE): prepare the server again")
        })?;
        Ok(Some(StoredProcedure {
            body,
            sql_mode: cell(first, 1).unwrap_or_default(),
            is_sql: cell(first, 2).is_some_and(|language| language.eq_ignore_ascii_case("SQL")),
            params: rows.iter().filter_map(|row| cell(row, 3)).collect(),
        }))
    }

    /// Podway's branches that are prepared there.
    pub async fn prepared_ours(&self) -> Result<Vec<Xid>, ProxyError> {
        let ours = |listed: Listed| match listed {
            Listed::Ours(xid) => Some(xid),
            Listed::Foreign => None,
        };
        Ok(self.prepared().await?.into_iter().filter_map(ours).collect())
    }

    /// The server's clock, since 1970, and then which of Podway's branches are prepared there.
    pub async fn moment(&self) -> Result<(Duration, Vec<Xid>), ProxyError> {
        let rows = self.rows(CLOCK.to_vec()).await?;
        let clock = rows.first().and_then(|row| number(row, 0));
        let clock = clock.ok_or_else(|| self.odd("the server's clock is no number"))?;
        Ok((Duration::from_micros(clock), self.prepared_ours().await?))
    }

    /// Deletes decisions that are older than [`RETENTION`] and not of these transactions, and marks that are as old; the highest mark stays, for later stamps
    /// are to be above it. A part of them at a time.
    pub async fn forget(&self, needed: &BTreeSet<Gtrid>) -> Result<(), ProxyError> {
        let old = format!("t < NOW(6) - INTERVAL {} SECOND", RETENTION.as_secs());
        let sql = format!("SELECT g FROM _podway.decision WHERE {old} ORDER BY t LIMIT {FORGOTTEN_AT_ONCE}");
        let rows = self.rows(sql.into_bytes()).await?;
        let text = |row: &Vec<Option<Vec<u8>>>| String::from_utf8(row.first()?.clone()?).ok();
        let is_over = |name: &String| Gtrid::parse(name).is_some_and(|gtrid| !needed.contains(&gtrid));
        let over: Vec<String> =
            rows.iter().filter_map(text).filter(is_over).map(|name| format!("'{name}'")).collect();
        if !over.is_empty() {
            let sql = format!("DELETE FROM _podway.decision WHERE g IN ({}) AND {old}", over.join(","));
            self.execute(sql.into_bytes()).await?;
        }
        let highest = self.highest().await?;
        // Whoever reads from several servers at once finds by its mark what one of them has not committed yet.
        let kept: Vec<String> = needed.iter().map(|gtrid| format!("'{gtrid}'")).collect();
        let but = if kept.is_empty() { String::new() } else { format!(" AND g NOT IN ({})", kept.join(",")) };
        let sql = format!(
            "DELETE FROM _podway.mark WHERE ts < {} AND {old}{but} LIMIT {FORGOTTEN_AT_ONCE}",
            highest.0
        );
        self.execute(sql.into_bytes()).await
    }

    async fn execute(&self, sql: Vec<u8>) -> Result<(), ProxyError> {
        let errand = async {
            let mut connection = self.ready().await?;
            let done = connection.execute(&sql).await;
            connection.give_back(Instant::now());
            done.map(|_| ())
        };
        timeout(ERRAND, errand).await.map_err(|_| self.odd("an errand was not done in time"))?
    }

    async fn rows(&self, sql: Vec<u8>) -> Result<Vec<Vec<Option<Vec<u8>>>>, ProxyError> {
        let errand = async {
            let mut connection = self.ready().await?;
            let rows = connection.rows(&sql).await;
            connection.give_back(Instant::now());
            rows.map(|rows| rows.iter().map(<[_]>::to_vec).collect())
        };
        timeout(ERRAND, errand).await.map_err(|_| self.odd("an errand was not done in time"))?
    }

    /// A connection of Podway's own, to be given back or dropped.
    pub(super) async fn ready(&self) -> Result<Box<BackendConnection>, ProxyError> {
        let fit = Fit { settings: Settings::default().fingerprint(), schema: None };
        let mut connection = self.pool.checkout(&self.key, fit).await?;
        connection.execute(SETTINGS).await?;
        Ok(connection)
    }

    fn odd(&self, what: &str) -> ProxyError {
        self.pool.endpoint().lost(what)
    }
}

fn number(row: &[Option<Vec<u8>>], at: usize) -> Option<u64> {
    std::str::from_utf8(row.get(at)?.as_deref()?).ok()?.parse().ok()
}

fn size(row: &[Option<Vec<u8>>], at: usize) -> Option<usize> {
    number(row, at).and_then(|number| usize::try_from(number).ok())
}
