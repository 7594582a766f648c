//! Operations in progress: begun, taken by a leader, reported on, cancelled, ended. The record says what is left to do, and a leader of an older term
//! is not listened to. What a move does to the map stands in [`moves`](super::moves). Nothing is done on a server here.

use std::collections::BTreeMap;

use podway_model::{Change, FreezeId, Keyspace, Map, ServerId, ShardId};
use podway_topology_api::{
    ClientStatement, Done, LogTime, NewOperation, Operation, OperationCommand, OperationId, OperationKind,
    OperationState, Refusal, Report, ShardMove, TableEffect, Target, TargetState, Term, Thing, UserStatement,
};
use serde::{Deserialize, Serialize};

use super::keyspaces::{Holders, Shards, find_keyspace, find_shard};
use super::moves::{self, Around, wrong_state};
use super::names::{clipped, sentence, unknown};
use super::outcome::{Effect, Outcome};
use super::servers::Servers;
use super::statements::{self, check_statement};
use super::users;

/// How many operations can go on at once.
pub(super) const MAX_OPEN: usize = 256;
/// How many that ended are remembered.
pub(super) const ENDED_KEPT: usize = 100;
/// The operations that go on, and the last that ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Operations {
    /// The highest number that an operation ever had.
    last: u64,
    known: BTreeMap<OperationId, Record>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    operation: Operation,
    /// What is to be run on each target; forgotten when the operation ends.
    #[serde(default)]
    statement: Option<ClientStatement>,
    /// The same of a statement about users.
    #[serde(default)]
    users: Option<UserStatement>,
}

impl Operations {
    /// Does a command of operations.
    pub(super) fn execute(&mut self, command: &OperationCommand, around: &mut Around<'_>) -> Outcome {
        let effect = match command {
            OperationCommand::Begin(new) => self.begin(new, around),
            OperationCommand::Take { id, term } => self.take(*id, *term, around),
            OperationCommand::Report { id, term, report } => self.report(*id, *term, report, around),
            OperationCommand::Cancel { id } => self.cancel(*id, around),
            OperationCommand::Retry { id } => self.retry(*id, around),
            OperationCommand::GiveUp { id } => self.give_up(*id, around),
        }?;
        self.forget_oldest();
        Ok(effect)
    }

    /// The statement of an operation that goes on.
    pub(super) fn statement(&self, id: OperationId) -> Option<&ClientStatement> {
        self.known.get(&id)?.statement.as_ref()
    }

    /// The statement about users of an operation that goes on.
    pub(super) fn user_statement(&self, id: OperationId) -> Option<&UserStatement> {
        self.known.get(&id)?.users.as_ref()
    }

    /// The last operation that ever began.
    pub(super) fn last(&self) -> OperationId {
        OperationId(self.last)
    }

    /// The moves that go on, oldest first.
    pub(super) fn moves(&self) -> Vec<Operation> {
        self.open().filter(|operation| moving(operation).is_some()).cloned().collect()
    }

    /// The statements that go on, oldest first.
    pub(super) fn statements(&self) -> Vec<Operation> {
        self.open().filter(|operation| moving(operation).is_none()).cloned().collect()
    }

    /// One operation.
    pub(super) fn find(&self, id: OperationId) -> Option<&Operation> {
        Some(&self.known.get(&id)?.operation)
    }

    /// Ends an operation that the map could not follow. What the log says.
    pub(super) fn not_followed(&mut self, id: OperationId, reason: &str) -> Option<String> {
        let record = self.known.get_mut(&id)?;
        let effect = statements::not_followed(&mut record.operation, reason);
        self.forget_statement(id);
        effect.what
    }

    /// Ends an operation that changes nothing in the map. What the log says.
    pub(super) fn finish(&mut self, id: OperationId) -> Option<String> {
        let record = self.known.get_mut(&id)?;
        let effect = statements::finish(&mut record.operation);
        self.forget_statement(id);
        effect.what
    }

    pub(super) fn view(&self) -> Vec<Operation> {
        self.known.values().map(|record| record.operation.clone()).collect()
    }

    /// Refuses what must wait until nothing goes on in a keyspace.
    pub(super) fn check_keyspace(&self, keyspace: &Keyspace) -> Result<(), Refusal> {
        let name = keyspace.name.as_str();
        let of_it = |operation: &&Operation| match &operation.kind {
            OperationKind::Ddl(ddl) => &*ddl.keyspace == name,
            OperationKind::MoveShard(one) => &*one.keyspace == name,
            OperationKind::Users { .. } => false,
        };
        busy(self.open().find(of_it), Thing::Keyspace, name)
    }

    /// Refuses to change what is known of a table while a statement is about it.
    pub(super) fn check_table(&self, keyspace: &Keyspace, table: &str, map: &Map) -> Result<(), Refusal> {
        let effects = [TableEffect::Altered(table.into())];
        let is_about = |operation: &&Operation| match &operation.kind {
            OperationKind::Ddl(ddl) => {
                *ddl.keyspace == *keyspace.name.as_str()
                    && statements::share_a_table(&ddl.effects, &effects, map)
            }
            _ => false,
        };
        busy(self.open().find(is_about), Thing::Table, table)
    }

    /// Refuses if an operation needs a server as it is: for its removal any, for its promotion a move that was not flipped.
    pub(super) fn check_server(&self, server: ServerId, is_removed: bool, name: &str) -> Result<(), Refusal> {
        let needs_it = |operation: &&Operation| match &operation.kind {
            OperationKind::MoveShard(one) => {
                (one.from == server || one.to == server) && (is_removed || one.step.is_before_flip())
            }
            _ => is_removed && operation.targets.iter().any(|(target, _)| *target == Target::Server(server)),
        };
        busy(self.open().find(needs_it), Thing::Server, name)
    }

    /// Ends every move that goes on, where it is: its flip may have been lost. Says which, and what watchers are told.
    pub(super) fn give_up_moves(
        &mut self,
        map: &Map,
        shards: &mut Shards,
        at: LogTime,
    ) -> (Vec<String>, Vec<Change>) {
        let (mut notes, mut changes) = (Vec::new(), Vec::new());
        for operation in self.known.values_mut().map(|record| &mut record.operation) {
            let OperationKind::MoveShard(one) = &mut operation.kind else { continue };
            if !operation.state.is_open() {
                continue;
            }
            let was_frozen = one.freeze.take().is_some();
            notes.push(format!(
                "{} of {} was given up at its step {}: look where its rows are before you use it",
                operation.id, one.shard, one.step
            ));
            if was_frozen && let Ok(found) = find_shard(one.shard, map) {
                changes.push(found.change(found.shard.clone(), None));
            }
            operation.state = OperationState::GivenUp;
            operation.trouble = Some("the cluster was made anew; its end may have been lost".into());
            operation.changed = at;
            moves::release(operation, shards);
        }
        (notes, changes)
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &Operation> {
        self.known.values().map(|record| &record.operation).filter(|operation| operation.state.is_open())
    }

    fn begin(&mut self, new: &NewOperation, around: &mut Around<'_>) -> Outcome {
        if self.open().count() >= MAX_OPEN {
            return Err(Refusal::Full { what: Thing::Operation, limit: MAX_OPEN as u64 });
        }
        let id = OperationId(self.last + 1);
        let (kind, targets, statement) = match new {
            NewOperation::Ddl { keyspace, effects, shown, statement, declaration } => {
                let keyspace = find_keyspace(keyspace, around.map)?;
                check_statement(statement)?;
                let (ddl, targets) = statements::new_ddl(keyspace, effects, shown, declaration.as_ref())?;
                self.check_ddl(keyspace, effects, around.map)?;
                (OperationKind::Ddl(ddl), waiting(targets.into_iter()), Some(statement.clone()))
            }
            NewOperation::Users { shown, statement } => {
                let targets = users::targets(statement, around.map, around.servers)?;
                self.check_no_users(Thing::Statement, "about users")?;
                // What is granted on a shard that is being copied would be left behind.
                let moves = self.open().find(|operation| moving(operation).is_some());
                busy(moves, Thing::Statement, "about users")?;
                let kind = OperationKind::Users { shown: sentence(shown), followed: None };
                (kind, waiting(targets.into_iter()), Some(statement.client()))
            }
            NewOperation::MoveShard { shard, to, schema } => {
                self.check_shard(*shard)?;
                self.check_no_users(Thing::Shard, &shard.0.to_string())?;
                let one = moves::begin(*shard, to, schema.as_deref(), around)?;
                (OperationKind::MoveShard(one), Vec::new(), None)
            }
        };
        self.last = id.0;
        let what = format!("{id} began: {}", described(&kind, around.servers));
        let is_nothing = targets.is_empty() && !matches!(kind, OperationKind::MoveShard(_));
        let state = if is_nothing { OperationState::Finished } else { OperationState::Running };
        let operation = Operation {
            id,
            kind,
            who: clipped(around.now.who),
            since: around.now.at,
            changed: around.now.at,
            term: Term(0),
            state,
            targets,
            trouble: None,
            refusal: None,
            warnings: Vec::new(),
        };
        let statement = statement.filter(|_| state.is_open());
        let users = match new {
            NewOperation::Users { statement, .. } if state.is_open() => Some(statement.clone()),
            _ => None,
        };
        self.known.insert(id, Record { operation, statement, users });
        Ok(Effect::new(Done::Began(id), Vec::new(), what))
    }

    fn take(&mut self, id: OperationId, term: Term, around: &Around<'_>) -> Outcome {
        let operation = self.find_open(id)?;
        if term < operation.term || term == Term(0) {
            return Err(Refusal::OldTerm { operation: id, current: operation.term, offered: term });
        }
        if term == operation.term {
            return Ok(Effect::unchanged());
        }
        operation.term = term;
        operation.changed = around.now.at;
        Ok(Effect::new(Done::Changed, Vec::new(), format!("{id} taken by the leader of term {}", term.0)))
    }

    fn report(&mut self, id: OperationId, term: Term, report: &Report, around: &mut Around<'_>) -> Outcome {
        let operation = self.find_open(id)?;
        if operation.term != term || term == Term(0) {
            return Err(Refusal::OldTerm { operation: id, current: operation.term, offered: term });
        }
        let effect = match report {
            Report::TargetBegan { target, before } => statements::target_began(operation, *target, before),
            Report::TargetDone { target, warnings } => statements::target_done(operation, *target, warnings),
            Report::TargetFailed { target, reason } => statements::target_failed(operation, *target, reason),
            Report::TargetRefused { target, error } => statements::target_refused(operation, *target, error),
            Report::Held => statements::held(operation, around.now.revision),
            Report::Declared(table) => {
                statements::declared(operation, table, around.map, around.now.revision)
            }
            Report::NotDeclared(error) => statements::not_declared(operation, error),
            Report::Followed(_) => statements::followed(operation, around.now.revision),
            Report::AccountsChanged(_) => users::changed(operation),
            Report::AccountsFollowed(_) => statements::followed(operation, around.now.revision),
            Report::TakenOver => statements::taken_over(operation),
            Report::StepDone(step) => moves::step_done(operation, *step, around),
            Report::StepFailed { step, reason } => moves::step_failed(operation, *step, reason),
            Report::Undone if moving(operation).is_none() => statements::undone(operation),
            Report::Undone => undone(operation, around),
            Report::GivenUp { reason } => given_up(operation, reason),
        }?;
        operation.changed = around.now.at;
        self.forget_statement(id);
        Ok(effect)
    }

    fn cancel(&mut self, id: OperationId, around: &mut Around<'_>) -> Outcome {
        let operation = self.find_open(id)?;
        if operation.state == OperationState::Undoing {
            return Ok(Effect::unchanged());
        }
        if moving(operation).is_none() {
            return self.cancel_statement(id, around);
        }
        let changes = moves::cancel(operation, around)?;
        // Nobody has begun: there is nothing to undo.
        let is_untouched = operation.term == Term(0);
        operation.state = if is_untouched { OperationState::Cancelled } else { OperationState::Undoing };
        operation.changed = around.now.at;
        if is_untouched {
            moves::release(operation, around.shards);
        }
        let what =
            format!("{id} cancelled{}", if is_untouched { "" } else { "; what it did is being undone" });
        self.forget_statement(id);
        Ok(Effect::new(Done::Changed, changes, what))
    }

    fn cancel_statement(&mut self, id: OperationId, around: &Around<'_>) -> Outcome {
        let operation = self.find_open(id)?;
        let (done, all) = operation.progress();
        if done > 0 {
            let reason = format!(
                "it is done on {done} of {all} targets already: it can only be completed or given up"
            );
            return Err(wrong_state(operation, &reason));
        }
        self.give_up(id, around)
    }

    fn retry(&mut self, id: OperationId, around: &Around<'_>) -> Outcome {
        let operation = self.find_statement(id)?;
        let effect = statements::retry(operation)?;
        operation.changed = around.now.at;
        Ok(effect)
    }

    fn give_up(&mut self, id: OperationId, around: &Around<'_>) -> Outcome {
        let operation = self.find_statement(id)?;
        let effect = statements::give_up(operation)?;
        operation.changed = around.now.at;
        self.forget_statement(id);
        Ok(effect)
    }

    fn find_statement(&mut self, id: OperationId) -> Result<&mut Operation, Refusal> {
        let operation = self.find_open(id)?;
        if moving(operation).is_some() {
            return Err(wrong_state(operation, "a move goes on by itself or is cancelled"));
        }
        Ok(operation)
    }

    fn find_open(&mut self, id: OperationId) -> Result<&mut Operation, Refusal> {
        match self.known.get_mut(&id) {
            Some(record) if record.operation.state.is_open() => Ok(&mut record.operation),
            Some(record) => Err(wrong_state(&record.operation, "it has ended")),
            None => Err(unknown(Thing::Operation, &id.0.to_string(), [])),
        }
    }

    /// Refuses while a statement about users goes on.
    pub(super) fn check_no_users(&self, what: Thing, name: &str) -> Result<(), Refusal> {
        let other = self.open().find(|operation| matches!(operation.kind, OperationKind::Users { .. }));
        busy(other, what, name)
    }

    fn check_shard(&self, shard: ShardId) -> Result<(), Refusal> {
        let of_it = |operation: &&Operation| match &operation.kind {
            OperationKind::MoveShard(one) => one.shard == shard,
            _ => operation.targets.iter().any(|(target, _)| *target == Target::Shard(shard)),
        };
        busy(self.open().find(of_it), Thing::Shard, &shard.0.to_string())
    }

    /// Two statements about one table go one after the other, and none while a shard of the keyspace moves.
    fn check_ddl(&self, keyspace: &Keyspace, effects: &[TableEffect], map: &Map) -> Result<(), Refusal> {
        let name = keyspace.name.as_str();
        let stands_in_the_way = |operation: &&Operation| match &operation.kind {
            OperationKind::Ddl(ddl) => {
                &*ddl.keyspace == name && statements::share_a_table(&ddl.effects, effects, map)
            }
            OperationKind::MoveShard(one) => &*one.keyspace == name,
            OperationKind::Users { .. } => false,
        };
        busy(self.open().find(stands_in_the_way), Thing::Keyspace, name)
    }

    /// A statement may hold a password: it is kept no longer than it is needed.
    fn forget_statement(&mut self, id: OperationId) {
        if let Some(record) = self.known.get_mut(&id)
            && !record.operation.state.is_open()
        {
            record.statement = None;
            record.users = None;
        }
    }

    fn forget_oldest(&mut self) {
        let ended = self.known.iter().filter(|(_, record)| !record.operation.state.is_open());
        let ended: Vec<OperationId> = ended.map(|(id, _)| *id).collect();
        for id in ended.iter().take(ended.len().saturating_sub(ENDED_KEPT)) {
            self.known.remove(id);
        }
    }
}

impl Holders for Operations {
    fn check_freeze(&self, freeze: FreezeId) -> Result<(), Refusal> {
        let holds = |operation: &&Operation| moving(operation).is_some_and(|one| one.freeze == Some(freeze));
        busy(self.open().find(holds), Thing::Freeze, &freeze.0.to_string())
    }

    fn check_schema(&self, server: ServerId, schema: &str) -> Result<(), Refusal> {
        let empties = |operation: &&Operation| {
            moving(operation).is_some_and(|one| one.from == server && &*one.from_schema == schema)
        };
        busy(self.open().find(empties), Thing::RetiredSchema, schema)
    }
}

fn undone(operation: &mut Operation, around: &mut Around<'_>) -> Outcome {
    if operation.state != OperationState::Undoing {
        return Err(wrong_state(operation, "nobody cancelled it"));
    }
    let changes = moves::unfreeze(operation, around)?;
    operation.state = OperationState::Cancelled;
    moves::release(operation, around.shards);
    Ok(Effect::new(Done::Changed, changes, format!("{} is undone", operation.id)))
}

fn given_up(operation: &mut Operation, reason: &str) -> Outcome {
    if moving(operation).is_some_and(|one| one.step.is_before_flip()) {
        return Err(wrong_state(operation, "a move that was not flipped is cancelled, not given up"));
    }
    operation.state = OperationState::GivenUp;
    operation.trouble = Some(sentence(reason));
    let what = format!("{} given up: {}", operation.id, sentence(reason));
    Ok(Effect::new(Done::Changed, Vec::new(), what))
}

/// The move that an operation is.
fn moving(operation: &Operation) -> Option<&ShardMove> {
    match &operation.kind {
        OperationKind::MoveShard(one) => Some(one),
        _ => None,
    }
}

fn waiting(targets: impl Iterator<Item = Target>) -> Vec<(Target, TargetState)> {
    targets.map(|target| (target, TargetState::Waiting)).collect()
}

fn busy(operation: Option<&Operation>, what: Thing, name: &str) -> Result<(), Refusal> {
    operation
        .map_or(Ok(()), |operation| Err(Refusal::Busy { what, name: name.into(), operation: operation.id }))
}

fn described(kind: &OperationKind, servers: &Servers) -> String {
    match kind {
        OperationKind::Ddl(ddl) => format!("in keyspace {}: {}", ddl.keyspace, ddl.shown),
        OperationKind::Users { shown, .. } => format!("on every server: {shown}"),
        OperationKind::MoveShard(one) => format!(
            "{} of keyspace {} moves from server {} to server {}",
            one.shard,
            one.keyspace,
            servers.name(one.from),
            servers.name(one.to)
        ),
    }
}
