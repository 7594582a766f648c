//! Statements about users, roles and privileges: read, refused where they would reach around Podway, and else begun as an operation of the topology, whose leader
//! runs them as this client on every server. What a server does is not known here.

use podway_model::{Map, ServerId};
use podway_router::{
    AccountContext, AccountPiece, AccountStatement, AccountVerb, GrantPlace, Normalised, Plan,
    is_about_accounts, read_accounts,
};
use podway_topology_api::{
    NewOperation, Operation, OperationState, ServerMessage, SqlBytes, Target, TargetState, UserPiece,
    UserPlace, UserStatement, UserVerb,
};
use podway_wire::ErrPacket;

use super::core::{Planned, Session};
use super::state::Warning;
use crate::backend::Settings;
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::execute::NameChange;

/// ER_UNKNOWN_ERROR's SQLSTATE, where a server gave none that is one.
const GENERAL: [u8; 5] = *b"HY000";

impl Session {
    /// Whether the statement is one that a topology, which is there, brings to every server.
    pub(super) fn has_topology_for(&self, plan: &Plan, normal: &Normalised) -> bool {
        is_about_accounts(&plan.recognised, normal) && self.shared.operations.get().is_some()
    }

    /// CREATE USER, GRANT, SET PASSWORD and the like.
    pub(super) async fn change_accounts(&mut self, planned: &Planned<'_>) -> Result<(), ProxyError> {
        let Some(operations) = self.shared.operations.get().cloned() else {
            return Err(ClientError::not_supported("statements about users without a topology").into());
        };
        let name = self.account.name.clone();
        let context = AccountContext { map: &planned.map, keyspace: planned.database, myself: &name };
        let said = match read_accounts(planned.sql, planned.normal, &context) {
            Ok(said) => said,
            Err(error) => {
                let refused = ClientError::from(error);
                return Err(Box::pin(self.refusal(planned.sql, &planned.map, &planned.plan, refused)).await);
            }
        };
        let shown = said.shown.as_str().into();
        let new = NewOperation::Users { shown, statement: self.user_statement(planned, said) };
        let ended = self.operate(planned, &*operations, new).await?;
        let warnings = outcome(&ended, &planned.map)?;
        self.follow(&ended).await;
        self.answer_done(warnings).await
    }

    fn user_statement(&self, planned: &Planned<'_>, said: AccountStatement) -> UserStatement {
        let text = |bytes: &[u8]| SqlBytes(bytes.into());
        let piece = |piece: AccountPiece| match piece {
            AccountPiece::Text(range) => UserPiece::Text(text(&planned.sql[range])),
            AccountPiece::Put(words) => UserPiece::Text(text(words.as_bytes())),
            AccountPiece::Schema { is_pattern } => UserPiece::Schema { is_pattern },
            AccountPiece::Password { account, text: range, is_whole } => {
                // A statement names no more accounts than it has bytes, and far fewer are taken.
                let account = u16::try_from(account).unwrap_or(u16::MAX);
                UserPiece::Password { account, text: text(&planned.sql[range]), is_whole }
            }
            AccountPiece::IfExists => UserPiece::IfExists,
        };
        let setup = self.state.settings.statement_from(&Settings::default()).unwrap_or_default();
        UserStatement {
            account: Some(self.account.name.clone()),
            setup: SqlBytes(setup.into()),
            verb: match said.verb {
                AccountVerb::Create => UserVerb::Create,
                AccountVerb::Alter => UserVerb::Alter,
                AccountVerb::Drop => UserVerb::Drop,
                AccountVerb::Rename(pairs) => UserVerb::Rename(pairs),
                AccountVerb::Privileges => UserVerb::Privileges,
                AccountVerb::Flush => UserVerb::Flush,
            },
            accounts: said.accounts,
            roles: said.roles,
            place: match said.place {
                GrantPlace::Servers => UserPlace::Server,
                GrantPlace::Shards { keyspace, home_only } => {
                    UserPlace::Shards { keyspace: keyspace.as_str().into(), home_only }
                }
            },
            requires_tls: said.requires_tls,
            pieces: said.pieces.into_iter().map(piece).collect(),
        }
    }
}

/// What the client is told of how a statement ended.
fn outcome(ended: &Operation, map: &Map) -> Result<Vec<Warning>, ProxyError> {
    let (done, all) = ended.progress();
    let id = ended.id;
    let other = |message: String| Err(ClientError::new(ErrorCode::UNKNOWN, message).into());
    match ended.state {
        OperationState::Finished => Ok(ended.warnings.iter().map(|said| warning(said, map)).collect()),
        OperationState::Refused => match &ended.refusal {
            Some(said) => Err(ProxyError::Server(packet(said, &said.text, map))),
            None => other(format!("{id} was refused, and nothing was done")),
        },
        OperationState::Cancelled => {
            let message = format!("Query execution was interrupted: {id} was given up, and nothing was done");
            Err(ClientError::new(ErrorCode::INTERRUPTED, message).into())
        }
        OperationState::GivenUp => {
            other(format!("{id} was given up when it was done on {done} of {all} servers"))
        }
        OperationState::Running | OperationState::Undoing => {
            let refused = ended.targets.iter().find_map(|(target, state)| match state {
                TargetState::Refused { error, .. } => Some((target, error)),
                _ => None,
            });
            let Some((target, said)) = refused else { return other(format!("{id} goes on")) };
            let server = server_of(*target).map(|server| server.to_string()).unwrap_or_default();
            let number = id.0;
            let text = format!(
                "{} (on {server}; {id} is half done, on {done} of {all} servers: remove what is in the way and say podway operation retry {number}, or podway operation give-up {number})",
                said.text
            );
            Err(ProxyError::Server(packet(said, &text, map)))
        }
    }
}

fn server_of(target: Target) -> Option<ServerId> {
    match target {
        Target::Server(server) => Some(server),
        Target::Shard(_) => None,
    }
}

fn packet(said: &ServerMessage, text: &str, map: &Map) -> ErrPacket {
    let state: [u8; 5] = said.state.as_bytes().try_into().unwrap_or(GENERAL);
    ErrPacket { code: said.code, state, message: logical(text, map) }
}

fn warning(said: &ServerMessage, map: &Map) -> Warning {
    Warning { level: said.state.as_bytes().to_vec(), code: said.code, message: logical(&said.text, map) }
}

/// A text with keyspaces' names for all their schemas', the longest first: one may begin with another.
fn logical(text: &str, map: &Map) -> Vec<u8> {
    let mut changes: Vec<NameChange> = Vec::new();
    for keyspace in map.keyspaces() {
        let logical = keyspace.name.as_str().as_bytes();
        let others = keyspace.shards.iter().filter(|shard| shard.schema != keyspace.name);
        changes.extend(others.map(|shard| NameChange {
            physical: shard.schema.as_str().as_bytes().to_vec(),
            logical: logical.to_vec(),
        }));
    }
    changes.sort_by_key(|change| std::cmp::Reverse(change.physical.len()));
    changes.iter().fold(text.as_bytes().to_vec(), |text, change| change.text(&text))
}
