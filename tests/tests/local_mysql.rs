//! The library that finds, starts and ends local MySQL servers, tried on real ones: above all that nothing stays behind, however the
//! process that owns a server dies.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use podway::local_mysql::{
    DataDir, FindOptions, LocalServer, MysqlSource, ServerError, ServerOptions, Tools,
};

static SOURCE: LazyLock<MysqlSource> = LazyLock::new(|| {
    MysqlSource::find(&FindOptions::from_env(), &|what| eprintln!("{what}"))
        .unwrap_or_else(|error| panic!("{error}"))
});

fn start(data: DataDir) -> LocalServer {
    LocalServer::start(&SOURCE, ServerOptions { data, ..Default::default() }).unwrap()
}

/// The one value that a statement returns.
fn ask(server: &LocalServer, sql: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(server.port())
            .user(Some("root"))
            .pass(Some(server.root_password()));
        let mut conn = Conn::new(options).await.unwrap();
        let value: Option<String> = conn.query_first(sql).await.unwrap();
        value.unwrap_or_default()
    })
}

/// Whether the process runs: one that has ended and whom nobody has waited for does not.
fn is_alive(pid: &str) -> bool {
    let is_known = Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().unwrap().success();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    is_known && !status.lines().any(|line| line.starts_with("State:") && line.contains('Z'))
}

#[track_caller]
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 40 s: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn four_servers_come_up_at_once_and_leave_nothing() {
    LazyLock::force(&SOURCE);
    let started = Instant::now();
    let servers = LocalServer::start_all(&SOURCE, vec![ServerOptions::default(); 4]).unwrap();
    eprintln!("four servers from {} in {:?}", SOURCE.origin(), started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());

    let mut uuids: Vec<&str> = servers.iter().map(LocalServer::uuid).collect();
    for server in &servers {
        assert_eq!(ask(server, "SELECT @@server_uuid"), server.uuid());
        assert_eq!(ask(server, "SELECT @@port"), server.port().to_string());
        assert_eq!(
            ask(server, "SELECT CONCAT(@@gtid_mode, @@log_bin, @@binlog_format, @@performance_schema)"),
            "ON1ROW1"
        );
    }
    uuids.sort_unstable();
    uuids.dedup();
    assert_eq!(uuids.len(), 4, "each server has a uuid of its own");

    let left: Vec<(PathBuf, String)> = servers
        .iter()
        .map(|server| (server.data_dir().to_owned(), server.pid().unwrap().to_string()))
        .collect();
    drop(servers);
    for (data, pid) in left {
        assert!(!data.exists() && !data.with_extension("lock").exists(), "{} is still there", data.display());
        assert!(!is_alive(&pid), "mysqld {pid} is still there");
    }
}

#[test]
fn only_who_knows_the_root_password_gets_in() {
    let server = start(DataDir::Temporary);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options =
        OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(server.port()).user(Some("root"));
    let refused = runtime.block_on(Conn::new(options)).map(drop).unwrap_err();
    assert!(refused.to_string().contains("Access denied"), "{refused}");
}

#[test]
fn a_killed_server_comes_back_on_its_port_with_its_rows() {
    let server = start(DataDir::Temporary);
    let (port, uuid) = (server.port(), server.uuid().to_owned());
    ask(&server, "CREATE DATABASE shop");
    ask(&server, "CREATE TABLE shop.t AS SELECT 7 AS n");
    server.kill().unwrap();
    assert_eq!(server.pid(), None);
    for _ in 0..2 {
        // The first restart recovers from the kill, the second shuts down cleanly first.
        server.restart().unwrap();
        assert_eq!((server.port(), ask(&server, "SELECT @@server_uuid")), (port, uuid.clone()));
        assert_eq!(ask(&server, "SELECT n FROM shop.t"), "7");
    }
    server.stop().unwrap();
    assert!(matches!(server.restart(), Err(ServerError::Stopped)));
}

#[test]
fn a_kept_folder_is_shut_down_cleanly_and_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server-1");
    let first = start(DataDir::Kept(data.clone()));
    let uuid = first.uuid().to_owned();
    ask(&first, "CREATE DATABASE shop");
    let second = LocalServer::start(
        &SOURCE,
        ServerOptions { data: DataDir::Kept(data.clone()), ..Default::default() },
    );
    let message = second.map(drop).unwrap_err().to_string();
    assert!(message.contains("in use by another process"), "{message}");
    drop(first);

    assert!(std::fs::read_to_string(data.join("mysqld.log")).unwrap().contains("Shutdown complete"));
    let again = start(DataDir::Kept(data));
    assert_eq!(again.uuid(), uuid);
    assert_eq!(
        ask(&again, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'shop'"),
        "1"
    );
}

#[test]
fn a_folder_with_something_else_in_it_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "x").unwrap();
    let options = ServerOptions { data: DataDir::Kept(folder.path().to_owned()), ..Default::default() };
    let message = LocalServer::start(&SOURCE, options).map(drop).unwrap_err().to_string();
    assert!(message.contains("not made by Podway"), "{message}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let options = ServerOptions { port: Some(port), ..Default::default() };
    let message = LocalServer::start(&SOURCE, options).map(drop).unwrap_err().to_string();
    assert!(message.contains("taken by others") && message.contains(&port.to_string()), "{message}");
}

#[test]
fn a_server_that_does_not_start_shows_the_end_of_its_log() {
    let options = ServerOptions { extra_args: vec!["--no-such-option=1".into()], ..Default::default() };
    let message = LocalServer::start(&SOURCE, options).map(drop).unwrap_err().to_string();
    assert!(message.contains("no-such-option"), "{message}");
}

#[test]
fn a_named_mysqld_that_does_not_do_is_reported_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        Command::new("chmod").arg("+x").arg(&path).status().unwrap();
        path
    };
    let cases = [
        (folder.path().join("none"), "cannot be run"),
        (
            script("maria", "echo 'mysqld  Ver 10.11.6-MariaDB for debian-linux-gnu'"),
            "it is MariaDB (10.11.6-MariaDB), not MySQL",
        ),
        (
            script("old", "echo 'mysqld  Ver 5.7.44 for Linux'"),
            "its version is 5.7.44; 8.0.30 or later is needed",
        ),
        (
            script("broken", "echo 'libx.so.1: cannot open shared object file' >&2; exit 127"),
            "libx.so.1: cannot open",
        ),
        (
            script(
                "liar",
                "case $2 in --version) echo 'mysqld  Ver 8.4.9 for Linux';; *) echo no disk >&2; exit 1;; esac",
            ),
            "could not make a data directory",
        ),
    ];
    for (path, expected) in cases {
        let options = FindOptions {
            mysqld: Some(path.clone()),
            cache: podway::local_mysql::Cache::new(folder.path().join("cache")),
            ..FindOptions::from_env()
        };
        let error = MysqlSource::find(&options, &|_| ()).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.attempts.len(), 1, "a named mysqld is the only one tried: {text}");
        for part in [expected, &path.display().to_string(), "What to do: "] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }
}

#[test]
fn the_mysql_client_comes_with_the_server() {
    let server = start(DataDir::Temporary);
    let mut command = Tools::of(&SOURCE).command("mysql", &|what| eprintln!("{what}")).unwrap();
    command.args(["--no-defaults", "-h127.0.0.1", "-uroot", "-N", "-e", "SELECT @@server_uuid"]);
    command.arg(format!("-P{}", server.port())).env("MYSQL_PWD", server.root_password());
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), server.uuid(), "{output:?}");
}

#[test]
fn sysbench_is_to_be_had_with_its_scripts() {
    let tools = Tools::of(&SOURCE);
    let script = "usr/share/sysbench/oltp_point_select.lua";
    let found = tools.command("sysbench", &|what| eprintln!("{what}"));
    let (mut command, script) = match (found, tools.file("sysbench", script, &|_| ())) {
        (Ok(command), Ok(script)) => (command, script),
        (Err(error), _) | (_, Err(error)) => {
            // Only Debian and Ubuntu have packages to take it from.
            assert!(!Path::new("/etc/debian_version").exists(), "{error}");
            return eprintln!("SKIPPED: {error}");
        }
    };
    let output = command.arg(&script).arg("help").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("--table_size"), "{output:?}");
}

/// A process of its own that starts a server, says where it is, and dies as it is told. Not a test of anything by itself.
#[test]
#[ignore = "run by other tests in a process of its own"]
fn owner() {
    let death = std::env::var("OWNER_DIES_BY").unwrap();
    let data = std::env::var_os("OWNER_KEEPS").map_or(DataDir::Temporary, |path| DataDir::Kept(path.into()));
    let server = start(data);
    println!("OWNER {} {}", server.pid().unwrap(), server.data_dir().display());
    match death.as_str() {
        "panic" => panic!("as told"),
        "abort" => std::process::abort(),
        "exit" => std::process::exit(0),
        "leak" => std::mem::forget(server),
        _ => thread::sleep(Duration::from_secs(600)),
    }
}

/// Starts [`owner`]; returns it with its server's process id and data directory.
fn start_owner(death: &str, keeps: Option<&Path>) -> (Child, String, PathBuf) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "owner", "--ignored", "--nocapture"]).env("OWNER_DIES_BY", death);
    keeps.map(|path| command.env("OWNER_KEEPS", path));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines
        .map_while(Result::ok)
        .find(|line| line.contains("OWNER "))
        .expect("the owner started no server");
    let words: Vec<&str> = line.split_once("OWNER ").unwrap().1.splitn(2, ' ').collect();
    (child, words[0].to_owned(), PathBuf::from(words[1]))
}

fn die(owner: &mut Child, death: &str) {
    if let Some(signal) = death.strip_prefix("signal ") {
        Command::new("kill").args([&format!("-{signal}"), &owner.id().to_string()]).status().unwrap();
    }
    owner.wait().unwrap();
}

#[test]
fn nothing_stays_behind_however_the_owner_dies() {
    LazyLock::force(&SOURCE);
    for death in ["signal KILL", "signal INT", "signal TERM", "panic", "abort", "exit", "leak"] {
        let (mut owner, pid, data) = start_owner(death, None);
        die(&mut owner, death);
        eventually(&format!("after {death}: mysqld {pid} is gone"), || !is_alive(&pid));
        eventually(&format!("after {death}: {} is gone", data.display()), || {
            !data.exists() && !data.with_extension("lock").exists()
        });
    }
}

#[test]
fn a_kept_folder_is_shut_down_cleanly_though_the_owner_was_killed() {
    LazyLock::force(&SOURCE);
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let (mut owner, pid, data) = start_owner("signal KILL", Some(&kept));
    die(&mut owner, "signal KILL");
    // The next owner waits for the guardian of the last.
    let server = start(DataDir::Kept(kept));
    assert!(!is_alive(&pid));
    assert_eq!(server.data_dir(), data);
    assert!(std::fs::read_to_string(data.join("mysqld.log")).unwrap().contains("Shutdown complete"));
}
