//! Clients of a proxy that write and read for as long as they are let, and tell the [`History`] of everything: transactions, single writes as text and prepared, reads. Scatters
//! join here when there are any: a client whose read over all shards must find every acknowledged note once.

#![allow(clippy::unwrap_used, reason = "a panic is the failure's report")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use tokio::task::JoinHandle;

use super::history::{History, Key};
use super::rig::{Rig, connect, eventually};

/// ER_LOCK_DEADLOCK: rolled back, to be tried again.
pub const TRY_AGAIN: u16 = 1213;
/// The connection was lost, whatever it was lost in.
pub const LOST: u16 = 2013;
/// A client rests so long after each thing: the machine has more to do than this.
const PAUSE: Duration = Duration::from_millis(4);

/// A proxy as its clients know it.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    pub name: &'static str,
    pub address: SocketAddr,
}

/// Both proxies.
pub fn doors(rig: &Rig) -> [Door; 2] {
    [Door { name: "a", address: rig.at_a }, Door { name: "b", address: rig.at_b }]
}

/// What a client does over and over.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Transactions,
    Notes,
    PreparedNotes,
    Reads,
}

/// Running clients.
pub struct Load {
    stop: Arc<AtomicBool>,
    history: Arc<History>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// Clients of each kind on both proxies.
    pub fn start(rig: &Rig) -> Load {
        let [a, b] = doors(rig);
        Load::through(rig, &[a, b])
    }

    /// Clients of each kind on these.
    pub fn through(rig: &Rig, doors: &[Door]) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let kinds = [Kind::Transactions, Kind::Notes, Kind::PreparedNotes, Kind::Reads];
        let clients = doors.iter().copied().flat_map(|door| kinds.into_iter().map(move |kind| (door, kind)));
        let tasks = clients
            .map(|(door, kind)| tokio::spawn(client(door, kind, rig.history.clone(), stop.clone())))
            .collect();
        Load { stop, history: rig.history.clone(), tasks }
    }

    /// Waits until so much more was acknowledged.
    pub async fn pass(&self, more: u64) {
        let target = self.history.done() + more;
        eventually("the load goes on", async || {
            assert!(!self.tasks.iter().any(JoinHandle::is_finished), "a client ended");
            self.history.done() >= target
        })
        .await;
    }

    /// Has all clients end what they are at.
    pub async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

async fn client(door: Door, kind: Kind, history: Arc<History>, stop: Arc<AtomicBool>) {
    let keys = history.keys();
    let mut conn = None;
    for key in keys.iter().cycle() {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        let mut open = match conn.take() {
            Some(open) => open,
            None => match connect(door.address).await {
                Ok(open) => open,
                Err(_) => continue,
            },
        };
        let did = match kind {
            Kind::Transactions => transaction(&mut open, *key, &history).await,
            Kind::Notes => note(&mut open, *key, &history, false).await,
            Kind::PreparedNotes => note(&mut open, *key, &history, true).await,
            Kind::Reads => read(&mut open, *key, &history).await,
        };
        match did {
            Ok(()) => conn = Some(open),
            Err(error) => {
                let code = code(&error);
                history.error(door.name, code);
                if code != LOST && open.query_drop("ROLLBACK").await.is_ok() {
                    conn = Some(open);
                }
            }
        }
    }
}

/// A transaction: acknowledged, refused, or, where its COMMIT was not answered, neither.
pub async fn transaction(conn: &mut Conn, key: Key, history: &History) -> Result<(), Error> {
    let entry = history.entry();
    let began = async {
        conn.query_drop("BEGIN").await?;
        conn.query_drop(format!("UPDATE counters SET n = n + 1 WHERE id = {key}")).await?;
        conn.query_drop(format!("INSERT INTO ledger VALUES ({key}, {entry})")).await?;
        let value: Option<u64> = conn.query_first(format!("SELECT n FROM counters WHERE id = {key}")).await?;
        Ok(value.unwrap_or_default())
    };
    match began.await {
        Ok(value) => {
            conn.query_drop("COMMIT").await?;
            history.committed(key, entry, value);
            Ok(())
        }
        Err(error) => {
            history.refused(key, entry);
            Err(error)
        }
    }
}

/// A single write.
pub async fn note(conn: &mut Conn, key: Key, history: &History, is_prepared: bool) -> Result<(), Error> {
    let entry = history.entry();
    let written = match is_prepared {
        true => conn.exec_drop("INSERT INTO notes VALUES (?, ?)", (key, entry)).await,
        false => conn.query_drop(format!("INSERT INTO notes VALUES ({key}, {entry})")).await,
    };
    match &written {
        Ok(()) => history.noted(key, entry),
        Err(error) if code(error) == TRY_AGAIN => history.refused(key, entry),
        Err(_) => {}
    }
    written
}

/// A read of a counter and one of its notes: they must find what was acknowledged before they were sent.
pub async fn read(conn: &mut Conn, key: Key, history: &History) -> Result<(), Error> {
    let (value, _) = history.known(key);
    let saw: Option<Row> = conn.query_first(format!("SELECT n FROM counters WHERE id = {key}")).await?;
    history.read(key, value, saw.and_then(|row| row.get(0)).unwrap_or_default());
    let (_, notes) = history.known(key);
    let saw: Option<u64> = conn.query_first(format!("SELECT COUNT(*) FROM notes WHERE id = {key}")).await?;
    history.read(key, notes, saw.unwrap_or_default());
    Ok(())
}

/// The number of an error.
pub fn code(error: &Error) -> u16 {
    match error {
        Error::Server(error) => error.code,
        _ => LOST,
    }
}
