//! A proxy whose map comes from the topology: registered, fed, and serving from its last map while the topology is away. Read next: `lease`.

use std::net::SocketAddr;
use std::sync::Arc;

use podway_model::{Map, NameRule};
use podway_proxy::{Proxy, ProxyConfig, StampClock};
use podway_topology_api::{
    Following, MapWatch, ProxyInfo, TopologyClient, TopologyContact, TopologyHealth, follow, map_channel,
};
use tokio::sync::watch;

use super::args::ProxyArgs;
use super::error::ServeError;
use super::lease::Lease;
use super::numbers::TopologyNumbers;
use super::operations::TopologyOperations;

/// A proxy as the topology's member.
pub(super) struct Member {
    lease: Lease<TopologyClient>,
    health: watch::Receiver<TopologyHealth>,
    /// Feeds the map until it is dropped.
    _following: Following,
}

impl Member {
    /// Registers, waits for the first map, and starts a proxy with it.
    pub(super) async fn start(args: &ProxyArgs) -> Result<(Proxy, Member), ServeError> {
        let client = args.topology.client()?;
        let (publisher, watch) = map_channel(Map::empty(NameRule::default()));
        let following = follow(client.clone(), publisher);
        let mut health = following.health();
        let clock = Arc::<StampClock>::default();
        let mut lease =
            Lease::take(client.clone(), info(args, args.listen), watch.clone(), clock.clone()).await?;
        wait_for_a_map(&mut health).await;
        let mut config = ProxyConfig::new(args.listen, lease.registration().secret.clone());
        config.clock = clock.clone();
        config.tls = args.tls();
        args.limits.iter().for_each(|limits| limits.apply(&mut config));
        let proxy = Proxy::start(config, watch.clone()).await?;
        proxy.set_incarnation(lease.registration().incarnation);
        proxy.set_operations(Arc::new(TopologyOperations(client.clone())));
        proxy.set_numbers(Arc::new(TopologyNumbers(client.clone())));
        if args.advertise.is_none() && proxy.local_addr() != args.listen {
            // The system chose the port: the topology is told the right one under a new incarnation, which costs nothing.
            lease = again(lease, client, info(args, proxy.local_addr()), watch, clock).await?;
            proxy.set_incarnation(lease.registration().incarnation);
        }
        let incarnation = lease.registration().incarnation;
        tracing::info!("{incarnation} of the topology at {}", args.topology.addresses());
        Ok((proxy, Member { lease, health, _following: following }))
    }

    /// Keeps the lease and logs how the topology is, for ever; without a proxy while it stops. Safe to cancel and to call again.
    pub(super) async fn keep(&mut self, proxy: Option<&Proxy>) {
        tokio::select! {
            () = self.lease.keep(proxy) => {}
            () = tell_of_returns(&mut self.health) => {}
        }
    }

    /// How the topology is.
    pub(super) fn health(&self) -> watch::Receiver<TopologyHealth> {
        self.health.clone()
    }

    /// Tells the topology that this proxy is gone.
    pub(super) async fn leave(self) {
        self.lease.leave().await;
    }
}

async fn again(
    lease: Lease<TopologyClient>,
    client: TopologyClient,
    info: ProxyInfo,
    watch: MapWatch,
    clock: Arc<StampClock>,
) -> Result<Lease<TopologyClient>, ServeError> {
    lease.leave().await;
    Ok(Lease::take(client, info, watch, clock).await?)
}

fn info(args: &ProxyArgs, address: SocketAddr) -> ProxyInfo {
    let address = args.advertise.clone().unwrap_or_else(|| address.to_string());
    let name = args.name.clone().unwrap_or_else(machine);
    ProxyInfo { name: name.into(), address: address.into(), version: env!("CARGO_PKG_VERSION").into() }
}

/// The machine's name.
fn machine() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "proxy".to_owned())
}

/// Waits until a node has told all that it knows: the map may be empty, but is not merely unheard of.
pub(crate) async fn wait_for_a_map(health: &mut watch::Receiver<TopologyHealth>) {
    // The follower lives as long as the caller: its end is no case.
    let _ = health.wait_for(|health| health.snapshots > 0 || health.log_time_ms > 0).await;
}

/// Says when the topology is there again. That it went away the follower says.
async fn tell_of_returns(health: &mut watch::Receiver<TopologyHealth>) {
    let mut is_away = false;
    while health.changed().await.is_ok() {
        let contact = health.borrow_and_update().contact.clone();
        match contact {
            TopologyContact::Away { .. } => is_away = true,
            TopologyContact::Connected { .. } if is_away => {
                is_away = false;
                tracing::info!("the topology is back; the map is fresh again");
            }
            TopologyContact::Connected { .. } => {}
        }
    }
    std::future::pending().await
}
