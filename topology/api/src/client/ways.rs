//! The nodes that a client knows, one of which it uses until that one fails. It sends nothing itself.

use std::time::Duration;

use parking_lot::Mutex;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::{ClientConfig, ClientConfigError};
use crate::contract::topology_client::TopologyClient as Generated;
use crate::{ClientTls, Wire};

/// Addresses kept: those given, and those that hints named.
const WAYS_KEPT: usize = 32;
/// A node that does not take a connection within this is away.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// A silent connection is asked for a sign so often …
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(2);
/// … and given up after this.
const KEEP_ALIVE_WITHIN: Duration = Duration::from_secs(3);
/// The largest answer: a view of everything.
const MAX_ANSWER: usize = 256 << 20;

/// The way to one node.
#[derive(Clone, Debug)]
pub struct Way {
    /// Its address.
    pub address: String,
    /// Its connection.
    pub client: Generated<Channel>,
}

/// All of them.
#[derive(Debug)]
pub struct Ways {
    tls: Option<ClientTlsConfig>,
    wire: Wire,
    authorization: Option<MetadataValue<Ascii>>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    ways: Vec<Way>,
    current: usize,
}

impl Ways {
    /// To the addresses of a configuration.
    pub fn new(config: ClientConfig) -> Result<Ways, ClientConfigError> {
        let tls = config.tls.as_ref().map(tls_config);
        let authorization = config.token.map(|token| {
            let mut value = MetadataValue::try_from(format!("Bearer {}", token.reveal()));
            if let Ok(value) = &mut value {
                value.set_sensitive(true);
            }
            value
        });
        let authorization = authorization.transpose().map_err(|_| ClientConfigError::NoAddress)?;
        let wire = config.wire;
        let ways = config.addresses.iter().map(|address| way(address, tls.as_ref(), &wire));
        let ways: Vec<_> = ways.collect::<Result<_, _>>()?;
        if ways.is_empty() {
            return Err(ClientConfigError::NoAddress);
        }
        // Clients spread over the nodes, which serve all of them alike.
        let current = rand::random_range(0..ways.len());
        Ok(Ways { tls, wire, authorization, known: Mutex::new(Known { ways, current }) })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.lock().ways.len()
    }

    /// The one in use.
    pub fn current(&self) -> Way {
        let known = self.known.lock();
        known.ways[known.current].clone()
    }

    /// Uses another one than `failed`, unless that has been done already: the one at `hint`, else the next.
    pub fn leave(&self, failed: &Way, hint: Option<&str>) {
        let mut known = self.known.lock();
        if known.ways[known.current].address != failed.address {
            return;
        }
        let hint = hint.filter(|hint| *hint != failed.address);
        let place = hint.and_then(|hint| self.place_of(&mut known, hint));
        known.current = place.unwrap_or((known.current + 1) % known.ways.len());
    }

    fn place_of(&self, known: &mut Known, address: &str) -> Option<usize> {
        if let Some(place) = known.ways.iter().position(|way| way.address == address) {
            return Some(place);
        }
        if known.ways.len() >= WAYS_KEPT {
            return None;
        }
        known.ways.push(way(address, self.tls.as_ref(), &self.wire).ok()?);
        Some(known.ways.len() - 1)
    }

    /// A request with what lets the caller in, and its deadline.
    pub fn request<Q>(&self, question: Q, within: Duration) -> Request<Q> {
        let mut request = Request::new(question);
        request.set_timeout(within);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }
}

fn tls_config(tls: &ClientTls) -> ClientTlsConfig {
    let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(tls.ca.as_bytes()));
    if let Some(own) = &tls.identity {
        config = config
            .identity(tonic::transport::Identity::from_pem(own.certificate.as_bytes(), own.key.as_bytes()));
    }
    match &tls.server_name {
        Some(name) => config.domain_name(name),
        None => config,
    }
}

fn way(address: &str, tls: Option<&ClientTlsConfig>, wire: &Wire) -> Result<Way, ClientConfigError> {
    let wrong = |error: &dyn std::error::Error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        ClientConfigError::Address { address: address.to_owned(), reason: format!("{error}{cause}") }
    };
    let has_port =
        address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !has_port {
        let (address, reason) = (address.to_owned(), "it has no port".to_owned());
        return Err(ClientConfigError::Address { address, reason });
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
        .map_err(|error| wrong(&error))?
        .connect_timeout(CONNECT_WITHIN)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_WITHIN);
    if let Some(tls) = tls {
        endpoint = endpoint.tls_config(tls.clone()).map_err(|error| wrong(&error))?;
    }
    let channel = match wire.dial() {
        Some(dial) => endpoint.connect_with_connector_lazy(dial),
        None => endpoint.connect_lazy(),
    };
    let client = Generated::new(channel).max_decoding_message_size(MAX_ANSWER);
    Ok(Way { address: address.to_owned(), client })
}
