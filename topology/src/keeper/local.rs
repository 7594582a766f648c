//! A node as the store of whoever runs in the same process: without a connection, a token or a copy of what it answers.

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use podway_model::{Change, Revision};
use podway_topology_api::{
    Answer, Beat, BeatAnswer, Credentials, MemberChange, Members, Operation, OperationId, Proposal,
    ProposeError, ProxyInfo, Registration, StoreError, TopologyStore, View, WatchEvent, WatchMessage,
    WatchStream, registering,
};

use super::leader::garbled;
use super::{Keeper, Told, Watching};

/// A node in this process.
#[derive(Clone)]
pub struct LocalStore(pub(crate) Arc<Keeper>);

impl std::fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LocalStore").field(&self.0.myself.node).finish()
    }
}

impl TopologyStore for LocalStore {
    async fn propose_once(&self, proposal: Proposal) -> Result<Answer, StoreError> {
        self.0.propose(proposal).await
    }

    async fn read(&self, linearizable: bool) -> Result<View, StoreError> {
        self.0.read(linearizable).await
    }

    async fn watch(&self, from: Revision) -> Result<WatchStream, StoreError> {
        let watching = Watching::new(self.0.clone(), from.0);
        Ok(Box::pin(stream::unfold(Some(watching), |watching| async move {
            let mut watching = watching?;
            match message(&mut watching).await {
                Ok(message) => Some((Ok(message), Some(watching))),
                Err(error) => Some((Err(error), None)),
            }
        })))
    }

    async fn register(&self, proxy: ProxyInfo) -> Result<Registration, ProposeError> {
        self.0.register(registering(proxy)).await
    }

    async fn credentials(&self) -> Result<Credentials, StoreError> {
        self.0.credentials().await
    }

    async fn beat(&self, beat: Beat) -> Result<BeatAnswer, StoreError> {
        self.0.beat(beat).await
    }

    async fn operation(&self, id: OperationId, within: Duration) -> Result<Option<Operation>, StoreError> {
        self.0.operation(id, within).await
    }

    async fn members(&self) -> Result<Members, StoreError> {
        self.0.members().await
    }

    async fn change_members(&self, change: MemberChange) -> Result<Members, StoreError> {
        self.0.change_members(change).await
    }
}

async fn message(watching: &mut Watching) -> Result<WatchMessage, StoreError> {
    let mut whole: Vec<Change> = Vec::new();
    let parsed = |bytes: &[u8]| serde_json::from_slice(bytes).map_err(|error| garbled(&error));
    loop {
        match watching.next().await? {
            Told::Snapshot { revision, changes, last } => {
                let piece: Vec<Change> = parsed(&changes)?;
                whole.extend(piece);
                if last {
                    let event = WatchEvent { revision: Revision(revision), changes: whole };
                    return Ok(WatchMessage::Snapshot(event));
                }
            }
            Told::Event(event) => {
                let changes = parsed(&event.changes)?;
                return Ok(WatchMessage::Event(WatchEvent { revision: Revision(event.revision), changes }));
            }
            Told::Progress { revision, log_time_ms } => {
                return Ok(WatchMessage::Progress { revision: Revision(revision), log_time_ms });
            }
        }
    }
}
