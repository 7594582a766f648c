//! The command line of `podway proxy`. Read next: `file`, which says the rest.

use std::net::SocketAddr;
use std::path::PathBuf;

use podway_proxy::{TlsFiles, TlsMode};

use super::error::PlanError;
use super::limits::Limits;
use crate::topology_access::TopologyArgs;

const EXAMPLES: &str = "\
Examples:
  podway proxy --topology 10.0.0.1:7400,10.0.0.2:7400,10.0.0.3:7400 --listen 0.0.0.0:3306
  podway proxy --cluster cluster.toml
  podway proxy --cluster cluster.toml --listen 0.0.0.0:3306 --tls-cert server.pem --tls-key server-key.pem
  podway proxy --cluster cluster.toml --limit client.max_sessions=500 --limit shutdown_deadline=5s

With --topology, the topology says which servers, keyspaces, tables and users there are (`podway server`,
`podway keyspace` and so on change it), and the proxy hears of each change at once.

The cluster file, for two servers and one database sharded over them:

  secret_file = \"cluster.secret\"          # made at the first start; every proxy of the cluster needs the same

  [servers.a]
  address = \"10.0.0.1:3306\"
  admin_user = \"podway_admin\"
  admin_password_file = \"a.password\"      # or admin_password_env, or admin_password

  [servers.b]
  address = \"10.0.0.2:3306\"
  admin_user = \"podway_admin\"
  admin_password_env = \"PASSWORD_B\"

  [keyspaces.shop]
  shards = [{ server = \"a\" }, { server = \"b\", schema = \"shop__2\" }]    # the first is home, or the one with home = true

  [keyspaces.shop.tables]
  customers = { shard_by = [\"id\"] }                           # vindex = \"xxh3\" (default), \"hash\" or \"identity\"
  orders = { shard_by = [\"customer_id\"] }
  countries = { reference = true }

  [users]
  adopt = \"all\"                            # or names: [\"app\", \"report@10.%\"]
  grant = \"SELECT, INSERT, UPDATE, DELETE\" # optional: on the shards' schemas, on every server

  [limits]
  shutdown_deadline = \"10s\"
  client.max_sessions = 5000

Without [keyspaces] and with one server, every database on it is served as it is.
SIGHUP, or a changed file, makes a newer map and shows newer certificates to clients that arrive. SIGTERM and SIGINT stop the proxy in order.";

/// What a proxy is told.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES, group = clap::ArgGroup::new("map").args(["cluster", "topology"]).required(true).multiple(true))]
pub struct ProxyArgs {
    /// A cluster file that says everything, in the place of a topology
    #[arg(long, value_name = "FILE")]
    pub cluster: Option<PathBuf>,
    /// Where clients connect; port 0: the system chooses
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6033")]
    pub listen: SocketAddr,
    /// The proxy's name in the topology [default: the machine's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The address of clients that the topology is told, host:port [default: the one it listens on]
    #[arg(long, value_name = "ADDRESS")]
    pub advertise: Option<String>,
    /// The certificate chain to show to clients, in PEM [default: a self-signed one is made]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Offer no TLS
    #[arg(long, conflicts_with_all = ["tls_cert", "tls_key"])]
    pub tls_off: bool,
    /// Where health and metrics are told over HTTP, to anyone who connects; port 0: the system chooses
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Sets a limit by its name, over the cluster file's; can be given again
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = parse_limit)]
    pub limits: Vec<Limits>,
    /// Where the topology is
    #[command(flatten)]
    pub topology: TopologyArgs,
}

fn parse_limit(text: &str) -> Result<Limits, PlanError> {
    Limits::parse_one(text)
}

impl ProxyArgs {
    /// How TLS is offered.
    pub(super) fn tls(&self) -> TlsMode {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificates), Some(key)) => {
                TlsMode::Files(TlsFiles { certificates: certificates.clone(), key: key.clone() })
            }
            _ if self.tls_off => TlsMode::Off,
            _ => TlsMode::SelfSigned,
        }
    }
}
