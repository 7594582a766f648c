//! How commands come to the topology: addresses, token and certificates, from flags or the environment. Nothing is asked of it here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use podway_topology_api::{
    ClientConfig, ClientConfigError, ClientTls, Identity, NotARight, NotAToken, Pem, Right, Token,
    TopologyClient,
};

/// Where `podway topology` listens for clients if nobody says otherwise.
pub const DEFAULT_TOPOLOGY: &str = "127.0.0.1:7400";

/// The way to the topology, as typed.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "The topology")]
pub struct TopologyArgs {
    /// Its nodes, host:port each; one that answers is enough [default of administrative commands: 127.0.0.1:7400]
    #[arg(long, value_name = "ADDRESS", env = "PODWAY_TOPOLOGY", value_delimiter = ',')]
    pub topology: Vec<String>,
    /// A file with the token that the nodes ask for
    #[arg(long, value_name = "FILE", env = "PODWAY_TOPOLOGY_TOKEN_FILE")]
    pub topology_token_file: Option<PathBuf>,
    /// The authorities of the nodes' certificates, in PEM; without it, connections are not encrypted
    #[arg(long, value_name = "FILE", env = "PODWAY_TOPOLOGY_CA")]
    pub topology_ca: Option<PathBuf>,
    /// One's own certificate for nodes that ask for one, in PEM
    #[arg(long, value_name = "FILE", env = "PODWAY_TOPOLOGY_CERT", requires_all = ["topology_key", "topology_ca"])]
    pub topology_cert: Option<PathBuf>,
    /// The certificate's key, in PEM
    #[arg(long, value_name = "FILE", env = "PODWAY_TOPOLOGY_KEY", requires = "topology_cert")]
    pub topology_key: Option<PathBuf>,
    /// The name that the nodes' certificates carry [default: the host of the address]
    #[arg(long, value_name = "NAME", env = "PODWAY_TOPOLOGY_NAME", requires = "topology_ca")]
    pub topology_name: Option<String>,
}

/// Why nothing can be asked of a topology.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A file cannot be read.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file holds no token.
    #[error("{path}: {error}", path = path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What a token is.
        error: NotAToken,
    },
    /// A token's right is none.
    #[error("{path}: behind a token: {error}", path = path.display())]
    Right {
        /// The file.
        path: PathBuf,
        /// What a right is.
        error: NotARight,
    },
    /// The addresses cannot be.
    #[error("--topology: {0}")]
    Client(#[from] ClientConfigError),
}

impl TopologyArgs {
    /// The client for these, connecting when it is first asked. Without an address it is [`DEFAULT_TOPOLOGY`]'s.
    pub fn client(&self) -> Result<TopologyClient, AccessError> {
        self.client_within(ClientConfig::USUAL_DEADLINE)
    }

    /// The same, giving up after this long.
    pub fn client_within(&self, deadline: Duration) -> Result<TopologyClient, AccessError> {
        let addresses = match &self.topology[..] {
            [] => vec![DEFAULT_TOPOLOGY.to_owned()],
            given => given.iter().map(|address| address.trim().to_owned()).collect(),
        };
        let token = self.topology_token_file.as_deref().map(|path| {
            let token = Token::new(&String::from_utf8_lossy(&read(path)?));
            token.map_err(|error| AccessError::Token { path: path.to_owned(), error })
        });
        let (tls, token) = (self.tls()?, token.transpose()?);
        let config = ClientConfig { tls, token, deadline, ..ClientConfig::plain(addresses) };
        Ok(TopologyClient::new(config)?)
    }

    /// The addresses as they would be typed again.
    pub fn addresses(&self) -> String {
        if self.topology.is_empty() { DEFAULT_TOPOLOGY.to_owned() } else { self.topology.join(",") }
    }

    fn tls(&self) -> Result<Option<ClientTls>, AccessError> {
        let Some(ca) = &self.topology_ca else { return Ok(None) };
        let identity = match (&self.topology_cert, &self.topology_key) {
            (Some(certificate), Some(key)) => Some(identity(certificate, key)?),
            _ => None,
        };
        Ok(Some(ClientTls { ca: pem(ca)?, identity, server_name: self.topology_name.clone() }))
    }
}

/// Reads a certificate chain and its key.
pub(crate) fn identity(certificate: &Path, key: &Path) -> Result<Identity, AccessError> {
    Ok(Identity { certificate: pem(certificate)?, key: pem(key)? })
}

/// Reads a PEM file.
pub(crate) fn pem(path: &Path) -> Result<Pem, AccessError> {
    Ok(Pem::new(read(path)?))
}

/// Reads a file with one token a line, and its right behind it, which is `admin` where none stands there; blank lines and those that begin with `#` are
/// not tokens.
pub(crate) fn tokens(path: &Path) -> Result<Vec<(Token, Right)>, AccessError> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| token_and_right(path, line)).collect()
}

fn token_and_right(path: &Path, line: &str) -> Result<(Token, Right), AccessError> {
    let path = || path.to_owned();
    let (token, right) = match line.split_once(char::is_whitespace) {
        Some((token, right)) => {
            let right = right.trim().parse().map_err(|error| AccessError::Right { path: path(), error })?;
            (token, right)
        }
        None => (line, Right::Admin),
    };
    Ok((Token::new(token).map_err(|error| AccessError::Token { path: path(), error })?, right))
}

fn read(path: &Path) -> Result<Vec<u8>, AccessError> {
    fs::read(path).map_err(|error| AccessError::File { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_holds_a_token_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        fs::write(&path, "# proxies\n0123456789abcdef\n\n fedcba9876543210\t proxy \n").unwrap();
        let read: Vec<(String, Right)> =
            tokens(&path).unwrap().iter().map(|(token, right)| (token.reveal().to_owned(), *right)).collect();
        let expected = [("0123456789abcdef", Right::Admin), ("fedcba9876543210", Right::Proxy)];
        assert_eq!(read, expected.map(|(token, right)| (token.to_owned(), right)));
        fs::write(&path, "0123456789abcdef everything\n").unwrap();
        assert!(matches!(tokens(&path), Err(AccessError::Right { .. })));
        fs::write(&path, "short\n").unwrap();
        assert!(matches!(tokens(&path), Err(AccessError::Token { .. })));
        assert!(matches!(tokens(&folder.path().join("none")), Err(AccessError::File { .. })));
    }

    #[tokio::test]
    async fn without_a_word_the_topology_is_on_this_machine() {
        assert_eq!(TopologyArgs::default().addresses(), DEFAULT_TOPOLOGY);
        assert!(TopologyArgs::default().client().is_ok());
    }
}
