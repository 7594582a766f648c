//! Snapshots of several servers opened so that they are of one moment: opened, compared ([`super::together`]), opened again where they are not. What is prepared somewhere and
//! decided already is waited for, and finished if nobody else does it. No proxy is asked to hold still: under very many commits over the same servers this can take more rounds than there is time for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use podway_model::{Gtrid, HybridTime, Map, ServerId, Xid};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::coordinator::Ruling;
use super::resolver::LiveMap;
use super::side::SideServer;
use super::together::{Missing, Opened, missing, names, read_marks, window};
use super::transactions::Transactions;
use crate::backend::BackendConnection;
use crate::error::ProxyError;
use crate::metrics::Metrics;

/// How often snapshots are opened anew before they are given up.
const MAX_ROUNDS: usize = 200;
/// The pauses between two looks at what is prepared still.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// How long a branch that is decided may wait for its own coordinator.
const HELP_AFTER: Duration = Duration::from_millis(500);
const ROLL_BACK: &[u8] = b"ROLLBACK AND NO CHAIN NO RELEASE";
/// Later than every stamp.
const NEVER: HybridTime = HybridTime(u64::MAX);

/// A server whose snapshot is to be opened, on a session's connection.
pub struct Reader {
    /// Podway's own connections to it.
    pub side: SideServer,
    /// The session's, on which nothing is written.
    pub connection: Box<BackendConnection>,
}

/// Snapshots that are to be opened.
pub struct Opening {
    /// Where.
    pub readers: Vec<Reader>,
    /// By which statements.
    pub statements: Vec<Vec<u8>>,
    /// When it is too late.
    pub give_up: Instant,
    /// The map, for the servers where branches' decisions are.
    pub map: LiveMap,
    /// What is shared.
    pub transactions: Arc<Transactions>,
    /// The counters.
    pub metrics: Arc<Metrics>,
}

/// Why snapshots were not opened.
#[derive(Debug)]
pub enum OpeningError {
    /// A server would not.
    Server(ServerId, ProxyError),
    /// They did not come together in time.
    TooLate,
}

impl Opening {
    /// Opens them. Connections of snapshots that are not opened are closed.
    pub async fn open(mut self) -> Result<Vec<Box<BackendConnection>>, OpeningError> {
        let give_up = self.give_up;
        let opened = timeout_at(give_up, self.rounds()).await;
        opened.map_err(|_| OpeningError::TooLate)??;
        self.metrics.snapshots.fetch_add(1, Relaxed);
        Ok(self.readers.into_iter().map(|reader| reader.connection).collect())
    }

    async fn rounds(&mut self) -> Result<(), OpeningError> {
        for round in 0..MAX_ROUNDS {
            self.metrics.snapshot_rounds.fetch_add(1, Relaxed);
            let mut opened = self.round(round > 0).await?;
            self.look_again(&mut opened).await?;
            let missing = missing(&opened);
            if missing.is_empty() || !self.transactions.safeguards.compares_marks {
                return Ok(());
            }
            tracing::debug!(round, ?missing, "snapshots of several servers are not of one moment yet");
            self.wait_for(missing).await?;
        }
        Err(OpeningError::TooLate)
    }

    /// Asks all servers what is prepared there, then opens all snapshots and reads the marks in them.
    async fn round(&mut self, is_open: bool) -> Result<Vec<Opened>, OpeningError> {
        let mut asking = JoinSet::new();
        for reader in &self.readers {
            let side = reader.side.clone();
            asking.spawn(async move { (side.id(), side.moment().await) });
        }
        let mut prepared: BTreeMap<ServerId, Vec<Xid>> = BTreeMap::new();
        let mut clocks = Vec::with_capacity(self.readers.len());
        while let Some((server, asked)) = next(&mut asking).await? {
            let (clock, xids) = asked.map_err(|error| OpeningError::Server(server, error))?;
            clocks.push(clock);
            prepared.insert(server, xids);
        }
        let since = window(clocks);
        let of_all: BTreeSet<Gtrid> = prepared.values().flatten().map(|xid| xid.gtrid).collect();
        let names = names(&of_all);
        let mut opening = JoinSet::new();
        for mut reader in std::mem::take(&mut self.readers) {
            let mut statements = self.statements.clone();
            if is_open {
                statements.insert(0, ROLL_BACK.to_vec());
            }
            let names = names.clone();
            opening.spawn(async move {
                let seen = reader.open(&statements, since, &names).await;
                (reader, seen)
            });
        }
        let mut opened = Vec::new();
        while let Some((reader, seen)) = next(&mut opening).await? {
            let server = reader.side.id();
            let seen = seen.map_err(|error| OpeningError::Server(server, error))?;
            opened.push(Opened { server, prepared: prepared.remove(&server).unwrap_or_default(), seen });
            self.readers.push(reader);
        }
        Ok(opened)
    }

    /// Asks for what is missing by its name: its mark may be older on one server than on the other.
    async fn look_again(&mut self, opened: &mut [Opened]) -> Result<(), OpeningError> {
        let mut missing = missing(opened);
        for (reader, one) in self.readers.iter_mut().zip(opened) {
            let Some(lacking) = missing.remove(&one.server) else { continue };
            let found = reader.seen(NEVER, &names(&lacking)).await;
            one.seen.extend(found.map_err(|error| OpeningError::Server(one.server, error))?);
        }
        Ok(())
    }

    /// Waits until none of these is prepared any more.
    async fn wait_for(&self, missing: Missing) -> Result<(), OpeningError> {
        let begun = Instant::now();
        for (server, lacking) in missing {
            let Some(reader) = self.readers.iter().find(|reader| reader.side.id() == server) else {
                continue;
            };
            let mut pause = SHORTEST_PAUSE;
            loop {
                let listed = reader.side.prepared_ours().await;
                let listed = listed.map_err(|error| OpeningError::Server(server, error))?;
                let left: Vec<Xid> = listed.into_iter().filter(|xid| lacking.contains(&xid.gtrid)).collect();
                if left.is_empty() {
                    break;
                }
                if begun.elapsed() > HELP_AFTER {
                    for xid in &left {
                        self.help(&reader.side, *xid).await;
                    }
                }
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        Ok(())
    }

    /// Commits a branch if its transaction is committed; what is not decided is left to whoever decides it.
    async fn help(&self, side: &SideServer, xid: Xid) {
        let Some(map) = (self.map)() else { return };
        let helped = async {
            let Some(primary) = primary(&map, xid) else { return Ok(()) };
            let primary = self.transactions.side.of(primary);
            let Some(Ruling::Committed(stamp)) = primary.decided(xid.gtrid).await? else { return Ok(()) };
            if self.transactions.safeguards.has_floors {
                side.floor(xid.gtrid, stamp).await?;
            }
            side.finish(xid, true).await
        };
        if let Err(error) = helped.await {
            tracing::debug!(transaction = %xid.gtrid, %error, "a branch that a reader waits for could not be committed yet");
        }
    }
}

fn primary(map: &Map, xid: Xid) -> Option<&Arc<podway_model::Server>> {
    map.server(xid.branch.primary)
}

impl Reader {
    /// Opens the snapshot and reads the marks in it.
    async fn open(
        &mut self,
        statements: &[Vec<u8>],
        since: HybridTime,
        names: &str,
    ) -> Result<BTreeMap<Gtrid, Vec<ServerId>>, ProxyError> {
        for answer in self.connection.execute_all(statements).await? {
            answer.map_err(ProxyError::Server)?;
        }
        self.seen(since, names).await
    }

    async fn seen(
        &mut self,
        since: HybridTime,
        names: &str,
    ) -> Result<BTreeMap<Gtrid, Vec<ServerId>>, ProxyError> {
        let call = format!("CALL _podway.seen({}, '{names}', @`podway seen`)", since.0);
        self.connection.execute(call.as_bytes()).await?;
        let rows = self.connection.rows(b"SELECT CONVERT(@`podway seen` USING binary) LIMIT 1").await?;
        let marks = rows.text(0).map(|text| read_marks(&text)).unwrap_or_default();
        self.connection.execute(b"SET @`podway seen` = NULL").await?;
        Ok(marks)
    }
}

/// What the next task to end gives; none when all have ended.
async fn next<T: 'static>(tasks: &mut JoinSet<T>) -> Result<Option<T>, OpeningError> {
    match tasks.join_next().await {
        None => Ok(None),
        Some(Ok(done)) => Ok(Some(done)),
        // It panicked, which is logged where it did.
        Some(Err(_)) => Err(OpeningError::TooLate),
    }
}
