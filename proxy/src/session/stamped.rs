//! Stamps for transactions that wrote on one server alone, where `podway_stamp_single_shard` asks for them: the transaction writes its own mark before it is committed, so the two are
//! there together or not at all. The stamp is chosen when all of its locks are held, above every one that is committed on its servers: so it follows whatever the transaction read or
//! overwrote.

use podway_model::{HybridTime, ServerId, parts_text};

use super::core::Session;
use super::several::{UNPREPARED, again, unstamped};
use crate::backend::BackendConnection;
use crate::clock::NoStamp;
use crate::error::{ClientError, ProxyError};
use crate::txn::Transaction;

/// The cluster's setting that counts where a session has set nothing.
const SETTING: &str = "stamp.single_shard";

impl Session {
    /// Whether transactions that wrote on one server are stamped where the session has set nothing.
    pub(super) fn stamps_by_default(&self) -> bool {
        self.shared.map.load().setting(SETTING) == Some("1")
    }

    /// The only server that a transaction wrote on, if its commit is to be stamped all the same.
    pub(super) fn stamped_alone(&self, transaction: &Transaction) -> Option<ServerId> {
        let server = transaction.wrote_alone()?;
        self.state.own.stamps_single_shard.unwrap_or_else(|| self.stamps_by_default()).then_some(server)
    }

    /// Before the commit of a transaction that wrote on this connection's server alone: its mark, if it is to have one. The stamp.
    ///
    /// # Errors
    /// The transaction is open still, and is to be rolled back.
    pub(super) async fn mark_alone(
        &self,
        transaction: &Transaction,
        connection: &mut BackendConnection,
    ) -> Result<Option<HybridTime>, ProxyError> {
        let server = connection.endpoint().id();
        if self.stamped_alone(transaction) != Some(server) {
            return Ok(None);
        }
        let stamp = self.stamp_after(&transaction.servers()).await.map_err(unstamped)?;
        self.mark(connection, server, stamp).await.map(|()| Some(stamp))
    }

    /// A stamp after all that is committed on these servers.
    async fn stamp_after(&self, servers: &[ServerId]) -> Result<HybridTime, NoStamp> {
        let sides = self.sides(&servers.iter().copied().collect());
        let transactions = &self.shared.transactions;
        transactions.listen(&self.shared.map.load(), &sides).await;
        if sides.len() != servers.len() {
            return Err(NoStamp::Unheard);
        }
        transactions.hear(self.shared.config.client.commit_step, sides.into_iter()).await?;
        transactions.clock.stamp()
    }

    async fn mark(
        &self,
        connection: &mut BackendConnection,
        server: ServerId,
        stamp: HybridTime,
    ) -> Result<(), ProxyError> {
        let (gtrid, parts) = (self.shared.transactions.name().to_string(), parts_text(server, []));
        let (thread, ts) = (connection.thread().number.to_string(), stamp.0.to_string());
        let token = connection.endpoint().transaction_token(&["mark", &thread, &gtrid, &ts, &parts]);
        let sql = format!("CALL _podway.mark('{token}', '{gtrid}', {ts}, '{parts}')");
        let Err(error) = connection.execute(sql.as_bytes()).await else { return Ok(()) };
        let ProxyError::Server(refused) = error else { return Err(error) };
        let message = String::from_utf8_lossy(&refused.message);
        Err(match UNPREPARED.contains(&refused.code) {
            true => {
                let what = format!(
                    "podway_stamp_single_shard on a MySQL server that is not prepared for it ({message})"
                );
                ClientError::not_supported(&what).into()
            }
            false => again(&format!("The transaction could not be stamped ({message})")),
        })
    }
}
