//! What MySQL itself would say of a statement that Podway refuses: a syntax error is the client's, not a feature that is missing.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use podway_model::Map;
use podway_router::{Plan, Route};
use xxhash_rust::xxh3::xxh3_64;

use super::core::{Session, Spot};
use crate::backend::Fit;
use crate::error::{ClientError, ErrorCode, ProxyError};

/// Longer statements are refused without asking.
const MAX_ASKED: usize = 1 << 20;

impl Session {
    /// The error for a statement that is refused: MySQL's own where it cannot be read, for which the home shard prepares it, without any
    /// effect; else the refusal.
    pub(super) async fn refusal(
        &mut self,
        sql: &[u8],
        map: &Arc<Map>,
        plan: &Plan,
        refused: ClientError,
    ) -> ProxyError {
        if refused.code != ErrorCode::NOT_SUPPORTED || sql.len() > MAX_ASKED {
            return refused.into();
        }
        match self.prepare_for_its_errors(sql, map, plan).await {
            Err(ProxyError::Server(error)) if error.code == ErrorCode::SYNTAX.number => {
                ProxyError::Server(error)
            }
            _ => refused.into(),
        }
    }

    async fn prepare_for_its_errors(
        &mut self,
        sql: &[u8],
        map: &Arc<Map>,
        plan: &Plan,
    ) -> Result<(), ProxyError> {
        let spot = self.spot(map, plan, Route::Any)?;
        self.prepare_at(&spot, sql).await
    }

    /// Has a shard prepare a statement, without any effect, for what MySQL says of it to this user.
    pub(super) async fn prepare_at(&mut self, spot: &Spot, sql: &[u8]) -> Result<(), ProxyError> {
        let fit = Fit { settings: self.state.settings.fingerprint(), schema: Some(&spot.current) };
        let mut connection = spot.pool.checkout(&self.key, fit).await?;
        connection.synchronise(&spot.current, &self.state.settings, None).await?;
        let key = xxh3_64(sql);
        let prepared = connection.prepare(key, Bytes::copy_from_slice(sql)).await;
        connection.close_statement(key).await?;
        connection.give_back(Instant::now());
        prepared.map(|_| ())
    }
}
