//! What is compared: the server itself and proxies before it, each a process of its own with the same number of worker threads. A target
//! that is not on this machine and not in its distribution is named as absent.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use podway::local_mysql::Tools;
use podway_tests::mysql_source;

use crate::args::Args;
use crate::data::{RENAMED, SERVERS, SHARDED, Servers, WHOLE, cluster_file};
use crate::process::Process;

/// How long a proxy may take until it accepts clients.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// Connections that are neither a turn's nor idle.
const OTHER_CLIENTS: usize = 200;

/// Something that clients connect to.
#[derive(Debug)]
pub struct Target {
    pub name: &'static str,
    /// What it says of itself.
    pub version: String,
    pub address: SocketAddr,
    /// The database that clients name.
    pub schema: &'static str,
    /// The process between client and server, if there is one.
    pub process: Option<Process>,
}

/// What is here, and what is not with the reason.
#[derive(Debug, Default)]
pub struct Targets {
    pub here: Vec<Target>,
    pub absent: Vec<(&'static str, String)>,
}

/// Where and how proxies are started.
struct Starter<'a> {
    args: &'a Args,
    servers: &'a Servers,
    tools: Tools,
    folder: &'a Path,
}

impl Targets {
    /// Starts all that were asked for. `folder` is for their files.
    pub fn start(args: &Args, servers: &Servers, folder: &Path) -> anyhow::Result<Targets> {
        let starter = Starter { args, servers, tools: Tools::of(mysql_source()), folder };
        let mut targets = Targets::default();
        if args.wants("mysql") {
            let version = mysql_source().version().to_owned();
            targets.here.push(Target {
                name: "mysql",
                version,
                address: servers.first()?,
                schema: WHOLE,
                process: None,
            });
        }
        type Start<'a> = fn(&Starter<'a>, PathBuf) -> anyhow::Result<Target>;
        let others: [(&'static str, &str, Start<'_>); 4] = [
            ("haproxy", "haproxy", |starter, program| starter.haproxy("haproxy", program)),
            ("haproxy-4", "haproxy", |starter, program| starter.haproxy("haproxy-4", program)),
            ("mysqlrouter", "mysqlrouter", Starter::mysql_router),
            ("proxysql", "proxysql", Starter::proxysql),
        ];
        for (name, program, start) in others {
            if !args.wants(name) {
                continue;
            }
            match starter.tools.find(program, &|what| eprintln!("{what}")) {
                Err(error) => targets.absent.push((name, error.to_string())),
                Ok(program) => match start(&starter, program) {
                    Ok(target) => targets.here.push(target),
                    Err(error) => targets.absent.push((name, format!("it did not start: {error:#}"))),
                },
            }
        }
        for (name, keyspace) in [("podway-1", WHOLE), ("podway-4", SHARDED), ("podway-4-renamed", RENAMED)] {
            if args.wants(name) {
                targets.here.push(starter.podway(name, keyspace)?);
            }
        }
        Ok(targets)
    }
}

impl Starter<'_> {
    /// `haproxy-4` has all servers behind it, and gives each connection to the next of them.
    fn haproxy(&self, name: &'static str, program: PathBuf) -> anyhow::Result<Target> {
        let (address, clients) = (free_address()?, self.clients());
        let count = if name == "haproxy-4" { SERVERS } else { 1 };
        let servers = self.servers.addresses()?.into_iter().take(count).enumerate();
        let servers: String = servers.map(|(n, server)| format!("  server s{n} {server}\n")).collect();
        // Only root has another user to be.
        let user = if nix::unistd::Uid::effective().is_root() { "  user root\n" } else { "" };
        let text = format!(
            "global\n  nbthread {}\n  maxconn {clients}\n{user}\
             defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n\
             listen bench\n  bind {address}\n  balance roundrobin\n{servers}",
            self.args.workers(),
        );
        let file = self.write(&format!("{name}.cfg"), &text)?;
        let mut command = Command::new(&program);
        command.arg("-db").arg("-f").arg(file);
        self.started(name, address, command, says(&program, "-v"))
    }

    fn mysql_router(&self, program: PathBuf) -> anyhow::Result<Target> {
        let (address, clients) = (free_address()?, self.clients());
        let folder = self.folder.join("mysqlrouter");
        std::fs::create_dir_all(&folder)?;
        let plugins = plugin_folder(&program);
        let plugins = plugins.map_or(String::new(), |path| format!("plugin_folder={}\n", path.display()));
        let folder = folder.display();
        let text = format!(
            "[DEFAULT]\nlogging_folder=\nruntime_folder={folder}\ndata_folder={folder}\n{plugins}max_total_connections={clients}\n\
             [logger]\nlevel=WARNING\n[io]\nthreads={}\n\
             [routing:bench]\nbind_address={}\nbind_port={}\ndestinations={}\nrouting_strategy=first-available\nprotocol=classic\n\
             max_connections={clients}\nclient_ssl_mode=DISABLED\nserver_ssl_mode=DISABLED\n",
            self.args.workers(),
            address.ip(),
            address.port(),
            self.servers.first()?
        );
        let file = self.write("mysqlrouter.conf", &text)?;
        let mut command = Command::new(&program);
        command.arg("-c").arg(file);
        self.started("mysqlrouter", address, command, says(&program, "--version"))
    }

    fn proxysql(&self, program: PathBuf) -> anyhow::Result<Target> {
        let (address, admin, server) = (free_address()?, free_address()?, self.servers.first()?);
        let clients = self.clients();
        let folder = self.folder.join("proxysql");
        std::fs::create_dir_all(&folder)?;
        let who = crate::data::credentials(WHOLE);
        let text = format!(
            "datadir=\"{}\"\nadmin_variables={{ mysql_ifaces=\"{admin}\" }}\n\
             mysql_variables={{ threads={} interfaces=\"{address}\" max_connections={clients} monitor_enabled=false have_ssl=false }}\n\
             mysql_servers=( {{ address=\"{}\" port={} hostgroup=0 max_connections=1000 }} )\n\
             mysql_users=( {{ username=\"{}\" password=\"{}\" default_hostgroup=0 }} )\n",
            folder.display(),
            self.args.workers(),
            server.ip(),
            server.port(),
            who.user,
            who.password
        );
        let file = self.write("proxysql.cnf", &text)?;
        let mut command = Command::new(&program);
        command.arg("-f").arg("--initial").arg("-c").arg(file);
        self.started("proxysql", address, command, says(&program, "--version"))
    }

    fn podway(&self, name: &'static str, keyspace: &'static str) -> anyhow::Result<Target> {
        let program = match &self.args.podway {
            Some(program) => program.clone(),
            None => build_podway()?,
        };
        let file = self.write(&format!("{keyspace}.toml"), &cluster_file(self.servers, keyspace)?)?;
        let mut command = Command::new(&program);
        command.arg("proxy").arg("--cluster").arg(file).args(["--listen", "127.0.0.1:0"]);
        command.env("TOKIO_WORKER_THREADS", self.args.workers().to_string()).env("PODWAY_LOG", "warn");
        let log = self.folder.join(format!("{name}.log"));
        let (process, address) = Process::start_until(command, &log, "Podway listens on ")?;
        let address = address.parse().context("Podway's address")?;
        let version = says(&program, "--version");
        Ok(Target { name, version, address, schema: keyspace, process: Some(process) })
    }

    /// How many clients a proxy must accept, where it wants to know.
    fn clients(&self) -> usize {
        let at_work = self.args.cells().into_iter().map(|cell| cell.connections).max();
        at_work.unwrap_or(0).max(self.args.idle_others) + OTHER_CLIENTS
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Starts a proxy before the first server, and waits until it accepts.
    fn started(
        &self,
        name: &'static str,
        address: SocketAddr,
        command: Command,
        version: String,
    ) -> anyhow::Result<Target> {
        let log = self.folder.join(format!("{name}.log"));
        let mut process = Process::start(command, &log)?;
        let give_up = Instant::now() + START_DEADLINE;
        while TcpStream::connect(address).is_err() {
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = process.ended() {
                bail!("{status}: {}", said().trim());
            }
            ensure!(Instant::now() < give_up, "it does not accept clients: {}", said().trim());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Target { name, version, address, schema: WHOLE, process: Some(process) })
    }
}

/// The release binary, up to date.
fn build_podway() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--package", "podway", "--bin", "podway", "--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(std::process::Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "cargo could not build podway");
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let program = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    program.context("cargo built no binary")
}

/// The first line that a program prints about itself.
fn says(program: &Path, word: &str) -> String {
    let output = Command::new(program).arg(word).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// The plugins of a MySQL Router that was unpacked rather than installed.
fn plugin_folder(program: &Path) -> Option<PathBuf> {
    let folder = program.parent()?.parent()?.join("usr/lib/mysqlrouter/plugin");
    folder.is_dir().then_some(folder)
}

/// A port that nobody has just now.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
