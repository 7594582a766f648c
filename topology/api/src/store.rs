//! What a topology can be asked, whoever keeps it and wherever: a remote cluster through its client, a node in the same process, one day
//! another store. It never says how.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use podway_model::{Change, Revision};
use tokio::sync::Mutex;

use crate::{
    Answer, Beat, BeatAnswer, ClientId, Command, Credentials, Done, MemberChange, Members, Operation,
    OperationId, Proposal, ProxyCommand, ProxyInfo, Refusal, Registration, View, WatchEvent,
};

/// The longest that one question waits for an operation.
pub const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What follows the map, message by message.
pub type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchMessage, StoreError>> + Send>>;

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchMessage {
    /// The whole map: comes first, and only to a watcher whose revision is no longer kept.
    Snapshot(WatchEvent),
    /// The next change; none is left out between two messages of one stream.
    Event(WatchEvent),
    /// All that is known there has been said. Comes about once a second.
    Progress {
        /// The node's newest revision.
        revision: Revision,
        /// The topology's clock as the node knows it: milliseconds since 1970.
        log_time_ms: u64,
    },
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No node could answer in time. A change that was proposed may have been made, or may be yet: proposing it again under the same number
    /// finds out.
    #[error("the topology did not answer within {waited:?}: {last}")]
    Away {
        /// How long it was tried.
        waited: Duration,
        /// What was heard last.
        last: String,
    },
    /// The caller could not prove who it is.
    #[error("the topology does not let this caller in: {0}")]
    NotLetIn(String),
    /// The caller is known, but has no right to this.
    #[error("the topology refuses this: {0}")]
    NotAllowed(String),
    /// A watcher read more slowly than the map changed: it has to begin again.
    #[error("the watch fell too far behind")]
    TooSlow,
    /// The nodes cannot be changed like this, or not now.
    #[error("{0}")]
    Members(String),
    /// The two sides do not understand each other: their versions differ too much, or the request is too large.
    #[error("the topology's answer cannot be used: {0}")]
    Garbled(String),
}

/// Why a change was not made, or may not have been.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProposeError {
    /// The topology says no, and has not changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A topology.
pub trait TopologyStore: Clone + Send + Sync + 'static {
    /// Makes a change once, however often it is proposed under its client's number and sequence. Answered when the change cannot be lost.
    fn propose_once(&self, proposal: Proposal) -> impl Future<Output = Result<Answer, StoreError>> + Send;

    /// Everything that a reader may see; `linearizable`: with every change that was answered before, even to others.
    fn read(&self, linearizable: bool) -> impl Future<Output = Result<View, StoreError>> + Send;

    /// Follows the map from the revision that the caller has; from 0: begins with the whole map.
    fn watch(&self, from: Revision) -> impl Future<Output = Result<WatchStream, StoreError>> + Send;

    /// Makes a proxy known, as a new incarnation.
    fn register(&self, proxy: ProxyInfo) -> impl Future<Output = Result<Registration, ProposeError>> + Send;

    /// What lets the caller into the servers, with every change that was answered before.
    fn credentials(&self) -> impl Future<Output = Result<Credentials, StoreError>> + Send;

    /// Says that a proxy is alive and what it has applied; answered when its lease is renewed.
    fn beat(&self, beat: Beat) -> impl Future<Output = Result<BeatAnswer, StoreError>> + Send;

    /// Waits until an operation has ended or needs somebody, at most `within` and at most [`LONGEST_WAIT`]; the operation as it is then, or `None` where there is no
    /// such one. With every change that was answered before.
    fn operation(
        &self,
        id: OperationId,
        within: Duration,
    ) -> impl Future<Output = Result<Option<Operation>, StoreError>> + Send;

    /// Who the nodes are, and how they stand.
    fn members(&self) -> impl Future<Output = Result<Members, StoreError>> + Send;

    /// Adds, removes or replaces a node; answered when it is done.
    fn change_members(
        &self,
        change: MemberChange,
    ) -> impl Future<Output = Result<Members, StoreError>> + Send;
}

/// Proposes changes one after another in one name, each under its own number.
#[derive(Debug)]
pub struct Proposer<S> {
    store: S,
    client: ClientId,
    who: Box<str>,
    sequence: Mutex<u64>,
}

impl<S: TopologyStore> Proposer<S> {
    /// Proposes to `store` in the name of `who`, as the topology's log of changes will say.
    pub fn new(store: S, who: &str) -> Proposer<S> {
        Proposer { store, client: ClientId(rand::random()), who: who.into(), sequence: Mutex::new(0) }
    }

    /// Makes a change. Changes of one proposer wait for each other: the topology remembers the last answer only.
    pub async fn propose(&self, command: Command) -> Result<Done, ProposeError> {
        let mut sequence = self.sequence.lock().await;
        *sequence += 1;
        let proposal = Proposal { client: self.client, sequence: *sequence, who: self.who.clone(), command };
        Ok(self.store.propose_once(proposal).await??)
    }
}

/// The proposal that registers a proxy: under a number of its own, so that only its retries are the same registration.
pub fn registering(proxy: ProxyInfo) -> Proposal {
    let who = proxy.name.clone();
    let command = Command::Proxy(ProxyCommand::Register(proxy));
    Proposal { client: ClientId(rand::random()), sequence: 1, who, command }
}

impl WatchMessage {
    /// The changes it carries, if it does.
    pub fn changes(&self) -> Option<&[Change]> {
        match self {
            WatchMessage::Snapshot(event) | WatchMessage::Event(event) => Some(&event.changes),
            WatchMessage::Progress { .. } => None,
        }
    }
}
