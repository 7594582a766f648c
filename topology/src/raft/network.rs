//! How openraft's requests reach another node, and what a failure means to it: a node that is away, or that is not the one it is taken for,
//! is asked again after a pause.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{
    InstallSnapshotError, NetworkError, PayloadTooLarge, RPCError, RaftError, RemoteError, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{SnapshotMeta, Vote};
use podway_topology_api::contract::peer_client::PeerClient;
use podway_topology_api::contract::{PeerReply, PeerRequest, SnapshotRequest};
use podway_topology_api::{Member, NodeId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use super::peers::{MAX_MESSAGE, Peers};
use super::types::TypeConfig;

/// A node that is away is asked again after this.
const ASK_AGAIN: Duration = Duration::from_millis(200);

type Failure<E = RaftError<NodeId>> = RPCError<NodeId, Member, E>;

/// This node does not send, on purpose.
#[derive(Debug, thiserror::Error)]
#[error("this leader has no majority and lets the others elect another")]
struct Quiet;

/// A piece of a snapshot, without its bytes.
#[derive(Serialize, Deserialize)]
pub struct SnapshotHeader {
    /// The leader's vote.
    pub vote: Vote<NodeId>,
    /// Which snapshot.
    pub meta: SnapshotMeta<NodeId, Member>,
}

/// Makes the ways to other nodes for openraft.
#[derive(Clone)]
pub struct Network(Arc<Peers>);

impl Network {
    /// Over these connections.
    pub fn new(peers: Arc<Peers>) -> Network {
        Network(peers)
    }
}

/// The way to one node.
pub struct Way {
    peers: Arc<Peers>,
    target: NodeId,
    member: Member,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Way;

    async fn new_client(&mut self, target: NodeId, node: &Member) -> Way {
        Way { peers: self.0.clone(), target, member: node.clone() }
    }
}

impl Way {
    /// For what a leader sends.
    fn follower<E: std::error::Error>(&self) -> Result<PeerClient<Channel>, Failure<E>> {
        if self.peers.is_quiet() {
            return Err(Unreachable::new(&Quiet).into());
        }
        self.client()
    }

    fn client<E: std::error::Error>(&self) -> Result<PeerClient<Channel>, Failure<E>> {
        self.peers.at(&self.member.peer).map_err(|error| Unreachable::new(&error).into())
    }

    fn request(&self, payload: Vec<u8>, option: &RPCOption) -> Request<PeerRequest> {
        let envelope = Some(self.peers.envelope(self.target, &self.member));
        let mut request = Request::new(PeerRequest { envelope, payload: payload.into() });
        request.set_timeout(option.hard_ttl());
        request
    }

    fn answer<T, E>(&self, answer: Result<Response<PeerReply>, Status>) -> Result<T, Failure<E>>
    where
        T: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
    {
        let reply = answer.map_err(|status| not_answered(&status))?.into_inner();
        self.peers.note_heard(self.target);
        let result: Result<T, E> =
            serde_json::from_slice(&reply.payload).map_err(|error| NetworkError::new(&error))?;
        result.map_err(|error| RPCError::RemoteError(RemoteError::new(self.target, error)))
    }
}

fn not_answered<E: std::error::Error>(status: &Status) -> Failure<E> {
    match status.code() {
        Code::Unavailable | Code::Aborted | Code::Unauthenticated | Code::PermissionDenied => {
            Unreachable::new(status).into()
        }
        _ => NetworkError::new(status).into(),
    }
}

fn printed<T: Serialize, E: std::error::Error>(value: &T) -> Result<Vec<u8>, Failure<E>> {
    serde_json::to_vec(value).map_err(|error| NetworkError::new(&error).into())
}

impl RaftNetwork<TypeConfig> for Way {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<NodeId>, Failure> {
        let payload = printed(&rpc)?;
        // Half of the limit, for the envelope and for an estimate that is not exact.
        if payload.len() > MAX_MESSAGE / 2 && rpc.entries.len() > 1 {
            let hint = u64::try_from(rpc.entries.len() / 2).unwrap_or(1);
            return Err(PayloadTooLarge::new_entries_hint(hint).into());
        }
        self.answer(self.follower()?.append(self.request(payload, &option)).await)
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<NodeId>, Failure<RaftError<NodeId, InstallSnapshotError>>> {
        let header = printed(&SnapshotHeader { vote: rpc.vote, meta: rpc.meta })?;
        let mut request = Request::new(SnapshotRequest {
            envelope: Some(self.peers.envelope(self.target, &self.member)),
            header: header.into(),
            offset: rpc.offset,
            data: rpc.data.into(),
            done: rpc.done,
        });
        request.set_timeout(option.hard_ttl());
        self.answer(self.follower()?.install_snapshot(request).await)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<NodeId>,
        option: RPCOption,
    ) -> Result<VoteResponse<NodeId>, Failure> {
        let payload = printed(&rpc)?;
        self.answer(self.client()?.vote(self.request(payload, &option)).await)
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(iter::repeat(ASK_AGAIN))
    }
}
