//! Servers made ready for transactions over several of them: the schema `_podway`, the account under which proxies keep side connections, and the procedures that every user may call, and
//! only a proxy can. Run again it changes nothing. What the procedures do stands in `procedures`.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{AccountName, ClusterSecret, transaction_account, transaction_token};

use super::calls::lacking_calls;
use super::compare::read_traits;
use super::error::ProvisionError;
use super::literal::{account_literal, text_literal};
use super::procedures::{
    MetaTable, PADS, PASSWORD, PRIVILEGES, PROCEDURES, Procedure, SETTINGS, TABLES, WATCHED, is_later, pads,
};

/// Whoever prepares a server keeps others from it with this; they wait so many seconds.
const LOCK: &str = "'podway.transactions', 20";

/// What a server can do for transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionsReady {
    /// It takes part in transactions over several servers.
    Ready,
    /// It serves transactions of its own alone, and nothing was made there: why.
    Unfit(String),
}

/// Makes a server ready, as far as it is not. `conn` is its administrator's.
pub async fn ensure_transactions(
    conn: &mut Conn,
    secret: &ClusterSecret,
    server_uuid: &str,
) -> Result<TransactionsReady, ProvisionError> {
    let traits = read_traits(conn).await?;
    if traits.facts.uuid != server_uuid {
        let (known, found) = (server_uuid.to_owned(), traits.facts.uuid);
        return Err(ProvisionError::OtherServer { known, found });
    }
    if let Some(reason) = traits.unfit().or_else(|| traits.unfit_for_transactions()) {
        return Ok(TransactionsReady::Unfit(reason));
    }
    let kept = Kept::begin(conn).await?;
    let done = Preparation { conn, secret, server_uuid }.run().await;
    // A session that is broken need not be put right.
    let ended = kept.end(conn).await;
    done.and(ended).map(|()| TransactionsReady::Ready)
}

/// A session's own settings while others count, and the lock.
struct Kept(Vec<(&'static str, String)>);

impl Kept {
    async fn begin(conn: &mut Conn) -> Result<Kept, ProvisionError> {
        let doing = || ProvisionError::doing("preparing a session");
        let mut kept = Vec::new();
        for (name, value) in SETTINGS {
            let sql = format!("SELECT CAST(@@SESSION.{name} AS CHAR)");
            let own: Option<String> = conn.query_first(sql).await.map_err(doing())?;
            kept.push((name, own.unwrap_or_default()));
            run(conn, &set(name, value), "preparing a session").await?;
        }
        let got: Option<Option<u8>> =
            conn.query_first(format!("SELECT GET_LOCK({LOCK})")).await.map_err(doing())?;
        let kept = Kept(kept);
        if got.flatten() != Some(1) {
            kept.restore(conn).await?;
            return Err(ProvisionError::Unfit("somebody else is preparing it for transactions".to_owned()));
        }
        Ok(kept)
    }

    async fn end(self, conn: &mut Conn) -> Result<(), ProvisionError> {
        run(conn, "DO RELEASE_LOCK('podway.transactions')", "preparing a session").await?;
        self.restore(conn).await
    }

    async fn restore(&self, conn: &mut Conn) -> Result<(), ProvisionError> {
        for (name, value) in &self.0 {
            run(conn, &set(name, value), "preparing a session").await?;
        }
        Ok(())
    }
}

fn set(name: &str, value: &str) -> String {
    match value.parse::<u64>() {
        Ok(number) => format!("SET SESSION {name} = {number}"),
        Err(_) => format!("SET SESSION {name} = '{value}'"),
    }
}

/// One server on its way.
struct Preparation<'a> {
    conn: &'a mut Conn,
    secret: &'a ClusterSecret,
    server_uuid: &'a str,
}

impl Preparation<'_> {
    async fn run(&mut self) -> Result<(), ProvisionError> {
        self.tables().await?;
        self.value(PADS, &pads(&self.secret.transaction_key(self.server_uuid))).await?;
        self.account().await?;
        self.privileges().await?;
        self.procedures().await?;
        for sql in lacking_calls(self.conn, None).await? {
            self.change(&sql, "letting users call Podway's procedures").await?;
        }
        Ok(())
    }

    async fn tables(&mut self) -> Result<(), ProvisionError> {
        let sql = "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '_podway'";
        if self.rows::<u64>(sql).await? == [0] {
            self.change("CREATE DATABASE IF NOT EXISTS _podway", "making schema _podway").await?;
        }
        let sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '_podway'";
        let known: Vec<String> = self.rows(sql).await?;
        for MetaTable { name, columns, .. } in
            TABLES.iter().filter(|table| !known.iter().any(|known| known == table.name))
        {
            let sql = format!("CREATE TABLE IF NOT EXISTS _podway.{name} ({columns}) ENGINE = InnoDB");
            self.change(&sql, "making tables in _podway").await?;
        }
        Ok(())
    }

    /// Keeps a value among the secrets.
    async fn value(&mut self, name: &str, value: &[u8]) -> Result<(), ProvisionError> {
        let doing = || ProvisionError::doing("keeping a secret in _podway");
        let sql = "SELECT COUNT(*) FROM _podway.secret WHERE name = ? AND value = ?";
        let known: Option<u64> = self.conn.exec_first(sql, (name, value)).await.map_err(doing())?;
        if known == Some(1) {
            return Ok(());
        }
        let sql = "REPLACE INTO _podway.secret (name, value) VALUES (?, ?)";
        self.conn.exec_drop(sql, (name, value)).await.map_err(doing())
    }

    /// The account with its password. Whether that is the right one shows a value that only the password and the string that the server made of it give.
    async fn account(&mut self) -> Result<(), ProvisionError> {
        let name = transaction_account();
        let password = self.secret.backend_password(&name, self.server_uuid);
        let proof = |string: &str| transaction_token(&password, &[string]);
        let string = self.string(&name).await?;
        if let Some(string) = &string {
            let sql = format!(
                "SELECT COUNT(*) FROM _podway.secret WHERE name = '{PASSWORD}' AND value = '{}'",
                proof(string)
            );
            if self.rows::<u64>(&sql).await? == [1] {
                return Ok(());
            }
        }
        let verb = if string.is_some() { "ALTER" } else { "CREATE" };
        let sql = format!(
            "{verb} USER {} IDENTIFIED WITH caching_sha2_password BY {} REQUIRE NONE PASSWORD EXPIRE NEVER \
             PASSWORD HISTORY 0 PASSWORD REUSE INTERVAL 0 DAY ACCOUNT UNLOCK",
            account_literal(&name),
            text_literal(&password)
        );
        self.change(&sql, "making Podway's own account").await?;
        let string = self.string(&name).await?.unwrap_or_default();
        self.value(PASSWORD, proof(&string).as_bytes()).await
    }

    /// How the account stands: what the server keeps of its password, and what else lets it in.
    async fn string(&mut self, name: &AccountName) -> Result<Option<String>, ProvisionError> {
        let sql = "SELECT CONCAT_WS('/', plugin, HEX(authentication_string), account_locked, ssl_type, password_expired) \
                   FROM mysql.user WHERE user = ? AND host = ?";
        let doing = ProvisionError::doing("reading mysql.user");
        self.conn.exec_first(sql, (&*name.user, name.host.as_str())).await.map_err(doing)
    }

    async fn privileges(&mut self) -> Result<(), ProvisionError> {
        let grantee = "GRANTEE = '\\'_podway\\'@\\'%\\''";
        let sql = format!("SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE {grantee}");
        let has: BTreeSet<String> = self.rows(&sql).await?.into_iter().collect();
        let lacking: Vec<&str> = PRIVILEGES.into_iter().filter(|one| !has.contains(*one)).collect();
        let whom = account_literal(&transaction_account());
        let doing = "granting privileges to Podway's own account";
        if !lacking.is_empty() {
            self.change(&format!("GRANT {} ON *.* TO {whom}", lacking.join(", ")), doing).await?;
        }
        let sql = format!(
            "SELECT TABLE_NAME, PRIVILEGE_TYPE FROM information_schema.TABLE_PRIVILEGES \
             WHERE {grantee} AND TABLE_SCHEMA = '_podway'"
        );
        let has: BTreeSet<(String, String)> = self.rows(&sql).await?.into_iter().collect();
        for MetaTable { name, privileges, .. } in &TABLES {
            let has = |one: &str| has.contains(&((*name).to_owned(), one.to_owned()));
            if !privileges.iter().all(|one| has(one)) {
                let sql = format!("GRANT {} ON _podway.{name} TO {whom}", privileges.join(", "));
                self.change(&sql, doing).await?;
            }
        }
        self.watching(grantee, &whom).await;
        Ok(())
    }

    /// Lets the account see who waits for whom, and which proxies are there. Administrators of servers that others run may not grant this: it is not needed for safety.
    async fn watching(&mut self, grantee: &str, whom: &str) {
        let sql = format!(
            "SELECT TABLE_NAME FROM information_schema.TABLE_PRIVILEGES \
             WHERE {grantee} AND TABLE_SCHEMA = 'performance_schema' AND PRIVILEGE_TYPE = 'SELECT'"
        );
        let has: Vec<String> = self.rows(&sql).await.unwrap_or_default();
        for table in WATCHED.iter().filter(|table| !has.iter().any(|has| has == *table)) {
            let sql = format!("GRANT SELECT ON performance_schema.{table} TO {whom}");
            if let Err(error) =
                self.change(&sql, "letting Podway's own account read performance_schema").await
            {
                tracing::warn!(server = self.server_uuid, %error, "deadlocks over several servers will not be seen there, nor which proxies are gone");
                return;
            }
        }
    }

    async fn procedures(&mut self) -> Result<(), ProvisionError> {
        let sql = "SELECT ROUTINE_NAME, CONCAT(DEFINER, ' ', SECURITY_TYPE), ROUTINE_COMMENT \
                   FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '_podway' AND ROUTINE_TYPE = 'PROCEDURE'";
        let known: Vec<(String, String, String)> = self.rows(sql).await?;
        let known: BTreeMap<&str, (&str, &str)> = known
            .iter()
            .map(|(name, by, comment)| (name.as_str(), (by.as_str(), comment.as_str())))
            .collect();
        let definer = account_literal(&transaction_account());
        for procedure in &PROCEDURES {
            let Procedure { name, .. } = procedure;
            let as_it_should_be = |(by, comment): &&(&str, &str)| {
                *by == "_podway@% DEFINER" && (*comment == procedure.comment() || is_later(comment))
            };
            if known.get(name).as_ref().is_some_and(as_it_should_be) {
                continue;
            }
            if known.contains_key(name) {
                self.change(&format!("DROP PROCEDURE IF EXISTS _podway.{name}"), "replacing a procedure")
                    .await?;
            }
            self.change(&procedure.create(&definer), "making procedures in _podway").await?;
        }
        Ok(())
    }

    async fn rows<T: mysql_async::prelude::FromRow + Send + 'static>(
        &mut self,
        sql: &str,
    ) -> Result<Vec<T>, ProvisionError> {
        self.conn.query(sql).await.map_err(ProvisionError::doing("looking at schema _podway"))
    }

    async fn change(&mut self, sql: &str, doing: &str) -> Result<(), ProvisionError> {
        run(self.conn, sql, doing).await
    }
}

async fn run(conn: &mut Conn, sql: &str, doing: &str) -> Result<(), ProvisionError> {
    conn.query_drop(sql).await.map_err(ProvisionError::doing(doing))
}
