//! The loop of the leader: looks whenever it is time, or somebody asks, and reports. It keeps only which tables it found sound, which the next leader finds out anew.

use std::sync::Arc;
use std::time::Duration;

use podway_topology_api::{Command, DriftCommand, ProposeError, Proposer, Refusal, Term};
use tokio::time::{Instant, timeout};

use super::picture::Sound;
use super::round::{round, told};
use crate::keeper::{Keeper, LocalStore, lead_each_term};
use crate::state::State;

/// Without news, the leader looks this often whether it is time.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// A new leader looks for the first time no later than this, however rarely it does afterwards.
const FIRST_WITHIN: Duration = Duration::from_secs(10);
/// A report that came too late, or a round that did not get through, is followed by another after this.
const ONCE_MORE: Duration = Duration::from_millis(400);

/// Compares the shards with the map as long as this node runs, whenever it leads.
pub async fn track(keeper: Arc<Keeper>) {
    lead_each_term(keeper, lead).await;
}

/// One term's work.
async fn lead(keeper: Arc<Keeper>, term: Term) {
    let proposer = Proposer::new(LocalStore(keeper.clone()), "the topology");
    let mut sound = Sound::new();
    let mut last = Instant::now();
    let mut is_first = true;
    let mut once_more: Option<Instant> = None;
    let mut news = keeper.raft.metrics();
    while keeper.leads(&news.borrow_and_update()) == Some(term) {
        let (every, wants) = keeper.machine.look(|state| (pace(state), state.wants_check()));
        let every = every.map(|every| if is_first { every.min(FIRST_WITHIN) } else { every });
        let is_due = every.is_some_and(|every| last.elapsed() >= every);
        let is_repeated = once_more.is_some_and(|at| at <= Instant::now());
        if is_repeated || once_more.is_none() && (wants || is_due) {
            is_first = false;
            last = Instant::now();
            let goes_on = look_and_report(&keeper, &proposer, &mut sound).await;
            once_more = goes_on.then(|| Instant::now() + ONCE_MORE);
        }
        let rest = once_more.map_or(LOOK_AGAIN, |at| at.saturating_duration_since(Instant::now()));
        // Each command that is applied is news: a request too.
        let _either = timeout(rest.min(LOOK_AGAIN), news.changed()).await;
    }
}

/// How often the shards are looked at without being asked; a cluster without keyspaces has nothing to look at.
fn pace(state: &State) -> Option<Duration> {
    let every = Duration::from_millis(state.check_every_ms());
    (!every.is_zero() && state.map().keyspaces().next().is_some()).then_some(every)
}

/// One round. Says whether another one is to follow at once.
async fn look_and_report(keeper: &Keeper, proposer: &Proposer<LocalStore>, sound: &mut Sound) -> bool {
    let round = round(keeper, sound).await;
    for what in &round.report.unread {
        tracing::info!(%what, "the shards of a server were not compared");
    }
    let lines = told(&round.report.findings);
    let command = Command::Drift(DriftCommand::Report(round.report));
    match proposer.propose(command).await {
        Ok(_) => {
            for (is_drift, what) in lines {
                match is_drift {
                    true => tracing::warn!(%what, "the servers differ from the map"),
                    false => tracing::info!(%what, "the servers and the map"),
                }
            }
            round.goes_on
        }
        Err(ProposeError::Refused(Refusal::Outdated { .. })) => true,
        Err(error) => {
            tracing::info!(%error, "what the shards look like could not be reported");
            false
        }
    }
}
