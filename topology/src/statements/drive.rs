//! The loop of the leader: looks at the statements that go on and has each carried out by a task of its own. It keeps nothing that matters: whatever stops it, the
//! next leader finds in the record what is left to do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use openraft::RaftMetrics;
use podway_topology_api::{
    Command, Member, NodeId, Operation, OperationCommand, OperationId, OperationKind, OperationState,
    ProposeError, Proposer, Report, ServerMessage, Target, Term,
};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::error::TryError;
use super::plan::{Facts, Next, followed, next};
use super::work::{Attempt, Reporter};
use crate::keeper::{Keeper, LocalStore, lead_each_term};
use crate::state::State;
use crate::statement_seam::Statements;

/// Without news, operations are looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// What was in vain is tried again after this.
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// Operations that are carried out at a time; more wait for these.
const OPERATIONS_AT_ONCE: usize = 32;
/// Targets of one operation on which a statement runs at a time.
const TARGETS_AT_ONCE: usize = 16;

/// Carries out statements as long as this node runs, whenever it leads.
pub async fn drive(keeper: Arc<Keeper>, seams: Statements) {
    lead_each_term(keeper, |keeper, term| lead(keeper, seams.clone(), term)).await;
}

/// One term's work. Whatever is under way ends with it.
async fn lead(keeper: Arc<Keeper>, seams: Statements, term: Term) {
    let mut news = keeper.raft.metrics();
    let mut at_work: BTreeSet<OperationId> = BTreeSet::new();
    let mut tasks = JoinSet::new();
    while keeper.leads(&news.borrow_and_update()) == Some(term) {
        for operation in keeper.machine.look(State::statements) {
            if at_work.len() < OPERATIONS_AT_ONCE && at_work.insert(operation.id) {
                let runner = Runner::new(keeper.clone(), seams.clone(), term, operation.id);
                let id = operation.id;
                tasks.spawn(async move {
                    Arc::new(runner).run().await;
                    id
                });
            }
        }
        tokio::select! {
            changed = news.changed() => if changed.is_err() { return },
            Some(ended) = tasks.join_next() => match ended {
                Ok(id) => drop(at_work.remove(&id)),
                // Which one it was is not said: those that go on are looked at anew.
                Err(error) => {
                    tracing::error!(%error, "a statement's task ended badly");
                    tasks.abort_all();
                    while tasks.join_next().await.is_some() {}
                    at_work.clear();
                }
            },
        }
    }
}

/// What is done on targets.
#[derive(Clone, Copy)]
enum Work {
    Run,
    Stop,
}

/// Carries out one operation.
struct Runner {
    keeper: Arc<Keeper>,
    seams: Statements,
    term: Term,
    id: OperationId,
    proposer: Proposer<LocalStore>,
}

impl Runner {
    fn new(keeper: Arc<Keeper>, seams: Statements, term: Term, id: OperationId) -> Runner {
        let proposer = Proposer::new(LocalStore(keeper.clone()), "the topology");
        Runner { keeper, seams, term, id, proposer }
    }

    /// Until the operation has ended.
    async fn run(self: Arc<Self>) {
        let mut news = self.keeper.raft.metrics();
        loop {
            news.mark_unchanged();
            let known = self.keeper.machine.look(|state| {
                let operation = state.operation(self.id).filter(|operation| operation.state.is_open())?;
                Some((operation.clone(), state.statement(self.id)?.clone()))
            });
            let Some((operation, statement)) = known else { return };
            let attempt = Attempt {
                keeper: self.keeper.clone(),
                operation: Arc::new(operation),
                statement: Arc::new(statement),
                term: self.term,
                seams: self.seams.clone(),
            };
            if !self.step(&attempt).await {
                // Nothing to do until something is heard.
                let _either = timeout(LOOK_AGAIN, news.changed()).await;
            }
        }
    }

    /// Does what comes next; `false`: there is nothing to do now.
    async fn step(self: &Arc<Self>, attempt: &Attempt) -> bool {
        let operation = &*attempt.operation;
        match next(operation, &self.facts(operation)) {
            Next::Nothing | Next::Rest | Next::WaitFor(_) => return false,
            Next::Take => {
                self.propose(OperationCommand::Take { id: self.id, term: self.term }).await;
            }
            Next::Run(targets) => self.each(attempt, targets, Work::Run).await,
            Next::Stop(targets) => self.each(attempt, targets, Work::Stop).await,
            Next::Drop(targets) => {
                for target in &targets {
                    if let Err(error) = attempt.drop_made(*target).await {
                        return self.fail(*target, error.to_string()).await;
                    }
                }
                self.tell(Report::Undone).await;
            }
            Next::Hold => self.tell(Report::Held).await,
            Next::GiveWay(target) => {
                self.tell(Report::TargetRefused { target, error: in_use() }).await;
            }
            Next::Declare => {
                let OperationKind::Ddl(ddl) = &operation.kind else { return false };
                match attempt.declare(ddl).await {
                    Ok(report) => self.tell_declared(report).await,
                    Err(error) => return self.fail_first(operation, error.to_string()).await,
                }
            }
            Next::Follow => match attempt.follows().await {
                Ok(report) => self.tell(report).await,
                Err(error) => return self.fail_first(operation, error.to_string()).await,
            },
            Next::TakenOver => self.tell(Report::TakenOver).await,
            Next::Undone => self.tell(Report::Undone).await,
        }
        true
    }

    fn facts(&self, operation: &Operation) -> Facts {
        let (held, declared) = match &operation.kind {
            OperationKind::Ddl(ddl) => (ddl.held, ddl.declared),
            _ => (None, None),
        };
        let followed = followed(operation);
        let waited_ms = self.keeper.stamp().0.saturating_sub(operation.changed.0);
        self.keeper.machine.look(|state| Facts {
            term: self.term,
            unheld: held.map(|revision| state.unsettled(revision)).unwrap_or_default(),
            is_hold_overdue: waited_ms > state.names_held_ms(),
            unsettled: declared.map(|revision| state.unsettled(revision)).unwrap_or_default(),
            behind: followed.map(|revision| state.behind(revision)).unwrap_or_default(),
        })
    }

    /// Does something on several targets at once, and reports what was in vain.
    async fn each(self: &Arc<Self>, attempt: &Attempt, targets: Vec<Target>, work: Work) {
        let turns = Arc::new(Semaphore::new(TARGETS_AT_ONCE));
        let mut all = JoinSet::new();
        for target in targets {
            let (runner, attempt, turns) = (self.clone(), attempt.clone(), turns.clone());
            all.spawn(async move {
                let _turn = turns.acquire().await;
                let tried = match work {
                    Work::Run => attempt.run(target, &*runner).await,
                    Work::Stop => attempt.stop(target, &*runner).await,
                };
                runner.tell_of(target, tried).await
            });
        }
        let mut was_in_vain = false;
        let worked = async {
            while let Some(ended) = all.join_next().await {
                was_in_vain |= !ended.unwrap_or(false);
            }
        };
        tokio::select! {
            () = worked => {}
            // What it has open on servers ends with it.
            () = self.overtaken(&attempt.operation) => return,
        }
        if was_in_vain {
            sleep(TRY_AGAIN).await;
        }
    }

    /// Reports a try that came to nothing; `false`: it is to be tried again.
    async fn tell_of(&self, target: Target, tried: Result<(), TryError>) -> bool {
        match tried {
            Ok(()) => true,
            Err(TryError::Refused(error)) => {
                self.tell(Report::TargetRefused { target, error }).await;
                true
            }
            Err(TryError::Later(reason)) => {
                tracing::warn!(operation = %self.id, %target, reason, "a statement does not go on");
                self.tell(Report::TargetFailed { target, reason: reason.into() }).await;
                false
            }
        }
    }

    async fn fail_first(&self, operation: &Operation, reason: String) -> bool {
        match operation.targets.first() {
            Some((target, _)) => self.fail(*target, reason).await,
            None => false,
        }
    }

    /// Says what stands in the way, and rests.
    async fn fail(&self, target: Target, reason: String) -> bool {
        tracing::warn!(operation = %self.id, %target, reason, "a statement does not go on");
        sleep(TRY_AGAIN).await;
        false
    }

    /// What the topology does not take as a table's declaration is what the client is told.
    async fn tell_declared(&self, report: Report) {
        let is_declared = matches!(report, Report::Declared(_));
        let id = self.id;
        let told = self.proposer.propose(report_command(id, self.term, report)).await;
        if let Err(ProposeError::Refused(refusal)) = told
            && is_declared
            && let TryError::Refused(said) = TryError::unsupported(refusal.to_string())
        {
            self.tell(Report::NotDeclared(said)).await;
        }
    }

    async fn tell(&self, report: Report) {
        // What is refused or not answered shows in the record, which is looked at next.
        let _seen_next = self.report(report).await;
    }

    async fn propose(&self, command: OperationCommand) {
        if let Err(error) = self.proposer.propose(Command::Operation(command)).await {
            tracing::info!(operation = %self.id, %error, "a statement's record is not changed");
        }
    }

    /// Returns when what is being done is to stop: the operation is given up, has ended, or this node does not lead any more.
    async fn overtaken(&self, operation: &Operation) {
        let mut news: watch::Receiver<RaftMetrics<NodeId, Member>> = self.keeper.raft.metrics();
        let was_undoing = operation.state == OperationState::Undoing;
        loop {
            let leads = self.keeper.leads(&news.borrow_and_update()) == Some(self.term);
            let state = self.keeper.machine.look(|state| state.operation(self.id).map(|known| known.state));
            let goes_on = state
                .is_some_and(|state| state.is_open() && (state == OperationState::Undoing) == was_undoing);
            if !leads || !goes_on || news.changed().await.is_err() {
                return;
            }
        }
    }
}

/// What is said where statements from before keep names from being held.
fn in_use() -> ServerMessage {
    let text = "Lock wait timeout exceeded; transactions from before this statement are open still; nothing was done, try restarting it";
    ServerMessage { code: 1205, state: "HY000".into(), text: text.into() }
}

fn report_command(id: OperationId, term: Term, report: Report) -> Command {
    Command::Operation(OperationCommand::Report { id, term, report })
}

impl Reporter for Runner {
    async fn report(&self, report: Report) -> Result<(), TryError> {
        let told = self.proposer.propose(report_command(self.id, self.term, report)).await;
        told.map(drop).map_err(|error| TryError::Later(error.to_string()))
    }
}
