//! The `podway` binary: reads the command line, sets up logs and the runtime, and calls the command. What commands do is the library's.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use podway::admin::{
    self, AdminCommand, AdminError, AdviseArgs, ApplyArgs, DiffArgs, ExplainArgs, ExportArgs,
    KeyspaceCommandLine, LogArgs, MembersCommandLine, OperationCommandLine, ProxiesCommandLine,
    ServerCommandLine, SettingsCommandLine, ShardCommandLine, StatusArgs, TableCommandLine,
    TransactionCommandLine, UserCommandLine, VerifyArgs, WatchArgs,
};
use podway::demo::{self, DemoArgs};
use podway::node::{self, NodeArgs};
use podway::serve::{self, ProxyArgs};
use tracing_subscriber::EnvFilter;

/// Small allocations by the million, from many threads, in a process that lives for months.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXAMPLES: &str = "\
Examples:
  podway demo                              a sharded MySQL to look around in, gone with Ctrl-C
  podway demo --shards 2 --data-dir ./shop the same with two shards, and kept

  podway topology --data-dir ./topology    one node that keeps the cluster's map
  podway server add a 10.0.0.1:3306 --admin-user podway_admin --admin-password-file a.password
  podway keyspace create shop --shard a --shard b --create-schemas
  podway table declare shop.customers --by id
  podway user create app --password-file app.password --grant 'SELECT, INSERT, UPDATE, DELETE'
  podway proxy --topology 127.0.0.1:7400   one of any number of proxies
  podway status

  podway advise --server 10.0.0.1:3306 --user root --password-file root.password --database shop
                                           which sharding keys fit a database as it is used today

  podway proxy --cluster cluster.toml      Podway before the MySQL servers that the file names, without a topology

Each command has its own --help. Commands that list take --json. Exit codes: 0 done, 1 refused or failed, 2 typed wrongly.
PODWAY_TOPOLOGY says where the topology is. PODWAY_LOG says what is logged to stderr: error, warn, info, debug, or podway_proxy=debug,info
and the like.";

const TOPOLOGY_EXAMPLES: &str = "\
Examples:
  podway topology --data-dir ./topology
  podway topology --id 1 --data-dir /var/lib/podway --listen 10.0.0.1:7400 --peer-listen 10.0.0.1:7401 \\
    --together 1=10.0.0.1:7401,2=10.0.0.2:7401,3=10.0.0.3:7401 \\
    --tls-cert n1.pem --tls-key n1-key.pem --tokens-file tokens \\
    --peer-cert n1-peer.pem --peer-key n1-peer-key.pem --peer-ca peers-ca.pem
  podway topology members

With --data-dir, runs one node until SIGTERM or Ctrl-C. --alone, --together and --join count for an empty disk only.";

/// Podway, a sharding proxy for MySQL
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(DemoArgs),
    Proxy(ProxyLine),
    Topology(TopologyLine),
    Status(StatusArgs),
    #[command(subcommand)]
    Keyspace(KeyspaceCommandLine),
    #[command(subcommand)]
    Server(ServerCommandLine),
    #[command(subcommand)]
    Shard(ShardCommandLine),
    #[command(subcommand)]
    Table(TableCommandLine),
    #[command(subcommand)]
    User(UserCommandLine),
    #[command(subcommand)]
    Operation(OperationCommandLine),
    #[command(subcommand)]
    Settings(SettingsCommandLine),
    Verify(VerifyArgs),
    /// Transactions over several servers: which are not finished, and what became of one
    #[command(subcommand)]
    Txn(TransactionCommandLine),
    Log(LogArgs),
    Watch(WatchArgs),
    Apply(ApplyArgs),
    Diff(DiffArgs),
    Export(ExportArgs),
    Explain(ExplainArgs),
    Advise(AdviseArgs),
    /// Prints the completions of a shell, to be sourced by it
    #[command(
        after_help = "Examples:\n  source <(podway completion bash)\n  podway completion fish > ~/.config/fish/completions/podway.fish"
    )]
    Completion {
        /// The shell
        shell: Shell,
    },
}

/// Runs a proxy before MySQL servers, or lists the proxies
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct ProxyLine {
    #[command(subcommand)]
    about: Option<ProxiesCommandLine>,
    #[command(flatten)]
    run: ProxyArgs,
}

/// Runs a topology node, or shows and changes the nodes
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = TOPOLOGY_EXAMPLES)]
struct TopologyLine {
    #[command(subcommand)]
    about: Option<MembersCommandLine>,
    #[command(flatten)]
    run: NodeArgs,
}

/// A command as it is run.
enum Chosen {
    Demo(DemoArgs),
    Proxy(ProxyArgs),
    Node(Box<NodeArgs>),
    Admin(AdminCommand),
    Completion(Shell),
}

fn main() -> ExitCode {
    let chosen = CommandLine::parse().command.chosen();
    log_to_stderr(match chosen {
        Chosen::Proxy(_) | Chosen::Node(_) => "info,openraft=warn",
        _ => "warn,openraft=error",
    });
    match run(chosen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("podway: {error:#}");
            error.downcast_ref::<AdminError>().map_or(ExitCode::FAILURE, |error| error.exit_code().into())
        }
    }
}

impl Command {
    fn chosen(self) -> Chosen {
        let admin = match self {
            Command::Demo(args) => return Chosen::Demo(args),
            Command::Completion { shell } => return Chosen::Completion(shell),
            Command::Proxy(ProxyLine { about: None, run }) => return Chosen::Proxy(run),
            Command::Topology(TopologyLine { about: None, run }) => return Chosen::Node(Box::new(run)),
            Command::Proxy(ProxyLine { about: Some(line), .. }) => AdminCommand::Proxies(line),
            Command::Topology(TopologyLine { about: Some(line), .. }) => AdminCommand::Members(line),
            Command::Status(args) => AdminCommand::Status(args),
            Command::Keyspace(line) => AdminCommand::Keyspace(line),
            Command::Server(line) => AdminCommand::Server(line),
            Command::Shard(line) => AdminCommand::Shard(line),
            Command::Table(line) => AdminCommand::Table(line),
            Command::User(line) => AdminCommand::User(line),
            Command::Operation(line) => AdminCommand::Operation(line),
            Command::Settings(line) => AdminCommand::Settings(line),
            Command::Verify(args) => AdminCommand::Verify(args),
            Command::Txn(line) => AdminCommand::Transactions(line),
            Command::Log(args) => AdminCommand::Log(args),
            Command::Watch(args) => AdminCommand::Watch(args),
            Command::Apply(args) => AdminCommand::Apply(args),
            Command::Diff(args) => AdminCommand::Diff(args),
            Command::Export(args) => AdminCommand::Export(args),
            Command::Explain(args) => AdminCommand::Explain(args),
            Command::Advise(args) => AdminCommand::Advise(args),
        };
        Chosen::Admin(admin)
    }
}

fn run(chosen: Chosen) -> anyhow::Result<()> {
    if let Chosen::Completion(shell) = chosen {
        clap_complete::generate(shell, &mut CommandLine::command(), "podway", &mut std::io::stdout());
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match chosen {
            Chosen::Demo(args) => demo::run(args).await.map_err(anyhow::Error::from),
            Chosen::Proxy(args) => serve::run(args).await.map_err(anyhow::Error::from),
            Chosen::Node(args) => node::run(*args).await.map_err(anyhow::Error::from),
            Chosen::Admin(command) => admin::run(command).await.map_err(anyhow::Error::from),
            Chosen::Completion(_) => Ok(()),
        }
    });
    // A download that was cut short by Ctrl-C is not waited for.
    runtime.shutdown_background();
    result
}

fn log_to_stderr(default: &str) {
    let filter = EnvFilter::try_from_env("PODWAY_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .init();
}
