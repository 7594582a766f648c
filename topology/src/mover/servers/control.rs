//! The one session with which a leader changes things on a server. Who leads stands there too: a row with the highest term that has come, and a lock that lasts as long as its
//! session. A leader that is late finds a higher term; one that was stopped in the middle of something finds that its session is dead.

use std::time::Duration;

use mysql_async::prelude::{AsQuery, FromRow, Queryable, StatementLike};
use mysql_async::{Conn, Error, OptsBuilder, Params};
use podway_topology_api::{Secret, Term};
use tokio::time::{Instant, timeout};

use super::super::error::MoveError;
use super::text::quoted;

/// A server that does not answer within this is tried again later.
const LOGIN_WITHIN: Duration = Duration::from_secs(5);
/// The session of an earlier leader is gone within this after it was killed, or it is tried again later.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// ER_BAD_DB_ERROR and ER_NO_SUCH_TABLE: nobody was here before.
const NOTHING_YET: [u16; 2] = [1049, 1146];
/// ER_NO_SUCH_THREAD.
const NO_SUCH_THREAD: u16 = 1094;

/// What every control session runs under: rows arrive as they are, and no statement waits for long.
const SESSION: &str = "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+00:00', \
     foreign_key_checks = 0, unique_checks = 0, lock_wait_timeout = 1, innodb_lock_wait_timeout = 5, \
     sql_quote_show_create = 1, sql_select_limit = DEFAULT, max_execution_time = 0, \
     innodb_strict_mode = 0, information_schema_stats_expiry = 0, autocommit = 1";
const TABLES: [&str; 5] = [
    "CREATE DATABASE IF NOT EXISTS _podway",
    "CREATE TABLE IF NOT EXISTS _podway.control (cluster VARCHAR(64) PRIMARY KEY, term BIGINT UNSIGNED NOT NULL)",
    "CREATE TABLE IF NOT EXISTS _podway.arrivals (schema_name VARCHAR(64) PRIMARY KEY, cluster VARCHAR(64) NOT NULL, \
     operation BIGINT UNSIGNED NOT NULL, had_grants BOOLEAN NOT NULL)",
    "CREATE TABLE IF NOT EXISTS _podway.departures (schema_name VARCHAR(64) PRIMARY KEY, cluster VARCHAR(64) NOT NULL, \
     operation BIGINT UNSIGNED NOT NULL, is_going BOOLEAN NOT NULL)",
    "CREATE TABLE IF NOT EXISTS _podway.withheld (schema_name VARCHAR(64) NOT NULL, cluster VARCHAR(64) NOT NULL, \
     id CHAR(64) CHARACTER SET ascii NOT NULL, statement MEDIUMTEXT NOT NULL, PRIMARY KEY (schema_name, cluster, id))",
];

/// How to log in to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Its name for people.
    pub name: Box<str>,
    /// Host name or address.
    pub host: Box<str>,
    /// TCP port.
    pub port: u16,
    /// `@@server_uuid`: another server's session is not opened.
    pub uuid: Box<str>,
    /// The administrator.
    pub user: Box<str>,
    /// Its password.
    pub password: Secret,
}

/// Whose session it is.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The topology's cluster.
    pub cluster: String,
    /// The leader's term.
    pub term: Term,
    /// What it is for, if not for moves: each work has a lock of its own, so that one does not end the other's session.
    pub work: Option<String>,
}

impl Owner {
    /// The control lock's name; MySQL takes 64 characters.
    fn lock(&self) -> String {
        match &self.work {
            None => format!("podway.control.{}", self.cluster),
            Some(work) => format!("podway.{}.{work}", self.cluster),
        }
    }
}

/// A control session.
pub struct Control {
    conn: Conn,
    login: Login,
    owner: Owner,
}

impl Control {
    /// Logs in, says that this term's leader is here, and ends the session that was here before, whoever's it was but a later leader's.
    pub async fn open(login: Login, owner: Owner) -> Result<Control, MoveError> {
        let options = OptsBuilder::default()
            .ip_or_hostname(login.host.to_string())
            .tcp_port(login.port)
            .user(Some(login.user.to_string()))
            .pass(Some(login.password.reveal().to_owned()))
            .connect_attribute("podway_control", owner.term.0.to_string())
            .prefer_socket(false);
        let conn = match timeout(LOGIN_WITHIN, Conn::new(options)).await {
            Ok(conn) => conn.map_err(|error| MoveError::Server { server: login.name.clone(), error })?,
            Err(_) => return Err(MoveError::Silent { server: login.name, waited: LOGIN_WITHIN }),
        };
        let mut control = Control { conn, login, owner };
        control.begin().await?;
        Ok(control)
    }

    /// Its server's name.
    pub fn server(&self) -> &str {
        &self.login.name
    }

    /// How it logged in.
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// Whether it still answers, and no later leader is here.
    pub async fn is_good(&mut self) -> bool {
        matches!(timeout(LOGIN_WITHIN, self.check_term()).await, Ok(Ok(())))
    }

    /// The administrator as whom it is logged in.
    pub fn user(&self) -> &str {
        &self.login.user
    }

    /// Whose it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Changes something, if no later leader is here.
    pub async fn change<Q: AsQuery>(&mut self, sql: Q) -> Result<(), MoveError> {
        self.check_term().await?;
        let done = self.conn.query_drop(sql).await;
        self.on_server(done)
    }

    /// Changes something that has values, if no later leader is here.
    pub async fn change_with<P: Into<Params> + Send>(
        &mut self,
        sql: &str,
        values: P,
    ) -> Result<(), MoveError> {
        self.check_term().await?;
        let done = self.conn.exec_drop(sql, values).await;
        self.on_server(done)
    }

    /// Changes something of this session alone.
    pub async fn set(&mut self, sql: &str) -> Result<(), MoveError> {
        let done = self.conn.query_drop(sql).await;
        self.on_server(done)
    }

    /// Reads rows.
    pub async fn rows<T: FromRow + Send + 'static>(&mut self, sql: &str) -> Result<Vec<T>, MoveError> {
        let rows = self.conn.query(sql).await;
        self.on_server(rows)
    }

    /// Reads rows by values.
    pub async fn rows_with<T, S, P>(&mut self, sql: S, values: P) -> Result<Vec<T>, MoveError>
    where
        T: FromRow + Send + 'static,
        S: StatementLike,
        P: Into<Params> + Send,
    {
        let rows = self.conn.exec(sql, values).await;
        self.on_server(rows)
    }

    /// Reads the one row that there is.
    pub async fn row<T: FromRow + Send + 'static>(&mut self, sql: &str) -> Result<T, MoveError> {
        let row = self.conn.query_first(sql).await;
        self.on_server(row)?
            .ok_or_else(|| MoveError::Blocked(format!("server {} answered no row", self.login.name)))
    }

    /// Refuses while a backup keeps DDL from being done.
    pub async fn check_no_backup(&mut self) -> Result<(), MoveError> {
        let sql = "SELECT t.PROCESSLIST_ID, CONCAT(COALESCE(t.PROCESSLIST_USER, ''), '@', COALESCE(t.PROCESSLIST_HOST, '')) \
                   FROM performance_schema.metadata_locks m JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID \
                   WHERE m.OBJECT_TYPE = 'BACKUP LOCK' AND m.LOCK_TYPE = 'SHARED' AND m.LOCK_STATUS = 'GRANTED' ORDER BY 1";
        let backups: Vec<(u64, String)> = self.rows(sql).await?;
        let Some((thread, who)) = backups.first() else { return Ok(()) };
        let server = self.server();
        Err(MoveError::Blocked(format!(
            "a backup runs on server {server}: thread {thread} ({who}) holds the backup lock"
        )))
    }

    /// The connection, for rows that come one by one.
    pub fn stream(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// Ends another thread, if it is there.
    pub async fn kill(&mut self, thread: u64) -> Result<(), MoveError> {
        match self.conn.query_drop(format!("KILL {thread}")).await {
            Err(Error::Server(refused)) if refused.code == NO_SUCH_THREAD => Ok(()),
            done => self.on_server(done),
        }
    }

    /// Names the server of an error.
    pub fn on_server<T>(&self, result: Result<T, Error>) -> Result<T, MoveError> {
        result.map_err(|error| MoveError::Server { server: self.login.name.clone(), error })
    }

    async fn begin(&mut self) -> Result<(), MoveError> {
        let uuid: String = self.row("SELECT @@server_uuid").await?;
        if *uuid != *self.login.uuid {
            let Login { name, host, port, uuid: known, .. } = &self.login;
            return Err(MoveError::Refused(format!(
                "at {host}:{port} is a server with uuid {uuid}, not {name} ({known})"
            )));
        }
        self.set(SESSION).await?;
        let (cluster, term) = (self.owner.cluster.clone(), self.owner.term.0);
        let known = "SELECT term FROM _podway.control WHERE cluster = ?";
        match self.conn.exec_first::<u64, _, _>(known, (&cluster,)).await {
            Ok(Some(_)) => {}
            Err(Error::Server(refused)) if !NOTHING_YET.contains(&refused.code) => {
                return self.on_server(Err(Error::Server(refused)));
            }
            _ => {
                self.check_no_backup().await?;
                for sql in TABLES {
                    self.set(sql).await?;
                }
                let added = self
                    .conn
                    .exec_drop("INSERT IGNORE INTO _podway.control VALUES (?, 0)", (&cluster,))
                    .await;
                self.on_server(added)?;
            }
        }
        let sql = "UPDATE _podway.control SET term = ? WHERE cluster = ? AND term < ?";
        let raised = self.conn.exec_drop(sql, (term, &cluster, term)).await;
        self.on_server(raised)?;
        self.take_lock().await
    }

    async fn take_lock(&mut self) -> Result<(), MoveError> {
        let lock = quoted(&self.owner.lock());
        let give_up = Instant::now() + GONE_WITHIN;
        loop {
            self.check_term().await?;
            if self.row::<Option<u64>>(&format!("SELECT GET_LOCK({lock}, 0)")).await? == Some(1) {
                break;
            }
            if let Some(holder) = self.row::<Option<u64>>(&format!("SELECT IS_USED_LOCK({lock})")).await? {
                self.kill(holder).await?;
            }
            let got = self.row::<Option<u64>>(&format!("SELECT GET_LOCK({lock}, 1)")).await?;
            if got == Some(1) {
                break;
            }
            if Instant::now() >= give_up {
                let server = &self.login.name;
                return Err(MoveError::Blocked(format!(
                    "the session of an earlier leader does not end on server {server}"
                )));
            }
        }
        // With the lock held nobody else changes anything here; whether this one may is seen now.
        self.check_term().await
    }

    /// Refuses if a later leader is here.
    pub async fn check_term(&mut self) -> Result<(), MoveError> {
        let sql = "SELECT term FROM _podway.control WHERE cluster = ?";
        let term = self.conn.exec_first::<u64, _, _>(sql, (&self.owner.cluster,)).await;
        match self.on_server(term)? {
            Some(term) if term == self.owner.term.0 => Ok(()),
            _ => Err(MoveError::Ousted { server: self.login.name.clone() }),
        }
    }
}
