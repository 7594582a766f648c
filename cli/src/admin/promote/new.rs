//! The server that is to be the primary: whether it can be, whether it has everything that the old one acknowledged, and what makes it writable. Nothing is changed on it before it has
//! all of that.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use podway_model::{AccountName, ClusterSecret};

use super::super::print;
use super::old::doing;
use crate::provision::{
    AdminLogin, ProvisionError, ServerTraits, TransactionsReady, ensure_account, ensure_transactions,
    read_account, read_traits,
};

/// The promoted server, reached.
pub(super) struct New {
    conn: Conn,
    pub(super) traits: ServerTraits,
}

/// How it replicates, if it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replication {
    /// `@@server_uuid` of what it replicates from.
    pub(super) source: String,
    /// Whether it applies what it received.
    pub(super) applies: bool,
    /// What it has received, applied or not.
    pub(super) received: String,
}

impl New {
    /// Logs in to it.
    pub(super) async fn reach(login: &AdminLogin) -> Result<New, ProvisionError> {
        let mut conn = login.connect().await?;
        let traits = read_traits(&mut conn).await?;
        Ok(New { conn, traits })
    }

    /// How it replicates; none: it is no replica.
    pub(super) async fn replication(&mut self) -> Result<Option<Replication>, ProvisionError> {
        let row: Option<Row> =
            self.conn.query_first("SHOW REPLICA STATUS").await.map_err(doing("asking how it replicates"))?;
        let Some(row) = row else { return Ok(None) };
        let text = |name: &str| row.get::<Option<String>, _>(name).flatten().unwrap_or_default();
        Ok(Some(Replication {
            source: text("Source_UUID"),
            applies: text("Replica_SQL_Running") == "Yes",
            received: text("Retrieved_Gtid_Set").split_whitespace().collect(),
        }))
    }

    /// The schemas of these that it does not have.
    pub(super) async fn missing_schemas(&mut self, wanted: &[String]) -> Result<Vec<String>, ProvisionError> {
        let known: Vec<String> = self
            .conn
            .query("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA")
            .await
            .map_err(doing("listing its schemas"))?;
        Ok(wanted.iter().filter(|schema| !known.contains(schema)).cloned().collect())
    }

    /// The accounts of these that it does not have.
    pub(super) async fn missing_accounts(
        &mut self,
        wanted: &[AccountName],
    ) -> Result<Vec<AccountName>, ProvisionError> {
        let mut missing = Vec::new();
        for name in wanted {
            match read_account(&mut self.conn, name).await {
                Ok(_) => {}
                Err(ProvisionError::NoAccount(_)) => missing.push(name.clone()),
                Err(error) => return Err(error),
            }
        }
        Ok(missing)
    }

    /// Waits until it has executed all of these, and says which of them it has not.
    pub(super) async fn catch_up(
        &mut self,
        executed: &str,
        within: Duration,
    ) -> Result<String, ProvisionError> {
        // MySQL takes 0 for ever.
        if within.is_zero() {
            return self.lacks(executed).await;
        }
        let sql = "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?)";
        let waited: Option<Option<i64>> = self
            .conn
            .exec_first(sql, (executed, within.as_secs_f64()))
            .await
            .map_err(doing("waiting for what the old primary has executed"))?;
        if waited == Some(Some(0)) {
            return Ok(String::new());
        }
        self.lacks(executed).await
    }

    /// Which of these it has not executed.
    pub(super) async fn lacks(&mut self, executed: &str) -> Result<String, ProvisionError> {
        let sql = "SELECT GTID_SUBTRACT(?, @@GLOBAL.gtid_executed)";
        self.gtids(sql, executed).await
    }

    /// What it has executed beyond these.
    pub(super) async fn has_besides(&mut self, executed: &str) -> Result<String, ProvisionError> {
        let sql = "SELECT GTID_SUBTRACT(@@GLOBAL.gtid_executed, ?)";
        self.gtids(sql, executed).await
    }

    async fn gtids(&mut self, sql: &str, executed: &str) -> Result<String, ProvisionError> {
        let left: Option<String> =
            self.conn.exec_first(sql, (executed,)).await.map_err(doing("comparing what was executed"))?;
        Ok(left.unwrap_or_default().split_whitespace().collect())
    }

    /// Ends its replication for good.
    pub(super) async fn stop_replication(&mut self) -> Result<(), ProvisionError> {
        for sql in ["STOP REPLICA", "RESET REPLICA ALL"] {
            self.conn.query_drop(sql).await.map_err(doing("ending its replication"))?;
        }
        Ok(())
    }

    /// Makes it take writes and clients, also after a restart.
    pub(super) async fn open(&mut self) -> Result<(), ProvisionError> {
        let sql = "SELECT @@GLOBAL.super_read_only, @@GLOBAL.read_only, @@GLOBAL.offline_mode";
        let row: Option<(bool, bool, bool)> =
            self.conn.query_first(sql).await.map_err(doing("asking whether it takes writes"))?;
        let (super_read_only, read_only, offline_mode) = row.unwrap_or((true, true, true));
        let closed =
            [("super_read_only", super_read_only), ("read_only", read_only), ("offline_mode", offline_mode)];
        for (name, _) in closed.into_iter().filter(|(_, is_set)| *is_set) {
            let sql = format!("SET PERSIST {name} = OFF");
            self.conn.query_drop(sql).await.map_err(doing("making it writable"))?;
        }
        Ok(())
    }

    /// Makes it ready for transactions over several servers, if it can be.
    pub(super) async fn prepare_transactions(
        &mut self,
        secret: &ClusterSecret,
    ) -> Result<(), ProvisionError> {
        let ready = ensure_transactions(&mut self.conn, secret, &self.traits.facts.uuid).await?;
        if let TransactionsReady::Unfit(why) = ready {
            print::note(&format!("it takes no part in transactions over several servers: {why}"));
        }
        Ok(())
    }

    /// Gives an account, beside the password that its user has there, the one that Podway derives for this server.
    pub(super) async fn bring(
        &mut self,
        name: &AccountName,
        backend_password: &str,
    ) -> Result<(), ProvisionError> {
        let account = read_account(&mut self.conn, name).await?;
        ensure_account(&mut self.conn, &account, &[], backend_password).await?;
        Ok(())
    }
}
