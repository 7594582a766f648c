//! A transaction that is open on several servers: what all of them are told, and how it ends.

use std::collections::BTreeSet;

use podway_model::{HybridTime, Name, ServerId};
use podway_router::Statement;

use super::core::Session;
use super::state::Warning;
use crate::backend::BackendConnection;
use crate::clock::NoStamp;
use crate::error::{ClientError, ErrorCode, ProxyError};
use crate::txn::{Ended, Ending, Outcome, Participants, SideServer, Transaction, Why};

/// ER_BAD_NULL_ERROR: how a decision that comes too late is refused.
const TOO_LATE: u16 = 1048;
/// ER_DUP_ENTRY: another has put a tombstone where the decision was to be.
const GIVEN_UP: u16 = 1062;
/// What a server without Podway's procedures says: ER_BAD_DB_ERROR, ER_SP_DOES_NOT_EXIST, ER_PROCACCESS_DENIED_ERROR.
pub(super) const UNPREPARED: [u16; 3] = [1049, 1305, 1370];

impl Session {
    /// Commits a transaction over several servers, or rolls it back. It goes on to its end if the client leaves meanwhile.
    pub(super) async fn end_distributed(&mut self, wants_commit: bool) -> Result<(), ProxyError> {
        self.late = None;
        if self.state.transaction.is_snapshot() {
            return self.end_snapshot(wants_commit).await;
        }
        let Some(participants) = self.state.transaction.participants() else { return Ok(()) };
        let is_whole = wants_commit && self.is_whole(&participants).await;
        let servers: BTreeSet<ServerId> = servers(&participants).collect();
        let sides = self.sides(&servers);
        let stamp = match is_whole {
            true => self.first_stamp(&participants, &sides).await,
            false => Ok(None),
        };
        let commits = is_whole && stamp.is_ok();
        self.handle.parts_end();
        self.state.transaction = Transaction::None;
        let held = std::mem::take(&mut self.held);
        let (connections, held) = held.into_iter().partition(|held| servers.contains(&held.endpoint().id()));
        self.held = held;
        let connections: Vec<Box<BackendConnection>> = connections;
        let pinned: Vec<ServerId> = connections
            .iter()
            .filter(|connection| connection.is_pinned())
            .map(|connection| connection.endpoint().id())
            .collect();
        let gtrid = participants.gtrid;
        let in_hand = self.shared.transactions.take_in_hand(gtrid);
        let ending = Ending {
            participants,
            connections,
            sides,
            clock: self.shared.transactions.clock.clone(),
            stamp: stamp.as_ref().ok().copied().flatten().unwrap_or_default(),
            step: self.shared.config.client.commit_step,
            safeguards: self.shared.config.safeguards,
        };
        let ended = tokio::spawn(async move {
            let _in_hand = in_hand;
            if commits { ending.commit().await } else { ending.roll_back().await }
        });
        let Ok(Ended { outcome, connections, refused }) = ended.await else {
            return Err(unknown(&gtrid.to_string()));
        };
        let back: Vec<ServerId> = connections.iter().map(|connection| connection.endpoint().id()).collect();
        self.lost |= pinned.iter().any(|server| !back.contains(server));
        for connection in connections {
            self.take_back(connection).await;
        }
        let marked = stamp?;
        match outcome {
            Outcome::RolledBack { why: Why::Client } if wants_commit && !commits => {
                Err(again("A server has ended its part"))
            }
            Outcome::Committed { stamp, in_doubt_elsewhere } => {
                self.state.own.committed(stamp.or(marked));
                self.late = late_warning(&in_doubt_elsewhere, &gtrid.to_string());
                Ok(())
            }
            Outcome::RolledBack { why: Why::Client } => Ok(()),
            Outcome::RolledBack { why } => Err(rolled_back(why, &refused)),
            Outcome::Unknown => Err(unknown(&gtrid.to_string())),
        }
    }

    /// The stamp of a commit: with which one over several servers begins, or which the one server that was written to has in its mark, if it is to have one.
    async fn first_stamp(
        &mut self,
        participants: &Participants,
        sides: &[SideServer],
    ) -> Result<Option<HybridTime>, ProxyError> {
        if participants.needs_stamp() {
            return self.stamp(sides).await.map(Some).map_err(unstamped);
        }
        let alone = self.stamped_alone(&self.state.transaction);
        let place = alone.and_then(|server| self.held.iter().position(|held| held.endpoint().id() == server));
        let Some(place) = place else { return Ok(None) };
        let mut connection = self.held.swap_remove(place);
        let marked = self.mark_alone(&self.state.transaction, &mut connection).await;
        self.held.push(connection);
        marked
    }

    /// The stamp with which a commit over several servers begins.
    async fn stamp(&self, sides: &[SideServer]) -> Result<HybridTime, NoStamp> {
        let transactions = &self.shared.transactions;
        transactions.listen(&self.shared.map.load(), sides).await;
        transactions.clock.stamp()
    }

    /// Whether every server has its part still: a decision without the primary's part would be a half of the transaction.
    async fn is_whole(&mut self, participants: &Participants) -> bool {
        if self.state.transaction.is_broken() {
            return false;
        }
        for server in servers(participants) {
            let Some(held) = self.held.iter_mut().find(|held| held.endpoint().id() == server) else {
                return false;
            };
            // Of a server that was only read nothing is heard again before the commit; with its session what was locked there is gone.
            if !held.is_quiet() || held.refresh_status().await.is_err() || !held.in_transaction() {
                return false;
            }
        }
        true
    }

    /// A connection that has left a transaction.
    pub(super) async fn take_back(&mut self, mut connection: Box<BackendConnection>) {
        if !connection.is_usable() || connection.refresh_status().await.is_err() {
            self.lost |= connection.is_pinned();
            return;
        }
        if connection.in_transaction() {
            self.lost |= connection.is_pinned();
            return;
        }
        self.settle(connection);
    }

    /// Side connections to those of the servers that are in the map.
    pub(super) fn sides(&self, servers: &BTreeSet<ServerId>) -> Vec<SideServer> {
        let newest = self.shared.map.load();
        let place = |server: &ServerId| {
            let known = newest.server(*server).or_else(|| self.under.as_ref()?.server(*server));
            known.map(|known| self.shared.transactions.side.of(known))
        };
        servers.iter().filter_map(place).collect()
    }

    /// Rolls back what is left of a transaction of which a server has ended its part by itself.
    pub(super) async fn mend(&mut self) {
        if self.state.transaction.is_broken()
            && let Err(error) = self.end_distributed(false).await
        {
            tracing::debug!(session = self.handle.id, %error, "what was left of a transaction is rolled back by its servers");
        }
    }

    /// SAVEPOINT, ROLLBACK TO, RELEASE SAVEPOINT on every server of the transaction. The first one knows whether there is such a savepoint.
    pub(super) async fn savepoint_on_all(
        &mut self,
        statement: &Statement,
        name: &Name,
    ) -> Result<(), ProxyError> {
        let quoted = name.as_str().replace('`', "``");
        let text = match statement {
            Statement::Savepoint(_) => format!("SAVEPOINT `{quoted}`"),
            Statement::RollbackTo(_) => format!("ROLLBACK TO SAVEPOINT `{quoted}`"),
            _ => format!("RELEASE SAVEPOINT `{quoted}`"),
        };
        for (nth, server) in self.state.transaction.servers().into_iter().enumerate() {
            let held = self.held.iter_mut().find(|held| held.endpoint().id() == server);
            let done = match held {
                Some(connection) => connection.execute(text.as_bytes()).await.map(|_| ()),
                None => {
                    Err(ClientError::new(ErrorCode::UNKNOWN, "A server of the transaction was lost").into())
                }
            };
            match done {
                Ok(()) => {}
                Err(error @ ProxyError::Server(_)) if nth == 0 => return Err(error),
                Err(error) => {
                    // Some servers have done it and this one has not: there is no way on but back.
                    self.end_distributed(false).await?;
                    return Err(again(&format!("A server could not take part in a savepoint ({error})")));
                }
            }
        }
        self.note_savepoint(statement, name);
        Ok(())
    }

    /// Remembers what the servers have done, for those that join later. That they know a savepoint which is not known here is no error: a routine may have set it.
    pub(super) fn note_savepoint(&mut self, statement: &Statement, name: &Name) {
        let transaction = &mut self.state.transaction;
        let _known = match statement {
            Statement::Savepoint(_) => transaction.set_savepoint(name),
            Statement::RollbackTo(_) => transaction.roll_back_to(name),
            _ => transaction.release(name),
        };
    }
}

/// Those that take part, the primary first.
fn servers(participants: &Participants) -> impl Iterator<Item = ServerId> {
    std::iter::once(&participants.primary).chain(&participants.branches).map(|participant| participant.server)
}

fn rolled_back(
    why: Why,
    refused: &std::collections::BTreeMap<ServerId, podway_wire::ErrPacket>,
) -> ProxyError {
    match why {
        Why::Refused(server) => match refused.get(&server) {
            Some(error) if error.code == TOO_LATE => {
                again("The transaction was decided too late; are the clocks of proxy and server set?")
            }
            Some(error) if error.code == GIVEN_UP => again("The transaction took so long that it was given up"),
            Some(error) if UNPREPARED.contains(&error.code) => ClientError::not_supported(&format!(
                "a transaction that writes on several MySQL servers, of which one is not prepared for it ({})",
                String::from_utf8_lossy(&error.message)
            ))
            .into(),
            Some(error) => ProxyError::Server(error.clone()),
            None => again("A server of the transaction refused to commit"),
        },
        Why::Lost(_) => again("The connection to a server of the transaction was lost"),
        Why::Stamp => again("The stamps of a server of the transaction could not be read"),
        Why::Late => again("The transaction could not be committed within client.commit_step"),
        Why::Client => again("It was asked for"),
    }
}

/// A commit that was refused before anything was prepared. While the clock is as it is it would be refused again: that is no error which drivers try again after.
pub(super) fn unstamped(refused: NoStamp) -> ProxyError {
    if !matches!(refused, NoStamp::Ahead { .. }) {
        return again(&refused.to_string());
    }
    let message = format!(
        "Got error during COMMIT: {refused}; the transaction was rolled back on all servers. What needs no stamp goes on; SHOW PODWAY CLOCKS shows more"
    );
    ClientError::new(ErrorCode::DURING_COMMIT, message).into()
}

pub(super) fn again(why: &str) -> ProxyError {
    let message = format!("{why}: it was rolled back on all servers; try restarting transaction");
    ClientError::new(ErrorCode::TRY_AGAIN, message).into()
}

/// What the client of a committed transaction is warned of: servers that could not be told in time.
fn late_warning(servers: &[ServerId], gtrid: &str) -> Option<Warning> {
    if servers.is_empty() {
        return None;
    }
    let servers: Vec<String> = servers.iter().map(|server| server.0.to_string()).collect();
    let message = format!(
        "The transaction {gtrid} is committed, but server {} could not be told within client.commit_step: its part is seen there when it answers again",
        servers.join(", ")
    );
    Some(Warning {
        level: b"Warning".to_vec(),
        code: ErrorCode::UNKNOWN.number,
        message: message.into_bytes(),
    })
}

fn unknown(gtrid: &str) -> ProxyError {
    let message = format!(
        "It is not known yet whether the transaction {gtrid} was committed: it will be, on all of its servers, or on none; SELECT PODWAY_OUTCOME('{gtrid}') says which"
    );
    ClientError::new(ErrorCode::UNKNOWN, message).into()
}
