//! Who waits for whom on one server, read from it, and what other proxies tell there of their transactions. What it means is not decided here.
//!
//! Proxies tell each other by a user variable of a session of Podway's own account, which the others read in performance_schema: it costs the server
//! nothing to keep, is written to no log, and is gone with its proxy.

use std::collections::BTreeMap;

use podway_model::ServerId;

use super::deadlock::{Part, Wait};
use super::side::SideServer;
use crate::backend::BackendConnection;
use crate::error::ProxyError;

/// Waits that are read of one server at once. Where there are more some are not seen this time: who waits for whom then lacks edges, so that no wrong cycle comes of it.
const MAX_WAITS: usize = 10_000;
/// How much of a waiting statement is kept.
const QUERY: usize = 500;
/// The variable by which proxies tell each other.
const TELLS: &str = "podway_waits";

/// A session that reads one server's waits.
pub struct LockWatch(Box<BackendConnection>);

/// What a server shows.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The waits.
    pub waits: Vec<Wait>,
    /// The server's threads with the transactions that are in these waits.
    pub threads: BTreeMap<Part, u32>,
    /// What waiting transactions run.
    pub queries: BTreeMap<Part, Vec<u8>>,
    /// What proxies tell, this one too.
    pub told: Vec<String>,
}

/// Why a server's waits are not seen.
#[derive(Debug, thiserror::Error)]
pub enum Unseen {
    /// It does not keep them.
    #[error("performance_schema is off there")]
    Off,
    /// Podway's account may not read them, or there are none to read.
    #[error("{0}")]
    Refused(String),
    /// It did not answer in time.
    #[error("it did not show its lock waits in time")]
    Late,
    /// It was not reached.
    #[error(transparent)]
    Away(ProxyError),
}

impl LockWatch {
    /// A session on this server.
    pub async fn open(server: &SideServer) -> Result<LockWatch, Unseen> {
        let mut watch = LockWatch(server.ready().await?);
        // It says things to others: nobody else is to get it.
        watch.0.never_reuse();
        let rows = watch.0.rows(b"SELECT @@performance_schema").await?;
        if rows.text(0).as_deref() == Some("0") {
            return Err(Unseen::Off);
        }
        Ok(watch)
    }

    /// Looks.
    pub async fn look(&mut self) -> Result<Shown, Unseen> {
        let server = self.0.endpoint().id();
        let sql = format!(
            "SELECT w.REQUESTING_ENGINE_TRANSACTION_ID, w.BLOCKING_ENGINE_TRANSACTION_ID, r.trx_mysql_thread_id, b.trx_mysql_thread_id, \
             CONCAT(w.REQUESTING_ENGINE_LOCK_ID, ' ', r.trx_wait_started), LEFT(r.trx_query, {QUERY}) \
             FROM performance_schema.data_lock_waits w \
             JOIN information_schema.INNODB_TRX r ON r.trx_id = w.REQUESTING_ENGINE_TRANSACTION_ID \
             LEFT JOIN information_schema.INNODB_TRX b ON b.trx_id = w.BLOCKING_ENGINE_TRANSACTION_ID LIMIT {MAX_WAITS}"
        );
        let mut shown = Shown::default();
        for row in self.0.rows(sql.as_bytes()).await?.iter() {
            shown.take(server, row);
        }
        let account = podway_model::transaction_account();
        let sql = format!(
            "SELECT v.VARIABLE_VALUE FROM performance_schema.threads t \
             JOIN performance_schema.user_variables_by_thread v ON v.THREAD_ID = t.THREAD_ID AND v.VARIABLE_NAME = '{TELLS}' \
             WHERE t.PROCESSLIST_USER = '{}' AND v.VARIABLE_VALUE IS NOT NULL",
            account.user
        );
        let rows = self.0.rows(sql.as_bytes()).await?;
        shown.told = rows.iter().filter_map(|row| text(row, 0)).collect();
        Ok(shown)
    }

    /// Tells other proxies this from now on; nothing any more where there is no text.
    pub async fn tell(&mut self, told: Option<&str>) -> Result<(), Unseen> {
        let value = told.map_or_else(|| "NULL".to_owned(), |text| format!("'{text}'"));
        self.0.execute(format!("SET @{TELLS} = {value}").as_bytes()).await?;
        Ok(())
    }
}

impl Shown {
    fn take(&mut self, server: ServerId, row: &[Option<Vec<u8>>]) {
        let number = |at| text(row, at)?.parse::<u64>().ok();
        let thread = |at| number(at).and_then(|thread| u32::try_from(thread).ok());
        let (Some(waiter), Some(blocker), Some(which)) = (number(0), number(1), text(row, 4)) else { return };
        let part = |transaction| Part { server, transaction };
        self.threads.extend(thread(2).map(|thread| (part(waiter), thread)));
        self.threads.extend(thread(3).map(|thread| (part(blocker), thread)));
        if let Some(query) = row.get(5).cloned().flatten() {
            self.queries.insert(part(waiter), query);
        }
        self.waits.push(Wait { server, waiter, blocker, which });
    }
}

fn text(row: &[Option<Vec<u8>>], at: usize) -> Option<String> {
    String::from_utf8(row.get(at)?.clone()?).ok()
}

impl From<ProxyError> for Unseen {
    fn from(error: ProxyError) -> Unseen {
        match error {
            ProxyError::Server(refused) => Unseen::Refused(format!(
                "error {}: {}",
                refused.code,
                String::from_utf8_lossy(&refused.message)
            )),
            error => Unseen::Away(error),
        }
    }
}
