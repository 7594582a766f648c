//! A proxy from its start to its end, as a straight line; its map comes from a cluster file or from the topology.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use podway_proxy::{Proxy, ProxyConfig};
use podway_topology_api::map_channel;

use super::args::ProxyArgs;
use super::certificates::CertificateFollower;
use super::draw::Draughtsman;
use super::error::ServeError;
use super::from_topology::Member;
use super::plan::ClusterPlan;
use super::reread::Rereader;
use crate::file_watch::FileWatch;
use crate::observe::{ObservePort, ProxyPages};
use crate::stop_signal::StopSignal;

/// What keeps a running proxy's map fresh.
enum Source {
    /// A cluster file, looked at again and again.
    File(Box<Rereader>),
    /// The topology.
    Topology(Box<Member>),
}

/// Serves until SIGINT or SIGTERM, then lets statements and transactions end within `shutdown_deadline`; a second signal does not wait.
pub async fn run(args: ProxyArgs) -> Result<(), ServeError> {
    let mut stop = StopSignal::install()?;
    let certificates = CertificateFollower::new(&args.tls())?;
    let (proxy, mut source) = tokio::select! {
        started = start(&args) => started?,
        () = stop.received() => return Ok(()),
    };
    say(&[format!("Podway listens on {}", proxy.local_addr())]);
    let is_stopping = Arc::new(AtomicBool::new(false));
    let _observed = match args.metrics_listen {
        Some(listen) => Some(observe(listen, &proxy, &source, is_stopping.clone()).await?),
        None => None,
    };
    tokio::select! {
        () = source.follow(Some(&proxy)) => {}
        () = follow(certificates, &proxy) => {}
        () = stop.received() => {}
    }
    is_stopping.store(true, Ordering::Release);
    tracing::info!("stopping: statements and transactions may end");
    tokio::select! {
        // The lease is kept meanwhile: what still runs is the proxy's own.
        () = source.follow(None) => {}
        cut_off = proxy.stop() => match cut_off {
            0 => tracing::info!("stopped"),
            cut_off => tracing::warn!("stopped at shutdown_deadline with {cut_off} sessions in the middle of something"),
        },
        () = stop.received() => tracing::warn!("stopped at once"),
    }
    source.leave().await;
    Ok(())
}

async fn observe(
    listen: SocketAddr,
    proxy: &Proxy,
    source: &Source,
    is_stopping: Arc<AtomicBool>,
) -> Result<ObservePort, ServeError> {
    let topology = match source {
        Source::File(_) => None,
        Source::Topology(member) => Some(member.health()),
    };
    let port =
        ObservePort::open(listen, ProxyPages { proxy: proxy.observer(), topology, is_stopping }).await?;
    say(&[format!("Health and metrics are at http://{}", port.address())]);
    Ok(port)
}

/// Where there are no certificate files, for ever too.
async fn follow(certificates: Option<CertificateFollower>, proxy: &Proxy) {
    match certificates {
        Some(certificates) => certificates.follow(proxy).await,
        None => std::future::pending().await,
    }
}

async fn start(args: &ProxyArgs) -> Result<(Proxy, Source), ServeError> {
    // Before anything is done on the servers.
    args.tls().check()?;
    match &args.cluster {
        Some(path) => {
            let (proxy, rereader) = start_from_file(args, path).await?;
            Ok((proxy, Source::File(Box::new(rereader))))
        }
        None => {
            let (proxy, member) = Member::start(args).await?;
            Ok((proxy, Source::Topology(Box::new(member))))
        }
    }
}

async fn start_from_file(args: &ProxyArgs, path: &Path) -> Result<(Proxy, Rereader), ServeError> {
    let changes = FileWatch::new(&[path])?;
    let mut notes = Vec::new();
    let plan = ClusterPlan::read(path, &mut notes)?;
    let mut draughtsman = Draughtsman::default();
    let drawn = draughtsman.draw(&plan, None, &mut notes).await;
    // What was done before something failed was done all the same.
    say(&notes);
    let (publisher, watch) = map_channel(drawn?);
    let mut config = ProxyConfig::new(args.listen, plan.secret.clone());
    config.tls = args.tls();
    std::iter::once(&plan.limits).chain(&args.limits).for_each(|limits| limits.apply(&mut config));
    let proxy = Proxy::start(config, watch).await?;
    Ok((proxy, Rereader::new(path, changes, &plan, draughtsman, publisher)))
}

impl Source {
    /// Does what keeps the map fresh, for ever. Safe to cancel and to call again.
    async fn follow(&mut self, proxy: Option<&Proxy>) {
        match self {
            Source::File(rereader) => rereader.follow().await,
            Source::Topology(member) => member.keep(proxy).await,
        }
    }

    /// After the proxy's last statement.
    async fn leave(self) {
        if let Source::Topology(member) = self {
            member.leave().await;
        }
    }
}

/// For whoever started the proxy; somebody who has closed the pipe does not want to know.
fn say(lines: &[String]) {
    let mut out = std::io::stdout().lock();
    for line in lines {
        let _ = writeln!(out, "{line}");
    }
}
