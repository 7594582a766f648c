//! DDL on tables that every shard has, and what declares a table: begun as an operation of the topology, whose leader runs it as this client on every shard, and
//! waited for. As MySQL does, it commits the open transaction first. What a shard does is not known here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use podway_model::{Map, Name};
use podway_router::lex::literal_text;
use podway_router::{Child, Definition, Effects, Statement, TableChange, TableDirective, Target, TextPiece};
use podway_topology_api::{
    ClientStatement, NewOperation, Operation, OperationId, OperationKind, OperationState, ServerMessage,
    SqlBytes, StatementPiece, TableDeclaration, TableEffect, Target as OperationTarget, TargetState,
};
use podway_wire::{ErrPacket, OkPacket};

use super::core::{Planned, Session};
use super::state::Warning;
use crate::backend::{Fit, Settings, quoted_identifier};
use crate::error::{ClientError, ErrorCode, ProxyError, error_packet};
use crate::execute::NameChange;
use crate::operations::{Declared, OperationError, Operations};

/// One question about an operation waits so long.
const ONE_WAIT: Duration = Duration::from_secs(5);
/// The pause before a topology that does not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// This proxy follows the map of an operation that has ended within this, or its next statement sees it a little later.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(1);
/// Characters of a statement that operations show.
const SHOWN: usize = 400;

impl Session {
    /// DDL whose plan says that it goes to every shard, or that its COMMENT decides.
    pub(super) async fn define(&mut self, planned: &Planned<'_>, is_command: bool) -> Result<(), ProxyError> {
        let Some((definition, keyspace)) = planned.plan.definition.as_deref().zip(planned.plan.keyspace())
        else {
            return Err(ClientError::not_supported("this statement over several shards").into());
        };
        let declaration = declaration(planned, definition)?;
        let is_single = planned.map.keyspace(keyspace).is_some_and(|keyspace| keyspace.is_single());
        let otherwise = match (&definition.otherwise, &declaration) {
            (Some(otherwise), None) => Some((**otherwise).clone()),
            // The statement of a session that is bound to its connection cannot run beside it: it would wait for the session's own locks.
            _ if is_single && (self.shared.operations.get().is_none() || self.is_bound()) => {
                Some(Target::Whole { keyspace: keyspace.clone() })
            }
            _ => None,
        };
        if let Some(target) = otherwise {
            return self.run_elsewhere(planned, target, is_command).await;
        }
        self.check_unlocked("DDL of tables on several shards, but ALTER TABLE … DISABLE KEYS,")?;
        let operations = self.operations("DDL on several shards")?;
        let new = NewOperation::Ddl {
            keyspace: keyspace.as_str().into(),
            effects: definition.changes.iter().map(effect).collect(),
            shown: shown(planned).into(),
            statement: self.client_statement(planned, keyspace),
            declaration,
        };
        let ended = self.operate(planned, &*operations, new).await?;
        let warnings = outcome(&ended, &planned.map, keyspace)?;
        self.follow(&ended).await;
        self.answer_done(warnings).await
    }

    /// ALTER PODWAY TABLE.
    pub(super) async fn declare_table(
        &mut self,
        planned: &Planned<'_>,
        schema: Option<&str>,
        name: &str,
        directive: &TableDirective,
    ) -> Result<(), ProxyError> {
        let operations = self.operations("ALTER PODWAY TABLE")?;
        self.check_unlocked("ALTER PODWAY TABLE")?;
        let map = &planned.map;
        let database = match schema {
            Some(schema) => map.names.name(schema),
            None => self
                .state
                .database
                .clone()
                .ok_or_else(|| ClientError::new(ErrorCode::NO_DATABASE, "No database selected"))?,
        };
        let Some(keyspace) = map.keyspace(&database).cloned() else {
            let message = format!("Unknown database '{database}'");
            return Err(ClientError::new(ErrorCode::UNKNOWN_DATABASE, message).into());
        };
        self.commit_quietly().await?;
        self.leave();
        self.check_may_alter(&keyspace.name, name).await?;
        let declaration = declared(directive);
        let who = self.account.name.to_string();
        let declared = Declared { keyspace: keyspace.name.as_str(), table: name, declaration: &declaration };
        let done = tokio::select! {
            biased;
            done = operations.declare(declared, &who) => done,
            error = self.client.gone(self.command_bytes) => return Err(ProxyError::ClientGone(error)),
        };
        done.map_err(|error| ClientError::new(ErrorCode::UNKNOWN, error.to_string()))?;
        self.answer_done(Vec::new()).await
    }

    /// MySQL itself says whether the client may: an ALTER TABLE that changes nothing needs the privileges of any other.
    async fn check_may_alter(&mut self, keyspace: &Name, table: &str) -> Result<(), ProxyError> {
        let map = self.shared.map.load();
        let known = map.keyspace(keyspace).cloned();
        let placed = known.as_ref().and_then(|keyspace| map.place(keyspace, keyspace.home));
        let (server, shard) = placed.ok_or_else(|| {
            ClientError::new(ErrorCode::UNKNOWN_DATABASE, format!("Unknown database '{keyspace}'"))
        })?;
        let schema: Arc<str> = shard.schema.shared_text();
        let pool = self.shared.pools.get(server);
        let fit = Fit { settings: self.state.settings.fingerprint(), schema: None };
        let mut connection = pool.checkout(&self.key, fit).await?;
        let sql = format!("ALTER TABLE {}.{}", quoted_identifier(&schema), quoted_identifier(table));
        let asked = connection.execute(sql.as_bytes()).await;
        connection.give_back(Instant::now());
        match asked {
            Err(ProxyError::Server(refused)) => {
                Err(ProxyError::Server(in_logical_names(refused, &map, keyspace)))
            }
            asked => asked.map(drop),
        }
    }

    fn operations(&self, what: &str) -> Result<Arc<dyn Operations>, ProxyError> {
        self.shared.operations.get().cloned().ok_or_else(|| {
            let what = format!("{what} without a topology: this proxy's map comes from a cluster file");
            ClientError::not_supported(&what).into()
        })
    }

    /// Whether the session holds something on a connection that another connection would wait for, or not see.
    fn is_bound(&self) -> bool {
        self.held.iter().any(|held| held.is_pinned())
    }

    async fn run_elsewhere(
        &mut self,
        planned: &Planned<'_>,
        target: Target,
        is_command: bool,
    ) -> Result<(), ProxyError> {
        let mut plan = (*planned.plan).clone();
        plan.target = target;
        plan.recognised.statement = Statement::Query;
        plan.definition = None;
        let planned = planned.with_plan(plan);
        self.run_text(&planned, is_command).await
    }

    /// The statement as any server has to read it to read what this session would.
    pub(super) fn client_statement(&self, planned: &Planned<'_>, keyspace: &Name) -> ClientStatement {
        let facts = self.facts(planned.database, &|_| None);
        let pieces = planned.plan.text_pieces(planned.sql, planned.normal, &facts);
        let setup = self.state.settings.statement_from(&Settings::default()).unwrap_or_default();
        let in_keyspace = planned.database == Some(keyspace);
        ClientStatement {
            account: self.account.name.clone(),
            setup: SqlBytes(setup.into()),
            database: in_keyspace.then(|| keyspace.as_str().into()),
            pieces: pieces.into_iter().map(piece).collect(),
        }
    }

    /// Begins an operation and waits until it has ended, or needs somebody.
    pub(super) async fn operate(
        &mut self,
        planned: &Planned<'_>,
        operations: &dyn Operations,
        new: NewOperation,
    ) -> Result<Operation, ProxyError> {
        if planned.plan.effects().contains(Effects::IMPLICIT_COMMIT) {
            self.commit_quietly().await?;
        }
        // From here on nothing of this session runs under a map: an operation may wait until nothing does.
        self.leave();
        let give_up = self.started + self.shared.config.client.statement_deadline;
        let who = self.account.name.to_string();
        tokio::select! {
            biased;
            ended = begin_and_wait(operations, new, &who, give_up) => ended,
            error = self.client.gone(self.command_bytes) => Err(ProxyError::ClientGone(error)),
        }
    }

    /// The next statement finds the map that an operation has left.
    pub(super) async fn follow(&mut self, ended: &Operation) {
        let followed = match &ended.kind {
            OperationKind::Ddl(ddl) => ddl.followed.max(ddl.declared),
            OperationKind::Users { followed, .. } => *followed,
            OperationKind::MoveShard(_) => None,
        };
        if let Some(revision) = followed {
            let arrived = self.shared.map.wait_until(|map| map.revision >= revision);
            // A map that comes later is taken over later.
            let _in_time = tokio::time::timeout(FOLLOWS_WITHIN, arrived).await;
        }
    }

    pub(super) async fn answer_done(&mut self, warnings: Vec<Warning>) -> Result<(), ProxyError> {
        self.state.row_count = 0;
        let count = u16::try_from(warnings.len()).unwrap_or(u16::MAX);
        self.state.warnings = warnings;
        self.reply_ok_with(OkPacket { warnings: count, ..OkPacket::default() }).await
    }
}

async fn begin_and_wait(
    operations: &dyn Operations,
    new: NewOperation,
    who: &str,
    give_up: Instant,
) -> Result<Operation, ProxyError> {
    let id = loop {
        match operations.begin(new.clone(), who).await {
            Ok(id) => break id,
            // As MySQL's own DDL waits for another's lock.
            Err(OperationError::Busy(other)) => {
                let other = wait(operations, other, give_up).await?;
                if other.needs_somebody() {
                    let message = format!(
                        "{} is in the way and half done: podway operation retry {}, or give-up, ends it first",
                        other.id, other.id.0
                    );
                    return Err(ClientError::new(ErrorCode::UNKNOWN, message).into());
                }
            }
            Err(OperationError::Refused(reason)) => {
                return Err(ClientError::new(ErrorCode::UNKNOWN, reason).into());
            }
            Err(OperationError::Denied(reason)) => {
                let message = format!("Access denied: {reason}");
                return Err(ClientError::new(ErrorCode::PRIVILEGE_NEEDED, message).into());
            }
            Err(OperationError::Away(reason)) => {
                let message = format!(
                    "Podway's topology does not answer, so the statement may or may not have begun (see SHOW PODWAY OPERATIONS): {reason}"
                );
                return Err(ClientError::new(ErrorCode::BACKEND_LOST, message).into());
            }
        }
    };
    wait(operations, id, give_up).await
}

async fn wait(
    operations: &dyn Operations,
    id: OperationId,
    give_up: Instant,
) -> Result<Operation, ProxyError> {
    loop {
        let left = give_up.saturating_duration_since(Instant::now());
        match operations.end(id, left.min(ONE_WAIT)).await {
            Ok(operation) if operation.is_settled() => return Ok(operation),
            Ok(_) => {}
            Err(OperationError::Refused(reason) | OperationError::Denied(reason)) => {
                return Err(ClientError::new(ErrorCode::UNKNOWN, reason).into());
            }
            Err(OperationError::Busy(_) | OperationError::Away(_)) => tokio::time::sleep(ASK_AGAIN).await,
        }
        if Instant::now() >= give_up {
            let message = format!(
                "The statement goes on as {id}, but not within client.statement_deadline: podway operation show {} says how far it is",
                id.0
            );
            return Err(ClientError::new(ErrorCode::TIMEOUT, message).into());
        }
    }
}

/// How the statement's COMMENT declares its table, if it does.
pub(super) fn declaration(
    planned: &Planned<'_>,
    definition: &Definition,
) -> Result<Option<TableDeclaration>, ProxyError> {
    let (Some(_), Some(number)) = (&definition.otherwise, definition.comment) else { return Ok(None) };
    let literal = planned.normal.literals().get(number as usize);
    let text = literal.map(|literal| literal.text(planned.sql)).unwrap_or_default();
    let said = literal_text(text, planned.normal.mode(), planned.normal.charset());
    let said = said.unwrap_or_else(|| String::from_utf8_lossy(text));
    let directive = TableDirective::of_comment(&said).map_err(|reason| {
        let message =
            format!("The table's COMMENT says 'podway:', but not how its rows are to lie: {reason}");
        ClientError::new(ErrorCode::SYNTAX, message)
    })?;
    let Some(directive) = directive.filter(|directive| *directive != TableDirective::Home) else {
        return Ok(None);
    };
    if !definition.creates {
        let what = "a COMMENT that declares its table but in a CREATE TABLE of columns; ALTER PODWAY TABLE declares one that is there";
        return Err(ClientError::not_supported(what).into());
    }
    let is_single = planned
        .plan
        .keyspace()
        .and_then(|name| planned.map.keyspace(name))
        .is_some_and(|keyspace| keyspace.is_single());
    if !is_single {
        let key: Vec<Name> = match &directive {
            TableDirective::Sharded { columns, .. } => {
                columns.iter().map(|name| Name::caseless(name)).collect()
            }
            _ => Vec::new(),
        };
        let child = match &directive {
            TableDirective::Sharded { vindex, .. } => Child::Sharded { key: &key, vindex: *vindex },
            _ => Child::Reference,
        };
        definition.check_foreign_keys(child).map_err(ClientError::from)?;
    }
    Ok(Some(declared(&directive)))
}

fn declared(directive: &TableDirective) -> TableDeclaration {
    match directive {
        TableDirective::Sharded { columns, vindex, unique_per_shard } => TableDeclaration::Sharded {
            columns: columns.clone(),
            vindex: *vindex,
            unique_per_shard: *unique_per_shard,
        },
        TableDirective::Reference => TableDeclaration::Reference,
        TableDirective::Home => TableDeclaration::Home,
    }
}

fn effect(change: &TableChange) -> TableEffect {
    let text = |name: &Name| name.as_str().into();
    match change {
        TableChange::Altered(name) => TableEffect::Altered(text(name)),
        TableChange::Created(name) => TableEffect::Created(text(name)),
        TableChange::Dropped(name) => TableEffect::Dropped(text(name)),
        TableChange::Emptied(name) => TableEffect::Emptied(text(name)),
        TableChange::Retriggered(name) => TableEffect::Retriggered(text(name)),
        TableChange::Renamed { from, to } => TableEffect::Renamed { from: text(from), to: text(to) },
    }
}

fn piece(piece: TextPiece) -> StatementPiece {
    match piece {
        TextPiece::Text(bytes) => StatementPiece::Text(SqlBytes(bytes.into())),
        TextPiece::Schema(keyspace) => StatementPiece::Schema(keyspace.as_str().into()),
    }
}

/// The statement as it may be shown: its strings left out, for a password may stand in one.
pub(super) fn shown(planned: &Planned<'_>) -> String {
    let mut text = Vec::new();
    let mut copied = 0;
    for literal in planned.normal.literals().iter().filter(|literal| literal.kind().is_text()) {
        let range = literal.range();
        text.extend_from_slice(planned.sql.get(copied..range.start).unwrap_or_default());
        text.extend_from_slice("'…'".as_bytes());
        copied = range.end;
    }
    text.extend_from_slice(planned.sql.get(copied..).unwrap_or_default());
    let text = String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().take(SHOWN).collect()
}

/// What an operation's end is to its client: warnings, or an error.
fn outcome(ended: &Operation, map: &Map, keyspace: &Name) -> Result<Vec<Warning>, ProxyError> {
    let (done, all) = ended.progress();
    let id = ended.id;
    let other = |message: String| Err(ClientError::new(ErrorCode::UNKNOWN, message).into());
    match ended.state {
        OperationState::Finished => {
            Ok(ended.warnings.iter().map(|said| warning(said, map, keyspace)).collect())
        }
        OperationState::Refused => match &ended.refusal {
            Some(said) => Err(ProxyError::Server(refusal(said, &said.text, map, keyspace))),
            None => other(format!("{id} was refused, and nothing was done")),
        },
        OperationState::Cancelled => {
            let message = format!("Query execution was interrupted: {id} was given up, and nothing was done");
            Err(ClientError::new(ErrorCode::INTERRUPTED, message).into())
        }
        OperationState::GivenUp => {
            let why = ended.trouble.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            other(format!("{id} was given up when it was done on {done} of {all} shards{why}"))
        }
        OperationState::Running | OperationState::Undoing => {
            let refused = ended.targets.iter().find_map(|(target, state)| match state {
                TargetState::Refused { error, .. } => Some((target, error)),
                _ => None,
            });
            let Some((target, said)) = refused else { return other(format!("{id} goes on")) };
            let place = match target {
                OperationTarget::Shard(shard) => shard.to_string(),
                OperationTarget::Server(server) => server.to_string(),
            };
            let number = id.0;
            let text = format!(
                "{} (on {place}; {id} is half done, on {done} of {all} shards: remove what is in the way and say podway operation retry {number}, or podway operation give-up {number})",
                said.text
            );
            Err(ProxyError::Server(refusal(said, &text, map, keyspace)))
        }
    }
}

fn refusal(said: &ServerMessage, text: &str, map: &Map, keyspace: &Name) -> ErrPacket {
    let state = said.state.as_bytes().try_into().unwrap_or(*b"HY000");
    let code = ErrorCode { number: said.code, state };
    in_logical_names(error_packet(code, text), map, keyspace)
}

fn warning(said: &ServerMessage, map: &Map, keyspace: &Name) -> Warning {
    let message = logical_text(said.text.as_bytes(), map, keyspace);
    Warning { level: said.state.as_bytes().to_vec(), code: said.code, message }
}

fn in_logical_names(mut packet: ErrPacket, map: &Map, keyspace: &Name) -> ErrPacket {
    packet.message = logical_text(&packet.message, map, keyspace);
    packet
}

/// A shard's text with the keyspace's name in the place of any of its schemas'.
fn logical_text(text: &[u8], map: &Map, keyspace: &Name) -> Vec<u8> {
    let mut text = text.to_vec();
    let Some(known) = map.keyspace(keyspace) else { return text };
    let mut others: Vec<&str> = known.shards.iter().map(|shard| shard.schema.as_str()).collect();
    others.retain(|schema| *schema != known.name.as_str());
    others.sort_unstable();
    others.dedup();
    for schema in others {
        let logical = known.name.as_str().as_bytes().to_vec();
        text = NameChange { physical: schema.as_bytes().to_vec(), logical }.text(&text);
    }
    text
}

#[cfg(test)]
mod tests {
    use podway_model::{Epoch, Keyspace, NameRule, Server, ServerId, Shard, ShardId};
    use podway_topology_api::{LogTime, Term};

    use super::*;

    fn map() -> Map {
        let mut map = Map::empty(NameRule::CaseSensitive);
        let name = |text| NameRule::CaseSensitive.name(text);
        let (host, uuid, version) = ("h".into(), "u".into(), "9.7.4".into());
        map.put_server(Server { id: ServerId(0), host, port: 1, uuid, version });
        let shard = |id, schema| Shard {
            id: ShardId(id),
            server: ServerId(0),
            schema: name(schema),
            epoch: Epoch(1),
        };
        let shards = vec![shard(1, "shop"), shard(2, "shop__2")];
        map.put_keyspace(Keyspace::evenly(name("shop"), shards).unwrap()).unwrap();
        map
    }

    fn said(code: u16, text: &str) -> ServerMessage {
        ServerMessage { code, state: "23000".into(), text: text.into() }
    }

    fn ended(state: OperationState, targets: Vec<TargetState>) -> Operation {
        let targets =
            targets.into_iter().zip(1..).map(|(state, n)| (OperationTarget::Shard(ShardId(n)), state));
        Operation {
            id: OperationId(7),
            kind: OperationKind::Users { shown: "…".into(), followed: None },
            who: "a test".into(),
            since: LogTime(0),
            changed: LogTime(0),
            term: Term(1),
            state,
            targets: targets.collect(),
            trouble: None,
            refusal: None,
            warnings: Vec::new(),
        }
    }

    fn told(ended: &Operation) -> (u16, String) {
        let keyspace = NameRule::CaseSensitive.name("shop");
        let error = outcome(ended, &map(), &keyspace).unwrap_err();
        let packet = error.for_client().unwrap();
        (packet.code, String::from_utf8(packet.message).unwrap())
    }

    #[test]
    fn a_refusal_is_the_servers_own_with_logical_names() {
        let mut refused = ended(OperationState::Refused, vec![TargetState::Waiting]);
        refused.refusal = Some(said(1142, "ALTER command denied for table 'shop__2.orders'"));
        assert_eq!(told(&refused), (1142, "ALTER command denied for table 'shop.orders'".to_owned()));
    }

    #[test]
    fn half_done_work_says_how_to_go_on() {
        let refused = TargetState::Refused { error: said(1062, "Duplicate entry"), attempts: 1 };
        let done = TargetState::Done { before: "x".into() };
        let (code, text) = told(&ended(OperationState::Running, vec![done, refused]));
        assert_eq!(code, 1062);
        assert!(text.starts_with("Duplicate entry (on shard 2; operation 7 is half done, on 1 of 2 shards"));
        assert!(text.contains("podway operation retry 7"));
    }

    #[test]
    fn what_was_given_up_is_no_success() {
        let done = TargetState::Done { before: "x".into() };
        let (code, text) = told(&ended(OperationState::GivenUp, vec![done, TargetState::Waiting]));
        assert_eq!((code, text.contains("1 of 2 shards")), (1105, true));
        assert_eq!(told(&ended(OperationState::Cancelled, vec![TargetState::Waiting])).0, 1317);
    }

    #[test]
    fn notes_reach_the_client() {
        let mut finished = ended(OperationState::Finished, vec![]);
        finished.warnings =
            vec![ServerMessage { code: 1050, state: "Note".into(), text: "Table 'shop__2.t'".into() }];
        let keyspace = NameRule::CaseSensitive.name("shop");
        let warnings = outcome(&finished, &map(), &keyspace).unwrap();
        let message = b"Table 'shop.t'".to_vec();
        assert_eq!(warnings, [Warning { level: b"Note".to_vec(), code: 1050, message }]);
    }
}
