//! The command line of `podway proxy`. Read next: `file`, which says the rest.

use std::net::SocketAddr;
use std::path::PathBuf;

use podway_proxy::{TlsFiles, TlsMode};

use super::error::PlanError;
use super::limits::Limits;

const EXAMPLES: &str = "\
Examples:
  podway proxy --cluster cluster.toml
  podway proxy --cluster cluster.toml --listen 0.0.0.0:3306 --tls-cert server.pem --tls-key server-key.pem
  podway proxy --cluster cluster.toml --limit client.max_sessions=500 --limit shutdown_deadline=5s

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
SIGHUP, or a changed file, makes a newer map. SIGTERM and SIGINT stop the proxy in order.";

/// Runs a proxy before the MySQL servers that a cluster file names
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ProxyArgs {
    /// The cluster file
    #[arg(long, value_name = "FILE")]
    pub cluster: PathBuf,
    /// Where clients connect; port 0: the system chooses
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6033")]
    pub listen: SocketAddr,
    /// The certificate chain to show to clients, in PEM [default: a self-signed one is made]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Offer no TLS
    #[arg(long, conflicts_with_all = ["tls_cert", "tls_key"])]
    pub tls_off: bool,
    /// Sets a limit by its name, over the cluster file's; can be given again
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = parse_limit)]
    pub limits: Vec<Limits>,
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
