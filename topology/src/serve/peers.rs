//! The port for other nodes. Who may use it at all, TLS decides; here each request is checked to be meant for this cluster, this node and this
//! disk, so that a node that lost its disk is not taken for the one that voted.

use std::sync::Arc;

use openraft::raft::InstallSnapshotRequest;
use podway_topology_api::ClusterId;
use podway_topology_api::contract::peer_server::Peer;
use podway_topology_api::contract::{
    Envelope, IdentifyReply, IdentifyRequest, PeerReply, PeerRequest, SnapshotRequest,
};
use podway_topology_api::status::to_status;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::{Request, Response, Status};

use crate::keeper::{Asked, Keeper};
use crate::raft::disk::Disk;
use crate::raft::network::SnapshotHeader;

/// Answers other nodes from a keeper.
#[derive(Clone)]
pub struct PeerPort {
    keeper: Arc<Keeper>,
    disk: Disk,
}

impl PeerPort {
    /// For this node.
    pub fn new(keeper: Arc<Keeper>, disk: Disk) -> PeerPort {
        PeerPort { keeper, disk }
    }

    /// Refuses what is meant for somebody else. A node without a cluster joins the one that has added its disk.
    async fn check(&self, envelope: Option<&Envelope>) -> Result<(), Status> {
        let envelope = envelope.ok_or_else(|| Status::invalid_argument("there is no envelope"))?;
        let myself = &self.keeper.myself;
        if envelope.to_node != myself.node.0 {
            return wrong(format!("this is node {}, not node {}", myself.node, envelope.to_node));
        }
        if envelope.to_store[..] != myself.store.bytes() {
            return wrong(format!(
                "node {} answers from another disk than the one that joined: replace node {} by itself",
                myself.node, myself.node
            ));
        }
        let cluster = ClusterId::from_bytes(&envelope.cluster)
            .ok_or_else(|| Status::invalid_argument("the envelope names no cluster"))?;
        if let Some(ours) = myself.cluster.get() {
            return if *ours == cluster {
                Ok(())
            } else {
                wrong(format!("this node belongs to cluster {ours}"))
            };
        }
        self.disk.join(cluster).await.map_err(|error| Status::internal(error.to_string()))?;
        match *myself.cluster.get_or_init(|| cluster) {
            joined if joined == cluster => Ok(()),
            other => wrong(format!("this node belongs to cluster {other}")),
        }
    }
}

/// Not an answer of the node that was meant, so not one at all: whoever asked has to find that node.
fn wrong(text: String) -> Result<(), Status> {
    Err(Status::aborted(text))
}

fn unpacked<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Status> {
    serde_json::from_slice(bytes).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn packed<T: Serialize>(value: &T) -> Result<Response<PeerReply>, Status> {
    let payload = serde_json::to_vec(value).map_err(|error| Status::internal(error.to_string()))?;
    Ok(Response::new(PeerReply { payload: payload.into() }))
}

#[tonic::async_trait]
impl Peer for PeerPort {
    async fn identify(&self, _request: Request<IdentifyRequest>) -> Result<Response<IdentifyReply>, Status> {
        let myself = &self.keeper.myself;
        Ok(Response::new(IdentifyReply {
            node: myself.node.0,
            store: myself.store.bytes().to_vec().into(),
            cluster: myself.cluster.get().map(|id| id.bytes().to_vec().into()).unwrap_or_default(),
            client_address: self.keeper.client_address.clone(),
        }))
    }

    async fn append(&self, request: Request<PeerRequest>) -> Result<Response<PeerReply>, Status> {
        let PeerRequest { envelope, payload } = request.into_inner();
        self.check(envelope.as_ref()).await?;
        let answer = self.keeper.raft.append_entries(unpacked(&payload)?).await;
        if answer.as_ref().is_ok_and(|answer| answer.is_success()) {
            self.keeper.note_leader();
        }
        packed(&answer)
    }

    async fn vote(&self, request: Request<PeerRequest>) -> Result<Response<PeerReply>, Status> {
        let PeerRequest { envelope, payload } = request.into_inner();
        self.check(envelope.as_ref()).await?;
        packed(&self.keeper.raft.vote(unpacked(&payload)?).await)
    }

    async fn install_snapshot(
        &self,
        request: Request<SnapshotRequest>,
    ) -> Result<Response<PeerReply>, Status> {
        let SnapshotRequest { envelope, header, offset, data, done } = request.into_inner();
        self.check(envelope.as_ref()).await?;
        let SnapshotHeader { vote, meta } = unpacked(&header)?;
        let piece = InstallSnapshotRequest { vote, meta, offset, data: data.into(), done };
        let answer = self.keeper.raft.install_snapshot(piece).await;
        if answer.is_ok() {
            self.keeper.note_leader();
        }
        packed(&answer)
    }

    async fn forward(&self, request: Request<PeerRequest>) -> Result<Response<PeerReply>, Status> {
        let PeerRequest { envelope, payload } = request.into_inner();
        self.check(envelope.as_ref()).await?;
        let asked: Asked = unpacked(&payload)?;
        let payload = self.keeper.answer(asked).await.map_err(|error| to_status(&error))?;
        Ok(Response::new(PeerReply { payload: payload.into() }))
    }
}
