//! The topology's state machine: one command after another goes through [`State::apply`], which is pure: the same commands give the same state,
//! answers and changes on every node. Time comes with the command, from the log; nothing here looks at a clock, a disk or a socket.
//!
//! What watchers see is a [`Map`], and every change of it is a list of [`Change`]s, which the state applies to its own map as every proxy does to
//! its own. The rest is beside it.
//!
//! Reading order: [`outcome`] → [`names`] → [`retries`] and [`log`] → [`servers`] → [`retired`] → [`keyspaces`] → [`tables`] → [`drifts`] → [`sequences`] → [`accounts`],
//! [`settings`] → [`proxies`] → [`moves`] → [`statements`] → [`operations`] →
//! [`following`] → [`recovery`].

mod accounts;
mod drifts;
mod following;
mod holds;
mod keyspaces;
mod log;
mod moves;
mod names;
mod operations;
mod outcome;
mod proxies;
mod recovery;
mod retired;
mod retries;
mod sequences;
mod servers;
mod settings;
mod statements;
mod stored_map;
mod tables;
mod users;
mod views;

use std::sync::Arc;

use podway_model::{
    Change, ClusterSecret, DriftSubject, FreezeId, Map, Name, NameRule, Revision, ServerId, Table,
};
use podway_topology_api::{
    AdminAccount, Answer, ClientStatement, Command, Done, DriftCommand, DriftReport, Incarnation, LogTime,
    Operation, OperationCommand, OperationId, Proposal, ProxyCommand, Refusal, RetiredSchema,
    SequenceCommand, ServerCommand, TableCommand, Thing, UserStatement, View,
};
use serde::{Deserialize, Serialize};

use self::drifts::{Checks, Reported};
use self::keyspaces::{Shards, find_keyspace};
use self::log::ChangeLog;
use self::moves::Around;
use self::operations::Operations;
use self::outcome::{Effect, Now, Outcome};
use self::proxies::Proxies;
pub use self::recovery::INDEXES_SKIPPED;
use self::retries::Retries;
use self::sequences::Sequences;
use self::servers::Servers;

/// Everything that the topology remembers. Serialized, it holds secrets; printed, it does not.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    #[serde(default)]
    secret: Option<ClusterSecret>,
    /// The time of the last command.
    time: LogTime,
    /// What watchers see.
    #[serde(with = "stored_map")]
    map: Arc<Map>,
    #[serde(default)]
    servers: Servers,
    #[serde(default)]
    shards: Shards,
    #[serde(default)]
    sequences: Sequences,
    #[serde(default)]
    proxies: Proxies,
    #[serde(default)]
    operations: Operations,
    #[serde(default)]
    checks: Checks,
    #[serde(default)]
    log: ChangeLog,
    #[serde(default)]
    retries: Retries,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// What its client is answered.
    pub answer: Answer,
    /// What watchers are told, at the command's index; nothing: nothing that they see changed.
    pub changes: Vec<Change>,
}

impl State {
    /// The state before the first command.
    pub fn new() -> State {
        State {
            secret: None,
            time: LogTime::default(),
            map: Arc::new(Map::empty(NameRule::default())),
            servers: Servers::default(),
            shards: Shards::default(),
            sequences: Sequences::default(),
            proxies: Proxies::default(),
            operations: Operations::default(),
            checks: Checks::default(),
            log: ChangeLog::default(),
            retries: Retries::default(),
        }
    }

    /// Does a command that the log has at `index`, proposed at `at` by its leader's clock. A retry is answered as the command was the first time,
    /// and changes nothing; a refused command changes nothing but that.
    pub fn apply(&mut self, at: LogTime, index: u64, proposal: &Proposal) -> Applied {
        // Another leader's clock may be behind.
        self.time = self.time.max(at);
        let is_remembered = !proposal.command.is_idempotent();
        if is_remembered && let Some(answer) = self.retries.answer(proposal.client, proposal.sequence) {
            return Applied { answer, changes: Vec::new() };
        }
        let now = Now { at: self.time, revision: Revision(index), who: &proposal.who };
        let (answer, changes) = match self.execute(&proposal.command, &now) {
            Ok(effect) => {
                if let Some(what) = &effect.what {
                    self.log.push(&now, what);
                }
                (Ok(effect.done), effect.changes)
            }
            Err(refusal) => (Err(refusal), Vec::new()),
        };
        if is_remembered {
            self.retries.remember(proposal.client, proposal.sequence, answer.clone());
        }
        Applied { answer, changes }
    }

    /// What a reader may see.
    pub fn view(&self) -> View {
        views::view(self)
    }

    /// What watchers see, at the revision of the last command that changed it.
    pub fn map(&self) -> &Arc<Map> {
        &self.map
    }

    /// The time of the last command.
    pub fn time(&self) -> LogTime {
        self.time
    }

    /// The cluster's secret, for proxies that registered; `None` before the cluster was founded.
    pub fn secret(&self) -> Option<&ClusterSecret> {
        self.secret.as_ref()
    }

    /// Whether a lease could end by itself, so that time has to be put into the log.
    pub fn has_leases(&self) -> bool {
        self.proxies.has_leases()
    }

    /// As whom Podway administers a server.
    pub fn admin(&self, server: ServerId) -> Option<&AdminAccount> {
        self.servers.admin(server)
    }

    /// What an operation that goes on is to run on its targets.
    pub fn statement(&self, operation: OperationId) -> Option<&ClientStatement> {
        self.operations.statement(operation)
    }

    /// What an operation about users that goes on is to run.
    pub fn user_statement(&self, operation: OperationId) -> Option<&UserStatement> {
        self.operations.user_statement(operation)
    }

    /// The moves that go on, oldest first.
    pub fn moves(&self) -> Vec<Operation> {
        self.operations.moves()
    }

    /// The statements that go on, oldest first.
    pub fn statements(&self) -> Vec<Operation> {
        self.operations.statements()
    }

    /// One operation, as it may be shown.
    pub fn operation(&self, id: OperationId) -> Option<&Operation> {
        self.operations.find(id)
    }

    /// Who has a lease and may run something under an older map than this.
    pub fn unsettled(&self, revision: Revision) -> Vec<Incarnation> {
        self.proxies.unsettled(revision)
    }

    /// Who has a lease and takes an older map than this for new statements.
    pub fn behind(&self, revision: Revision) -> Vec<Incarnation> {
        self.proxies.behind(revision)
    }

    /// The operations that go on, oldest first.
    pub fn open_operations(&self) -> Vec<Operation> {
        self.operations.view().into_iter().filter(|operation| operation.state.is_open()).collect()
    }

    /// The last operation that ever began.
    pub fn last_operation(&self) -> OperationId {
        self.operations.last()
    }

    /// How often somebody asked for a comparison of the shards.
    pub fn checks_asked(&self) -> u64 {
        self.checks.asked()
    }

    /// Whether somebody waits for a comparison of the shards.
    pub fn wants_check(&self) -> bool {
        self.checks.open().is_some()
    }

    /// How often the shards are compared, in milliseconds; 0: only when somebody asks.
    pub fn check_every_ms(&self) -> u64 {
        settings::span_ms(settings::SCHEMA_CHECK, &self.map)
    }

    /// How long statements that name a table wait at most for what changes its name to begin, in milliseconds: half as long as a statement waits.
    pub fn names_held_ms(&self) -> u64 {
        settings::span_ms(settings::FREEZE_HOLD, &self.map) / 2
    }

    /// How long a shard may be frozen, in milliseconds.
    pub fn freeze_limit_ms(&self) -> u64 {
        settings::span_ms(settings::FREEZE_LIMIT, &self.map)
    }

    /// Who has a lease and has not acknowledged a freeze.
    pub fn undrained(&self, freeze: FreezeId) -> Vec<Incarnation> {
        self.proxies.undrained(freeze)
    }

    /// The proxies that have a lease.
    pub fn live_proxies(&self) -> Vec<Incarnation> {
        self.proxies.live()
    }

    /// The proxies whose lease ended and that are not shut out.
    pub fn ended_proxies(&self) -> Vec<Incarnation> {
        self.proxies.ended()
    }

    /// The proxies whose lease ended, that are not shut out, and that keep numbers from others: their blocks were called back, and they may not know.
    pub fn in_the_way(&self) -> Vec<Incarnation> {
        let unaware = self.sequences.unaware();
        self.proxies.ended().into_iter().filter(|ended| unaware.contains(ended)).collect()
    }

    /// The proxies that have no lease any more, shut out or not.
    pub fn gone_proxies(&self) -> Vec<Incarnation> {
        self.proxies.gone()
    }

    /// The proxies whose lease ended before they acknowledged a freeze, and that are not shut out.
    pub fn late_proxies(&self, freeze: FreezeId) -> Vec<Incarnation> {
        self.proxies.late(freeze)
    }

    /// The retired schemas that are to be dropped at this time: their retention is over, or somebody wants them gone, and nothing needs them.
    pub fn due_retired(&self, now: LogTime) -> Vec<RetiredSchema> {
        let keep_ms = settings::span_ms(settings::RETIRED_RETENTION, &self.map);
        self.shards.due_retired(now, keep_ms, &self.map, &self.operations)
    }

    /// What a server is called.
    pub fn server_name(&self, server: ServerId) -> Box<str> {
        self.servers.name(server)
    }

    fn execute(&mut self, command: &Command, now: &Now<'_>) -> Outcome {
        let map = self.map.clone();
        let mut effect = match command {
            Command::Found { secret } => self.found(secret),
            Command::Keyspace(command) => self.keyspace(command, &map),
            Command::Shard(command) => {
                self.shards.execute_shard(command, &map, &self.servers, &self.operations)
            }
            Command::Server(command) => self.server(command, &map),
            Command::Table(command) => {
                let (keyspace, table) = command.subject();
                self.operations.check_table(find_keyspace(keyspace, &map)?, table, &map)?;
                self.table(command, &map, now)
            }
            Command::Account(command) => accounts::execute(command, &map),
            Command::Setting(command) => settings::execute(command, &map),
            Command::Proxy(command) => self.proxy(command, &map, now),
            Command::Sequence(command) => self.sequence(command, &map, now),
            Command::Drift(DriftCommand::Check) => Ok(self.checks.ask()),
            Command::Drift(DriftCommand::Report(report)) => self.drift(report, &map, now),
            Command::Operation(command) => {
                let mut around = Around {
                    map: &map,
                    servers: &self.servers,
                    proxies: &self.proxies,
                    shards: &mut self.shards,
                    now,
                };
                let mut effect = self.operations.execute(command, &mut around)?;
                // A report that comes again has been followed already.
                if let OperationCommand::Report { id, report, .. } = command
                    && effect.done == Done::Changed
                {
                    self.follow_report(*id, report, &map, now, &mut effect);
                }
                effect.changes.extend(holds::changes(self.operations.open(), &map));
                Ok(effect)
            }
        }?;
        if !effect.changes.is_empty() {
            self.map = Arc::new(next_map(&map, now, &mut effect));
        }
        Ok(effect)
    }

    fn found(&mut self, secret: &ClusterSecret) -> Outcome {
        match &self.secret {
            Some(known) if known == secret => Ok(Effect::unchanged()),
            Some(_) => Err(Refusal::Founded),
            None => {
                self.secret = Some(secret.clone());
                Ok(Effect::new(Done::Changed, Vec::new(), "the cluster was founded".to_owned()))
            }
        }
    }

    fn keyspace(&mut self, command: &podway_topology_api::KeyspaceCommand, map: &Map) -> Outcome {
        use podway_topology_api::KeyspaceCommand::{Drop, Spread};
        if let Drop { name, .. } | Spread { name, .. } = command
            && let Some(keyspace) = map.keyspace_spelled(name)
        {
            self.operations.check_keyspace(keyspace)?;
        }
        let effect = self.shards.execute(command, map, &self.servers)?;
        for change in &effect.changes {
            if let Change::KeyspaceRemoved(name) = change {
                self.sequences.forget_keyspace(name);
            }
        }
        Ok(effect)
    }

    fn server(&mut self, command: &ServerCommand, map: &Map) -> Outcome {
        let is_removal = matches!(command, ServerCommand::Remove { .. });
        if let ServerCommand::Add { name, .. } = command {
            // It would not get what the statement brings to the others.
            self.operations.check_no_users(Thing::Server, name)?;
        }
        let operations = &self.operations;
        let effect =
            self.servers.execute(command, map, |id, name| operations.check_server(id, is_removal, name))?;
        for change in &effect.changes {
            if let Change::ServerRemoved(id) = change {
                self.shards.forget_server(*id);
            }
        }
        Ok(effect)
    }

    fn table(&mut self, command: &TableCommand, map: &Map, now: &Now<'_>) -> Outcome {
        let mut effect = tables::execute(command, map)?;
        let further: Vec<Change> = match &effect.changes[..] {
            [Change::Table { keyspace, table }] => {
                let keyspace = find_keyspace(keyspace.as_str(), map)?;
                let generation = self.sequences.follow(keyspace, table, now.revision);
                if let TableCommand::Declare { next: Some(next), .. } = command {
                    self.sequences.raise(&keyspace.name, &table.name, *next);
                }
                generation.into_iter().collect()
            }
            [Change::TableRemoved { keyspace, table }] => {
                self.sequences.forget(keyspace, table);
                Vec::new()
            }
            [Change::TableRemoved { keyspace, table: before }, Change::Table { table, .. }] => {
                self.sequences.rename(keyspace, before, &table.name, now.revision);
                let subject =
                    |table: &Name| DriftSubject::Table { keyspace: keyspace.clone(), table: table.clone() };
                let mark = drifts::renamed(&subject(before), subject(&table.name), map);
                let generation = self.sequences.generation(find_keyspace(keyspace.as_str(), map)?, table);
                mark.into_iter().chain(generation).collect()
            }
            _ => Vec::new(),
        };
        effect.changes.extend(further);
        Ok(effect)
    }

    fn drift(&mut self, report: &DriftReport, map: &Map, now: &Now<'_>) -> Outcome {
        let Reported { mut effect, taken_over } =
            self.checks.report(report, self.operations.last(), map, now)?;
        for command in &taken_over {
            effect.changes.extend(self.table(command, map, now)?.changes);
        }
        Ok(effect)
    }

    fn proxy(&mut self, command: &ProxyCommand, map: &Map, now: &Now<'_>) -> Outcome {
        let lease_ms = settings::span_ms(settings::PROXY_LEASE, map);
        match command {
            ProxyCommand::Register(_) if self.secret.is_none() => Err(Refusal::NotFounded),
            ProxyCommand::Register(info) => self.proxies.register(info, lease_ms, now),
            ProxyCommand::Beats(beats) => Ok(self.proxies.beats(beats, lease_ms, map, now)),
            ProxyCommand::Deregister { incarnation } => {
                let effect = self.proxies.deregister(*incarnation)?;
                self.sequences.release(*incarnation);
                Ok(effect)
            }
            ProxyCommand::ShutOut { incarnation } => {
                let effect = self.proxies.shut_out(*incarnation)?;
                self.sequences.release(*incarnation);
                Ok(effect)
            }
        }
    }

    fn sequence(&mut self, command: &SequenceCommand, map: &Map, now: &Now<'_>) -> Outcome {
        let keyspace = find_keyspace(&command.keyspace, map)?;
        let table: &Arc<Table> = tables::find_table(keyspace, &command.table, map)?;
        let proxies = &self.proxies;
        let around = sequences::Around { revision: now.revision, proxies };
        self.sequences.execute(keyspace, table, command.step, around)
    }
}

impl Default for State {
    fn default() -> State {
        State::new()
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("revision", &self.map.revision)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}

/// The map after a command. The commands have checked what the model asks for; should one have missed something, watchers are told nothing and keep
/// the map that they have, on every node alike.
fn next_map(map: &Map, now: &Now<'_>, effect: &mut Effect) -> Map {
    match map.changed(now.revision, &effect.changes) {
        Ok(next) => next,
        Err(error) => {
            debug_assert!(false, "a command made changes that the model refuses: {error}");
            effect.changes.clear();
            map.clone()
        }
    }
}
