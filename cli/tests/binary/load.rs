//! Load on a topology while its nodes are killed and cut off: numbered changes that each are to be there once, and watchers that are to miss none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use parking_lot::Mutex;
use podway_model::{Change, Revision};
use podway_topology_api::{
    ClientConfig, ClientId, Command, Done, Proposal, Proposer, ProxyCommand, ProxyInfo, SettingCommand,
    StoreError, TopologyClient, TopologyStore, WatchMessage,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// A change is asked for so long, then asked for again under the same number.
const ASK: Duration = Duration::from_secs(5);
/// Writers side by side.
const WRITERS: u64 = 3;

/// A client of these addresses.
pub fn client(addresses: &[String], deadline: Duration) -> TopologyClient {
    TopologyClient::new(ClientConfig { deadline, ..ClientConfig::plain(addresses.to_vec()) })
        .expect("addresses")
}

/// The load.
pub struct Load {
    acknowledged: watch::Receiver<u64>,
    stop: Arc<watch::Sender<bool>>,
    writers: Vec<JoinHandle<Vec<String>>>,
    watchers: Vec<(Arc<Mutex<Heard>>, JoinHandle<()>)>,
}

/// What a watcher heard.
#[derive(Clone, Debug, Default)]
struct Heard {
    events: Vec<(Revision, Vec<Change>)>,
    snapshots: Vec<Revision>,
}

impl Load {
    /// Begins, through all of `addresses`, watched at each.
    pub async fn start(addresses: &[String]) -> Load {
        // Whoever has nothing gets the whole map: watchers are to begin behind a change.
        let first = SettingCommand::Set { name: "freeze.drain".into(), value: "9s".into() };
        let everyone = client(addresses, PATIENCE);
        Proposer::new(everyone.clone(), "the load").propose(Command::Setting(first)).await.expect("a change");
        let from = everyone.read(true).await.expect("a leader").revision;
        let stop = Arc::new(watch::Sender::new(false));
        let (sender, acknowledged) = watch::channel(0);
        let sender = Arc::new(sender);
        let writers = (0..WRITERS).map(|number| {
            let (client, stop, sender) = (client(addresses, ASK), stop.subscribe(), sender.clone());
            tokio::spawn(write(client, number, stop, sender))
        });
        let writers = writers.collect();
        let watchers = addresses.iter().map(|address| {
            let heard = Arc::<Mutex<Heard>>::default();
            let client = client(std::slice::from_ref(address), ASK);
            (heard.clone(), tokio::spawn(follow(client, from, heard)))
        });
        Load { acknowledged, writers, watchers: watchers.collect(), stop }
    }

    /// Waits until so many more changes are acknowledged; says how long that took.
    pub async fn more(&mut self, count: u64) -> Duration {
        let begun = Instant::now();
        let enough = *self.acknowledged.borrow() + count;
        timeout(PATIENCE, self.acknowledged.wait_for(|has| *has >= enough))
            .await
            .expect("changes go on")
            .expect("the writers run");
        begun.elapsed()
    }

    /// Ends, and fails if an acknowledged change is not there once, or a watcher missed one.
    pub async fn end(self, addresses: &[String]) -> u64 {
        self.stop.send_replace(true);
        let mut written = Vec::new();
        for writer in self.writers {
            written.extend(
                timeout(2 * PATIENCE, writer).await.expect("the writer ends").expect("no writer fails"),
            );
        }
        let view = client(addresses, PATIENCE).read(true).await.expect("a leader");
        let mut there: BTreeMap<&str, usize> = BTreeMap::new();
        view.proxies.iter().for_each(|proxy| *there.entry(&proxy.name).or_default() += 1);
        for name in &written {
            assert_eq!(there.remove(name.as_str()), Some(1), "{name} was acknowledged");
        }
        assert!(there.is_empty(), "nobody was answered to {there:?}");
        let mut all: BTreeMap<Revision, Vec<Change>> = BTreeMap::new();
        let mut each = Vec::new();
        for (heard, task) in self.watchers {
            let heard = until(&heard, view.revision).await;
            task.abort();
            for (revision, changes) in &heard.events {
                assert_eq!(all.entry(*revision).or_insert_with(|| changes.clone()), changes, "{revision:?}");
            }
            each.push(heard);
        }
        let revisions: Vec<Revision> = all.into_keys().collect();
        for heard in each {
            assert!(heard.snapshots.is_empty(), "everything was kept: {:?}", heard.snapshots);
            let heard: Vec<Revision> = heard.events.iter().map(|(revision, _)| *revision).collect();
            assert_eq!(heard, revisions, "each change once, in order, without gaps");
        }
        written.len() as u64
    }
}

async fn until(heard: &Mutex<Heard>, revision: Revision) -> Heard {
    let begun = Instant::now();
    loop {
        let now = heard.lock().clone();
        if now.events.last().is_some_and(|(last, _)| *last >= revision) {
            return now;
        }
        assert!(begun.elapsed() < PATIENCE, "a watcher does not hear of {revision:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Writes until it is told to stop, and until its last change is acknowledged: each name is one.
async fn write(
    client: TopologyClient,
    number: u64,
    stop: watch::Receiver<bool>,
    acknowledged: Arc<watch::Sender<u64>>,
) -> Vec<String> {
    static WRITERS_EVER: AtomicU64 = AtomicU64::new(0);
    let me = ClientId((u128::from(WRITERS_EVER.fetch_add(1, Ordering::Relaxed)) << 32) | 7);
    let mut written = Vec::new();
    let mut sequence = 0;
    while !*stop.borrow() {
        let name = format!("w{number}-{}", written.len());
        let info = ProxyInfo { name: name.as_str().into(), address: "h:1".into(), version: "0".into() };
        // One that watchers do not see, and one that they do.
        let value = format!("{}ms", 10 + number + WRITERS * (written.len() as u64 % 1_000)).into();
        let set = SettingCommand::Set { name: "freeze.drain".into(), value };
        for command in [Command::Proxy(ProxyCommand::Register(info)), Command::Setting(set)] {
            sequence += 1;
            propose(&client, Proposal { client: me, sequence, who: "the load".into(), command }).await;
        }
        written.push(name);
        acknowledged.send_modify(|count| *count += 1);
    }
    written
}

async fn propose(client: &TopologyClient, proposal: Proposal) {
    let begun = Instant::now();
    loop {
        match client.propose_once(proposal.clone()).await {
            Ok(Ok(Done::Changed | Done::Registered { .. })) => return,
            Err(StoreError::Away { .. }) if begun.elapsed() < PATIENCE => {}
            other => panic!("{proposal:?}: {other:?}"),
        }
    }
}

async fn follow(client: TopologyClient, mut from: Revision, heard: Arc<Mutex<Heard>>) {
    loop {
        if let Ok(mut stream) = client.watch(from).await {
            // A node that is cut off says nothing.
            while let Ok(Some(Ok(message))) = timeout(ASK, stream.next()).await {
                match message {
                    WatchMessage::Snapshot(event) => {
                        from = event.revision;
                        heard.lock().snapshots.push(event.revision);
                    }
                    WatchMessage::Event(event) => {
                        from = event.revision;
                        heard.lock().events.push((event.revision, event.changes));
                    }
                    WatchMessage::Progress { .. } => {}
                }
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
}
