//! A register that only rises, to tell whether reads are linearizable: one writer, and a reader at each node. A read that begins after a value was
//! acknowledged must not be older than that value, whoever is asked, and no newer than what was proposed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use podway_topology_api::{
    ClientConfig, Command, ProposeError, Proposer, SettingCommand, StoreError, TopologyClient, TopologyStore,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::cluster::{Cluster, PATIENCE};

const REGISTER: &str = "retired.retention";
/// A reader gives up sooner than a writer: it only wants to know what its node says.
const READ_WITHIN: Duration = Duration::from_secs(3);

/// The register, and who uses it.
pub struct Rising {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

struct Shared {
    proposed: AtomicU64,
    acknowledged: AtomicU64,
    reads: AtomicU64,
    stop: watch::Sender<bool>,
}

impl Rising {
    /// Begins to write and to read at every node.
    pub fn start(cluster: &Cluster) -> Rising {
        let shared = Arc::new(Shared {
            proposed: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            stop: watch::Sender::new(false),
        });
        let mut tasks = vec![tokio::spawn(write(cluster.client(), shared.clone()))];
        for place in cluster.places.values() {
            let config =
                ClientConfig { deadline: READ_WITHIN, ..ClientConfig::plain(vec![place.client.to_string()]) };
            let client = TopologyClient::new(config).unwrap();
            tasks.push(tokio::spawn(read(place.id.0, client, shared.clone())));
        }
        Rising { shared, tasks }
    }

    /// Ends, and fails if a read was wrong. Tells how many writes and reads were answered.
    pub async fn end(self) -> (u64, u64) {
        self.shared.stop.send_replace(true);
        for task in self.tasks {
            timeout(2 * PATIENCE, task).await.unwrap().unwrap();
        }
        let writes = self.shared.acknowledged.load(Ordering::SeqCst);
        (writes, self.shared.reads.load(Ordering::SeqCst))
    }
}

impl Shared {
    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }
}

async fn write(client: TopologyClient, shared: Arc<Shared>) {
    let proposer = Proposer::new(client, "the register");
    while !shared.is_stopped() {
        let value = shared.proposed.fetch_add(1, Ordering::SeqCst) + 1;
        let text: Box<str> = format!("{value}ms").into();
        let set = Command::Setting(SettingCommand::Set { name: REGISTER.into(), value: text });
        loop {
            match proposer.propose(set.clone()).await {
                Ok(_) => break,
                Err(ProposeError::Store(StoreError::Away { .. })) if shared.is_stopped() => return,
                Err(ProposeError::Store(StoreError::Away { .. })) => {}
                Err(error) => panic!("{error}"),
            }
        }
        shared.acknowledged.store(value, Ordering::SeqCst);
    }
}

async fn read(node: u64, client: TopologyClient, shared: Arc<Shared>) {
    while !shared.is_stopped() {
        let before = shared.acknowledged.load(Ordering::SeqCst);
        let view = match client.read(true).await {
            Ok(view) => view,
            Err(StoreError::Away { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        let after = shared.proposed.load(Ordering::SeqCst);
        let found = view.settings.iter().find(|setting| &*setting.name == REGISTER).unwrap();
        // Nothing was written yet while it has its default, which is given in hours.
        let value = found.value.strip_suffix("ms").map_or(0, |number| number.parse().unwrap());
        assert!((before..=after).contains(&value), "node {node} said {value}, not {before} to {after}");
        shared.reads.fetch_add(1, Ordering::SeqCst);
    }
}
