//! What no list of commands can break: one promise a file, each with where it is promised.

mod changes;
mod drifts;
mod epochs;
mod flips;
mod ids;
mod numbers;
mod retried;
mod round_trip;
mod secrets;
mod slots;

use podway_topology_api::ClientId;
use proptest::prelude::ProptestConfig;

use crate::random::{Step, start, told};
use crate::script::Script;

/// How many lists are tried: this many, or as many as `PROPTEST_CASES` says.
fn lists_tried(usual: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(usual),
    }
}

/// Tells a fresh cluster the list, and looks at it after each command.
fn play(steps: &[Step], mut look: impl FnMut(&Script, &podway_topology::state::Applied)) {
    let mut script = start();
    for (number, step) in steps.iter().enumerate() {
        script.at += step.pause_ms;
        let (sequence, command) = (number as u64 + 1, told(&step.command, &script));
        for _ in 0..=u8::from(step.is_repeated) {
            let applied = script.propose(ClientId(77), sequence, command.clone());
            look(&script, &applied);
        }
    }
}
