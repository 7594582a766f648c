//! The client programs in Python and Node: each is started with where to connect, and says what it found to be different.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::place::{Place, Site};
use crate::runtime::{Runtime, node, programs_folder, python};

/// A program that runs longer hangs.
const DEADLINE: Duration = Duration::from_secs(300);

pub async fn pymysql(place: Place) {
    try_program(place, "pymysql", "python/pymysql_client.py", python).await;
}

pub async fn mysql_connector_python(place: Place) {
    try_program(place, "connector", "python/connector_client.py", python).await;
}

pub async fn node_mysql2(place: Place) {
    try_program(place, "mysql2", "node/mysql2_client.js", node).await;
}

async fn try_program(
    place: Place,
    client: &str,
    program: &str,
    runtime: impl FnOnce() -> anyhow::Result<Option<Runtime>> + Send + 'static,
) {
    let runtime = tokio::task::spawn_blocking(runtime).await.unwrap();
    let Some(runtime) = runtime.unwrap_or_else(|error| panic!("{program} cannot run: {error:#}")) else {
        return;
    };
    let site = place.prepare(client).await;
    run(&runtime, program, &site).await;
}

async fn run(runtime: &Runtime, program: &str, site: &Site) {
    let mut command = Command::new(&runtime.program);
    command.arg(programs_folder().join(program)).args([&site.host, &site.port.to_string()]);
    command.args([&site.user, &site.password, &site.database, &site.shards.to_string()]);
    command.env("PYTHONDONTWRITEBYTECODE", "1").envs(runtime.environment.clone());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{program} ran longer than {DEADLINE:?}")).unwrap();
    let [said, complained] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{program} on {site:?}: {}\n{said}\n{complained}", output.status);
    println!("{said}");
}
