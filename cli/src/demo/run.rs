//! A demo from its start to its end, as a straight line. Everything that it starts it stops, also when it fails or is told to stop halfway.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use podway_proxy::{Proxy, ProxyConfig, StartError};
use podway_topology_api::{MapPublisher, MapWatch, map_channel};

use super::args::{DemoArgs, Plan};
use super::cluster::Cluster;
use super::error::DemoError;
use super::guide::Guide;
use super::layout::Rows;
use super::load::load;
use super::shop::rows_through_the_proxy;
use super::status;
use crate::local_mysql::{FindOptions, MysqlSource, Tools};
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

/// From running servers to the user's wish to stop.
async fn serve(
    cluster: &Cluster,
    found: &Found,
    plan: &mut Plan,
    stop: &mut StopSignal,
) -> Result<(), DemoError> {
    // The publisher is kept so that the proxy's watch stays connected.
    let (proxy, _publisher) = tokio::select! {
        opened = open(cluster, plan) => opened?,
        () = stop.received() => return Ok(()),
    };
    let guide = Guide {
        address: proxy.local_addr(),
        layout: &plan.layout,
        servers: cluster.len(),
        version: found.source.version(),
        client: &found.client,
    };
    say(&guide.text());
    tokio::select! {
        () = status::show(&proxy) => {}
        () = stop.received() => {}
    }
    progress("stopping");
    tokio::select! {
        _ = proxy.stop() => {}
        () = stop.received() => {}
    }
    Ok(())
}

/// Fills the servers, and opens a proxy before them.
async fn open(cluster: &Cluster, plan: &mut Plan) -> Result<(Proxy, MapPublisher), DemoError> {
    let (publisher, watch) = map_channel(cluster.prepare(&plan.layout).await?);
    let proxy = start_proxy(plan, watch).await?;
    if plan.layout.rows == Rows::Loading {
        load_rows(proxy.local_addr(), plan).await?;
    }
    Ok((proxy, publisher))
}

/// Starts the proxy where it is to listen, or on a port of the system's choice where that is taken and nobody asked for it.
async fn start_proxy(plan: &Plan, watch: MapWatch) -> Result<Proxy, DemoError> {
    let config = |listen| ProxyConfig {
        shutdown_deadline: PATIENCE,
        ..ProxyConfig::new(listen, plan.layout.secret())
    };
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
