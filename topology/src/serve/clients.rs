//! The port for proxies and administrators: each request is unpacked, asked of the keeper, and the answer packed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{Stream, stream};
use podway_topology_api::contract::topology_server::Topology;
use podway_topology_api::contract::{
    BeatReply, BeatRequest, ChangeMembersRequest, CredentialsReply, CredentialsRequest, Event, MembersReply,
    MembersRequest, OperationReply, OperationRequest, Progress, ProposeReply, ProposeRequest, ReadReply,
    ReadRequest, RegisterReply, RegisterRequest, SnapshotPart, WatchReply, WatchRequest, watch_reply,
};
use podway_topology_api::status::{to_status, with_hint};
use podway_topology_api::{
    Command, OperationId, Proposal, ProposeError, ProxyCommand, Refusal, Registration, StoreError,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::codegen::Bytes;
use tonic::{Request, Response, Status};

use super::access::Granted;
use super::rights::Call;
use crate::keeper::{Keeper, Told, Watching};

/// The largest proposal, in bytes of JSON: one entry must fit a message between nodes many times over.
pub const MAX_PROPOSAL: usize = 1 << 20;

/// Watchers of one node; a proxy is one.
pub const MAX_WATCHERS: usize = 4_096;

/// Answers clients from a keeper.
#[derive(Clone)]
pub struct ClientPort {
    keeper: Arc<Keeper>,
    watchers: Arc<AtomicUsize>,
}

/// A watcher's seat, given back when its stream ends.
struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ClientPort {
    /// For this node.
    pub fn new(keeper: Arc<Keeper>) -> ClientPort {
        ClientPort { keeper, watchers: Arc::default() }
    }

    fn packed<T: Serialize>(&self, answer: Result<T, StoreError>) -> Result<Bytes, Status> {
        let answer = answer.map_err(|error| self.failed(&error))?;
        serde_json::to_vec(&answer).map(Bytes::from).map_err(|error| Status::internal(error.to_string()))
    }

    fn failed(&self, error: &StoreError) -> Status {
        let leader = matches!(error, StoreError::Away { .. }).then(|| self.keeper.leader_address()).flatten();
        with_hint(to_status(error), leader.as_deref())
    }

    fn seat(&self) -> Result<Seat, Status> {
        let seat = Seat(self.watchers.clone());
        if self.watchers.fetch_add(1, Ordering::Relaxed) >= MAX_WATCHERS {
            return Err(Status::unavailable("this node has as many watchers as it can serve"));
        }
        Ok(seat)
    }
}

fn unpacked<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Status> {
    serde_json::from_slice(bytes).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn proposal(bytes: &[u8]) -> Result<Proposal, Status> {
    if bytes.len() > MAX_PROPOSAL {
        let text = format!("a proposal has at most {MAX_PROPOSAL} bytes, not {}", bytes.len());
        return Err(Status::invalid_argument(text));
    }
    let proposal: Proposal = unpacked(bytes)?;
    // The leader gathers these itself; one from elsewhere could end the leases of others' making.
    if matches!(proposal.command, Command::Proxy(ProxyCommand::Beats(_))) {
        return Err(Status::invalid_argument("heartbeats are reported, not proposed"));
    }
    Ok(proposal)
}

type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Topology for ClientPort {
    async fn propose(&self, request: Request<ProposeRequest>) -> Answered<ProposeReply> {
        let granted = Granted::of(&request)?;
        let proposal = proposal(&request.get_ref().proposal)?;
        granted.allows_to_propose(&proposal.command)?;
        let answer = self.packed(self.keeper.propose(proposal).await)?;
        Ok(Response::new(ProposeReply { answer }))
    }

    async fn read(&self, request: Request<ReadRequest>) -> Answered<ReadReply> {
        Granted::of(&request)?.allows(Call::Read)?;
        let view = self.packed(self.keeper.read(request.get_ref().linearizable).await)?;
        Ok(Response::new(ReadReply { view }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchReply, Status>> + Send>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Answered<Self::WatchStream> {
        Granted::of(&request)?.allows(Call::Watch)?;
        let seat = self.seat()?;
        let watching = Watching::new(self.keeper.clone(), request.get_ref().from);
        let told = stream::unfold(Some((watching, seat)), |place| async move {
            let (mut watching, seat) = place?;
            match watching.next().await {
                Ok(told) => Some((Ok(reply(told)), Some((watching, seat)))),
                Err(error) => Some((Err(to_status(&error)), None)),
            }
        });
        Ok(Response::new(Box::pin(told)))
    }

    async fn register(&self, request: Request<RegisterRequest>) -> Answered<RegisterReply> {
        Granted::of(&request)?.allows(Call::Register)?;
        let registered = match self.keeper.register(proposal(&request.get_ref().proposal)?).await {
            Ok(registration) => Ok(Ok::<Registration, Refusal>(registration)),
            Err(ProposeError::Refused(refusal)) => Ok(Err(refusal)),
            Err(ProposeError::Store(error)) => Err(error),
        };
        Ok(Response::new(RegisterReply { registration: self.packed(registered)? }))
    }

    async fn credentials(&self, request: Request<CredentialsRequest>) -> Answered<CredentialsReply> {
        Granted::of(&request)?.allows(Call::Credentials)?;
        let credentials = self.packed(self.keeper.credentials().await)?;
        Ok(Response::new(CredentialsReply { credentials }))
    }

    async fn report(&self, request: Request<BeatRequest>) -> Answered<BeatReply> {
        Granted::of(&request)?.allows(Call::Report)?;
        let beat = unpacked(&request.get_ref().beat)?;
        Ok(Response::new(BeatReply { answer: self.packed(self.keeper.beat(beat).await)? }))
    }

    async fn operation(&self, request: Request<OperationRequest>) -> Answered<OperationReply> {
        Granted::of(&request)?.allows(Call::Read)?;
        let OperationRequest { id, within_ms } = request.into_inner();
        let waited = self.keeper.operation(OperationId(id), Duration::from_millis(within_ms));
        Ok(Response::new(OperationReply { operation: self.packed(waited.await)? }))
    }

    async fn members(&self, request: Request<MembersRequest>) -> Answered<MembersReply> {
        Granted::of(&request)?.allows(Call::Members)?;
        let members = self.packed(self.keeper.members().await)?;
        Ok(Response::new(MembersReply { members }))
    }

    async fn change_members(&self, request: Request<ChangeMembersRequest>) -> Answered<MembersReply> {
        Granted::of(&request)?.allows(Call::ChangeMembers)?;
        let change = unpacked(&request.get_ref().change)?;
        let members = self.packed(self.keeper.change_members(change).await)?;
        Ok(Response::new(MembersReply { members }))
    }
}

fn reply(told: Told) -> WatchReply {
    let message = match told {
        Told::Snapshot { revision, changes, last } => {
            watch_reply::Message::Snapshot(SnapshotPart { revision, changes, last })
        }
        Told::Event(event) => {
            watch_reply::Message::Event(Event { revision: event.revision, changes: event.changes })
        }
        Told::Progress { revision, log_time_ms } => {
            watch_reply::Message::Progress(Progress { revision, log_time_ms })
        }
    };
    WatchReply { message: Some(message) }
}
