//! What a run is, decided by its seed alone, and what all that take part in it share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use podway_model::Map;
use podway_topology::Tuning;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::fault::Fault;
use super::history::History;

/// Where nodes are reached by clients …
pub const CLIENT_PORT: u16 = 7400;
/// … and by each other.
pub const PEER_PORT: u16 = 7401;

/// Where the others reach a node.
pub fn peer_address(id: u64) -> String {
    format!("n{id}:{PEER_PORT}")
}

/// What a run is.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub nodes: u64,
    pub fault: Fault,
    /// How long there is trouble, in simulated time.
    pub trouble: Duration,
    /// A message takes up to this long.
    pub slowest: Duration,
    /// How often a message is lost, and its link with it for a while.
    pub loss: f64,
    /// Whether nodes forget their log soon, so that snapshots are needed.
    pub is_forgetful: bool,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64, trouble: Duration, fault: Fault) -> Plan {
        let mut random = StdRng::seed_from_u64(seed);
        Plan {
            seed,
            nodes: if random.random_ratio(1, 4) { 5 } else { 3 },
            fault,
            trouble,
            slowest: Duration::from_millis([5, 20, 60][random.random_range(0..3)]),
            loss: [0.0, 0.0, 0.0005, 0.002][random.random_range(0..4)],
            is_forgetful: random.random_bool(0.5),
        }
    }

    /// A node's paces. A node calls a vote after a time of its own, which the seed decides and not openraft's dice.
    pub fn tuning(&self, node: u64) -> Tuning {
        let paces = Tuning::default();
        let mut random = StdRng::seed_from_u64(self.seed ^ (node << 16));
        let election_min = Duration::from_millis(random.random_range(500..700));
        let election_max = election_min + Duration::from_millis(1);
        let (snapshot_every, entries_kept, events_kept) =
            if self.is_forgetful { (25, 5, 20) } else { (paces.snapshot_every, paces.entries_kept, 8_192) };
        Tuning { election_min, election_max, snapshot_every, entries_kept, events_kept, ..paces }
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The cluster is being made.
    Beginning,
    /// There is load, and trouble.
    Trouble,
    /// All is well again; writers end.
    Closing,
    /// Nobody does anything any more.
    Over,
}

/// What all that take part share.
#[derive(Clone)]
pub struct Shared {
    pub seed: u64,
    pub nodes: u64,
    pub fault: Fault,
    pub history: History,
    state: Arc<Mutex<State>>,
}

struct State {
    phase: Phase,
    lost: Option<u64>,
    followed: Option<Map>,
    /// What each node said at the end.
    ends: Vec<Option<String>>,
    last_write: bool,
    /// Writers that have not ended.
    writers: usize,
}

impl Shared {
    pub fn new(plan: &Plan) -> Shared {
        let ends = (0..plan.nodes).map(|_| None).collect();
        let state = State {
            phase: Phase::Beginning,
            lost: None,
            followed: None,
            ends,
            last_write: false,
            writers: 0,
        };
        let (seed, nodes, fault) = (plan.seed, plan.nodes, plan.fault);
        Shared { seed, nodes, fault, history: History::default(), state: Arc::new(Mutex::new(state)) }
    }

    fn state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap())
    }

    pub fn phase(&self) -> Phase {
        self.state(|state| state.phase)
    }

    pub fn enter(&self, phase: Phase) {
        self.state(|state| state.phase = phase);
    }

    pub fn is_closing(&self) -> bool {
        self.phase() >= Phase::Closing
    }

    pub fn is_over(&self) -> bool {
        self.phase() >= Phase::Over
    }

    /// The node whose disk was lost and that is not in its place again.
    pub fn lost(&self) -> Option<u64> {
        self.state(|state| state.lost)
    }

    pub fn set_lost(&self, lost: Option<u64>) {
        self.state(|state| state.lost = lost);
    }

    /// The newest map that the follower has.
    pub fn note_followed(&self, map: &Map) {
        self.state(|state| state.followed = Some(map.clone()));
    }

    pub fn followed(&self) -> Option<Map> {
        self.state(|state| state.followed.clone())
    }

    /// What nodes say in the end, once all say the same.
    pub fn ends(&self) -> Vec<Option<String>> {
        self.state(|state| state.ends.clone())
    }

    pub fn set_end(&self, node: u64, end: String) {
        self.state(|state| state.ends[usize::try_from(node - 1).unwrap()] = Some(end));
    }

    /// A writer begins …
    pub fn begin_to_write(&self) {
        self.state(|state| state.writers += 1);
    }

    /// … and ends.
    pub fn end_to_write(&self) {
        self.state(|state| state.writers -= 1);
    }

    /// Whether nobody writes any more.
    pub fn is_written(&self) -> bool {
        self.state(|state| state.writers == 0)
    }

    /// Whether a change was made after all trouble.
    pub fn has_last_write(&self) -> bool {
        self.state(|state| state.last_write)
    }

    pub fn set_last_write(&self) {
        self.state(|state| state.last_write = true);
    }
}
