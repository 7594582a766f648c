//! The bank's proxies: this program again, as processes of their own that can be killed. A guardian ends them if the demo itself is killed.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Child;

use tokio::time::Instant;

use crate::local_mysql::{Duty, Guardian};

/// A proxy that is a process of its own.
pub(super) struct TellersProxy {
    name: String,
    address: SocketAddr,
    topology: String,
    log: File,
    guardian: Guardian,
    child: Option<Child>,
    /// When it is to be started again.
    back: Option<Instant>,
}

impl TellersProxy {
    /// Starts one. Clients can log in some moments later.
    pub(super) fn start(name: String, topology: &str) -> io::Result<TellersProxy> {
        // A port that was free a moment ago: it stays the proxy's when it is started again.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = tempfile::tempfile()?;
        let duty = Duty { grace_secs: 0, container: None, remove: Vec::new(), lock: log.try_clone()? };
        let guardian = Guardian::start(duty)?;
        let mut proxy = TellersProxy {
            name,
            address,
            topology: topology.to_owned(),
            log,
            guardian,
            child: None,
            back: None,
        };
        proxy.start_again()?;
        Ok(proxy)
    }

    /// What it is called.
    pub(super) fn name(&self) -> String {
        format!("proxy {}", self.name)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it was started and not killed.
    pub(super) fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Whether it is time to start it again.
    pub(super) fn is_due(&self) -> bool {
        self.back.is_some_and(|back| back <= Instant::now())
    }

    /// Kills it, to be started again then.
    pub(super) fn kill(&mut self, back: Instant) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            // Before it is gone: afterwards its number may be another's.
            self.guardian.forget()?;
            child.kill()?;
            child.wait()?;
        }
        self.back = Some(back);
        Ok(())
    }

    /// Starts it, at the address that it had.
    pub(super) fn start_again(&mut self) -> io::Result<()> {
        let podway = std::env::current_exe()?;
        let (listen, words) = (self.address.to_string(), ["proxy", "--tls-off", "--listen"]);
        let mut command = vec![podway.into_os_string()];
        command.extend(words.map(Into::into));
        command.extend([&listen, "--name", &self.name, "--topology", &self.topology].map(Into::into));
        self.child = Some(self.guardian.start_watched(&command, self.log.try_clone()?)?);
        self.back = None;
        Ok(())
    }
}

impl Drop for TellersProxy {
    fn drop(&mut self) {
        // The guardian ends what cannot be ended here.
        let _killed = self.kill(Instant::now());
    }
}
