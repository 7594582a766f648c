//! Letting clients in: at most so many, of whom at most so many may be logging in, each within a deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::BytesMut;
use podway_wire::{CapabilityFlags, write_packet};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::tls::Tls;
use crate::client::ClientStream;
use crate::error::{ErrorCode, error_packet};
use crate::session::{Arrival, LoginError, SessionHandle, Shared, log_in};

/// How long to wait when the system has no socket left for us.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(50);

/// Accepts clients until aborted.
pub(super) async fn accept_for_ever(listener: TcpListener, tls: Arc<Tls>, shared: Arc<Shared>) {
    let logins = Arc::new(Semaphore::new(shared.config.client.max_unauthenticated));
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a client could not be accepted");
                tokio::time::sleep(OUT_OF_SOCKETS).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let is_full = shared.registry.len() >= shared.config.client.max_sessions;
        let Some(permit) = logins.clone().try_acquire_owned().ok().filter(|_| !is_full) else {
            turn_away(&stream);
            continue;
        };
        let handle = Arc::new(SessionHandle::new(shared.next_session_id(), peer_text(peer)));
        shared.registry.insert(handle.clone());
        shared.metrics.sessions.fetch_add(1, Relaxed);
        let leave = Leave { shared: shared.clone(), id: handle.id };
        let client = ClientStream::new(stream, shared.config.client.write_deadline);
        let arrival = Arrival { client, peer, handle: handle.clone(), tls: tls.acceptor() };
        let shared = shared.clone();
        let task = tokio::spawn(async move {
            let _leave = leave;
            let login =
                Box::pin(timeout(shared.config.client.login_deadline, log_in(arrival, &shared))).await;
            drop(permit);
            match login {
                Ok(Ok(session)) => Box::pin(session.run()).await,
                Ok(Err(LoginError::Refused(refused))) => {
                    tracing::debug!(%peer, code = refused.code, "a login was refused")
                }
                Ok(Err(LoginError::Gone(error))) => {
                    tracing::debug!(%peer, %error, "a client left during its login")
                }
                Err(_) => tracing::debug!(%peer, "a login took longer than client.login_deadline"),
            }
        });
        handle.set_task(task.abort_handle());
    }
}

fn peer_text(peer: SocketAddr) -> String {
    SocketAddr::new(peer.ip().to_canonical(), peer.port()).to_string()
}

/// Answers error 1040 in the place of the greeting, without waiting for anything.
fn turn_away(stream: &TcpStream) {
    let mut payload = Vec::new();
    error_packet(ErrorCode::TOO_MANY_CONNECTIONS, "Too many connections")
        .encode(CapabilityFlags::empty(), &mut payload);
    let mut packet = BytesMut::new();
    write_packet(&mut packet, &mut 0, &payload);
    let _ = stream.try_write(&packet);
}

/// Takes a session off the books however it ends.
struct Leave {
    shared: Arc<Shared>,
    id: u32,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.shared.registry.remove(self.id);
        self.shared.metrics.sessions.fetch_sub(1, Relaxed);
    }
}
