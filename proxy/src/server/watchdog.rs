//! The deadlines of sessions, kept by one task that looks at all of them now and then, so that no statement pays for a timer of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::session::{SessionHandle, Shared};

/// How often the sessions are looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often, while the proxy stops.
const STOP_INTERVAL: Duration = Duration::from_millis(10);
/// How long a statement that was told to end may take to do so.
const GRACE: Duration = Duration::from_secs(5);

/// Ends sessions that were idle too long and statements that ran too long, for ever.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        shared.evict_laggards();
        for handle in shared.registry.all() {
            handle.end_if_idle(false, shared.config.client.idle_deadline);
            let deadline = shared.config.client.statement_deadline;
            match handle.at_work_for() {
                Some(time) if time > deadline + GRACE => handle.end(),
                Some(time) if time > deadline => interrupt(&handle),
                _ => {}
            }
        }
    }
}

/// KILL QUERY on what runs for a session; its client reads the server's error 1317.
fn interrupt(handle: &SessionHandle) {
    for running in handle.condemn() {
        tracing::info!(session = handle.id, "a statement ran longer than client.statement_deadline");
        tokio::spawn(async move { running.endpoint.kill(&running.key, running.number, true).await.err() });
    }
}

/// Ends each session as soon as it is idle outside a transaction; at the deadline, whatever it is at. Returns how many that were.
pub(super) async fn end_sessions(shared: &Shared, give_up: Instant) -> usize {
    loop {
        let left: Vec<_> = shared
            .registry
            .all()
            .into_iter()
            .filter(|handle| !handle.end_if_idle(true, Duration::ZERO))
            .collect();
        if left.is_empty() && shared.registry.len() == 0 {
            return 0;
        }
        if Instant::now() >= give_up {
            left.iter().for_each(|handle| handle.end());
            return left.len();
        }
        tokio::time::sleep(STOP_INTERVAL).await;
    }
}
