//! Where bad input is tried: proxies of a test's own, with small bounds, over the servers of the pod; keyspaces; and what the process
//! holds in memory.

use podway::provision::Declaration;
use podway_model::ShardIndex;
use podway_proxy::{Proxy, ProxyConfig};
use podway_tests::{Pod, TestKeyspace, harness};
use podway_wire::CapabilityFlags;
use tokio::sync::OnceCell;

use podway_tests::raw::{Answer, RawClient};

/// What one test may add to the process's memory, while others run beside it. Loose: it tells bounded from unbounded, no more.
pub const MUCH_MEMORY: u64 = 400 << 20;

/// A proxy of the test's own over the pod's servers. There is a keyspace at least, where statements without tables go.
pub async fn proxy(configure: impl FnOnce(&mut ProxyConfig)) -> Proxy {
    static SOME_KEYSPACE: OnceCell<()> = OnceCell::const_new();
    SOME_KEYSPACE.get_or_init(|| async { drop(keyspace("some", 1).await) }).await;
    let pod = Pod::shared().await;
    let mut config = ProxyConfig::new(([127, 0, 0, 1], 0).into(), pod.secret().clone());
    configure(&mut config);
    let watch = pod.watch();
    let started = harness().spawn(async move { Proxy::start(config, watch).await }).await.unwrap();
    started.unwrap()
}

/// A keyspace with a sharded table `items`, a home table `notes` and a reference table `colours`. Items 1 to 32 are there.
pub async fn keyspace(name: &str, shards: usize) -> TestKeyspace<'static> {
    let keyspace = Pod::shared().await.keyspace(name, shards).await.unwrap();
    let tables = [
        (
            "CREATE TABLE items (id INT PRIMARY KEY, n INT NOT NULL DEFAULT 0, text VARCHAR(200))",
            "items",
            Declaration::sharded_by(&["id"]),
        ),
        (
            "CREATE TABLE notes (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(200))",
            "notes",
            Declaration::Home,
        ),
        ("CREATE TABLE colours (name VARCHAR(20) PRIMARY KEY)", "colours", Declaration::Reference),
    ];
    for (sql, table, declaration) in tables {
        keyspace.create_table(sql, table, declaration).await.unwrap();
    }
    for shard in 0..shards {
        keyspace
            .on_shard(ShardIndex(shard as u16), "INSERT INTO colours VALUES ('red'), ('blue')")
            .await
            .unwrap();
    }
    keyspace
}

/// Another client of this proxy still gets its answers, an old session and a new one.
#[derive(Debug)]
pub struct Witness {
    address: std::net::SocketAddr,
    client: RawClient,
}

impl Witness {
    /// Logs in before the trouble begins.
    pub async fn of(proxy: &Proxy) -> Witness {
        let address = proxy.local_addr();
        Witness { address, client: RawClient::login(address, "", CapabilityFlags::empty()).await.unwrap() }
    }

    /// Panics if the session, or a new one, has been touched by `what`.
    pub async fn is_untouched(&mut self, what: &str) {
        let mut fresh = RawClient::login(self.address, "", CapabilityFlags::empty()).await;
        let fresh =
            fresh.as_mut().unwrap_or_else(|error| panic!("after {what}: nobody gets in any more: {error}"));
        for (session, client) in [("the old", &mut self.client), ("a new", fresh)] {
            assert_eq!(
                client.command(b"\x0e").await,
                Answer::Ok,
                "after {what}: {session} session does not answer a ping"
            );
        }
    }
}

/// Bytes of memory that this process, and with it the proxy, holds; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) << 10
}

/// A number that a run can be repeated with: `PODWAY_SEED`, or a new one. It is printed.
pub fn seed(test: &str) -> u64 {
    let given = std::env::var("PODWAY_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    eprintln!("{test}: PODWAY_SEED={seed}");
    seed
}
