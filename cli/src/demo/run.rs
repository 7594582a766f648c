//! A demo from its start to its end, as a straight line. Everything that it starts it stops, also when it fails or is told to stop halfway.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use podway_model::{ClusterSecret, Map, NameRule};
use podway_proxy::{Proxy, ProxyConfig, StartError};
use podway_topology::{LocalStore, TopologyNode};
use podway_topology_api::{Following, MapWatch, ProxyInfo, TopologyStore, follow, map_channel};

use super::args::{DemoArgs, Plan};
use super::bank::{self, Scene};
use super::cluster::Cluster;
use super::error::DemoError;
use super::guide::Guide;
use super::layout::Rows;
use super::load::load;
use super::map::{Teller, start_node};
use super::shop::rows_through_the_proxy;
use super::status;
use crate::local_mysql::{FindOptions, MysqlSource, Tools};
use crate::serve::{Lease, TopologyNumbers, TopologyOperations, wait_for_a_map};
use crate::stop_signal::StopSignal;

/// How long statements may go on after Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(5);

/// What MySQL there is.
struct Found {
    source: MysqlSource,
    /// How to call its client.
    client: String,
}

/// Runs a demo until SIGINT or SIGTERM. A second one does not wait for statements that still run.
pub async fn run(args: DemoArgs) -> Result<(), DemoError> {
    let mut stop = StopSignal::install()?;
    let mut plan = Plan::decide(args)?;
    let found = tokio::select! {
        found = find(plan.find.clone()) => found?,
        () = stop.received() => return Ok(()),
    };
    let servers = count(plan.layout.servers().len(), "server");
    progress(&format!("starting {servers} (MySQL {}, {})", found.source.version(), found.source.origin()));
    // Not cut short by a signal: half a start would leave more to clean up than a whole one, which takes seconds.
    let cluster = Cluster::start(&found.source, &plan).await?;
    let served = serve(&cluster, &found, &mut plan, &mut stop).await;
    let stopped = cluster.stop().await;
    served.and(stopped.map_err(DemoError::from))
}

/// Finds or fetches MySQL, server and client.
async fn find(options: FindOptions) -> Result<Found, DemoError> {
    let looking = tokio::task::spawn_blocking(move || {
        let source = MysqlSource::find(&options, &progress)?;
        let client = client_of(&source);
        Ok::<_, DemoError>(Found { source, client })
    });
    looking.await.map_err(std::io::Error::other)?
}

/// An open demo.
struct Open {
    proxy: Proxy,
    lease: Lease<LocalStore>,
    /// Feeds the proxy's map until it is dropped.
    _following: Following,
}

/// From running servers to the user's wish to stop.
async fn serve(
    cluster: &Cluster,
    found: &Found,
    plan: &mut Plan,
    stop: &mut StopSignal,
) -> Result<(), DemoError> {
    let node = start_node(plan.topology_dir()).await?;
    let served = serve_with(cluster, found, plan, stop, &node).await;
    node.stop().await;
    served
}

async fn serve_with(
    cluster: &Cluster,
    found: &Found,
    plan: &mut Plan,
    stop: &mut StopSignal,
    node: &TopologyNode,
) -> Result<(), DemoError> {
    let Open { proxy, mut lease, _following } = tokio::select! {
        opened = open(cluster, plan, node) => opened?,
        () = stop.received() => return Ok(()),
    };
    let guide = Guide {
        address: proxy.local_addr(),
        topology: node.client_address(),
        layout: &plan.layout,
        servers: cluster.len(),
        version: found.source.version(),
        client: &found.client,
        podway: &own_path(),
    };
    say(&guide.text());
    let scene = plan.bank.map(|bank| Scene {
        servers: cluster.named(),
        topology: node.client_address(),
        proxy: proxy.local_addr(),
        observer: proxy.observer(),
        layout: &plan.layout,
        plan: bank,
    });
    let shown = async {
        match scene {
            Some(scene) => bank::run(scene).await,
            None => {
                status::show(&proxy).await;
                Ok(())
            }
        }
    };
    let ended = tokio::select! {
        ended = shown => ended,
        () = lease.keep(Some(&proxy)) => Ok(()),
        () = stop.received() => Ok(()),
    };
    progress("stopping");
    tokio::select! {
        _ = proxy.stop() => {}
        () = stop.received() => {}
    }
    lease.leave().await;
    ended
}

/// Fills the servers, tells the topology, and opens a proxy that follows it.
async fn open(cluster: &Cluster, plan: &mut Plan, node: &TopologyNode) -> Result<Open, DemoError> {
    let store = node.store();
    let secret = store.credentials().await?.secret;
    cluster.prepare(&plan.layout, &Teller::new(store.clone()), &secret).await?;
    let (publisher, watch) = map_channel(Map::empty(NameRule::default()));
    let following = follow(store.clone(), publisher);
    wait_for_a_map(&mut following.health()).await;
    let proxy = start_proxy(plan, secret, watch.clone()).await?;
    proxy.set_operations(Arc::new(TopologyOperations(store.clone())));
    proxy.set_numbers(Arc::new(TopologyNumbers(store.clone())));
    let info = ProxyInfo {
        name: "demo".into(),
        address: proxy.local_addr().to_string().into(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let mut lease = Lease::take(store, info, watch, proxy.clock()).await?;
    proxy.set_incarnation(lease.registration().incarnation);
    if plan.layout.rows == Rows::Loading {
        tokio::select! {
            loaded = load_rows(proxy.local_addr(), plan) => loaded?,
            () = lease.keep(Some(&proxy)) => {}
        }
    }
    Ok(Open { proxy, lease, _following: following })
}

/// How to call this program again.
fn own_path() -> String {
    std::env::current_exe().map_or_else(|_| "podway".to_owned(), |path| path.display().to_string())
}

/// Starts the proxy where it is to listen, or on a port of the system's choice where that is taken and nobody asked for it.
async fn start_proxy(plan: &Plan, secret: ClusterSecret, watch: MapWatch) -> Result<Proxy, DemoError> {
    let config =
        |listen| ProxyConfig { shutdown_deadline: PATIENCE, ..ProxyConfig::new(listen, secret.clone()) };
    match Proxy::start(config(plan.listen), watch.clone()).await {
        Err(StartError::Listen { .. }) if plan.may_listen_elsewhere => {
            Ok(Proxy::start(config(SocketAddr::new(plan.listen.ip(), 0)), watch).await?)
        }
        started => Ok(started?),
    }
}

async fn load_rows(proxy: SocketAddr, plan: &mut Plan) -> Result<(), DemoError> {
    let (rows, started) = (rows_through_the_proxy(), Instant::now());
    let template = "loading the shop through the proxy {wide_bar} {pos}/{len} rows";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(rows).with_style(style);
    let loaded = load(proxy, &plan.layout, &bar).await;
    bar.finish_and_clear();
    loaded?;
    plan.layout.rows = Rows::Loaded;
    plan.folder.as_deref().map_or(Ok(()), |folder| plan.layout.write(folder))?;
    progress(&format!("loaded {rows} rows through the proxy in {:.1} s", started.elapsed().as_secs_f64()));
    Ok(())
}

/// How to call MySQL's client: by its name where PATH finds it, by its path where it was fetched. A demo without a client is one all the
/// same.
fn client_of(source: &MysqlSource) -> String {
    match Tools::of(source).find("mysql", &progress) {
        Ok(path) => {
            let search_path = std::env::var_os("PATH").unwrap_or_default();
            let first = std::env::split_paths(&search_path)
                .map(|folder| folder.join("mysql"))
                .find(|file| file.is_file());
            if first.as_ref() == Some(&path) { "mysql".to_owned() } else { path.display().to_string() }
        }
        Err(error) => {
            progress(&error.to_string());
            "mysql".to_owned()
        }
    }
}

/// What goes on, for whoever watches.
fn progress(what: &str) {
    eprintln!("{what}");
}

/// For the user; somebody who has closed the pipe does not want to know.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
