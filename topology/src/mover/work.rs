//! Each step of a move, on the servers it concerns. Every step opens its control sessions anew: that alone ends what an earlier leader, or an earlier try, still has
//! under way there.

use std::collections::BTreeSet;

use podway_model::ServerId;
use podway_topology_api::{Incarnation, OperationId, ShardMove, Term};

use super::error::MoveError;
use super::plan::Work;
use super::servers::{
    Arrival, Control, Login, Owner, catch_up, check_branches, check_fence, clean_up, fence, prepare, revoke,
    shut_out, undo, unfence,
};
use crate::keeper::Keeper;

/// One try of one step.
pub(super) struct Worker<'a> {
    pub(super) keeper: &'a Keeper,
    pub(super) operation: OperationId,
    pub(super) one: &'a ShardMove,
    pub(super) term: Term,
    pub(super) has_fence: bool,
}

impl Worker<'_> {
    /// Does it, all of it.
    pub(super) async fn work(&self, work: &Work) -> Result<(), MoveError> {
        match work {
            Work::Prepare => {
                let (mut source, mut target) = self.both().await?;
                prepare(&mut source, &mut target, &self.arrival()).await
            }
            Work::Drained | Work::Retire => Ok(()),
            Work::ShutOut(proxies) => self.shut_out(proxies).await,
            Work::ResolveBranches => check_branches(&mut self.open(self.one.from).await?).await,
            Work::Fence => {
                let mut source = self.open(self.one.from).await?;
                if self.has_fence { fence(&mut source, &self.one.from_schema).await } else { Ok(()) }
            }
            Work::CatchUp => {
                let (mut source, mut target) = self.both().await?;
                self.check_fence(&mut source).await?;
                catch_up(&mut source, &mut target, &self.arrival()).await
            }
            Work::Flip => {
                let (mut source, _target) = self.both().await?;
                self.check_fence(&mut source).await
            }
            Work::Revoke => {
                let (mut source, mut target) = self.both().await?;
                let live = self.keeper.machine.look(|state| state.live_proxies());
                revoke(&mut source, &self.one.from_schema, &live).await?;
                clean_up(&mut target, &self.arrival()).await
            }
            Work::Undo { is_fenced } => self.undo(*is_fenced).await,
        }
    }

    /// The source first: its clients wait. They do not wait for a target that is away: what was left there is dropped by the next move to that place.
    async fn undo(&self, is_fenced: bool) -> Result<(), MoveError> {
        if is_fenced {
            unfence(&mut self.open(self.one.from).await?, &self.one.from_schema).await?;
        }
        let undone = async { undo(&mut self.open(self.one.to).await?, &self.arrival()).await }.await;
        match undone {
            Err(error) if error.is_away() => {
                tracing::warn!(operation = %self.operation, %error, "what a cancelled move left there stays");
                Ok(())
            }
            undone => undone,
        }
    }

    async fn shut_out(&self, proxies: &[Incarnation]) -> Result<(), MoveError> {
        if proxies.is_empty() {
            return Ok(());
        }
        let servers: BTreeSet<ServerId> =
            self.keeper.machine.look(|state| state.map().servers().map(|server| server.id).collect());
        for server in servers {
            shut_out(&mut self.open(server).await?, proxies).await?;
        }
        Ok(())
    }

    async fn check_fence(&self, source: &mut Control) -> Result<(), MoveError> {
        if self.has_fence { check_fence(source, &self.one.from_schema).await } else { Ok(()) }
    }

    fn arrival(&self) -> Arrival<'_> {
        Arrival {
            operation: self.operation,
            from_schema: &self.one.from_schema,
            to_schema: &self.one.to_schema,
        }
    }

    async fn both(&self) -> Result<(Control, Control), MoveError> {
        Ok((self.open(self.one.from).await?, self.open(self.one.to).await?))
    }

    async fn open(&self, id: ServerId) -> Result<Control, MoveError> {
        let login = self.keeper.machine.look(|state| {
            let server = state.map().server(id)?;
            let admin = state.admin(id)?;
            Some(Login {
                name: state.server_name(id),
                host: server.host.clone(),
                port: server.port,
                uuid: server.uuid.clone(),
                user: admin.user.clone(),
                password: admin.password.clone(),
            })
        });
        let login = login.ok_or_else(|| MoveError::Refused(format!("{id} is not known any more")))?;
        let cluster = self.keeper.myself.cluster.get();
        let owner = Owner {
            cluster: cluster.map(ToString::to_string).unwrap_or_default(),
            term: self.term,
            work: None,
        };
        Control::open(login, owner).await
    }
}
