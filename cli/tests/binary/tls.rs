//! `podway proxy` with certificate files: stock clients verify what they are shown, newer files are shown without a restart, and files
//! that cannot be used are named before anything is touched.

#![allow(clippy::unwrap_used, reason = "a panic is the failure's report")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, SslOpts};
use nix::sys::signal::Signal;
use podway::local_mysql::Tools;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::before::{Before, mysql_source, proxy};

/// The name that the certificates are for; `localhost` is the same place under another name.
const HOST: &str = "127.0.0.1";
/// How long a proxy may take to show a newer certificate.
const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate authority of a test's own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// What clients are to trust.
    file: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let file = folder.join(format!("{name}.pem"));
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { issuer: Issuer::new(params, key), file }
    }

    /// A certificate for [`HOST`] and its key, in PEM.
    fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// The files that a proxy is told of.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(folder: &Path) -> Files {
        Files { certificate: folder.join("server.pem"), key: folder.join("server-key.pem") }
    }

    fn write(&self, (certificate, key): &(String, String)) {
        fs::write(&self.certificate, certificate).unwrap();
        fs::write(&self.key, key).unwrap();
    }

    fn arguments(&self) -> [&str; 4] {
        ["--tls-cert", self.certificate.to_str().unwrap(), "--tls-key", self.key.to_str().unwrap()]
    }
}

/// Logs in as `app` under this name of the proxy's place; the certificate must be right.
async fn verified(address: SocketAddr, host: &str, authority: &Authority) -> mysql_async::Result<Conn> {
    let ssl = SslOpts::default()
        .with_root_certs(vec![authority.file.clone().into()])
        .with_disable_built_in_roots(true);
    let options = OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(address.port())
        .user(Some("app"))
        .pass(Some("app's own"))
        .ssl_opts(ssl)
        .prefer_socket(false);
    Conn::new(options).await
}

/// Runs a statement by the stock client, which verifies by OpenSSL.
fn by_mysql(mut mysql: Command, address: SocketAddr, host: &str, authority: &Authority) -> Output {
    let port = address.port();
    mysql.args([
        "--no-defaults",
        "--protocol=tcp",
        "--ssl-mode=VERIFY_IDENTITY",
        "-uapp",
        "-N",
        "-e",
        "SELECT 'in'",
    ]);
    mysql.args([format!("--ssl-ca={}", authority.file.display()), format!("-h{host}"), format!("-P{port}")]);
    mysql.env("MYSQL_PWD", "app's own").output().unwrap()
}

#[tokio::test]
async fn clients_verify_the_certificate_and_newer_ones_need_no_restart() {
    let before = Before::start(1).await.unwrap();
    let tools = Tools::of(&mysql_source().await.unwrap());
    let folder = before.folder.path();
    let [first, second] = ["first", "second"].map(|name| Authority::new(folder, name));
    let files = Files::new(folder);
    files.write(&first.issue());
    let mut podway = proxy(&before.write("").unwrap(), &files.arguments());
    let address = podway.address();

    for (host, authority, expected) in
        [(HOST, &first, true), ("localhost", &first, false), (HOST, &second, false)]
    {
        let what = format!("{host} by {}", authority.file.display());
        let conn = verified(address, host, authority).await;
        assert_eq!(conn.is_ok(), expected, "{what}: {:?}", conn.err());
        let output = by_mysql(tools.command("mysql", &|_| ()).unwrap(), address, host, authority);
        assert_eq!(output.status.success(), expected, "{what}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(expected || said.contains("SSL connection error"), "{what}: {said}");
    }

    let mut old = verified(address, HOST, &first).await.unwrap();
    files.write(&second.issue());
    podway.signal(Signal::SIGHUP);
    let give_up = Instant::now() + PATIENCE;
    while let Err(error) = verified(address, HOST, &second).await {
        assert!(Instant::now() < give_up, "the newer certificate is not shown: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(verified(address, HOST, &first).await.is_err(), "the old certificate is shown no more");
    let sum: Option<u8> = old.query_first("SELECT 1 + 1").await.unwrap();
    assert_eq!(sum, Some(2), "a session under the old certificate goes on");
    drop(old);
    assert!(podway.end(Signal::SIGTERM).status.success());
}

#[test]
fn files_that_cannot_be_used_are_named_before_servers_are_asked() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = folder.path().join("cluster.toml");
    let nobody = "[servers.a]\naddress = \"127.0.0.1:1\"\nadmin_user = \"root\"\nadmin_password = \"\"\n";
    fs::write(&cluster, format!("secret_file = \"cluster.secret\"\n{nobody}")).unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let files = Files::new(folder.path());
    files.write(&(authority.issue().0, authority.issue().1));
    let refused = proxy(&cluster, &files.arguments()).wait();
    let expected = format!("TLS: {}: it is not the key", files.key.display());
    assert!(!refused.status.success() && refused.said.contains(&expected), "{}", refused.said);
    assert!(!folder.path().join("cluster.secret").exists(), "nothing was made");
}
