//! The one place where the harness meets the proxy: everything else knows an address only.

use std::net::SocketAddr;
use std::time::Duration;

use podway_model::ClusterSecret;
use podway_proxy::{Proxy, ProxyConfig};
use podway_topology_api::MapWatch;

/// A proxy in this process.
pub struct RunningProxy {
    /// Where it accepts clients.
    pub address: SocketAddr,
    /// The proxy itself, for its counters.
    pub proxy: Proxy,
}

impl std::borrow::Borrow<Proxy> for RunningProxy {
    fn borrow(&self) -> &Proxy {
        &self.proxy
    }
}

impl std::fmt::Debug for RunningProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningProxy").field("address", &self.address).finish_non_exhaustive()
    }
}

/// How long a step of a COMMIT over several servers may take in tests of anything else: the servers of a test binary share one disk, whose
/// stalls are not what is tested.
const PATIENT_COMMIT_STEP: Duration = Duration::from_secs(30);

/// What a proxy in this process is told besides its cluster's secret, by default.
pub fn patient_config(secret: ClusterSecret) -> ProxyConfig {
    let mut config = ProxyConfig::new(([127, 0, 0, 1], 0).into(), secret);
    config.client.commit_step = PATIENT_COMMIT_STEP;
    config
}

/// Starts a proxy that follows `watch`, on a port of the system's choice, with what `configure` changes. It runs on the caller's
/// runtime: the harness's own.
pub(crate) async fn start_proxy(
    secret: ClusterSecret,
    watch: MapWatch,
    configure: impl FnOnce(&mut ProxyConfig),
) -> anyhow::Result<RunningProxy> {
    let mut config = patient_config(secret);
    configure(&mut config);
    let proxy = Proxy::start(config, watch).await?;
    Ok(RunningProxy { address: proxy.local_addr(), proxy })
}
