//! Health and metrics over HTTP, as a load balancer and Prometheus ask for them: of a proxy with its topology, without it, and with it again, and of the node.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cluster::{Cluster, eventually};
use crate::podway::{Podway, connect};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// The status code and the body.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(ANSWER)).expect("a socket");
    let request = format!("GET {path} HTTP/1.1\r\nHost: podway\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status code");
    (code, body.to_owned())
}

fn health(address: SocketAddr) -> (u16, Value) {
    let (code, body) = get(address, "/health");
    (code, serde_json::from_str(&body).expect("JSON"))
}

/// What a number reads on the metrics page.
fn number(address: SocketAddr, name: &str) -> f64 {
    let (code, page) = get(address, "/metrics");
    assert_eq!(code, 200, "{page}");
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} is not in\n{page}"))
}

fn observed(mut process: Podway, ready: &str) -> (Podway, SocketAddr) {
    process.line(ready);
    let address = process.line("Health and metrics are at http://");
    (process, address.parse().expect("an address"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_says_how_it_is_and_that_it_serves_without_its_topology() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&[&[]]).await?;
    cluster.add_servers();
    cluster.done("keyspace create shop --shard a --create-schemas");
    let password = cluster.file("app.password", "secret")?;
    cluster.done(&format!("user create app --password-file {password} --grant ALL --on shop"));
    let args = [
        "proxy",
        "--topology",
        &cluster.topology,
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
    ];
    let mut proxy = Podway::start(&args);
    let clients = proxy.address();
    let observed: SocketAddr = proxy.line("Health and metrics are at http://").parse()?;

    assert_eq!(get(observed, "/nothing").0, 404);
    let (code, said) = health(observed);
    assert_eq!((code, &said["status"]), (200, &Value::from("serving")), "{said}");
    assert!(said["map_revision"].as_u64() > Some(0), "{said}");

    let before = number(observed, "podway_statements_total");
    let mut conn = connect(clients, "app", "secret", "shop").await?;
    for _ in 0..3 {
        conn.query_drop("SELECT 1 FROM DUAL WHERE 1 = 1").await?;
    }
    assert!(number(observed, "podway_statements_total") >= before + 3.0);
    assert!(number(observed, "podway_statement_seconds_count") >= before + 3.0);
    assert_eq!(number(observed, "podway_sessions"), 1.0);
    assert_eq!(number(observed, "podway_map_is_live"), 1.0);
    let server = format!("podway_backend_connections{{server=\"{}\"}}", cluster.servers[0].address());
    assert!(number(observed, &server) >= 1.0);

    cluster.node.end(Signal::SIGKILL);
    eventually("the proxy notices that its topology is away", async || {
        let (code, said) = health(observed);
        let note = said["notes"][0].as_str().unwrap_or_default();
        let is_degraded = said["status"] == "degraded" && note.contains("topology is away");
        (code == 200 && is_degraded).then_some(()).ok_or(said)
    })
    .await;
    assert_eq!(number(observed, "podway_map_is_live"), 0.0);
    conn.query_drop("SELECT 1 FROM DUAL WHERE 1 = 1").await?;

    cluster.restart_node();
    eventually("the proxy is well again", async || {
        let (_, said) = health(observed);
        (said["status"] == "serving").then_some(()).ok_or(said)
    })
    .await;
    drop(conn);
    assert!(proxy.end(Signal::SIGTERM).status.success());
    Ok(())
}

#[test]
fn a_topology_node_says_how_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("node");
    let data = data.to_str().expect("a path in UTF-8");
    let args = ["topology", "--data-dir", data, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
    let (mut node, port) = observed(Podway::start(&args), "Podway's topology node 1 listens on ");
    node.line("The topology is ready");
    let (code, said) = health(port);
    assert_eq!((code, &said["status"]), (200, &Value::from("serving")), "{said}");
    assert_eq!(number(port, "podway_topology_leader"), 1.0);
    assert_eq!(number(port, "podway_topology_voters"), 1.0);
    assert!(number(port, "podway_topology_applied_entry") > 0.0);
    assert!(node.end(Signal::SIGTERM).status.success());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("node");
    let data = data.to_str().expect("a path in UTF-8");
    let ran = Podway::run(&[
        "topology",
        "--data-dir",
        data,
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        &address,
    ]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.said.contains(&address), "{ran:?}");
}
