//! What a topology is told of a pod's servers and keyspaces, as an operator would, and what a proxy of a test tells it.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use podway::provision::ensure_transactions;
use podway_model::{ClusterSecret, ShardId};
use podway_proxy::Proxy;
use podway_topology_api::{
    Beat, Command, Done, ProposeError, Proposer, ProxyInfo, TableCommand, TopologyClient, TopologyStore,
};

use crate::keyspace::TestKeyspace;
use crate::pod::Pod;
use crate::told::{add, create};

/// How often a proxy says what it has applied.
const BEAT_EVERY: Duration = Duration::from_millis(50);
/// How long its lease is surely kept after a heartbeat.
const SURE: Duration = Duration::from_secs(4);

/// Tells a topology of all servers of a pod.
pub async fn tell_servers(pod: &Pod, proposer: &Proposer<TopologyClient>) -> Result<(), ProposeError> {
    let map = pod.map();
    for server in map.servers() {
        let password = pod.server(server.id).await.root_password().to_owned();
        proposer.propose(Command::Server(add(server, map.names, &password))).await?;
    }
    Ok(())
}

/// Makes a pod's servers ready for transactions of a cluster with a secret of its own, as its leader will.
pub async fn prepare_servers(pod: &Pod, secret: &ClusterSecret) -> anyhow::Result<()> {
    for server in pod.map().servers() {
        ensure_transactions(&mut pod.admin(server.id).await?, secret, &server.uuid).await?;
    }
    Ok(())
}

/// Tells a topology of a keyspace and its declared tables; returns its shards' numbers there.
pub async fn tell_keyspace(
    keyspace: &TestKeyspace<'_>,
    proposer: &Proposer<TopologyClient>,
) -> Result<Vec<ShardId>, ProposeError> {
    let known = keyspace.get();
    let Done::Shards(shards) = proposer.propose(Command::Keyspace(create(&known))).await? else {
        panic!("a keyspace was made, and no shards with it");
    };
    for table in known.tables.values() {
        let keyspace = known.name.as_str().into();
        let command = TableCommand::Declare { keyspace, table: (**table).clone(), next: None };
        proposer.propose(Command::Table(command)).await?;
    }
    Ok(shards)
}

/// A proxy's heartbeats for ever, as long as the topology can be reached; it registers again where it has to.
pub async fn keep_lease<P: Borrow<Proxy>>(client: TopologyClient, proxy: Arc<P>) {
    let info = ProxyInfo { name: "p".into(), address: "".into(), version: "".into() };
    let mut incarnation = None;
    loop {
        tokio::time::sleep(BEAT_EVERY).await;
        let Some(known) = incarnation else {
            incarnation = client.register(info.clone()).await.ok().map(|registered| registered.incarnation);
            continue;
        };
        let proxy: &Proxy = (*proxy).borrow();
        let beat = Beat {
            incarnation: known,
            applied: proxy.applied(),
            settled: proxy.settled(),
            clock: podway_model::HybridTime::default(),
            clocks: Default::default(),
            drained: proxy.drained(),
        };
        let sent = Instant::now();
        match client.beat(beat).await {
            Ok(answer) if answer.has_lease => proxy.hold_lease(known, sent + SURE),
            Ok(_) => incarnation = None,
            Err(_) => {}
        }
    }
}
