//! What goes wrong, and when: links that are cut, in one direction or both, between nodes or towards clients; nodes that lose their power, alone or
//! all together; disks that are lost.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use turmoil::Sim;

use super::disk::Disk;
use super::fault::Fault;
use super::plan::{Plan, Shared};

/// The hosts of clients.
pub const OFFICES: [&str; 2] = ["east", "west"];

/// Whoever makes the trouble.
pub struct Trouble {
    pub disks: Vec<Disk>,
    pub random: StdRng,
    pub shared: Shared,
    /// Nodes without power.
    down: Vec<u64>,
    nodes: u64,
}

fn name(id: u64) -> String {
    format!("n{id}")
}

impl Trouble {
    pub fn new(plan: &Plan, disks: Vec<Disk>, random: StdRng, shared: Shared) -> Trouble {
        Trouble { disks, random, shared, down: Vec::new(), nodes: plan.nodes }
    }

    /// The time until the next trouble.
    pub fn pause(&mut self) -> Duration {
        Duration::from_millis(self.random.random_range(100..1_200))
    }

    /// Makes some.
    pub fn make(&mut self, sim: &mut Sim<'_>) {
        let id = self.random.random_range(1..=self.nodes);
        // Lies of disks come out when all lose their power at once.
        let kinds = if self.shared.fault == Fault::DisksLie { 9..12 } else { 0..14 };
        match self.random.random_range(kinds) {
            0 => self.isolate(sim, id),
            1 | 2 => self.cut_one_way(sim, id),
            3 => self.cut_from_clients(sim, id),
            4..=6 => self.heal(sim),
            7 | 8 => self.lose_power(sim, id),
            9 => (1..=self.nodes).for_each(|id| self.lose_power(sim, id)),
            10 if self.shared.fault != Fault::DisksLie => self.lose_disk(sim, id),
            _ => self.give_power(sim),
        }
    }

    /// Makes all well.
    pub fn end(&mut self, sim: &mut Sim<'_>) {
        self.heal(sim);
        while !self.down.is_empty() {
            self.give_power(sim);
        }
        sim.set_fail_rate(0.0);
    }

    fn note(&self, what: String) {
        self.shared.history.note("trouble", &what);
    }

    fn others(&self, id: u64) -> Vec<u64> {
        (1..=self.nodes).filter(|other| *other != id).collect()
    }

    fn isolate(&self, sim: &Sim<'_>, id: u64) {
        self.note(format!("n{id} is cut off from all nodes"));
        for other in self.others(id) {
            sim.partition(name(id), name(other));
        }
    }

    fn cut_one_way(&mut self, sim: &Sim<'_>, id: u64) {
        let others = self.others(id);
        let other = *others.choose(&mut self.random).unwrap();
        self.note(format!("n{other} does not hear n{id}"));
        sim.partition_oneway(name(id), name(other));
    }

    fn cut_from_clients(&mut self, sim: &Sim<'_>, id: u64) {
        let office = *OFFICES.choose(&mut self.random).unwrap();
        self.note(format!("n{id} is cut off from {office}"));
        sim.partition(name(id), office);
    }

    fn heal(&self, sim: &Sim<'_>) {
        self.note("the network is well".to_owned());
        for id in 1..=self.nodes {
            for other in id + 1..=self.nodes {
                sim.repair(name(id), name(other));
            }
            OFFICES.iter().for_each(|office| sim.repair(name(id), *office));
        }
    }

    fn lose_power(&mut self, sim: &mut Sim<'_>, id: u64) {
        if self.down.contains(&id) {
            return;
        }
        self.note(format!("n{id} loses its power"));
        // First the disk: nothing that the process still does may reach it.
        self.disks[usize::try_from(id - 1).unwrap()].lose_power();
        sim.crash(name(id));
        self.down.push(id);
    }

    fn give_power(&mut self, sim: &mut Sim<'_>) {
        if self.down.is_empty() {
            return;
        }
        let place = self.random.random_range(0..self.down.len());
        let id = self.down.swap_remove(place);
        self.note(format!("n{id} has its power back"));
        sim.bounce(name(id));
    }

    /// One at a time: with a second one the cluster could not know any more what it promised.
    fn lose_disk(&mut self, sim: &mut Sim<'_>, id: u64) {
        if self.shared.lost().is_some() {
            return;
        }
        self.lose_power(sim, id);
        self.down.retain(|down| *down != id);
        self.note(format!("n{id} gets an empty disk"));
        self.disks[usize::try_from(id - 1).unwrap()].lose_everything();
        self.shared.set_lost(Some(id));
        sim.bounce(name(id));
    }
}
