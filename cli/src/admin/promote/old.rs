//! The old primary: fenced so that it acknowledges no further write, and, once everything of it has arrived, shut to everybody but administrators.
//!
//! The order is what makes it safe: `super_read_only` first, which waits for commits under way and refuses all later ones; then the threads of clients are killed, so that nothing is
//! left that began before; then the executed GTIDs are read, which is all that was ever acknowledged. `super_read_only` lets prepared XA branches be committed, so there must be none.
//! Both settings are persisted: a server that comes back after a crash is still fenced.

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::time::{Instant, sleep, timeout};

use crate::provision::{AdminLogin, ProvisionError};

/// A server that does not answer within this cannot be reached.
const REACHED_WITHIN: Duration = Duration::from_secs(5);
/// How long one try to make it read-only waits for commits and table locks; then clients are killed, and it is tried again.
const READ_ONLY_WITHIN: Duration = Duration::from_secs(3);
/// How often that is tried.
const TRIES: usize = 5;
/// Threads that were killed are gone within this.
const GONE_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// ER_NO_SUCH_THREAD.
const NO_SUCH_THREAD: u16 = 1094;

/// Threads of clients: not the server's own, not replication's, not this session's.
const CLIENTS: &str = "SELECT PROCESSLIST_ID FROM performance_schema.threads WHERE TYPE = 'FOREGROUND' AND PROCESSLIST_ID IS NOT NULL \
     AND PROCESSLIST_ID <> CONNECTION_ID() AND PROCESSLIST_COMMAND NOT IN ('Daemon', 'Binlog Dump', 'Binlog Dump GTID') \
     AND COALESCE(PROCESSLIST_USER, '') NOT IN ('', 'system user', 'event_scheduler')";

/// Whether the old primary could be reached.
pub(super) enum Reached {
    /// It answers, and is the one that is meant.
    Here(Box<Old>),
    /// It does not, or somebody else answers at its address; and why.
    Away(String),
}

/// The old primary, reached.
pub(super) struct Old {
    conn: Conn,
    login: AdminLogin,
    /// What was set before it was touched.
    was: Settings,
}

/// Whether it takes writes and clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Settings {
    read_only: bool,
    super_read_only: bool,
    offline_mode: bool,
}

/// Logs in to it.
pub(super) async fn reach(login: &AdminLogin, uuid: &str) -> Reached {
    let reached = async {
        let mut conn = login.connect().await?;
        let sql = "SELECT @@server_uuid, @@GLOBAL.read_only, @@GLOBAL.super_read_only, @@GLOBAL.offline_mode";
        let row: Option<(String, bool, bool, bool)> =
            conn.query_first(sql).await.map_err(doing("asking the old primary what it is"))?;
        Ok::<_, ProvisionError>((conn, row))
    };
    match timeout(REACHED_WITHIN, reached).await {
        Err(_) => Reached::Away(format!("it does not answer within {REACHED_WITHIN:?}")),
        Ok(Err(error)) => Reached::Away(error.to_string()),
        Ok(Ok((conn, Some((found, read_only, super_read_only, offline_mode))))) if found == uuid => {
            let was = Settings { read_only, super_read_only, offline_mode };
            Reached::Here(Box::new(Old { conn, login: login.clone(), was }))
        }
        Ok(Ok((_, Some((found, ..))))) => {
            Reached::Away(format!("another server, {found}, answers at its address"))
        }
        Ok(Ok((_, None))) => Reached::Away("it says nothing of itself".to_owned()),
    }
}

impl Old {
    /// Whether it was fenced before this command.
    pub(super) fn was_fenced(&self) -> bool {
        self.was.super_read_only
    }

    /// The XA branches that are prepared there; a fence would not hold them.
    pub(super) async fn branches(&mut self) -> Result<Vec<String>, ProvisionError> {
        let rows: Vec<(i64, i64, i64, String)> =
            self.conn.query("XA RECOVER CONVERT XID").await.map_err(doing("looking for XA branches"))?;
        Ok(rows.into_iter().map(|(.., xid)| xid).collect())
    }

    /// Makes it refuse writes, ends its clients, and reads what it has executed: from then on that is all.
    pub(super) async fn fence(&mut self) -> Result<String, ProvisionError> {
        self.refuse_writes().await?;
        self.kill_clients().await?;
        let sql = "SELECT @@GLOBAL.super_read_only, @@GLOBAL.gtid_executed";
        let row: Option<(bool, String)> =
            self.conn.query_first(sql).await.map_err(doing("reading what the old primary has executed"))?;
        match row {
            Some((true, executed)) => Ok(executed.split_whitespace().collect()),
            _ => Err(refused("somebody made the old primary writable again while it was fenced")),
        }
    }

    /// Lets nobody in but administrators, so that nobody reads from it by an old map.
    pub(super) async fn shut(&mut self) -> Result<(), ProvisionError> {
        let shut = self.conn.query_drop("SET PERSIST offline_mode = ON").await;
        shut.map_err(doing("shutting the old primary to clients"))
    }

    /// Makes it what it was: it is the primary still.
    pub(super) async fn unfence(&mut self) -> Result<(), ProvisionError> {
        let was = self.was;
        let back = [
            ("offline_mode", was.offline_mode),
            ("super_read_only", was.super_read_only),
            ("read_only", was.read_only),
        ];
        for (name, value) in back.into_iter().filter(|(_, value)| !value) {
            for sql in [
                format!("RESET PERSIST IF EXISTS {name}"),
                format!("SET GLOBAL {name} = {}", u8::from(value)),
            ] {
                self.conn.query_drop(sql).await.map_err(doing("making the old primary writable again"))?;
            }
        }
        Ok(())
    }

    async fn refuse_writes(&mut self) -> Result<(), ProvisionError> {
        for _ in 0..TRIES {
            // It waits for commits and for table locks, which clients may hold for ever.
            let mut setter = self.login.connect().await?;
            let set = setter.query_drop("SET PERSIST super_read_only = ON");
            match timeout(READ_ONLY_WITHIN, set).await {
                Ok(set) => return set.map_err(doing("making the old primary read-only")),
                // The statement goes on until its thread is killed, with the other clients.
                Err(_) => self.kill_clients().await?,
            }
        }
        Err(refused("the old primary could not be made read-only: something holds its tables or commits"))
    }

    /// Kills the threads of clients that there are now, and waits until they are gone. Those that come later can do no harm.
    async fn kill_clients(&mut self) -> Result<(), ProvisionError> {
        let there: Vec<u64> = self.conn.query(CLIENTS).await.map_err(doing("listing its clients"))?;
        for thread in &there {
            match self.conn.query_drop(format!("KILL {thread}")).await {
                Err(mysql_async::Error::Server(error)) if error.code == NO_SUCH_THREAD => {}
                killed => killed.map_err(doing("ending its clients"))?,
            }
        }
        let give_up = Instant::now() + GONE_WITHIN;
        loop {
            let now: Vec<u64> = self.conn.query(CLIENTS).await.map_err(doing("listing its clients"))?;
            let left: Vec<&u64> = there.iter().filter(|thread| now.contains(thread)).collect();
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= give_up {
                return Err(refused(&format!("threads {left:?} of the old primary do not end")));
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// For `map_err`: says what a statement was for.
pub(super) fn doing(what: &str) -> impl FnOnce(mysql_async::Error) -> ProvisionError {
    let doing = what.to_owned();
    move |error| ProvisionError::Statement { doing, error }
}

fn refused(why: &str) -> ProvisionError {
    ProvisionError::Unfit(why.to_owned())
}
