//! What all tests of one process share: the MySQL they start servers from, and the runtime that outlives each test's own.

use std::path::PathBuf;
use std::sync::LazyLock;

use mysql_async::OptsBuilder;
use podway::local_mysql::{FindOptions, LocalServer, MysqlSource, ServerOptions, Tools};
use tokio::runtime::Runtime;

/// The MySQL of this machine, found or fetched once. Panics with what was tried and what to do if there is none.
pub fn mysql_source() -> &'static MysqlSource {
    static SOURCE: LazyLock<MysqlSource> = LazyLock::new(|| {
        MysqlSource::find(&FindOptions::from_env(), &|what| eprintln!("{what}"))
            .unwrap_or_else(|error| panic!("{error}"))
    });
    &SOURCE
}

/// How to log in as root to a server of this test binary's own, beside any pod: for tests that ask MySQL itself.
pub fn plain_server() -> OptsBuilder {
    static SERVER: LazyLock<LocalServer> = LazyLock::new(|| {
        LocalServer::start(mysql_source(), ServerOptions::default()).unwrap_or_else(|error| panic!("{error}"))
    });
    OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(SERVER.port())
        .user(Some("root"))
        .pass(Some(SERVER.root_password()))
        .prefer_socket(false)
}

/// The path of MySQL's own `mysql` client.
pub fn mysql_client() -> PathBuf {
    client_program("mysql")
}

/// The path of one of MySQL's own client programs.
pub fn client_program(program: &str) -> PathBuf {
    Tools::of(mysql_source())
        .find(program, &|what| eprintln!("{what}"))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The runtime for what is shared between tests: a `#[tokio::test]` takes its tasks with it when it ends.
pub fn harness() -> &'static Runtime {
    static HARNESS: LazyLock<Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread()
            .thread_name("harness")
            .enable_all()
            .build()
            .unwrap_or_else(|error| panic!("no runtime for the harness: {error}"))
    });
    &HARNESS
}
