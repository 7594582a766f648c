//! TLS for clients: from PEM files, which can be read again while the proxy runs, or with a self-signed certificate made at start, as
//! MySQL makes one.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::StartError;
use crate::config::{TlsFiles, TlsMode};

/// How clients are offered TLS just now.
pub(super) struct Tls {
    mode: TlsMode,
    current: ArcSwap<Option<TlsAcceptor>>,
}

impl Tls {
    pub(super) fn new(mode: TlsMode) -> Result<Tls, StartError> {
        let current = ArcSwap::from_pointee(acceptor(&mode)?);
        Ok(Tls { mode, current })
    }

    /// For a client that arrives now; none where TLS is off.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        (**self.current.load()).clone()
    }

    /// Reads the files again. Clients that arrive from now on see what is in them, and resume no TLS session from before; clients that
    /// are here notice nothing. If the files cannot be used, all stays as it was.
    pub(super) fn reload(&self) -> Result<(), StartError> {
        if matches!(self.mode, TlsMode::Files(_)) {
            self.current.store(Arc::new(acceptor(&self.mode)?));
        }
        Ok(())
    }
}

impl TlsMode {
    /// Whether clients can be offered TLS this way, before anything is started.
    pub fn check(&self) -> Result<(), StartError> {
        acceptor(self).map(drop)
    }
}

fn acceptor(mode: &TlsMode) -> Result<Option<TlsAcceptor>, StartError> {
    let config = match mode {
        TlsMode::Off => return Ok(None),
        TlsMode::Files(files) => config(from_files(files)?).map_err(|error| unusable(files, error))?,
        TlsMode::SelfSigned => config(self_signed()?).map_err(|error| StartError::Tls(error.to_string()))?,
    };
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn config((certificates, key): Identity) -> Result<ServerConfig, rustls::Error> {
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
}

/// Says which of the files is at fault, where that can be told.
fn unusable(files: &TlsFiles, error: rustls::Error) -> StartError {
    let (certificates, key) = (files.certificates.display(), files.key.display());
    StartError::Tls(match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("{key}: it is not the key of the first certificate in {certificates}")
        }
        rustls::Error::InvalidCertificate(error) => {
            format!("{certificates}: the certificate cannot be read: {error}")
        }
        error => format!("{certificates} with {key}: {error}"),
    })
}

fn from_files(files: &TlsFiles) -> Result<Identity, StartError> {
    let unreadable =
        |path: &Path, error: &dyn std::fmt::Display| StartError::Tls(format!("{}: {error}", path.display()));
    let chain = CertificateDer::pem_file_iter(&files.certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(&files.certificates, &error))?;
    if chain.is_empty() {
        return Err(unreadable(&files.certificates, &"there is no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| match error {
        PemError::NoItemsFound => {
            unreadable(&files.key, &"there is no private key in it, or only one under a passphrase")
        }
        error => unreadable(&files.key, &error),
    })?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    /// A PEM block with bytes in it that are none of its kind.
    fn noise(label: &str) -> String {
        format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n")
    }

    #[test]
    fn files_that_cannot_be_used_are_named_and_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles { certificates: folder.path().join("cert"), key: folder.path().join("key") };
        let write = |certificate: Option<&str>, key: Option<&str>| {
            for (path, text) in [(&files.certificates, certificate), (&files.key, key)] {
                match text {
                    Some(text) => fs::write(path, text).unwrap(),
                    None => drop(fs::remove_file(path)),
                }
            }
        };
        let (good, other) = (pair(), pair());
        let (cert, key) = (good.0.as_str(), good.1.as_str());
        write(Some(cert), Some(key));
        let mode = TlsMode::Files(files.clone());
        let tls = Tls::new(mode.clone()).unwrap();
        let config = |tls: &Tls| Arc::as_ptr(tls.acceptor().unwrap().config());
        let first = config(&tls);

        let (bad_cert, bad_key) = (noise("CERTIFICATE"), noise("PRIVATE KEY"));
        let locked = noise("ENCRYPTED PRIVATE KEY");
        let cases = [
            (None, Some(key), "cert: ", "No such file"),
            (Some(cert), None, "key: ", "No such file"),
            (Some(""), Some(key), "cert: ", "no certificate in it"),
            (Some(cert), Some(""), "key: ", "no private key in it"),
            (Some(key), Some(key), "cert: ", "no certificate in it"),
            (Some(cert), Some(cert), "key: ", "no private key in it"),
            (Some(cert), Some(&*locked), "key: ", "under a passphrase"),
            (Some("-----BEGIN CERTIFICATE-----\nAAAA"), Some(key), "cert: ", "section end"),
            (Some(&*bad_cert), Some(key), "cert: ", "cannot be read"),
            (Some(cert), Some(&*bad_key), "key: ", "key"),
            (Some(cert), Some(&*other.1), "key: ", "it is not the key of the first certificate in "),
        ];
        for (certificate, key, file, expected) in cases {
            write(certificate, key);
            let file = folder.path().join(file).display().to_string();
            for said in [mode.check().unwrap_err(), tls.reload().unwrap_err()].map(|error| error.to_string())
            {
                assert!(said.contains(&file) && said.contains(expected), "{file} … {expected}: {said}");
            }
            assert_eq!(config(&tls), first, "{expected}: all stays as it was");
        }
        write(Some(&other.0), Some(&other.1));
        tls.reload().unwrap();
        assert_ne!(config(&tls), first);
    }

    #[test]
    fn without_files_there_is_nothing_to_read_again() {
        let tls = Tls::new(TlsMode::SelfSigned).unwrap();
        let config = |tls: &Tls| Arc::as_ptr(tls.acceptor().unwrap().config());
        let first = config(&tls);
        tls.reload().unwrap();
        assert_eq!(config(&tls), first, "the certificate made at start stays");
        let off = Tls::new(TlsMode::Off).unwrap();
        assert!(off.reload().is_ok() && off.acceptor().is_none());
    }
}
