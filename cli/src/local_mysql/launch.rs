//! Brings one mysqld up on a data directory: its options, its port, and when it is ready. Who owns the directory and the process
//! afterwards is the `server`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::guardian::Guardian;
use super::program::{Place, Program};

/// How long a start may take, crash recovery included.
const START_DEADLINE: Duration = Duration::from_secs(120);
/// How many ports are tried before a start fails.
const PORT_TRIES: usize = 5;
/// How often a starting server is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How much of the error log an error carries.
const LOG_LINES: usize = 12;

const LOG_FILE: &str = "mysqld.log";
const PID_FILE: &str = "mysqld.pid";

/// What is common to every start of one server.
#[derive(Debug)]
pub(super) struct Launch<'a> {
    pub(super) program: &'a Program,
    pub(super) data: &'a Path,
    pub(super) container: &'a str,
    /// Whether commits must outlive the machine, and not the server's process alone.
    pub(super) is_durable: bool,
    pub(super) extra_args: &'a [String],
}

/// A server that answers.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) child: Child,
    pub(super) port: u16,
    pub(super) uuid: String,
}

/// Why a server did not come up.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaunchError {
    #[error("mysqld ended while it was starting ({status}); the end of its log:\n{log}")]
    Ended { status: String, log: String },
    #[error("mysqld did not answer within {deadline_secs} s; the end of its log:\n{log}", deadline_secs = START_DEADLINE.as_secs())]
    Silent { log: String },
    #[error("{PORT_TRIES} ports in turn were taken by others; the last was {port}")]
    PortsTaken { port: u16 },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How one attempt ended.
enum Attempt {
    Up(Up),
    PortTaken,
}

impl Launch<'_> {
    /// Starts the server on `port`, or on one of the system's choice, and waits until it answers.
    pub(super) fn run(&self, port: Option<u16>, guardian: &mut Guardian) -> Result<Up, LaunchError> {
        let mut tried = 0;
        for _ in 0..PORT_TRIES {
            tried = match port {
                Some(port) => port,
                None => free_port()?,
            };
            match self.attempt(tried, guardian)? {
                Attempt::Up(up) => return Ok(up),
                Attempt::PortTaken if port.is_some() => thread::sleep(Duration::from_millis(200)),
                Attempt::PortTaken => {}
            }
        }
        Err(LaunchError::PortsTaken { port: tried })
    }

    fn attempt(&self, port: u16, guardian: &mut Guardian) -> Result<Attempt, LaunchError> {
        for stale in [PID_FILE, "mysql.sock", "mysql.sock.lock"] {
            let _ = fs::remove_file(self.data.join(stale));
        }
        let log_path = self.data.join(LOG_FILE);
        let log = File::options().create(true).append(true).open(&log_path)?;
        let log_start = log.metadata()?.len();
        let place = Place { folder: self.data, port: Some(port), container: self.container };
        let mut child = guardian.start_watched(&self.program.words(&place, &self.options(port)), log)?;
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            if let Some(status) = child.try_wait()? {
                guardian.forget()?;
                let log = log_end(&log_path, log_start);
                if is_port_taken(&log) {
                    return Ok(Attempt::PortTaken);
                }
                return Err(LaunchError::Ended { status: status.to_string(), log });
            }
            // mysqld writes its pid file once the port is its own: until then, who answers there may be somebody else.
            if self.data.join(PID_FILE).exists() && answers(port) {
                let uuid = read_uuid(self.data)?;
                return Ok(Attempt::Up(Up { child, port, uuid }));
            }
            if Instant::now() >= deadline {
                self.program.kill(&mut child, self.container)?;
                guardian.forget()?;
                return Err(LaunchError::Silent { log: log_end(&log_path, log_start) });
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// A server's options: small, of this machine alone, and the same on every version.
    fn options(&self, port: u16) -> Vec<OsString> {
        let mut data = OsString::from("--datadir=");
        data.push(self.data);
        // A contained server sees the bridge's address, which no name server knows: asking would take seconds.
        let network: &[&str] = match self.program.is_contained() {
            true => &["--bind-address=*", "--skip-name-resolve"],
            false => &["--bind-address=127.0.0.1"],
        };
        let fixed = [
            "--socket=mysql.sock",
            "--pid-file=mysqld.pid",
            "--mysqlx=OFF",
            "--secure-file-priv=NULL",
            "--gtid-mode=ON",
            "--enforce-gtid-consistency=ON",
            "--innodb-buffer-pool-size=64M",
            "--innodb-redo-log-capacity=128M",
            "--innodb-buffer-pool-dump-at-shutdown=OFF",
            "--innodb-buffer-pool-load-at-startup=OFF",
            "--max-connections=1000",
            "--table-open-cache=400",
            "--performance-schema-accounts-size=20",
            "--performance-schema-hosts-size=20",
            "--performance-schema-users-size=20",
            "--performance-schema-digests-size=1000",
            "--performance-schema-events-statements-history-long-size=100",
            "--performance-schema-events-stages-history-long-size=0",
            "--performance-schema-events-waits-history-long-size=0",
            "--performance-schema-events-transactions-history-long-size=100",
            "--performance-schema-error-size=0",
            "--performance-schema-max-table-instances=1000",
        ];
        let mut options = vec![data, format!("--port={port}").into()];
        options.extend(network.iter().chain(&fixed).map(OsString::from));
        if !self.is_durable {
            options.extend(["--sync-binlog=0", "--innodb-flush-log-at-trx-commit=2"].map(OsString::from));
        }
        options.extend(self.extra_args.iter().map(OsString::from));
        options
    }
}

/// A port of the system's choice that nobody has now; never the same twice in a process, for the first asker may not have bound it yet.
fn free_port() -> io::Result<u16> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock();
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if given.insert(port) || given.len() > 10_000 {
            return Ok(port);
        }
    }
}

/// Whether a MySQL server greets on the port: the first packet of protocol 10 has number 0 and starts with 10.
fn answers(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let greeting = || -> io::Result<[u8; 5]> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut start = [0; 5];
        stream.read_exact(&mut start)?;
        Ok(start)
    };
    greeting().is_ok_and(|start| start[3..] == [0, 10])
}

fn is_port_taken(log: &str) -> bool {
    ["Address already in use", "address already in use", "port is already allocated"]
        .iter()
        .any(|text| log.contains(text))
}

/// `@@server_uuid`, which mysqld keeps in `auto.cnf`.
fn read_uuid(data: &Path) -> io::Result<String> {
    let text = fs::read_to_string(data.join("auto.cnf"))?;
    let uuid = text.lines().find_map(|line| line.trim().strip_prefix("server-uuid="));
    uuid.map(|uuid| uuid.trim().to_owned()).ok_or_else(|| io::Error::other("auto.cnf has no server-uuid"))
}

/// The last lines of the log from `start` on.
fn log_end(path: &Path, start: u64) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes.get(start as usize..).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports: Vec<u16> = (0..200).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
    }

    #[test]
    fn only_this_runs_part_of_the_log_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "old\nnew 1\nnew 2\n").unwrap();
        assert_eq!(log_end(&path, 4), "new 1\nnew 2");
        assert_eq!(log_end(&folder.path().join("none"), 4), "");
    }
}
