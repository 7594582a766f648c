//! Newer certificates: files that changed are read again and shown to clients that arrive from then on. Files that cannot be used, such
//! as a certificate whose key is still to come, leave everything as it was. Read next: `run`.

use std::io;
use std::path::PathBuf;

use podway_proxy::{Proxy, TlsMode};

use crate::file_watch::FileWatch;

/// Follows the files of a certificate and its key.
pub(super) struct CertificateFollower {
    certificates: PathBuf,
    watch: FileWatch,
}

impl CertificateFollower {
    /// None where there are no files. To be made before the proxy reads them, so that no change is missed.
    pub(super) fn new(mode: &TlsMode) -> io::Result<Option<CertificateFollower>> {
        let TlsMode::Files(files) = mode else { return Ok(None) };
        let watch = FileWatch::new(&[&files.certificates, &files.key])?;
        Ok(Some(CertificateFollower { certificates: files.certificates.clone(), watch }))
    }

    /// Has the proxy read them again, for ever.
    pub(super) async fn follow(mut self, proxy: &Proxy) {
        loop {
            self.watch.due().await;
            match proxy.reload_tls() {
                Ok(()) => tracing::info!("read the certificate {} again", self.certificates.display()),
                Err(error) => tracing::error!("the certificate is not taken over: {error}"),
            }
        }
    }
}
