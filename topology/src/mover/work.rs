//! Each step of a move, on the servers it concerns, and the end of what a shard left behind.

use std::collections::BTreeSet;

use podway_model::ServerId;
use podway_topology_api::{Incarnation, OperationId, RetiredSchema, ShardMove};

use super::error::MoveError;
use super::plan::Work;
use super::servers::{
    Arrival, Control, catch_up, check_branches, check_fence, clean_up, drop_left, fence, forget_withheld,
    give_back, prepare, revoke, shut_out, undo, unfence, withhold,
};
use super::sessions::Sessions;
use crate::keeper::Keeper;
use crate::move_probe::Moves;

/// One try of one step.
pub(super) struct Worker<'a> {
    pub(super) keeper: &'a Keeper,
    pub(super) sessions: &'a mut Sessions,
    pub(super) operation: OperationId,
    pub(super) one: &'a ShardMove,
    pub(super) moves: &'a Moves,
}

impl Worker<'_> {
    /// Does it, all of it.
    pub(super) async fn work(&mut self, work: &Work) -> Result<(), MoveError> {
        let one = self.one;
        let arrival =
            Arrival { operation: self.operation, from_schema: &one.from_schema, to_schema: &one.to_schema };
        match work {
            Work::Prepare => {
                let (mut source, mut target) = self.both().await?;
                prepare(&mut source, &mut target, &arrival).await?;
                self.put_back(Some(source), Some(target));
            }
            Work::Drained | Work::Retire => {}
            Work::ShutOut(proxies) => self.shut_out(proxies).await?,
            Work::ResolveBranches => {
                let mut source = self.sessions.take(one.from).await?;
                check_branches(&mut source).await?;
                self.put_back(Some(source), None);
            }
            Work::Fence => {
                let mut source = self.sessions.take(one.from).await?;
                if self.moves.has_fence {
                    fence(&mut source, &one.from_schema).await?;
                }
                self.put_back(Some(source), None);
            }
            Work::CatchUp => {
                let (mut source, mut target) = self.both().await?;
                self.check_fence(&mut source).await?;
                catch_up(&mut source, &mut target, &arrival).await?;
                self.put_back(Some(source), Some(target));
            }
            Work::Flip(late) => {
                self.shut_out(late).await?;
                let (mut source, target) = self.both().await?;
                self.check_fence(&mut source).await?;
                withhold(&mut source, &arrival, self.spared().as_deref()).await?;
                self.put_back(Some(source), Some(target));
            }
            Work::Revoke => {
                let (mut source, mut target) = self.both().await?;
                revoke(&mut source, &one.from_schema, self.spared().as_deref()).await?;
                forget_withheld(&mut source, &one.from_schema).await?;
                clean_up(&mut target, &arrival).await?;
                self.put_back(Some(source), Some(target));
            }
            Work::Undo { is_fenced } => self.undo(*is_fenced, &arrival).await?,
        }
        Ok(())
    }

    /// The source first: its clients wait. They do not wait for a target that is away: what was left there is dropped by the next move to that place.
    async fn undo(&mut self, is_fenced: bool, arrival: &Arrival<'_>) -> Result<(), MoveError> {
        if is_fenced {
            let mut source = self.sessions.take(self.one.from).await?;
            give_back(&mut source, arrival.from_schema).await?;
            unfence(&mut source, arrival.from_schema).await?;
            self.put_back(Some(source), None);
        }
        let target = self.sessions.take(self.one.to);
        let undone = async { undo(&mut target.await?, arrival).await }.await;
        match undone {
            Err(error) if error.is_away() => {
                tracing::warn!(operation = %self.operation, %error, "what a cancelled move left there stays");
                Ok(())
            }
            undone => undone,
        }
    }

    async fn shut_out(&mut self, proxies: &[Incarnation]) -> Result<(), MoveError> {
        match proxies.is_empty() || !self.moves.has_shut_out {
            true => Ok(()),
            false => shut_out_everywhere(self.keeper, self.sessions, proxies).await,
        }
    }

    /// Whose threads in the source's schema are left alone: live proxies have a map by which nothing of it is theirs. `None`: everybody's.
    fn spared(&self) -> Option<Vec<Incarnation>> {
        self.moves.has_shut_out.then(|| self.keeper.machine.look(|state| state.live_proxies()))
    }

    async fn check_fence(&self, source: &mut Control) -> Result<(), MoveError> {
        if self.moves.has_fence { check_fence(source, &self.one.from_schema).await } else { Ok(()) }
    }

    async fn both(&mut self) -> Result<(Control, Control), MoveError> {
        tokio::try_join!(self.sessions.take(self.one.from), self.sessions.take(self.one.to))
    }

    fn put_back(&mut self, source: Option<Control>, target: Option<Control>) {
        for (id, control) in [(self.one.from, source), (self.one.to, target)] {
            if let Some(control) = control {
                self.sessions.put_back(id, control);
            }
        }
    }
}

/// Ends what proxies without a lease have on any server.
pub(super) async fn shut_out_everywhere(
    keeper: &Keeper,
    sessions: &mut Sessions,
    proxies: &[Incarnation],
) -> Result<(), MoveError> {
    let servers: BTreeSet<ServerId> =
        keeper.machine.look(|state| state.map().servers().map(|server| server.id).collect());
    for server in servers {
        let mut control = sessions.take(server).await?;
        shut_out(&mut control, proxies).await?;
        sessions.put_back(server, control);
    }
    Ok(())
}

/// Drops a schema that a shard left.
pub(super) async fn drop_retired(
    keeper: &Keeper,
    sessions: &mut Sessions,
    retired: &RetiredSchema,
) -> Result<(), MoveError> {
    let (live, gone) = keeper.machine.look(|state| (state.live_proxies(), state.gone_proxies()));
    let mut control = sessions.take(retired.server).await?;
    drop_left(&mut control, retired.schema.as_str(), &live, &gone).await
}
