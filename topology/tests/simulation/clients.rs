//! Who uses the topology: writers through all nodes, and a reader at each node, with the client's real logic for retries.

use std::time::Duration;

use podway_topology_api::{
    ClientConfig, ClientId, Command, Done, Proposal, ProxyCommand, ProxyInfo, SettingCommand, StoreError,
    TopologyClient, TopologyStore, View, Wire,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

use super::fault::Fault;
use super::history::{Answered, Asked};
use super::network::SimulatedNetwork;
use super::plan::{CLIENT_PORT, Shared};

/// The settings that serve as registers.
pub const REGISTERS: [&str; 2] = ["freeze.drain", "retired.retention"];
/// The least that any of them may be set to.
const OFFSET: u64 = 10;
/// A client asks so long before it asks anew.
const WITHIN: Duration = Duration::from_secs(3);
/// A writer that was not answered gives up one time in so many.
const GIVES_UP: u32 = 8;

/// A client of these nodes.
pub fn client(nodes: impl IntoIterator<Item = u64>) -> TopologyClient {
    let addresses = nodes.into_iter().map(|id| format!("n{id}:{CLIENT_PORT}")).collect();
    let wire = Wire::over(SimulatedNetwork);
    TopologyClient::new(ClientConfig { deadline: WITHIN, wire, ..ClientConfig::plain(addresses) }).unwrap()
}

/// What a register holds; 0: nobody set it.
pub fn held(view: &View, register: usize) -> u64 {
    let found = view.settings.iter().find(|setting| &*setting.name == REGISTERS[register]).unwrap();
    found.value.strip_suffix("ms").map_or(0, |number| number.parse::<u64>().unwrap() - OFFSET)
}

/// Writes until all trouble is over.
pub async fn write(shared: Shared, number: u64) {
    let who = format!("writer-{number}");
    let mut random = StdRng::seed_from_u64(shared.seed ^ (number << 32));
    let store = client(1..=shared.nodes);
    let mut writer = Writer { shared: shared.clone(), who, number, sequence: 0, store };
    while !shared.is_closing() {
        writer.one(&mut random).await;
        sleep(Duration::from_millis(random.random_range(20..200))).await;
    }
    shared.end_to_write();
}

struct Writer {
    shared: Shared,
    who: String,
    number: u64,
    sequence: u64,
    store: TopologyClient,
}

impl Writer {
    async fn one(&mut self, random: &mut StdRng) {
        self.sequence += 1;
        let unique = self.number * 100_000 + self.sequence;
        let (asked, command) = if random.random_ratio(1, 4) {
            let name = format!("p{unique}");
            let info = ProxyInfo { name: name.as_str().into(), address: "h:1".into(), version: "0".into() };
            (Asked::Register { name }, Command::Proxy(ProxyCommand::Register(info)))
        } else {
            let register = random.random_range(0..REGISTERS.len());
            let value = format!("{}ms", unique + OFFSET).into();
            let set = SettingCommand::Set { name: REGISTERS[register].into(), value };
            (Asked::Set { register, value: unique }, Command::Setting(set))
        };
        let operation = self.shared.history.ask(&self.who, asked);
        let client = ClientId(self.number.into());
        let mut proposal =
            Proposal { client, sequence: self.sequence, who: self.who.as_str().into(), command };
        loop {
            let answered = match self.store.propose_once(proposal.clone()).await {
                Ok(Ok(Done::Changed)) => Answered::Set,
                Ok(Ok(Done::Registered { incarnation, .. })) => Answered::Registered(incarnation.0),
                Err(StoreError::Away { .. })
                    if self.shared.is_closing() || random.random_ratio(1, GIVES_UP) =>
                {
                    return;
                }
                Err(StoreError::Away { .. }) => {
                    if self.shared.fault == Fault::RetriesAnew {
                        self.sequence += 1;
                        proposal.sequence = self.sequence;
                    }
                    continue;
                }
                other => Answered::Wrong(format!("{other:?}")),
            };
            return self.shared.history.answer(&self.who, operation, answered);
        }
    }
}

/// Reads at one node until the run is over.
pub async fn read(shared: Shared, node: u64) {
    let who = format!("reader-{node}");
    let mut random = StdRng::seed_from_u64(shared.seed ^ (node << 40));
    let store = client([node]);
    let is_linearizable = shared.fault != Fault::ReadsAnywhere;
    while !shared.is_over() {
        let register = random.random_range(0..REGISTERS.len());
        let operation = shared.history.ask(&who, Asked::Get { register });
        match store.read(is_linearizable).await {
            Ok(view) => shared.history.answer(&who, operation, Answered::Got(held(&view, register))),
            Err(StoreError::Away { .. }) => {}
            Err(error) => shared.history.answer(&who, operation, Answered::Wrong(error.to_string())),
        }
        sleep(Duration::from_millis(random.random_range(50..300))).await;
    }
}
