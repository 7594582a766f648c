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
use crate::local_mysql::{MysqlSource, Tools};
use crate::stop_signal::StopSignal;

/// How long statements may go on after Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(5);

/// A demo that is up.
struct Demo {
    proxy: Proxy,
    cluster: Cluster,
    source: MysqlSource,
    client: String,
    /// Kept so that the proxy's watch stays connected.
    _publisher: MapPublisher,
}

/// Runs a demo until SIGINT or SIGTERM. A second one does not wait for statements that still run.
pub async fn run(args: DemoArgs) -> Result<(), DemoError> {
    let mut stop = StopSignal::install()?;
    let mut plan = Plan::decide(args)?;
    let started = tokio::select! {
        started = start(&mut plan) => started?,
        () = stop.received() => return Ok(()),
    };
    say(&started.guide(&plan));
    tokio::select! {
        () = status::show(&started.proxy) => {}
        () = stop.received() => {}
    }
    eprintln!("stopping");
    tokio::select! {
        _ = started.proxy.stop() => {}
        () = stop.received() => {}
    }
    Ok(started.cluster.stop().await?)
}

async fn start(plan: &mut Plan) -> Result<Demo, DemoError> {
    let find = plan.find.clone();
    let looking = tokio::task::spawn_blocking(move || {
        let source = MysqlSource::find(&find, &progress)?;
        let client = client_of(&source);
        Ok::<_, DemoError>((source, client))
    });
    let (source, client) = looking.await.map_err(std::io::Error::other)??;
    progress(&format!(
        "starting {} (MySQL {}, {})",
        count(plan.layout.servers().len(), "server"),
        source.version(),
        source.origin()
    ));
    let cluster = Cluster::start(&source, plan).await?;
    let (publisher, watch) = map_channel(cluster.prepare(&plan.layout).await?);
    let proxy = start_proxy(plan, watch).await?;
    if plan.layout.rows == Rows::Loading {
        load_rows(proxy.local_addr(), plan).await?;
    }
    Ok(Demo { proxy, cluster, source, client, _publisher: publisher })
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

impl Demo {
    fn guide(&self, plan: &Plan) -> String {
        let guide = Guide {
            address: self.proxy.local_addr(),
            layout: &plan.layout,
            servers: self.cluster.len(),
            version: self.source.version(),
            client: &self.client,
        };
        guide.text()
    }
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
