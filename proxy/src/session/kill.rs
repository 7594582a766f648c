//! KILL: another session's statement, or the session. The server itself decides whether the user may end what runs for another.

use podway_router::Scalar;

use super::core::Planned;
use super::core::{Flow, Session};
use super::show::literal_number;
use crate::error::{ClientError, ErrorCode, ProxyError};

impl Session {
    /// The session that a KILL statement names.
    pub(super) fn kill_target(&self, planned: &Planned<'_>, id: &Scalar) -> Result<u64, ProxyError> {
        match literal_number(planned, id) {
            Some(id) => Ok(id),
            None => Err(ClientError::not_supported("KILL of an id that is not a number").into()),
        }
    }

    /// Ends a session's statement or the session.
    pub(super) async fn kill(&mut self, id: u64, query_only: bool) -> Result<Flow, ProxyError> {
        let unknown = || ClientError::new(ErrorCode::NO_SUCH_THREAD, format!("Unknown thread id: {id}"));
        let found = u32::try_from(id).ok().and_then(|id| self.shared.registry.get(id));
        let target = found.filter(|target| !target.is_ending()).ok_or_else(unknown)?;
        if target.id == self.handle.id {
            let interrupted = ClientError::new(ErrorCode::INTERRUPTED, "Query execution was interrupted");
            if query_only {
                return Err(interrupted.into());
            }
            let _ = self.failed(interrupted.into()).await;
            return Ok(Flow::Close);
        }
        let is_own = target.account().as_ref() == Some(&self.account.name);
        if !is_own && !self.has_privilege(&["CONNECTION_ADMIN", "SUPER"]).await? {
            let denied = format!("You are not owner of thread {id}");
            return Err(ClientError::new(ErrorCode::KILL_DENIED, denied).into());
        }
        for running in target.condemn() {
            let ended = running.endpoint.kill(&self.key_for(&running.key), running.number, query_only).await;
            // The statement may have ended by itself a moment before: then there is nothing left to end.
            match ended {
                Err(ProxyError::Server(refused)) if refused.code != ErrorCode::NO_SUCH_THREAD.number => {
                    return Err(ProxyError::Server(refused));
                }
                Err(error @ ProxyError::Client(_)) => return Err(error),
                _ => {}
            }
        }
        if !query_only {
            target.end();
        }
        self.reply_ok().await?;
        Ok(Flow::Next)
    }

    /// Under whose account another's thread is ended: the killer's own, so that the server checks it.
    fn key_for(&self, running: &crate::backend::PoolKey) -> crate::backend::PoolKey {
        if running.account() == self.key.account() { running.clone() } else { self.key.clone() }
    }
}
