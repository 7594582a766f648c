//! The cluster that things are done to: MySQL servers, a topology node in this process, and proxies as processes of their own.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use podway::local_mysql::{LocalServer, ServerOptions};
use podway_topology::{NodeConfig, TopologyNode};

use super::trouble::Trouble;
use crate::mysql_source;

/// Servers, each with one shard.
pub const SERVERS: [&str; 3] = ["s0", "s1", "s2"];
/// Proxies.
pub const PROXIES: [&str; 2] = ["p0", "p1"];
const WITHIN: Duration = Duration::from_secs(60);
const KEYSPACE: &str = "chaos";
const USER: (&str, &str) = ("app", "app's own");
const TABLES: [(&str, &str, &str); 3] = [
    ("accounts", "id", "CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)"),
    (
        "ledger",
        "account",
        "CREATE TABLE ledger (account BIGINT, id BIGINT, amount BIGINT NOT NULL, PRIMARY KEY (account, id))",
    ),
    ("lists", "id", "CREATE TABLE lists (id BIGINT PRIMARY KEY, body MEDIUMTEXT NOT NULL)"),
];

/// All of it.
pub struct Stage {
    /// The servers.
    pub servers: Vec<Arc<LocalServer>>,
    proxies: Vec<Proxy>,
    node: TopologyNode,
    podway: PathBuf,
    topology: String,
    folder: tempfile::TempDir,
}

/// A proxy's process.
struct Proxy {
    child: Child,
    address: SocketAddr,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Stage {
    /// Starts everything, with this binary.
    pub async fn start(podway: &Path) -> anyhow::Result<Stage> {
        let source = tokio::task::spawn_blocking(mysql_source).await?;
        // What a server has acknowledged it has after it was killed.
        let extra_args = ["--performance-schema=ON", "--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1"];
        let options =
            ServerOptions { extra_args: extra_args.map(str::to_owned).to_vec(), ..ServerOptions::default() };
        let servers = LocalServer::start_all_async(source, vec![options; SERVERS.len()]).await?;
        let servers: Vec<Arc<LocalServer>> = servers.into_iter().map(Arc::new).collect();
        let folder = tempfile::tempdir()?;
        let node = TopologyNode::start(NodeConfig::embedded(Some(folder.path().join("node")))).await?;
        node.wait_until_ready(WITHIN).await?;
        let topology = node.client_address().to_owned();
        furnish(podway, &topology, &servers, folder.path()).await?;
        let mut stage =
            Stage { servers, proxies: Vec::new(), node, podway: podway.to_owned(), topology, folder };
        for name in PROXIES {
            let proxy = stage.proxy(name, ([127, 0, 0, 1], 0).into())?;
            stage.proxies.push(proxy);
        }
        Ok(stage)
    }

    /// Where clients connect.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.proxies.iter().map(|proxy| proxy.address).collect()
    }

    fn proxy(&self, name: &str, listen: SocketAddr) -> anyhow::Result<Proxy> {
        let log = self.folder.path().join(format!("{name}.log"));
        let err = std::fs::File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(&self.podway);
        command.args(["proxy", "--listen", &listen.to_string(), "--tls-off", "--name", name]);
        command.args(["--topology", &self.topology]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(err).spawn()?;
        let out = child.stdout.take().context("no output")?;
        let (said, heard) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("Podway listens on ") {
                    let _heard = said.send(address.trim().to_owned());
                }
            }
        });
        match heard.recv_timeout(WITHIN) {
            Ok(address) => Ok(Proxy { child, address: address.parse()? }),
            Err(_) => {
                let _ended = child.kill();
                bail!("proxy {name} did not start")
            }
        }
    }

    /// Does it, and what ends it. Of a proxy that was killed: how long what it left stayed prepared, if it left something.
    pub async fn suffer(&mut self, trouble: Trouble) -> anyhow::Result<Option<Duration>> {
        match trouble {
            Trouble::KillProxy(number) => return self.kill_proxy(number).await,
            Trouble::StallProxy(number, time) => stall(self.proxies[number].child.id(), time).await?,
            Trouble::StallServer(number, time) => {
                stall(self.servers[number].pid().context("it does not run")?, time).await?;
            }
            Trouble::KillServer(number) => {
                let server = self.servers[number].clone();
                tokio::task::spawn_blocking(move || {
                    server.kill()?;
                    server.restart()
                })
                .await??;
            }
            Trouble::CutConnections(number) => {
                let mut admin = log_in(&self.servers[number]).await?;
                let sql = format!(
                    "SELECT ID FROM information_schema.PROCESSLIST WHERE USER IN ('{}', '_podway')",
                    USER.0
                );
                let threads: Vec<u64> = admin.query(sql).await?;
                for thread in threads {
                    // It may be gone already.
                    let _gone = admin.query_drop(format!("KILL {thread}")).await;
                }
            }
        }
        Ok(None)
    }

    async fn kill_proxy(&mut self, number: usize) -> anyhow::Result<Option<Duration>> {
        let address = self.proxies[number].address;
        self.proxies[number].child.kill()?;
        let killed = Instant::now();
        self.proxies[number].child.wait()?;
        let mut left = self.prepared().await?;
        let left_some = !left.is_empty();
        while !left.is_empty() {
            ensure!(killed.elapsed() < WITHIN, "still prepared: {left:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = self.prepared().await?;
            left.retain(|branch| now.contains(branch));
        }
        let took = killed.elapsed();
        self.proxies[number] = self.proxy(PROXIES[number], address)?;
        Ok(left_some.then_some(took))
    }

    /// The branches that servers list.
    pub async fn prepared(&self) -> anyhow::Result<BTreeSet<(usize, String)>> {
        let mut all = BTreeSet::new();
        for (number, server) in self.servers.iter().enumerate() {
            let mut admin = log_in(server).await?;
            let rows: Vec<(u64, u64, u64, String)> = admin.query("XA RECOVER").await?;
            all.extend(rows.into_iter().map(|(_, _, _, data)| (number, data)));
            admin.disconnect().await?;
        }
        Ok(all)
    }

    /// The InnoDB transactions that hold locks, by server and thread.
    pub async fn open(&self) -> anyhow::Result<Vec<(usize, u64)>> {
        let mut all = Vec::new();
        for (number, server) in self.servers.iter().enumerate() {
            let mut admin = log_in(server).await?;
            let sql = "SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX \
                       WHERE trx_mysql_thread_id <> CONNECTION_ID() AND trx_rows_locked + trx_rows_modified > 0";
            let rows: Vec<u64> = admin.query(sql).await?;
            all.extend(rows.into_iter().map(|thread| (number, thread)));
            admin.disconnect().await?;
        }
        Ok(all)
    }

    /// All rows of a query in the keyspace's schema on each server.
    pub async fn rows<R>(&self, sql: &str) -> anyhow::Result<Vec<Vec<R>>>
    where
        R: mysql_async::prelude::FromRow + Send + 'static,
    {
        let mut all = Vec::new();
        for server in &self.servers {
            let mut admin = log_in(server).await?;
            admin.query_drop(format!("USE {KEYSPACE}")).await?;
            all.push(admin.query(sql).await?);
        }
        Ok(all)
    }

    /// Ends it.
    pub async fn stop(mut self) {
        self.proxies.clear();
        self.node.stop().await;
    }
}

/// Logs in to a proxy, with little patience for locks.
pub async fn connect(proxy: SocketAddr) -> anyhow::Result<Conn> {
    let options = OptsBuilder::default()
        .ip_or_hostname(proxy.ip().to_string())
        .tcp_port(proxy.port())
        .user(Some(USER.0))
        .pass(Some(USER.1))
        .db_name(Some(KEYSPACE))
        .stmt_cache_size(0)
        .prefer_socket(false);
    let mut conn = Conn::new(options).await?;
    conn.query_drop("SET innodb_lock_wait_timeout = 5").await?;
    Ok(conn)
}

/// Logs in to a server, which may just have been killed or have no time.
async fn log_in(server: &LocalServer) -> anyhow::Result<Conn> {
    let begun = Instant::now();
    loop {
        match server.admin().connect().await {
            Ok(conn) => return Ok(conn),
            Err(error) if begun.elapsed() > WITHIN => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn stall(process: u32, time: Duration) -> anyhow::Result<()> {
    let process = Pid::from_raw(i32::try_from(process)?);
    kill(process, Signal::SIGSTOP)?;
    tokio::time::sleep(time).await;
    kill(process, Signal::SIGCONT)?;
    Ok(())
}

async fn furnish(
    podway: &Path,
    topology: &str,
    servers: &[Arc<LocalServer>],
    folder: &Path,
) -> anyhow::Result<()> {
    let run = async |words: &[&str]| {
        let mut command = tokio::process::Command::new(podway);
        let output = command.args(words).args(["--topology", topology]).output().await?;
        ensure!(output.status.success(), "podway {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        anyhow::Ok(())
    };
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        anyhow::Ok(path.to_string_lossy().into_owned())
    };
    let mut create = vec!["keyspace", "create", KEYSPACE, "--create-schemas"];
    for (server, name) in servers.iter().zip(SERVERS) {
        let password = file(name, server.root_password())?;
        let address = server.address();
        run(&["server", "add", name, &address, "--admin-user", "root", "--admin-password-file", &password])
            .await?;
        create.extend(["--shard", name]);
    }
    run(&create).await?;
    for server in servers {
        let mut admin = server.admin().connect().await?;
        admin.query_drop(format!("USE {KEYSPACE}")).await?;
        for (_, _, sql) in TABLES {
            admin.query_drop(sql).await?;
        }
    }
    for (table, by, _) in TABLES {
        run(&["table", "declare", &format!("{KEYSPACE}.{table}"), "--by", by]).await?;
    }
    let password = file("app.password", USER.1)?;
    let grants = ["--grant", "SELECT, INSERT, UPDATE", "--on", KEYSPACE];
    run(&[&["user", "create", USER.0, "--password-file", &password][..], &grants].concat()).await
}
