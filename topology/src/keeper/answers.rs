//! What the leader answers, and what any node answers from its own state.

use std::time::Duration;

use openraft::error::{CheckIsLeaderError, ClientWriteError, RaftError};
use podway_topology_api::{
    Answer, Command, Credentials, LONGEST_WAIT, LogTime, Member, NodeId, Operation, OperationId, Proposal,
    ProposeError, ProxyCommand, Registration, StoreError, View,
};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::leader::{away, garbled};
use super::{Asked, Keeper};
use crate::raft::types::Logged;
use crate::state::State;

/// A node that is this far behind is no help to a linearizable read.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(2);

/// Changes that wait for their majority at a time; more are told to come again.
pub const MOST_UNDER_WAY: usize = 4_096;

type WriteError = RaftError<NodeId, ClientWriteError<NodeId, Member>>;

impl Keeper {
    /// Answers as the leader, as JSON; [`StoreError::Away`] if this node is not, or no longer.
    pub async fn answer(&self, asked: Asked) -> Result<Vec<u8>, StoreError> {
        match asked {
            Asked::Propose(proposal) => printed(&self.propose_here(proposal).await?),
            Asked::ReadIndex => printed(&self.read_index_here().await?),
            Asked::Beat(beat) => printed(&self.beat_here(beat).await?),
            Asked::Members => printed(&self.members_as_leader()?),
            Asked::ChangeMembers(change) => printed(&self.change_members_here(change).await?),
        }
    }

    /// Puts a proposal into the log and waits for what the state says to it.
    pub(super) async fn propose_here(&self, proposal: Proposal) -> Result<Answer, StoreError> {
        let _under_way = self.under_way.try_acquire().map_err(|_| away("too many changes at once"))?;
        let logged = Logged { at: self.stamp(), proposal };
        let written = self.raft.client_write(logged).await.map_err(|error| not_written(&error))?;
        written.data.0.ok_or_else(|| StoreError::Garbled("the entry had no answer".to_owned()))
    }

    async fn read_index_here(&self) -> Result<u64, StoreError> {
        let read = self.raft.get_read_log_id().await.map_err(|error| match error {
            RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_)) => {
                away("the leader does not reach a majority")
            }
            other => away(&other.to_string()),
        });
        Ok(read?.0.map_or(0, |id| id.index))
    }

    /// Everything that a reader may see.
    pub async fn read(&self, linearizable: bool) -> Result<View, StoreError> {
        if linearizable {
            self.catch_up().await?;
        }
        Ok(self.machine.look(State::view))
    }

    /// Waits until this node has every change that was answered before.
    async fn catch_up(&self) -> Result<(), StoreError> {
        let index: u64 = self.ask_leader(Asked::ReadIndex).await?;
        let applied = self.raft.wait(Some(CAUGHT_UP_WITHIN));
        let caught_up = applied.applied_index_at_least(Some(index), "a linearizable read").await;
        caught_up.map(drop).map_err(|error| away(&error.to_string()))
    }

    /// Waits until an operation is settled, a bounded time; the operation as it is then.
    pub async fn operation(
        &self,
        id: OperationId,
        within: Duration,
    ) -> Result<Option<Operation>, StoreError> {
        self.catch_up().await?;
        let give_up = Instant::now() + within.min(LONGEST_WAIT);
        let (mut news, mut stopping) = (self.raft.metrics(), self.stopping());
        loop {
            news.mark_unchanged();
            let known = self.machine.look(|state| state.operation(id).cloned());
            let is_settled = known.as_ref().is_none_or(Operation::is_settled);
            if is_settled || *stopping.borrow_and_update() || Instant::now() >= give_up {
                return Ok(known);
            }
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return Ok(known) },
                _ = stopping.changed() => {}
                () = sleep_until(give_up) => {}
            }
        }
    }

    /// Makes a proxy known. `proposal` registers it.
    pub async fn register(&self, proposal: Proposal) -> Result<Registration, ProposeError> {
        let Command::Proxy(ProxyCommand::Register(_)) = proposal.command else {
            return Err(StoreError::Garbled("a proxy registers with the command for it".to_owned()).into());
        };
        let done = self.propose(proposal).await??;
        // The entry is applied where it was proposed; this node may be behind.
        self.read(true).await?;
        self.machine.look(|state| {
            let secret = state.secret().cloned().ok_or_else(|| away("the cluster has no secret yet"))?;
            Ok(Registration::new(&done, secret, state.time()).ok_or_else(|| {
                StoreError::Garbled("a registration was answered with something else".to_owned())
            })?)
        })
    }

    /// What lets a caller into the servers.
    pub async fn credentials(&self) -> Result<Credentials, StoreError> {
        let view = self.read(true).await?;
        self.machine.look(|state| {
            let secret = state.secret().cloned().ok_or_else(|| away("the cluster has no secret yet"))?;
            let servers = view.servers.iter().map(|server| server.id);
            let admins = servers.filter_map(|id| Some((id, state.admin(id)?.clone())));
            Ok(Credentials { secret, admins: admins.collect() })
        })
    }

    /// The topology's clock, as this node has it.
    pub fn log_time(&self) -> LogTime {
        self.machine.look(State::time)
    }
}

fn printed<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| garbled(&error))
}

pub(super) fn not_written(error: &WriteError) -> StoreError {
    match error {
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => {
            StoreError::Members(error.to_string())
        }
        other => away(&other.to_string()),
    }
}
