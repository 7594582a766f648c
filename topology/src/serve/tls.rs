//! What a port shows of itself and whom it trusts, as certificates: made of PEM, and replaced while the port is served. Which connections that
//! lets in is [`arrivals`](super::arrivals)'s business.

use std::sync::Arc;

use parking_lot::RwLock;
use podway_topology_api::{Identity, Pem};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tonic::transport::{Certificate, ClientTlsConfig};

use crate::config::{ClientListenerTls, PeerTls};

/// The certificates of a port. Clones are those of the same port.
#[derive(Clone, Debug)]
pub struct Keys(Arc<RwLock<Arc<ServerConfig>>>);

impl Keys {
    /// These.
    pub fn new(config: ServerConfig) -> Keys {
        Keys(Arc::new(RwLock::new(Arc::new(config))))
    }

    /// Those that a connection which arrives now is shown.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.0.read().clone()
    }

    /// Shows others to connections that arrive from now on.
    pub fn replace(&self, config: ServerConfig) {
        *self.0.write() = Arc::new(config);
    }
}

/// The client port's: a certificate is asked for where there are authorities for it, and needed where there is no token instead.
pub fn client_port(tls: &ClientListenerTls, has_tokens: bool) -> Result<ServerConfig, String> {
    let verifier = tls.client_ca.as_ref().map(|ca| verifier(ca, has_tokens)).transpose()?;
    server(&tls.identity, verifier)
}

/// The peer port's: without a certificate from the nodes' authorities there is no connection.
pub fn peer_port(tls: &PeerTls) -> Result<ServerConfig, String> {
    server(&tls.identity, Some(verifier(&tls.ca, false)?))
}

/// For connections to other nodes' peer ports.
pub fn to_peers(tls: &PeerTls) -> ClientTlsConfig {
    let own = tonic::transport::Identity::from_pem(
        tls.identity.certificate.as_bytes(),
        tls.identity.key.as_bytes(),
    );
    let ca = Certificate::from_pem(tls.ca.as_bytes());
    let client = ClientTlsConfig::new().identity(own).ca_certificate(ca);
    match &tls.server_name {
        Some(name) => client.domain_name(name),
        None => client,
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn certificates(pem: &Pem, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(read) if read.is_empty() => Err(format!("{what}: there is no certificate in it")),
        Ok(read) => Ok(read),
        Err(error) => Err(format!("{what}: {error}")),
    }
}

fn verifier(ca: &Pem, is_optional: bool) -> Result<Arc<dyn ClientCertVerifier>, String> {
    const WHAT: &str = "the authorities";
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca, WHAT)? {
        roots.add(certificate).map_err(|error| format!("{WHAT}: {error}"))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = if is_optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map_err(|error| format!("{WHAT}: {error}"))
}

fn server(
    identity: &Identity,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, String> {
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let chain = certificates(&identity.certificate, "the certificate")?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
    let key = key.map_err(|error| format!("the key: {error}"))?;
    let mut config = builder.with_single_cert(chain, key).map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
