//! The loop of the leader: looks at the moves that go on, does what comes next for each, and reports it. It keeps nothing: whatever stops it, the next leader
//! finds in the record what is left to do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::RaftMetrics;
use podway_model::Revision;
use podway_topology_api::{
    Beat, Command, Done, Incarnation, Member, MoveStep, NodeId, Operation, OperationCommand, OperationId,
    OperationKind, OperationState, ProposeError, Proposer, ProxyCommand, Report, RetiredReport, ShardCommand,
    ShardMove, Term,
};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::error::MoveError;
use super::leftovers::Leftovers;
use super::plan::{Facts, Next, Work, left_ms, next};
use super::sessions::Sessions;
use super::work::{Worker, drop_retired, shut_out_everywhere};
use crate::keeper::{Keeper, LocalStore, lead_each_term};
use crate::move_probe::{Moment, Moves};
use crate::state::State;

/// Without news, moves are looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// A step that did not succeed is tried again after this.
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// Waiting that lasts longer is worth a line in the record.
const PATIENCE: Duration = Duration::from_secs(1);
/// Work while nothing is frozen ends within this, or begins again.
const WORK_WITHIN: Duration = Duration::from_secs(60);

/// Carries out moves as long as this node runs, whenever it leads.
pub async fn drive(keeper: Arc<Keeper>, moves: Moves) {
    lead_each_term(keeper, |keeper, term| Driver::new(keeper, moves.clone(), term).lead()).await;
}

/// One term's work.
struct Driver {
    keeper: Arc<Keeper>,
    moves: Moves,
    term: Term,
    proposer: Proposer<LocalStore>,
    sessions: Sessions,
    troubles: HashMap<OperationId, Trouble>,
    leftovers: Leftovers,
    /// Nobody is shut out for numbers before.
    shut_out_rests_until: Instant,
}

/// What does not go on with a move.
struct Trouble {
    since: Instant,
    /// What was reported last: the same is not reported twice.
    told: Option<String>,
    /// Not to be tried before.
    rests_until: Instant,
}

impl Driver {
    fn new(keeper: Arc<Keeper>, moves: Moves, term: Term) -> Driver {
        let proposer = Proposer::new(LocalStore(keeper.clone()), "the topology");
        let sessions = Sessions::new(keeper.clone(), term);
        let (troubles, leftovers) = (HashMap::new(), Leftovers::default());
        let shut_out_rests_until = Instant::now();
        Driver { keeper, moves, term, proposer, sessions, troubles, leftovers, shut_out_rests_until }
    }

    async fn lead(mut self) {
        let mut news = self.keeper.raft.metrics();
        while self.keeper.leads(&news.borrow_and_update()) == Some(self.term) {
            let open = self.keeper.machine.look(State::moves);
            self.troubles.retain(|id, _| open.iter().any(|operation| operation.id == *id));
            for operation in &open {
                let rests = self.troubles.get(&operation.id).map(|trouble| trouble.rests_until);
                if rests.is_none_or(|until| until <= Instant::now()) {
                    self.advance(operation, &open).await;
                }
            }
            self.shut_out_in_the_way().await;
            if open.is_empty() {
                self.drop_what_was_left().await;
                self.sessions.close();
            }
            // Each command that is applied is news, this driver's own reports too.
            let _either = timeout(LOOK_AGAIN, news.changed()).await;
        }
    }

    /// Does what comes next for one move.
    async fn advance(&mut self, operation: &Operation, open: &[Operation]) {
        let OperationKind::MoveShard(one) = &operation.kind else { return };
        let facts = self.facts(operation, one, open);
        let (id, term) = (operation.id, self.term);
        match next(operation, &facts) {
            Next::Nothing | Next::WaitForOther => {}
            Next::Take => self.tell(OperationCommand::Take { id, term }).await,
            Next::WaitForDrained(proxies) if !self.moves.has_acknowledgement => {
                self.acknowledge_for(one, &proxies).await;
            }
            Next::WaitForDrained(proxies) => {
                self.keeper.hurry_beats();
                let names: Vec<String> = proxies.iter().map(ToString::to_string).collect();
                let reason = format!("still to drain: {}", names.join(", "));
                self.wait(operation, one.step, &reason).await;
            }
            Next::GiveUp => {
                let last = operation.trouble.as_deref().map(|trouble| format!("; {trouble}"));
                let reason = format!(
                    "the shard was frozen for {} ms, the most that freeze.limit allows: the move is cancelled{}",
                    facts.freeze_limit_ms,
                    last.unwrap_or_default()
                );
                self.give_up(operation, one.step, reason).await;
            }
            Next::Do(work) => self.do_and_report(operation, one, &facts, work).await,
        }
    }

    fn facts(&self, operation: &Operation, one: &ShardMove, open: &[Operation]) -> Facts {
        let holds = |other: &&Operation| match &other.kind {
            OperationKind::MoveShard(other) => other.freeze.is_some(),
            _ => false,
        };
        let is_road_taken = open.iter().filter(|other| other.id != operation.id).any(|other| holds(&other));
        let now = self.keeper.stamp();
        self.keeper.machine.look(|state| Facts {
            term: self.term,
            now,
            freeze_limit_ms: state.freeze_limit_ms(),
            is_road_taken,
            undrained: one.freeze.map(|freeze| state.undrained(freeze)).unwrap_or_default(),
            ended: state.ended_proxies(),
            late: one.freeze.map(|freeze| state.late_proxies(freeze)).unwrap_or_default(),
        })
    }

    /// What [`Moves::has_acknowledgement`] takes away: says for proxies what they have not said.
    async fn acknowledge_for(&self, one: &ShardMove, proxies: &[Incarnation]) {
        let drained: Vec<_> = one.freeze.into_iter().collect();
        let beat = |incarnation: &Incarnation| Beat {
            incarnation: *incarnation,
            applied: Revision(0),
            settled: Revision(0),
            clock: podway_model::HybridTime::default(),
            clocks: Default::default(),
            drained: drained.clone(),
        };
        self.propose(Command::Proxy(ProxyCommand::Beats(proxies.iter().map(beat).collect()))).await;
    }

    /// Ends what proxies without a lease have on servers, where somebody waits for numbers that they may insert yet.
    async fn shut_out_in_the_way(&mut self) {
        let proxies = self.keeper.machine.look(State::in_the_way);
        if proxies.is_empty() || !self.moves.has_shut_out || Instant::now() < self.shut_out_rests_until {
            return;
        }
        let (keeper, term) = (self.keeper.clone(), self.term);
        let ended = tokio::select! {
            ended = timeout(WORK_WITHIN, shut_out_everywhere(&keeper, &mut self.sessions, &proxies)) => ended,
            () = led_no_more(&keeper, term) => return,
        };
        if let Ok(Ok(())) = ended {
            for incarnation in proxies {
                self.propose(Command::Proxy(ProxyCommand::ShutOut { incarnation })).await;
            }
            return;
        }
        let reason = match ended {
            Ok(Err(error)) => error.to_string(),
            _ => format!("not done within {WORK_WITHIN:?}"),
        };
        tracing::warn!(reason, "a proxy without a lease keeps numbers from others, and is not shut out yet");
        self.shut_out_rests_until = Instant::now() + TRY_AGAIN;
    }

    /// Drops one of the schemas that shards left, if the time of one has come.
    async fn drop_what_was_left(&mut self) {
        let now = self.keeper.stamp();
        let due = self.keeper.machine.look(|state| state.due_retired(now));
        let Some(one) = self.leftovers.next(due, Instant::now()) else { return };
        let (keeper, term) = (self.keeper.clone(), self.term);
        let dropped = tokio::select! {
            dropped = timeout(WORK_WITHIN, drop_retired(&keeper, &mut self.sessions, &one)) => dropped,
            () = led_no_more(&keeper, term) => return,
        };
        let report = match dropped {
            Ok(Ok(())) => RetiredReport::Dropped,
            Ok(Err(error)) => RetiredReport::Stays { reason: error.to_string().into() },
            Err(_) => RetiredReport::Stays { reason: format!("not dropped within {WORK_WITHIN:?}").into() },
        };
        if let RetiredReport::Stays { reason } = &report {
            self.leftovers.rest(&one, Instant::now());
            if one.trouble.as_ref() == Some(reason) {
                return;
            }
            tracing::warn!(server = %one.server, schema = %one.schema, %reason, "a retired schema is not dropped");
        }
        let (server, schema, since) = (one.server, one.schema.as_str().into(), one.since);
        self.propose(Command::Shard(ShardCommand::ReportRetired { server, schema, since, report })).await;
    }

    async fn do_and_report(&mut self, operation: &Operation, one: &ShardMove, facts: &Facts, work: Work) {
        let is_undone = matches!(work, Work::Undo { .. });
        let shut_out = match &work {
            Work::ShutOut(proxies) | Work::Flip(proxies) => proxies.clone(),
            _ => Vec::new(),
        };
        let (id, term, step, probe) = (operation.id, self.term, one.step, self.moves.probe.clone());
        let (keeper, sessions, moves) = (&*self.keeper, &mut self.sessions, &self.moves);
        let mut worker = Worker { keeper, sessions, operation: id, one, moves };
        let worked = async {
            if is_undone {
                return worker.work(&work).await;
            }
            probe.see(step, Moment::Before).await;
            worker.work(&work).await?;
            probe.see(step, Moment::Done).await;
            Ok(())
        };
        let limit = left_ms(one, facts);
        let within = limit.map_or(WORK_WITHIN, Duration::from_millis);
        let worked = tokio::select! {
            worked = timeout(within, worked) => worked,
            // What it has open on servers ends with it.
            () = overtaken(&self.keeper, operation, term) => return,
        };
        let worked = match worked {
            Ok(worked) => worked,
            // The freeze is over, which is seen next; why it took so long stands in the record.
            Err(_) if limit.is_some() => return,
            Err(_) => Err(MoveError::Blocked(format!("not done within {WORK_WITHIN:?}"))),
        };
        match worked {
            Ok(()) => {
                for incarnation in shut_out {
                    self.propose(Command::Proxy(ProxyCommand::ShutOut { incarnation })).await;
                }
                let report = if is_undone { Report::Undone } else { Report::StepDone(step) };
                self.troubles.remove(&id);
                self.tell(OperationCommand::Report { id, term, report }).await;
                if !is_undone {
                    probe.see(step, Moment::Reported).await;
                }
            }
            Err(error) if error.may_pass() || is_undone || !step.is_before_flip() => {
                self.fail(operation, step, error.to_string()).await;
            }
            Err(error) => self.give_up(operation, step, error.to_string()).await,
        }
    }

    /// Waits, and says for what if it takes long.
    async fn wait(&mut self, operation: &Operation, step: MoveStep, reason: &str) {
        let now = Instant::now();
        let new = || Trouble { since: now, told: None, rests_until: now };
        let trouble = self.troubles.entry(operation.id).or_insert_with(new);
        if trouble.since.elapsed() >= PATIENCE {
            self.report_failure(operation.id, step, reason.to_owned()).await;
        }
    }

    /// A try was in vain.
    async fn fail(&mut self, operation: &Operation, step: MoveStep, reason: String) {
        let now = Instant::now();
        tracing::warn!(operation = %operation.id, %step, reason, "a move does not go on");
        let new = || Trouble { since: now, told: None, rests_until: now };
        self.troubles.entry(operation.id).or_insert_with(new).rests_until = now + TRY_AGAIN;
        self.report_failure(operation.id, step, reason).await;
    }

    async fn report_failure(&mut self, id: OperationId, step: MoveStep, reason: String) {
        let Some(trouble) = self.troubles.get_mut(&id) else { return };
        if trouble.told.as_ref() == Some(&reason) {
            return;
        }
        trouble.told = Some(reason.clone());
        let report = Report::StepFailed { step, reason: reason.into() };
        self.tell(OperationCommand::Report { id, term: self.term, report }).await;
    }

    /// It cannot go on: says why, and cancels. What is to be undone comes next.
    async fn give_up(&mut self, operation: &Operation, step: MoveStep, reason: String) {
        tracing::warn!(operation = %operation.id, %step, reason, "a move is cancelled");
        let (id, term) = (operation.id, self.term);
        let report = Report::StepFailed { step, reason: reason.into() };
        self.tell(OperationCommand::Report { id, term, report }).await;
        self.tell(OperationCommand::Cancel { id }).await;
    }

    async fn tell(&self, command: OperationCommand) {
        self.propose(Command::Operation(command)).await;
    }

    /// What is refused or not answered shows in the record, which is looked at next.
    async fn propose(&self, command: Command) {
        match self.proposer.propose(command).await {
            Ok(Done::Changed | Done::Unchanged | Done::Beats { .. }) => {}
            Ok(other) => tracing::error!(?other, "a report was answered with something else"),
            Err(ProposeError::Refused(refusal)) => tracing::info!(%refusal, "a move's report was refused"),
            Err(ProposeError::Store(error)) => tracing::info!(%error, "a move's report was not answered"),
        }
    }
}

/// Returns when this node does not lead in this term any more.
async fn led_no_more(keeper: &Keeper, term: Term) {
    let mut news: watch::Receiver<RaftMetrics<NodeId, Member>> = keeper.raft.metrics();
    let _ended = news.wait_for(|news| keeper.leads(news) != Some(term)).await;
}

/// Returns when what is being done is to stop: the move was cancelled, or this node does not lead any more.
async fn overtaken(keeper: &Keeper, operation: &Operation, term: Term) {
    let mut news: watch::Receiver<RaftMetrics<NodeId, Member>> = keeper.raft.metrics();
    let was_undoing = operation.state == OperationState::Undoing;
    loop {
        let leads = keeper.leads(&news.borrow_and_update()) == Some(term);
        let now = keeper.machine.look(State::moves).into_iter().find(|known| known.id == operation.id);
        let goes_on = now.is_some_and(|now| (now.state == OperationState::Undoing) == was_undoing);
        if !leads || !goes_on {
            return;
        }
        if news.changed().await.is_err() {
            return;
        }
    }
}
