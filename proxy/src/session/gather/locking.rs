//! SELECT … FOR UPDATE and its kin over several shards: always on the connections of a transaction, since locks are held by one. Inside the client's they stay until it ends. On its own the
//! statement has a transaction of its own, as a write on several shards has, which ends before the client is told that the rows are all: so what it read on one server is locked until it has
//! read the others.
//!
//! Nothing is written by it: servers that joined for it alone are let go at COMMIT, and keep their locks until then.

use podway_model::Keyspace;
use podway_router::Gather;

use super::super::core::{Planned, Session};
use super::super::own_variables::ReadMode;
use super::Bound;
use crate::error::{ClientError, ProxyError};
use crate::txn::{Begin, Transaction};

impl Session {
    /// Refuses to read the latest rows where all is to be read from one snapshot of several servers: of what is not locked nothing would be certain.
    pub(super) fn check_locking(&self) -> Result<(), ProxyError> {
        let transaction = &self.state.transaction;
        let is_asked_for = match transaction.pending() {
            Some((begin, _)) => begin.atomic,
            None => transaction.server().is_none() && self.state.own.read == ReadMode::Atomic,
        };
        if !is_asked_for && !transaction.is_snapshot() {
            return Ok(());
        }
        let what = "a locking read over several shards where one snapshot of all is read (START TRANSACTION WITH CONSISTENT SNAPSHOT, or podway_read is 'atomic')";
        Err(ClientError::not_supported(what).into())
    }

    /// Runs a SELECT that locks what it reads.
    pub(super) async fn run_locking(
        &mut self,
        planned: &Planned<'_>,
        (keyspace, gather): (&Keyspace, &Gather),
        bound: Option<&Bound<'_>>,
    ) -> Result<(), ProxyError> {
        let before = self.before();
        let is_alone = !self.reads_on_its_own();
        if is_alone {
            self.state.transaction = Transaction::begin(Begin::default());
            self.place.in_own_transaction = true;
        }
        let may_merge = self.state.settings.get("sql_select_limit").is_none();
        let ran = match gather.merge.as_ref().filter(|_| may_merge) {
            Some(merge) => Box::pin(self.run_in_turn(planned, (keyspace, gather), merge, bound)).await,
            None => Box::pin(self.run_finished(planned, keyspace, gather, bound)).await,
        };
        let left = self.leave_own_transaction().await;
        match ran {
            Err(error @ (ProxyError::ShardMoved(_) | ProxyError::BackendUnusable { .. }))
                if !before.has_server() && !self.lost =>
            {
                // Its transaction begins anew, where its shards are then.
                if !is_alone {
                    self.roll_back_quietly().await?;
                }
                self.restore(before);
                Err(error)
            }
            Err(error @ (ProxyError::Server(_) | ProxyError::Client(_))) if is_alone => {
                // What was set for the next transaction is for the next one still.
                self.restore(before);
                Err(error)
            }
            ran => ran.and(left),
        }
    }

    /// Ends the transaction of a statement that is on its own. Nothing was written in it.
    pub(super) async fn leave_own_transaction(&mut self) -> Result<(), ProxyError> {
        match std::mem::take(&mut self.place.in_own_transaction) {
            true => self.roll_back_quietly().await,
            false => Ok(()),
        }
    }
}
