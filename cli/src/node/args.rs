//! The command line of `podway topology`, and the node's configuration made of it. Read next: `run`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use podway_topology::{
    ClientListener, ClientListenerTls, InitialMember, NodeConfig, PeerListener, PeerTls, Start, Statements,
    Storage, Surroundings, Tuning,
};
use podway_topology_api::{NodeId, NotARight, Right};

use super::error::NodeError;
use crate::provision::key_rules;
use crate::topology_access::{identity, pem, tokens};

/// What a topology node is told.
#[derive(Clone, Debug, clap::Args)]
pub struct NodeArgs {
    /// The node's number in its cluster
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub id: u64,
    /// Where it keeps the topology; made if it is missing
    #[arg(long, value_name = "DIR", required = true)]
    pub data_dir: Option<PathBuf>,
    /// Where proxies and administrators connect; port 0: the system chooses
    #[arg(long, value_name = "ADDRESS", default_value = crate::topology_access::DEFAULT_TOPOLOGY)]
    pub listen: SocketAddr,
    /// The address that clients are told, host:port [default: the one it listens on]
    #[arg(long, value_name = "ADDRESS")]
    pub advertise: Option<String>,
    /// The certificate to show to clients, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Clients with a certificate from these authorities need no token, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub client_ca: Option<PathBuf>,
    /// What certificates may do by a name that they carry: `read`, `proxy` or `admin`; others then nothing [default: each is `admin`]
    #[arg(long, value_name = "NAME=RIGHT", value_delimiter = ',', value_parser = parse_right, requires = "client_ca")]
    pub client_right: Vec<(String, Right)>,
    /// The tokens that let clients in, one a line; behind a token may stand what it is for: `read`, `proxy` or `admin`, which it is without a word
    #[arg(long, value_name = "FILE")]
    pub tokens_file: Option<PathBuf>,
    /// Where other nodes connect; without it the node stays alone
    #[arg(long, value_name = "ADDRESS")]
    pub peer_listen: Option<SocketAddr>,
    /// The address that other nodes are told, host:port [default: the one it listens on]
    #[arg(long, value_name = "ADDRESS", requires = "peer_listen")]
    pub peer_advertise: Option<String>,
    /// The certificate for other nodes, as server and as client, in PEM
    #[arg(long, value_name = "FILE", requires_all = ["peer_key", "peer_ca", "peer_listen"])]
    pub peer_cert: Option<PathBuf>,
    /// Its key, in PEM
    #[arg(long, value_name = "FILE", requires = "peer_cert")]
    pub peer_key: Option<PathBuf>,
    /// The authorities of all nodes' certificates, which sign nothing else, in PEM
    #[arg(long, value_name = "FILE", requires = "peer_cert")]
    pub peer_ca: Option<PathBuf>,
    /// The name that other nodes' certificates carry [default: the host of their address]
    #[arg(long, value_name = "NAME", requires = "peer_cert")]
    pub peer_name: Option<String>,
    /// With an empty disk: begin a cluster of this node alone (the default)
    #[arg(long, conflicts_with_all = ["together", "join"])]
    pub alone: bool,
    /// With an empty disk: begin a cluster with these nodes, all of which are told the same list
    #[arg(long, value_name = "ID=HOST:PORT", value_delimiter = ',', value_parser = parse_member, conflicts_with = "join")]
    pub together: Vec<InitialMember>,
    /// With an empty disk: wait to be added to a cluster (`podway topology add`)
    #[arg(long)]
    pub join: bool,
    /// Where health and metrics are told over HTTP, to anyone who connects; port 0: the system chooses
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Listen beyond this machine without TLS, or let anyone in: for networks that nobody else is on
    #[arg(long)]
    pub insecure: bool,
}

fn parse_member(text: &str) -> Result<InitialMember, String> {
    let (id, peer) =
        text.split_once('=').ok_or("a node is named as ID=HOST:PORT, for example 2=10.0.0.2:7401")?;
    let id = id.trim().parse().map_err(|_| format!("{id:?} is no node's number"))?;
    Ok(InitialMember { id: NodeId(id), peer: peer.trim().to_owned() })
}

fn parse_right(text: &str) -> Result<(String, Right), String> {
    let (name, right) =
        text.split_once('=').ok_or("a right is given as NAME=RIGHT, for example p1.example=proxy")?;
    let right = right.trim().parse().map_err(|error: NotARight| error.to_string())?;
    Ok((name.trim().to_owned(), right))
}

impl NodeArgs {
    /// The node's configuration, with the files read.
    pub(super) fn config(&self) -> Result<NodeConfig, NodeError> {
        let tls = self.client_tls()?;
        let clients = ClientListener {
            listen: self.listen,
            advertise: self.advertise.clone(),
            tls,
            tokens: self.tokens_file.as_deref().map(tokens).transpose()?.unwrap_or_default(),
        };
        Ok(NodeConfig {
            id: NodeId(self.id),
            storage: self.data_dir.clone().map_or(Storage::Memory, Storage::Directory),
            start: self.start(),
            clients,
            peers: self.peers()?,
            insecure: self.insecure,
            tuning: Tuning {
                statements: Statements { rules: key_rules(), ..Statements::default() },
                ..Tuning::default()
            },
            surroundings: Surroundings::default(),
        })
    }

    fn start(&self) -> Start {
        if self.join {
            Start::Join
        } else if self.together.is_empty() {
            Start::Alone
        } else {
            Start::Together(self.together.clone())
        }
    }

    fn peers(&self) -> Result<Option<PeerListener>, NodeError> {
        let Some(listen) = self.peer_listen else { return Ok(None) };
        let tls = self.peer_tls()?;
        Ok(Some(PeerListener { listen, advertise: self.peer_advertise.clone(), tls }))
    }

    /// The client port's certificates, as the files are now.
    pub(super) fn client_tls(&self) -> Result<Option<ClientListenerTls>, NodeError> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        Ok(Some(ClientListenerTls {
            identity: identity(certificate, key)?,
            client_ca: self.client_ca.as_deref().map(pem).transpose()?,
            rights: self.client_right.clone(),
        }))
    }

    /// The peer port's certificates, as the files are now.
    pub(super) fn peer_tls(&self) -> Result<Option<PeerTls>, NodeError> {
        let (Some(certificate), Some(key), Some(ca)) = (&self.peer_cert, &self.peer_key, &self.peer_ca)
        else {
            return Ok(None);
        };
        let identity = identity(certificate, key)?;
        Ok(Some(PeerTls { identity, ca: pem(ca)?, server_name: self.peer_name.clone() }))
    }

    /// The files that certificates are read from.
    pub(super) fn certificate_files(&self) -> Vec<&Path> {
        let files =
            [&self.tls_cert, &self.tls_key, &self.client_ca, &self.peer_cert, &self.peer_key, &self.peer_ca];
        files.into_iter().flatten().map(PathBuf::as_path).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: NodeArgs,
    }

    fn parse(words: &str) -> Result<NodeConfig, String> {
        let words = std::iter::once("podway").chain(words.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        line.args.config().map_err(|error| error.to_string())
    }

    #[test]
    fn a_data_directory_is_enough() {
        let config = parse("--data-dir d").unwrap();
        assert_eq!((config.id, config.start), (NodeId(1), Start::Alone));
        assert_eq!(config.clients.listen.to_string(), "127.0.0.1:7400");
        assert!(config.peers.is_none() && !config.insecure);
    }

    #[test]
    fn three_nodes_are_told_of_each_other() {
        let words = "--id 2 --data-dir d --peer-listen 127.0.0.1:7411 --together 1=a:7401,2=b:7401,3=c:7401";
        let Start::Together(members) = parse(words).unwrap().start else { panic!("not together") };
        assert_eq!(members.len(), 3);
        assert_eq!((members[2].id, members[2].peer.as_str()), (NodeId(3), "c:7401"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let cases = [
            ("", "--data-dir"),
            ("--data-dir d --id 0", "0 is not in"),
            ("--data-dir d --together 1", "ID=HOST:PORT"),
            ("--data-dir d --together 1=a:1 --join", "cannot be used with"),
            ("--data-dir d --tls-cert c", "--tls-key"),
            ("--data-dir d --tokens-file /nowhere/tokens", "/nowhere/tokens"),
            (
                "--data-dir d --tls-cert c --tls-key k --client-ca a --client-right p1=all",
                "`read`, `proxy` or `admin`",
            ),
            ("--data-dir d --client-right p1=proxy", "--client-ca"),
        ];
        for (words, expected) in cases {
            let error = parse(words).err().unwrap_or_default();
            assert!(error.contains(expected), "{words}: {error}");
        }
    }
}
