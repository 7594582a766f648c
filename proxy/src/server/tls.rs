//! TLS for clients: from PEM files, or with a self-signed certificate made at start, as MySQL makes one.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::StartError;
use crate::config::{TlsFiles, TlsMode};

/// How to accept TLS; none where it is off.
pub(super) fn acceptor(mode: &TlsMode) -> Result<Option<TlsAcceptor>, StartError> {
    let (certificates, key) = match mode {
        TlsMode::Off => return Ok(None),
        TlsMode::Files(files) => from_files(files)?,
        TlsMode::SelfSigned => self_signed()?,
    };
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| StartError::Tls(error.to_string()))?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn from_files(files: &TlsFiles) -> Result<Identity, StartError> {
    let unreadable = |path: &std::path::Path, error: rustls::pki_types::pem::Error| {
        StartError::Tls(format!("{}: {error}", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(&files.certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(&files.certificates, error))?;
    if chain.is_empty() {
        return Err(StartError::Tls(format!(
            "{}: there is no certificate in it",
            files.certificates.display()
        )));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unreadable(&files.key, error))?;
    Ok((chain, key))
}

fn self_signed() -> Result<Identity, StartError> {
    let failed = |error: rcgen::Error| StartError::Tls(error.to_string());
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "podway".to_owned()])
        .map_err(failed)?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .map_err(|error| StartError::Tls(error.to_owned()))?;
    Ok((vec![made.cert.der().clone()], key))
}
