//! What a cluster needs before its first command: MySQL servers and a topology node, in a folder that is gone with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mysql_async::Conn;
use podway::local_mysql::{FindOptions, LocalServer, MysqlSource, ServerOptions};
use serde_json::Value;

use crate::podway::{Podway, Ran};

/// How long something may take to come true that nobody waits for.
const WITHIN: Duration = Duration::from_secs(30);

/// Servers, and a topology node in a process of its own.
pub struct Cluster {
    pub servers: Vec<LocalServer>,
    pub folder: tempfile::TempDir,
    pub node: Podway,
    /// Where the node answers.
    pub topology: String,
}

impl Cluster {
    /// So many servers, each started with these further options of mysqld's.
    pub async fn start(servers: &[&[&str]]) -> anyhow::Result<Cluster> {
        let find = || MysqlSource::find(&FindOptions::from_env(), &|what| eprintln!("{what}"));
        let source = tokio::task::spawn_blocking(find).await??;
        let options = servers.iter().map(|args| ServerOptions {
            extra_args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            ..ServerOptions::default()
        });
        let servers = LocalServer::start_all_async(&source, options.collect()).await?;
        let folder = tempfile::tempdir()?;
        for (index, server) in servers.iter().enumerate() {
            fs::write(folder.path().join(format!("{index}.password")), server.root_password())?;
        }
        let (node, topology) = start_node(folder.path(), "127.0.0.1:0");
        Ok(Cluster { servers, folder, node, topology })
    }

    /// Starts the node again on its data directory, at the address that it had.
    pub fn restart_node(&mut self) {
        (self.node, self.topology) = start_node(self.folder.path(), &self.topology.clone());
    }

    /// A connection to a server as its administrator.
    pub async fn admin(&self, index: usize) -> anyhow::Result<Conn> {
        Ok(self.servers[index].admin().connect().await?)
    }

    /// A file in the folder.
    pub fn file(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path: PathBuf = self.folder.path().join(name);
        fs::write(&path, text)?;
        Ok(path.to_str().unwrap_or_default().to_owned())
    }

    /// Runs a command of a few words against the node.
    pub fn run(&self, words: &str) -> Ran {
        self.run_all(&words.split(' ').collect::<Vec<_>>())
    }

    /// Runs a command whose words may hold blanks.
    pub fn run_all(&self, words: &[&str]) -> Ran {
        let mut args = words.to_vec();
        args.extend(["--topology", &self.topology]);
        Podway::run(&args)
    }

    /// Runs a command that has to work, and returns what it printed.
    pub fn done(&self, words: &str) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(0), "podway {words}: {ran:?}");
        ran.printed
    }

    /// What a command prints as JSON.
    pub fn json(&self, words: &str) -> Value {
        let printed = self.done(&format!("{words} --json"));
        serde_json::from_str(&printed)
            .unwrap_or_else(|error| panic!("podway {words} --json: {error}: {printed}"))
    }

    /// Adds a server under this name.
    pub fn add_server(&self, index: usize, name: &str) -> Ran {
        let password = self.folder.path().join(format!("{index}.password"));
        let address = self.servers[index].address();
        self.run(&format!(
            "server add {name} {address} --admin-user root --admin-password-file {}",
            password.display()
        ))
    }

    /// Adds all servers as a, b, …
    pub fn add_servers(&self) {
        for (index, name) in ["a", "b", "c", "d"].into_iter().enumerate().take(self.servers.len()) {
            let ran = self.add_server(index, name);
            assert_eq!(ran.code, Some(0), "server {name}: {ran:?}");
        }
    }

    /// Starts a proxy that follows the node.
    pub fn proxy(&self) -> Podway {
        let limit = "shutdown_deadline=5s";
        Podway::start(&[
            "proxy",
            "--topology",
            &self.topology,
            "--listen",
            "127.0.0.1:0",
            "--name",
            "p",
            "--limit",
            limit,
        ])
    }
}

fn start_node(folder: &Path, listen: &str) -> (Podway, String) {
    let data = folder.join("topology");
    let data = data.to_str().expect("a path in UTF-8");
    let mut node = Podway::start(&["topology", "--data-dir", data, "--listen", listen]);
    let topology = node.line("Podway's topology node 1 listens on ");
    node.line("The topology is ready");
    (node, topology)
}

/// Tries until it works; panics with the last refusal when it does not for too long.
pub async fn eventually<T, E: std::fmt::Debug>(
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + WITHIN;
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => assert!(Instant::now() < deadline, "{what}: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
