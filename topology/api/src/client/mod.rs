//! The way to a topology that runs elsewhere: several addresses, any of which will do. It asks the next one where one fails, follows hints to
//! the leader, and gives up at a deadline. It keeps no copy of anything.

mod ways;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use podway_model::Revision;
use rand::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::contract::{
    BeatRequest, ChangeMembersRequest, CredentialsRequest, MembersRequest, OperationRequest, ProposeRequest,
    ReadRequest, RegisterRequest, WatchReply, WatchRequest, watch_reply,
};
use crate::status::{describe, from_status, hint, is_worth_another_try};
use crate::{
    Answer, Beat, BeatAnswer, ClientTls, Credentials, LONGEST_WAIT, MemberChange, Members, Operation,
    OperationId, Proposal, ProposeError, ProxyInfo, Refusal, Registration, StoreError, Token, TopologyStore,
    View, WatchEvent, WatchMessage, WatchStream, Wire, registering,
};
use ways::{Way, Ways};

/// One node gets so long for an ordinary question before another is asked.
const ATTEMPT: Duration = Duration::from_millis(2_500);
/// The pause after all nodes failed, doubled each round …
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// … up to this; each pause is a random part of it.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Adding a node takes as long as it takes to bring it the log.
const MEMBERS_WITHIN: Duration = Duration::from_secs(120);

/// Where the topology is, and how to come in.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The nodes that are known: `host:port` each; one that answers is enough.
    pub addresses: Vec<String>,
    /// Encryption; `None`: none.
    pub tls: Option<ClientTls>,
    /// Shown to the nodes, if they want one.
    pub token: Option<Token>,
    /// An answer that takes longer is not waited for. Changes of the nodes have a deadline of their own.
    pub deadline: Duration,
    /// Which network leads there.
    pub wire: Wire,
}

impl ClientConfig {
    /// Without TLS and token, with the usual deadline.
    pub fn plain(addresses: Vec<String>) -> ClientConfig {
        let deadline = ClientConfig::USUAL_DEADLINE;
        ClientConfig { addresses, tls: None, token: None, deadline, wire: Wire::default() }
    }

    /// Outlasts an election several times over.
    pub const USUAL_DEADLINE: Duration = Duration::from_secs(10);
}

/// Why a client cannot be made of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ClientConfigError {
    /// There is nobody to ask.
    #[error("no address of a topology node is given")]
    NoAddress,
    /// An address that is none.
    #[error("{address:?} is no address of a topology node (host:port): {reason}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A topology elsewhere. Clones share connections.
#[derive(Clone, Debug)]
pub struct TopologyClient {
    ways: Arc<Ways>,
    deadline: Duration,
}

impl TopologyClient {
    /// Connects when it is first asked something.
    pub fn new(config: ClientConfig) -> Result<TopologyClient, ClientConfigError> {
        let deadline = config.deadline;
        Ok(TopologyClient { ways: Arc::new(Ways::new(config)?), deadline })
    }

    /// Asks nodes until one answers or `within` has passed.
    async fn ask<Q, A, F>(
        &self,
        question: Q,
        within: Duration,
        attempt: Duration,
        ask: impl Fn(Way, Request<Q>) -> F + Send + Sync,
    ) -> Result<A, StoreError>
    where
        Q: Clone + Send + Sync,
        A: Send,
        F: Future<Output = Result<Response<A>, Status>> + Send,
    {
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut failures = 0;
        loop {
            let left = within.saturating_sub(start.elapsed());
            let way = self.ways.current();
            let request = self.ways.request(question.clone(), left.min(attempt));
            let asked = tokio::time::timeout(left.min(attempt), ask(way.clone(), request)).await;
            let status = match asked {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("no answer"),
            };
            if !is_worth_another_try(&status) {
                return Err(match from_status(&status, start.elapsed()) {
                    // Only a stream that has begun can be too slow: this is gRPC's own code for a message that is too large.
                    StoreError::TooSlow => StoreError::Garbled(describe(&status)),
                    error => error,
                });
            }
            tracing::debug!(node = %way.address, error = %describe(&status), "a topology node did not answer");
            failures += 1;
            self.ways.leave(&way, hint(&status));
            if failures % self.ways.len() == 0 {
                let left = within.saturating_sub(start.elapsed());
                tokio::time::sleep(some_of(pause).min(left)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            if start.elapsed() >= within {
                let last = format!("{}: {}", way.address, describe(&status));
                return Err(StoreError::Away { waited: start.elapsed(), last });
            }
        }
    }
}

/// A random part of a pause, so that clients that lost one node do not all come to the next at once.
fn some_of(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

fn printed<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Garbled(error.to_string()))
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Garbled(error.to_string()))
}

impl TopologyStore for TopologyClient {
    async fn propose_once(&self, proposal: Proposal) -> Result<Answer, StoreError> {
        let question = ProposeRequest { proposal: printed(&proposal)?.into() };
        let ask = |mut way: Way, request| async move { way.client.propose(request).await };
        parsed(&self.ask(question, self.deadline, ATTEMPT, ask).await?.answer)
    }

    async fn read(&self, linearizable: bool) -> Result<View, StoreError> {
        let ask = |mut way: Way, request| async move { way.client.read(request).await };
        parsed(&self.ask(ReadRequest { linearizable }, self.deadline, ATTEMPT, ask).await?.view)
    }

    async fn watch(&self, from: Revision) -> Result<WatchStream, StoreError> {
        // Only the stream's beginning has a deadline.
        let ask = |mut way: Way, request| async move {
            let opened = way.client.watch(request).await?;
            Ok(opened.map(|stream| (way, stream)))
        };
        let question = WatchRequest { from: from.0 };
        let (way, stream) = self.ask(question, self.deadline, ATTEMPT, ask).await?;
        let ways = self.ways.clone();
        let messages = assembled(stream);
        // A stream that ends badly ends the use of its node: the next watch begins elsewhere.
        Ok(Box::pin(messages.inspect(move |message| {
            if matches!(message, Err(StoreError::Away { .. })) {
                ways.leave(&way, None);
            }
        })))
    }

    async fn register(&self, proxy: ProxyInfo) -> Result<Registration, ProposeError> {
        let question = RegisterRequest { proposal: printed(&registering(proxy))?.into() };
        let ask = |mut way: Way, request| async move { way.client.register(request).await };
        let reply = self.ask(question, self.deadline, ATTEMPT, ask).await?;
        let registration: Result<Registration, Refusal> = parsed(&reply.registration)?;
        Ok(registration?)
    }

    async fn credentials(&self) -> Result<Credentials, StoreError> {
        let ask = |mut way: Way, request| async move { way.client.credentials(request).await };
        parsed(&self.ask(CredentialsRequest {}, self.deadline, ATTEMPT, ask).await?.credentials)
    }

    async fn beat(&self, beat: Beat) -> Result<BeatAnswer, StoreError> {
        let question = BeatRequest { beat: printed(&beat)?.into() };
        let ask = |mut way: Way, request| async move { way.client.report(request).await };
        parsed(&self.ask(question, self.deadline, ATTEMPT, ask).await?.answer)
    }

    async fn operation(&self, id: OperationId, within: Duration) -> Result<Option<Operation>, StoreError> {
        let within = within.min(LONGEST_WAIT);
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let question = OperationRequest { id: id.0, within_ms };
        let ask = |mut way: Way, request| async move { way.client.operation(request).await };
        parsed(&self.ask(question, self.deadline + within, ATTEMPT + within, ask).await?.operation)
    }

    async fn members(&self) -> Result<Members, StoreError> {
        let ask = |mut way: Way, request| async move { way.client.members(request).await };
        parsed(&self.ask(MembersRequest {}, self.deadline, ATTEMPT, ask).await?.members)
    }

    async fn change_members(&self, change: MemberChange) -> Result<Members, StoreError> {
        let question = ChangeMembersRequest { change: printed(&change)?.into() };
        let ask = |mut way: Way, request| async move { way.client.change_members(request).await };
        parsed(&self.ask(question, MEMBERS_WITHIN, MEMBERS_WITHIN, ask).await?.members)
    }
}

/// The messages of a stream, a snapshot's pieces put together.
fn assembled(
    stream: impl Stream<Item = Result<WatchReply, Status>> + Send + 'static,
) -> impl Stream<Item = Result<WatchMessage, StoreError>> + Send {
    let mut pieces = Vec::new();
    stream.filter_map(move |reply| {
        let message = match reply {
            Ok(reply) => understood(reply, &mut pieces).transpose(),
            Err(status) => Some(Err(from_status(&status, Duration::ZERO))),
        };
        futures::future::ready(message)
    })
}

fn understood(
    reply: WatchReply,
    pieces: &mut Vec<podway_model::Change>,
) -> Result<Option<WatchMessage>, StoreError> {
    let message = reply.message.ok_or_else(|| StoreError::Garbled("an empty message".to_owned()))?;
    Ok(Some(match message {
        watch_reply::Message::Snapshot(part) => {
            pieces.extend(parsed::<Vec<_>>(&part.changes)?);
            if !part.last {
                return Ok(None);
            }
            let changes = std::mem::take(pieces);
            WatchMessage::Snapshot(WatchEvent { revision: Revision(part.revision), changes })
        }
        watch_reply::Message::Event(event) => {
            let changes = parsed(&event.changes)?;
            WatchMessage::Event(WatchEvent { revision: Revision(event.revision), changes })
        }
        watch_reply::Message::Progress(progress) => WatchMessage::Progress {
            revision: Revision(progress.revision),
            log_time_ms: progress.log_time_ms,
        },
    }))
}
