//! The cluster that things are done to: MySQL servers, a topology node and proxies, each a process of its own.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, OptsBuilder};
use podway::local_mysql::{LocalServer, ServerOptions};
use podway_model::ServerId;
use podway_topology_api::{
    ClientConfig, Command as Told, Done, NewOperation, OperationCommand, OperationId, OperationState,
    Proposer, TopologyClient, TopologyStore, View,
};

use super::clock::{Clocks, SKEW};
use super::furnish::{KEYSPACE, SERVERS, USER, furnish};
use super::process::{Process, free_address, stall};
use super::trouble::Trouble;
use crate::mysql_source;

const WITHIN: Duration = Duration::from_secs(60);

/// All of it.
pub struct Stage {
    /// The servers.
    pub servers: Vec<Arc<LocalServer>>,
    proxies: Vec<(Process, SocketAddr)>,
    node: Process,
    podway: PathBuf,
    topology: SocketAddr,
    client: TopologyClient,
    proposer: Proposer<TopologyClient>,
    moves: Vec<OperationId>,
    clocks: Option<Clocks>,
    folder: tempfile::TempDir,
}

impl Stage {
    /// Starts everything, with this binary and so many proxies.
    pub async fn start(podway: &Path, proxies: usize) -> anyhow::Result<Stage> {
        let source = tokio::task::spawn_blocking(mysql_source).await?;
        // What a server has acknowledged it has after it was killed.
        let extra_args = ["--performance-schema=ON", "--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1"];
        let options =
            ServerOptions { extra_args: extra_args.map(str::to_owned).to_vec(), ..ServerOptions::default() };
        let servers = LocalServer::start_all_async(source, vec![options; SERVERS.len()]).await?;
        let servers: Vec<Arc<LocalServer>> = servers.into_iter().map(Arc::new).collect();
        let folder = tempfile::tempdir()?;
        let topology = free_address()?;
        let node = node(podway, folder.path(), topology)?;
        let client = TopologyClient::new(ClientConfig::plain(vec![topology.to_string()]))?;
        furnish(podway, &topology.to_string(), &servers, folder.path()).await?;
        let mut stage = Stage {
            servers,
            proxies: Vec::new(),
            node,
            podway: podway.to_owned(),
            topology,
            proposer: Proposer::new(client.clone(), "chaos"),
            client,
            moves: Vec::new(),
            clocks: Clocks::make(folder.path()),
            folder,
        };
        for number in 0..proxies {
            let address = free_address()?;
            // They begin as far from each other as they may be.
            let most = SKEW.as_millis() as i64;
            stage.set_clock(number, [most, -most, 0][number % 3])?;
            let proxy = stage.proxy(number, address)?;
            stage.proxies.push((proxy, address));
        }
        Ok(stage)
    }

    /// Where clients connect.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.proxies.iter().map(|(_, address)| *address).collect()
    }

    fn proxy(&self, number: usize, listen: SocketAddr) -> anyhow::Result<Process> {
        let name = format!("p{number}");
        let mut command = Command::new(&self.podway);
        command.args(["proxy", "--listen", &listen.to_string(), "--tls-off", "--name", &name]);
        command.args(["--topology", &self.topology.to_string()]);
        if let Some(clocks) = &self.clocks {
            // It is to stamp all the same.
            command.args(["--limit", "max_clock_ahead=2s"]);
            clocks.give(&mut command, &name);
        }
        Process::start(command, &self.folder.path().join(format!("{name}.log")), "Podway listens on ")
    }

    /// Whether proxies have clocks of their own.
    pub fn has_clocks(&self) -> bool {
        self.clocks.is_some()
    }

    fn set_clock(&self, proxy: usize, ahead_ms: i64) -> anyhow::Result<()> {
        self.clocks.as_ref().map_or(Ok(()), |clocks| clocks.set(&format!("p{proxy}"), ahead_ms))
    }

    /// Does it, and what ends it. Of a proxy that was killed: how long what it left stayed prepared, if it left something.
    pub async fn suffer(&mut self, trouble: Trouble) -> anyhow::Result<Option<Duration>> {
        match trouble {
            Trouble::KillProxy(number) => return self.kill_proxy(number).await,
            Trouble::StallProxy(number, time) => stall(self.proxies[number].0.id(), time).await?,
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
                let mut admin = self.admin(number).await?;
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
            Trouble::KillTopology(time) => {
                self.node.kill()?;
                tokio::time::sleep(time).await;
                self.node = node(&self.podway, self.folder.path(), self.topology)?;
            }
            Trouble::SetClock(number, ahead_ms) => self.set_clock(number, ahead_ms)?,
            Trouble::MoveShard(number, to) => self.begin_move(number, to).await?,
        }
        Ok(None)
    }

    async fn kill_proxy(&mut self, number: usize) -> anyhow::Result<Option<Duration>> {
        self.proxies[number].0.kill()?;
        let killed = Instant::now();
        let left = self.prepared().await?;
        let took = self.until_finished(&left, killed).await?;
        self.restart_proxy(number)?;
        Ok((!left.is_empty()).then_some(took))
    }

    /// Kills a proxy and starts it again at once; how long what it left stayed prepared, if it left something.
    pub async fn kill_and_restart_proxy(&mut self, number: usize) -> anyhow::Result<Option<Duration>> {
        self.proxies[number].0.kill()?;
        let killed = Instant::now();
        let left = self.prepared().await?;
        self.restart_proxy(number)?;
        let took = self.until_finished(&left, killed).await?;
        Ok((!left.is_empty()).then_some(took))
    }

    fn restart_proxy(&mut self, number: usize) -> anyhow::Result<()> {
        self.proxies[number].0 = self.proxy(number, self.proxies[number].1)?;
        Ok(())
    }

    /// Waits until a branch is prepared on some server.
    pub async fn until_one_is_prepared(&self) -> anyhow::Result<()> {
        let mut admins = Vec::new();
        for number in 0..self.servers.len() {
            admins.push(self.admin(number).await?);
        }
        let begun = Instant::now();
        loop {
            for admin in &mut admins {
                let one: Option<mysql_async::Row> = admin.query_first("XA RECOVER").await?;
                if one.is_some() {
                    return Ok(());
                }
            }
            ensure!(begun.elapsed() < WITHIN, "nothing is ever prepared");
        }
    }

    /// Waits until none of these is prepared any more; how long after this moment that was.
    async fn until_finished(
        &self,
        branches: &BTreeSet<(usize, String)>,
        since: Instant,
    ) -> anyhow::Result<Duration> {
        let mut left = branches.clone();
        while !left.is_empty() {
            ensure!(since.elapsed() < WITHIN, "still prepared: {left:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = self.prepared().await?;
            left.retain(|branch| now.contains(branch));
        }
        Ok(since.elapsed())
    }

    /// Begins to move a shard to a server, or to the next one where it is there; nothing, while another moves.
    async fn begin_move(&mut self, number: usize, to: usize) -> anyhow::Result<()> {
        let view = self.view().await?;
        if view.operations.iter().any(|operation| operation.state.is_open()) {
            return Ok(());
        }
        let shard = shards(&view).nth(number).context("no such shard")?;
        let is_there = place(&view, shard.server)? == to;
        let to = if is_there { (to + 1) % SERVERS.len() } else { to };
        // Each place of a shard has a schema of its own: what is left behind stays there.
        let schema = format!("{KEYSPACE}_{}", self.moves.len() + 1);
        let new =
            NewOperation::MoveShard { shard: shard.id, to: SERVERS[to].into(), schema: Some(schema.into()) };
        match self.proposer.propose(Told::Operation(OperationCommand::Begin(new))).await? {
            Done::Began(id) => self.moves.push(id),
            other => bail!("{other:?}"),
        }
        Ok(())
    }

    /// Waits until nothing moves; how many moves have ended well.
    pub async fn moved(&self) -> anyhow::Result<usize> {
        let begun = Instant::now();
        loop {
            let view = self.view().await?;
            let open = view.operations.iter().find(|operation| operation.state.is_open());
            let Some(open) = open else {
                let ended = view.operations.iter().filter(|one| self.moves.contains(&one.id));
                return Ok(ended.filter(|one| one.state == OperationState::Finished).count());
            };
            ensure!(begun.elapsed() < WITHIN, "it moves still: {open:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn view(&self) -> anyhow::Result<View> {
        let begun = Instant::now();
        loop {
            match self.client.read(true).await {
                Ok(view) => return Ok(view),
                Err(error) if begun.elapsed() > WITHIN => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// The branches that servers list.
    pub async fn prepared(&self) -> anyhow::Result<BTreeSet<(usize, String)>> {
        let mut all = BTreeSet::new();
        for number in 0..self.servers.len() {
            let mut admin = self.admin(number).await?;
            let rows: Vec<(u64, u64, u64, String)> = admin.query("XA RECOVER").await?;
            all.extend(rows.into_iter().map(|(_, _, _, data)| (number, data)));
            admin.disconnect().await?;
        }
        Ok(all)
    }

    /// The InnoDB transactions that hold locks, by server and thread.
    pub async fn open(&self) -> anyhow::Result<Vec<(usize, u64)>> {
        let mut all = Vec::new();
        for number in 0..self.servers.len() {
            let mut admin = self.admin(number).await?;
            let sql = "SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX \
                       WHERE trx_mysql_thread_id <> CONNECTION_ID() AND trx_rows_locked + trx_rows_modified > 0";
            let rows: Vec<u64> = admin.query(sql).await?;
            all.extend(rows.into_iter().map(|thread| (number, thread)));
            admin.disconnect().await?;
        }
        Ok(all)
    }

    /// All rows of a query in each shard's schema, where the map has it.
    pub async fn rows<R: FromRow + Send + 'static>(&self, sql: &str) -> anyhow::Result<Vec<Vec<R>>> {
        let view = self.view().await?;
        let mut all = Vec::new();
        for shard in shards(&view) {
            let mut admin = self.admin(place(&view, shard.server)?).await?;
            admin.query_drop(format!("USE `{}`", shard.schema)).await?;
            all.push(admin.query(sql).await?);
        }
        Ok(all)
    }

    /// All rows of a query on each server, with its number in the map.
    pub async fn on_servers<R: FromRow + Send + 'static>(
        &self,
        sql: &str,
    ) -> anyhow::Result<Vec<(ServerId, R)>> {
        let view = self.view().await?;
        let mut all = Vec::new();
        for server in &view.servers {
            let rows: Vec<R> = self.admin(place(&view, server.id)?).await?.query(sql).await?;
            all.extend(rows.into_iter().map(|row| (server.id, row)));
        }
        Ok(all)
    }

    /// Logs in to a server, which may just have been killed or have no time.
    pub async fn admin(&self, number: usize) -> anyhow::Result<Conn> {
        let begun = Instant::now();
        loop {
            match self.servers[number].admin().connect().await {
                Ok(conn) => return Ok(conn),
                Err(error) if begun.elapsed() > WITHIN => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

fn node(podway: &Path, folder: &Path, listen: SocketAddr) -> anyhow::Result<Process> {
    let mut command = Command::new(podway);
    command.args(["topology", "--listen", &listen.to_string(), "--data-dir"]).arg(folder.join("node"));
    Process::start(command, &folder.join("node.log"), "The topology is ready")
}

fn shards(view: &View) -> impl Iterator<Item = &podway_topology_api::ShardView> {
    view.keyspaces.iter().flat_map(|keyspace| &keyspace.shards)
}

fn place(view: &View, id: ServerId) -> anyhow::Result<usize> {
    let server = view.servers.iter().find(|server| server.id == id).context("no such server")?;
    SERVERS.iter().position(|name| *name == &*server.name).context("no such name")
}

/// Logs in to a proxy, with little patience for locks.
pub async fn connect(proxy: SocketAddr) -> Result<Conn, mysql_async::Error> {
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
