//! The coordinator: its lists of actions, and all that can happen to it.

mod explore;
mod lists;
mod model;
mod steps;
mod world;

use podway_model::{Gtrid, HybridTime};

fn gtrid() -> Gtrid {
    Gtrid { begun: HybridTime(0x10), node: 1, incarnation: 2, sequence: 3 }
}
