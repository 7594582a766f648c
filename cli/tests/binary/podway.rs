//! A running `podway` binary: what it prints, whose parent it is, and how it ends. Dropping it kills it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mysql_async::{Conn, Opts, OptsBuilder};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a start may take: a machine that fetches MySQL first needs minutes.
const START: Duration = Duration::from_secs(600);
/// How long an end may take.
const END: Duration = Duration::from_secs(60);

/// A running binary.
pub struct Podway {
    child: Child,
    lines: Receiver<String>,
    said: Option<JoinHandle<String>>,
    /// What it printed up to its address.
    pub printed: String,
}

/// How a binary ended.
pub struct Ended {
    pub status: ExitStatus,
    /// What it wrote to stderr.
    pub said: String,
}

/// A command that ran to its end.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: Option<i32>,
    pub printed: String,
    /// What it wrote to stderr.
    pub said: String,
}

impl Podway {
    /// Starts it with these arguments.
    pub fn start(args: &[&str]) -> Podway {
        let mut command = Command::new(env!("CARGO_BIN_EXE_podway"));
        command.args(args);
        Podway::spawn(command)
    }

    /// Starts it in a network namespace.
    pub fn start_in(namespace: &str, args: &[&str]) -> Podway {
        let mut command = Command::new("ip");
        // `ip` becomes the binary: it is the process that signals reach.
        command.args(["netns", "exec", namespace, env!("CARGO_BIN_EXE_podway")]).args(args);
        Podway::spawn(command)
    }

    /// Starts it with these arguments, and somebody who types.
    pub fn start_typing(args: &[&str]) -> (Podway, ChildStdin) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_podway"));
        command.args(args);
        let mut podway = Podway::spawn_with(command, Stdio::piped());
        let typed = podway.child.stdin.take().expect("a pipe");
        (podway, typed)
    }

    fn spawn(command: Command) -> Podway {
        Podway::spawn_with(command, Stdio::null())
    }

    fn spawn_with(mut command: Command, input: Stdio) -> Podway {
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut stderr = child.stderr.take().expect("a pipe");
        let said = thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).expect("stderr can be read");
            String::from_utf8_lossy(&text).into_owned()
        });
        Podway { child, lines, said: Some(said), printed: String::new() }
    }

    /// Waits until it says where clients connect.
    pub fn address(&mut self) -> SocketAddr {
        let rest = self.line("Podway listens on ");
        let address = rest.split([',', ' ']).next().unwrap_or_default();
        address.parse().unwrap_or_else(|_| panic!("no address in {rest}"))
    }

    /// Waits for a line that begins so, and returns the rest of it.
    pub fn line(&mut self, prefix: &str) -> String {
        let deadline = Instant::now() + START;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                let said = self.end(Signal::SIGTERM).said;
                panic!("no line with {prefix:?}; printed: {}; said: {said}", self.printed);
            };
            self.printed.push_str(&line);
            self.printed.push('\n');
            if let Some(rest) = line.strip_prefix(prefix) {
                return rest.to_owned();
            }
        }
    }

    /// Runs a command to its end.
    pub fn run(args: &[&str]) -> Ran {
        let mut podway = Podway::start(args);
        let Ended { status, said } = podway.wait();
        let printed: Vec<String> = podway.lines.iter().collect();
        Ran { code: status.code(), printed: printed.join("\n"), said }
    }

    /// The processes that it started. None where there is no `/proc`.
    pub fn children(&self) -> Vec<u32> {
        let parent = format!("PPid:\t{}", self.child.id());
        let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| status_of(*pid).is_some_and(|status| status.lines().any(|line| line == parent)))
            .collect()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it runs");
    }

    /// Sends a signal and waits for the end.
    pub fn end(&mut self, signal: Signal) -> Ended {
        // It may have ended by itself.
        let _ = kill(Pid::from_raw(self.child.id() as i32), signal);
        self.wait()
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> Ended {
        let deadline = Instant::now() + END;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                let said = self
                    .said
                    .take()
                    .map(|thread| thread.join().expect("stderr was read"))
                    .unwrap_or_default();
                return Ended { status, said };
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Podway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until none of these processes runs any more.
pub fn wait_until_gone(pids: &[u32]) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let is_alive = |pid: &&u32| status_of(**pid).is_some_and(|status| !status.contains("State:\tZ"));
    while let Some(pid) = pids.iter().find(is_alive) {
        assert!(Instant::now() < deadline, "process {pid} is left: {:?}", status_of(*pid));
        thread::sleep(Duration::from_millis(20));
    }
}

fn status_of(pid: u32) -> Option<String> {
    std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).ok()
}

/// Logs in over TCP.
pub async fn connect(
    address: SocketAddr,
    user: &str,
    password: &str,
    database: &str,
) -> mysql_async::Result<Conn> {
    let options = OptsBuilder::default()
        .ip_or_hostname(address.ip().to_string())
        .tcp_port(address.port())
        .user(Some(user))
        .pass(Some(password))
        .db_name(Some(database))
        .prefer_socket(false);
    Conn::new(Opts::from(options)).await
}

/// The number of the server's error.
pub fn errno(error: &mysql_async::Error) -> Option<u16> {
    match error {
        mysql_async::Error::Server(error) => Some(error.code),
        _ => None,
    }
}
