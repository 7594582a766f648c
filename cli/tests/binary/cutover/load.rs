//! Clients of a proxy that write and read for as long as they are let, and tell the [`History`] of everything: transactions of one shard and of two, single writes as text and
//! prepared, reads of one shard and scatters, which must find every acknowledged note once.

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
/// The connection to a server broke while it ran a statement.
pub const BACKEND_LOST: u16 = 1158;
/// The connection was lost, whatever it was lost in.
pub const LOST: u16 = 2013;
/// What only a client with an old map could get: none of it may reach one.
pub const WRONG_SHARD: [u16; 6] = [1044, 1049, 1142, 1143, 1146, 3989];
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
    /// Transactions over two counters.
    Transfers,
    /// Two notes in one statement.
    Pairs,
    Scatters,
}

/// How many of the newest notes a scatter looks for.
const NEWEST: usize = 200;

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
        let kinds = [
            Kind::Transactions,
            Kind::Notes,
            Kind::PreparedNotes,
            Kind::Reads,
            Kind::Transfers,
            Kind::Pairs,
            Kind::Scatters,
        ];
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
            Kind::Transfers => transfer(&mut open, *key, &history).await,
            Kind::Pairs => pair(&mut open, *key, &history).await,
            Kind::Scatters => scatter(&mut open, &history).await,
        };
        match did {
            Ok(()) => conn = Some(open),
            Err(error) => {
                let code = code(&error);
                if WRONG_SHARD.contains(&code) {
                    eprintln!("{kind:?} of counter {key} by {}: {error}", door.name);
                }
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

/// A transaction over two counters (with a warning it is acknowledged, and seen later where a server was away), which may lie on two servers: the lower one first, so that two of them wait for each other only where a move holds up one.
async fn transfer(conn: &mut Conn, key: Key, history: &History) -> Result<(), Error> {
    let other = history.opposite(key);
    let rows = [key.min(other), key.max(other)].map(|key| (key, history.entry()));
    history.pair(rows);
    let began = async {
        conn.query_drop("BEGIN").await?;
        let mut values = [0; 2];
        for ((key, entry), value) in rows.into_iter().zip(&mut values) {
            conn.query_drop(format!("UPDATE counters SET n = n + 1 WHERE id = {key}")).await?;
            conn.query_drop(format!("INSERT INTO ledger VALUES ({key}, {entry})")).await?;
            let read: Option<u64> =
                conn.query_first(format!("SELECT n FROM counters WHERE id = {key}")).await?;
            *value = read.unwrap_or_default();
        }
        Ok(values)
    };
    match began.await {
        Ok(values) => {
            conn.query_drop("COMMIT").await?;
            let is_seen = conn.get_warnings() == 0;
            for ((key, entry), value) in rows.into_iter().zip(values) {
                history.committed(key, entry, if is_seen { value } else { 0 });
            }
            Ok(())
        }
        Err(error) => {
            rows.into_iter().for_each(|(key, entry)| history.refused(key, entry));
            Err(error)
        }
    }
}

/// Two notes in one statement, which may lie on two shards.
async fn pair(conn: &mut Conn, key: Key, history: &History) -> Result<(), Error> {
    let rows @ [(one, first), (other, second)] =
        [key, history.opposite(key)].map(|key| (key, history.entry()));
    history.pair(rows);
    let sql = format!("INSERT INTO notes VALUES ({one}, {first}), ({other}, {second})");
    let written = conn.query_drop(sql).await;
    match &written {
        Ok(()) if conn.get_warnings() > 0 => {
            rows.into_iter().for_each(|(key, entry)| history.promised(key, entry));
        }
        Ok(()) => rows.into_iter().for_each(|(key, entry)| history.noted(key, entry)),
        Err(error) if code(error) == TRY_AGAIN => {
            rows.into_iter().for_each(|(key, entry)| history.refused(key, entry));
        }
        Err(_) => {}
    }
    written
}

/// Reads of all shards, one that is merged and one that is finished in MySQL: each finds every counter and every acknowledged note once.
async fn scatter(conn: &mut Conn, history: &History) -> Result<(), Error> {
    let known: Vec<(Key, u64)> = history.keys().into_iter().map(|key| (key, history.known(key).0)).collect();
    let saw: Vec<(Key, u64)> = conn.query("SELECT id, n FROM counters ORDER BY id").await?;
    history.counted(&known, &saw);
    for order in ["", " ORDER BY entry + 0"] {
        let known = history.newest(NEWEST);
        let Some((oldest, _)) = known.first() else { continue };
        let sql = format!("SELECT entry, id FROM notes WHERE entry >= {oldest}{order}");
        let saw: Vec<(u64, Key)> = conn.query(sql).await?;
        history.scattered(&known, &saw);
    }
    Ok(())
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
